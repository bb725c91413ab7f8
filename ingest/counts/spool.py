"""A matrix that is not stored by cells, sorted by cells into a temporary file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix, vstack

from ingest.counts.values import checked
from sigdb.errors import CountsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ingest.counts.values import Piece


# A spool keeps the entries of this many cells together: as many as ingest asks for at a time.
BLOCK = 2048
ENTRY = np.dtype([("cell", "<u2"), ("gene", "<u4"), ("count", "<f4")])


def write_spool(folder: Path, pieces: Iterable[Piece], *, path: Path, counts_from: str, shape: tuple[int, int]) -> None:
    """Write entries to a file, each piece sorted by block of cells, and where the entries of each block are."""
    runs, n_written = [np.zeros((0, 3), np.int64)], 0
    with (folder / Spool.ENTRIES).open("wb") as file:
        for cells, genes, counts in pieces:
            for places, n_places, what in zip((cells, genes), shape, ("cell", "gene"), strict=True):
                if len(places) and not 0 <= places.min() <= places.max() < n_places:
                    raise ValueError(f"it has entries of a {what} that is not there")
            values = checked(counts, path, counts_from)
            block = cells // BLOCK
            order = np.argsort(block.astype(np.min_scalar_type(shape[0] // BLOCK)), kind="stable")
            sorted_entries = np.empty(len(order), ENTRY)
            sorted_entries["cell"] = (cells % BLOCK)[order]
            sorted_entries["gene"] = genes[order]
            sorted_entries["count"] = values[order]
            try:
                file.write(sorted_entries.view(np.uint8).data)
            except OSError as error:
                raise CountsError(
                    f"{path} is not stored by cells, and cannot be sorted in {folder.parent}: {error}. "
                    "Set TMPDIR to a folder with more room."
                ) from error
            blocks, starts, lengths = np.unique(block[order], return_index=True, return_counts=True)
            runs.append(np.stack([blocks, starts + n_written, lengths], axis=1))
            n_written += len(order)
    every = np.concatenate(runs)
    np.save(folder / Spool.RUNS, every[np.argsort(every[:, 0], kind="stable")])


class Spool:
    """The entries of a matrix in a temporary folder, those of a block of cells together; a context manager.

    Each row of `runs` is (block of cells, first entry, number of entries), sorted by block.
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

    def rows(self, start: int, stop: int, n_columns: int) -> csr_matrix:
        """Rows start to stop."""
        first, last = start // BLOCK, -(-stop // BLOCK)
        blocks = vstack([self.block(number, n_columns) for number in range(first, last)], format="csr")
        return blocks[start - first * BLOCK : stop - first * BLOCK]

    def block(self, number: int, n_columns: int) -> csr_matrix:
        """The rows of one block, BLOCK of them even where it is the last."""
        low, high = np.searchsorted(self.runs[:, 0], [number, number + 1])
        parts = [np.empty(0, ENTRY)]
        for _, start, length in self.runs[low:high]:
            self.file.seek(start * ENTRY.itemsize)
            parts.append(np.frombuffer(self.file.read(length * ENTRY.itemsize), ENTRY, length))
        found = np.concatenate(parts)
        shape = (BLOCK, n_columns)
        return csr_matrix((found["count"], (found["cell"], found["gene"].astype(np.int32))), shape=shape)
