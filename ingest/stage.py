"""The attributed cells of an unfinished study, kept beside the atlas until the study is whole. Needs no torch."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sigdb.files import now, sync

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

__all__ = ["Chunk", "Stage", "digest", "remove_stage", "stage_folder", "stages_of", "unfinished_studies"]

# Row groups are small enough that a range of genes reads little else. Only genes repeat; looking for repetition in the
# rest takes longer than writing it.
SCORES_FORMAT: dict[str, Any] = {"row_group_size": 1 << 17, "use_dictionary": ["gene_id"], "compression": "lz4"}
# Says what a stage is of; written before any chunk.
PLAN = "plan.json"


@dataclass(frozen=True)
class Chunk:
    """Consecutive cells of a study's file: what was counted in them, and what was attributed.

    n_counts, n_genes: (n,) over all genes of the file; NaN where not known. scores: (n, n_model_genes), signed, scaled.
    scale, delta: (n,), NaN for a cell without attributions; delta also where it is not known.
    """

    n_counts: NDArray[np.float64]
    n_genes: NDArray[np.integer] | NDArray[np.floating]
    scores: csr_matrix
    scale: NDArray[np.floating]
    delta: NDArray[np.floating]


@dataclass(frozen=True)
class Stage:
    """A folder of chunks, each of which appears there whole and in one step, whatever stops the process.

    gene_ids: (n_model_genes,) of the columns of a chunk's scores. ranks: (n_cells,) the place that each cell of the
    file has among the study's cells in the atlas.
    """

    folder: Path
    gene_ids: NDArray[np.uint16]
    ranks: NDArray[np.uint32]

    @classmethod
    def open(cls, folder: Path, study: str, gene_ids: NDArray[np.uint16], ranks: NDArray[np.uint32]) -> Self:
        """The stage in a folder, with the chunks that an interrupted ingest has left there.

        Chunks whose genes or cells have other places in the atlas now are removed.
        """
        plan = {"study": study, "gene_ids": digest(gene_ids.tobytes()), "ranks": digest(ranks.tobytes())}
        note = folder / PLAN
        if not note.exists() or json.loads(note.read_text(encoding="utf-8")) != plan:
            remove_stage(folder)
            folder.mkdir(parents=True)
            note.write_text(json.dumps(plan), encoding="utf-8")
        return cls(folder, gene_ids, ranks)

    def has(self, number: int) -> bool:
        """Whether chunk `number` is there."""
        return (self.folder / f"chunk-{number}").exists()

    def write(self, number: int, first: int, chunk: Chunk, *, device: str, versions: Mapping[str, str]) -> None:
        """Keep chunk `number`, whose first cell is the file's cell `first`; on disk, for good, when this returns."""
        unfinished = self.folder / f"unfinished-{number}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        ranks = self.ranks[first : first + chunk.scores.shape[0]]
        cells = {
            "rank": ranks,
            "n_counts": pa.array(chunk.n_counts, pa.float64(), from_pandas=True),
            "n_genes": pa.array(chunk.n_genes, pa.uint32(), from_pandas=True),
            "attribution_scale": pa.array(chunk.scale, pa.float32(), from_pandas=True),
            "completeness_delta": pa.array(chunk.delta, pa.float32(), from_pandas=True),
        }
        by_gene = chunk.scores[:, np.argsort(self.gene_ids)].tocsc()
        scores = {
            "gene_id": np.repeat(np.sort(self.gene_ids), np.diff(by_gene.indptr)),
            "rank": ranks[by_gene.indices],
            "score": by_gene.data.astype(np.float32),
        }
        entry = {
            "chunk": number, "first_row": first, "n_cells": len(ranks), "n_scores": int(chunk.scores.nnz),
            "device": device, "versions": dict(versions), "written": now().isoformat(),
        }  # fmt: skip
        pq.write_table(pa.table(cells), unfinished / "cells.parquet")
        pq.write_table(pa.table(scores), unfinished / "scores.parquet", **SCORES_FORMAT)
        (unfinished / "entry.json").write_text(json.dumps(entry), encoding="utf-8")
        for file in ("cells.parquet", "scores.parquet", "entry.json"):
            sync(unfinished / file)
        unfinished.rename(self.folder / f"chunk-{number}")
        sync(self.folder)

    def entries(self) -> list[dict[str, Any]]:
        """What the ledger shall say of each chunk, in order."""
        found = [json.loads((chunk / "entry.json").read_text(encoding="utf-8")) for chunk in self.chunks()]
        return sorted(found, key=lambda entry: int(entry["chunk"]))

    @property
    def n_cells(self) -> int:
        """How many cells all chunks have."""
        return sum(int(entry["n_cells"]) for entry in self.entries())

    @property
    def n_scores(self) -> int:
        """How many scores all chunks have."""
        return sum(int(entry["n_scores"]) for entry in self.entries())

    def cells(self) -> pa.Table:
        """All cells that were attributed, by rank: n_counts, n_genes, attribution_scale, completeness_delta."""
        parts = [pq.read_table(chunk / "cells.parquet") for chunk in self.chunks()]
        return pa.concat_tables(parts).sort_by("rank")

    def score_files(self) -> list[str]:
        """The Parquet files of the scores: gene_id, rank, score; sorted by gene."""
        return [str(chunk / "scores.parquet") for chunk in self.chunks()]

    def chunks(self) -> list[Path]:
        """The folders of all chunks."""
        return sorted(self.folder.glob("chunk-*"))

    def remove(self) -> None:
        """Remove all chunks."""
        remove_stage(self.folder)


def stage_folder(atlas: Path, study: str, depends_on: Mapping[str, object]) -> Path:
    """Where the chunks of a study are kept, a folder for all that they depend on."""
    key = json.dumps([study, depends_on], sort_keys=True)
    return stages_of(atlas) / digest(key.encode())[:16]


def stages_of(atlas: Path) -> Path:
    """Where the stages of an atlas are."""
    return atlas.with_name(f"{atlas.name}.ingest")


def unfinished_studies(atlas: Path) -> list[str]:
    """The studies of which an interrupted ingest has kept chunks."""
    notes = stages_of(atlas).glob(f"*/{PLAN}")
    return sorted({str(json.loads(note.read_text(encoding="utf-8"))["study"]) for note in notes})


def remove_stage(folder: Path) -> None:
    """Remove the folder of a stage, and the one that holds the stages of this atlas if it is empty then."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.exists() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
