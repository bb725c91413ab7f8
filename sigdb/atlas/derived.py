"""What an atlas derives from its scores: their order, the cube, the sizes and the sums of groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.atlas import schema
from sigdb.atlas.file import ALL_CELLS
from sigdb.errors import AtlasError, nearest
from sigdb.statements import run_statement, statement

if TYPE_CHECKING:
    import duckdb

__all__ = ["add_importance", "clear_study", "cluster", "rebuild_importance", "rebuild_summary"]


def clear_study(con: duckdb.DuckDBPyConnection, study: str) -> int:
    """Remove all cells of a study, in the caller's transaction; return how many. Errors as for `Atlas.drop_study`."""
    samples = con.sql(statement("atlas/derived.study_samples"), params={"study": study}).to_arrow_table()
    if not len(samples):
        known = [name for (name,) in run_statement(con, "atlas/derived.studies")]
        raise AtlasError(
            f"There is no study {study!r} in this atlas of {len(known)} studies.{nearest(study, known, cutoff=0)}"
        )
    found = {"study_id": samples["study_id"][0].as_py()}
    cells = con.sql(statement("atlas/derived.study_cells"), params=found).to_arrow_table()
    run_statement(con, "atlas/derived.clear_study", sigdb_dropped_samples=samples, sigdb_dropped_cells=cells)
    return len(cells)


def cluster(con: duckdb.DuckDBPyConnection) -> None:
    """Sort all attributions by (run, gene, cell), so that a query reads only the row groups of its genes."""
    run_statement(con, "atlas/derived.cluster")
    # The sorted table is new and has no comments.
    schema.comment_tables(con)


def rebuild_summary(con: duckdb.DuckDBPyConnection) -> None:
    """Compute the cube, the group sizes and the sums for gene_importance again."""
    run_statement(con, "atlas/derived.clear_summary")
    first, last = ALL_CELLS
    for (run_id,) in run_statement(con, "atlas/derived.run_ids"):
        cells = {"run_id": run_id, "first": first, "last": last}
        run_statement(con, "atlas/derived.add_summary", cells)
        run_statement(con, "atlas/derived.add_group_sizes", cells)
    rebuild_importance(con)


def rebuild_importance(con: duckdb.DuckDBPyConnection) -> None:
    """Add up the cube for gene_importance again."""
    run_statement(con, "atlas/derived.clear_importance")
    for run_id, study_id in run_statement(con, "atlas/derived.summed_studies"):
        add_importance(con, run_id, study_id)


def add_importance(con: duckdb.DuckDBPyConnection, run_id: int, study_id: int) -> None:
    """Add up the cube of a run and a study for gene_importance."""
    for name in ("add_importance_groups", "add_importance_sums"):
        run_statement(con, f"atlas/derived.{name}", {"run_id": run_id, "study_id": study_id})
