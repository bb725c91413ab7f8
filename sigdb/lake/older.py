"""A lake of an older schema: which one can be opened, and what stands for the tables and columns that it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sigdb.atlas import schema
from sigdb.atlas.upgrade import FIRST_WITH_IMPORTANCE
from sigdb.statements import run_statement

if TYPE_CHECKING:
    import duckdb

    from sigdb.lake.manifest import Manifest

__all__ = ["FIRST_WITH_UNREAD", "OLDEST_SCHEMA", "lacks_importance", "missing_tables", "show_missing_tables"]

OLDEST_SCHEMA = 5
# The first schema that says which genes were not read: in a table, and in two columns of attributed_cells.
FIRST_WITH_UNREAD = 7


class Added(NamedTuple):
    """A table that a schema added. macros: the macros that a view in its place needs."""

    schema: int
    macros: tuple[str, ...] = ()


# In the order in which views can take their places.
ADDED = {
    "importance_groups": Added(FIRST_WITH_IMPORTANCE, ("importance_groups_of",)),
    "importance_sums": Added(FIRST_WITH_IMPORTANCE, ("importance_members", "importance_sums_of")),
    "unread_genes": Added(FIRST_WITH_UNREAD),
}


def missing_tables(found: Manifest) -> set[str]:
    """The tables that a lake lacks because of its schema."""
    return {table for table, added in ADDED.items() if found.schema_version < added.schema}


def lacks_importance(found: Manifest) -> bool:
    """Whether a lake lacks the sums for gene_importance."""
    return found.schema_version < FIRST_WITH_IMPORTANCE


def show_missing_tables(con: duckdb.DuckDBPyConnection, found: Manifest) -> None:
    """Make views in the place of the tables that a lake lacks because of its schema."""
    for table in (each for each in ADDED if each in missing_tables(found)):
        schema.create(con, *(schema.read_object("macros/internal", macro) for macro in ADDED[table].macros))
        run_statement(con, f"lake/views.show_{table}")
