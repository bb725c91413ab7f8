"""Which statements a query may be: exactly one, which only reads."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import duckdb

from sigdb.serve.limits import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_reads"]

# The longest statement. A signature of 10,000 genes with weights has some 200,000 characters.
LONGEST = 1_000_000
ALLOWED = (
    "A query here is one statement that reads: SELECT, FROM, WITH, VALUES, PIVOT, DESCRIBE, SUMMARIZE, SHOW or EXPLAIN."
)
# How a PIVOT may begin that takes its columns from the data. DuckDB makes two statements of it, and hides the second.
PIVOTS = {"(", "FROM", "PIVOT", "PIVOT_WIDER", "SELECT", "WITH"}
# What may write in a WITH of DuckDB 2. Such a part begins after a bracket; a column of this name needs quotes there.
WRITES = re.compile("COPY|DELETE|INSERT|MERGE|TRUNCATE|UPDATE", re.IGNORECASE)
OPTIONS = re.compile(r"\([^()]*\)")
WORD = re.compile(rb"\w+|.", re.DOTALL)


def check_reads(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raise Refused unless a text is one statement that reads."""
    if len(sql) > LONGEST:
        raise Refused("too_large", f"The query has {len(sql):,} characters. The limit is {LONGEST:,}.")
    if any("\ud800" <= each <= "\udfff" for each in sql):
        raise Refused("bad_query", "The query has half of a character (a surrogate of UTF-16 without the other one).")
    kinds = kinds_of(con, sql)
    if not kinds:
        raise Refused("bad_query", f"There is no statement. {ALLOWED}")
    if len(kinds) > 1:
        raise Refused("bad_query", f"These are {len(kinds)} statements. {ALLOWED}")
    if kinds == ["EXPLAIN"]:
        kinds = explained(con, sql)
    if kinds != ["SELECT"]:
        raise Refused("forbidden", f"{kinds[0]} is not allowed. {ALLOWED}")
    if found := writing(sql):
        raise Refused("forbidden", f"{found} in a CTE (WITH) is not allowed. {ALLOWED} A column {found} needs quotes.")


def kinds_of(con: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """The kinds of the statements of a text.

    DuckDB makes several statements of a PIVOT that takes its columns from the data. They are one SELECT here if nothing
    else stands beside them: DuckDB 2 has one of the kind MULTI then, and DuckDB 1.4 several without a text.
    """
    found = con.extract_statements(sql)
    kinds = [each.type.name for each in found]
    try:
        is_pivot = kinds == ["MULTI"] or (len(found) > 1 and not any(each.query for each in found))
    except IndexError:  # DuckDB 1.4 looks in an empty text for a PIVOT that stands after another one
        is_pivot = False
    return ["SELECT"] if is_pivot and next(words(sql)) in PIVOTS else kinds


def writing(sql: str) -> str | None:
    """The first word after a bracket that may write; None if there is none."""
    if not WRITES.search(sql):  # the words of a long statement take long to find
        return None
    return next((word for last, word in pairwise(words(sql)) if last in ("(", ")") and WRITES.fullmatch(word)), None)


def explained(con: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """The kind of the statement that stands after EXPLAIN, ANALYZE and options in brackets. EXPLAIN ANALYZE runs it."""
    rest = after_word(sql)
    if next(words(rest)) == "ANALYZE":
        rest = after_word(rest)
    for text in (rest, OPTIONS.sub("", rest, count=1)):
        with suppress(duckdb.ParserException):
            kinds = [each.type.name for each in con.extract_statements(text)]
            return kinds if kinds == ["SELECT"] else [f"{kind} after EXPLAIN" for kind in kinds]
    return ["EXPLAIN"]


def tokens(text: bytes) -> list[int]:
    """Where the words and signs of a text start, without comments. DuckDB counts in bytes of UTF-8."""
    return [start for start, kind in duckdb.tokenize(text.decode()) if kind.name != "comment"]


def after_word(sql: str) -> str:
    """A text without its first word."""
    text = sql.encode()
    return text[tokens(text)[1] :].decode()


def words(sql: str) -> Iterator[str]:
    """The words of a text in capitals, and its signs one by one, without comments."""
    text = sql.encode()
    for start in tokens(text):
        found = WORD.match(text, start)
        yield found[0].decode(errors="replace").upper() if found else ""
