"""What an atlas file carries: views, macros and comments, installed from `sql/`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from sqlglot import exp

from sigdb.statements import names_in, run_statement, statement

if TYPE_CHECKING:
    import duckdb

__all__ = ["SqlObject", "comment_tables", "create", "install", "objects", "read_object"]


@dataclass(frozen=True)
class SqlObject:
    """A view or macro: its `sql/` file, and what the header comment says of it."""

    name: str
    kind: str  # VIEW, MACRO or MACRO TABLE: the words of COMMENT ON
    schema: str
    signature: str
    contract: str
    example: str
    expected: str
    sql: str
    columns: dict[str, str] = field(hash=False)  # of a view, where the header describes them


FOLDERS = ("views", "macros/internal", "macros")


@cache
def read_object(folder: str, name: str) -> SqlObject:
    """Read a view or macro: signature on the first header lines, contract after it, an example `query --> value`."""
    sql = statement(f"{folder}/{name}")
    header = [line[2:].strip() for line in sql.splitlines() if line.startswith("--")]
    text = "\n".join(header)
    head = re.match(r"(?P<signature>.*?-> .*?)\n(?P<contract>.*)\nExample: (?P<example>.*)", text, re.DOTALL)
    create = re.search(r"^CREATE OR REPLACE (?P<kind>\w+) (?:(?P<schema>\w+)\.)?(?P<name>\w+)", sql, re.MULTILINE)
    if head is None or create is None:
        raise ValueError(
            f"sql/{folder}/{name}.sql must be a header (signature, contract, Example) and CREATE OR REPLACE"
        )
    query, _, expected = head["example"].partition("-->")
    return SqlObject(
        name=create["name"],
        kind="MACRO TABLE" if re.search(r"\bAS TABLE$", sql, re.MULTILINE) else create["kind"],
        schema=create["schema"] or "main",
        signature=" ".join(head["signature"].split()),
        contract=head["contract"],
        example=" ".join(query.split()).rstrip(";"),
        expected=expected.strip(),
        sql=sql,
        columns=dict(re.findall(r"^(\w+): (.+)$", head["contract"].partition("Columns:\n")[2], re.MULTILINE)),
    )


@cache
def objects() -> tuple[SqlObject, ...]:
    """All views and macros, in an order in which they can be created: DuckDB wants what a macro calls to be there."""
    found = [read_object(folder, name) for folder in FOLDERS for name in names_in(folder)]
    macros = [each for each in found if each.kind != "VIEW"]
    called = re.compile(rf"\b({'|'.join(sorted({each.name for each in macros}))})\(")
    graph: dict[SqlObject, list[SqlObject]] = {each: [] for each in found}
    for each in macros:
        body = re.sub(r"^--.*$", "", each.sql, flags=re.MULTILINE).partition(" AS")[2]
        names = set(called.findall(body)) - {each.name}
        graph[each] = [other for other in macros if other.name in names]
    return tuple(TopologicalSorter(graph).static_order())


def install(con: duckdb.DuckDBPyConnection) -> None:
    """Comment on all tables; create or replace all views and macros in the current database, with their comments."""
    comment_tables(con)
    create(con, *objects())


def comment_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Comment on all tables and their columns, those included that came with the studies' obs.

    Tables that are views over the files of a lake are commented on as such.
    """
    comments = statement("comments")
    for (table,) in run_statement(con, "atlas/inspect.shows_lake"):
        comments = comments.replace(f"COMMENT ON TABLE sigdb_data.{table} IS", f"COMMENT ON VIEW sigdb_data.{table} IS")
    con.execute(comments)
    for (column,) in run_statement(con, "atlas/inspect.obs_columns"):
        place = exp.column(column, "cell_data", "sigdb_data", quoted=True)
        comment(con, "COLUMN", place, "Column of the studies' obs, as they have it.")


def create(con: duckdb.DuckDBPyConnection, *made: SqlObject) -> None:
    """Create or replace views and macros in the current database; comment on them and on the columns of the views."""
    for each in made:
        con.execute(each.sql)
        comment(con, each.kind, exp.table_(each.name, db=each.schema), f"{each.signature}\n{each.contract}")
    views = {each.name: each for each in made if each.kind == "VIEW"}
    # All at once: to list columns, DuckDB looks at every view there is.
    for view, column, shown in run_statement(con, "atlas/inspect.view_columns", {"views": list(views)}):
        comment(con, "COLUMN", exp.column(column, view, quoted=True), views[view].columns.get(column, shown))


def comment(con: duckdb.DuckDBPyConnection, kind: str, target: exp.Expr, text: str) -> None:
    """COMMENT ON an object of the current database."""
    con.execute(exp.Comment(this=target, kind=kind, expression=exp.Literal.string(text)).sql("duckdb"))
