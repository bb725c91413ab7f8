"""The workflow of Gold et al.: choose cells, score them, call hits, rank groups of samples by their hit rates."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Unpack

import pyarrow as pa
import pyarrow.compute as pc

from sigdb.answers import Answer, left_out_note
from sigdb.errors import QueryError
from sigdb.findings.columns import columns_of, labelled_statement, select_cells
from sigdb.scores.options import ScoreOptions, check_options, score_parameters
from sigdb.statements import ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    from sqlglot import exp

__all__ = ["CutOff", "Hits", "choose_population", "hits", "population_name"]

# The name of the CTE that holds the population. The macros look it up by this name.
POPULATION = "chosen_cells"
ALL_CELLS = "sigdb_data.cell_data"
GROUPS = pa.schema(
    {"label": pa.string(), "n_samples": pa.int64(), "mean_rate": pa.float64(), "median_rate": pa.float64()}
)


@dataclass(frozen=True)
class CutOff:
    """The score beyond which a cell is a hit: at most one of these rules, and the side. In words: `str`."""

    percentile: float | None = None
    quantile: float | None = None
    cutoff: float | None = None
    sd: float | None = None
    below: bool = False

    def check(self) -> None:
        """Raise QueryError for several rules, and for a quantile that is none."""
        if len(self.given) > 1:
            names = ", ".join(f"`{name}`" for name in self.given)
            raise QueryError(f"A hit has one cut-off, but {len(self.given)} are given: {names}.")
        if self.quantile is not None and not 0 <= self.quantile <= 1:
            raise QueryError(f"`quantile` must be from 0 to 1, not {self.quantile}.")

    @property
    def given(self) -> list[str]:
        """The rules that are given, by name."""
        return [name for name in ("percentile", "quantile", "cutoff", "sd") if getattr(self, name) is not None]

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of `signature_hits`."""
        percentile = self.percentile
        if percentile is None:
            percentile = 95 if self.quantile is None else self.quantile * 100
        return {"percentile": percentile, "cutoff": self.cutoff, "sd": self.sd, "below": self.below}

    def __str__(self) -> str:
        side = "below" if self.below else "above"
        if self.cutoff is not None:
            return f"{side} a score of {self.cutoff:g}"
        if self.sd is not None:
            return f"{side} the mean plus {self.sd:g} standard deviations of the population's scores"
        return f"{side} the percentile {self.parameters['percentile']:g} of the population's scores"


@dataclass(frozen=True, kw_only=True)
class Hits(Answer):
    """Hit rates of samples, and the groups of samples ranked by them: the result of `sigdb.hits`.

    Attributes
    ----------
    table : pyarrow.Table
        One row per group: label, n_samples, mean_rate and median_rate of their hit rates (of 1). The highest mean comes
        first.
    sql, notes
        As for `sigdb.Answer`. The SQL gives one row per sample.
    samples : pyarrow.Table
        One row per sample of the ranking, the best group first: study, sample, donor, tissue, disease, n_cells, n_hits,
        hit_rate (of 1), n_genes, n_measured, cutoff, label (its group) and others.
    all_samples : pyarrow.Table
        The same for all samples. left_out says why a sample is not part of the ranking; NULL if it is.
    by : str
        The column that groups the samples.
    rule : str
        What a hit is, such as 'above a score of 3'.
    """

    all_samples: pa.Table
    by: str
    rule: str

    @property
    def samples(self) -> pa.Table:
        """The samples of the ranking, the best group first."""
        return self.all_samples.filter(pc.is_null(self.all_samples["left_out"]))

    @property
    def cutoff(self) -> float | None:
        """The score beyond which a cell is a hit; None if there is no sample."""
        return next(iter(self.all_samples["cutoff"].to_pylist()), None)

    @property
    def left_out(self) -> dict[str, int]:
        """How many samples are not part of the ranking, by reason."""
        return dict(Counter(reason for reason in self.all_samples["left_out"].to_pylist() if reason is not None))


def hits(
    con: duckdb.DuckDBPyConnection,
    genes: str | Sequence[str],
    *,
    cells: str | None = None,
    by: str = "disease",
    percentile: float | None = None,
    quantile: float | None = None,
    cutoff: float | None = None,
    sd: float | None = None,
    below: bool = False,
    min_cells: int = 50,
    min_samples: int = 3,
    min_coverage: float = 0,
    **options: Unpack[ScoreOptions],
) -> Hits:
    """Call hits in a population of cells, and rank groups of samples by the part of their cells that are hits.

    A cell is a hit if its score is strictly above a cut-off, which is one of: a percentile of the population's scores,
    a score, or the mean plus a number of standard deviations. The cut-off is that of the whole population; small
    samples and groups are left out afterwards. A rank is not a test: see `sigdb.compare`.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    genes : str or sequence of str
        A list of genes, or the name of a signature of the library.
    cells : str, optional
        The population: a SQL condition on the view `cells`, such as ``"tissue = 'blood'"``. Default: every cell.
    by : str
        The column of the view `samples` that groups the samples.
    percentile : float, optional
        The cut-off as a percentile, from 0 to 100. Default: 95.
    quantile : float, optional
        The cut-off as a quantile, from 0 to 1.
    cutoff : float, optional
        The cut-off as a score.
    sd : float, optional
        The cut-off as the mean plus `sd` standard deviations of the population's scores.
    below : bool
        A hit is strictly below the cut-off, instead of above.
    min_cells : int
        Samples with fewer cells in the population are left out.
    min_samples : int
        Groups of fewer samples are left out.
    min_coverage : float
        Studies that measured a smaller part of the genes (0 to 1) are left out.
    **options
        weights, agg, missing, run, signed, measured_only: see `sigdb.ScoreOptions`.

    Returns
    -------
    Hits
        One row per group in `table`, one row per sample in `samples`.

    Raises
    ------
    QueryError
        If more than one cut-off is given, or if the genes, a condition, a column or an option cannot be used.

    Examples
    --------
    >>> found = sigdb.hits(con, "MS1", by="study", percentile=80, min_cells=3, min_samples=1, missing="ignore")
    >>> found.table.column_names
    ['label', 'n_samples', 'mean_rate', 'median_rate']
    >>> found.rule
    "above the percentile 80 of the population's scores"
    """
    check_options(hits, options)
    rule = CutOff(percentile, quantile, cutoff, sd, below)
    rule.check()
    (label,) = columns_of(con, "samples", [by])
    parameters = score_parameters(con, genes, **options)
    parameters |= rule.parameters | {"cells": population_name(cells), "min_coverage": min_coverage}
    parameters |= {"min_cells": min_cells, "min_samples": min_samples}
    found = ask(con, choose_population(labelled_statement("hit_rates", label), cells), parameters)
    ranked = Hits(table=rank_groups(found.table), sql=found.sql, all_samples=found.table, by=by, rule=str(rule))
    return add_notes(ranked, min_cells, min_samples)


def population_name(cells: str | None) -> str:
    """The relation that holds the population of hits: of a condition, or of all cells."""
    return POPULATION if cells else ALL_CELLS


def choose_population(query: exp.Select, cells: str | None) -> exp.Select:
    """Add the cells that fulfil a condition to a statement about hits, as the CTE that it looks up as $cells."""
    return query.with_(POPULATION, as_=select_cells(cells)) if cells else query


def rank_groups(samples: pa.Table) -> pa.Table:
    """One row per group of samples, in the order of the samples."""
    rates = defaultdict(list)
    for row in samples.filter(pc.is_null(samples["left_out"])).to_pylist():
        rates[str(row["label"])].append(row["hit_rate"])
    rows = [
        {"label": label, "n_samples": len(each), "mean_rate": fmean(each), "median_rate": median(each)}
        for label, each in rates.items()
    ]
    return pa.Table.from_pylist(rows, schema=GROUPS)


def add_notes(found: Hits, min_cells: int, min_samples: int) -> Hits:
    """The same hits, with notes on the rule and on the samples that were left out."""
    reasons = {
        "too few cells": f"fewer than {min_cells} cells",
        "no label": f"no {found.by}",
        "too few samples": f"in a group of fewer than {min_samples} samples",
    }
    rule = "No sample has cells in the population."
    if found.cutoff is not None:
        rule = f"A hit is {found.rule} ({found.cutoff:.4g})."
    left_out = left_out_note("sample", {reasons[reason]: n for reason, n in found.left_out.items()})
    return replace(found, notes=(rule, *left_out))
