"""The columns by which findings group cells, and the conditions that choose cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from sigdb.errors import QueryError, listed, nearest
from sigdb.statements import parse_condition, parse_statement, replace_columns, run_statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb


__all__ = [
    "column_types",
    "columns_of",
    "cube_columns",
    "group_by_columns",
    "labelled_statement",
    "select_cells",
    "where",
]

# The columns of the cube that can name a unit or a group.
CUBE = ("study", "sample", "donor", "tissue", "disease", "assay", "sex", "development_stage", "in_vivo", "cell_type")


def column_types(con: duckdb.DuckDBPyConnection, view: str) -> dict[str, str]:
    """The columns of a view, with their types in DuckDB."""
    return dict(run_statement(con, "findings/columns.columns", {"view": view}))


def columns_of(con: duckdb.DuckDBPyConnection, view: str, names: Sequence[str]) -> list[str]:
    """The given names, each once, as columns of a view; QueryError if the view lacks one of them."""
    return known_columns(names, list(column_types(con, view)), view)


def cube_columns(names: Sequence[str]) -> list[str]:
    """The given names, each once, as columns of the cube; QueryError if the cube lacks one of them."""
    return known_columns(names, CUBE, "The cube")


def known_columns(names: Sequence[str], known: Sequence[str], relation: str) -> list[str]:
    """The given names, each once; QueryError for a name that is not known."""
    if unknown := [name for name in names if name not in known]:
        hint = nearest(unknown[0], known)
        raise QueryError(f"{relation} has no column {listed(unknown)}.{hint} It has: {listed(known, 30)}.")
    return list(dict.fromkeys(names))


def labelled_statement(name: str, label: str) -> exp.Select:
    """A statement of sql/findings that groups by `label_column`, with a column in its place."""
    return replace_columns(parse_statement(f"findings/{name}"), label_column=label)


def group_by_columns(query: exp.Select, columns: Mapping[str, str]) -> exp.Select:
    """Group a statement over `u` by columns, which come first under the names given; order by them last."""
    groups = [exp.column(column, table="u", quoted=True) for column in columns.values()]
    named = [exp.alias_(group.copy(), name, quoted=True) for name, group in zip(columns, groups, strict=True)]
    query.set("expressions", [*named, *query.expressions])
    return query.group_by(*groups).order_by(*(group.copy() for group in groups))


def where(query: exp.Select, condition: str | None) -> exp.Select:
    """Add a condition, given as SQL text, to a query."""
    return query.where(parse_condition(condition)) if condition else query


def select_cells(condition: str) -> exp.Select:
    """The query for the cell_id of the cells that fulfil a condition on the view `cells`."""
    return exp.select("cell_id").from_("cells").where(parse_condition(condition))
