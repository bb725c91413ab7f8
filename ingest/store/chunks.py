"""The attributed cells of an unfinished study, kept beside the atlas until the study is whole. Needs no torch."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sigdb import errors
from sigdb.disk import now, sync

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import FileIO
    from pathlib import Path

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from sigdb.errors import SigdbError

__all__ = [
    "PACKED",
    "SCORE",
    "Chunk",
    "Stage",
    "digest",
    "forget_stored",
    "is_of",
    "remove_stage",
    "settle",
    "stage_folder",
    "stages_of",
    "unfinished_studies",
]

# Says what a stage is of; written before any chunk.
PLAN = "plan.json"
UNFINISHED = "unfinished-"
FAULT = "fault.json"
# What was stored from the chunks that were there.
STORED = "stored.json"
# Changes when chunks are written otherwise than those of an interrupted ingest may be.
FORMAT = 3
# Of the file of a chunk's scores: where each gene begins, and the last one ends, and then the scores, by gene. Not in a
# format that compresses: scores do not, and a range of genes is to be found without reading the rest. In bytes that are
# the same on all machines of a cluster, and so that a score, read as a number of 64 bits, comes behind its rank.
START = np.dtype("<i8")
SCORE = np.dtype([("score", "<f4"), ("rank", "<u4")])
PACKED = np.dtype("<u8")


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
    gene_ids: NDArray[np.uint32]
    ranks: NDArray[np.uint32]

    @classmethod
    def open(cls, folder: Path, study: str, gene_ids: NDArray[np.uint32], ranks: NDArray[np.uint32]) -> Self:
        """The stage in a folder, with the chunks that an interrupted ingest has left there.

        Chunks whose genes or cells have other places in the atlas now, or of another FORMAT, are removed, and what was
        never finished.
        """
        order = {"gene_ids": digest(gene_ids.tobytes()), "ranks": digest(ranks.tobytes())}
        plan = {"format": FORMAT, "study": study, **order}
        if plan_of(folder) != plan:
            remove_stage(folder)
            folder.mkdir(parents=True)
            write_note(folder, PLAN, plan)
        for unfinished in folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        (folder / FAULT).unlink(missing_ok=True)
        return cls(folder, gene_ids, ranks)

    def _chunk(self, number: int) -> Path:
        return self.folder / f"chunk-{number}"

    def has(self, number: int) -> bool:
        """Whether chunk `number` is there."""
        return self._chunk(number).exists()

    def write(self, number: int, first: int, chunk: Chunk, *, device: str, versions: Mapping[str, str]) -> None:
        """Keep chunk `number`, whose first cell is the file's cell `first`; on disk, for good, when this returns.

        Where several processes write the same chunk, the first to finish it has written it.
        """
        from scipy.sparse import csr_matrix  # of the ingest extra: what is unfinished is told of without it

        unfinished = self.folder / f"{UNFINISHED}{number}-{uuid4().hex}"
        unfinished.mkdir()
        ranks = self.ranks[first : first + chunk.scores.shape[0]]
        cells = {
            "rank": ranks,
            "n_counts": pa.array(chunk.n_counts, pa.float64(), from_pandas=True),
            "n_genes": pa.array(chunk.n_genes, pa.uint32(), from_pandas=True),
            "attribution_scale": pa.array(chunk.scale, pa.float32(), from_pandas=True),
            "completeness_delta": pa.array(chunk.delta, pa.float32(), from_pandas=True),
        }
        scores = np.empty(chunk.scores.nnz, SCORE)
        scores["score"], scores["rank"] = chunk.scores.data, np.repeat(ranks, np.diff(chunk.scores.indptr))
        packed = (scores.view(PACKED), chunk.scores.indices, chunk.scores.indptr)
        by_gene = csr_matrix(packed, chunk.scores.shape).tocsc()
        if (self.gene_ids[1:] < self.gene_ids[:-1]).any():  # mostly not, and columns are copied
            by_gene = by_gene[:, np.argsort(self.gene_ids)]
        entry = {
            "chunk": number, "first_row": first, "n_cells": len(ranks), "n_scores": len(scores),
            "device": device, "versions": dict(versions), "written": now().isoformat(),
        }  # fmt: skip
        pq.write_table(pa.table(cells), unfinished / "cells.parquet")
        with (unfinished / "scores").open("wb") as file:
            for values in (by_gene.indptr.astype(START), by_gene.data):
                file.write(values.data)  # numpy's tofile does not notice that a disk is full
        (unfinished / "entry.json").write_text(json.dumps(entry), encoding="utf-8")
        for name in ("cells.parquet", "scores", "entry.json"):
            sync(unfinished / name)
        try:
            unfinished.rename(self._chunk(number))
        except OSError:
            if not self.has(number):
                raise
            shutil.rmtree(unfinished)
        sync(self.folder)

    def entries(self) -> list[dict[str, Any]]:
        """What the ledger shall say of each chunk, in order."""
        return entries_of(self.folder)

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

    def gene_counts(self) -> NDArray[np.int64]:
        """How many scores each gene has, by gene_id."""
        counts = np.zeros(len(self.gene_ids), np.int64)
        for chunk in self.chunks():
            with (chunk / "scores").open("rb", buffering=0) as file:
                counts += np.diff(part(file, START, 0, len(counts) + 1))
        return counts

    def scores_of(self, start: int, stop: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.void]]]:
        """For each chunk, the scores of the genes start to stop, by gene: how many each has; they, as SCORE says."""
        return (self._of_genes(chunk, start, stop) for chunk in self.chunks())

    def _of_genes(self, chunk: Path, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.void]]:
        with (chunk / "scores").open("rb", buffering=0) as file:
            starts = part(file, START, start * START.itemsize, stop - start + 1)
            first = (len(self.gene_ids) + 1) * START.itemsize + int(starts[0]) * SCORE.itemsize
            return np.diff(starts), part(file, SCORE, first, int(starts[-1] - starts[0]))

    def scores(self, number: int) -> pa.Table:
        """The scores of chunk `number`, by gene: gene_id, rank, score."""
        lengths, found = self._of_genes(self._chunk(number), 0, len(self.gene_ids))
        columns = {name: np.ascontiguousarray(found[name]) for name in ("rank", "score")}
        return pa.table({"gene_id": np.repeat(np.sort(self.gene_ids), lengths), **columns})

    def is_signed(self) -> bool | None:
        """Whether any score is negative; None if there is no score."""
        chunks = self.scores_of(0, len(self.gene_ids))
        least = [scores["score"].min(initial=np.inf) for _, scores in chunks]
        return bool(min(least) < 0) if self.n_scores else None

    def chunks(self) -> list[Path]:
        """The folders of all chunks."""
        return chunks_in(self.folder)

    def numbers(self) -> set[int]:
        """The numbers of all chunks."""
        return {int(chunk.name.removeprefix("chunk-")) for chunk in self.chunks()}

    def note_fault(self, error: SigdbError) -> None:
        """Note what is wrong with the study, for the other processes that do its chunks, on whatever machine."""
        write_note(self.folder, FAULT, [type(error).__name__, str(error)])

    def fault(self) -> SigdbError | None:
        """What a process has noted that is wrong, as the error that it met."""
        try:
            kind, text = json.loads((self.folder / FAULT).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        found: SigdbError = getattr(errors, kind)(text)
        return found

    def remove(self) -> None:
        """Remove all chunks."""
        remove_stage(self.folder)


def chunks_in(folder: Path) -> list[Path]:
    """The chunks that a folder has."""
    return sorted(folder.glob("chunk-*"))


def part(file: FileIO, kind: np.dtype[Any], first: int, n: int) -> NDArray[Any]:
    """Numbers of a file, from byte `first` on; OSError if it has fewer."""
    found = np.empty(n * kind.itemsize, np.uint8)
    file.seek(first)
    if file.readinto(found.data) < len(found):
        raise OSError(f"{file.name} is damaged: it ends early. Remove its folder, and run the same command again.")
    return found.view(kind)


def write_note(folder: Path, name: str, content: object) -> None:
    """Write a file of JSON, on disk for good; it is there whole, or not."""
    unfinished = folder / f"{UNFINISHED}{uuid4().hex}"
    unfinished.write_text(json.dumps(content), encoding="utf-8")
    sync(unfinished)
    unfinished.replace(folder / name)


def plan_of(folder: Path) -> dict[str, object] | None:
    """What a stage is of; None if there is none, or a damaged one."""
    try:
        plan: dict[str, object] = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return plan


def entries_of(folder: Path) -> list[dict[str, Any]]:
    """What the ledger shall say of each chunk in a folder, in order."""
    found = [json.loads((chunk / "entry.json").read_text(encoding="utf-8")) for chunk in chunks_in(folder)]
    return sorted(found, key=lambda entry: int(entry["chunk"]))


def settle(folder: Path) -> None:
    """Remove the chunks of a study that is stored; a note of them stays until its command has ended.

    By it the same command, if it is interrupted at another study, knows this one again.
    """
    write_note(folder, STORED, rows_of(folder))
    (folder / PLAN).unlink(missing_ok=True)
    for chunk in chunks_in(folder):
        shutil.rmtree(chunk)


def rows_of(folder: Path) -> list[list[Any]]:
    """What the ledger shall say of the chunks that a folder has, or had: number, scores, and when each was written."""
    try:
        rows: list[list[Any]] = json.loads((folder / STORED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        rows = [[entry["chunk"], entry["n_scores"], entry["written"]] for entry in entries_of(folder)]
    return rows


def is_of(folder: Path, ledger: set[tuple[object, ...]]) -> bool:
    """Whether a folder has, or had, the chunks that a ledger names."""
    found = {(chunk, n_scores, datetime.fromisoformat(written)) for chunk, n_scores, written in rows_of(folder)}
    return bool(found) and found == ledger


def forget_stored(atlas: Path) -> None:
    """Remove the notes of studies that are stored: the command that they were for has ended."""
    for note in list(stages_of(atlas).glob(f"*/{STORED}")):
        remove_stage(note.parent)


def stage_folder(atlas: Path, study: str, depends_on: Mapping[str, object]) -> Path:
    """Where the chunks of a study are kept, a folder for all that they depend on."""
    key = json.dumps([study, depends_on], sort_keys=True)
    return stages_of(atlas) / digest(key.encode())[:16]


def stages_of(atlas: Path) -> Path:
    """Where the stages of an atlas are."""
    return atlas.with_name(f"{atlas.name}.ingest")


def unfinished_studies(atlas: Path) -> list[str]:
    """The studies of which an interrupted ingest has kept chunks."""
    plans = map(plan_of, stages_of(atlas).glob("*"))
    return sorted({str(plan["study"]) for plan in plans if plan})


def remove_stage(folder: Path) -> None:
    """Remove the folder of a stage, and the one that holds the stages of this atlas if it is empty then."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.exists() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
