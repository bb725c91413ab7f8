"""What an atlas derives from its scores: their order, the cube, the group sizes."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from sigdb import statements
from sigdb.atlas import materialized, schema
from sigdb.errors import AtlasError

if TYPE_CHECKING:
    import duckdb

__all__ = ["clear_study", "cluster", "rebuild_summary"]


def clear_study(con: duckdb.DuckDBPyConnection, study: str) -> int:
    """Remove all cells of a study, in the caller's transaction; return how many. Errors as for `Atlas.drop_study`."""
    samples = con.sql(statements.statement("atlas/derived.study_samples"), params={"study": study}).to_arrow_table()
    if not len(samples):
        known = [name for (name,) in con.execute("SELECT study FROM sigdb_data.studies").fetchall()]
        near = difflib.get_close_matches(study, known, n=1, cutoff=0)
        raise AtlasError(
            f"There is no study {study!r} in this atlas of {len(known)} studies."
            + (f" Did you mean {near[0]!r}?" if near else "")
        )
    found = {"study_id": samples["study_id"][0].as_py()}
    cells = con.sql(statements.statement("atlas/derived.study_cells"), params=found).to_arrow_table()
    statements.run_statement(con, "atlas/derived.clear_study", sigdb_dropped_samples=samples, sigdb_dropped_cells=cells)
    return len(cells)


def cluster(con: duckdb.DuckDBPyConnection) -> None:
    """Sort all attributions by (run, gene, cell), so that a query reads only the row groups of its genes."""
    statements.run_statement(con, "atlas/derived.cluster")
    # The sorted table is a new one, without comments.
    schema.comment_tables(con)


def rebuild_summary(con: duckdb.DuckDBPyConnection) -> None:
    """Compute the cube and the group sizes anew."""
    statements.run_statement(con, "atlas/derived.clear_summary")
    for (run_id,) in con.execute("SELECT run_id FROM sigdb_data.attribution_runs ORDER BY run_id").fetchall():
        first, last = materialized.ALL_CELLS
        cells = {"run_id": run_id, "first": first, "last": last}
        statements.run_statement(con, "atlas/derived.add_summary", cells)
        statements.run_statement(con, "atlas/derived.add_group_sizes", cells)
