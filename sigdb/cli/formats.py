"""The formats of a result, and how each is written: row by row, so that memory does not grow with the result."""

from __future__ import annotations

import json
import re
from collections import Counter
from html import escape
from itertools import chain
from typing import TYPE_CHECKING, Any

from sigdb.cli.options import Format
from sigdb.cli.tables import GAP, make_columns, table_lines
from sigdb.errors import OptionError, nearest
from sigdb.text import printable
from sigdb.values import to_json, write_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import TextIO

    Rows = Iterator[list[tuple[Any, ...]]]

__all__ = ["WRITERS", "format_of", "to_json"]

SUFFIXES = {
    ".csv": Format.csv,
    ".tsv": Format.tsv,
    ".json": Format.json,
    ".ndjson": Format.ndjson,
    ".jsonl": Format.ndjson,
    ".parquet": Format.parquet,
    ".md": Format.md,
    ".html": Format.html,
    ".htm": Format.html,
    ".txt": Format.table,
}


def format_of(form: Format | str | None, output: Path | None) -> Format:
    """The format of a result: the one that was asked for, or that of the suffix of the file, or a table."""
    if form is not None:
        form = Format(form)
    elif output is None:
        form = Format.table
    elif (form := SUFFIXES.get(output.suffix.lower())) is None:
        hint = nearest(output.suffix.lower(), SUFFIXES)
        raise OptionError(
            f"The name {output.name} does not say in which format to write.{hint} Known suffixes are "
            f"{', '.join(SUFFIXES)}. Or name the format: --format {'|'.join(Format)}."
        )
    if form is Format.parquet and output is None:
        raise OptionError("Parquet cannot be printed. Name a file with --output FILE.")
    return form


def write_tsv(names: Sequence[str], batches: Rows, file: TextIO) -> None:
    """Write CSV with tabs."""
    write_csv(names, batches, file, "\t")


def write_json(names: Sequence[str], batches: Rows, file: TextIO) -> None:
    """Write a JSON list of objects, one per line."""
    separator = "[\n"
    for line in json_lines(names, batches):
        file.write(separator + line)
        separator = ",\n"
    file.write("[]\n" if separator == "[\n" else "\n]\n")


def write_ndjson(names: Sequence[str], batches: Rows, file: TextIO) -> None:
    """Write one JSON object per line."""
    file.writelines(f"{line}\n" for line in json_lines(names, batches))


def json_lines(names: Sequence[str], batches: Rows) -> Iterator[str]:
    """Each row as a JSON object."""
    keys = unique_names(names)
    for rows in batches:
        for row in rows:
            yield json.dumps({name: to_json(value) for name, value in zip(keys, row, strict=True)}, allow_nan=False)


def unique_names(names: Sequence[str]) -> list[str]:
    """Column names, where a repeated name is numbered as DuckDB does: `study`, `study_1`."""
    seen: Counter[str] = Counter()
    keys = []
    for name in names:
        keys.append(f"{name}_{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return keys


def write_text(names: Sequence[str], batches: Rows, file: TextIO) -> None:
    """Write a table as text. Later rows keep the widths of the first ones, or make columns wider."""
    widths: list[int] = [0] * len(names)
    for number, rows in enumerate(chain([next(batches, [])], batches)):
        table = make_columns(names, rows)
        widths = [max(each) for each in zip(widths, (column.width for column in table), strict=True)]
        header, *body = table_lines(table, widths)
        if number == 0:
            body = [header, "─" * (sum(widths) + GAP * (len(names) - 1)), *body]
        file.writelines(f"{line}\n" for line in body)


# What Markdown could take for markup. An underscore within a word is none.
MARKUP = re.compile(r"[\\`*\[\]<>|~&$]|(?<![^\W_])_|_(?![^\W_])")


def write_markdown(names: Sequence[str], batches: Rows, file: TextIO) -> None:
    """Write a table of GitHub Flavored Markdown. Names from data are no markup in it."""
    first = next(batches, [])
    rule = ["--:" if column.is_number else "---" for column in make_columns(names, first)]

    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |\n"

    file.write(line(map(to_markdown, names)) + line(rule))
    for rows in chain([first], batches):
        columns = [[to_markdown(cell) for cell in column.cells] for column in make_columns(names, rows)]
        file.writelines(map(line, zip(*columns, strict=True)))


def to_markdown(text: str) -> str:
    """A text that Markdown shows as it is."""
    return MARKUP.sub(r"\\\g<0>", printable(text).strip())


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>sigdb</title>
<style>
body { font-family: Helvetica, Arial, sans-serif; font-size: 14px }
table { border-collapse: collapse }
th { position: sticky; top: 0; background: white; text-align: left }
th, td { padding: 2px 10px; border-bottom: 1px solid #ddd }
.n { text-align: right; white-space: pre; font-variant-numeric: tabular-nums }
</style>
<table>
"""


def write_html(names: Sequence[str], batches: Rows, file: TextIO) -> None:
    """Write a page with one table. Names from data are no tags in it."""
    first = next(batches, [])
    marks = [' class="n"' if column.is_number else "" for column in make_columns(names, first)]

    def line(tag: str, cells: Iterable[str]) -> str:
        shown = (f"<{tag}{mark}>{escape(cell)}</{tag}>" for mark, cell in zip(marks, cells, strict=True))
        return f"<tr>{''.join(shown)}</tr>\n"

    file.write(PAGE + line("th", map(printable, names)))
    for rows in chain([first], batches):
        columns = [column.cells for column in make_columns(names, rows)]
        file.writelines(line("td", row) for row in zip(*columns, strict=True))
    file.write("</table>\n</html>\n")


WRITERS: dict[Format, Callable[[Sequence[str], Rows, TextIO], None]] = {
    Format.table: write_text,
    Format.csv: write_csv,
    Format.tsv: write_tsv,
    Format.json: write_json,
    Format.ndjson: write_ndjson,
    Format.md: write_markdown,
    Format.html: write_html,
}
