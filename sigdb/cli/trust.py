"""The option --trusted of the commands that read an atlas."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import duckdb

__all__ = ["ATLAS_TO_READ", "add_option", "connect", "is_trusted"]

# The help of the argument that names an atlas to read. Every command that has it also gets the option.
ATLAS_TO_READ = "An atlas file, or a lake: its folder or address."

trusted: ContextVar[bool] = ContextVar("trusted", default=False)


def add_option(command: Any) -> None:
    """Give a command the option --trusted, if it reads an atlas that its first argument names."""
    if any(getattr(each, "help", None) == ATLAS_TO_READ for each in command.params):
        (option,) = (each for each in typer.main.get_command(app).params if each.name == "trusted")
        option.expose_value = False  # the callback keeps it
        command.params.append(option)


def keep(value: bool) -> None:
    """Keep the value of the option for `connect`."""
    trusted.set(value)


app = typer.Typer(add_completion=False)


@app.command()
def hold_option(
    trusted: Annotated[
        bool,
        typer.Option(
            "--trusted",
            callback=keep,
            help="Let queries and the views of the file use other files, and the disk if memory is short. Only for a "
            "file whose maker you trust.",
        ),
    ] = False,
) -> None:
    """Hold the option, which typer makes only for a command."""


def is_trusted() -> bool:
    """Whether the command that runs was given --trusted."""
    return trusted.get()


def connect(atlas: str) -> duckdb.DuckDBPyConnection:
    """Open an atlas to read, as `sigdb.connect` does with the option of the command that runs."""
    from sigdb.connection import connect

    return connect(atlas, trusted=is_trusted())
