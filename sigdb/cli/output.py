"""What the command line prints, and what it writes to files."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from io import TextIOBase
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from sigdb.cli.formats import WRITERS, format_of
from sigdb.cli.options import Format
from sigdb.cli.tables import write_table
from sigdb.cli.translate import translate
from sigdb.errors import QueryError, message
from sigdb.text import count, printable

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
    "is_for_people",
    "print_error",
    "print_note",
    "print_notes",
    "print_query",
    "print_table",
    "print_titled",
    "print_warning",
    "print_written",
    "show_rows",
    "write_finding",
]

# Rows that are read from DuckDB at a time.
BATCH = 10_000
# Rows that a table on the terminal shows.
SHOWN = 200
# The columns of EXPLAIN. A plan is a drawing in several lines.
PLAN = ["explain_key", "explain_value"]


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


class Escaped(TextIOBase):
    """Standard output for lines of data: control characters become escapes, and a terminal obeys none of them."""

    def write(self, text: str) -> int:
        """Write lines, whose values may be separated by tabs."""
        return sys.stdout.write(printable(text, keep="\n\t"))


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


def print_written(path: Path, what: str) -> None:
    """Say on standard error what a file holds now."""
    errors.print(f"Wrote {path}: {what}.", soft_wrap=True)


def write_finding(
    found: Answer,
    form: Format | None,
    output: Path | None,
    table: pa.Table | None = None,
    important: Sequence[str] = (),
) -> None:
    """Write the table of a finding, or another one, as `sigdb sql` does; then print its notes."""
    dump_table(found.table if table is None else table, form, output, important)
    print_notes(found.notes, form, output)


def print_notes(notes: Iterable[str], form: Format | None, output: Path | None = None) -> None:
    """Print the notes of a result: under a table for people, and to standard error otherwise."""
    out = console if is_for_people(form, output) else errors
    for note in notes:
        print_note(note, out)


def is_for_people(form: Format | None, output: Path | None) -> bool:
    """Whether a result is a table on the terminal, not data for a program or a file."""
    return form in (None, Format.table) and output is None


class Batches:
    """The rows of the statement that was just executed, in batches; `n` rows were read so far."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con, self.n = con, 0

    def __iter__(self) -> Iterator[list[tuple[Any, ...]]]:
        while rows := self.con.fetchmany(BATCH):
            self.n += len(rows)
            yield rows


def dump(
    con: duckdb.DuckDBPyConnection,
    query: str,
    parameters: dict[str, Any],
    form: Format | None,
    output: Path | None,
    important: Sequence[str] = (),
) -> None:
    """Run a query and write its result to a file or to standard output, in bounded memory.

    Without a format, the suffix of the file decides. A table on standard output is cut after SHOWN rows, a file never.
    A narrow terminal hides important columns last.
    """
    form = format_of(form, output)
    if not query.strip():
        raise QueryError("There is no query.")
    if output is not None:
        with in_place(output) as unfinished:
            write = write_parquet if form is Format.parquet else write_file
            n_rows, n_columns = write(con, query, parameters, unfinished, form)
        print_written(output, f"{count(n_rows, 'row')}, {count(n_columns, 'column')}")
        return
    con.execute(query, parameters)
    if form is Format.table:
        show_rows(con, important)
    else:
        out = cast("TextIO", Escaped()) if sys.stdout.isatty() else sys.stdout
        WRITERS[form](column_names(con), iter(Batches(con)), out)


@contextmanager
def in_place(output: Path) -> Iterator[Path]:
    """A file to write instead of `output`, which it replaces at the end. After an error, `output` is as it was."""
    if output.exists() and not output.is_file():  # a device or a pipe
        yield output
        return
    output = output.resolve()
    unfinished = output.with_name(f".{output.name}.unfinished")
    try:
        yield unfinished
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)


def write_file(
    con: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any], path: Path, form: Format
) -> tuple[int, int]:
    """Write the result of a query to a text file; returns its numbers of rows and columns."""
    con.execute(query, parameters)
    names, batches = column_names(con), Batches(con)
    if not names:
        raise QueryError("This statement has no result to write.")
    with path.open("w", encoding="utf-8", newline="") as file:
        WRITERS[form](names, iter(batches), file)
    return batches.n, len(names)


def write_parquet(
    con: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any], path: Path, _: Format
) -> tuple[int, int]:
    """Write the result of a query to a Parquet file, on another connection: one to an atlas may write no file."""
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    result = con.sql(query, params=parameters or None)
    if result is None:  # DuckDB 1.x, for a statement without rows
        raise QueryError("This statement has no result to write.")
    with duckdb.connect() as scratch:
        scratch.from_arrow(pa.RecordBatchReader.from_stream(result)).write_parquet(str(path))
    written = pq.read_metadata(path)
    return written.num_rows, written.num_columns


def column_names(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The columns of the statement that was just executed; none if it has no result."""
    return [column[0] for column in con.description or []]


def dump_table(table: pa.Table, form: Format | None, output: Path | None, important: Sequence[str] = ()) -> None:
    """Write a table as `dump` writes the result of a query."""
    import duckdb

    from sigdb.statements import statement

    with duckdb.connect() as scratch:
        scratch.register("found", table)
        dump(scratch, statement("cli/ask.found"), {}, form, output, important)


def show_rows(con: duckdb.DuckDBPyConnection, important: Sequence[str] = ()) -> None:
    """Print the first rows of the statement that was just executed as a table, and say how many there are."""
    if not (names := column_names(con)):
        return
    rows = con.fetchmany(SHOWN + 1)
    if names == PLAN:
        for _, plan in rows:
            console.print(plan, soft_wrap=True)
        return
    print_table(names, rows[:SHOWN], important)
    if len(rows) > SHOWN:
        console.print(f"The first {SHOWN} rows. --output FILE.csv writes all of them.")
    else:
        console.print(f"{count(len(rows), 'row')}.")


def print_table(names: Sequence[str], rows: Sequence[Sequence[Any]], important: Sequence[str] = ()) -> None:
    """Print a table for people. On a terminal, it fits the width (see `tables.fit`)."""
    write_table(names, rows, console, console.width if sys.stdout.isatty() else None, important)


def print_query(
    con: duckdb.DuckDBPyConnection, title: str, name: str, parameters: dict[str, object] | None = None
) -> None:
    """Print the result of a named statement under a title."""
    from sigdb.statements import run_statement

    rows = run_statement(con, name, parameters)
    print_titled(title, column_names(con), rows)


def print_titled(title: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table under a title."""
    console.print(Text(title, style="bold"), end="\n\n")
    print_table(names, rows)
    console.print()
