"""The views, macros and comments in an atlas file, and how they are installed from `sql/`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from sqlglot import exp

from sigdb.atlas.identity import PLACEHOLDER, atlas_id, guard, renew
from sigdb.statements import full_names, names_in, run_statement, statement

if TYPE_CHECKING:
    import duckdb

__all__ = ["SqlObject", "comment", "comment_tables", "create", "install", "name_atlas", "objects", "read_object"]


@dataclass(frozen=True)
class SqlObject:
    """A view or macro: its `sql/` file, and the parts of its header."""

    name: str
    kind: str  # VIEW, MACRO or MACRO TABLE, as in COMMENT ON
    schema: str
    signature: str
    contract: str
    example: str
    expected: str
    sql: str
    columns: dict[str, str] = field(hash=False)  # the columns of a view that the header describes

    @property
    def is_public_macro(self) -> bool:
        """Whether this is a macro that people call."""
        return self.kind != "VIEW" and self.schema == "main"


@cache
def full_sql(each: SqlObject) -> str:
    """The statement that creates a view or macro in a file. A public macro checks which atlas is used."""
    sql = full_names(each.sql)
    return guard(sql, once=each.name not in ARGUMENTS) if each.is_public_macro else sql


# Macros that are written as arguments of others, which repeat their arguments many times.
ARGUMENTS = ("signature_genes", "signature_weights")
FOLDERS = ("views", "macros/internal", "macros")


@cache
def read_object(folder: str, name: str) -> SqlObject:
    """Read a view or macro. Its header has a signature, a contract and an example `query --> value`, in this order."""
    sql = statement(f"{folder}/{name}")
    header = [line[2:].strip() for line in sql.splitlines() if line.startswith("--")]
    text = "\n".join(header)
    head = re.match(r"(?P<signature>.*?-> .*?)\n(?P<contract>.*)\nExample: (?P<example>.*)", text, re.DOTALL)
    create = re.search(r"^CREATE OR REPLACE (?P<kind>\w+) (?:(?P<schema>\w+)\.)?(?P<name>\w+)", sql, re.MULTILINE)
    if head is None or create is None:
        raise ValueError(
            f"sql/{folder}/{name}.sql must have a header (signature, contract, Example) and CREATE OR REPLACE"
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
    """All views and macros, sorted so that a macro comes after the macros that it calls, as DuckDB requires."""
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
    """Create or replace all views and macros in the current database, and comment on them and on all tables."""
    comment_tables(con)
    create(con, *objects(), atlas=atlas_id(con) or renew(con))


def name_atlas(con: duckdb.DuckDBPyConnection) -> None:
    """Give the atlas in the current database an id of its own, after it was copied from another."""
    create(con, *(each for each in objects() if each.is_public_macro), atlas=renew(con))


def comment_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Comment on all tables and their columns, including columns of the studies' obs if they are not too many.

    In a file that shows a lake, the tables are views, and COMMENT ON must name them so.
    """
    comments = statement("comments")
    for (table,) in run_statement(con, "atlas/inspect.shows_lake"):
        comments = comments.replace(f" TABLE sigdb_data.{table} IS", f" VIEW sigdb_data.{table} IS")
    con.execute(comments)
    for (column,) in run_statement(con, "atlas/inspect.obs_columns"):
        target = exp.column(column, "cell_data", "sigdb_data", quoted=True)
        comment(con, "COLUMN", target, "Column of the studies' obs, unchanged.")


def create(con: duckdb.DuckDBPyConnection, *chosen: SqlObject, atlas: str = "") -> None:
    """Create or replace views and macros in the current database; comment on them and on the columns of the views.

    atlas: the id of the atlas, which public macros need (see `identity`).
    """
    for each in chosen:
        con.execute(full_sql(each).replace(PLACEHOLDER, atlas) if each.is_public_macro else full_sql(each))
        comment(con, each.kind, exp.table_(each.name, db=each.schema), f"{each.signature}\n{each.contract}")
    views = {each.name: each for each in chosen if each.kind == "VIEW"}
    if not views:
        return
    # In one query, because listing columns makes DuckDB bind every view.
    for view, column, base_comment in run_statement(con, "atlas/inspect.view_columns", {"views": list(views)}):
        if text := views[view].columns.get(column, base_comment):
            comment(con, "COLUMN", exp.column(column, view, quoted=True), text)


def comment(con: duckdb.DuckDBPyConnection, kind: str, target: exp.Expr, text: str) -> None:
    """COMMENT ON an object of the current database."""
    con.execute(exp.Comment(this=target, kind=kind, expression=exp.Literal.string(text)).sql("duckdb"))
