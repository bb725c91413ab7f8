"""Cells that are in two studies: an original data set, and an integrated one that contains it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.atlas.file import ALL_CELLS
from sigdb.statements import run_statement

if TYPE_CHECKING:
    import duckdb

__all__ = ["overlap_notes"]


def overlap_notes(con: duckdb.DuckDBPyConnection, first: int = ALL_CELLS[0], last: int = ALL_CELLS[1]) -> list[str]:
    """A note on each pair of studies that seem to share cells. first, last: the ids of the later cells.

    The same cell has the same barcode and the same total counts.
    """
    pairs = run_statement(con, "atlas/records.same_cells", {"first": first, "last": last})
    return [
        f"{n:,} of the {n_cells:,} cells of {later} seem to be cells of {earlier} (same barcode and counts): what uses "
        "both studies counts these cells and their donors twice"
        for later, earlier, n, n_cells in pairs
    ]
