"""The commands of `sigdb`, each imported when it is used, so that the command line starts fast."""

from __future__ import annotations

from contextvars import ContextVar
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from sigdb.cli.trust import add_option

__all__ = ["MODULES", "Commands", "Group", "find_command", "running"]

# The module of `sigdb.cli` that holds each command or group of commands, in the order of `sigdb --help`.
MODULES = {
    "demo": "demo",
    "ingest": "ingest",
    "ingest-spark": "ingest",
    "load": "load",
    "import-signature": "load",
    "drop-study": "atlas",
    "info": "atlas",
    "sql": "ask",
    "transpile": "ask",
    "score": "score",
    "hits": "findings",
    "compare": "findings",
    "null": "findings",
    "leading": "findings",
    "embedding": "findings",
    "report": "findings",
    "upgrade": "atlas",
    "optimize": "atlas",
    "verify": "atlas",
    "export": "lake",
    "attach-lake": "lake",
    "import-lake": "lake",
    "signatures": "library",
    "genes": "genes",
    "models": "models",
}

# The command that runs. The classes of commands have other modules in other versions of typer, hence Any.
running: ContextVar[Any] = ContextVar("running", default=None)


class Group(TyperGroup):
    """A group of commands that remembers which of them runs."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the arguments name."""
        resolved = super().resolve_command(ctx, args)
        running.set(resolved[1])
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
    for each in (command, *getattr(command, "commands", {}).values()):
        # The whole first paragraph: typer would cut it off.
        each.short_help = (each.help or "").split("\n\n")[0]
        add_option(each)
    return command


def find_command(name: str) -> Any:
    """A command by its full name, such as `genes compare`."""
    first, *rest = name.split()
    command = load_command(first)
    for word in rest:
        command = command.commands[word]
    return command
