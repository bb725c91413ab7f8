"""The units that comparisons count as replicates: donors or samples, with their mean z, mean score or hit rate."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from sigdb.atlas.fields import names_none
from sigdb.errors import QueryError
from sigdb.findings.columns import column_types, columns_of, cube_columns, group_by_columns, keep_cells, where_cube
from sigdb.findings.hits import choose_population
from sigdb.statements import ask, check_numbers, parse_statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

__all__ = [
    "NAMES_NO",
    "Design",
    "Unit",
    "check_design",
    "comparable_units",
    "fetch_covariates",
    "group_by_unit",
    "medians_of",
    "too_small",
    "unit_of",
    "unit_values",
]

# Why a unit such as the donor 'not given' is left out.
NAMES_NO = "names no"
NUMBERS = ("DOUBLE", "FLOAT", "DECIMAL", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")


@dataclass(frozen=True)
class Unit:
    """One unit, such as a donor's cells in one group: its value, number of cells, donors, covariates and pair.

    The value is the mean z or score of its cells, or their hit rate.
    """

    study: str
    within: str | None
    group: str
    unit: str
    pair: str | None
    donors: tuple[str, ...]
    n_cells: int
    value: float = 0.0
    n_genes: int = 0
    n_measured: int = 0
    median_counts: float | None = None
    median_detected: float | None = None
    covariates: tuple[Any, ...] = ()

    @property
    def cluster(self) -> tuple[str, ...]:
        """What the unit shares with units that are not independent of it: its pair, or its donor if that is known."""
        return ("pair", self.pair) if self.pair is not None else ("donor", *(self.donors or ("", self.unit)))


@dataclass(frozen=True)
class Design:
    """What is compared with what: columns of the cube, the reference group, and the smallest units and groups."""

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

    @property
    def fewest(self) -> int:
        """The fewest units, or pairs, that can be tested."""
        return max(self.min_units, 2)


def check_design(con: duckdb.DuckDBPyConnection, design: Design) -> None:
    """Raise QueryError unless the columns exist and the design makes sense."""
    check_numbers({"min_cells": design.min_cells, "min_units": design.min_units})
    if design.unit != "cell":
        cube_columns(list(design.columns.values()))
    columns_of(con, "cells", [*(c for c in design.columns.values() if c != "cell"), *design.covariates])
    if design.within == design.by:
        raise QueryError(
            f"Groups of {design.by} cannot be compared within {design.by}. Use `within=None`, or another column."
        )
    if design.covariates and design.unit == "cell":
        raise QueryError("`covariates` are for donors and samples, not for cells as replicates.")


def unit_values(design: Design, of: str, cells: str | None) -> exp.Select:
    """The statement for the values of the units: `units`, from the cube, for mean scores; otherwise `unit_hits`."""
    if of == "score" and design.unit != "cell":
        return group_by_unit(where_cube(parse_statement("findings/units"), cells), design)
    return choose_population(group_by_unit(parse_statement("findings/unit_hits"), design), cells)


def group_by_unit(query: exp.Select, design: Design) -> exp.Select:
    """Group a statement over a relation `u` by the design's columns."""
    return group_by_columns(query, design.columns)


def fetch_covariates(
    con: duckdb.DuckDBPyConnection, design: Design, cells: str | None, run: str | int | None
) -> dict[tuple[str | None, ...], tuple[Any, ...]]:
    """The covariates of each unit, by the unit's columns: the mean of numbers, the only value of anything else."""
    query = parse_statement("findings/unit_covariates")
    types = column_types(con, "cells")
    for number, name in enumerate(design.covariates):
        column = exp.column(name, table="u", quoted=True)
        numeric = types[name].removeprefix("U").startswith(NUMBERS)
        value = exp.func("avg" if numeric else "any_value", column)
        several = exp.convert(1) if numeric else exp.Count(this=exp.Distinct(expressions=[column.copy()]))
        query = query.select(exp.alias_(value, f"value_{number}"), exp.alias_(several, f"several_{number}"))
    found = {}
    for row in ask(con, group_by_unit(keep_cells(query, cells), design), {"run": run}).table.to_pylist():
        for number, name in enumerate(design.covariates):
            if row[f"several_{number}"] > 1:
                raise QueryError(
                    f"The covariate {name} has several values within a unit ({row['unit']} of {row['study']})."
                )
        key = tuple(row[name] for name in design.columns)
        found[key] = tuple(row[f"value_{number}"] for number in range(len(design.covariates)))
    return found


def comparable_units(
    rows: Sequence[dict[str, Any]],
    design: Design,
    covariates: Mapping[tuple[str | None, ...], tuple[Any, ...]] | None = None,
    value: str | None = None,
) -> tuple[list[Unit], list[tuple[dict[str, Any], str]]]:
    """The units that can be compared by the column `value`, and the rows of the others, each with the reason."""
    units, lost = [], []
    for row in rows:
        values = (covariates or {}).get(tuple(row[name] for name in design.columns), ())
        reason = reason_to_leave_out(row, design, values, value)
        if reason is None:
            units.append(unit_of(row, design, values, value))
        else:
            lost.append((row, reason))
    return units, lost


def unit_of(row: Mapping[str, Any], design: Design, covariates: tuple[Any, ...] = (), value: str | None = None) -> Unit:
    """The unit of a row."""
    known = {"n_cells", "n_genes", "n_measured", "median_counts", "median_detected"}
    text = {name: None if row[name] is None else str(row[name]) for name in design.columns}
    numbers = {name: row[name] for name in known if name in row}
    if value is not None:
        numbers["value"] = row[value]
    donors = tuple(donor for donor in row["donors"] if donor is not None and not names_none("donor", donor))
    return Unit(**{"within": None, "pair": None, **text, **numbers}, donors=donors, covariates=covariates)


def reason_to_leave_out(
    row: Mapping[str, Any], design: Design, covariates: Sequence[Any], value: str | None
) -> str | None:
    """Why a unit cannot be compared; None if it can. The size is the last reason: a small unit lacks nothing else."""
    for name in ("group", "unit", "within", "pair"):
        if name in design.columns and row[name] is None:
            return f"no {design.columns[name]}"
        if name in design.columns and names_none(design.columns[name], row[name]):
            return f"{row[name]!r} {NAMES_NO} {design.columns[name]}"
    if any(each is None for each in covariates):
        return "a covariate is missing"
    if value is not None and row[value] is None:
        return "the controls do not vary" if row["n_measured"] else "no gene measured"
    return too_small(design) if design.unit != "cell" and row["n_cells"] < design.min_cells else None


def too_small(design: Design) -> str:
    """Why a unit of too few cells is left out."""
    return f"fewer than {design.min_cells} cells"


def medians_of(side: str, units: Sequence[Unit]) -> dict[str, float | None]:
    """The median counts and detected genes of the units of a side."""
    counts = [unit.median_counts for unit in units if unit.median_counts is not None]
    detected = [unit.median_detected for unit in units if unit.median_detected is not None]
    return {
        f"median_counts_{side}": median(counts) if counts else None,
        f"median_detected_{side}": median(detected) if detected else None,
    }
