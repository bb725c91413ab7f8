"""Which statements a query may be: exactly one, which only reads."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

import duckdb

from sigdb.serve.limits import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["check_reads"]

# The longest statement. A signature of 10,000 genes with weights has some 200,000 characters.
LONGEST = 1_000_000
ALLOWED = (
    "A query here is one statement that reads: SELECT, FROM, WITH, VALUES, PIVOT, DESCRIBE, SUMMARIZE, SHOW or EXPLAIN."
)
# How a PIVOT may begin that takes its columns from the data. DuckDB makes two statements of it, and hides the second.
PIVOTS = {"(", "FROM", "PIVOT", "PIVOT_WIDER", "SELECT", "WITH"}
OPTIONS = re.compile(r"\([^()]*\)")


def check_reads(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raise Refused unless a text is one statement that reads."""
    if len(sql) > LONGEST:
        raise Refused("too_large", f"The query has {len(sql):,} characters. The limit is {LONGEST:,}.")
    found = con.extract_statements(sql)
    kinds = [each.type.name for each in found]
    if not found:
        raise Refused("bad_query", f"There is no statement. {ALLOWED}")
    if is_generated(found):
        kinds = ["SELECT"] if next(words(sql)).upper() in PIVOTS else kinds
    if len(kinds) > 1:
        raise Refused("bad_query", f"These are {len(kinds)} statements. {ALLOWED}")
    if kinds == ["EXPLAIN"]:
        kinds = explained(con, sql)
    if kinds != ["SELECT"]:
        raise Refused("forbidden", f"{kinds[0]} is not allowed. {ALLOWED}")


def is_generated(found: Sequence[duckdb.Statement]) -> bool:
    """Whether DuckDB made several statements of one: a PIVOT. They have no text then, or are one of the kind MULTI."""
    return found[0].type.name == "MULTI" or (len(found) > 1 and all(not each.query for each in found))


def explained(con: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """The kind of the statement that stands after EXPLAIN, ANALYZE and options in brackets. EXPLAIN ANALYZE runs it."""
    starts = [start for start, _ in tokens(sql)]
    rest = sql[starts[1] :]
    if next(words(rest)).upper() == "ANALYZE":
        rest = sql[starts[2] :]
    for text in (rest, OPTIONS.sub("", rest, count=1)):
        with suppress(duckdb.ParserException):
            kinds = [each.type.name for each in con.extract_statements(text)]
            return kinds if kinds == ["SELECT"] else [f"{kind} after EXPLAIN" for kind in kinds]
    return ["EXPLAIN"]


def tokens(sql: str) -> Iterator[tuple[int, str]]:
    """Where the words and signs of a text start, and their kinds, without comments."""
    for start, kind in duckdb.tokenize(sql):
        if kind.name != "comment":
            yield start, kind.name


def words(sql: str) -> Iterator[str]:
    """The words of a text, and its signs one by one, without comments."""
    for start, _ in tokens(sql):
        found = re.match(r"\w+|.", sql[start:], re.DOTALL)
        yield found[0] if found else ""
