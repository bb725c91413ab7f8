"""The one door to SQL: find the statements of `sql/`, parse them, fill them, run them."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp

from sigdb.answers import Answer
from sigdb.errors import QueryError, message

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable


__all__ = [
    "ask",
    "current_database",
    "literal",
    "parse_condition",
    "parse_statement",
    "replace_columns",
    "run_statement",
    "statement",
]


def parse_statement(name: str) -> exp.Select:
    """The syntax tree of a statement that is a SELECT; names as for `statement`."""
    tree = sqlglot.parse_one(statement(name), dialect="duckdb")
    assert isinstance(tree, exp.Select)
    return tree


def parse_condition(text: str) -> exp.Condition:
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


def replace_columns(query: exp.Select, **columns: str) -> exp.Select:
    """Put columns in the place of those that a shipped query has under other names."""
    for node in list(query.find_all(exp.Column)):
        if node.name in columns:
            node.replace(exp.column(columns[node.name], table=node.table, quoted=True))
    return query


def ask(con: duckdb.DuckDBPyConnection, query: exp.Expression, parameters: Mapping[str, Any]) -> Answer:
    """Run a statement with the parameters it names; errors of DuckDB's are QueryError."""
    named = {node.name for node in query.find_all(exp.Placeholder)}
    bound = {name: value for name, value in parameters.items() if name in named}
    try:
        table = pa.table(con.sql(to_sql(query), params=bound or None))
    except duckdb.Error as error:
        raise QueryError(message(error)) from error

    def value_of(node: exp.Expression) -> exp.Expression:
        # As a Var, a long list stays on one line.
        return exp.var(exp.convert(bound[node.name]).sql("duckdb")) if isinstance(node, exp.Placeholder) else node

    return Answer(table, to_sql(query.transform(value_of)))


def to_sql(query: exp.Expression) -> str:
    """A tree as SQL text."""
    return query.sql("duckdb", normalize_functions=False, pretty=True, comments=False)


@cache
def sql_root() -> Traversable:
    """The folder of the .sql files: inside the package in a wheel, beside it in a checkout."""
    packaged = files("sigdb") / "sql"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "sql"


@cache
def statement(name: str) -> str:
    """The text of a statement: the file `sql/<name>.sql`, or of `<file>.<statement>` the part under `-- name:`."""
    file, _, part = name.partition(".")
    text = (sql_root() / f"{file}.sql").read_text(encoding="utf-8")
    return named_parts(text)[part] if part else text


def names_in(folder: str) -> list[str]:
    """The names of the files `sql/<folder>/<name>.sql`, in order."""
    return sorted(each.name.removesuffix(".sql") for each in (sql_root() / folder).iterdir() if each.is_file())


def named_parts(text: str) -> dict[str, str]:
    """The statements of a file by the names that the lines `-- name: <name>` give them, as aiosql has it."""
    _, *parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def current_database(con: duckdb.DuckDBPyConnection) -> str:
    """The name of the database that a connection uses, quoted, for statements that take names only."""
    ((name,),) = con.execute("SELECT current_database()").fetchall()
    return exp.Identifier(this=name, quoted=True).sql("duckdb")


def literal(text: str) -> str:
    """A SQL string literal, for the few statements that take no bound parameter (ATTACH, COPY TO)."""
    return exp.Literal.string(text).sql("duckdb")


def run_statement(
    con: duckdb.DuckDBPyConnection,
    name: str,
    parameters: Mapping[str, object] | None = None,
    **relations: pa.Table,
) -> list[tuple[Any, ...]]:
    """Run `sql/<name>.sql` with Arrow tables visible under the given names; return its rows."""
    for relation, table in relations.items():
        con.register(relation, table)
    try:
        return con.execute(statement(name), dict(parameters or {})).fetchall()
    finally:
        for relation in relations:
            # In a transaction that the statement has failed in, this fails too, and would hide why.
            with suppress(duckdb.Error):
                con.unregister(relation)
