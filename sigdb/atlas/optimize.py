"""Rewrite an atlas with its attributions sorted, into a new file that takes the place of the old one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from sqlglot import exp

from sigdb import statements
from sigdb.atlas import materialized
from sigdb.atlas.derived import rebuild_summary
from sigdb.atlas.file import attach_new, little_memory, remove
from sigdb.atlas.writer import Atlas
from sigdb.disk import sync
from sigdb.errors import AtlasError, listed, message

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

__all__ = ["BATCH", "advice", "fragmentation", "optimize"]

# Attributions sorted at a time.
BATCH = 10_000_000
# Times the row groups of a sorted atlas that queries may read before sorting is worth its while.
WORTH_IT = 2.0


def fragmentation(con: duckdb.DuckDBPyConnection) -> float:
    """How many times the row groups of a sorted atlas queries of single genes have to read; about 1 if it is sorted."""
    ((n_read, n_ideal),) = con.execute(statements.statement("atlas/optimize.fragmentation")).fetchall()
    return float(n_read / n_ideal) if n_ideal else 1.0


def advice(con: duckdb.DuckDBPyConnection, path: str | os.PathLike[str]) -> str | None:
    """What a user should know of how the attributions lie, if it is worth sorting them."""
    ((n_scores,),) = con.execute("SELECT count(*) FROM sigdb_data.attributions").fetchall()
    if n_scores <= BATCH or (times := fragmentation(con)) < WORTH_IT:
        return None
    return f"Queries read {times:.1f} times the row groups of a sorted atlas. To sort it: sigdb optimize {path}"


def optimize(
    path: str | os.PathLike[str],
    *,
    decimals: int | None = None,
    batch: int = BATCH,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Sort the attributions by (run, gene, cell), a range of genes at a time, and close the gaps in the file.

    The new file, `<path>.optimizing`, takes the place of the old one at the very end, in one step; until then nothing
    changes. If it is interrupted, the next call goes on where it was, unless the atlas has changed. Needs room for a
    second file. Tables, views and macros that are not sigdb's are copied as they are. decimals: round the scores to so
    many, from 2 to 6, and make all that is derived of them anew; a score that would become 0 stays as it is. progress:
    told (rows sorted, rows in all).

    Raises AtlasLockedError if the atlas is open elsewhere, AtlasError if there is no room, or a file of that name, or
    scores that are to be rounded do not add up to 1000 a cell.
    """
    if decimals is not None and not 2 <= decimals <= 6:
        raise AtlasError(f"Scores can be rounded to 2 to 6 decimals, not to {decimals}; they are 1000 a cell in all.")
    # Of a link, the file: it is what takes the room, and what is replaced.
    path = Path(path).resolve()
    target = path.with_name(f"{path.name}.optimizing")
    with Atlas(path) as atlas, little_memory(atlas.con):
        con = atlas.con
        if decimals is not None:
            check_sums(con, decimals)
        con.execute("CHECKPOINT")
        check_room(path, target)
        begin(con, target, decimals)
        shutil.copymode(path, target)
        sort_attributions(atlas, batch, decimals, progress)
        with atlas.transaction():
            copy_tables(con)
            if decimals is not None:
                derive(con, decimals)
            con.execute("DROP TABLE sigdb_new.sigdb_optimize")
        con.execute("CHECKPOINT sigdb_new")
        con.execute("DETACH sigdb_new")
        sync(target)
        # While the old file is still held, so that nobody can write to it after it was read.
        target.replace(path)
        sync(path.parent)


def check_sums(con: duckdb.DuckDBPyConnection, decimals: int) -> None:
    """Raise AtlasError for scores too small to be rounded: precision is that of scores that are 1000 a cell in all."""
    query = "SELECT run, target_sum FROM sigdb_data.attribution_runs WHERE target_sum < 1000 ORDER BY run_id"
    if small := con.execute(query).fetchall():
        raise AtlasError(
            f"Scores that add up to less than 1000 a cell would be ruined by rounding them to {decimals} decimals: "
            f"{listed([f'{target:g} in run {run}' for run, target in small])}. Optimize without --precision, or load "
            "them again so that they add up to 1000 (--rescale)."
        )


def check_room(path: Path, target: Path) -> None:
    """Raise AtlasError unless a second file fits beside the first."""
    held = target.stat().st_size if target.exists() else 0
    needed, free = path.stat().st_size - held, shutil.disk_usage(path.parent).free
    if free < needed:
        raise AtlasError(
            f"{path} cannot be optimized: the new file needs {needed / 1e9:.1f} GB more, and there are "
            f"{free / 1e9:.1f} GB free beside it."
        )


def begin(con: duckdb.DuckDBPyConnection, target: Path, decimals: int | None) -> None:
    """Attach the new file as sigdb_new: that of an interrupted call if the atlas is as it was then, or an empty one."""
    state = str([decimals, *con.execute(statements.statement("atlas/optimize.atlas_state")).fetchall()])
    if target.exists():
        try:
            attach_new(con, target)
            found = noted_state(con)
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise AtlasError(
                f"{target} is in the way, and is not what `sigdb optimize` left, or is damaged: {reason}. Remove it."
            ) from error
        if found == state:
            return
        con.execute("DETACH sigdb_new")
        remove(target)
    attach_new(con, target)
    # First the table by which the file is known for ours, last the state by which it is known to be begun: not
    # every DuckDB copies a schema in one piece.
    con.execute(statements.statement("atlas/optimize.begin_optimize"))
    # COPY FROM DATABASE takes names only.
    con.execute("COPY FROM DATABASE " + statements.current_database(con) + " TO sigdb_new (SCHEMA)")
    con.execute("INSERT INTO sigdb_new.sigdb_optimize (state) VALUES (?)", [state])


def noted_state(con: duckdb.DuckDBPyConnection) -> str | None:
    """The state of the atlas that sigdb_new is being made from; None if it has to be made from the start.

    That is: if nothing is there yet, or if all is and only the last step was missing, before which the notes go.
    """
    query = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'sigdb_new'"
    tables = {name for (name,) in con.execute(query).fetchall()}
    if not tables or ("attributions" in tables and "sigdb_optimize" not in tables):
        return None
    rows = con.execute("SELECT state FROM sigdb_new.sigdb_optimize WHERE state IS NOT NULL").fetchall()
    return str(rows[0][0]) if rows else None


def sort_attributions(atlas: Atlas, batch: int, decimals: int | None, progress: Callable[[int, int], None]) -> None:
    """Copy the attributions, each range of genes in a transaction, with a note that it is done."""
    con = atlas.con
    ranges = con.execute(statements.statement("atlas/optimize.gene_batches"), {"batch": batch}).fetchall()
    have = set(con.execute("SELECT run_id, last_gene FROM sigdb_new.sigdb_optimize WHERE state IS NULL").fetchall())
    done, total = 0, sum(n for *_, n in ranges)
    progress(done, total)
    for run_id, first, last, n in ranges:
        if (run_id, last) not in have:
            with atlas.transaction():
                genes = {"run_id": run_id, "first": first, "last": last, "decimals": decimals}
                statements.run_statement(con, "atlas/optimize.copy_attributions", genes)
                con.execute("INSERT INTO sigdb_new.sigdb_optimize (run_id, last_gene) VALUES (?, ?)", [run_id, last])
        done += n
        progress(done, total)


def copy_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Copy all other tables, those included that are not sigdb's."""
    for database, schema, table in con.execute(statements.statement("atlas/inspect.other_tables")).fetchall():
        source, target = (exp.table_(table, db=schema, catalog=place, quoted=True) for place in (database, "sigdb_new"))
        try:
            con.execute(exp.insert(exp.select("*").from_(source), target).sql("duckdb"))
        except duckdb.Error as error:
            raise AtlasError(f"The table {schema}.{table} cannot be copied: {message(error)}") from error


def derive(con: duckdb.DuckDBPyConnection, decimals: int) -> None:
    """Make anew in the new file what is derived of the scores; note there that they are rounded."""
    atlas = statements.current_database(con)
    con.execute("USE sigdb_new")
    rebuild_summary(con)
    materialized.rebuild(con)
    con.execute("INSERT OR REPLACE INTO sigdb_data.atlas_info VALUES ('decimals', ?)", [str(decimals)])
    con.execute("USE " + atlas)
