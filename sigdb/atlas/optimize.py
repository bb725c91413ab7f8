"""Sort the attributions of an atlas into a new file, which then replaces the old one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from sqlglot import exp

from sigdb.atlas import materialized
from sigdb.atlas.derived import rebuild_summary
from sigdb.atlas.file import attach_new, little_memory, remove
from sigdb.atlas.writer import Atlas
from sigdb.disk import size_text, sync
from sigdb.errors import AtlasError, listed, message
from sigdb.statements import current_database, run_statement, statement

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

__all__ = ["BATCH", "advice", "fragmentation", "optimize"]

# Attributions that are sorted at a time.
BATCH = 10_000_000
# Sorting is advised when queries read this many times the row groups that they would read if the atlas were sorted.
ADVISED_FROM = 2.0


def fragmentation(con: duckdb.DuckDBPyConnection) -> float:
    """Row groups that queries of single genes read, relative to a sorted atlas; about 1 if the atlas is sorted."""
    ((n_read, n_ideal),) = run_statement(con, "atlas/optimize.fragmentation")
    return float(n_read / n_ideal) if n_ideal else 1.0


def advice(con: duckdb.DuckDBPyConnection, path: str | os.PathLike[str]) -> str | None:
    """Advice for the user to sort the atlas, or None if that would gain little."""
    ((n_scores,),) = run_statement(con, "atlas/optimize.score_count")
    if n_scores <= BATCH or (times := fragmentation(con)) < ADVISED_FROM:
        return None
    return (
        f"Queries read {times:.1f} times as many row groups as in a sorted atlas. "
        f"To sort it: `sigdb.optimize({str(path)!r})`"
    )


def optimize(
    path: str | os.PathLike[str],
    *,
    decimals: int | None = None,
    batch: int = BATCH,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Sort the attributions of an atlas by (run, gene, cell), and close the gaps in its file.

    Queries of a sorted atlas read only the row groups of their genes. The sorted atlas is written to a new file,
    `<path>.optimizing`, which replaces the old one in a single step at the end. An interrupted call changes nothing,
    and the next call continues where it stopped, unless the atlas has changed. Tables, views and macros that are not
    part of sigdb are copied.

    Parameters
    ----------
    path
        An atlas file. The disk must have space for a second one.
    decimals
        Round the scores to this many decimals, from 2 to 6. This makes the file smaller and cannot be undone. A score
        that would become 0 is not rounded. The cube and kept scores are computed again from the rounded scores.
    batch
        Number of attributions that are sorted at a time.
    progress
        A function that is called with (attributions sorted, attributions in total).

    Raises
    ------
    AtlasLockedError
        The atlas is open elsewhere.
    AtlasError
        There is no space, another file has the name of the new one, or the scores are too small to be rounded.

    Examples
    --------
    >>> sigdb.optimize("demo.duckdb")
    """
    if decimals is not None and not 2 <= decimals <= 6:
        raise AtlasError(
            f"Scores can be rounded to 2 to 6 decimals, not to `decimals={decimals}`; they add up to 1000 per cell."
        )
    # A symbolic link is followed, since the file that it points to is the one to replace.
    path = Path(path).resolve()
    target = path.with_name(f"{path.name}.optimizing")
    with Atlas(path) as atlas, little_memory(atlas.con):
        con = atlas.con
        if decimals is not None:
            check_target_sums(con, decimals)
        con.execute("CHECKPOINT")
        check_room(path, target)
        attach_target(con, target, decimals)
        shutil.copymode(path, target)
        sort_attributions(atlas, batch, decimals, progress)
        with atlas.transaction():
            copy_tables(con)
            if decimals is not None:
                rebuild_derived(con, decimals)
            run_statement(con, "atlas/optimize.drop_notes")
        con.execute("CHECKPOINT sigdb_new")
        con.execute("DETACH sigdb_new")
        sync(target)
        # The old file is still open here, so no other process can have written to it after it was read.
        target.replace(path)
        sync(path.parent)


def check_target_sums(con: duckdb.DuckDBPyConnection, decimals: int) -> None:
    """Raise AtlasError if the scores of a run are too small to be rounded: they add up to less than 1000 per cell."""
    if small := run_statement(con, "atlas/optimize.runs_of_small_scores"):
        raise AtlasError(
            f"Rounding to {decimals} decimals would ruin scores that add up to less than 1000 per cell: "
            f"{listed([f'{target:g} in run {run}' for run, target in small])}. Leave out `decimals`, or load these "
            "scores again, rescaled to add up to 1000."
        )


def check_room(path: Path, target: Path) -> None:
    """Raise AtlasError unless the disk has space for the new file."""
    existing = target.stat().st_size if target.exists() else 0
    needed, free = path.stat().st_size - existing, shutil.disk_usage(path.parent).free
    if free < needed:
        raise AtlasError(
            f"{path} cannot be optimized: the new file needs {size_text(needed)} more, and its disk has "
            f"{size_text(free)} free. Make room on the disk and try again."
        )


def attach_target(con: duckdb.DuckDBPyConnection, target: Path, decimals: int | None) -> None:
    """Attach the new file as sigdb_new. The file of an interrupted call is used if the atlas has not changed since."""
    state = str([decimals, *run_statement(con, "atlas/optimize.atlas_state")])
    if target.exists():
        try:
            attach_new(con, target)
            found = read_state(con)
        except duckdb.Error as error:
            raise AtlasError(
                f"{target} is in the way. It is damaged, or it was not left by an interrupted `sigdb.optimize(path)`: "
                f"{message(error)}. Remove it."
            ) from error
        if found == state:
            return
        con.execute("DETACH sigdb_new")
        remove(target)
    attach_new(con, target)
    # The table of notes comes first and marks the file as ours. The state comes last and says that the schema is
    # complete, because some versions of DuckDB do not copy a schema in one transaction.
    run_statement(con, "atlas/optimize.create_notes")
    con.execute(statement("atlas/optimize.copy_schema").replace("current_atlas", current_database(con)))
    run_statement(con, "atlas/optimize.note_state", {"state": state})


def read_state(con: duckdb.DuckDBPyConnection) -> str | None:
    """The state of the atlas that sigdb_new was made from, or None if sigdb_new must be made from the start.

    This is the case if it is empty, or if the notes are gone: an earlier call finished the file, but stopped before it
    replaced the atlas.
    """
    tables = {name for (name,) in run_statement(con, "atlas/optimize.new_tables")}
    if not tables or ("attributions" in tables and "sigdb_optimize" not in tables):
        return None
    rows = run_statement(con, "atlas/optimize.noted_state")
    return str(rows[0][0]) if rows else None


def sort_attributions(atlas: Atlas, batch: int, decimals: int | None, progress: Callable[[int, int], None]) -> None:
    """Copy the attributions in order. One transaction copies a range of genes, and notes that it is done."""
    con = atlas.con
    ranges = run_statement(con, "atlas/optimize.gene_batches", {"batch": batch})
    finished = set(run_statement(con, "atlas/optimize.noted_ranges"))
    done, total = 0, sum(n for *_, n in ranges)
    progress(done, total)
    for run_id, first, last, n in ranges:
        if (run_id, last) not in finished:
            with atlas.transaction():
                genes = {"run_id": run_id, "first": first, "last": last, "decimals": decimals}
                run_statement(con, "atlas/optimize.copy_attributions", genes)
                run_statement(con, "atlas/optimize.note_range", {"run_id": run_id, "last_gene": last})
        done += n
        progress(done, total)


def copy_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Copy all other tables, including tables that are not part of sigdb."""
    for database, schema, table in run_statement(con, "atlas/inspect.other_tables"):
        source, target = (exp.table_(table, db=schema, catalog=name, quoted=True) for name in (database, "sigdb_new"))
        try:
            con.execute(exp.insert(exp.select("*").from_(source), target).sql("duckdb"))
        except duckdb.Error as error:
            raise AtlasError(f"The table {schema}.{table} cannot be copied: {message(error)}") from error


def rebuild_derived(con: duckdb.DuckDBPyConnection, decimals: int) -> None:
    """Compute again, in the new file, what is derived from the scores, and record there that they are rounded."""
    atlas = current_database(con)
    con.execute("USE sigdb_new")
    rebuild_summary(con)
    materialized.rebuild(con)
    run_statement(con, "atlas/records.record_decimals", {"decimals": str(decimals)})
    con.execute("USE " + atlas)
