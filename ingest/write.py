"""Write attributions into an atlas: models, runs, and studies chunk by chunk. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from sqlglot import exp

from ingest.fields import SAMPLE_FIELDS
from sigdb import catalog, materialized
from sigdb.atlas import cluster
from sigdb.catalog import run_statement
from sigdb.errors import AtlasError, ObsError, StudyExistsError, listed
from sigdb.genes import add_genes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

__all__ = [
    "Chunk",
    "ModelInfo",
    "RunSettings",
    "StudyInfo",
    "StudyWriter",
    "add_model",
    "add_run",
    "begin_study",
    "cluster",
]


@dataclass(frozen=True)
class ModelInfo:
    """What the atlas records of a model. genes: its gene list, in input order."""

    name: str
    architecture: str
    checkpoint_sha256: str
    genes: Sequence[str]
    latent_dim: int
    description: str | None = None


@dataclass(frozen=True)
class RunSettings:
    """What makes two attributions of one cell comparable, and with what they were made."""

    method: str
    n_steps: int | None
    baseline: str
    summation: str
    target_sum: float
    device: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class StudyInfo:
    """Where a study comes from. counts_from: the matrix of the file that held its raw counts."""

    study: str
    counts_from: str
    title: str | None = None
    organism: str | None = None
    source: str | None = None
    licence: str | None = None


@dataclass(frozen=True)
class Chunk:
    """Consecutive cells of a study: what was counted in them, and what was attributed.

    n_counts, n_genes: (n,) over all genes of the file. scores: (n, n_model_genes), signed, scaled. scale, delta: (n,),
    NaN for a cell without attributions.
    """

    n_counts: NDArray[np.float64]
    n_genes: NDArray[np.integer]
    scores: csr_matrix
    scale: NDArray[np.floating]
    delta: NDArray[np.floating]


def add_model(con: duckdb.DuckDBPyConnection, model: ModelInfo) -> tuple[int, list[int]]:
    """Record a model and its genes, unless the atlas has this checkpoint; return its id and its genes' ids."""
    known = con.execute(
        "SELECT model_id FROM sigdb_data.models WHERE checkpoint_sha256 = ?", [model.checkpoint_sha256]
    ).fetchall()
    if known:
        model_id = int(known[0][0])
        genes = "SELECT gene_id FROM sigdb_data.model_genes WHERE model_id = ? ORDER BY position"
        return model_id, [gene for (gene,) in con.execute(genes, [model_id]).fetchall()]
    gene_ids = add_genes(con, model.genes)
    taken = con.execute("SELECT count(*) FROM sigdb_data.models WHERE model = ?", [model.name]).fetchall()[0][0]
    parameters = {
        "model": f"{model.name}-{model.checkpoint_sha256[:8]}" if taken else model.name,
        "architecture": model.architecture,
        "checkpoint_sha256": model.checkpoint_sha256,
        "n_genes": len(gene_ids),
        "latent_dim": model.latent_dim,
        "description": model.description,
    }
    ((model_id,),) = run_statement(con, "write/add_model", parameters)
    positions = pa.table({"gene_id": pa.array(gene_ids, pa.uint16()), "position": range(len(gene_ids))})
    run_statement(con, "write/add_model_genes", {"model_id": model_id}, sigdb_incoming=positions)
    return model_id, gene_ids


def add_run(con: duckdb.DuckDBPyConnection, model_id: int, settings: RunSettings, name: str | None = None) -> int:
    """Record a run, unless the atlas has one of this model and these settings; return its id.

    The first run of an atlas becomes its default. Raises AtlasError if `name` is that of a run with other settings.
    """
    same = {
        "model_id": model_id,
        "method": settings.method,
        "n_steps": settings.n_steps,
        "baseline": settings.baseline,
        "summation": settings.summation,
        "target_sum": settings.target_sum,
    }
    for run_id, run in run_statement(con, "write/find_run", same):
        if name in (None, run):
            return int(run_id)
    ((model,),) = con.execute("SELECT model FROM sigdb_data.models WHERE model_id = ?", [model_id]).fetchall()
    name = name or f"{model}-{settings.method.split()[0]}"
    if name.isdigit():
        raise AtlasError(f"A run cannot be called {name}: numbers are run ids.")
    if con.execute("SELECT 1 FROM sigdb_data.attribution_runs WHERE run = ?", [name]).fetchall():
        raise AtlasError(f"The atlas has a run {name!r} with other settings. Give this one another name: --run NAME.")
    made = {"run": name, "started": now(), "device": settings.device, **split_versions(settings.versions)}
    ((run_id,),) = run_statement(con, "write/add_run", same | made)
    run_statement(con, "write/set_first_run_default", {"run": name})
    return int(run_id)


def begin_study(
    con: duckdb.DuckDBPyConnection,
    *,
    run_id: int,
    study: StudyInfo,
    obs: pa.Table,
    gene_ids: Sequence[int],
    measured: Sequence[int],
) -> StudyWriter:
    """Record a study, its samples and the genes it measured; return the writer for its cells.

    obs: as `ingest.obs.obs_table` gives it. gene_ids: of the model, in its order; measured: those the study has. A
    study that the atlas has already, cell for cell, gets the scores of a further run. Raises StudyExistsError if it has
    that run too, or other cells; ObsError if a sample field varies within a sample.
    """
    known = con.execute("SELECT study_id FROM sigdb_data.studies WHERE study = ?", [study.study]).fetchall()
    if known:
        study_id = int(known[0][0])
        first_cell = match_cells(con, study, study_id, run_id, obs)
    else:
        check_samples(obs, study.study)
        ((study_id,),) = run_statement(con, "write/add_study", vars(study))
        run_statement(con, "write/add_samples", {"study_id": study_id}, sigdb_obs=obs)
        first_cell = con.execute("SELECT coalesce(max(cell_id) + 1, 0) FROM sigdb_data.cell_data").fetchall()[0][0]
    genes = pa.table({"gene_id": pa.array(measured, pa.uint16())})
    run_statement(con, "write/add_study_genes", {"study_id": study_id}, sigdb_incoming=genes)
    return StudyWriter(con, run_id, study_id, first_cell, obs, np.asarray(gene_ids, np.uint16), has_cells=bool(known))


def match_cells(con: duckdb.DuckDBPyConnection, study: StudyInfo, study_id: int, run_id: int, obs: pa.Table) -> int:
    """The first cell_id of a study that the atlas has, once its cells are known to be those of obs."""
    chunks = "SELECT count(*) FROM sigdb_data.ingest_chunks WHERE study_id = ? AND run_id = ?"
    if con.execute(chunks, [study_id, run_id]).fetchall()[0][0]:
        raise StudyExistsError(
            f"Study {study.study!r} is in the atlas already, with this model and method. "
            "If it is another study, give it another name: --study NAME."
        )
    cells = run_statement(con, "queries/study_cells", {"study_id": study_id})
    if [barcode for _, barcode in cells] != obs["barcode"].to_pylist():
        raise StudyExistsError(
            f"The atlas has a study {study.study!r} of {len(cells)} cells; these {len(obs)} are others, or in another "
            "order, so they cannot take a further run. If it is another study, give it another name: --study NAME."
        )
    return int(cells[0][0])


def check_samples(obs: pa.Table, study: str) -> None:
    """Raise ObsError if a field of the sample has several values within one sample."""
    fields = [name for name in SAMPLE_FIELDS if name != "sample"]
    counted = obs.group_by("sample").aggregate(
        [(name, "count_distinct", pa.compute.CountOptions(mode="all")) for name in fields]
    )
    for name in fields:
        varying = counted.filter(pa.compute.greater(counted[f"{name}_count_distinct"], 1))["sample"].to_pylist()
        if varying:
            raise ObsError(
                f"{name} has several values within {len(varying)} samples of {study} ({listed(sorted(varying), 3)}), "
                "but is a property of the sample. Name a finer sample column (--map sample=COLUMN; --map sample= makes "
                f"samples of donors and all such fields), or leave the field out (--map {name}=): the column is kept."
            )


@dataclass
class StudyWriter:
    """Writes the cells of one study, chunk by chunk. The caller's transaction holds all of it.

    notes: what a user should know of how the study was stored.
    """

    con: duckdb.DuckDBPyConnection
    run_id: int
    study_id: int
    first_cell: int
    obs: pa.Table
    gene_ids: NDArray[np.uint16]
    has_cells: bool
    n_written: int = 0
    n_chunks: int = 0
    n_scores: int = 0
    notes: list[str] = field(default_factory=list)

    def write(self, chunk: Chunk, *, device: str, versions: Mapping[str, str]) -> None:
        """Append the next cells, their scores, and a line in the ledger."""
        n_cells = chunk.scores.shape[0]
        first = self.first_cell + self.n_written
        cell_ids = np.arange(first, first + n_cells, dtype=np.uint32)
        if self.has_cells:
            self._match_counts(chunk, cell_ids)
        else:
            self._write_cells(chunk, cell_ids)
        runs = {
            "cell_id": cell_ids,
            "attribution_scale": pa.array(chunk.scale, pa.float32(), from_pandas=True),
            "completeness_delta": pa.array(chunk.delta, pa.float32(), from_pandas=True),
        }
        run = {"run_id": self.run_id}
        run_statement(self.con, "write/add_attributed_cells", run, sigdb_incoming=pa.table(runs))
        scores = {
            "gene_id": self.gene_ids[chunk.scores.indices],
            "cell_id": np.repeat(cell_ids, np.diff(chunk.scores.indptr)),
            "score": chunk.scores.data.astype(np.float32),
        }
        run_statement(self.con, "write/add_attributions", run, sigdb_incoming=pa.table(scores))
        ledger = {
            "study_id": self.study_id,
            "chunk": self.n_chunks,
            "first_cell": first,
            "n_cells": n_cells,
            "n_scores": chunk.scores.nnz,
            "device": device,
            "written": now(),
            **split_versions(versions),
        }
        run_statement(self.con, "write/add_chunk", run | ledger)
        self.n_written += n_cells
        self.n_chunks += 1
        self.n_scores += chunk.scores.nnz

    def finish(self) -> None:
        """Fill cube, group sizes, materialised scores for the cells just written; show new obs columns in `cells`."""
        if self.n_written != len(self.obs):
            raise AtlasError(f"{self.n_written} of {len(self.obs)} cells of the study were written.")
        cells = {"run_id": self.run_id, "first": self.first_cell, "last": self.first_cell + self.n_written - 1}
        run_statement(self.con, "write/add_summary", cells)
        run_statement(self.con, "write/add_group_sizes", cells)
        materialized.extend(self.con, **cells)
        materialized.refresh(self.con)
        self.con.execute("UPDATE sigdb_data.attribution_runs SET finished = ? WHERE run_id = ?", [now(), self.run_id])
        catalog.comment_tables(self.con)
        catalog.create(self.con, catalog.read_object("views", "cells"))
        ((run, default),) = run_statement(self.con, "write/run_names", {"run_id": self.run_id})
        if run != default:
            self.notes.append(
                f"these scores are of run {run!r}; queries mean {default!r} unless they say run := '{run}'"
            )
        if self.has_cells:
            self.notes.append("the atlas had these cells already: their metadata are as they were")

    def _match_counts(self, chunk: Chunk, cell_ids: NDArray[np.uint32]) -> None:
        query = "SELECT n_counts FROM sigdb_data.cell_data WHERE cell_id BETWEEN ? AND ? ORDER BY cell_id"
        known = self.con.execute(query, [int(cell_ids[0]), int(cell_ids[-1])]).fetchall()
        differing = int((np.ravel(known) != chunk.n_counts).sum())
        if differing:
            raise StudyExistsError(
                f"The atlas has a study of this name with the same cells, but other counts in {differing} of the first "
                f"{self.n_written + len(cell_ids)}. If it is another study, give it another name: --study NAME."
            )

    def _write_cells(self, chunk: Chunk, cell_ids: NDArray[np.uint32]) -> None:
        rows = self.obs.slice(self.n_written, len(cell_ids))
        rows = rows.append_column("cell_id", pa.array(cell_ids))
        rows = rows.append_column("n_counts", pa.array(chunk.n_counts, pa.float64()))
        rows = rows.append_column("n_genes", pa.array(chunk.n_genes, pa.uint32()))
        extras = [name for name in self.obs.column_names if name not in ("barcode", "cell_type", *SAMPLE_FIELDS)]
        if self.n_written == 0 and extras:
            self.notes += add_columns(self.con, self.obs.select(extras))
        run_statement(self.con, "write/add_cells", {"study_id": self.study_id}, sigdb_obs=rows)


def add_columns(con: duckdb.DuckDBPyConnection, columns: pa.Table) -> list[str]:
    """Give cell_data the columns it lacks, and widen those of a narrower type, so that it can take these.

    Whole numbers that meet fractions become DOUBLE, unlike things VARCHAR. A column without any value fits everywhere.
    Returns a note on each column that was widened.
    """
    notes = []
    known = {name.lower(): kind for name, kind in run_statement(con, "write/cell_columns")}
    for name, kind in run_statement(con, "write/incoming_columns", sigdb_incoming=columns):
        there = known.get(name.lower())
        column = exp.to_identifier(name, quoted=True)
        if there is None:
            action: exp.Expr = exp.ColumnDef(this=column, kind=exp.DataType.build(kind, dialect="duckdb"))
        elif fits(kind, there) or columns[name].null_count == len(columns):
            continue
        else:
            wider = "DOUBLE" if (kind, there) == ("DOUBLE", "BIGINT") else "VARCHAR"
            action = exp.AlterColumn(this=column, dtype=exp.DataType.build(wider, dialect="duckdb"))
            notes.append(f"column {name!r} of the atlas is {wider} now: it was {there}, and is {kind} in this study")
        table = exp.table_("cell_data", db="sigdb_data")
        con.execute(exp.Alter(this=table, kind="TABLE", actions=[action]).sql("duckdb"))
    return notes


def fits(kind: str, column: str) -> bool:
    """Whether a column of cell_data takes values of another type without loss of meaning."""
    return column in (kind, "VARCHAR") or (kind, column) == ("BIGINT", "DOUBLE")


def split_versions(versions: Mapping[str, str]) -> dict[str, list[str]]:
    """Versions as the two lists that a MAP is made of."""
    return {"packages": list(versions), "versions": list(versions.values())}


def now() -> datetime:
    """The time, in UTC, as DuckDB's TIMESTAMP takes it."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
