"""Bring a study into an atlas, wherever its scores come from: chunks beside the atlas first, then one transaction."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.store.records import SAMPLE_FIELDS, StudyInfo, has_run, read_ledger
from ingest.store.stage import Stage, mark_stored, matches_ledger, remove_stage, remove_stored_notes
from ingest.store.writer import OTHER_STUDY, REPLACE_STUDY, STORE_MEMORY, StudyWriter
from sigdb.atlas.derived import clear_study, cluster
from sigdb.atlas.file import little_memory, remove
from sigdb.atlas.optimize import BATCH
from sigdb.atlas.writer import Atlas
from sigdb.errors import (
    CountsError,
    DamagedError,
    MethodError,
    ObsError,
    ScoresError,
    StudyExistsError,
    listed,
    message,
)
from sigdb.statements import run_statement, statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ingest.fields import FieldReport
    from ingest.options import IfExists

__all__ = [
    "NewStudy",
    "StudyReport",
    "begin_study",
    "keep_or_remove_chunks",
    "open_study",
    "study_session",
]

log = logging.getLogger(__name__)

# The file or the method is at fault: the chunks are of no use.
AT_FAULT = (CountsError, MethodError, ScoresError, StudyExistsError)


@dataclass(frozen=True)
class NewStudy:
    """A study to store.

    obs: as `ingest.obs.obs_table` returns it. gene_ids: the genes of the model, in its order; measured: the genes that
    the study measured.
    """

    info: StudyInfo
    run_id: int
    obs: pa.Table
    gene_ids: Sequence[int]
    measured: Sequence[int]
    if_exists: IfExists = "error"


@dataclass(frozen=True)
class StudyReport:
    """A summary of a study that was added.

    median_delta: the median of |completeness delta|. relative_delta: the median of its share of the cell's summed
    |attribution|. Both are None for scores that were computed elsewhere. median_error: the median of the estimated
    integration error as a share of the same sum; None if the method has no estimate. counts_from: the matrix that was
    read. notes: what a user should know about how the file was read. fields: where the fields of the cells came from;
    none if the atlas had the cells already.
    """

    study: str
    n_cells: int
    n_scores: int
    n_genes_measured: int
    n_empty_cells: int
    median_delta: float | None
    relative_delta: float | None
    median_error: float | None
    counts_from: str
    notes: tuple[str, ...]
    fields: tuple[FieldReport, ...] = ()


@contextmanager
def study_session(path: Path) -> Iterator[tuple[Atlas, list[StudyReport]]]:
    """Open the atlas at `path`, or make it, to add studies; the block appends a report per study to the list.

    At the end, a small atlas is sorted. A new atlas without studies is removed if the block fails.
    """
    reports: list[StudyReport] = []
    with Atlas.open_or_create(path) as atlas:
        try:
            yield atlas, reports
        except BaseException:
            if atlas.is_new and not reports:
                # Remove the file before it is closed: after that, another process may write to it.
                remove(path)
            raise
        finally:
            if reports:
                sort_if_small(atlas)
            # Closing the file writes to it, which takes memory too.
            atlas.con.execute("SET memory_limit = ?", [STORE_MEMORY])
    remove_stored_notes(path)


def sort_if_small(atlas: Atlas) -> None:
    """Sort the attributions of an atlas if that takes only seconds. `optimize` sorts larger ones."""
    ((n_scores,),) = run_statement(atlas.con, "ingest/study.n_scores")
    if n_scores > BATCH:
        return
    try:
        with little_memory(atlas.con), atlas.transaction() as con:
            cluster(con)
    except duckdb.Error as error:
        log.warning(
            "The studies are in the atlas, but its scores could not be sorted: %s. To sort them: "
            "`sigdb.optimize(path)`.",
            message(error).rstrip("."),
        )


def open_study(con: duckdb.DuckDBPyConnection, folder: Path, study: NewStudy) -> tuple[StudyWriter, Stage] | None:
    """Record a study in the caller's transaction; return the writer for its cells, and the stage in `folder`.

    Returns None if the atlas has the study, and it stays as it is. Raises StudyExistsError or ObsError.
    """
    if has_run(con, study.info.study, study.run_id):
        # A command that was stopped after it stored this study may have left the folder.
        if matches_ledger(folder, read_ledger(con, study.info.study, study.run_id)):
            mark_stored(folder)
            return None
        if study.if_exists == "skip":
            remove_stage(folder)
            return None
    writer = begin_study(con, study)
    return writer, Stage.open(folder, study.info.study, writer.gene_ids, writer.ranks)


def begin_study(con: duckdb.DuckDBPyConnection, study: NewStudy) -> StudyWriter:
    """Record a study, its samples and the genes it measured; return the writer for its cells.

    If the atlas has the study with the same cells, they get the scores of a further run. With `if_exists='replace'`,
    the new study replaces it. Raises StudyExistsError if the atlas has this run of the study, or other cells; ObsError
    if a field of the sample varies within a sample.
    """
    name, replace = study.info.study, study.if_exists == "replace"
    if replace:
        check_only_run(con, name, study.run_id)
    ids = [int(study_id) for (study_id,) in run_statement(con, "ingest/study.find_study", {"study": name})]
    has_cells = bool(ids) and not replace
    if has_cells:
        study_id = ids[0]
        first_cell, ranks = find_cells(con, study, study_id)
    else:
        check_samples(study.obs, name)
        if ids:
            clear_study(con, name)
        ((study_id,),) = run_statement(con, "ingest/study.add_study", vars(study.info))
        for statement_name in ("ingest/study.add_samples", "ingest/study.drop_other_samples"):
            run_statement(con, statement_name, {"study_id": study_id}, sigdb_obs=study.obs)
        ((first_cell,),) = run_statement(con, "ingest/study.next_cell_id")
        ranks = rank_by_cell_type(study.obs)
    measured = pa.table({"gene_id": pa.array(study.measured, pa.uint32())})
    run_statement(con, "ingest/study.add_study_genes", {"study_id": study_id}, sigdb_incoming=measured)
    gene_ids = np.asarray(study.gene_ids, np.uint32)
    return StudyWriter(con, study.run_id, study_id, first_cell, study.obs, gene_ids, ranks, has_cells)


def check_only_run(con: duckdb.DuckDBPyConnection, study: str, run_id: int) -> None:
    """Raise StudyExistsError if a study that is to be replaced has scores of other runs."""
    if others := run_statement(con, "ingest/records.other_runs", {"study": study, "run_id": run_id}):
        raise StudyExistsError(
            f"Study {study!r} has scores of {len(others)} other runs too ({listed([run for (run,) in others])}), and "
            "replacing it would remove them. If you want that, drop the study with "
            "`sigdb.Atlas(path).drop_study(study)`, and add it again."
        )


def rank_by_cell_type(obs: pa.Table) -> NDArray[np.uint32]:
    """Rank cells by cell type, so that a query of one cell type reads less; types and cells keep their order."""
    types = obs["cell_type"].combine_chunks().dictionary_encode("encode").indices.to_numpy()
    order = np.argsort(types, kind="stable")
    ranks = np.empty(len(order), np.uint32)
    ranks[order] = np.arange(len(order), dtype=np.uint32)
    return ranks


def find_cells(con: duckdb.DuckDBPyConnection, study: NewStudy, study_id: int) -> tuple[int, NDArray[np.uint32]]:
    """Find the cells of a study that the atlas has by their barcodes: the first cell_id, and the rank of each cell."""
    if has_run(con, study.info.study, study.run_id):
        raise StudyExistsError(
            f"Study {study.info.study!r} is in the atlas already, with this model and method. {OTHER_STUDY} To "
            "leave the study in the atlas as it is, or to replace it, use `if_exists='skip'` or `if_exists='replace'`."
        )
    query = statement("atlas/derived.study_cells")
    cells = con.sql(query, params={"study_id": study_id}).to_arrow_table()
    ranks = pc.index_in(study.obs["barcode"], value_set=cells["barcode"])
    if ranks.null_count or len(cells) != len(study.obs):
        raise StudyExistsError(
            f"The atlas has a study {study.info.study!r} of {len(cells)} cells; these {len(study.obs)} are others, so "
            f"this cannot be a further run of it. {OTHER_STUDY} {REPLACE_STUDY}"
        )
    return cells["cell_id"][0].as_py(), ranks.to_numpy().astype(np.uint32)


def check_samples(obs: pa.Table, study: str) -> None:
    """Raise ObsError if a field of the sample has several values within one sample."""
    fields = [name for name in SAMPLE_FIELDS if name != "sample"]
    n_values = [(name, "count_distinct", pc.CountOptions(mode="all")) for name in fields]
    counted = obs.group_by("sample").aggregate(n_values)
    for name in fields:
        if varying := counted.filter(pc.greater(counted[f"{name}_count_distinct"], 1))["sample"].to_pylist():
            raise ObsError(
                f"{name} has several values within {len(varying)} samples of {study} ({listed(sorted(varying), 3)}), "
                "but a sample can have one only. Name a finer column for sample in `mapping` (an empty name makes "
                f"samples of donors and all such fields), or an empty name for {name}: the column is kept."
            )


@contextmanager
def keep_or_remove_chunks(stage: Stage, n_cells: int) -> Iterator[None]:
    """If the block fails, keep the chunks and say so; remove them if the file or the method is at fault.

    A file that cannot be read is not at fault: the machine may be, and the chunks that exist are still good.
    """
    try:
        yield
    except BaseException as error:
        is_at_fault = isinstance(error, AT_FAULT) and not isinstance(error, DamagedError)
        n_kept = 0 if is_at_fault else stage.n_cells
        if n_kept:
            log.warning(
                "%s of %s cells are done and kept. The same command continues from there.",
                f"{n_kept:,}",
                f"{n_cells:,}",
            )
        else:
            stage.remove()
            if not isinstance(error, Exception):
                log.warning("No cells are kept: the first ones were not finished.")
        raise
