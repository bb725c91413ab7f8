"""What the command line prints: tables for people, CSV and JSON for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from sigdb.cli.options import Format
from sigdb.cli.translate import translate
from sigdb.errors import QueryError, message
from sigdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import TextIO

    import duckdb
    import pyarrow as pa
    from rich.console import ConsoleOptions, RenderableType

    from sigdb.answers import Answer

__all__ = [
    "console",
    "dump",
    "dump_table",
    "errors",
    "print_error",
    "print_note",
    "print_notes",
    "print_query",
    "print_table",
    "print_warning",
    "write_finding",
]

# Rows that are read from DuckDB at a time.
BATCH = 10_000
# Rows that a table on the terminal shows.
SHOWN = 200


class Terminal(Console):
    """A console for text that comes from files: it shows control characters, and obeys none of them."""

    def __init__(self, **options: Any) -> None:
        # `[/x]` in a name must not be read as markup.
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects; texts with control characters as escapes, which rich would leave out."""
        super().print(*(shown(each) if isinstance(each, str) else each for each in objects), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of text, in which control characters are escapes."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else shown(segment.text)
            yield Segment(text, segment.style, segment.control)


def shown(text: str) -> str:
    """A text of one or more lines in which control characters are escapes."""
    return printable(text, keep="\n")


class UnixLines:
    """A file for `csv.writer` that ends lines with a line feed.

    Before Python 3.13, `csv.writer` quotes a carriage return in a value only if it ends its own lines with one.
    """

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, row: str) -> int:
        """Write a row that ends with a carriage return and a line feed."""
        return self.file.write(row.removesuffix("\r\n") + "\n")


# A log or a pipe has no width: a table there must not lose columns.
console = Terminal(width=None if sys.stdout.isatty() else 160)
errors = Terminal(stderr=True, width=None if sys.stderr.isatty() else 120)


def print_error(error: Exception | str) -> None:
    """Print an error as one readable paragraph."""
    errors.print(Text.assemble(("Error: ", "bold red"), shown(translate(message(error)))))


def print_warning(text: str) -> None:
    """Print a warning as one readable paragraph."""
    errors.print(Text.assemble(("Warning: ", "bold yellow"), shown(translate(text))))


def print_note(text: str, out: Console = console) -> None:
    """Print a sentence of the library; its parameters and calls become options and commands."""
    out.print(translate(text))


def write_finding(found: Answer, form: Format, output: Path | None, table: pa.Table | None = None) -> None:
    """Write the table of a finding, or another one, as `sigdb sql` does; then print its notes."""
    dump_table(found.table if table is None else table, form, output)
    print_notes(found.notes, form)


def print_notes(notes: Iterable[str], form: Format) -> None:
    """Print the notes of a result; to standard error if the result is for a program."""
    for note in notes:
        print_note(note, console if form is Format.table else errors)


def batches(con: duckdb.DuckDBPyConnection) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of the statement that was just executed, in batches."""
    while rows := con.fetchmany(BATCH):
        yield rows


def dump(
    con: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any], form: Format, output: Path | None
) -> None:
    """Run a query and write its result to a file or to standard output, in bounded memory."""
    if not query.strip():
        raise QueryError("There is no query.")
    if form is Format.parquet:
        if output is None:
            raise QueryError("Parquet cannot be printed. Name a file with --output FILE.")
        result = con.sql(query, params=parameters or None)
        if result is None:  # DuckDB 1.x, for a statement without rows
            raise QueryError("This statement has no result to write.")
        write_parquet(result, output)
        return
    con.execute(query, parameters)
    if output is None:
        write_rows(con, form, sys.stdout)
    else:
        with output.open("w", encoding="utf-8", newline="") as file:
            write_rows(con, form, file)


def write_parquet(result: duckdb.DuckDBPyRelation, output: Path) -> None:
    """Write a result to a Parquet file, on another connection: the connection to the atlas may write no file."""
    import duckdb
    import pyarrow as pa

    with duckdb.connect() as scratch:
        scratch.from_arrow(pa.RecordBatchReader.from_stream(result)).write_parquet(str(output))


def dump_table(table: pa.Table, form: Format, output: Path | None) -> None:
    """Write a table as `dump` writes the result of a query."""
    import duckdb

    from sigdb.statements import statement

    with duckdb.connect() as scratch:
        scratch.register("found", table)
        dump(scratch, statement("cli/ask.found"), {}, form, output)


def write_rows(con: duckdb.DuckDBPyConnection, form: Format, file: TextIO) -> None:
    """Write the rows of the statement that was just executed."""
    names = [column[0] for column in con.description or []]
    if form is Format.csv:
        writer = csv.writer(UnixLines(file), lineterminator="\r\n")
        writer.writerow(names)
        for rows in batches(con):
            writer.writerows([to_csv(value) for value in row] for row in rows)
    elif form is Format.json:
        write_json(con, unique_names(names), file)
    else:
        rows = con.fetchmany(SHOWN + 1)
        out = console if file is sys.stdout else Terminal(file=file, width=160)
        print_table(names, rows[:SHOWN], out=out)
        if len(rows) > SHOWN:
            out.print(f"The first {SHOWN} rows; --format csv prints all.")
        else:
            out.print(f"{len(rows)} row{'' if len(rows) == 1 else 's'}.")


def write_json(con: duckdb.DuckDBPyConnection, names: Sequence[str], file: TextIO) -> None:
    """Write the rows of the statement that was just executed as a JSON list of objects, one per line."""
    separator = "[\n"
    for rows in batches(con):
        for row in rows:
            values = {name: to_json(value) for name, value in zip(names, row, strict=True)}
            file.write(separator + json.dumps(values, allow_nan=False))
            separator = ",\n"
    file.write("[]\n" if separator == "[\n" else "\n]\n")


def unique_names(names: Sequence[str]) -> list[str]:
    """Column names, where a repeated name is numbered as DuckDB does: `study`, `study_1`."""
    seen: Counter[str] = Counter()
    keys = []
    for name in names:
        keys.append(f"{name}_{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return keys


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


def print_table(
    names: Sequence[str], rows: Sequence[Sequence[Any]], *, grouped: bool = False, out: Console = console
) -> None:
    """Print a table for people: numbers on the right, four significant digits; `grouped`: thousands are separated.

    Each row is one line. A narrow terminal wraps the line, not every cell.
    """
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, name in enumerate(names):
        numeric = any(isinstance(row[index], int | float | Decimal) for row in rows)
        table.add_column(Text(printable(name)), justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(to_text(value, grouped=grouped)) for value in row))
    width = max(out.width, Terminal(width=10_000).measure(table).maximum)
    Terminal(file=out.file, width=width, force_terminal=out.is_terminal).print(table)


def to_text(value: Any, *, grouped: bool) -> str:
    """A value as a table shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal):
        return f"{value:.4g}"
    if isinstance(value, int) and grouped:
        return f"{value:,}"
    return printable(str(value))


def print_query(
    con: duckdb.DuckDBPyConnection,
    title: str,
    name: str,
    parameters: dict[str, object] | None = None,
    *,
    transposed: bool = False,
) -> None:
    """Print the result of a named statement under a title; `transposed`: rows become columns."""
    from sigdb.statements import run_statement

    rows = run_statement(con, name, parameters)
    names = [column[0] for column in con.description or []]
    if transposed:
        names, rows = ["", *(str(row[0]) for row in rows)], [*zip(names[1:], *(row[1:] for row in rows), strict=True)]
    console.print(Text(title, style="bold"), end="\n\n")
    print_table(names, rows, grouped=True)
    console.print()
