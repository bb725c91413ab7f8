"""What a shell completes from the atlas that stands in the command line already."""

from __future__ import annotations

from typing import Any

import typer

from sigdb.cli.trust import open_to_read

__all__ = ["columns", "names", "runs", "signatures", "studies"]


class AnyCase(str):
    """A name that begins with a text in any case. typer drops names that do not begin with what was typed."""

    __slots__ = ()

    def startswith(self, prefix: Any, *ends: Any) -> bool:
        """Whether the name begins with a text, in any case."""
        return self.lower().startswith(prefix.lower(), *ends)


def columns(ctx: typer.Context, incomplete: str) -> list[str]:
    """Columns that group cells: the last of several that are separated by commas."""
    before, comma, start = incomplete.rpartition(",")
    return [f"{before}{comma}{each}" for each in read(ctx, "cli/complete.columns", start)]


def names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Signatures of the library and genes, in any case."""
    return [AnyCase(each) for each in read(ctx, "cli/complete.names", incomplete)]


def signatures(ctx: typer.Context, incomplete: str) -> list[str]:
    """Signatures of the library, in any case."""
    return [AnyCase(each) for each in read(ctx, "cli/complete.signatures", incomplete)]


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Attribution runs."""
    return read(ctx, "cli/complete.runs", incomplete)


def studies(ctx: typer.Context, incomplete: str) -> list[str]:
    """Studies."""
    return read(ctx, "cli/complete.studies", incomplete)


def read(ctx: typer.Context, statement: str, start: str) -> list[str]:
    """The names that a statement finds in the atlas; none if there is no atlas, or it cannot be read."""
    import duckdb

    from sigdb.errors import SigdbError
    from sigdb.statements import run_statement
    from sigdb.text import printable

    # Behind an option without its value, click has not taken the arguments yet.
    atlas = ctx.params.get("atlas") or next(iter(ctx.args), None)
    if not atlas:
        return []
    try:
        with open_to_read(str(atlas)) as con:
            found = [name for (name,) in run_statement(con, statement, {"start": start})]
    except (SigdbError, duckdb.Error, OSError):
        return []
    return [name for name in found if printable(name) == name]
