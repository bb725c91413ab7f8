"""The tests of a check: what is measured of each model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from ingest.attribution.device import attribute_cells
from ingest.attribution.methods import check_method
from ingest.check.faithful import FRACTIONS, area, deletion_curve, insertion_curve, unpredicted
from ingest.check.measures import Measure, at_least, at_most, better, median
from ingest.check.recognise import recognition_ranks
from ingest.check.similar import N_TOP, l1_distance, rank_correlation, shuffle_weights, top_overlap, weights_by_layer
from sigdb.errors import MethodError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ingest.models import CellModel
    from ingest.options import Method

__all__ = ["Explained", "agreement", "judge", "without_baseline"]

# What an explanation needs, where no other explanation of the same cells says it.
MOST_ALIKE = 0.5  # Spearman's correlation with the explanation of a copy with shuffled weights
LEAST_ALIKE = 0.5  # the same between checkpoints
EASY = 0.01  # mean rank of a cell's own half, of 1 at most
MOST_APART = 0.05  # L1 distance, of 2 at most, between n steps and 2 n


@dataclass(frozen=True)
class Explained:
    """A model, the cells of the check in its gene space, and how the cells are explained."""

    model: CellModel
    counts: csr_matrix
    method: Method
    batch_size: int
    seed: int

    def explain(
        self, model: CellModel | None = None, method: Method | None = None, baseline: csr_matrix | None = None
    ) -> csr_matrix:
        """The attributions, (n_cells, n_genes), or those of a changed model, method or baseline."""
        return attribute_cells(
            model or self.model, self.counts, method or self.method, baseline=baseline, batch_size=self.batch_size
        ).values

    @property
    def x(self) -> csr_matrix:
        """The input of the model."""
        return self.model.prepare(self.counts)

    @property
    def is_read(self) -> NDArray[np.bool_]:
        """Which genes of each cell the model reads, which are those that it expresses: (n_cells, n_genes)."""
        return np.asarray(self.x.toarray() != 0)

    def at_counts(self, values: csr_matrix) -> NDArray[np.floating]:
        """The values, (n_cells, n_genes), at the stored entries of the counts. 0 for a gene that is not read."""
        cells = np.repeat(np.arange(self.counts.shape[0]), np.diff(self.counts.indptr))
        return np.asarray(values.toarray()[cells, self.counts.indices])


def judge(cells: Explained, values: csr_matrix | None = None) -> tuple[list[Measure], pa.Table]:
    """All measures of one model, and the curves. values: the explanation to judge; default: the model's own."""
    values = cells.explain() if values is None else values
    n_layers = len(weights_by_layer(cells.model))
    shuffled = [shuffle_weights(cells.model, n, cells.seed + 1) for n in range(1, n_layers + 1)]
    by_layer = [cells.explain(model) for model in shuffled]
    measures = recognition(cells, shuffled[-1])
    found, curves = faithfulness(cells, values, by_layer[-1])
    measures += [*found, *prediction(cells, values)]
    for n, other in enumerate(by_layer, 1):
        measures += sensitivity(cells, values, other, n, n_layers)
    return [*measures, *changes(cells, values)], curves


def recognition(cells: Explained, shuffled: CellModel) -> list[Measure]:
    """Whether the model finds the second half of a cell's counts by the first half. Easy cells do not decide."""
    own, other = (recognition_ranks(model, cells.counts, cells.seed) for model in (cells.model, shuffled))
    test = "recognition"
    is_easy = max(own.mean(), other.mean()) < EASY
    gain = better(test, "with all weights shuffled", other - own)
    return [
        Measure(test, "cells whose nearest half is their own", float((own == 0).mean())),
        Measure(test, "the same, with all weights shuffled", float((other == 0).mean())),
        replace(gain, holds=None) if is_easy else gain,
    ]


def faithfulness(cells: Explained, values: csr_matrix, shuffled: csr_matrix) -> tuple[list[Measure], pa.Table]:
    """Deletion and insertion by attribution, beside other orders of the genes."""
    rng = np.random.default_rng(cells.seed)
    own = cells.at_counts(values)
    orders = {
        "attribution": np.abs(own),
        "signed attribution": own,
        "attribution with all weights shuffled": np.abs(cells.at_counts(shuffled)),
        "expression": cells.at_counts(cells.x),
        "random": rng.random(cells.counts.nnz),
    }
    measures, rows = [], []
    for test, make, sign in (("deletion", deletion_curve, -1), ("insertion", insertion_curve, 1)):
        curves = {name: make(cells.model, cells.counts, order) for name, order in orders.items()}
        areas = {name: area(curve) for name, curve in curves.items()}
        measures += [median(test, f"mean similarity, by {name}", areas[name]) for name in orders]
        for name in ("attribution with all weights shuffled", "expression", "random"):
            measures.append(better(test, name, sign * (areas["attribution"] - areas[name])))
        rows += [
            {"test": test, "order": name, "fraction": float(fraction), "similarity": float(mean)}
            for name, curve in curves.items()
            for fraction, mean in zip(FRACTIONS, curve.mean(axis=0), strict=True)
        ]
    return measures, pa.Table.from_pylist(rows)


def prediction(cells: Explained, values: csr_matrix) -> list[Measure]:
    """How much of the change of f by random deletions the attributions predict, beside expression."""
    summation = str(cells.method.summation)
    own, expression = (
        unpredicted(cells.model, cells.x, each, summation, seed=cells.seed) for each in (values, cells.x)
    )
    test = "infidelity"
    return [
        median(test, "share not predicted, by attribution", own),
        median(test, "share not predicted, by expression", expression),
        better(test, "expression", expression - own),
    ]


def sensitivity(cells: Explained, values: csr_matrix, other: csr_matrix, n: int, n_layers: int) -> list[Measure]:
    """How alike the explanation is to that of a copy whose last n linear layers are shuffled."""
    test = "shuffled weights"
    where = "all layers" if n == n_layers else f"last {n} of {n_layers} layers"
    pair = values.toarray(), other.toarray(), cells.is_read
    correlation = rank_correlation(*pair)
    name = f"Spearman, {where}"
    spearman = at_most(test, name, correlation, MOST_ALIKE) if n == n_layers else median(test, name, correlation)
    return [spearman, median(test, f"top {N_TOP} in common, {where}", top_overlap(*pair))]


def changes(cells: Explained, values: csr_matrix) -> Iterator[Measure]:
    """How much the explanation changes with the steps, the baseline and the summation."""
    method, dense = cells.method, values.toarray()
    if method.name == "ig":
        doubled = cells.explain(method=replace(method, n_steps=2 * method.n_steps)).toarray()
        measure = f"L1 distance, {method.n_steps} to {2 * method.n_steps} steps"
        yield at_most("steps doubled", measure, l1_distance(dense, doubled), MOST_APART)
    if not method.is_local and without_baseline(cells.model) is None:
        mean = csr_matrix(cells.x.mean(axis=0, dtype=np.float64).astype(np.float32))
        yield from alike("baseline changed", "the mean cell", cells, dense, cells.explain(baseline=mean).toarray())
    other = replace(method, summation="dot" if method.summation == "published" else "published")
    try:
        check_method(other, cells.model)
    except MethodError:
        return
    yield from alike("summation changed", str(other.summation), cells, dense, cells.explain(method=other).toarray())


def without_baseline(model: CellModel) -> str | None:
    """Why the mean of cells is no baseline for a model; None if it is one."""
    try:
        model.check_baseline()
    except MethodError as error:
        return str(error)
    return None


def alike(
    test: str, to: str, cells: Explained, one: NDArray[np.floating], other: NDArray[np.floating]
) -> Iterator[Measure]:
    """How alike two explanations of the same cells are, for information."""
    yield median(test, f"Spearman, to {to}", rank_correlation(one, other, cells.is_read))
    yield median(test, f"top {N_TOP} in common, to {to}", top_overlap(one, other, cells.is_read))


def agreement(
    first: Explained, other: Explained, ids: Sequence[int], other_ids: Sequence[int], number: int
) -> list[Measure]:
    """How alike the explanations of two checkpoints are, over the genes that both know."""
    _, here, there = np.intersect1d(ids, other_ids, return_indices=True)
    if len(here) < 2 * N_TOP and len(here) < min(len(ids), len(other_ids)):
        raise ModelError(f"Models {first.model.name} and {other.model.name} share only {len(here)} genes.")
    pair = first.explain().toarray()[:, here], other.explain().toarray()[:, there], first.is_read[:, here]
    test, name = "checkpoints", f"first and {number}"
    return [
        at_least(test, f"Spearman, {name}", rank_correlation(*pair), LEAST_ALIKE),
        median(test, f"top {N_TOP} in common, {name}", top_overlap(*pair)),
    ]
