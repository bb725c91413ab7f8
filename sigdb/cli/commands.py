"""The commands of `sigdb`, each imported when it is used, so that the command line starts fast."""

from __future__ import annotations

from contextvars import ContextVar
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from sigdb.cli.added import add_options

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MODULES", "PANELS", "Commands", "Group", "arguments", "find_command", "running"]

# The commands in the order of `sigdb --help`, under its headings. Each has the module of `sigdb.cli` that holds it.
PANELS = {
    "Ask": {
        "info": "atlas",
        "sql": "ask",
        "shell": "shell",
        "score": "score",
        "signatures": "library",
        "genes": "genes",
        "transpile": "ask",
    },
    "Find": {
        "hits": "findings",
        "compare": "findings",
        "null": "findings",
        "leading": "findings",
        "embedding": "findings",
        "report": "findings",
    },
    "Make": {
        "demo": "demo",
        "ingest": "ingest",
        "ingest-spark": "ingest",
        "load": "load",
        "import-signature": "load",
        "models": "models",
    },
    "Keep": {
        "annotate": "annotate",
        "verify": "atlas",
        "optimize": "atlas",
        "upgrade": "atlas",
        "drop-study": "atlas",
    },
    "Share": {
        "explore": "explore",
        "page": "explore",
        "serve": "serve",
        "tokens": "serve",
    },
    "Lake": {
        "export": "lake",
        "attach-lake": "lake",
        "import-lake": "lake",
    },
}
MODULES = {name: module for commands in PANELS.values() for name, module in commands.items()}

# The command that runs. The classes of commands have other modules in other versions of typer, hence Any.
running: ContextVar[Any] = ContextVar("running", default=None)
# What follows the name of this command on the command line.
arguments: ContextVar[tuple[str, ...]] = ContextVar("arguments", default=())


class Group(TyperGroup):
    """A group of commands that remembers which of them runs."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the arguments name."""
        resolved = super().resolve_command(ctx, args)
        running.set(resolved[1])
        arguments.set(tuple(resolved[2]))
        return resolved


class Commands(Group):
    """All commands of `sigdb`. The names are known from the start; a command is imported when it is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = dict.fromkeys(MODULES)  # type: ignore[assignment]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command; None if there is no such command."""
        return load_command(cmd_name) if cmd_name in MODULES else None


@cache
def load_command(name: str) -> Any:
    """Import the module of a command, and make the command."""
    module = import_module(f"sigdb.cli.{MODULES[name]}")
    command: Any = typer.main.get_group(module.app).commands[name]
    command.rich_help_panel = next(panel for panel, commands in PANELS.items() if name in commands)
    for each in (command, *getattr(command, "commands", {}).values()):
        # The whole first paragraph: typer would cut it off.
        each.short_help = (each.help or "").split("\n\n")[0]
        if any(parameter.name == "form" for parameter in each.params):
            each.callback = with_format(each.callback)
        add_options(each)
    return command


def with_format(callback: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a command, which gets the format that the suffix of --output says if no other one was asked for.

    The callback of an option could not do this: it may see --output or not.
    """

    @wraps(callback)
    def run(**values: Any) -> Any:
        from sigdb.cli.formats import format_of

        output = values.get("output")
        return callback(**values | {"form": format_of(values["form"], Path(output) if output else None)})

    return run


def find_command(name: str) -> Any:
    """A command by its full name, such as `genes compare`."""
    first, *rest = name.split()
    command = load_command(first)
    for word in rest:
        command = command.commands[word]
    return command
