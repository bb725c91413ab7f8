"""The records of an atlas about models, runs and studies, and the fields of a cell that it knows by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from ingest.genes import add_genes
from sigdb.disk import now
from sigdb.errors import AtlasError
from sigdb.statements import run_statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb


__all__ = [
    "FIELDS",
    "SAMPLE_FIELDS",
    "ModelInfo",
    "RunSettings",
    "StudyInfo",
    "add_model",
    "add_run",
    "has_run",
    "ledger",
]

# What is constant within a sample: the columns of sigdb_data.samples.
SAMPLE_FIELDS = ("sample", "donor", "tissue", "disease", "assay", "sex", "development_stage", "in_vivo")
FIELDS = (*SAMPLE_FIELDS, "cell_type")


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
    ((model_id,),) = run_statement(con, "ingest/records.add_model", parameters)
    positions = pa.table({"gene_id": pa.array(gene_ids, pa.uint32()), "position": range(len(gene_ids))})
    run_statement(con, "ingest/records.add_model_genes", {"model_id": model_id}, sigdb_incoming=positions)
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
    for run_id, run in run_statement(con, "ingest/records.find_run", same):
        if name in (None, run):
            return int(run_id)
    ((model,),) = con.execute("SELECT model FROM sigdb_data.models WHERE model_id = ?", [model_id]).fetchall()
    name = name or f"{model}-{(settings.method.split() or ['unknown'])[0]}"
    if name.isdigit():
        raise AtlasError(f"A run cannot be called {name}: numbers are run ids.")
    if con.execute("SELECT 1 FROM sigdb_data.attribution_runs WHERE run = ?", [name]).fetchall():
        raise AtlasError(f"The atlas has a run {name!r} with other settings. Give this one another name: --run NAME.")
    made = {"run": name, "started": now(), "device": settings.device, **split_versions(settings.versions)}
    ((run_id,),) = run_statement(con, "ingest/records.add_run", same | made)
    run_statement(con, "ingest/records.set_first_run_default", {"run": name})
    return int(run_id)


def has_run(con: duckdb.DuckDBPyConnection, study: str, run_id: int) -> bool:
    """Whether the atlas has this run of a study."""
    return bool(run_statement(con, "ingest/records.study_run", {"study": study, "run_id": run_id}))


def ledger(con: duckdb.DuckDBPyConnection, study: str, run_id: int) -> set[tuple[object, ...]]:
    """The chunks that a run of a study was stored from: number, scores, and when each was written."""
    return set(run_statement(con, "ingest/records.study_chunks", {"study": study, "run_id": run_id}))


def split_versions(versions: Mapping[str, str]) -> dict[str, list[str]]:
    """Versions as the two lists that a MAP is made of."""
    return {"packages": list(versions), "versions": list(versions.values())}
