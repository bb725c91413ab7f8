"""Check the explanation of a model: all tests, and a verdict in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from ingest.attribution.device import find_device, set_up
from ingest.attribution.methods import check_method
from ingest.check.cells import read_cells
from ingest.check.judge import Explained, agreement, judge, without_baseline
from ingest.check.similar import weights_by_layer
from ingest.models import CellModel
from ingest.options import Compute, Method
from sigdb.errors import ModelError, OptionError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from ingest.check.measures import Measure
    from sigdb.findings.page import Page

__all__ = ["ModelCheck", "check_model"]


@dataclass(frozen=True)
class ModelCheck:
    """What a check found.

    Attributes
    ----------
    model : str
        The name of the model.
    method : Method
        The method that explains it.
    n_cells : int
        The cells that were explained.
    table : pyarrow.Table
        One row per measure: test, measure, value (a median over cells, or a share of cells), needs (what must hold;
        NULL if the number is for information) and holds (NULL also if the cells do not decide).
    curves : pyarrow.Table
        The mean similarity of cells to themselves, by test (deletion, insertion), order (of the genes) and fraction.
    verdict : str
        The result in words.
    notes : tuple of str
        What to know about the sample.
    """

    model: str
    method: Method
    n_cells: int
    table: pa.Table
    curves: pa.Table = field(repr=False)
    verdict: str
    notes: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing that must hold was found not to."""
        return False not in self.table["holds"].to_pylist()

    def write(self, path: str | os.PathLike[str]) -> Page:
        """Write the check as one self-contained page.

        Parameters
        ----------
        path : str or path-like
            The file to write, ending in .html.

        Returns
        -------
        Page
            The file, and how many charts and tables it has.

        Raises
        ------
        QueryError
            If the file does not end in .html.
        MissingDependencyError
            If the extra `plots` is not installed.
        """
        from ingest.check.page import write_check

        return write_check(self, path)


def check_model(
    models: CellModel | Sequence[CellModel],
    cells: str | os.PathLike[str],
    method: Method | None = None,
    *,
    n_cells: int = 100,
    seed: int = 0,
    layer: str | None = None,
    min_genes: int | None = None,
    compute: Compute | None = None,
) -> ModelCheck:
    """Test how good the explanation of a model is, on a sample of cells. No annotation is needed.

    The tests: whether the model places cells better than a copy with shuffled weights; whether deleting and inserting
    the genes of high attribution changes the embedding more than other genes do; how much of such changes the
    attributions predict (Captum's infidelity); whether the explanation changes with the weights (Adebayo et al. 2018),
    the number of steps, the baseline and the summation; and whether several checkpoints agree.

    Parameters
    ----------
    models
        The model from `load_model`, or several checkpoints of one architecture, of which the first is tested.
    cells
        A file of raw counts, in any format that can be ingested.
    method
        How a cell is explained, against a cell without expression. Default: `Method()`.
    n_cells
        Cells to draw from the file, at least 10.
    seed
        Of the sample, of random orders and of shuffled weights.
    layer, min_genes
        As in `IngestOptions`.
    compute
        Device, precision, batch size and threads. Default: a GPU if there is one, in float32.

    Returns
    -------
    ModelCheck
        The measures, the curves and a verdict in words.

    Raises
    ------
    OptionError, ModelError
        If `n_cells` is too small, or the models cannot be tested together.
    CountsError, GeneSpaceError
        If the file has no raw counts, or too few genes of a model.
    MethodError, DeviceError
        If the method does not suit the model, or this machine lacks the device.

    Examples
    --------
    >>> from importlib.resources import files
    >>> from ingest import Method, check_model, load_model
    >>> demo = files("ingest") / "demo"
    >>> model = load_model("mlp", demo / "model")
    >>> found = check_model(model, demo / "studies" / "wu2020_tcell.h5ad", Method("ig", "dot"), n_cells=30)
    >>> found.n_cells, found.holds
    (30, True)
    """
    chosen = check_models([models] if isinstance(models, CellModel) else models, n_cells)
    method, compute = method or Method(), find_device(compute or Compute())
    if compute.workers > 1 or compute.is_remote:
        raise OptionError("A check runs in one process on this machine: leave `workers` and `is_remote` out.")
    for model in chosen:
        check_method(method, model)
    drawn = read_cells(cells, chosen, n_cells=n_cells, seed=seed, layer=layer, min_genes=min_genes)
    placed = [set_up(model, compute) for model in chosen]
    explained = [
        Explained(model, counts, method, batch_size, seed)
        for (model, batch_size), counts in zip(placed, drawn.counts, strict=True)
    ]
    first, *others = explained
    measures, curves = judge(first)
    for number, other in enumerate(others, 2):
        measures += agreement(first, other, drawn.gene_ids[0], drawn.gene_ids[number - 1], number)
    n_found = first.counts.shape[0]
    without = drawn.n_drawn - n_found
    notes = [f"{n_found} cells of {Path(cells).name}, drawn at random with seed {seed}"]
    notes += [f"{without} of the {drawn.n_drawn} cells that were drawn have no counts that the model can read"] * bool(
        without
    )
    if not method.is_local and (reason := without_baseline(first.model)):
        notes.append(f"no other baseline was tried: {reason.partition(':')[0].removesuffix('.')}")
    notes += drawn.notes
    rows = pa.Table.from_pylist([vars(each) for each in measures], SCHEMA)
    return ModelCheck(first.model.name, method, n_found, rows, curves, put_in_words(measures), tuple(notes))


SCHEMA = pa.schema(
    [
        ("test", pa.string()),
        ("measure", pa.string()),
        ("value", pa.float64()),
        ("needs", pa.string()),
        ("holds", pa.bool_()),
    ]
)


def check_models(models: Sequence[CellModel], n_cells: int) -> list[CellModel]:
    """The models, if they can be tested together."""
    if n_cells < 10:
        raise OptionError(f"`n_cells` must be at least 10, not {n_cells}: fewer cells decide nothing.")
    if not models:
        raise OptionError("There is no model to check.")
    for model in models:
        weights_by_layer(model)
    kinds = sorted({model.architecture for model in models})
    if len(kinds) > 1:
        raise ModelError(f"Checkpoints of one architecture can be compared, not of {' and '.join(kinds)}.")
    return list(models)


# What it means that a test fails.
FAILURES = {
    "recognition": "the model places cells no better than a copy with shuffled weights, so there is nothing to explain",
    "deletion": "deleting the genes of high attribution changes the embedding no more than deleting others",
    "insertion": "inserting the genes of high attribution restores the embedding no better than inserting others",
    "infidelity": "the attributions predict the effect of a deletion no better than expression does",
    "shuffled weights": "the explanation hardly changes when the weights are shuffled",
    "steps doubled": "the integral has too few steps",
    "checkpoints": "checkpoints of the model are explained by other genes",
}


def put_in_words(measures: Sequence[Measure]) -> str:
    """The verdict: which tests hold, which fail and what that means, and which the cells do not decide."""
    tests = list(dict.fromkeys(each.test for each in measures if each.needs))
    outcome = {test: [each.holds for each in measures if each.test == test and each.needs] for test in tests}
    failed = [test for test in tests if False in outcome[test]]
    open_tests = [test for test in tests if set(outcome[test]) == {None}]
    n_decided = len(tests) - len(open_tests)
    text = f"The explanation passes all {n_decided} tests." if n_decided else "No test has a result."
    if failed:
        reasons = "; ".join(f"{test}: {FAILURES[test]}" for test in failed)
        text = f"The explanation fails {len(failed)} of {n_decided} tests. {reasons[0].upper()}{reasons[1:]}."
    return text + (f" The cells do not decide: {', '.join(open_tests)}." if open_tests else "")
