"""What Postgres clients ask on their own: transactions, settings, cursors and the catalogue."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pg_mimic as pg
from pg_mimic import middleware

if TYPE_CHECKING:
    from pg_mimic.middleware import MiddlewareContext

__all__ = ["MIDDLEWARE"]

# Statements about the connection that have nothing to do here: there is nothing to write, and no plan to forget.
NOTHING_TO_DO = re.compile(
    r"\s*(DEALLOCATE|DISCARD|RESET|SAVEPOINT|RELEASE|UNLISTEN|CLOSE|SET\s+TRANSACTION|SET\s+SESSION\s+CHARACTERISTICS)\b",
    re.IGNORECASE,
)
# Settings of a Postgres client that change no value here, each with the values that it may take.
SETTINGS = {
    "application_name": ".*",
    "bytea_output": "hex",
    "client_encoding": "utf-?8|unicode",
    "client_min_messages": ".*",
    "datestyle": "iso\\b.*",
    "default_transaction_isolation": ".*",
    "default_transaction_read_only": "on|true|1",
    "extra_float_digits": "[0-3]",
    "intervalstyle": "postgres",
    "standard_conforming_strings": "on|true|1",
    "timezone": ".*",
    "transaction_isolation": ".*",
}
SET = re.compile(r"\s*SET\s+(?:SESSION\s+|LOCAL\s+)?(\w+)\s*(?:TO|=)\s*(.+?)\s*;?\s*$", re.IGNORECASE)
SHOW = re.compile(r"\s*SHOW\s+(\w+|TRANSACTION\s+ISOLATION\s+LEVEL)\s*;?\s*$", re.IGNORECASE)


async def nothing_to_do(ctx: MiddlewareContext) -> pg.Statement | None:
    """Statements that clients send when they tidy up."""
    return pg.StaticStatement(ctx.sql, None, []) if NOTHING_TO_DO.match(ctx.sql) else None


async def settings(ctx: MiddlewareContext) -> pg.Statement | None:
    """SET and SHOW of the settings above. All other settings are DuckDB's, and the gate refuses them."""
    if found := SET.match(ctx.sql):
        allowed = SETTINGS.get(found[1].lower())
        known = allowed is not None and re.fullmatch(allowed, found[2].strip("'\""), re.IGNORECASE)
        return await middleware.set_show(ctx) if known else None
    if found := SHOW.match(ctx.sql):
        name = "_".join(found[1].lower().split()).removesuffix("_level")
        if name == "transaction_isolation":
            return pg.StaticStatement(ctx.sql, [pg.ResultColumn(name, pg.TEXT)], [("repeatable read",)])
        return await middleware.set_show(ctx) if name in {*SETTINGS, "server_version", "search_path"} else None
    return None


MIDDLEWARE = (
    middleware.transaction_control,
    nothing_to_do,
    settings,
    middleware.asyncpg_typeinfo,
)
