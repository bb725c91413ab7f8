"""The formats in which HTTP gives an answer."""

from __future__ import annotations

import io
import json
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa

from sigdb.values import to_json, write_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sigdb.serve.gate import Answered

__all__ = ["MEDIA_TYPES", "WRITERS", "format_of"]

MEDIA_TYPES = {
    "arrow": "application/vnd.apache.arrow.stream",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
}


def format_of(accept: str) -> str:
    """The format that a header Accept asks for: the first that is known, or else JSON."""
    by_type = {media_type.partition(";")[0]: name for name, media_type in MEDIA_TYPES.items()}
    wanted = (each.partition(";")[0].strip() for each in accept.split(","))
    return next((by_type[each] for each in wanted if each in by_type), "json")


def rows_of(answered: Answered) -> Iterator[list[tuple[Any, ...]]]:
    """The rows in batches, as Python values."""
    for batch in answered.batches():
        yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))


def write_arrow(answered: Answered, file: IO[bytes]) -> None:
    """Write a stream of Arrow IPC."""
    with pa.ipc.new_stream(file, answered.schema) as writer:
        for batch in answered.batches():
            writer.write_batch(batch)


def write_json(answered: Answered, file: IO[bytes]) -> None:
    """Write one object: the columns with their Arrow types, and the rows as lists."""
    columns = [{"name": field.name, "type": str(field.type)} for field in answered.schema]
    file.write(b'{"columns": %s,\n"rows": [' % json.dumps(columns).encode())
    separator = "\n"
    for rows in rows_of(answered):
        lines = (json.dumps([to_json(value) for value in row], allow_nan=False) for row in rows)
        file.write((separator + ",\n".join(lines)).encode())
        separator = ",\n"
    file.write(b"]}\n")


def write_as_csv(answered: Answered, file: IO[bytes]) -> None:
    """Write CSV with the names of the columns in the first line. NULL is empty; lists and structs are JSON."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    write_csv(answered.schema.names, rows_of(answered), text)
    text.detach()


WRITERS: dict[str, Callable[[Answered, IO[bytes]], None]] = {
    "arrow": write_arrow,
    "csv": write_as_csv,
    "json": write_json,
}
