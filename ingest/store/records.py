"""What an atlas records of a model, a run and a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from ingest.genes import add_genes
from sigdb.atlas.fields import FIELDS, SAMPLE_FIELDS
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
    "read_ledger",
    "split_versions",
]


@dataclass(frozen=True)
class ModelInfo:
    """The record of a model. genes: its gene list, in input order."""

    name: str
    architecture: str
    checkpoint_sha256: str
    genes: Sequence[str]
    latent_dim: int
    description: str | None = None


@dataclass(frozen=True)
class RunSettings:
    """The record of a run.

    Attributions are comparable if all settings but device and versions are equal. target_sum: what the absolute scores
    of a cell add up to. versions: of packages, by name; "sigdb-atlas" is always there.
    """

    method: str
    n_steps: int | None
    baseline: str
    summation: str
    target_sum: float
    device: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class StudyInfo:
    """The record of a study. counts_from: the matrix in its file that held the raw counts."""

    study: str
    counts_from: str
    title: str | None = None
    organism: str | None = None
    source: str | None = None
    licence: str | None = None


def add_model(con: duckdb.DuckDBPyConnection, model: ModelInfo) -> tuple[int, list[int]]:
    """Record a model and its genes, unless the atlas has this checkpoint; return its id and the ids of its genes."""
    checkpoint = {"checkpoint_sha256": model.checkpoint_sha256}
    for (model_id,) in run_statement(con, "ingest/records.find_model", checkpoint):
        rows = run_statement(con, "ingest/records.model_genes", {"model_id": model_id})
        return int(model_id), [gene_id for (gene_id,) in rows]
    gene_ids = add_genes(con, model.genes)
    is_taken = run_statement(con, "ingest/records.find_model_name", {"model": model.name})
    record = {
        "model": f"{model.name}-{model.checkpoint_sha256[:8]}" if is_taken else model.name,
        "architecture": model.architecture,
        "n_genes": len(gene_ids),
        "latent_dim": model.latent_dim,
        "description": model.description,
    }
    ((model_id,),) = run_statement(con, "ingest/records.add_model", checkpoint | record)
    positions = pa.table({"gene_id": pa.array(gene_ids, pa.uint32()), "position": range(len(gene_ids))})
    run_statement(con, "ingest/records.add_model_genes", {"model_id": model_id}, sigdb_incoming=positions)
    return int(model_id), gene_ids


def add_run(con: duckdb.DuckDBPyConnection, model_id: int, settings: RunSettings, name: str | None = None) -> int:
    """Record a run, unless the atlas has one of this model and these settings; return its id.

    The first run of an atlas becomes its default. Raises AtlasError if a run called `name` has other settings.
    """
    key = {
        "model_id": model_id,
        "method": settings.method,
        "n_steps": settings.n_steps,
        "baseline": settings.baseline,
        "summation": settings.summation,
        "target_sum": settings.target_sum,
    }
    for run_id, run in run_statement(con, "ingest/records.find_run", key):
        if name in (None, run):
            return int(run_id)
    if not name:
        ((model,),) = run_statement(con, "ingest/records.model_name", {"model_id": model_id})
        name = f"{model}-{(settings.method.split() or ['unknown'])[0]}"
    if name.isdigit():
        raise AtlasError(f"A run cannot be called {name}: numbers are run ids. Give it another name with `run`.")
    if run_statement(con, "ingest/records.find_run_name", {"run": name}):
        raise AtlasError(f"The atlas has a run {name!r} with other settings. Give this run another name with `run`.")
    record = {"run": name, "started": now(), "device": settings.device, **split_versions(settings.versions)}
    ((run_id,),) = run_statement(con, "ingest/records.add_run", key | record)
    run_statement(con, "ingest/records.set_first_run_default", {"run": name})
    return int(run_id)


def has_run(con: duckdb.DuckDBPyConnection, study: str, run_id: int) -> bool:
    """Whether the atlas has this run of a study."""
    return bool(run_statement(con, "ingest/records.study_run", {"study": study, "run_id": run_id}))


def read_ledger(con: duckdb.DuckDBPyConnection, study: str, run_id: int) -> set[tuple[object, ...]]:
    """Read the chunks that a run of a study was stored from: number, scores, and time of writing."""
    return set(run_statement(con, "ingest/records.study_chunks", {"study": study, "run_id": run_id}))


def split_versions(versions: Mapping[str, str]) -> dict[str, list[str]]:
    """Versions of packages as two lists, from which SQL makes a MAP."""
    return {"packages": list(versions), "versions": list(versions.values())}
