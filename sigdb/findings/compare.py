"""Compare groups with the donor (or sample) as the unit of replication: per study, then combined across studies."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pyarrow as pa

from sigdb.answers import Answer, join_sql, left_out_note
from sigdb.errors import QueryError, listed, nearest
from sigdb.findings.statistics import Effect, adjusted_test, benjamini_hochberg, combine, independent_test, paired_test
from sigdb.findings.units import (
    Design,
    Unit,
    check_design,
    comparable_units,
    fetch_covariates,
    match_sides,
    score_units,
)
from sigdb.scores.options import ScoreOptions, check_options, score_parameters
from sigdb.statements import ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

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
        One row per signature, value of `within`, group and study, and one for all studies together, whose study is
        NULL. Text: signature, within, group, reference, study, test, note (why a test was not possible). Sizes: n_group
        and n_reference (units), n_pairs, n_unpaired, n_donors, n_cells_group, n_cells_reference. Scores, in thousandths
        of a cell: mean_group, mean_reference, difference (group minus reference) with difference_se, difference_low and
        difference_high (95% interval). Effect size: hedges_g with g_se, g_low and g_high. Tests: p_value, p_rank, and
        their adjusted q_value and q_rank. Others: n_genes, n_measured, i2, n_studies.
    sql, notes
        As for `sigdb.Answer`. The SQL gives the units of each signature.
    units : dict of str to Answer
        The units that each signature was compared by, with their SQL.
    left_out : dict of str to int
        How many units were not compared, by reason.
    reference : str
        The group that the others are compared with.
    """

    units: dict[str, Answer]
    left_out: dict[str, int]
    reference: str


def compare(
    con: duckdb.DuckDBPyConnection,
    genes: str | Sequence[str] | Mapping[str, str | Sequence[str]],
    *,
    by: str = "disease",
    reference: str = "normal",
    unit: str = "donor",
    within: str | None = "cell_type",
    paired_by: str | None = None,
    covariates: Sequence[str] = (),
    cells: str | None = None,
    min_cells: int = 10,
    min_units: int = 3,
    cells_as_replicates: bool = False,
    min_coverage: float = 0,
    **options: Unpack[ScoreOptions],
) -> Comparison:
    """Compare the mean scores of donors between each group and a reference, study by study.

    The tests are Welch's t test and the Mann-Whitney U test. With `paired_by`, studies in which it repeats across the
    groups are compared in pairs (paired t test, Wilcoxon's signed-rank test). With `covariates`, the test is that of a
    linear model with HC3 errors. Studies are combined by a random-effects meta-analysis of Hedges' g. q values are
    adjusted by Benjamini and Hochberg's method over all rows. A difference is an association in these donors, not a
    cause.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    genes : str, sequence of str, or mapping
        A list of genes, the name of a signature of the library, or several of them as ``{name: signature}``.
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
    covariates : sequence of str
        Columns of the view `cells` to adjust for. A number is averaged over the unit's cells; anything else must have
        one value per unit.
    cells : str, optional
        A SQL condition on the columns of the cube: use these cells only.
    min_cells : int
        Units with fewer cells are left out.
    min_units : int
        Groups with fewer units are not tested.
    cells_as_replicates : bool
        Take cells as units. The p values then say nothing about donors.
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
    """
    check_options(compare, options)
    if unit in ("cell", "cell_id", "barcode") and not cells_as_replicates:
        raise QueryError(CELLS_ARE_NOT_REPLICATES)
    unit = "cell" if cells_as_replicates else unit
    design = Design(by, reference, unit, within, paired_by, tuple(covariates), min_cells, min_units)
    check_design(con, design)
    signatures = genes if isinstance(genes, Mapping) else {genes if isinstance(genes, str) else "genes": genes}
    values = fetch_covariates(con, design, cells, options.get("run")) if covariates else None
    left_out: Counter[str] = Counter()
    units, rows = {}, []
    for name, members in signatures.items():
        parameters = score_parameters(con, members, **options) | {"min_coverage": min_coverage}
        units[name] = ask(con, score_units(design, cells), parameters)
        comparable = list(comparable_units(units[name].table.to_pylist(), design, left_out, values))
        rows += [{"signature": name, **row} for row in compare_units(comparable, design)]
    return Comparison(
        table=table_of(rows),
        sql=join_sql([each.sql for each in units.values()]),
        notes=notes_of(design, left_out),
        units=units,
        left_out=dict(left_out),
        reference=reference,
    )


def notes_of(design: Design, left_out: Mapping[str, int]) -> tuple[str, ...]:
    """What a reader of a comparison should know."""
    caution = ("Cells are the replicates: the p values say nothing about donors.",) if design.unit == "cell" else ()
    return (*caution, *left_out_note("unit", left_out))


def compare_units(units: Sequence[Unit], design: Design) -> Iterator[dict[str, Any]]:
    """One row for each comparison within a study, and one for all studies together if two or more can be combined."""
    reference = str(design.reference)
    if not any(unit.group == reference for unit in units):
        there = sorted({unit.group for unit in units})
        hint = nearest(reference, there)
        raise QueryError(f"No unit has {design.by} {reference!r}.{hint} There are: {listed(there) or 'none'}.")
    parts: dict[tuple[str | None, str], dict[str, list[Unit]]] = defaultdict(lambda: defaultdict(list))
    for unit in units:
        parts[unit.within, unit.study][unit.group].append(unit)
    effects: dict[tuple[str | None, str], list[tuple[Effect, dict[str, Any]]]] = defaultdict(list)
    for (within, study), groups in sorted(parts.items(), key=lambda item: (item[0][0] or "", item[0][1])):
        for group in sorted(groups.keys() - {reference}) if reference in groups else ():
            effect, sizes = compare_in_study(groups[group], groups[reference], design)
            effects[within, group].append((effect, {"study": study, **sizes}))
    for (within, group), found in effects.items():
        labels = {"within": within, "group": group, "reference": reference}
        yield from ({**labels, **sizes, **asdict(effect)} for effect, sizes in found)
        combinable = [(effect, sizes) for effect, sizes in found if effect.g_se]
        if len(combinable) > 1:
            sums = {name: sum(sizes[name] for _, sizes in combinable) for name in COUNTS}
            yield {**labels, "study": None, **sums, **asdict(combine([effect for effect, _ in combinable]))}


def compare_in_study(group: Sequence[Unit], reference: Sequence[Unit], design: Design) -> tuple[Effect, dict[str, Any]]:
    """Compare the units of one study. Returns the effect, and how many units, donors and cells it is based on."""
    n_units = len(group) + len(reference)
    pairs, group, reference = match_sides(group, reference, design)
    sizes = {
        "n_group": len(group),
        "n_reference": len(reference),
        "n_pairs": len(pairs),
        "n_unpaired": n_units - len(group) - len(reference),
        "n_donors": len({donor for unit in [*group, *reference] for donor in unit.donors}),
        "n_cells_group": sum(unit.n_cells for unit in group),
        "n_cells_reference": sum(unit.n_cells for unit in reference),
        "mean_group": float(np.mean([unit.score for unit in group])),
        "mean_reference": float(np.mean([unit.score for unit in reference])),
        "n_genes": group[0].n_genes,
        "n_measured": group[0].n_measured,
    }
    return run_test(group, reference, pairs, design), sizes


def run_test(group: Sequence[Unit], reference: Sequence[Unit], pairs: Sequence[str], design: Design) -> Effect:
    """The test that the design asks for."""
    if min(len(pairs) if pairs else len(group), len(reference)) < design.fewest:
        return Effect("none", f"fewer than {design.fewest} {'pairs' if pairs else 'units'} in a group")
    sides = (group, reference)
    if pairs:
        if design.covariates:
            raise QueryError("A covariate that is constant within a donor cancels out of a pair. Omit `covariates`.")
        means = [[np.mean([u.score for u in side if u.pair == pair]) for pair in pairs] for side in sides]
        return paired_test(np.array(means[0]), np.array(means[1]))
    scores = [np.array([unit.score for unit in side]) for side in sides]
    if design.covariates:
        in_group = np.array([True] * len(group) + [False] * len(reference))
        covariates = design_matrix([unit.covariates for unit in [*group, *reference]])
        return adjusted_test(np.concatenate(scores), in_group, covariates)
    return independent_test(scores[0], scores[1])


def design_matrix(values: Sequence[tuple[Any, ...]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Covariates as numbers, (n_units, k): numbers are centred; each other value but the first becomes 0 or 1."""
    columns = []
    for covariate in zip(*values, strict=True):
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in covariate):
            columns.append(np.array(covariate, float) - np.mean(covariate))
        else:
            others = sorted(set(covariate), key=str)[1:]
            columns += [np.array([value == other for value in covariate], float) for other in others]
    return np.column_stack(columns) if columns else np.empty((len(values), 0))


# Sizes that add up over studies.
COUNTS = ("n_group", "n_reference", "n_pairs", "n_unpaired", "n_donors", "n_cells_group", "n_cells_reference")
LABELS = ("signature", "within", "group", "reference", "study", "test", "note")
MEASURES = [each.name for each in fields(Effect) if each.name not in LABELS]
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in LABELS),
        *((name, pa.int64()) for name in COUNTS),
        *((name, pa.float64()) for name in ("mean_group", "mean_reference")),
        *((name, pa.int64()) for name in ("n_genes", "n_measured")),
        *((name, pa.int64() if name == "n_studies" else pa.float64()) for name in MEASURES),
        *((name, pa.float64()) for name in ("q_value", "q_rank")),
    ]
)


def table_of(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """The rows as a table, with q values over all rows, and with the same columns whatever the rows hold."""
    for kind in ("value", "rank"):
        q_values = benjamini_hochberg([row[f"p_{kind}"] for row in rows])
        rows = [{**row, f"q_{kind}": q} for row, q in zip(rows, q_values, strict=True)]
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)
