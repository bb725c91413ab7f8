"""Which atlas a macro belongs to.

DuckDB looks for the names in the body of a macro in the database that the caller uses, not in the database of the
macro: under `USE one`, other.signature_score(...) would read the tables of `one`. So every atlas has an id, and each of
its public macros calls an internal macro whose name ends with this id. In another atlas, that macro does not exist, and
DuckDB's error shows its name, which says what to do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import uuid4

import sqlglot
from sqlglot import TokenType

from sigdb.statements import run_statement, statement

if TYPE_CHECKING:
    import duckdb

__all__ = ["PLACEHOLDER", "atlas_id", "guard", "renew"]

# Stands for the id of an atlas in SQL.
PLACEHOLDER = "atlas_id"

# What may follow the condition of WHERE.
AFTER_WHERE = (
    *(TokenType.GROUP_BY, TokenType.HAVING, TokenType.QUALIFY, TokenType.WINDOW, TokenType.ORDER_BY, TokenType.LIMIT),
    TokenType.SEMICOLON,
)


def atlas_id(con: duckdb.DuckDBPyConnection) -> str | None:
    """The id of the atlas in the current database; None if it has none, or several."""
    ids = [name for (name,) in run_statement(con, "atlas/identity.ids") if re.fullmatch("atlas_[0-9a-f]{16}", name)]
    return ids[0] if len(ids) == 1 else None


def renew(con: duckdb.DuckDBPyConnection) -> str:
    """Give the atlas in the current database a new id. The caller creates the public macros again."""
    for (name,) in run_statement(con, "atlas/identity.ids"):
        if re.fullmatch("atlas_[0-9a-f]{16}", name):
            con.execute(statement("atlas/identity.drop").replace(PLACEHOLDER, name))
    new = f"atlas_{uuid4().hex[:16]}"
    con.execute(statement("atlas/identity.create").replace(PLACEHOLDER, new))
    return new


def guard(sql: str, *, once: bool) -> str:
    """Have a CREATE MACRO statement check, whenever the macro is called, that the caller uses the atlas PLACEHOLDER.

    once: whether to check as well that no copy of the atlas is attached. This makes the plan larger.
    """
    check = f"sigdb_data.use_the_atlas_before_its_macros_{PLACEHOLDER}()"
    if once:
        check += f" AND sigdb_data.is_attached_once_{PLACEHOLDER}()"
    head, start, body = re.split(
        r"(^(?:CREATE OR REPLACE MACRO .*)?\) AS(?: TABLE)?$|\) AS(?= ))", sql, maxsplit=1, flags=re.MULTILINE
    )
    if start.endswith(" TABLE"):
        return head + start + add_condition(body, check)
    return f"{head}{start} CASE WHEN {check} THEN ({body.rstrip().removesuffix(';')}) END;"


def add_condition(query: str, condition: str) -> str:
    """Add a condition to the WHERE of a query, or give it one."""
    depth, where, end = 0, None, len(query)
    for token in sqlglot.tokenize(query, dialect="duckdb"):
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth == 0 and token.token_type == TokenType.UNION:
            raise ValueError(f"A public macro must be one SELECT: {query}")
        if depth == 0 and token.token_type == TokenType.WHERE:
            where = token.end + 1
        elif depth == 0 and token.token_type in AFTER_WHERE:
            end = token.start
            break
    if where is None:
        return f"{query[:end]}\nWHERE {condition}\n{query[end:]}"
    return f"{query[:where]} {condition} AND ({query[where:end]}\n) {query[end:]}"
