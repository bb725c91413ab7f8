"""How fast counts are read chunk by chunk, and with how much memory, in every format at two sizes.

    python -m benchmarks.reading build/reading

Writes a study of 20,000 cells and one of 200,000 to the folder in each format (about 8 GB, and about 1 GB more for
temporary files in TMPDIR). Reads each in a separate process, prints one table and writes reading.json. Memory is VmHWM,
with nothing loaded but the reader.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anndata
import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.search import peak
from tests.support.formats import WRITERS

CELLS = (20_000, 200_000)
CHUNK_CELLS = 2048
# Sparse formats have 300 entries per cell over 20,000 genes. A dense matrix has 1,000 genes.
SPARSE = (
    "h5ad csr",
    "h5ad csc",
    "zarr 2 csr",
    "zarr 3 csr",
    "zarr 2 csc",
    "Cell Ranger 3 h5",
    "Cell Ranger 3 mtx",
    "Cell Ranger 2 mtx",
    "mtx by genes",
)
DENSE = ("h5ad dense", "zarr 3 dense", "h5ad dense by columns")
ENTRIES = 300


def study(n_cells: int, n_genes: int) -> anndata.AnnData:
    """Random counts of ENTRIES genes per cell."""
    rng = np.random.default_rng(0)
    step = n_genes // ENTRIES
    genes = np.arange(0, ENTRIES * step, step, dtype=np.int32) + rng.integers(0, step, (n_cells, ENTRIES), np.int32)
    counts = rng.integers(1, 10, n_cells * ENTRIES).astype(np.float32)
    indptr = np.arange(0, n_cells * ENTRIES + 1, ENTRIES)
    return anndata.AnnData(csr_matrix((counts, genes.ravel(), indptr), shape=(n_cells, n_genes)))


def prepare(folder: Path) -> dict[tuple[str, int], Path]:
    """Write the studies that do not exist. Return their paths."""
    paths = {}
    for n_cells in CELLS:
        for forms, n_genes in ((SPARSE, 20_000), (DENSE, 1_000)):
            adata = study(n_cells, n_genes)
            for form in forms:
                done = folder / f"{form} {n_cells}.path"
                if not done.exists():
                    done.write_text(str(WRITERS[form](adata, folder / f"{form} {n_cells}")))
                paths[form, n_cells] = Path(done.read_text())
    return paths


def measure(path: Path) -> dict[str, Any]:
    """Read a study to its end."""
    from ingest.counts.open import open_counts

    start = time.perf_counter()
    with open_counts(path) as file:
        n_entries = sum(chunk.nnz for chunk in file.chunks(CHUNK_CELLS))
    return {"s": time.perf_counter() - start, "n_entries": n_entries, "peak_gb": peak()}


def size(path: Path) -> int:
    """Bytes of a file or folder."""
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")))


def main() -> None:
    """Prepare, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.file:
        json.dump(measure(options.file), sys.stdout)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    results = []
    sys.stdout.write("| format | cells | file MB | s | M entries/s | peak GB |\n" + "|---" * 6 + "|\n")
    for (form, n_cells), path in prepare(options.folder).items():
        command = [sys.executable, "-m", "benchmarks.reading", str(options.folder), "--file", str(path)]
        found = json.loads(subprocess.check_output(command, text=True))
        found |= {"format": form, "n_cells": n_cells, "mb": size(path) / 1e6}
        results.append(found)
        sys.stdout.write(
            f"| {form} | {n_cells:,} | {found['mb']:,.0f} | {found['s']:.1f} | "
            f"{found['n_entries'] / found['s'] / 1e6:.1f} | {found['peak_gb'] or float('nan'):.2f} |\n"
        )
        sys.stdout.flush()
        (options.folder / "reading.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
