"""Rules by which a cell could be called a hit of a signature; `benchmarks.calibration` compares them.

A rule takes a question (a signature in an atlas) and the name of a study. For each cell of the study, it returns a
value, whose means could be compared, and whether the cell is a hit. `RULES` names them. sigdb uses `CHOSEN`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix
from scipy.stats import rankdata

from ingest.attribution.methods import attribute_batch, scale
from ingest.demo.train import align

if TYPE_CHECKING:
    import anndata
    from numpy.typing import NDArray

    from ingest.models import CellModel

__all__ = ["CHOSEN", "RULES", "Atlas", "Cells", "Question", "attributed"]

CONTROL_SETS = 200
NEIGHBOURS = 51
LARGE_TYPE = 5  # cells; smaller cell types do not count for levels, as in sql/macros/internal/large_types.sql
MAX_RANK = 1500  # as in UCell


@dataclass(frozen=True, eq=False)
class Cells:
    """The attributed cells of a study.

    attributions: (n_cells, n_genes) of the model, absolute, 1000 a cell. measured: positions of the measured genes.
    detected, types, thinned: (n_cells,) number of detected genes, cell type, and whether counts were taken away.
    """

    attributions: csc_matrix
    measured: NDArray[np.intp]
    detected: NDArray[np.intp]
    types: NDArray[np.str_]
    thinned: NDArray[np.bool_]

    @cached_property
    def strata(self) -> NDArray[np.intp]:
        """The depth stratum of each cell: two for each doubling of the detected genes."""
        return np.floor(2 * np.log2(np.maximum(self.detected, 1))).astype(int)

    @cached_property
    def level(self) -> NDArray[np.float64]:
        """(n_genes,) the level of each gene in the study: the mean over the large cell types; NaN if not measured."""
        names, sizes = np.unique(self.types, return_counts=True)
        large = names[(sizes >= LARGE_TYPE) | (sizes.max() < LARGE_TYPE)]
        return np.mean([self.level_among(self.types == each) for each in large], axis=0)

    @cached_property
    def level_by_study(self) -> NDArray[np.float64]:
        """(n_genes,) the level of each gene among all cells of the study, whatever their types."""
        return self.level_among(np.ones(len(self.types), dtype=bool))

    def level_among(self, cells: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(n_genes,) ln(0.01 + mean attribution among these cells, over that of an average measured gene)."""
        means = np.full(self.attributions.shape[1], np.nan)
        means[self.measured] = (cells @ self.attributions)[self.measured] / cells.sum()
        return np.log(0.01 + means * len(self.measured) / 1000)

    @cached_property
    def places(self) -> csc_matrix:
        """(n_cells, n_genes) how far each gene is above the last rank that counts in its cell, from 0 to 1."""
        rows = csr_matrix(self.attributions)
        for start, end in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):
            ranks = rankdata(-rows.data[start:end])
            rows.data[start:end] = np.maximum(MAX_RANK - ranks, 0) / MAX_RANK
        return csc_matrix(rows)


def attributed(study: anndata.AnnData, model: CellModel) -> Cells:
    """Attribute the cells of a study, by Integrated Gradients."""
    aligned = align(study, list(model.gene_ids))
    values, _ = scale(attribute_batch(model, model.prepare(csr_matrix(aligned.counts, dtype=np.float32))))
    thinned = study.obs["thinned"] if "thinned" in study.obs else np.zeros(study.n_obs, dtype=bool)
    return Cells(
        csc_matrix(abs(values)).astype(float),
        np.flatnonzero(aligned.measured),
        np.diff(csr_matrix(study.X).indptr),
        study.obs["cell_type"].astype(str).to_numpy(dtype=str),
        np.asarray(thinned, dtype=bool),
    )


@dataclass(frozen=True, eq=False)
class Atlas:
    """Studies by name."""

    studies: dict[str, Cells]

    @cached_property
    def level(self) -> NDArray[np.float64]:
        """(n_genes,) the level of each gene in the atlas, as in sql/macros/internal/gene_positions.sql."""
        return mean_where_measured([cells.level for cells in self.studies.values()])

    @cached_property
    def level_by_study(self) -> NDArray[np.float64]:
        """(n_genes,) the same, of levels that do not look at cell types."""
        return mean_where_measured([cells.level_by_study for cells in self.studies.values()])


def mean_where_measured(levels: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The mean over the studies that measured a gene; 0 if none did. Rounded, so that equal levels are ties."""
    seen = np.isfinite(levels)
    return np.round(np.where(seen, levels, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1), 9)


@dataclass(frozen=True, eq=False)
class Question:
    """A signature (positions of genes that the model knows) in an atlas. What was computed is kept."""

    atlas: Atlas
    genes: NDArray[np.intp]
    kept: dict[tuple[object, ...], NDArray[np.float64]] = field(default_factory=dict)

    def score(self, study: str) -> NDArray[np.float64]:
        """The score of each cell: the mean attribution of the signature's genes."""
        return np.asarray(self.atlas.studies[study].attributions[:, self.genes].sum(axis=1)).ravel() / len(self.genes)

    def neighbours(self, study: str, within: str, n: int) -> NDArray[np.intp]:
        """(n_measured genes of the signature, n) the genes of the study that are nearest to each in level.

        within: "study", or the name of a level of the atlas.
        """
        cells = self.atlas.studies[study]
        levels = np.round(cells.level, 9) if within == "study" else getattr(self.atlas, within)
        order = cells.measured[np.argsort(levels[cells.measured], kind="stable")]
        positions = np.flatnonzero(np.isin(order, self.genes))
        starts = np.clip(positions - n // 2, 0, len(order) - n)
        return order[starts[:, None] + np.arange(n)]

    def controls(self, study: str, within: str = "level", n: int = NEIGHBOURS) -> NDArray[np.float64]:
        """(n_cells, CONTROL_SETS) the scores of the control sets in each cell."""
        key = ("controls", study, within, n)
        if key not in self.kept:
            near, rng = self.neighbours(study, within, n), np.random.default_rng(0)
            drawn = np.take_along_axis(near, rng.integers(n, size=(len(near), CONTROL_SETS)), axis=1)
            rows, where = np.unique(drawn, return_inverse=True)
            weights = np.zeros((len(rows), CONTROL_SETS))
            np.add.at(weights, (where.reshape(drawn.shape), np.arange(CONTROL_SETS)), 1 / len(self.genes))
            self.kept[key] = self.atlas.studies[study].attributions[:, rows] @ weights
        return self.kept[key]

    def own_controls(self, study: str) -> NDArray[np.float64]:
        """The mean attribution of all neighbours of the signature's genes in each cell."""
        near = self.neighbours(study, "level", NEIGHBOURS)
        found = [self.atlas.studies[study].attributions[:, genes].mean(axis=1) for genes in near]
        return np.asarray(sum(found)).ravel() / len(self.genes)


Called = tuple["NDArray[np.float64]", "NDArray[np.bool_]"]
Rule = Callable[[Question, str], Called]
Statistic = Callable[[Question, str], "NDArray[np.float64]"]


def in_strata(
    values: NDArray[np.float64], reference: NDArray[np.float64], strata: NDArray[np.intp], percentile: float
) -> Called:
    """By stratum, the z of values (n_cells,) against a reference (n_cells, n), and which exceed its percentile."""
    z, hits = np.zeros(len(values)), np.zeros(len(values), dtype=bool)
    for stratum in np.unique(strata):
        here = strata == stratum
        sd = reference[here].std()
        z[here] = (values[here] - reference[here].mean()) / sd if sd > 0 else 0
        hits[here] = values[here] > np.percentile(reference[here], percentile)
    return z, hits


def against_controls(within: str, percentile: float, *, by_depth: bool = True, n: int = NEIGHBOURS) -> Rule:
    """A hit scores above a percentile of the control sets in the cells of its study (and stratum)."""

    def call(question: Question, study: str) -> Called:
        strata = question.atlas.studies[study].strata if by_depth else np.zeros(len(question.score(study)), dtype=int)
        return in_strata(question.score(study), question.controls(study, within, n), strata, percentile)

    return call


def against_own_controls(percentile: float) -> Rule:
    """A hit scores above this percentage of the control sets in the same cell."""

    def call(question: Question, study: str) -> Called:
        score = question.score(study)
        above = (question.controls(study) < score[:, None]).mean(axis=1)
        return above, above > percentile / 100

    return call


def pooled(statistic: Statistic, percentile: float = 95, *, by_depth: bool = False) -> Rule:
    """A hit has a statistic above a percentile over all cells of the atlas (of the same depth stratum)."""

    def call(question: Question, study: str) -> Called:
        studies = question.atlas.studies
        values = np.concatenate([statistic(question, name) for name in studies])
        strata = np.concatenate([studies[name].strata for name in studies])
        hits = in_strata(values, values[:, None], strata if by_depth else np.zeros_like(strata), percentile)[1]
        here = np.concatenate([np.full(len(cells.types), name == study) for name, cells in studies.items()])
        return values[here], hits[here]

    return call


def z_score(question: Question, study: str) -> NDArray[np.float64]:
    """The z of the chosen rule."""
    return CHOSEN_RULE(question, study)[0]


def within_cell_rank(question: Question, study: str) -> NDArray[np.float64]:
    """UCell's statistic, on attributions: the mean place of the genes in the cell."""
    return np.asarray(question.atlas.studies[study].places[:, question.genes].mean(axis=1)).ravel()


def difference(question: Question, study: str) -> NDArray[np.float64]:
    """The score minus the mean of the cell's own control genes (Adjusted Neighborhood Scoring, Ciernik et al. 2026)."""
    return question.score(study) - question.own_controls(study)


def log_ratio(question: Question, study: str) -> NDArray[np.float64]:
    """log2 of the score over the mean of the cell's own control genes, with 0.01 of an average gene added to both."""
    few = 0.01 * 1000 / len(question.atlas.studies[study].measured)
    return np.log2((question.score(study) + few) / (question.own_controls(study) + few))


def fold(question: Question, study: str) -> Called:
    """The score over the mean of the cell's own control genes, above percentile 99 of this ratio of control sets."""
    own = np.maximum(question.own_controls(study), 1e-6)
    ratio = question.score(study) / own
    return ratio, ratio > np.percentile(question.controls(study) / own[:, None], 99)


CHOSEN = "atlas, by depth, 99"
CHOSEN_RULE = against_controls("level", 99)
RULES: dict[str, Rule] = {
    "pooled 95": pooled(Question.score),
    "pooled 95, by depth": pooled(Question.score, by_depth=True),
    "within-cell rank, pooled 95": pooled(within_cell_rank),
    "difference to own controls, pooled 95": pooled(difference),
    "log-ratio to own controls, pooled 95": pooled(log_ratio),
    "fold over own controls, 99": fold,
    "same cell, 95": against_own_controls(95),
    "same cell, 99": against_own_controls(99),
    "same study, 95": against_controls("study", 95, by_depth=False),
    "same study, 99": against_controls("study", 99, by_depth=False),
    "same study, by depth, 99": against_controls("study", 99),
    "atlas, 99": against_controls("level", 99, by_depth=False),
    "atlas, by depth, 95": against_controls("level", 95),
    CHOSEN: CHOSEN_RULE,
    "atlas, by depth, 99.9": against_controls("level", 99.9),
    "atlas, by depth, 99, 11 neighbours": against_controls("level", 99, n=11),
    "atlas, by depth, 99, 101 neighbours": against_controls("level", 99, n=101),
    "atlas, level by study, by depth, 99": against_controls("level_by_study", 99),
    "z, pooled 95": pooled(z_score),
}
