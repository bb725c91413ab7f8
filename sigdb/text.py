"""Names from files as text that is safe to show: on a terminal, in a chart and in a page."""

from __future__ import annotations

import re

__all__ = ["ordinal", "printable"]

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


def ordinal(number: float) -> str:
    """Write a number as its place: 1st, 2nd, 11th, 95th, 99.5th."""
    text = f"{number:g}"
    is_th = "." in text or text[-2:] in ("11", "12", "13")
    return text + ("th" if is_th else {"1": "st", "2": "nd", "3": "rd"}.get(text[-1], "th"))
