"""The command line, `sigdb`.

It starts fast: a command is imported when it is used (`commands`), and imports large packages such as DuckDB, pyarrow
and torch when it runs.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib.metadata import version as package_version
from typing import Annotated

import typer

from sigdb.cli.commands import Commands
from sigdb.cli.signals import end, listen, received, started, stopped

__all__ = ["app", "main"]

app = typer.Typer(
    cls=Commands,
    name="sigdb",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Search for gene signatures in single-cell attribution atlases: one DuckDB file, queried in SQL.",
    epilog="Example: sigdb demo",
)


def show_version(wanted: bool) -> None:
    """Print the version, and stop."""
    if wanted:
        typer.echo(f"sigdb {package_version('sigdb-atlas')}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.", envvar="SIGDB_DEBUG")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Search for gene signatures in single-cell attribution atlases: one DuckDB file, queried in SQL."""
    started.append(context.invoked_subcommand or "")
    if debug:
        os.environ["SIGDB_DEBUG"] = "1"


class LibraryWarnings(logging.Handler):
    """Prints the warnings that the library logs; their parameters and calls become options and commands."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one warning."""
        from sigdb.cli.output import print_warning

        print_warning(record.getMessage())


def main() -> None:
    """Run the command line. Exit codes: 0 for success, 1 for an error that is explained, 2 for wrong usage.

    After a signal, the exit code is 128 and the number of the signal, as in a shell.
    """
    for library in ("ingest", "sigdb"):
        logging.getLogger(library).handlers = [LibraryWarnings(logging.WARNING)]
    listen()
    try:
        app()
    except KeyboardInterrupt:
        pass
    except SystemExit:
        if not received:
            raise
    except Exception as error:
        # DuckDB raises RuntimeError after a signal.
        if not received:
            if os.environ.get("SIGDB_DEBUG"):
                raise
            print_problem(error)
            sys.exit(1)
    from sigdb.cli.output import print_error

    print_error(stopped(received[0]))
    end()


def print_problem(error: Exception) -> None:
    """Explain an error. An error that sigdb does not expect is a bug."""
    from sigdb.cli.output import print_error
    from sigdb.errors import SigdbError, no_memory

    if isinstance(error, MemoryError):
        print_error(no_memory("This command"))
    elif isinstance(error, RecursionError):
        print_error(
            "The query or a file is nested more deeply than Python can follow. Write the query with fewer brackets. A "
            "file that is nested so deeply may be damaged."
        )
    else:
        print_error(error)
        if not isinstance(error, SigdbError | OSError) and not is_of_duckdb(error):
            print_error(f"({type(error).__name__}: this is a bug in sigdb. `sigdb --debug ...` shows the traceback.)")


def is_of_duckdb(error: Exception) -> bool:
    """Whether an error is one of DuckDB, which is slow to import."""
    duckdb = sys.modules.get("duckdb")
    return duckdb is not None and isinstance(error, duckdb.Error)
