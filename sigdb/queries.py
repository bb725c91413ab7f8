"""Statements that are put together: a shipped query, with columns and a condition of the caller's as syntax trees.

Nothing of the caller's is ever formatted into SQL: names and conditions are parsed, values are bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp

from sigdb.catalog import statement
from sigdb.errors import QueryError, listed, message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "Answer",
    "Options",
    "ask",
    "asked",
    "columns_of",
    "condition",
    "cube_columns",
    "labelled",
    "shipped",
    "with_columns",
]

# The population of `hits`: a CTE of this name, which the macros are told to look in.
POPULATION = "chosen_cells"
# What a unit or a group of the cube is known by.
CUBE = ("study", "sample", "donor", "tissue", "disease", "assay", "sex", "development_stage", "in_vivo", "cell_type")


class Options(TypedDict, total=False):
    """How a signature is scored: the named arguments of the macro `signature_score`, with its defaults."""

    weights: Sequence[float] | None
    agg: str
    missing: str
    run: str | int | None
    signed: bool


@dataclass(frozen=True)
class Answer:
    """A table, and the one SQL statement that it came from, values written out: it runs in any client of the atlas."""

    table: pa.Table
    sql: str

    def column(self, name: str) -> list[Any]:
        """One column as a list."""
        values: list[Any] = self.table[name].to_pylist()
        return values


def asked(
    con: duckdb.DuckDBPyConnection,
    genes: str | Sequence[str],
    *,
    weights: Sequence[float] | None = None,
    agg: str = "mean",
    missing: str = "error",
    run: str | int | None = None,
    signed: bool = False,
) -> dict[str, Any]:
    """The parameters of a score macro: `genes` is a list of genes, or the name of a signature of the library.

    A signature brings its own weights. Raises QueryError for a name that is not in the library.
    """
    options = {"agg": agg, "missing": missing, "run": run, "signed": signed}
    if not isinstance(genes, str):
        return {"genes": list(genes), "weights": None if weights is None else list(weights), **options}
    if weights is not None:
        raise QueryError(f"The signature {genes} has weights of its own; give a list of genes to use others.")
    ((members, own),) = con.execute(
        "SELECT signature_genes($name), signature_weights($name)", {"name": genes}
    ).fetchall()
    if not members:
        known = [name for (name,) in con.execute("SELECT signature FROM signature_info ORDER BY 1").fetchall()]
        raise QueryError(
            f"There is no signature {genes} in this atlas. It has: {listed(known, 5) or 'none'}. "
            "A gene alone is a list of one."
        )
    return {"genes": members, "weights": None if set(own) == {1.0} else own, **options}


def shipped(name: str) -> exp.Select:
    """The tree of `sql/queries/<name>.sql`."""
    tree = sqlglot.parse_one(statement(f"queries/{name}"), dialect="duckdb")
    assert isinstance(tree, exp.Select)
    return tree


def condition(text: str) -> exp.Condition:
    """Parse a SQL condition, as it may stand after WHERE; QueryError for anything else, several statements included."""
    try:
        trees = sqlglot.parse(text, dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise QueryError(f"This is not a SQL condition: {text!r}.") from error
    tree = trees[0] if len(trees) == 1 else None
    if not isinstance(tree, exp.Condition) or isinstance(tree, exp.Query):
        raise QueryError(f"This is not one SQL condition, such as \"disease = 'normal'\": {text!r}.")
    if tree.find(exp.Placeholder, exp.Parameter):
        raise QueryError(f"A condition has no parameters: {text!r}. Write the value out.")
    for node in tree.walk():
        node.pop_comments()
    return tree


def labelled(query: exp.Select, column: str) -> exp.Select:
    """Put a column in the place of each `label_column` of a shipped query."""
    return with_columns(query, label_column=column)


def with_columns(query: exp.Select, **columns: str) -> exp.Select:
    """Put columns in the place of those that a shipped query has under other names."""
    for node in list(query.find_all(exp.Column)):
        if node.name in columns:
            node.replace(exp.column(columns[node.name], table=node.table, quoted=True))
    return query


def columns_of(con: duckdb.DuckDBPyConnection, view: str, names: Sequence[str]) -> list[str]:
    """The given names, each once, as columns of a view; QueryError if it has no such column."""
    known = [
        row[0]
        for row in con.execute("SELECT column_name FROM (DESCRIBE FROM query_table($view))", {"view": view}).fetchall()
    ]
    wanted = list(dict.fromkeys(names))
    if unknown := [name for name in wanted if name not in known]:
        raise QueryError(f"{view} has no column {listed(unknown)}. It has: {listed(known, 30)}.")
    return wanted


def cube_columns(names: Sequence[str]) -> list[str]:
    """The given names as columns of the cube; QueryError if it has no such column."""
    if unknown := [name for name in names if name not in CUBE]:
        raise QueryError(f"The cube has no column {listed(unknown)}. It has: {', '.join(CUBE)}.")
    return list(names)


def ask(con: duckdb.DuckDBPyConnection, query: exp.Expression, parameters: Mapping[str, Any]) -> Answer:
    """Run a statement with the parameters it names; errors of DuckDB's are QueryError."""
    named = {node.name for node in query.find_all(exp.Placeholder)}
    bound = {name: value for name, value in parameters.items() if name in named}
    try:
        table = pa.table(con.sql(written(query), params=bound or None))
    except duckdb.Error as error:
        raise QueryError(message(error)) from error

    def value_of(node: exp.Expression) -> exp.Expression:
        # As a Var, a long list stays on one line.
        return exp.var(exp.convert(bound[node.name]).sql("duckdb")) if isinstance(node, exp.Placeholder) else node

    return Answer(table, written(query.transform(value_of)))


def written(query: exp.Expression) -> str:
    """A tree as SQL text."""
    return query.sql("duckdb", normalize_functions=False, pretty=True, comments=False)
