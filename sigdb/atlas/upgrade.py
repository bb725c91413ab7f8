"""Bring an atlas to the schema of this sigdb."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from sigdb import statements
from sigdb.atlas import schema, views
from sigdb.atlas.file import (
    SCHEMA_VERSION,
    check_tables,
    little_memory,
    open_file,
    open_to_write,
    schema_version,
)
from sigdb.atlas.writer import record_versions
from sigdb.errors import AtlasError, AtlasVersionError, message

if TYPE_CHECKING:
    import os

__all__ = ["upgrade"]
# sql/upgrades holds the way from here to SCHEMA_VERSION.
OLDEST_SCHEMA = 1


def upgrade(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Bring an atlas to the schema, views and macros of this sigdb, in one transaction; return (from, to) schema.

    Run it too when only sigdb is newer: the macros in the file are then replaced by the current ones. Raises
    AtlasVersionError if the atlas is newer than this sigdb; AtlasError if something that is not sigdb's is in the way.
    """
    con = open_to_write(open_file, path)
    try:
        found = schema_version(con, path)
        check_tables(con, path)
        if found > SCHEMA_VERSION:
            raise AtlasVersionError(f"{path} has atlas schema {found}, newer than this sigdb's {SCHEMA_VERSION}.")
        if found < OLDEST_SCHEMA:
            raise AtlasVersionError(f"{path} has atlas schema {found}; this sigdb can upgrade from {OLDEST_SCHEMA} on.")
        with little_memory(con):
            con.execute("BEGIN")
            for number in range(found, SCHEMA_VERSION):
                con.execute(statements.statement(f"upgrades/{number:03}"))
            schema.install(con)
            views.refresh(con)
            record_versions(con)
            con.execute("COMMIT")
    except duckdb.Error as error:
        raise AtlasError(
            f"{path} cannot be upgraded, and is as it was: {message(error)} If that is about an index or a column of "
            "your own on a table of sigdb's, drop it first."
        ) from error
    finally:
        con.close()
    return found, SCHEMA_VERSION
