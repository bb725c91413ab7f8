"""A chunk: consecutive cells of a study's file, attributed, as a folder of four files. Needs no torch.

`cells.parquet` has one row per cell. `scores` has all scores, sorted by gene, behind an index of where each gene
starts. `unread.parquet` has one row per gene that was not read in some cells. `entry.json` is the entry that the chunk
gets in the ledger (see `ingest.store.stage`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sigdb.disk import sync
from sigdb.errors import DamagedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import FileIO
    from pathlib import Path

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

__all__ = [
    "PACKED",
    "SCORE",
    "Chunk",
    "read_cells",
    "read_entry",
    "read_gene_counts",
    "read_scores",
    "read_unread",
    "write_chunk",
]

CELLS, SCORES, UNREAD, ENTRY = "cells.parquet", "scores", "unread.parquet", "entry.json"

# The file `scores` is an index of n_genes + 1 START values (where each gene starts, and where the last one ends),
# followed by SCORE records, sorted by gene. The file is not compressed: scores compress badly, and a range of genes
# can be read without the rest. The byte order is fixed because the machines of a cluster share the file. It also puts
# the score below the rank when a record is read as one 64-bit number (PACKED).
START = np.dtype("<i8")
SCORE = np.dtype([("score", "<f4"), ("rank", "<u4")])
PACKED = np.dtype("<u8")


@dataclass(frozen=True)
class Chunk:
    """Consecutive cells of a study's file: what was counted in them, and what was attributed to them.

    n_counts, n_genes: (n,) over all genes of the file; NaN if unknown. scores: (n, n_model_genes), signed, scaled.
    scale, delta, error: (n,), see `Attributions`. scale and error are NaN for a cell without attributions; delta is NaN
    for a cell without counts. delta and error are also NaN if unknown. n_expressed, n_read: (n,) how many genes of the
    model the cell expresses, and how many of them the model read; NaN if unknown. n_unread: (n_model_genes,) in how
    many of the cells each gene is expressed, but was not read.
    """

    n_counts: NDArray[np.float64]
    n_genes: NDArray[np.integer] | NDArray[np.floating]
    scores: csr_matrix
    scale: NDArray[np.floating]
    delta: NDArray[np.floating]
    error: NDArray[np.floating]
    n_expressed: NDArray[np.integer] | NDArray[np.floating]
    n_read: NDArray[np.integer] | NDArray[np.floating]
    n_unread: NDArray[np.integer]


def write_chunk(
    folder: Path,
    chunk: Chunk,
    gene_ids: NDArray[np.uint32],
    ranks: NDArray[np.uint32],
    entry: Mapping[str, object],
) -> None:
    """Write the files of a chunk and sync them to disk.

    gene_ids: (n_model_genes,), one per column of the scores. ranks: (n,), one per cell.
    """
    cells = {
        "rank": ranks,
        "n_counts": pa.array(chunk.n_counts, pa.float64(), from_pandas=True),
        "n_genes": pa.array(chunk.n_genes, pa.uint32(), from_pandas=True),
        "attribution_scale": pa.array(chunk.scale, pa.float32(), from_pandas=True),
        "completeness_delta": pa.array(chunk.delta, pa.float32(), from_pandas=True),
        "integration_error": pa.array(chunk.error, pa.float32(), from_pandas=True),
        "n_expressed": pa.array(chunk.n_expressed, pa.uint32(), from_pandas=True),
        "n_read": pa.array(chunk.n_read, pa.uint32(), from_pandas=True),
    }
    pq.write_table(pa.table(cells), folder / CELLS)
    write_scores(folder / SCORES, chunk.scores, gene_ids, ranks)
    unread = np.flatnonzero(chunk.n_unread)
    n_cells = pa.array(chunk.n_unread[unread], pa.uint32())
    pq.write_table(pa.table({"gene_id": gene_ids[unread], "n_cells": n_cells}), folder / UNREAD)
    (folder / ENTRY).write_text(json.dumps(entry), encoding="utf-8")
    for name in (CELLS, SCORES, UNREAD, ENTRY):
        sync(folder / name)


def write_scores(path: Path, scores: csr_matrix, gene_ids: NDArray[np.uint32], ranks: NDArray[np.uint32]) -> None:
    """Write the file of a chunk's scores: the index, then the scores by gene_id."""
    from scipy.sparse import csr_matrix  # part of the ingest extra, which reading chunks does not need

    records = np.empty(scores.nnz, SCORE)
    records["score"], records["rank"] = scores.data, np.repeat(ranks, np.diff(scores.indptr))
    by_gene = csr_matrix((records.view(PACKED), scores.indices, scores.indptr), scores.shape).tocsc()
    if (gene_ids[1:] < gene_ids[:-1]).any():  # rare, and it copies the columns
        by_gene = by_gene[:, np.argsort(gene_ids)]
    with path.open("wb") as file:
        for values in (by_gene.indptr.astype(START), by_gene.data):
            file.write(values.data)  # numpy's tofile does not notice a full disk


def read_entry(folder: Path) -> dict[str, Any]:
    """Read the ledger entry of a chunk."""
    entry: dict[str, Any] = json.loads((folder / ENTRY).read_text(encoding="utf-8"))
    return entry


def read_cells(folder: Path) -> pa.Table:
    """Read the cells of a chunk: rank, n_counts, n_genes, and the columns of `attributed_cells`."""
    return pq.read_table(folder / CELLS)


def read_unread(folder: Path) -> pa.Table:
    """Read the genes that were not read in some cells of a chunk: gene_id, n_cells."""
    return pq.read_table(folder / UNREAD)


def read_gene_counts(folder: Path, n_genes: int) -> NDArray[np.int64]:
    """Read how many scores each gene has in a chunk: (n_genes,), by gene_id."""
    with (folder / SCORES).open("rb", buffering=0) as file:
        return np.diff(read_array(file, START, 0, n_genes + 1))


def read_scores(folder: Path, n_genes: int, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.void]]:
    """Read the scores of the genes from start to before stop, of n_genes by gene_id.

    Returns how many scores each gene has, and the scores as SCORE records.
    """
    with (folder / SCORES).open("rb", buffering=0) as file:
        starts = read_array(file, START, start * START.itemsize, stop - start + 1)
        offset = (n_genes + 1) * START.itemsize + int(starts[0]) * SCORE.itemsize
        return np.diff(starts), read_array(file, SCORE, offset, int(starts[-1] - starts[0]))


def read_array(file: FileIO, dtype: np.dtype[Any], offset: int, n: int) -> NDArray[Any]:
    """Read n values from byte `offset` on; DamagedError if the file has fewer."""
    content = np.empty(n * dtype.itemsize, np.uint8)
    file.seek(offset)
    if file.readinto(content.data) < len(content):
        raise DamagedError(f"{file.name} is damaged: it ends early. Remove its folder, and run the same command again.")
    return content.view(dtype)
