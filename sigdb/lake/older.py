"""A lake of an older schema: which one can be opened, and what stands for the tables that it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.atlas import schema
from sigdb.statements import run_statement

if TYPE_CHECKING:
    import duckdb

    from sigdb.lake.manifest import Manifest

__all__ = ["OLDEST_SCHEMA", "missing_tables", "show_missing_tables"]

OLDEST_SCHEMA = 5
# The tables that schema 6 added, in the order in which views can take their places, and the macros that a view needs.
# They are made of the other tables.
ADDED = {
    "importance_groups": ("importance_groups_of",),
    "importance_sums": ("importance_members", "importance_sums_of"),
}


def missing_tables(found: Manifest) -> set[str]:
    """The tables that a lake lacks because of its schema."""
    return set(ADDED) if found.schema_version == OLDEST_SCHEMA else set()


def show_missing_tables(con: duckdb.DuckDBPyConnection, found: Manifest) -> None:
    """Make views in the place of the tables that a lake lacks because of its schema."""
    for table in (each for each in ADDED if each in missing_tables(found)):
        schema.create(con, *(schema.read_object("macros/internal", macro) for macro in ADDED[table]))
        run_statement(con, f"lake/views.show_{table}")
