"""The columns by which findings group cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.errors import QueryError, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb


__all__ = ["columns_of", "cube_columns"]

# The population of `hits`: a CTE of this name, which the macros are told to look in.
POPULATION = "chosen_cells"
# What a unit or a group of the cube is known by.
CUBE = ("study", "sample", "donor", "tissue", "disease", "assay", "sex", "development_stage", "in_vivo", "cell_type")


def columns_of(con: duckdb.DuckDBPyConnection, view: str, names: Sequence[str]) -> list[str]:
    """The given names, each once, as columns of a view; QueryError if it has no such column."""
    known = [
        row[0]
        for row in con.execute("SELECT column_name FROM (DESCRIBE FROM query_table($view))", {"view": view}).fetchall()
    ]
    wanted = list(dict.fromkeys(names))
    if unknown := [name for name in wanted if name not in known]:
        raise QueryError(f"{view} has no column {listed(unknown)}. It has: {listed(known, 30)}.")
    return wanted


def cube_columns(names: Sequence[str]) -> list[str]:
    """The given names as columns of the cube; QueryError if it has no such column."""
    if unknown := [name for name in names if name not in CUBE]:
        raise QueryError(f"The cube has no column {listed(unknown)}. It has: {', '.join(CUBE)}.")
    return list(names)
