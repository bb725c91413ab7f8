"""A stage: the folder beside the atlas that keeps the chunks of an unfinished study. Needs no torch.

- The *plan* (`plan.json`) says which study the chunks are of, and where its cells and genes go in the atlas.
- The *rank* of a cell is its position among the cells of its study in the atlas.
- The *ledger* is the table `ingest_chunks` of the atlas, with one entry per chunk that was stored.

When the study is stored, a note of its ledger entries (`stored.json`) replaces the chunks until the command ends. If
the command is interrupted at a later study, the note tells the next attempt that this one is done.
"""

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

from ingest.store.chunks import read_cells, read_entry, read_gene_counts, read_scores, read_unread, write_chunk
from sigdb import errors
from sigdb.disk import now, sync

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ingest.store.chunks import Chunk
    from ingest.store.records import RunSettings
    from sigdb.errors import SigdbError

__all__ = [
    "Stage",
    "digest",
    "mark_stored",
    "matches_ledger",
    "remove_stage",
    "remove_stored_notes",
    "stage_folder",
    "stages_folder",
    "unfinished_studies",
]

# The plan is written before any chunk.
PLAN = "plan.json"
UNFINISHED = "unfinished-"
FAULT = "fault.json"
STORED = "stored.json"
# Bump when the format of a chunk or of the plan changes.
FORMAT = 5


@dataclass(frozen=True)
class Stage:
    """The chunks of a study. A chunk appears whole, in one step, no matter what stops the process.

    gene_ids: (n_model_genes,), one per column of a chunk's scores. ranks: (n_cells,), one per cell of the file.
    """

    folder: Path
    gene_ids: NDArray[np.uint32]
    ranks: NDArray[np.uint32]

    @classmethod
    def open(cls, folder: Path, study: str, gene_ids: NDArray[np.uint32], ranks: NDArray[np.uint32]) -> Self:
        """Open the stage in a folder, with the chunks that an interrupted ingest left there.

        Removes unfinished chunks. Removes all chunks if the plan differs: they have another FORMAT, or their genes or
        cells go to other places in the atlas now.
        """
        order = {"gene_ids": digest(gene_ids.tobytes()), "ranks": digest(ranks.tobytes())}
        plan = {"format": FORMAT, "study": study, **order}
        if read_plan(folder) != plan:
            remove_stage(folder)
            folder.mkdir(parents=True)
            write_note(folder, PLAN, plan)
        for unfinished in folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        (folder / FAULT).unlink(missing_ok=True)
        return cls(folder, gene_ids, ranks)

    def has(self, number: int) -> bool:
        """Whether chunk `number` is there."""
        return self.chunk_folder(number).exists()

    def write_chunk(self, number: int, first: int, chunk: Chunk, *, device: str, versions: Mapping[str, str]) -> None:
        """Keep chunk `number`, which starts at cell `first` of the file. It is on disk when this returns.

        If several processes write the same chunk, the first one to finish wins.
        """
        unfinished = self.folder / f"{UNFINISHED}{number}-{uuid4().hex}"
        unfinished.mkdir()
        n_cells = chunk.scores.shape[0]
        entry = {
            "chunk": number,
            "first_row": first,
            "n_cells": n_cells,
            "n_scores": chunk.scores.nnz,
            "device": device,
            "versions": dict(versions),
            "written": now().isoformat(),
        }
        write_chunk(unfinished, chunk, self.gene_ids, self.ranks[first : first + n_cells], entry)
        try:
            unfinished.rename(self.chunk_folder(number))
        except OSError:
            if not self.has(number):
                raise
            shutil.rmtree(unfinished)
        sync(self.folder)

    def entries(self) -> list[dict[str, Any]]:
        """The ledger entries of all chunks, by number."""
        return read_entries(self.folder)

    @property
    def n_cells(self) -> int:
        """The number of cells in all chunks."""
        return sum(int(entry["n_cells"]) for entry in self.entries())

    @property
    def n_scores(self) -> int:
        """The number of scores in all chunks."""
        return sum(int(entry["n_scores"]) for entry in self.entries())

    def cells(self) -> pa.Table:
        """All cells that were attributed, by rank: n_counts, n_genes, and the columns of `attributed_cells`."""
        return pa.concat_tables([read_cells(chunk) for chunk in self.chunk_folders()]).sort_by("rank")

    def unread_genes(self) -> pa.Table:
        """The genes that were not read in some cells, one row per chunk and gene: gene_id, n_cells."""
        return pa.concat_tables([read_unread(chunk) for chunk in self.chunk_folders()])

    def gene_counts(self) -> NDArray[np.int64]:
        """The number of scores of each gene, by gene_id."""
        counts = np.zeros(len(self.gene_ids), np.int64)
        for chunk in self.chunk_folders():
            counts += read_gene_counts(chunk, len(counts))
        return counts

    def scores_of_genes(self, start: int, stop: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.void]]]:
        """The scores of the genes from start to before stop, by gene_id, chunk by chunk (see `read_scores`)."""
        return (read_scores(chunk, len(self.gene_ids), start, stop) for chunk in self.chunk_folders())

    def scores_of_chunk(self, number: int) -> pa.Table:
        """The scores of chunk `number`, by gene: gene_id, rank, score."""
        n_genes = len(self.gene_ids)
        lengths, scores = read_scores(self.chunk_folder(number), n_genes, 0, n_genes)
        columns = {name: np.ascontiguousarray(scores[name]) for name in ("rank", "score")}
        return pa.table({"gene_id": np.repeat(np.sort(self.gene_ids), lengths), **columns})

    def is_signed(self) -> bool | None:
        """Whether any score is negative; None if there are no scores."""
        chunks = self.scores_of_genes(0, len(self.gene_ids))
        least = [scores["score"].min(initial=np.inf) for _, scores in chunks]
        return bool(min(least) < 0) if self.n_scores else None

    def chunk_folder(self, number: int) -> Path:
        """The folder of chunk `number`."""
        return self.folder / f"chunk-{number}"

    def chunk_folders(self) -> list[Path]:
        """The folders of all chunks."""
        return chunk_folders(self.folder)

    def numbers(self) -> set[int]:
        """The numbers of all chunks."""
        return {int(chunk.name.removeprefix("chunk-")) for chunk in self.chunk_folders()}

    def write_fault(self, error: SigdbError) -> None:
        """Note what is wrong with the study, for other processes and machines that attribute its chunks."""
        write_note(self.folder, FAULT, [type(error).__name__, str(error)])

    def fault(self) -> SigdbError | None:
        """The error that a process noted, if any."""
        try:
            kind, text = json.loads((self.folder / FAULT).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        error: SigdbError = getattr(errors, kind)(text)
        return error

    def remove(self) -> None:
        """Remove all chunks."""
        remove_stage(self.folder)


def chunk_folders(folder: Path) -> list[Path]:
    """The folders of all chunks in the folder of a stage."""
    return sorted(folder.glob("chunk-*"))


def write_note(folder: Path, name: str, content: object) -> None:
    """Write a JSON file and sync it to disk; it appears whole, or not at all."""
    unfinished = folder / f"{UNFINISHED}{uuid4().hex}"
    unfinished.write_text(json.dumps(content), encoding="utf-8")
    sync(unfinished)
    unfinished.replace(folder / name)


def read_plan(folder: Path) -> dict[str, object] | None:
    """Read the plan of a stage; None if it is missing or damaged."""
    try:
        plan: dict[str, object] = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return plan


def read_entries(folder: Path) -> list[dict[str, Any]]:
    """Read the ledger entries of all chunks in a folder, by number."""
    return sorted(map(read_entry, chunk_folders(folder)), key=lambda entry: int(entry["chunk"]))


def mark_stored(folder: Path) -> None:
    """Replace the chunks of a stored study by a note of them."""
    write_note(folder, STORED, note_of_chunks(folder))
    (folder / PLAN).unlink(missing_ok=True)
    for chunk in chunk_folders(folder):
        shutil.rmtree(chunk)


def note_of_chunks(folder: Path) -> list[list[Any]]:
    """Number, scores and time of writing of the chunks that a folder has, or had according to its note."""
    try:
        rows: list[list[Any]] = json.loads((folder / STORED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        rows = [[entry["chunk"], entry["n_scores"], entry["written"]] for entry in read_entries(folder)]
    return rows


def matches_ledger(folder: Path, ledger: set[tuple[object, ...]]) -> bool:
    """Whether a folder has, or had, the chunks in a ledger."""
    rows = {(chunk, n_scores, datetime.fromisoformat(written)) for chunk, n_scores, written in note_of_chunks(folder)}
    return bool(rows) and rows == ledger


def remove_stored_notes(atlas: Path) -> None:
    """Remove the notes of stored studies, once their command has ended."""
    for note in list(stages_folder(atlas).glob(f"*/{STORED}")):
        remove_stage(note.parent)


def stage_folder(atlas: Path, study: str, settings: RunSettings, n_chunk: int, inputs: Mapping[str, object]) -> Path:
    """The folder for the chunks of a study. Chunks that depend on anything else get another folder.

    n_chunk: cells per chunk. inputs: what the chunks depend on besides the settings, as JSON can hold it.
    """
    run = [settings.method, settings.n_steps, settings.summation, settings.target_sum]
    key = json.dumps([study, run, settings.versions["sigdb-atlas"], n_chunk, inputs], sort_keys=True)
    return stages_folder(atlas) / digest(key.encode())[:16]


def stages_folder(atlas: Path) -> Path:
    """The folder of all stages of an atlas."""
    return atlas.with_name(f"{atlas.name}.ingest")


def unfinished_studies(atlas: Path) -> list[str]:
    """The studies whose chunks an interrupted ingest has kept."""
    plans = map(read_plan, stages_folder(atlas).glob("*"))
    return sorted({str(plan["study"]) for plan in plans if plan})


def remove_stage(folder: Path) -> None:
    """Remove the folder of a stage, and the folder of all stages once it is empty."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.exists() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
