"""Values as text that is safe to show: on a terminal, in a chart and in a page."""

from __future__ import annotations

import re
from decimal import Decimal
from math import isfinite
from typing import Any

__all__ = ["count", "describe_read", "format_number", "format_value", "ordinal", "percent", "printable"]

# Characters that a terminal obeys instead of showing them, that turn text around, or that no font and no XML has.
UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]"
)


def printable(text: str, *, keep: str = "") -> str:
    r"""Write unprintable characters as escapes, such as \x1b; `keep`: characters that stay as they are."""

    def escape(found: re.Match[str]) -> str:
        character = found[0]
        return character if character in keep else character.encode("unicode_escape").decode()

    return UNPRINTABLE.sub(escape, text)


def format_value(value: Any, *, grouped: bool = True) -> str:
    """A value for a reader; nothing for NULL. grouped: commas separate the thousands of an integer."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}" if grouped else str(value)
    if isinstance(value, float | Decimal):
        return format_number(float(value))
    if isinstance(value, list):
        pairs = all(isinstance(each, tuple) for each in value)
        return printable(", ".join(" ".join(map(str, each)) if pairs else str(each) for each in value))
    return printable(str(value))


def format_number(value: float) -> str:
    """A number for a reader: four significant digits, but no digit before the point is lost.

    Only numbers below 0.0001, and those of 16 digits, have an exponent: 2,241 and 0.00052, but 1.2e-07.
    """
    # From here on, four significant digits leave nothing behind the point.
    whole = isfinite(value) and 999.95 <= abs(value) < 1e15
    return f"{value:,.0f}" if whole else f"{value:.4g}"


def count(n: int, noun: str) -> str:
    """A number of things: 1 row, 2 rows, 1,000 studies."""
    return f"{n:,} {noun if n == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Several things: rows, studies."""
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"


def percent(part: float) -> str:
    """A part of 1 as a percentage."""
    return f"{part:.0%}" if part >= 0.1 or part == 0 else f"{part:.1%}"


def describe_read(median_read: float, median_expressed: float, share_cut: float) -> str:
    """How many expressed genes of a cell a model reads. share_cut: the part of the cells of which it reads not all."""
    return f"median {median_read:,.0f} of {median_expressed:,.0f}; {percent(share_cut)} of cells cut"


def ordinal(number: float) -> str:
    """Write a number as its place: 1st, 2nd, 11th, 95th, 99.5th."""
    text = f"{number:g}"
    is_th = "." in text or text[-2:] in ("11", "12", "13")
    return text + ("th" if is_th else {"1": "st", "2": "nd", "3": "rd"}.get(text[-1], "th"))
