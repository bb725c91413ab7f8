"""How much memory `sigdb ingest` takes at two sizes of a study, with model and torch loaded.

    python -m benchmarks.ingesting build/ingesting --cells 20000 200000

Writes studies with these numbers of cells to the folder (h5ad, 1,500 counts per cell over the genes of the
demonstration model; 200,000 cells are 2.4 GB). Ingests each with that model and Input x Gradient, prints one table and
writes ingesting.json. Each ingest is a separate process, `sigdb ingest` as a user runs it. Its peak memory is the
kernel's figure at its end; the peak before storing is VmHWM when the last chunk exists. With --repeat, all studies
are ingested several times, in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

MODEL = Path("ingest/demo/model")
CHUNK_CELLS = 2048
N_COUNTS = 1_500
# Seconds between two measurements of the process.
EVERY = 0.05


def make_study(path: Path, n_cells: int, genes: Sequence[str] | None = None) -> None:
    """Write a study, chunk by chunk: twenty samples, fifteen cell types, N_COUNTS genes per cell.

    genes: default: the genes of the demonstration model.
    """
    import anndata
    import h5py
    import numpy as np
    import pandas as pd
    from scipy.sparse import csr_matrix

    genes = genes or json.loads((MODEL / "model.json").read_text())["genes"]
    number = np.arange(n_cells)
    obs = pd.DataFrame({"sample": number * 20 // n_cells, "cell_type": number % 15}).astype(str)
    obs = obs.astype("category").set_index("cell-" + pd.Index(number).astype(str))  # as anndata writes text
    unfinished = path.with_suffix(".new")
    with h5py.File(unfinished, "w") as file:
        anndata.io.write_elem(file, "/", anndata.AnnData(obs=obs, var=pd.DataFrame(index=genes)))
        for first in range(0, n_cells, CHUNK_CELLS):
            n = min(CHUNK_CELLS, n_cells - first)
            rng = np.random.default_rng((5, first))
            columns = np.argpartition(rng.random((n, len(genes)), np.float32), N_COUNTS, axis=1)[:, :N_COUNTS]
            counts = rng.geometric(0.5, n * N_COUNTS).astype(np.float32)
            indptr = np.arange(0, n * N_COUNTS + 1, N_COUNTS)
            rows = csr_matrix((counts, np.sort(columns).ravel().astype(np.int32), indptr), shape=(n, len(genes)))
            if first:
                anndata.io.sparse_dataset(file["X"]).append(rows)
            else:
                anndata.io.write_elem(file, "X", rows)
    unfinished.replace(path)


def measure_ingest(study: Path, n_cells: int, threads: int | None) -> dict[str, Any]:
    """Ingest a study. Return seconds and peak memory in GB, in all and until storing begins."""
    atlas = study.with_suffix(".duckdb")
    atlas.unlink(missing_ok=True)
    stages = atlas.with_name(f"{atlas.name}.ingest")
    shutil.rmtree(stages, ignore_errors=True)
    command = [sys.executable, "-m", "sigdb.cli", "ingest", str(atlas), str(study), "--model", "mlp"]
    command += ["--weights", str(MODEL), "--method", "ixg", "--device", "cpu"]
    command += ["--threads", str(threads)] if threads else []
    n_chunks = -(-n_cells // CHUNK_CELLS)
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    attributed: tuple[float, float] | None = None
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if attributed is None and len(list(stages.glob("*/chunk-*"))) == n_chunks:
            attributed = (time.perf_counter() - start, high_water(process.pid))
        time.sleep(EVERY)
    if status or attributed is None:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return {
        "n_cells": n_cells,
        "s": time.perf_counter() - start,
        "attributed_s": attributed[0],
        "attributed_gb": attributed[1],
        "peak_gb": usage.ru_maxrss * 1024 / 1e9,
    }


def high_water(pid: int) -> float:
    """The peak memory of a process so far, in GB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Prepare, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cells", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    studies = {n_cells: options.folder / f"study-{n_cells}.h5ad" for n_cells in options.cells}
    if options.make:
        make_study(studies[options.cells[0]], options.cells[0])
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    for n_cells, study in studies.items():
        if not study.exists():
            # In another process: the peak of a child is at least the memory that its parent had when the child started.
            command = [sys.executable, "-m", "benchmarks.ingesting", str(options.folder), "--make", "--cells"]
            subprocess.run([*command, str(n_cells)], check=True)
    results = []
    sys.stdout.write("| cells | s | s attributing | peak GB before storing | peak GB |\n" + "|---" * 5 + "|\n")
    for n_cells, study in [*studies.items()] * options.repeat:
        found = measure_ingest(study, n_cells, options.threads)
        results.append(found)
        sys.stdout.write(
            f"| {n_cells:,} | {found['s']:.1f} | {found['attributed_s']:.1f} | {found['attributed_gb']:.3f} | "
            f"{found['peak_gb']:.3f} |\n"
        )
        sys.stdout.flush()
        (options.folder / "ingesting.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
