"""How fast attributions become an atlas, compared with sc-signature 1.0.0's `create_tiledb`. `make bench` runs it.

    python -m benchmarks.writing build --cells 200000 --peer-cells 5000

A cell has 1,500 scores among 20,000 genes. Genes differ in how often they are not 0. Scores are log-normal, and their
absolute values add up to 1000 per cell. sigdb's side goes from CSR matrices in memory through the folder of chunks to
the atlas with its sums: everything that `sigdb ingest` does, except reading counts and running the model. The other
side goes from the .npz file that the package expects to its array. Each side is a separate process, whose peak memory
is measured.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_matrix, save_npz, vstack

from benchmarks.atlases import genes_named
from benchmarks.search import peak
from ingest.given.files import CHUNK_CELLS, N_THREADS
from ingest.store.chunks import Chunk
from ingest.store.records import FIELDS, ModelInfo, RunSettings, StudyInfo, add_model, add_run
from ingest.store.stage import Stage
from ingest.store.study import NewStudy, begin_study
from sigdb import Atlas

N_GENES = 20_000
N_SCORES = 1_500
VERSIONS = {"numpy": np.__version__}


def scores(first: int, n_cells: int) -> csr_matrix:
    """Attributions of cells, (n_cells, N_GENES). The same `first` gives the same values."""
    rng = np.random.default_rng((3, first))
    likely = np.random.default_rng(3).lognormal(0, 1, N_GENES).astype(np.float32)
    # Genes with the largest scaled exponential variates are a sample without replacement, in proportion to `likely`.
    order = np.argpartition(rng.standard_exponential((n_cells, N_GENES), np.float32) / likely, N_SCORES, axis=1)
    genes = np.sort(order[:, :N_SCORES], axis=1)
    values = rng.lognormal(0, 1, genes.shape).astype(np.float32) * rng.choice(np.float32([1, 1, -1]), genes.shape)
    values *= 1000 / np.abs(values).sum(axis=1, keepdims=True)
    indptr = np.arange(0, values.size + 1, N_SCORES)
    return csr_matrix((values.ravel(), genes.ravel().astype(np.int32), indptr), shape=(n_cells, N_GENES))


def obs_of(n_cells: int) -> pa.Table:
    """Metadata of n cells, with twenty samples and fifteen cell types."""
    number = np.arange(n_cells)
    columns: dict[str, Any] = {"barcode": pa.array(number).cast(pa.string())}
    columns |= {name: pa.nulls(n_cells, pa.bool_() if name == "in_vivo" else pa.string()) for name in FIELDS}
    columns["sample"] = pa.array(number * 20 // n_cells).cast(pa.string())
    columns["cell_type"] = pa.array(number % 15).cast(pa.string())
    return pa.table(columns)


def write_chunks(stage: Stage, n_cells: int) -> float:
    """Write the chunks of a study with as many threads as `sigdb load` has. Return the seconds."""

    def write(number: int, matrix: csr_matrix) -> None:
        n = matrix.shape[0]
        chunk = Chunk(
            np.full(n, 3000.0),
            np.full(n, N_SCORES),
            matrix,
            np.full(n, 0.5),
            np.full(n, 0.01),
            np.full(n, 0.02),
            np.full(n, N_SCORES),
            np.full(n, N_SCORES),
            np.zeros(matrix.shape[1], np.int64),
        )
        stage.write_chunk(number, number * CHUNK_CELLS, chunk, device="none", versions=VERSIONS)

    numbers, took = range(-(-n_cells // CHUNK_CELLS)), 0.0
    with ThreadPoolExecutor(N_THREADS) as threads:
        for first in numbers[::N_THREADS]:
            some = numbers[first : first + N_THREADS]
            firsts = [number * CHUNK_CELLS for number in some]
            matrices = [scores(cell, min(CHUNK_CELLS, n_cells - cell)) for cell in firsts]
            start = time.perf_counter()
            list(threads.map(write, some, matrices))
            took += time.perf_counter() - start
    return took


def ours(folder: Path, n_cells: int) -> dict[str, float]:
    """Write an atlas. The seconds do not include making the scores."""
    path = folder / "writing.duckdb"
    path.unlink(missing_ok=True)
    obs = obs_of(n_cells)
    with Atlas.create(path) as atlas:
        with atlas.transaction() as con:
            model_id, gene_ids = add_model(con, ModelInfo("synthetic", "mlp", "0", genes_named(N_GENES), 2))
            run_id = add_run(con, model_id, RunSettings("ig", 50, "zero", "published", 1000.0, "none", VERSIONS))
            writer = begin_study(con, NewStudy(StudyInfo("synthetic", "X"), run_id, obs, gene_ids, gene_ids))
            stage = Stage.open(folder / "writing.ingest" / "stage", "synthetic", writer.gene_ids, writer.ranks)
            chunks_took = write_chunks(stage, n_cells)
            start = time.perf_counter()
            writer.store(stage)
        stage.remove()
    stored = time.perf_counter() - start
    return {
        "chunks": chunks_took,
        "seconds": chunks_took + stored,
        "bytes": path.stat().st_size,
        "peak_gb": peak() or 0,
    }


def peer(folder: Path, n_cells: int) -> dict[str, float]:
    """Write an array with sc-signature, from scores without sign, as it needs them."""
    from SIGnature import SIGnature

    target, matrix = folder / "writing.tiledb", folder / "writing.npz"
    shutil.rmtree(target, ignore_errors=True)
    parts = [scores(first, min(CHUNK_CELLS, n_cells - first)) for first in range(0, n_cells, CHUNK_CELLS)]
    save_npz(matrix, abs(vstack(parts, format="csr")), compressed=False)
    signature = SIGnature(gene_order=genes_named(N_GENES))
    start = time.perf_counter()
    signature.create_tiledb(npz_path=str(matrix), attribution_tiledb_uri=str(target))
    seconds = time.perf_counter() - start
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    return {"chunks": 0.0, "seconds": seconds, "bytes": size, "peak_gb": peak() or 0}


def measure(side: str, folder: Path, n_cells: int) -> dict[str, float]:
    """Measure one side in a separate process."""
    command = [sys.executable, "-m", "benchmarks.writing", str(folder), "--side", side, "--cells", str(n_cells)]
    return dict(json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.splitlines()[-1]))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cells", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--peer-cells", type=int, default=5_000)
    parser.add_argument("--side", choices=("ours", "peer"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps({"ours": ours, "peer": peer}[options.side](options.folder, options.cells[0])))  # noqa: T201
        return
    table = Table("", "cells", "scores", "s", "s for chunks", "M scores/s", "bytes per score", "peak GB")
    for side, n_cells in (("peer", options.peer_cells), *(("ours", n) for n in (options.peer_cells, *options.cells))):
        found = measure(side, options.folder, n_cells)
        n_scores = n_cells * N_SCORES
        table.add_row(
            "sc-signature" if side == "peer" else "sigdb",
            f"{n_cells:,}",
            f"{n_scores:,}",
            f"{found['seconds']:.1f}",
            f"{found['chunks']:.1f}",
            f"{n_scores / found['seconds'] / 1e6:.2f}",
            f"{found['bytes'] / n_scores:.2f}",
            f"{found['peak_gb']:.2f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
