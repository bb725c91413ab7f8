"""Values as SQL literals: the one place that writes a value into SQL text.

Values are bound as parameters wherever DuckDB takes parameters. It takes none in ATTACH and SET, and an `Answer` shows
SQL that runs without them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sigdb.errors import QueryError

__all__ = ["literal"]

# DuckDB reads a number with a point as DECIMAL. With this many digits, it becomes the right DOUBLE nevertheless.
EXACT_DIGITS = 15


def literal(value: Any) -> str:
    """A value as a SQL literal of DuckDB: a text, number, truth value, list or map of these, or None.

    Numbers of numpy are taken too. Raises QueryError for anything else.
    """
    if hasattr(value, "tolist"):  # of numpy
        value = value.tolist()
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).upper()
        case int():
            return str(value)
        case float():
            return number(value)
        case str():
            return text(value)
        case list() | tuple():
            return f"[{', '.join(map(literal, value))}]"
        case Mapping():
            return f"MAP {{{', '.join(f'{literal(key)}: {literal(each)}' for key, each in value.items())}}}"
    raise QueryError(f"{value!r:.80} cannot be written in SQL. Give a text, a number, a list or a dictionary of these.")


def number(value: float) -> str:
    """A float as a literal. DuckDB reads a number with an exponent as DOUBLE."""
    if not math.isfinite(value):
        return f"'{value}'::DOUBLE"
    shown = repr(value)
    is_exact = "e" in shown or sum(map(str.isdigit, shown)) <= EXACT_DIGITS
    return shown if is_exact else f"{shown}e0"


def text(value: str) -> str:
    """A text as a literal. DuckDB has no character 0 in a literal, so chr(0) stands for it."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise QueryError(f"{value!r:.80} cannot be written in SQL: it is not valid Unicode.") from error
    parts = ["'" + part.replace("'", "''") + "'" for part in value.split("\0")]
    return parts[0] if len(parts) == 1 else f"({' || chr(0) || '.join(parts)})"
