"""What the command line prints: tables for people, csv and json for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sigdb.errors import QueryError, message
from sigdb.statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import TextIO

    import duckdb

__all__ = ["Format", "console", "dump", "print_table", "problem", "show"]

BATCH = 10_000
SHOWN = 200

# Off a terminal there is no width to fit: a table in a log or a pipe should not lose columns.
# Names come from users' files: no markup in what is printed, or `[/x]` in a name would be one.
console = Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False)
errors = Console(stderr=True, width=None if sys.stderr.isatty() else 120, highlight=False, markup=False)


class Format(StrEnum):
    """How `sigdb sql` and its kin write their result."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def problem(error: Exception | str) -> None:
    """Print an error as one readable paragraph."""
    errors.print(Text.assemble(("Error: ", "bold red"), message(error)))


def batches(con: duckdb.DuckDBPyConnection) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of the statement just executed, some at a time."""
    while rows := con.fetchmany(BATCH):
        yield rows


def dump(
    con: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any], form: Format, output: Path | None
) -> None:
    """Run a query and write its result, to a file or to standard output, in bounded memory."""
    if not query.strip():
        raise QueryError("There is no query.")
    if form is Format.parquet:
        if output is None:
            raise QueryError("Parquet is not for the terminal: say where to with --output FILE.")
        result = con.sql(query, params=parameters or None)
        if result is None:  # DuckDB 1.x, of a statement without rows
            raise QueryError("This statement has no result to write.")
        result.write_parquet(str(output))
        return
    con.execute(query, parameters)
    if output is None:
        write_rows(con, form, sys.stdout)
    else:
        with output.open("w", encoding="utf-8", newline="") as file:
            write_rows(con, form, file)


def write_rows(con: duckdb.DuckDBPyConnection, form: Format, file: TextIO) -> None:
    """Write the rows of the statement just executed as csv, json or a table."""
    names = [column[0] for column in con.description or []]
    if form is Format.csv:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for rows in batches(con):
            writer.writerows([nested(value) for value in row] for row in rows)
    elif form is Format.json:
        separator = "[\n"
        keys = unique(names)
        for rows in batches(con):
            for row in rows:
                values = {key: plain(value) for key, value in zip(keys, row, strict=True)}
                file.write(separator + json.dumps(values, allow_nan=False))
                separator = ",\n"
        file.write("[]\n" if separator == "[\n" else "\n]\n")
    else:
        rows = con.fetchmany(SHOWN + 1)
        out = console if file is sys.stdout else Console(file=file, width=160)
        print_table(names, rows[:SHOWN], out=out)
        more = " The first are shown; --format csv gives all." if len(rows) > SHOWN else ""
        out.print(f"{'over ' if more else ''}{min(len(rows), SHOWN)} row{'' if len(rows) == 1 else 's'}.{more}")


def unique(names: Sequence[str]) -> list[str]:
    """Column names, a repeated one numbered as DuckDB does: `study`, `study_1`."""
    seen: Counter[str] = Counter()
    keys = []
    for name in names:
        keys.append(f"{name}_{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return keys


def plain(value: Any) -> Any:
    """A value as JSON knows it: NaN and infinity are null, dates text, bytes hexadecimal."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def nested(value: Any) -> Any:
    """A value as CSV holds it: lists and structs as JSON."""
    return json.dumps(plain(value)) if isinstance(value, list | tuple | dict) else value


def print_table(
    names: Sequence[str], rows: Sequence[Sequence[Any]], *, grouped: bool = False, out: Console = console
) -> None:
    """Print a table for people: numbers to the right, four significant digits; thousands set apart if `grouped`.

    A row is a line: where a terminal is too narrow it wraps the line, which can be read, and not every cell.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, name in enumerate(names):
        numeric = any(isinstance(row[index], int | float | Decimal) for row in rows)
        table.add_column(Text(name), justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell(value, grouped=grouped)) for value in row))
    width = max(out.width, Console(width=10_000).measure(table).maximum)
    Console(file=out.file, width=width, force_terminal=out.is_terminal, highlight=False).print(table)


def cell(value: Any, *, grouped: bool) -> str:
    """One value, as a table shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal):
        return f"{value:.4g}"
    if isinstance(value, int) and grouped:
        return f"{value:,}"
    return str(value)


def show(
    con: duckdb.DuckDBPyConnection,
    title: str,
    query: str,
    parameters: dict[str, object] | None = None,
    *,
    across: bool = False,
) -> None:
    """Print the result of a shipped query as a table; `across`: its rows side by side, named by their first column."""
    rows = con.execute(statement(query), parameters or {}).fetchall()
    console.print(Text(title, style="bold"), end="\n\n")
    names = [column[0] for column in con.description or []]
    if across:
        names, rows = (
            ["", *(str(row[0]) for row in rows)],
            list(zip(names[1:], *(row[1:] for row in rows), strict=True)),
        )
    print_table(names, rows, grouped=True)
    console.print()
