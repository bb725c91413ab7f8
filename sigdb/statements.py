"""Find the SQL statements in `sql/`, parse them, set their parameters and run them."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from importlib.resources import files
from itertools import pairwise
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from sigdb.answers import Answer
from sigdb.errors import QueryError, macro_message, message
from sigdb.lazy import LazyModule
from sigdb.literals import literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

    import pyarrow as pa
    import sqlglot
    from sqlglot import exp
else:
    # Opening an atlas does not need these modules, and importing them takes longer than everything else.
    sqlglot, exp = LazyModule("sqlglot"), LazyModule("sqlglot.expressions")

__all__ = [
    "ask",
    "check_connection",
    "check_numbers",
    "current_database",
    "full_names",
    "named_in",
    "names_in",
    "parse_condition",
    "parse_statement",
    "replace_columns",
    "run_statement",
    "sql_root",
    "statement",
    "to_sql",
    "write_out",
]


# The parameters of findings that must be numbers. DuckDB would read a number out of a text.
NUMBERS = {
    *("min_cells", "min_samples", "min_coverage", "percentile", "cutoff", "sd"),
    *("n", "n_bins", "n_controls", "max_points", "seed"),
}


def parse_statement(name: str) -> exp.Select:
    """The syntax tree of a SELECT statement; names as for `statement`."""
    tree = sqlglot.parse_one(statement(name), dialect="duckdb")
    assert isinstance(tree, exp.Select)
    return tree


def parse_condition(text: str) -> exp.Condition:
    """Parse a SQL condition, as it may stand after WHERE. Raises QueryError for anything else."""
    if not isinstance(text, str):
        raise QueryError(f"A condition must be a text, such as \"disease = 'normal'\", not {text!r}.")
    try:
        trees = sqlglot.parse(text, dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise QueryError(f"This is not a SQL condition: {text!r}.") from error
    tree = trees[0] if len(trees) == 1 else None
    if not isinstance(tree, exp.Condition) or isinstance(tree, exp.Query):
        raise QueryError(f"This is not one SQL condition, such as \"disease = 'normal'\": {text!r}.")
    if tree.find(exp.Placeholder, exp.Parameter):
        raise QueryError(f"A condition takes no parameters: {text!r}. Write the value into it.")
    for node in tree.walk():
        node.pop_comments()
    return tree


def replace_columns(query: exp.Select, **columns: str) -> exp.Select:
    """Replace columns of a query: `label="disease"` puts the column disease wherever the query says label."""
    for node in list(query.find_all(exp.Column)):
        if node.name in columns:
            node.replace(exp.column(columns[node.name], table=node.table, quoted=True))
    return query


def check_connection(con: object) -> None:
    """Raise QueryError for anything that is no connection, such as the path of an atlas."""
    if not isinstance(con, duckdb.DuckDBPyConnection):
        path = str(con) if isinstance(con, str | PathLike) else "demo.duckdb"
        raise QueryError(f"`con` must be a connection, not {con!r:.80}. `sigdb.connect({path!r})` opens one.")


def check_numbers(values: Mapping[str, object]) -> None:
    """Raise QueryError for a parameter that is no number; None passes."""
    for name, value in values.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, Real)):
            raise QueryError(f"`{name}` must be a number, not {value!r:.80}.")


def ask(con: duckdb.DuckDBPyConnection, query: exp.Expression, parameters: Mapping[str, Any]) -> Answer:
    """Run a statement with the parameters that it names. Raises QueryError for errors of DuckDB."""
    check_connection(con)
    check_numbers({name: value for name, value in parameters.items() if name in NUMBERS})
    bound = named_in(query, parameters)
    try:
        table = con.sql(full_names(to_sql(query)), params=bound or None).to_arrow_table()
    except duckdb.Error as error:
        raise QueryError(macro_message(message(error))) from error
    return Answer(table, write_out(query, parameters))


def named_in(query: exp.Expression, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that a statement names."""
    names = {node.name for node in query.find_all(exp.Placeholder)}
    return {name: value for name, value in parameters.items() if name in names}


def write_out(query: exp.Expression, parameters: Mapping[str, Any]) -> str:
    """The SQL text of a statement, with the values of its parameters in their places."""

    def value_of(node: exp.Expression) -> exp.Expression:
        # A Var keeps a long list on one line.
        return exp.var(literal(parameters[node.name])) if isinstance(node, exp.Placeholder) else node

    return to_sql(query.transform(value_of))


def to_sql(query: exp.Expression) -> str:
    """The SQL text of a tree."""
    return query.sql("duckdb", normalize_functions=False, pretty=True, comments=False)


@cache
def sql_root() -> Traversable:
    """The folder of the .sql files: inside the package in a wheel, next to it in a checkout."""
    packaged = files("sigdb") / "sql"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "sql"


@cache
def statement(name: str) -> str:
    """The text of a statement: `<file>` is all of `sql/<file>.sql`, `<file>.<name>` its part `-- name: <name>`."""
    file, _, part = name.partition(".")
    text = (sql_root() / f"{file}.sql").read_text(encoding="utf-8")
    return named_parts(text)[part] if part else text


def names_in(folder: str) -> list[str]:
    """The names of the files `sql/<folder>/<name>.sql`, sorted."""
    return sorted(each.name.removesuffix(".sql") for each in (sql_root() / folder).iterdir() if each.is_file())


def named_parts(text: str) -> dict[str, str]:
    """The statements of a file by name. A line `-- name: <name>` starts each, as in aiosql."""
    _, *parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def current_database(con: duckdb.DuckDBPyConnection) -> str:
    """The quoted name of the current database, for statements that take no parameter in its place."""
    ((name,),) = run_statement(con, "atlas/inspect.current_database")
    return exp.Identifier(this=name, quoted=True).sql("duckdb")


def run_statement(
    con: duckdb.DuckDBPyConnection,
    name: str,
    parameters: Mapping[str, object] | None = None,
    **relations: pa.Table,
) -> list[tuple[Any, ...]]:
    """Run a statement with Arrow tables visible under the given names, and return its rows."""
    check_connection(con)
    for relation, table in relations.items():
        con.register(relation, table)
    try:
        return con.execute(statement(name), dict(parameters or {})).fetchall()
    finally:
        for relation in relations:
            # After a failed statement in a transaction, this fails too, and its error would hide the first one.
            with suppress(duckdb.Error):
                con.unregister(relation)


def full_names(sql: str) -> str:
    """Write system.main before each call of a function of DuckDB in a statement.

    Otherwise, a macro of the caller takes the place of the function: after `CREATE TEMP MACRO abs(x) AS ...`, a macro
    of the atlas that calls abs(x) would call that one. `sql/` has the plain names. generate_subscripts is a macro in
    DuckDB itself, with plain names in its body, so it is written out.
    """
    sql = re.sub(r"(?<!\.)\bgenerate_subscripts\(([^,]+), 1\)", r"unnest(generate_series(1, array_length(\1, 1)))", sql)
    tokens = sqlglot.tokenize(sql, dialect="duckdb")
    starts = [
        name.start
        for (before, name), (_, after) in pairwise(pairwise(tokens))
        if after.token_type == sqlglot.TokenType.L_PAREN and is_call(before, name)
    ]
    parts = [sql[first:last] for first, last in pairwise([0, *starts, len(sql)])]
    return "system.main.".join(parts)


def is_call(before: sqlglot.Token, name: sqlglot.Token) -> bool:
    """Whether a name before a parenthesis, with the token before it, is a call of a function of DuckDB.

    Others are `count(*) FILTER (...)`, `sigdb_data.run_of(run)` and `* REPLACE (...)`.
    """
    is_other = before.token_type in (sqlglot.TokenType.R_PAREN, sqlglot.TokenType.DOT)
    is_replace = before.token_type == sqlglot.TokenType.STAR and name.text.lower() == "replace"
    return name.text.lower() in builtin_functions() and not is_other and not is_replace


# DuckDB 1.4 does not list these.
WINDOW_FUNCTIONS = frozenset(
    {
        *("cume_dist", "dense_rank", "first_value", "lag", "last_value", "lead", "nth_value", "ntile"),
        *("percent_rank", "rank", "row_number"),
    }
)


@cache
def builtin_functions() -> frozenset[str]:
    """The names of DuckDB's own functions, without operators such as +."""
    with duckdb.connect() as con:
        names = [name for (name,) in run_statement(con, "atlas/inspect.functions")]
    return WINDOW_FUNCTIONS.union(name for name in names if name.isidentifier())
