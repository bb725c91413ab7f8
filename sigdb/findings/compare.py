"""Compare groups with the donor (or sample) as the unit of replication: per study, then over all studies."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, fields, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pyarrow as pa

from sigdb.answers import Answer, join_sql
from sigdb.errors import QueryError, nearest
from sigdb.findings.comparison_notes import notes_of
from sigdb.findings.hits import CutOff, population_name
from sigdb.findings.lost import check_chosen, explain_no_cells
from sigdb.findings.lost_units import check_group
from sigdb.findings.statistics import Effect, adjust_families, combine, effect_of, rank_test
from sigdb.findings.testing import PAIRED, WELCH, Sides, Tested, compare_studies, compare_study, match_pairs
from sigdb.findings.units import Design, Unit, check_design, comparable_units, fetch_covariates, medians_of, unit_values
from sigdb.scores.members import several, text_list
from sigdb.scores.names import ask_scores
from sigdb.scores.options import ScoreOptions, check_options, score_parameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import duckdb

    from sigdb.scores.members import Genes

__all__ = ["Comparison", "compare"]

CELLS_ARE_NOT_REPLICATES = (
    "Cells of one donor resemble each other, so they are not replicates: a test of cells counts the same donor "
    "hundreds of times, and finds differences between any two donors. Use `unit='donor'` or `unit='sample'`. "
    "`cells_as_replicates=True` compares cells anyway, but the p values then say nothing about donors."
)


@dataclass(frozen=True, kw_only=True)
class Comparison(Answer):
    """Differences between groups of donors and a reference: the result of `sigdb.compare`.

    Attributes
    ----------
    table : pyarrow.Table
        One row per signature, value of `within`, group and study. Where two or more studies were tested, two more rows
        have the study NULL: 'one model of all studies', and their meta-analysis, 'random effects'. Text: signature,
        within, group, reference, study, test, note (why there was no test, or what to know about it). is_finding: the
        row that answers the question, see `findings`. Sizes: n_group and n_reference (units), n_pairs, n_unpaired,
        n_donors, n_cells_group, n_cells_reference. z, scores in thousandths of a cell, or hit rates (of 1): mean_group,
        mean_reference, difference (group minus reference) with difference_se, difference_low and difference_high (95%
        interval). Effect size: hedges_g with g_se, g_low and g_high, and from four studies on prediction_low and
        prediction_high. Tests: p_value, p_rank, and their adjusted q_value and q_rank. Others: n_genes, n_measured, i2,
        n_studies, and medians over the units of the counts and detected genes of their median cell:
        median_counts_group, median_counts_reference, median_detected_group, median_detected_reference.
    sql, notes
        As for `sigdb.Answer`. The SQL gives the units of each signature.
    units : dict of str to Answer
        The units that each signature was compared by, with their SQL.
    left_out : dict of str to int
        How many units were not compared, by reason.
    compared : pyarrow.Table
        The units that were compared, one per row: signature, within, group, study, unit, pair, n_cells and value (what
        `of` names).
    reference : str
        The group that the others are compared with.
    of : str
        What was compared: 'z', 'score' or 'hits'.
    findings : pyarrow.Table
        The rows to look at first, one per comparison: all studies in one model, or the only study that was tested.
    """

    units: dict[str, Answer]
    left_out: dict[str, int]
    compared: pa.Table
    reference: str
    of: str = "z"

    @property
    def findings(self) -> pa.Table:
        """The rows to look at first, one per comparison: all studies in one model, or the only study with a test."""
        return self.table.filter(self.table["is_finding"])


def compare(
    con: duckdb.DuckDBPyConnection,
    genes: Genes | Mapping[str, Genes],
    *,
    of: str = "z",
    by: str = "disease",
    reference: str = "normal",
    unit: str = "donor",
    within: str | None = "cell_type",
    paired_by: str | None = None,
    covariates: str | Iterable[str] = (),
    cells: str | None = None,
    min_cells: int = 10,
    min_units: int = 3,
    cells_as_replicates: bool = False,
    against: str = "controls",
    percentile: float | None = None,
    quantile: float | None = None,
    cutoff: float | None = None,
    sd: float | None = None,
    below: bool = False,
    min_coverage: float = 0,
    **options: Unpack[ScoreOptions],
) -> Comparison:
    """Compare donors between each group and a reference: their mean z, mean score, or hit rate.

    z is the distance of a cell's score from the scores of matched control genes in cells of the same study and depth,
    in standard deviations (see the macro `signature_hits`). Unlike scores, it has one scale in all studies.

    In each study, the tests are Welch's t test and the Mann-Whitney U test. With `paired_by`, studies in which it
    repeats across the groups are compared in pairs (paired t test, Wilcoxon's signed-rank test). With `covariates`, or
    if several samples come from one donor, the test is that of a linear model with donors as clusters (CR2 errors,
    Satterthwaite's degrees of freedom).

    Over two or more studies, one linear model of all units (value ~ group + study) answers whether the groups differ in
    these studies' donors. A random-effects meta-analysis of Hedges' g stands beside it: it asks about studies in
    general, and needs more than a few of them to answer. q values are adjusted by Benjamini and Hochberg's method over
    the findings, over the studies behind them, and over the meta-analyses. A difference is an association in these
    donors, not a cause.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    genes : str, Signature, list of str, or mapping
        As for `sigdb.score`, or several of them as ``{name: signature}``.
    of : {'z', 'score', 'hits'}
        Compare the mean z or score of each unit's cells, or the part of its cells that are hits (see `sigdb.hits`).
    by : str
        The column of the cube whose values are compared: study, sample, donor, tissue, disease, assay, sex,
        development_stage, in_vivo or cell_type.
    reference : str
        The value of `by` that the others are compared with.
    unit : {'donor', 'sample'}
        The unit of replication, a column of the cube.
    within : str, optional
        Compare within each value of this column. None: all cells of a unit together.
    paired_by : str, optional
        The column that pairs units across groups, such as 'donor'.
    covariates : str or list of str
        Columns of the view `cells` to adjust for. A number is averaged over the unit's cells; anything else must have
        one value per unit.
    cells : str, optional
        A SQL condition on the view `cells`: use these cells only. With ``of='score'``, it may name columns of the cube
        only.
    min_cells : int
        Units with fewer cells are left out.
    min_units : int
        Groups with fewer units, or with units of fewer donors, are not tested.
    cells_as_replicates : bool
        Take cells as units. The p values then say nothing about donors.
    against
        What z and hits compare a cell with, as for `sigdb.hits`.
    percentile, quantile, cutoff, sd, below
        What a hit is, as for `sigdb.hits`.
    min_coverage : float
        Studies that measured a smaller part of the genes (0 to 1) are left out.
    **options
        weights, agg, missing, run, signed, measured_only: see `sigdb.ScoreOptions`.

    Returns
    -------
    Comparison
        One row per comparison in `table`.

    Raises
    ------
    QueryError
        If a comparison would mislead (cells as units, or donors in both groups without `paired_by`), or if the genes, a
        column, a condition or an option cannot be used.
    MissingDependencyError
        If the extra `stats` is not installed.

    Examples
    --------
    >>> found = sigdb.compare(
    ...     con, ["CD3D", "CD3E"], by="tissue", reference="normal adjacent", within=None, paired_by="donor", min_cells=1
    ... )
    >>> found.column("test")
    ['paired t', 'paired t']
    >>> found.column("n_pairs")
    [4, 12]
    >>> rates = sigdb.compare(
    ...     con, ["CD3D"], of="hits", by="tissue", reference="normal adjacent", paired_by="donor", within=None
    ... )
    >>> rates.notes[0]
    'A hit is above the 99th percentile of the scores of matched control genes at the same depth.'
    """
    check_options(compare, options)
    rule = CutOff(against, percentile, quantile, cutoff, sd, below)
    check_measure(of, rule, unit, cells_as_replicates=cells_as_replicates)
    unit = "cell" if cells_as_replicates else unit
    adjusted = (covariates,) if isinstance(covariates, str) else tuple(text_list("covariates", covariates))
    design = Design(by, reference, unit, within, paired_by, adjusted, min_cells, min_units)
    check_design(con, design)
    signatures = several(genes)
    values = fetch_covariates(con, design, cells, options.get("run")) if covariates else None
    fixed = rule.parameters | {"cells": population_name(cells), "min_coverage": min_coverage}
    left_out: list[tuple[dict[str, Any], str]] = []
    units, compared, rows = {}, {}, []
    for name, members in signatures.items():
        parameters = score_parameters(con, members, **options) | fixed
        with explain_no_cells(con, cells):
            units[name] = ask_scores(con, unit_values(design, of, cells), parameters)
        found = units[name].table.to_pylist()
        check_chosen(con, found, cells)
        compared[name], lost = comparable_units(found, design, values, VALUES[of])
        check_group(compared[name], lost, design, str(reference), "reference")
        left_out += lost
        rows += [{"signature": name, **row} for row in compare_units(compared[name], design)]
    names = [note for each in units.values() for note in each.notes]
    return Comparison(
        table=table_of(rows),
        sql=join_sql([each.sql for each in units.values()]),
        notes=(*notes_of(rows, list(chain(*compared.values())), design, left_out, of, rule), *dict.fromkeys(names)),
        units=units,
        left_out=dict(Counter(reason for _, reason in left_out)),
        compared=table_of_units(compared),
        reference=reference,
        of=of,
    )


def check_measure(of: str, rule: CutOff, unit: str, *, cells_as_replicates: bool) -> None:
    """Raise QueryError unless z, scores or hits are compared, with options that belong to them, between donors."""
    if of not in VALUES:
        raise QueryError(f"`of` must be 'z', 'score' or 'hits', not {of!r}.{nearest(of, VALUES)}")
    rule.check()
    given = [*rule.given, *(["below"] if rule.below else [])]
    if of != "hits" and given:
        raise QueryError(f"`{given[0]}` says what a hit is. Use it with `of='hits'`.")
    if of == "score" and rule.against != CutOff.against:
        raise QueryError("`against` says what z and hits compare a cell with. Use it with `of='z'` or `of='hits'`.")
    if of == "hits" and cells_as_replicates:
        raise QueryError("A cell has no hit rate. Use `of='z'` with cells as replicates, or compare donors.")
    if unit in ("cell", "cell_id", "barcode") and not cells_as_replicates:
        raise QueryError(CELLS_ARE_NOT_REPLICATES)


def compare_units(units: Sequence[Unit], design: Design) -> Iterator[dict[str, Any]]:
    """The rows of each comparison: one per study, and those of all studies together if two or more could be tested."""
    reference = str(design.reference)
    parts: dict[tuple[str | None, str], dict[str, list[Unit]]] = defaultdict(lambda: defaultdict(list))
    for unit in units:
        parts[unit.within, unit.study][unit.group].append(unit)
    found: dict[tuple[str | None, str], list[Sides]] = defaultdict(list)
    for (within, _), groups in sorted(parts.items(), key=lambda item: (item[0][0] or "", item[0][1])):
        for group in sorted(groups.keys() - {reference}) if reference in groups else ():
            found[within, group].append(sides_of(groups[group], groups[reference], design))
    for (within, group), studies in found.items():
        labels = {"within": within, "group": group, "reference": reference}
        yield from ({**labels, **row} for row in compare_over_studies(studies, design))


def sides_of(group: Sequence[Unit], reference: Sequence[Unit], design: Design) -> Sides:
    """The units of a study with their values, (n_units, 1)."""
    group_values, reference_values = (np.array([[unit.value] for unit in side]) for side in (group, reference))
    return Sides(group, reference, match_pairs(group, reference, design), (group_values, reference_values))


def compare_over_studies(studies: Sequence[Sides], design: Design) -> Iterator[dict[str, Any]]:
    """One row per study. If two or more can be tested, also their model and their meta-analysis."""
    effects = [study_effect(sides, design) for sides in studies]
    tested = [sides for sides, effect in zip(studies, effects, strict=True) if effect.p_value is not None]
    for sides, effect in zip(studies, effects, strict=True):
        sizes = sizes_of(sides.tested_by(design)) | {"n_unpaired": len(sides.unpaired)}
        yield {"study": sides.units[0].study, "is_finding": tested == [sides], **sizes, **asdict(effect)}
    if len(tested) > 1:
        sums = [sizes_of(sides) for sides in tested]
        whole = replace(as_effect(compare_studies(tested, design)), n_studies=len(tested))
        yield {"study": None, "is_finding": True, **add_up(sums), **asdict(whole)}
    pooled = [(sides, effect) for sides, effect in zip(studies, effects, strict=True) if effect.g_se is not None]
    if len(pooled) > 1:
        sums = [sizes_of(s.tested_by(design)) | {"n_unpaired": len(s.unpaired)} for s, _ in pooled]
        whole = combine([effect for _, effect in pooled])
        yield {"study": None, "is_finding": False, **add_up(sums), **asdict(whole)}


def study_effect(sides: Sides, design: Design) -> Effect:
    """The test of one study, with the rank test that goes with it."""
    tested = compare_study(sides, design)
    effect = as_effect(tested)
    if effect.p_value is None or tested.test not in (WELCH, PAIRED):
        return effect
    values = sides.pair_means() if tested.test == PAIRED else sides.values
    return replace(effect, p_rank=rank_test(values[0][:, 0], values[1][:, 0], paired=tested.test == PAIRED))


def as_effect(tested: Tested) -> Effect:
    """The effect of a test of one column. A test without p has a note that says why."""
    effect = effect_of(tested.test, tested.columns or {}, tested.note)
    if effect.p_value is None and tested.columns is not None:
        effect = replace(effect, note=f"the {'differences' if tested.test == PAIRED else 'scores'} do not vary")
    return effect


def sizes_of(sides: Sides) -> dict[str, Any]:
    """How many units, donors and cells a test is based on, and their means."""
    return {
        "n_group": len(sides.group),
        "n_reference": len(sides.reference),
        "n_pairs": len(sides.pairs),
        "n_unpaired": len(sides.unpaired),
        "n_donors": len({donor for unit in sides.units for donor in unit.donors}),
        "n_cells_group": sum(unit.n_cells for unit in sides.group),
        "n_cells_reference": sum(unit.n_cells for unit in sides.reference),
        "mean_group": float(sides.values[0].mean()),
        "mean_reference": float(sides.values[1].mean()),
        "n_genes": sides.group[0].n_genes,
        "n_measured": sides.group[0].n_measured,
        **medians_of("group", sides.group),
        **medians_of("reference", sides.reference),
    }


def add_up(sizes: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The sizes of several studies together."""
    return {name: sum(each[name] for each in sizes) for name in COUNTS}


# Sizes that add up over studies.
COUNTS = ("n_group", "n_reference", "n_pairs", "n_unpaired", "n_donors", "n_cells_group", "n_cells_reference")
# The column of a unit that is compared.
VALUES = {"z": "z", "score": "score", "hits": "hit_rate"}
UNITS = pa.schema(
    [
        *((name, pa.string()) for name in ("signature", "within", "group", "study", "unit", "pair")),
        ("n_cells", pa.int64()),
        ("value", pa.float64()),
    ]
)
LABELS = ("signature", "within", "group", "reference", "study", "test", "note")
MEASURES = [each.name for each in fields(Effect) if each.name not in LABELS]
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in LABELS),
        ("is_finding", pa.bool_()),
        *((name, pa.int64()) for name in COUNTS),
        *((name, pa.float64()) for name in ("mean_group", "mean_reference")),
        *((name, pa.int64()) for name in ("n_genes", "n_measured")),
        *(
            (f"median_{what}_{side}", pa.float64())
            for what in ("counts", "detected")
            for side in ("group", "reference")
        ),
        *((name, pa.int64() if name == "n_studies" else pa.float64()) for name in MEASURES),
        *((name, pa.float64()) for name in ("q_value", "q_rank")),
    ]
)


def table_of(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """The rows as a table with q values, and with the same columns whatever the rows hold."""
    families = [family_of(row) for row in rows]
    for kind in ("value", "rank"):
        q_values = adjust_families([row[f"p_{kind}"] for row in rows], families)
        rows = [{**row, f"q_{kind}": q} for row, q in zip(rows, q_values, strict=True)]
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def table_of_units(units: Mapping[str, Sequence[Unit]]) -> pa.Table:
    """The units that were compared by each signature, as a table."""
    rows = [{"signature": name, **vars(unit)} for name, members in units.items() for unit in members]
    return pa.Table.from_pylist(rows, schema=UNITS)


def family_of(row: Mapping[str, Any]) -> str:
    """The tests with which a row is adjusted: the findings, the studies behind them, or the meta-analyses."""
    if row["is_finding"]:
        return "findings"
    return "meta-analyses" if row["study"] is None else "studies"
