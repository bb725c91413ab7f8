"""The catalogue of Postgres, which clients read to list tables and columns: their queries, over DuckDB's catalogue.

A query of a client is parsed as Postgres and written for DuckDB. Each table of `pg_catalog` becomes a statement of
`sql/serve/pg_catalog`. A table that is not there is empty, and a column that is not there is NULL.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, cast

import sqlglot
from sqlglot import exp

from sigdb.statements import statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["as_duckdb", "catalogue_columns"]

# The tables of `sql/serve/pg_catalog`.
TABLES = {
    *("pg_attribute", "pg_class", "pg_database", "pg_description"),
    *("pg_namespace", "pg_roles", "pg_tables", "pg_type"),
}
# What a query about the connection or the catalogue has in its text.
HINT = re.compile(r"\bpg_|\b(current_user|session_user|current_setting|set_config)\b|\bversion\s*\(", re.IGNORECASE)
# Functions about the connection.
CONNECTION = {"current_user", "session_user", "pg_backend_pid", "version"}
# The functions of `sql/serve/pg_functions.sql`. Any other function called pg_... returns NULL.
FUNCTIONS = {
    *("col_description", "format_type", "has_database_privilege", "has_schema_privilege", "has_table_privilege"),
    *("obj_description", "pg_encoding_to_char", "pg_function_is_visible", "pg_get_userbyid", "pg_table_is_visible"),
    *("pg_type_is_visible", "set_config", "to_regtype"),
}
# Types that are written differently in DuckDB. Other types of the catalogue, such as regtype, are left out.
TYPES = {"oid": "BIGINT", "name": "VARCHAR", "char": "VARCHAR", "text": "VARCHAR", "int8": "BIGINT", "int4": "INTEGER"}


def as_duckdb(sql: str, facts: Mapping[str, str]) -> str:
    """A query about the catalogue or the connection as DuckDB runs it; any other text as it is.

    `facts` are what functions about the connection return (version, current_user, pg_backend_pid), and the settings
    that current_setting returns.
    """
    tree = parse_postgres(sql)
    if tree is None:
        return sql
    name_functions(tree)
    named = tree.copy()
    for node in reversed(list(tree.bfs())):  # what is inside first
        new = replace_cast(replace_operator(replace_function(unqualify(node), facts)))
        if new is not node:
            node.replace(new)
    replace_tables(tree)
    return sql if tree == named else tree.sql("duckdb", comments=False)


def catalogue_columns(sql: str) -> list[str] | None:
    """The names of the columns of a query about nothing but the catalogue; None for any other text."""
    tree = parse_postgres(sql)
    tables = [each for each in tree.find_all(exp.Table) if isinstance(each.this, exp.Identifier)] if tree else []
    return tree.named_selects if tree and tables and all(map(is_catalogue, tables)) else None


def parse_postgres(sql: str) -> exp.Query | None:
    """The syntax tree of a query that may be about the catalogue or the connection; None for any other text."""
    with suppress(sqlglot.errors.SqlglotError):
        tree = sqlglot.parse_one(sql, dialect="postgres") if HINT.search(sql) else None
        return tree if isinstance(tree, exp.Query) else None
    return None


def catalogue_statement(name: str) -> exp.Query:
    """The syntax tree of a statement of `sql/`."""
    tree = sqlglot.parse_one(statement(name), dialect="duckdb")
    assert isinstance(tree, exp.Query)
    return tree


def name_functions(tree: exp.Query) -> None:
    """Name the results of functions by the functions, as Postgres does."""
    for each in tree.selects:
        function = each.expression if isinstance(each, exp.Dot) else each
        if isinstance(function, exp.Func) and not isinstance(function, exp.Cast):
            each.replace(exp.alias_(each.copy(), name_of(function)))


def name_of(function: exp.Func) -> str:
    """The name of a function in lower case."""
    name = (function.name if isinstance(function, exp.Anonymous) else function.sql_name()).lower()
    return {"current_version": "version"}.get(name, name)


def unqualify(node: exp.Expr) -> exp.Expr:
    """A function or a column without the schema pg_catalog."""
    if isinstance(node, exp.Dot) and node.this.name == "pg_catalog":
        return cast("exp.Expr", node.expression)
    if isinstance(node, exp.Column) and node.db == "pg_catalog":
        return exp.column(node.this, table=node.args["table"])
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Func):
        return exp.Table(this=node.this, alias=node.args.get("alias"), joins=node.args.get("joins"))
    return node


def replace_function(node: exp.Expr, facts: Mapping[str, str]) -> exp.Expr:
    """A function of Postgres about the connection or the catalogue, by its value; other nodes as they are."""
    if not isinstance(node, exp.Func) or isinstance(node, exp.Cast):
        return node
    name = name_of(node)
    if name in CONNECTION:
        return exp.Literal.string(facts[name.replace("session", "current")])
    if name == "current_setting":
        return exp.Literal.string(facts.get(node.expressions[0].name.lower(), ""))
    if name == "json_build_object":
        return exp.Anonymous(this="json_object", expressions=node.expressions)
    if name in FUNCTIONS:
        return call(name, node.expressions)
    return unknown(node) if name.startswith("pg_") else node


def unknown(function: exp.Func) -> exp.Expr:
    """NULL for a function that is not known. A parameter in it must stay, because the client binds it."""
    parameter = function.find(exp.Parameter)
    return exp.Nullif(this=parameter.copy(), expression=parameter.copy()) if parameter else exp.null()


def call(name: str, arguments: Sequence[exp.Expr]) -> exp.Expr:
    """A function of `sql/serve/pg_functions.sql` with its arguments."""
    body = catalogue_statement(f"serve/pg_functions.{name}")

    def fill(node: exp.Expr) -> exp.Expr:
        return arguments[int(node.name) - 1].copy() if isinstance(node, exp.Placeholder) else node

    return exp.paren(body.transform(fill), copy=False)


def replace_operator(node: exp.Expr) -> exp.Expr:
    """OPERATOR(pg_catalog.~) by the operator, and a text without its collation."""
    if isinstance(node, exp.Collate):
        return cast("exp.Expr", node.this)
    if isinstance(node, exp.Operator):
        name = node.args["operator"].split(".")[-1]
        kind = exp.RegexpILike if name.endswith("*") else exp.RegexpLike
        matches = kind(this=node.this, expression=node.expression)
        return exp.not_(matches) if name.startswith("!") else matches
    return node


def replace_cast(node: exp.Expr) -> exp.Expr:
    """A cast to a type of the catalogue by one to a type of DuckDB; the name of a table by its number."""
    if not isinstance(node, exp.Cast):
        return node
    *schema, name = node.to.sql(dialect="postgres").lower().replace('"', "").split(".")
    inner: exp.Expr = node.this
    if name == "regclass" and isinstance(inner, exp.Literal):
        return call(name, [exp.Literal.string(inner.name.replace('"', ""))])
    if name == "regclass" and isinstance(inner, exp.Parameter):
        return call(name, [inner])
    if name in TYPES:
        return exp.cast(inner, TYPES[name], dialect="duckdb")
    return inner if schema or name.startswith("reg") else node


def replace_tables(tree: exp.Query) -> exp.Query:
    """The tables of pg_catalog by statements. A table that is not known is empty."""
    columns = list(tree.find_all(exp.Column))
    tables = [each for each in tree.find_all(exp.Table) if is_catalogue(each)]
    # A column without the name of its table belongs to the first table that is not known, unless a known table has it.
    first = {id(each.parent_select): each for each in reversed(tables) if each.name not in TABLES}
    known = {name for each in tables if each.name in TABLES for name in columns_of(each.name)}
    for table in tables:
        names = {each.name for each in columns if each.table == table.alias_or_name}
        if first.get(id(table.parent_select)) is table:
            here = [each.name for each in columns if not each.table and each.parent_select is table.parent_select]
            names |= set(here) - known
        rows = rows_of(table.name, names).subquery(table.alias_or_name)
        rows.set("joins", table.args.get("joins"))
        table.replace(rows)
    return tree


def rows_of(table: str, columns: set[str]) -> exp.Select:
    """The rows of a table of pg_catalog, with these columns. A column that is not known is NULL."""
    missing = sorted(columns - columns_of(table)) if table in TABLES else sorted(columns)
    nulls = [exp.alias_(exp.null(), name, quoted=True) for name in missing]
    if table not in TABLES:
        return exp.select(*nulls or [exp.null()]).where(exp.false())
    return exp.select("*", *nulls).from_(catalogue_statement(f"serve/pg_catalog/{table}").subquery("known"))


@cache
def columns_of(table: str) -> set[str]:
    """The columns of a known table of pg_catalog."""
    return set(catalogue_statement(f"serve/pg_catalog/{table}").named_selects)


def is_catalogue(table: exp.Table) -> bool:
    """Whether a table is one of pg_catalog, which needs no schema before its name."""
    return isinstance(table.this, exp.Identifier) and (
        table.db == "pg_catalog" or (not table.db and table.name.startswith("pg_"))
    )
