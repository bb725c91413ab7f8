"""`sigdb shell`: ask an atlas in SQL, one query after the other."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from sigdb.cli.options import AtlasPath
from sigdb.cli.signals import received

if TYPE_CHECKING:
    import duckdb
    from prompt_toolkit import PromptSession

app = typer.Typer()

HELP = """A query ends with a semicolon, and may have several lines. Tab completes names, also in quotes.
.tables   the views of the atlas
.macros   its macros
.wide     show all columns of a table, or as many as fit
.help     this text
.quit     leave, as Ctrl-D does
Ctrl-C ends a query. The arrows bring back earlier ones."""


@app.command("shell", epilog="Example: sigdb shell demo.duckdb")
def shell(atlas: AtlasPath) -> None:
    """Ask an atlas in SQL, in a shell with completion and history.

    The atlas is opened read-only. Statements that are piped in are all read first, and then run one by one, until one
    fails.
    """
    from sigdb.cli.trust import connect

    if not sys.stdin.isatty():
        with connect(atlas) as con:
            run_text(con, sys.stdin.read())
        return
    from sigdb.errors import needs_extra

    with needs_extra("shell"):
        from sigdb.cli.prompt import prompt_session
    with connect(atlas) as con:
        talk(con, prompt_session(con, atlas, [*COMMANDS, ".quit"]))


def talk(con: duckdb.DuckDBPyConnection, session: PromptSession[str]) -> None:
    """Read queries and print their results until the user leaves. Neither an error nor Ctrl-C ends the shell."""
    from sigdb.cli.output import console

    console.print("Queries end with a semicolon. .help says more.")
    with ctrl_c_ends_a_query():
        while True:
            try:
                text = session.prompt().strip()
            except KeyboardInterrupt:
                stop_if_ended()
                continue
            except EOFError:
                return
            if text in (".quit", ".exit"):
                return
            answer(con, text)


def run_text(con: duckdb.DuckDBPyConnection, text: str) -> None:
    """Run commands of the shell, one a line, and then statements."""
    first, _, rest = text.strip().partition("\n")
    if first.startswith("."):
        run_command(con, first.strip().rstrip(";"))
        run_text(con, rest)
    else:
        run_statements(con, text)


def answer(con: duckdb.DuckDBPyConnection, text: str) -> None:
    """Run a command of the shell, or statements, and print what comes out or what is wrong."""
    import duckdb

    from sigdb.cli.output import print_error
    from sigdb.errors import SigdbError

    try:
        run_text(con, text)
    except (duckdb.Error, SigdbError, RecursionError) as error:
        print_error(error)
    except KeyboardInterrupt:
        stop_if_ended()
        print_error("The query was ended.")


def stop_if_ended() -> None:
    """End the shell if it was not Ctrl-C but another signal that interrupted it."""
    if received:
        raise KeyboardInterrupt


@contextmanager
def ctrl_c_ends_a_query() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt and do nothing else; elsewhere, it ends `sigdb`."""
    handler, wakeup = signal.signal(signal.SIGINT, signal.default_int_handler), signal.set_wakeup_fd(-1)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.set_wakeup_fd(wakeup)


def run_statements(con: duckdb.DuckDBPyConnection, text: str) -> None:
    """Run statements one by one, and print the result of each; Done, if it has none."""
    from duckdb import ExpectedResultType

    from sigdb.cli.output import console, show_rows

    for each in con.extract_statements(text):
        execute(con, each)
        if ExpectedResultType.NOTHING not in each.expected_result_type:
            show_rows(con)
        else:
            console.print("Done.")


def execute(con: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> None:
    """Run a statement in another thread. DuckDB 2.0 does not always see a signal in the thread that runs a query."""
    with ThreadPoolExecutor(1) as pool:
        query = pool.submit(con.execute, statement)
        try:
            while not query.done():
                wait([query], timeout=0.2)  # on Windows, Ctrl-C does not end the waiting
        except KeyboardInterrupt:
            while not query.done():
                con.interrupt()
                wait([query], timeout=0.05)
            raise
        query.result()


def run_command(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Run a command that begins with a point."""
    from sigdb.errors import QueryError, nearest

    if name not in COMMANDS:
        raise QueryError(f"There is no command {name}.{nearest(name, COMMANDS)} .help lists them.")
    COMMANDS[name](con)


def print_help(_: duckdb.DuckDBPyConnection) -> None:
    """Print what the shell can do."""
    from sigdb.cli.output import console

    console.print(HELP)


def print_views(con: duckdb.DuckDBPyConnection) -> None:
    """Print the views of the atlas."""
    from sigdb.cli.output import print_query

    print_query(con, "Views", "cli/shell.views")


def print_macros(con: duckdb.DuckDBPyConnection) -> None:
    """Print the macros of the atlas."""
    from sigdb.cli.output import print_query

    print_query(con, "Macros", "cli/shell.macros")


def switch_wide(_: duckdb.DuckDBPyConnection) -> None:
    """Show all columns of a table, or as many as fit if all were shown."""
    from sigdb.cli.added import is_wide, keep_wide
    from sigdb.cli.output import console

    keep_wide(not is_wide())
    console.print("Tables show all columns." if is_wide() else "Tables fit the terminal.")


COMMANDS: dict[str, Callable[[duckdb.DuckDBPyConnection], None]] = {
    ".help": print_help,
    ".tables": print_views,
    ".macros": print_macros,
    ".wide": switch_wide,
}
