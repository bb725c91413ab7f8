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
    "CHOSEN",
    "CUBE",
    "GROUP",
    "choose_cells",
    "choose_groups",
    "chooses_groups",
    "column_types",
    "columns_of",
    "cube_columns",
    "group_by_columns",
    "grouped",
    "is_chosen",
    "keep_cells",
    "labelled_statement",
    "where_cube",
    "where_groups",
]

# The columns of the cube that can name a unit or a group.
CUBE = ("study", "sample", "donor", "tissue", "disease", "assay", "sex", "development_stage", "in_vivo", "cell_type")
# The name of the CTE that holds chosen cells. The macros look up a population by this name.
CHOSEN = "chosen_cells"
# The columns of a group of cells in the null distributions and the leading genes.
GROUP = ("study", "tissue", "disease", "cell_type", "n_cells")


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
    if odd := [name for name in names if not isinstance(name, str)]:
        raise QueryError(f"A column must be named by a text, such as 'study', not by {odd[0]!r}.")
    if unknown := [name for name in names if name not in known]:
        hint = nearest(unknown[0], known)
        raise QueryError(f"{relation} has no column {listed(unknown)}.{hint} It has: {listed(known, 30)}.")
    return list(dict.fromkeys(names))


def labelled_statement(name: str, label: str) -> exp.Select:
    """A statement of sql/findings that groups by `label_column`, with a column in its place."""
    return replace_columns(parse_statement(f"findings/{name}"), label_column=label)


def group_by_columns(query: exp.Select, columns: Mapping[str, str]) -> exp.Select:
    """Group a statement over `u` by columns, which come first with other names, and order it by them last.

    They also take the place of the column `group_columns` of its windows.
    """
    groups = [exp.column(column, table="u", quoted=True) for column in columns.values()]
    named = [exp.alias_(group.copy(), name, quoted=True) for name, group in zip(columns, groups, strict=True)]
    query.set("expressions", [*named, *query.expressions])
    for window in query.find_all(exp.Window):
        placeholder, *rest = window.args["partition_by"]
        own = [exp.column(each, placeholder.table, quoted=True) for each in columns.values()]
        window.set("partition_by", [*own, *rest])
    return query.group_by(*groups).order_by(*(exp.Ordered(this=group.copy(), desc=False) for group in groups))


def condition_on(text: str, known: Sequence[str], relation: str) -> exp.Condition:
    """A condition, given as SQL text, on known columns only. QueryError if it names others, which a statement may have.

    The columns of its sub-queries are not checked.
    """
    condition = parse_condition(text)
    known_columns(names_of(condition), known, relation)
    return condition


def names_of(condition: exp.Condition) -> list[str]:
    """The columns that a condition names outside its sub-queries, in lower case, with the table that it gives."""
    own = [node for node in condition.find_all(exp.Column, exp.Star, exp.Columns) if not node.find_ancestor(exp.Query)]
    return [node.sql("duckdb").lower().replace('"', "") for node in own]


def where_cube(query: exp.Select, condition: str | None) -> exp.Select:
    """Add a condition on the columns of the cube to a query."""
    return query if condition is None else query.where(condition_on(condition, CUBE, "The cube"))


def grouped(query: exp.Select) -> list[exp.Select]:
    """The parts of a query that group rows."""
    return [select for select in query.find_all(exp.Select) if select.args.get("group")]


def choose_groups(query: exp.Select, condition: str) -> exp.Select:
    """Put a condition on the columns of the cube in the place of the column `is_chosen` of a statement."""
    chosen = condition_on(condition, CUBE, "The cube")
    for node in list(query.find_all(exp.Column)):
        if node.name == "is_chosen" and not node.table:
            node.replace(chosen.copy())
    return query


def chooses_groups(condition: str) -> bool:
    """Whether a condition on cells chooses whole groups: it names only the columns that make a group."""
    return set(names_of(parse_condition(condition))) <= {*GROUP} - {"n_cells"}


def where_groups(query: exp.Select, condition: str | None) -> exp.Select:
    """Add a condition on the columns that make a group, or on its number of cells, to the first SELECT that has one."""
    if condition is not None:
        groups = next(select for select in query.find_all(exp.Select) if select.args.get("where"))
        groups.where(condition_on(condition, GROUP, "A group"), copy=False)
    return query


def keep_cells(query: exp.Select, condition: str | None) -> exp.Select:
    """Add a condition on the view `cells` to each SELECT of a statement that reads that view."""
    if condition is None:
        return query
    reads = {table.alias: table.parent_select for table in query.find_all(exp.Table) if table.name == "cells"}
    for alias, select in reads.items():
        if select is not None:
            select.where(is_chosen(alias), copy=False)
    return choose_cells(query, condition)


def choose_cells(query: exp.Select, condition: str) -> exp.Select:
    """Add the cells that fulfil a condition to a statement, as its first CTE, CHOSEN. It sees the view `cells` only."""
    chosen = query.with_(CHOSEN, as_=exp.select("cell_id").from_("cells").where(parse_condition(condition)))
    chosen.ctes.insert(0, chosen.ctes.pop())
    return chosen


def is_chosen(table: str) -> exp.Condition:
    """The condition that a row of a table with a column cell_id is in the CTE CHOSEN."""
    return exp.column("cell_id", table=table).isin(query=exp.select("cell_id").from_(CHOSEN))
