"""The way of a study into an atlas, wherever its scores come from: chunks beside the atlas, then one transaction."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from ingest.store.chunks import Stage, forget_stored, is_of, remove_stage, settle
from ingest.store.records import StudyInfo, has_run, ledger
from ingest.store.writer import STORE_MEMORY, begin_study
from sigdb.atlas.derived import cluster
from sigdb.atlas.file import little_memory, remove
from sigdb.atlas.optimize import BATCH
from sigdb.atlas.writer import Atlas
from sigdb.errors import CountsError, DamagedError, MethodError, ScoresError, StudyExistsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from ingest.options import IfExists
    from ingest.store.writer import StudyWriter

__all__ = ["NewStudy", "StudyReport", "growing_atlas", "kept_for_later", "open_study"]

log = logging.getLogger(__name__)

# Errors after which chunks are of no use.
AT_FAULT = (CountsError, MethodError, ScoresError, StudyExistsError)


@dataclass(frozen=True)
class NewStudy:
    """A study to store. obs: as `obs_table` gives it. gene_ids: of the model; measured: those that the study has."""

    info: StudyInfo
    run_id: int
    obs: pa.Table
    gene_ids: Sequence[int]
    measured: Sequence[int]
    if_exists: IfExists


@dataclass(frozen=True)
class StudyReport:
    """What came of one study.

    median_delta: of |completeness delta|; relative_delta: the same, each as a share of the cell's summed |attribution|;
    None for scores that were computed elsewhere. counts_from: the matrix of the file that was read. notes: what a user
    should know about how its file was read.
    """

    study: str
    n_cells: int
    n_scores: int
    n_genes_measured: int
    n_empty_cells: int
    median_delta: float | None
    relative_delta: float | None
    counts_from: str
    notes: tuple[str, ...]


@contextmanager
def growing_atlas(path: Path) -> Iterator[tuple[Atlas, list[StudyReport]]]:
    """The atlas at `path`, which is made if there is none, and a list for the reports of the studies that are added.

    A small atlas is sorted at the end. One that was made for nothing is removed.
    """
    reports: list[StudyReport] = []
    with Atlas.open_or_create(path) as atlas:
        try:
            yield atlas, reports
        except BaseException:
            if atlas.is_new and not reports:
                # While it is held: once it is closed, another process may have begun to write to it.
                remove(path)
            raise
        finally:
            if reports:
                sort_if_small(atlas)
            # Closing the file writes, too.
            atlas.con.execute("SET memory_limit = '" + STORE_MEMORY + "'")
    forget_stored(path)


def sort_if_small(atlas: Atlas) -> None:
    """Sort the attributions of an atlas if that takes only seconds; for others there is `sigdb optimize`."""
    ((n_scores,),) = atlas.con.execute("SELECT count(*) FROM sigdb_data.attributions").fetchall()
    if n_scores <= BATCH:
        try:
            with little_memory(atlas.con), atlas.transaction() as con:
                cluster(con)
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            log.warning("The studies are in the atlas, but its scores could not be sorted (sigdb optimize): %s", reason)


def open_study(con: duckdb.DuckDBPyConnection, folder: Path, study: NewStudy) -> tuple[StudyWriter, Stage] | None:
    """Record a study in the caller's transaction; return the writer for its cells, and the stage in `folder`.

    None if the atlas has it, and it is left as it is. Raises StudyExistsError or ObsError.
    """
    if has_run(con, study.info.study, study.run_id):
        # The folder may be that of a command which was stopped when this study was stored, and others were not.
        if is_of(folder, ledger(con, study.info.study, study.run_id)):
            settle(folder)
            return None
        if study.if_exists == "skip":
            remove_stage(folder)
            return None
    writer = begin_study(
        con,
        run_id=study.run_id,
        study=study.info,
        obs=study.obs,
        gene_ids=study.gene_ids,
        measured=study.measured,
        replace=study.if_exists == "replace",
    )
    return writer, Stage.open(folder, study.info.study, writer.gene_ids, writer.ranks)


@contextmanager
def kept_for_later(stage: Stage, n_cells: int) -> Iterator[None]:
    """Where a block is interrupted, say what is kept; where the file or the method is at fault, keep nothing.

    A file that cannot be read is not at fault for that: it may be the machine, and what was read is as good as before.
    """
    try:
        yield
    except BaseException as error:
        is_at_fault = isinstance(error, AT_FAULT) and not isinstance(error, DamagedError)
        if n_kept := 0 if is_at_fault else stage.n_cells:
            log.warning("%d of %d cells are done and kept: the same command goes on from there.", n_kept, n_cells)
        else:
            stage.remove()
        raise
