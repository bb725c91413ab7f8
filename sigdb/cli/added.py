"""Options that many commands get without naming them: --trusted to read an atlas, --wide to print a table."""

from __future__ import annotations

from contextvars import ContextVar
from functools import cache
from typing import Annotated, Any

import typer

from sigdb.cli.trust import ATLAS_TO_READ, keep_trusted

__all__ = ["add_options", "is_wide"]

wide: ContextVar[bool] = ContextVar("wide", default=False)


def keep_wide(value: bool) -> None:
    """Keep the value of the option --wide."""
    wide.set(value)


def is_wide() -> bool:
    """Whether the command that runs was given --wide."""
    return wide.get()


def add_options(command: Any) -> None:
    """Give a command --trusted if its argument is an atlas to read, and --wide if its result has a format."""
    if any(getattr(each, "help", None) == ATLAS_TO_READ for each in command.params):
        command.params.append(options()["trusted"])
    if any(each.name == "form" for each in command.params):
        command.params.append(options()["wide"])


@cache
def options() -> dict[str, Any]:
    """The options as click has them. Their callbacks keep the values, so that no command needs a parameter."""
    found = {each.name: each for each in typer.main.get_command(app).params}
    for each in found.values():
        each.expose_value = False
    return found


app = typer.Typer(add_completion=False)


@app.command()
def hold_options(
    trusted: Annotated[
        bool,
        typer.Option(
            "--trusted",
            callback=keep_trusted,
            help="Let queries and the views of the file use other files, and the disk if memory is short. Only for a "
            "file whose maker you trust.",
        ),
    ] = False,
    wide: Annotated[
        bool,
        typer.Option(
            "--wide", callback=keep_wide, help="Show all columns of a table, even if the terminal is too narrow."
        ),
    ] = False,
) -> None:
    """Hold the options, which typer makes only for a command."""
