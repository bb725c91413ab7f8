"""Values as JSON and CSV hold them."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO

__all__ = ["to_json", "write_csv"]


class UnixLines:
    """A file for `csv.writer` that ends lines with a line feed.

    Before Python 3.13, `csv.writer` quotes a carriage return in a value only if it ends its own lines with one.
    """

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, row: str) -> int:
        """Write a row that ends with a carriage return and a line feed."""
        return self.file.write(row.removesuffix("\r\n") + "\n")


def write_csv(
    names: Sequence[str], batches: Iterable[Iterable[Iterable[Any]]], file: TextIO, delimiter: str = ","
) -> None:
    """Write CSV."""
    writer = csv.writer(UnixLines(file), delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(names)
    for rows in batches:
        writer.writerows([to_csv(value) for value in row] for row in rows)


def to_json(value: Any) -> Any:
    """A value that JSON can hold: NaN and infinity become null, dates text, bytes hexadecimal."""
    if isinstance(value, dict):
        return {str(key): to_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(each) for each in value]
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def to_csv(value: Any) -> Any:
    """A value that CSV can hold: lists and structs become JSON."""
    return json.dumps(to_json(value)) if isinstance(value, list | tuple | dict) else value
