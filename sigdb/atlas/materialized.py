"""Materialised signatures: their scores are kept in the atlas, and everything that writes to it updates them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.atlas.file import ALL_CELLS
from sigdb.scores.engine import check_score
from sigdb.statements import run_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

__all__ = ["drop", "extend", "materialize", "rebuild", "refresh"]


def materialize(
    con: duckdb.DuckDBPyConnection, signatures: Sequence[str], *, missing: str = "error", run: str | int | None = None
) -> None:
    """Compute the scores of signatures of the library and keep them; earlier scores of these signatures are replaced.

    con: open for writing, in a transaction of the caller. The scores are the unsigned means over the genes that the
    run's model knows. Raises QueryError for invalid options, and for unknown genes unless missing is 'ignore'.
    """
    options = {"genes": None, "weights": None, "agg": "mean", "missing": missing, "run": run}
    check_score(con, options | {"signed": False, "signatures": list(signatures)})
    ((run_id,),) = run_statement(con, "ingest/records.run_id", {"run": run})
    drop(con, signatures, run_id)
    for signature in signatures:
        keep(con, signature, run_id)


def keep(con: duckdb.DuckDBPyConnection, signature: str, run_id: int) -> None:
    """Compute and keep the scores of one signature in one run, if the run knows any of its genes."""
    for (number,) in run_statement(con, "atlas/materialized.materialize", {"signature": signature, "run": run_id}):
        add_cells(con, number, *ALL_CELLS)


def add_cells(con: duckdb.DuckDBPyConnection, materialized_id: int, first: int, last: int) -> None:
    """Keep the scores of a materialised signature in the cells from `first` to `last`."""
    cells = {"materialized_id": materialized_id, "first": first, "last": last}
    run_statement(con, "atlas/materialized.add_signature_cells", cells)


def drop(con: duckdb.DuckDBPyConnection, signatures: Sequence[str], run_id: int | None = None) -> None:
    """Delete the kept scores of signatures, in one run or in all runs."""
    chosen = {"signatures": list(signatures), "run_id": run_id}
    run_statement(con, "atlas/materialized.drop_signature_cells", chosen)
    run_statement(con, "atlas/materialized.drop_materialized", chosen)


def extend(con: duckdb.DuckDBPyConnection, run_id: int, first: int, last: int) -> None:
    """Keep the scores of the new cells from `first` to `last`.

    If the genes or weights of a signature have changed, its scores are computed again for all cells.
    """
    for materialized_id, signature, is_current in run_statement(
        con, "atlas/materialized.materialized_in_run", {"run_id": run_id}
    ):
        if is_current:
            add_cells(con, materialized_id, first, last)
        else:
            drop(con, [signature], run_id)
            keep(con, signature, run_id)


def rebuild(con: duckdb.DuckDBPyConnection) -> None:
    """Compute all kept scores again."""
    kept = run_statement(con, "atlas/materialized.all_materialized")
    run_statement(con, "atlas/materialized.clear_signature_cells")
    for signature, run_id in kept:
        drop(con, [signature], run_id)
        keep(con, signature, run_id)


def refresh(con: duckdb.DuckDBPyConnection) -> None:
    """Compute again, in all runs, the kept scores of signatures whose genes or weights have changed."""
    for run_id in sorted({run_id for _, run_id in run_statement(con, "atlas/materialized.all_materialized")}):
        # An empty range: no cell is new.
        extend(con, run_id, 1, 0)
