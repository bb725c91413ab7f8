"""The spool: a temporary copy of a matrix that is not stored by cells, sorted by blocks of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy.sparse import csr_matrix, vstack

from ingest.counts.values import check_integers, to_counts
from sigdb.errors import CountsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    # Cells, genes and counts of some entries of a matrix, in any order.
    Piece: TypeAlias = tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.number]]


# Cells in a block: as many as ingest reads at a time.
BLOCK = 2048
ENTRY = np.dtype([("cell", "<u2"), ("gene", "<u4"), ("count", "<f4")])


def write_spool(folder: Path, pieces: Iterable[Piece], *, path: Path, counts_from: str, shape: tuple[int, int]) -> None:
    """Write the entries of a matrix, each piece sorted by block, and a table of where the entries of each block are.

    path, counts_from: the matrix, for messages. Raises CountsError if values are not counts, or the disk is full, and
    ValueError if an entry is outside the shape (n_cells, n_genes).
    """
    runs, n_written = [np.zeros((0, 3), np.int64)], 0
    with (folder / Spool.ENTRIES).open("wb") as file:
        for cells, genes, counts in pieces:
            check_inside(cells, shape[0], "cell")
            check_inside(genes, shape[1], "gene")
            values = to_counts(counts, path, counts_from)
            block = cells // BLOCK
            order = np.argsort(block.astype(np.min_scalar_type(shape[0] // BLOCK)), kind="stable")
            entries = np.empty(len(order), ENTRY)
            entries["cell"] = (cells % BLOCK)[order]
            entries["gene"] = genes[order]
            entries["count"] = values[order]
            try:
                file.write(entries.view(np.uint8).data)
            except OSError as error:
                raise CountsError(
                    f"{path} is not stored by cells, and cannot be sorted in {folder.parent}: {error}. "
                    "Set TMPDIR to a folder with more space."
                ) from error
            blocks, starts, lengths = np.unique(block[order], return_index=True, return_counts=True)
            runs.append(np.stack([blocks, starts + n_written, lengths], axis=1))
            n_written += len(order)
    all_runs = np.concatenate(runs)
    np.save(folder / Spool.RUNS, all_runs[np.argsort(all_runs[:, 0], kind="stable")])


def check_inside(indices: NDArray[np.integer], n: int, what: str) -> None:
    """Raise ValueError if an index is not from 0 to n - 1, or is no integer."""
    check_integers(indices, "indices")
    if len(indices) and not 0 <= indices.min() <= indices.max() < n:
        raise ValueError(f"it has entries of a {what} that does not exist")


class Spool:
    """The entries of a spool, open for reading; a context manager.

    runs: a row (block, first entry, number of entries) for each run of entries of one block, sorted by block.
    """

    ENTRIES = "entries"
    RUNS = "runs.npy"

    def __init__(self, folder: Path) -> None:
        self.runs = np.load(folder / self.RUNS)
        self.file = (folder / self.ENTRIES).open("rb")

    def __enter__(self) -> Spool:
        """Return the spool itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self.file.close()

    def read(self, start: int, stop: int, n_columns: int) -> csr_matrix:
        """The counts of cells start to stop: (stop - start, n_columns)."""
        first, last = start // BLOCK, -(-stop // BLOCK)
        blocks = vstack([self.read_block(number, n_columns) for number in range(first, last)], format="csr")
        return blocks[start - first * BLOCK : stop - first * BLOCK]

    def read_block(self, number: int, n_columns: int) -> csr_matrix:
        """The counts of one block: (BLOCK, n_columns). The last block is padded with empty rows."""
        low, high = np.searchsorted(self.runs[:, 0], [number, number + 1])
        parts = [np.empty(0, ENTRY)]
        for _, start, length in self.runs[low:high]:
            self.file.seek(start * ENTRY.itemsize)
            parts.append(np.frombuffer(self.file.read(length * ENTRY.itemsize), ENTRY, length))
        entries = np.concatenate(parts)
        shape = (BLOCK, n_columns)
        return csr_matrix((entries["count"], (entries["cell"], entries["gene"].astype(np.int32))), shape=shape)
