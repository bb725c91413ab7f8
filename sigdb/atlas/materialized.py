"""Materialised signatures: scores kept in the atlas, and kept up to date by whatever writes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sigdb.scores.engine import check_score
from sigdb.statements import run_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

__all__ = ["ALL_CELLS", "drop", "extend", "materialize", "rebuild", "refresh"]

ALL_CELLS = (0, int(np.iinfo(np.uint32).max))


def materialize(
    con: duckdb.DuckDBPyConnection, signatures: Sequence[str], *, missing: str = "error", run: str | int | None = None
) -> None:
    """Compute the scores of signatures of the library and keep them, in place of those kept before.

    con: open for writing, in a transaction of the caller. They are the unsigned means over the genes that the run's
    model knows. Raises QueryError as a score would, also for genes that it does not know unless missing is 'ignore'.
    """
    asked = {"genes": None, "weights": None, "agg": "mean", "missing": missing, "run": run}
    check_score(con, asked | {"signed": False, "signatures": list(signatures)})
    ((run_id,),) = run_statement(con, "ingest/records.run_id", {"run": run})
    drop(con, signatures, run_id)
    for signature in signatures:
        keep(con, signature, run_id)


def keep(con: duckdb.DuckDBPyConnection, signature: str, run_id: int) -> None:
    """Compute and store the scores of one signature in one run; nothing if there is nothing to score."""
    for (number,) in run_statement(con, "atlas/materialized.materialize", {"signature": signature, "run": run_id}):
        add_cells(con, number, *ALL_CELLS)


def add_cells(con: duckdb.DuckDBPyConnection, materialized_id: int, first: int, last: int) -> None:
    """Store the scores of a materialised signature in the cells `first` to `last`."""
    cells = {"materialized_id": materialized_id, "first": first, "last": last}
    run_statement(con, "atlas/materialized.add_signature_cells", cells)


def drop(con: duckdb.DuckDBPyConnection, signatures: Sequence[str], run_id: int | None = None) -> None:
    """Forget the kept scores of signatures, in one run or in all."""
    chosen = {"signatures": list(signatures), "run_id": run_id}
    run_statement(con, "atlas/materialized.drop_signature_cells", chosen)
    run_statement(con, "atlas/materialized.drop_materialized", chosen)


def extend(con: duckdb.DuckDBPyConnection, run_id: int, first: int, last: int) -> None:
    """Keep the scores of new cells too, `first` to `last`; where a signature has come to mean other genes, all anew."""
    for materialized_id, signature, is_current in run_statement(
        con, "atlas/materialized.materialized_in_run", {"run_id": run_id}
    ):
        if is_current:
            add_cells(con, materialized_id, first, last)
        else:
            drop(con, [signature], run_id)
            keep(con, signature, run_id)


def rebuild(con: duckdb.DuckDBPyConnection) -> None:
    """Compute all kept scores anew."""
    kept = con.execute("SELECT signature, run_id FROM sigdb_data.materialized_signatures").fetchall()
    con.execute("DELETE FROM sigdb_data.signature_cells")
    for signature, run_id in kept:
        drop(con, [signature], run_id)
        keep(con, signature, run_id)


def refresh(con: duckdb.DuckDBPyConnection) -> None:
    """Compute anew the kept scores of signatures that have come to mean other genes or weights, in all runs."""
    for (run_id,) in con.execute("SELECT DISTINCT run_id FROM sigdb_data.materialized_signatures").fetchall():
        # No cell is new: an empty range.
        extend(con, run_id, 1, 0)
