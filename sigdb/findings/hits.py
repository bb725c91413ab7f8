"""Choose cells, score them, call hits, and rank groups of samples by their hit rates."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Unpack

import pyarrow as pa
import pyarrow.compute as pc

from sigdb.answers import Answer, left_out_note
from sigdb.atlas.fields import NAMES_NONE, names_none
from sigdb.errors import QueryError, nearest
from sigdb.findings.columns import CHOSEN, choose_cells, column_types, columns_of, labelled_statement
from sigdb.findings.comparability import CALIBRATED, UNCALIBRATED, warn_of_differences
from sigdb.findings.lost import explain_no_cells, nth_largest
from sigdb.scores.names import ask_scores
from sigdb.scores.options import ScoreOptions, check_options, score_parameters
from sigdb.statements import check_numbers
from sigdb.text import ordinal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import duckdb
    from sqlglot import exp

    from sigdb.scores.members import Genes

__all__ = ["COMPARED_WITH", "REASONS", "RENAME", "CutOff", "Hits", "choose_population", "hits", "population_name"]

ALL_CELLS = "sigdb_data.cell_data"
# Why findings/hit_rates leaves out the samples of a donor such as 'not given'.
UNNAMED = "no name"
RENAME = "Such names are no replicates. `ingest.annotate_cells(path, file)` gives cells the right names."
# Why samples are not part of a ranking: what findings/hit_rates says, and what a reader is told.
REASONS = {
    "too few cells": "fewer than {min_cells} cells",
    "no gene measured": "of a study that measured none of the genes",
    "no label": "no {by}",
    UNNAMED: "of a {by} without a name, such as 'unknown'",
    "too few samples": "in a group of fewer than {min_samples} samples",
}
# What a hit can be compared with, and the percentile of its scores that is the default cut-off.
DEFAULT_PERCENTILE = {"controls": 99.0, "cells": 95.0}
COMPARED_WITH = {
    "controls": "the scores of matched control genes at the same depth",
    "cells": "the population's scores",
}
GROUPS = pa.schema(
    {
        "label": pa.string(),
        "n_samples": pa.int64(),
        **dict.fromkeys(("mean_rate", "median_rate", "mean_z"), pa.float64()),
        **dict.fromkeys(("n_genes", "least_measured"), pa.int64()),
        **dict.fromkeys(("median_counts", "median_detected"), pa.float64()),
    }
)


@dataclass(frozen=True)
class CutOff:
    """What a hit is: what scores are compared with, at most one rule for the cut-off, and the side. In words: `str`."""

    against: str = "controls"
    percentile: float | None = None
    quantile: float | None = None
    cutoff: float | None = None
    sd: float | None = None
    below: bool = False

    def check(self) -> None:
        """Raise QueryError for several rules, for a quantile that is none, and for an unknown `against`."""
        if len(self.given) > 1:
            names = ", ".join(f"`{name}`" for name in self.given)
            raise QueryError(f"A hit has one cut-off, but {len(self.given)} are given: {names}.")
        check_numbers({name: getattr(self, name) for name in self.given})
        if self.quantile is not None and not 0 <= self.quantile <= 1:
            raise QueryError(f"`quantile` must be from 0 to 1, not {self.quantile}.")
        if self.quantile is not None and 0 < self.quantile < 0.01 and not self.below:
            raise QueryError(
                f"Nearly every cell scores above the quantile {self.quantile:g}. Use a higher one, or `below=True`."
            )
        if self.against not in DEFAULT_PERCENTILE:
            hint = nearest(self.against, DEFAULT_PERCENTILE)
            raise QueryError(f"`against` must be 'controls' or 'cells', not {self.against!r}.{hint}")

    @property
    def given(self) -> list[str]:
        """The rules that are given, by name."""
        return [name for name in ("percentile", "quantile", "cutoff", "sd") if getattr(self, name) is not None]

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of `signature_hits`."""
        percentile = self.percentile if self.quantile is None else self.quantile * 100
        if percentile is None:
            percentile = DEFAULT_PERCENTILE[self.against]
        rest = {"cutoff": self.cutoff, "sd": self.sd, "below": self.below, "against": self.against}
        return {"percentile": percentile, **rest}

    def __str__(self) -> str:
        side = "below" if self.below else "above"
        scores = COMPARED_WITH[self.against]
        if self.cutoff is not None:
            return f"{side} a score of {self.cutoff:g}"
        if self.sd is not None:
            return f"{side} the mean plus {self.sd:g} standard deviations of {scores}"
        return f"{side} the {ordinal(self.parameters['percentile'])} percentile of {scores}"


@dataclass(frozen=True, kw_only=True)
class Hits(Answer):
    """Hit rates of samples, and the groups of samples ranked by them: the result of `sigdb.hits`.

    Attributes
    ----------
    table : pyarrow.Table
        One row per group, the highest mean rate first: label, n_samples, mean_rate and median_rate of their hit rates
        (of 1), mean_z (mean over samples of the mean z of their cells), n_genes of the signature, least_measured (genes
        measured by the study of lowest coverage), median_counts and median_detected (median over samples of the counts
        and detected genes of their median cell).
    sql, notes
        As for `sigdb.Answer`. The SQL gives one row per sample.
    samples : pyarrow.Table
        One row per sample of the ranking, the best group first: study, sample, donor, tissue, disease, n_cells, n_hits,
        hit_rate (of 1), mean_z, n_genes, n_measured, median_counts, median_detected, cutoff (mean over its cells),
        label (its group) and others.
    all_samples : pyarrow.Table
        The same for all samples. left_out says why a sample is not part of the ranking; NULL if it is.
    by : str
        The column that groups the samples.
    rule : str
        What a hit is, such as 'above a score of 3'.
    against : str
        What the scores are compared with: 'controls' or 'cells'.
    """

    all_samples: pa.Table
    by: str
    rule: str
    against: str

    @property
    def samples(self) -> pa.Table:
        """The samples of the ranking, the best group first."""
        return self.all_samples.filter(pc.is_null(self.all_samples["left_out"]))

    @property
    def cutoff(self) -> float | None:
        """The score beyond which a cell is a hit; None if it differs between cells, or if there is none."""
        known = set(self.all_samples["cutoff"].drop_null().to_pylist())
        return known.pop() if len(known) == 1 else None

    @property
    def share(self) -> float | None:
        """The part of all cells that are hits, in the samples whose studies measured a gene; None if there is none."""
        n_hits, n_cells = count_hits(self.all_samples)
        return n_hits / n_cells if n_cells else None

    @property
    def left_out(self) -> dict[str, int]:
        """How many samples are not part of the ranking, by reason."""
        return dict(Counter(reason for reason in self.all_samples["left_out"].to_pylist() if reason is not None))


def hits(
    con: duckdb.DuckDBPyConnection,
    genes: Genes,
    *,
    cells: str | None = None,
    by: str = "disease",
    against: str = "controls",
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

    By default, a cell is a hit if its score is above 99 % of the scores that matched control genes have in cells of the
    same study and about the same depth. So about 1 % of the cells are hits of a random signature, in deep and shallow
    cells, and in small and large panels. The macro `signature_hits` describes the controls. With ``against="cells"``,
    the scores are compared with those of the population, as Gold et al. do; many hits are then shallow cells.

    A rank is not a test: ``sigdb.compare(of="hits")`` tests the difference between groups of donors.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    genes : str, Signature or list of str
        The name of a signature of the library, a `sigdb.Signature`, the name of a gene, or a list of genes.
    cells : str, optional
        The population: a SQL condition on the view `cells`, such as ``"tissue = 'blood'"``. Default: every cell.
    by : str
        The column of the view `samples` that groups the samples.
    against : {'controls', 'cells'}
        What a score is compared with: the scores of matched control genes, or the scores of the population.
    percentile : float, optional
        The cut-off as a percentile of these scores, from 0 to 100. Default: 99 for controls, 95 for cells.
    quantile : float, optional
        The same as a quantile, from 0 to 1.
    cutoff : float, optional
        The cut-off as a score.
    sd : float, optional
        The cut-off as the mean plus `sd` standard deviations of these scores.
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
    >>> found = sigdb.hits(con, "MS1", by="study", min_cells=3, min_samples=1)
    >>> found.table.column_names[:4]
    ['label', 'n_samples', 'mean_rate', 'median_rate']
    >>> found.rule
    'above the 99th percentile of the scores of matched control genes at the same depth'
    """
    check_options(hits, options)
    rule = CutOff(against, percentile, quantile, cutoff, sd, below)
    rule.check()
    label = sample_column(con, by)
    parameters = score_parameters(con, genes, **options)
    parameters |= rule.parameters | {"cells": population_name(cells), "min_coverage": min_coverage}
    parameters |= {"min_cells": min_cells, "min_samples": min_samples, "unnamed": sorted(NAMES_NONE.get(label, ()))}
    with explain_no_cells(con, cells):
        found = ask_scores(con, choose_population(labelled_statement("hit_rates", label), cells), parameters)
    ranked = Hits(
        table=rank_groups(found.table),
        sql=found.sql,
        notes=found.notes,
        all_samples=found.table,
        by=by,
        rule=str(rule),
        against=against,
    )
    return add_notes(ranked, min_cells, min_samples)


def sample_column(con: duckdb.DuckDBPyConnection, by: str) -> str:
    """The column of the view `samples` that groups samples; QueryError if it has no such column."""
    of_cells, of_samples = (list(column_types(con, view)) for view in ("cells", "samples"))
    if by in of_cells and by not in of_samples:
        raise QueryError(
            f"`by` groups samples, and the cells of a sample differ in {by}. Choose cells by {by} with "
            f"`cells`, or score groups of cells: `sigdb.group_scores(con, genes, by={by!r})`."
        )
    (column,) = columns_of(con, "samples", [by])
    return column


def explain_no_group(found: Hits, min_cells: int, min_samples: int) -> tuple[str, ...]:
    """A note on a ranking without groups: the value of `min_cells` or `min_samples` that would keep one."""
    if found.table.num_rows:
        return ()
    lost = [row for row in found.all_samples.to_pylist() if row["label"] is not None]
    if not lost:
        return (f"No group is left: no sample has a value of {found.by}.",)
    groups = Counter(str(row["label"]) for row in lost if row["left_out"] == "too few samples")
    if groups:
        (label, n), *_ = groups.most_common()
        return (f"No group is left. The largest, {label}, has {n} samples: `min_samples={n}` keeps it.",)
    sizes = defaultdict(list)
    for row in lost:
        if row["left_out"] == "too few cells" and not names_none(found.by, row["label"]):
            sizes[str(row["label"])].append(row["n_cells"])
    if not sizes:
        return ("No group is left.",)
    n_cells, label = max((nth_largest(each, min_samples), label) for label, each in sizes.items())
    if n_cells:
        return (f"No group is left. `min_cells={n_cells}` leaves at least {min_samples} samples of {label}.",)
    return (f"No group is left. No value of `min_cells` leaves {min_samples} samples of one {found.by}.",)


def population_name(cells: str | None) -> str:
    """The relation that holds the population of hits: of a condition, or of all cells."""
    return ALL_CELLS if cells is None else CHOSEN


def choose_population(query: exp.Select, cells: str | None) -> exp.Select:
    """Add the cells that fulfil a condition to a statement about hits, which it looks up as $cells."""
    return query if cells is None else choose_cells(query, cells)


def count_hits(samples: pa.Table) -> tuple[int, int]:
    """How many cells are hits, of how many, in the samples whose studies measured a gene."""
    counted = samples.filter(pc.is_valid(samples["n_hits"]))
    return pc.sum(counted["n_hits"]).as_py() or 0, pc.sum(counted["n_cells"]).as_py() or 0


def rank_groups(samples: pa.Table) -> pa.Table:
    """One row per group of samples, in the order of the samples."""
    groups = defaultdict(list)
    for row in samples.filter(pc.is_null(samples["left_out"])).to_pylist():
        groups[str(row["label"])].append(row)
    return pa.Table.from_pylist([summarise(label, rows) for label, rows in groups.items()], schema=GROUPS)


def summarise(label: str, samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row of a group of samples."""

    def over(function: Callable[[list[float]], float], column: str) -> float | None:
        values = [row[column] for row in samples if row[column] is not None]
        return function(values) if values else None

    return {
        "label": label,
        "n_samples": len(samples),
        "mean_rate": over(fmean, "hit_rate"),
        "median_rate": over(median, "hit_rate"),
        "mean_z": over(fmean, "mean_z"),
        "n_genes": samples[0]["n_genes"],
        "least_measured": over(min, "n_measured"),
        "median_counts": over(median, "median_counts"),
        "median_detected": over(median, "median_detected"),
    }


def add_notes(found: Hits, min_cells: int, min_samples: int) -> Hits:
    """The same hits, with further notes on the rule, and on the samples that were left out."""
    words = {"by": found.by, "min_cells": min_cells, "min_samples": min_samples}
    reasons = {reason: text.format(**words) for reason, text in REASONS.items()}
    rule = "No sample has cells in the population that could be compared."
    if found.share is not None:
        cutoff = "" if found.cutoff is None else f" ({found.cutoff:.4g})"
        n_cells = count_hits(found.all_samples)[1]
        rule = f"A hit is {found.rule}{cutoff}. {found.share:.1%} of {n_cells:,} cells are hits."
    if found.share == 0 and found.rule.startswith("below"):
        rule += " No score is below the cut-off: too many scores equal the lowest one, which is 0 for most signatures."
    left_out = left_out_note("sample", {reasons[reason]: n for reason, n in found.left_out.items()})
    if UNNAMED in found.left_out:
        left_out += (RENAME,)
    consequence = CALIBRATED if found.against == "controls" else UNCALIBRATED
    cautions = warn_of_differences(found.table.to_pylist(), "label", consequence)
    empty = explain_no_group(found, min_cells, min_samples)
    return replace(found, notes=(*empty, rule, *left_out, *found.notes, *cautions))
