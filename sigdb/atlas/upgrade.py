"""Bring an atlas to the schema of this sigdb."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from sigdb.atlas import schema, views
from sigdb.atlas.derived import rebuild_importance
from sigdb.atlas.empty import record_versions
from sigdb.atlas.file import (
    SCHEMA_VERSION,
    check_no_lake,
    check_not_newer,
    little_memory,
    open_file,
    open_to_write,
    schema_version,
)
from sigdb.atlas.gene_names import load_hgnc, refresh_other_names
from sigdb.atlas.trust import check_captures
from sigdb.errors import AtlasError, AtlasVersionError, message
from sigdb.statements import run_statement

if TYPE_CHECKING:
    import os

__all__ = ["FIRST_WITH_IMPORTANCE", "upgrade"]

# The oldest schema that can be upgraded. sql/upgrades has one step for each schema from this one to SCHEMA_VERSION - 1:
# 004.sql makes schema 5 of schema 4.
OLDEST_SCHEMA = 4
# The first schema with sums for gene_importance, which are added up by macros of this sigdb.
FIRST_WITH_IMPORTANCE = 6


def upgrade(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Bring an atlas to the schema, views and macros of this sigdb, in one transaction.

    Call it also after an update of sigdb that keeps the schema: it replaces the views and macros in the file, and
    looks up again which names mean genes that the atlas lacks.

    Parameters
    ----------
    path
        An atlas file.

    Returns
    -------
    The schema before, and the schema now.

    Raises
    ------
    AtlasVersionError
        The atlas is newer than this sigdb, or older than the oldest schema that it can upgrade.
    AtlasError
        An object of the user, such as an index on a table of sigdb, prevents the upgrade. The file is unchanged.

    Examples
    --------
    >>> sigdb.upgrade("demo.duckdb")
    (7, 7)
    """
    con = open_to_write(open_file, path)
    try:
        check_captures(con, path)
        check_no_lake(con, path)
        found = schema_version(con, path)
        check_not_newer(found, path)
        if found < OLDEST_SCHEMA:
            raise AtlasVersionError(
                f"{path} has atlas schema {found}; this sigdb can upgrade schemas from {OLDEST_SCHEMA} on."
            )
        with little_memory(con):
            con.execute("BEGIN")
            for number in range(found, SCHEMA_VERSION):
                run_statement(con, f"upgrades/{number:03}")
            schema.install(con)
            if found < FIRST_WITH_IMPORTANCE:
                rebuild_importance(con)
            load_hgnc(con)
            refresh_other_names(con)
            views.refresh(con)
            record_versions(con)
            con.execute("COMMIT")
    except duckdb.Error as error:
        raise AtlasError(
            f"{path} cannot be upgraded and is unchanged: {message(error)} If this names an index or a column that you "
            "added to a table of sigdb, drop it first."
        ) from error
    finally:
        con.close()
    return found, SCHEMA_VERSION
