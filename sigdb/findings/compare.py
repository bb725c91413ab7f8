"""Compare groups with the donor (or sample) as the unit of replication: per study, then combined across studies."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pyarrow as pa
from sqlglot import exp

from sigdb.errors import QueryError, listed
from sigdb.findings.columns import columns_of, cube_columns
from sigdb.findings.statistics import Effect, adjusted, benjamini_hochberg, combined, independent, paired
from sigdb.scores.options import Options, score_parameters
from sigdb.statements import Answer, ask, parse_condition, parse_statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

__all__ = ["Comparison", "compare"]

NUMBERS = ("DOUBLE", "FLOAT", "DECIMAL", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
CELLS_ARE_NOT_REPLICATES = (
    "Cells of one donor resemble each other, so they are not replicates: with them as units a test counts the same "
    "donor hundreds of times, and finds differences between any two donors. Use unit='donor' or 'sample'. "
    "cells_as_replicates=True compares cells all the same; its p values say nothing about donors."
)


@dataclass(frozen=True)
class Unit:
    """One unit (a donor's cells of one group, say): its score, cells, donors, covariates, and what it is paired by."""

    study: str
    within: str | None
    group: str
    unit: str
    pair: str | None
    donors: tuple[str, ...]
    score: float
    n_cells: int
    n_genes: int
    n_measured: int
    covariates: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """What `compare` found. `table`: a row a signature, cell type, group and study, and one for all studies together.

    `answers`: the units that each signature was compared by, with their SQL. `left_out`: how many units were not used,
    by reason.
    """

    table: pa.Table
    answers: dict[str, Answer]
    left_out: dict[str, int]
    reference: str


@dataclass(frozen=True)
class Design:
    """What is compared with what: columns of the cube, the reference group, and how large units must be."""

    by: str
    reference: str
    unit: str
    within: str | None
    paired_by: str | None
    covariates: tuple[str, ...]
    min_cells: int
    min_units: int

    @property
    def columns(self) -> dict[str, str]:
        """The columns that make a unit, by the names that the statement gives them."""
        named = {"study": "study", "within": self.within, "group": self.by, "unit": self.unit, "pair": self.paired_by}
        return {name: column for name, column in named.items() if column is not None}


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
    measured_only: bool = False,
    min_coverage: float = 0,
    **options: Unpack[Options],
) -> Comparison:
    """Compare the mean scores of units (donors, samples) between each group and a reference, study by study.

    genes: a signature (a list of genes, or a name of the library), or several of them as {name: signature}. by: the
    column whose value `reference` the others are compared with; within: a column compared within (None: all cells of a
    unit together). cells: a SQL condition on the columns of the cube (study, sample, donor, tissue, disease, assay,
    sex, development_stage, in_vivo, cell_type). Units of fewer than `min_cells` cells are left out, and groups of fewer
    than `min_units` units not tested.
    Tests: Welch's t and Mann and Whitney's U. With `paired_by`, studies in which it repeats across the groups are
    compared pairwise instead (paired t, Wilcoxon), over the pairs. covariates: columns of `cells`; a number is averaged
    over the unit's cells, anything else must be one value in it; the test is then that of a linear model (HC3). Studies
    are combined by random-effects meta-analysis of Hedges' g; q values are Benjamini and Hochberg's over all rows.
    A difference here is an association in these donors, of what a model attributes; it has no cause.
    Raises QueryError where a comparison would mislead: cells as units, donors on both sides without `paired_by`.
    """
    if unit in ("cell", "cell_id", "barcode") and not cells_as_replicates:
        raise QueryError(CELLS_ARE_NOT_REPLICATES)
    unit = "cell" if cells_as_replicates else unit
    design = Design(by, reference, unit, within, paired_by, tuple(covariates), min_cells, min_units)
    check_columns(con, design)
    signatures = genes if isinstance(genes, Mapping) else {genes if isinstance(genes, str) else "genes": genes}
    left_out: Counter[str] = Counter()
    answers, rows = {}, []
    for name, members in signatures.items():
        parameters = score_parameters(con, members, **options) | {
            "measured_only": measured_only,
            "min_coverage": min_coverage,
        }
        answers[name] = ask(con, units_statement(design, cells), parameters)
        known = covariates_of(con, design, cells, parameters) if covariates else {}
        units = list(usable(answers[name].table.to_pylist(), design, known, left_out))
        rows += [{"signature": name, **row} for row in compared(units, design)]
    for kind in ("value", "rank"):
        adjusted_p = benjamini_hochberg([row[f"p_{kind}"] for row in rows])
        rows = [{**row, f"q_{kind}": q} for row, q in zip(rows, adjusted_p, strict=True)]
    return Comparison(table_of(rows), answers, dict(left_out), reference)


def check_columns(con: duckdb.DuckDBPyConnection, design: Design) -> None:
    """Raise QueryError unless the columns are there, and the design makes sense."""
    if design.unit != "cell":
        cube_columns(list(design.columns.values()))
    columns_of(con, "cells", [*(c for c in design.columns.values() if c != "cell"), *design.covariates])
    if design.within == design.by:
        raise QueryError(
            f"Groups of {design.by} cannot be compared within {design.by}. Use within=None, or another column."
        )


def units_statement(design: Design, cells: str | None) -> exp.Expression:
    """The statement that gives the units: `findings/units` (or `unit_cells`) grouped by the columns of the design."""
    return grouped(parse_statement("findings/unit_cells" if design.unit == "cell" else "findings/units"), design, cells)


def grouped(query: exp.Select, design: Design, cells: str | None) -> exp.Select:
    """Add the design's columns to a statement over a relation `u`, group by them, and keep what fulfils a condition."""
    columns = [exp.column(column, table="u", quoted=True) for column in design.columns.values()]
    named = [exp.alias_(column.copy(), name, quoted=True) for name, column in zip(design.columns, columns, strict=True)]
    query.set("expressions", [*named, *query.expressions])
    if cells:
        query = query.where(parse_condition(cells))
    return query.group_by(*columns).order_by(*(column.copy() for column in columns))


def covariates_of(
    con: duckdb.DuckDBPyConnection, design: Design, cells: str | None, parameters: dict[str, Any]
) -> dict[tuple[str | None, ...], tuple[Any, ...]]:
    """The covariates of each unit, by the unit's columns."""
    if design.unit == "cell":
        raise QueryError("Covariates are for donors and samples, not for cells as replicates.")
    query = parse_statement("findings/unit_covariates")
    types = dict(con.execute("SELECT column_name, column_type FROM (DESCRIBE cells)").fetchall())
    for number, name in enumerate(design.covariates):
        column = exp.column(name, table="u", quoted=True)
        numeric = types[name].removeprefix("U").startswith(NUMBERS)
        value = exp.func("avg" if numeric else "any_value", column)
        several = exp.convert(1) if numeric else exp.Count(this=exp.Distinct(expressions=[column.copy()]))
        query = query.select(exp.alias_(value, f"value_{number}"), exp.alias_(several, f"several_{number}"))
    found = {}
    for row in ask(con, grouped(query, design, cells), parameters).table.to_pylist():
        for number, name in enumerate(design.covariates):
            if row[f"several_{number}"] > 1:
                raise QueryError(
                    f"The covariate {name} has several values within a unit ({row['unit']} of {row['study']})."
                )
        key = tuple(row[name] for name in design.columns)
        found[key] = tuple(row[f"value_{number}"] for number in range(len(design.covariates)))
    return found


def usable(
    rows: Sequence[dict[str, Any]],
    design: Design,
    covariates: Mapping[tuple[str | None, ...], tuple[Any, ...]],
    left_out: Counter[str],
) -> Iterator[Unit]:
    """The units that can be compared; the others are counted by reason."""
    for row in rows:
        values = covariates.get(tuple(row[name] for name in design.columns), ())
        reasons = {
            f"no {design.by}": row["group"] is None,
            f"no {design.unit}": row["unit"] is None,
            f"no {design.within}": design.within is not None and row["within"] is None,
            f"no {design.paired_by}": design.paired_by is not None and row["pair"] is None,
            f"fewer than {design.min_cells} cells": design.unit != "cell" and row["n_cells"] < design.min_cells,
            "a covariate is missing": any(value is None for value in values),
        }
        if reason := next((reason for reason, holds in reasons.items() if holds), None):
            left_out[reason] += 1
            continue
        text = {
            name: None if row.get(name) is None else str(row[name])
            for name in ("study", "within", "group", "unit", "pair")
        }
        numbers = {name: row[name] for name in ("score", "n_cells", "n_genes", "n_measured")}
        donors = tuple(donor for donor in row["donors"] if donor is not None)
        yield Unit(**text, **numbers, donors=donors, covariates=values)  # type: ignore[arg-type]


def compared(units: Sequence[Unit], design: Design) -> Iterator[dict[str, Any]]:
    """A row for each comparison within a study, and for two or more studies one of all of them."""
    if not any(unit.group == str(design.reference) for unit in units):
        there = sorted({unit.group for unit in units})
        raise QueryError(f"No unit has {design.by} {design.reference!r}. There are: {listed(there) or 'none'}.")
    cells: dict[tuple[str | None, str], dict[str, list[Unit]]] = defaultdict(lambda: defaultdict(list))
    for unit in units:
        cells[unit.within, unit.study][unit.group].append(unit)
    effects: dict[tuple[str | None, str], list[tuple[Effect, dict[str, Any]]]] = defaultdict(list)
    for (within, study), groups in sorted(cells.items(), key=lambda item: (item[0][0] or "", item[0][1])):
        for group in sorted(groups.keys() - {str(design.reference)}):
            if str(design.reference) in groups:
                effect, sizes = one_study(groups[group], groups[str(design.reference)], design)
                effects[within, group].append((effect, {"study": study, **sizes}))
    for (within, group), found in effects.items():
        labels = {"within": within, "group": group, "reference": str(design.reference)}
        for effect, sizes in found:
            yield {**labels, **sizes, **asdict(effect)}
        usable_effects = [(effect, sizes) for effect, sizes in found if effect.g_se]
        if len(usable_effects) > 1:
            counts = [name for name in SIZES if name.name.startswith("n_")]
            sums = {name.name: sum(sizes[name.name] for _, sizes in usable_effects) for name in counts[:-2]}
            yield {**labels, "study": None, **sums, **asdict(combined([effect for effect, _ in usable_effects]))}


def one_study(group: Sequence[Unit], reference: Sequence[Unit], design: Design) -> tuple[Effect, dict[str, Any]]:
    """Compare the units of one study; return the effect, and how many units, donors and cells made it."""
    pairs, n_units = partners(group, reference, design), len(group) + len(reference)
    if pairs:
        group, reference = ([unit for unit in each if unit.pair in pairs] for each in (group, reference))
    sizes = {
        "n_group": len(group), "n_reference": len(reference), "n_pairs": len(pairs),
        "n_unpaired": n_units - len(group) - len(reference),
        "n_donors": len({donor for unit in [*group, *reference] for donor in unit.donors}),
        "n_cells_group": sum(unit.n_cells for unit in group), "n_cells_reference": sum(u.n_cells for u in reference),
        "mean_group": float(np.mean([unit.score for unit in group])),
        "mean_reference": float(np.mean([unit.score for unit in reference])),
        "n_genes": group[0].n_genes, "n_measured": group[0].n_measured,
    }  # fmt: skip
    return tested(group, reference, pairs, design), sizes


def tested(group: Sequence[Unit], reference: Sequence[Unit], pairs: Sequence[str], design: Design) -> Effect:
    """The test that the design asks for."""
    smaller = min(len(pairs) if pairs else len(group), len(reference))
    if smaller < max(design.min_units, 2):
        return Effect("none", f"fewer than {max(design.min_units, 2)} {'pairs' if pairs else 'units'} in a group")
    sides = (group, reference)
    if pairs:
        if design.covariates:
            raise QueryError("What is constant in a donor cancels out of a pair: leave out the covariates.")
        means = [[np.mean([u.score for u in side if u.pair == pair]) for pair in pairs] for side in sides]
        return paired(np.array(means[0]), np.array(means[1]))
    scores = [np.array([unit.score for unit in side]) for side in sides]
    if design.covariates:
        in_group = np.array([True] * len(group) + [False] * len(reference))
        covariates = design_matrix([unit.covariates for unit in [*group, *reference]])
        return adjusted(np.concatenate(scores), in_group, covariates)
    return independent(scores[0], scores[1])


def partners(group: Sequence[Unit], reference: Sequence[Unit], design: Design) -> list[str]:
    """What has units on both sides and so makes a pair; QueryError if donors do, and the design does not pair."""
    if design.paired_by:
        return sorted({str(unit.pair) for unit in group} & {str(unit.pair) for unit in reference})
    if design.unit == "cell":
        return []
    both = {d for unit in group for d in unit.donors} & {d for unit in reference for d in unit.donors}
    if both:
        raise QueryError(
            f"{len(both)} donors of {group[0].study} have cells in both {group[0].group} and {design.reference} "
            f"({listed(sorted(both), 3)}): the groups are not independent. paired_by='donor' compares them pairwise."
        )
    return []


def design_matrix(values: Sequence[tuple[Any, ...]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Covariates as numbers, (n_units, k): numbers centred, every value but the first of anything else as 0 or 1."""
    columns = []
    for covariate in zip(*values, strict=True):
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in covariate):
            columns.append(np.array(covariate, float) - np.mean(covariate))
        else:
            others = sorted(set(covariate), key=str)[1:]
            columns += [np.array([value == other for value in covariate], float) for other in others]
    return np.column_stack(columns) if columns else np.empty((len(values), 0))


SIZES = [
    pa.field("n_group", pa.int64()), pa.field("n_reference", pa.int64()), pa.field("n_pairs", pa.int64()),
    pa.field("n_unpaired", pa.int64()), pa.field("n_donors", pa.int64()), pa.field("n_cells_group", pa.int64()),
    pa.field("n_cells_reference", pa.int64()),
    pa.field("mean_group", pa.float64()), pa.field("mean_reference", pa.float64()),
    pa.field("n_genes", pa.int64()), pa.field("n_measured", pa.int64()),
]  # fmt: skip


def table_of(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """The rows as a table, with the same columns whatever they hold; study is NULL in the rows of all studies."""
    text = [
        pa.field(name, pa.string()) for name in ("signature", "within", "group", "reference", "study", "test", "note")
    ]
    kinds = {"n_studies": pa.int64()}
    numbers = [
        pa.field(each.name, kinds.get(each.name, pa.float64()))
        for each in fields(Effect)
        if each.name not in ("test", "note")
    ]
    schema = pa.schema([*text, *SIZES, *numbers, pa.field("q_value", pa.float64()), pa.field("q_rank", pa.float64())])
    return pa.Table.from_pylist(list(rows), schema=schema)
