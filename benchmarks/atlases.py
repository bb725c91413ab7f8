"""Synthetic atlases, as large as published ones, for measurements only.

    python -m benchmarks.atlases wide build/wide.duckdb

`cells`: 22 million cells, 100 genes, about 137 million scores. `wide`: 1 million cells, 20,000 genes, 1.2 billion
scores. `middle`: 200,000 cells, 20,000 genes, 121 million scores. Genes differ in how often they are not 0
(log-normal, 6 % on average, 3 % in `middle`) and scores within a gene are log-normal, a third of them negative. One
version of numpy makes the same atlas on every machine.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import track

from ingest.store.records import ModelInfo, RunSettings, add_model, add_run
from sigdb import Atlas
from sigdb.atlas.derived import rebuild_summary
from sigdb.disk import now

if TYPE_CHECKING:
    import duckdb

SQL = Path(__file__).parent / "sql"
BATCH = 10_000_000  # scores
DATA = Path(__file__).parents[1] / "sigdb" / "data"


@dataclass(frozen=True)
class Shape:
    """Size of a synthetic atlas. density: mean fraction of the cells in which a gene is not 0."""

    n_cells: int
    n_genes: int
    n_samples: int
    density: float


SHAPES = {
    "cells": Shape(22_000_000, 100, 10_000, 0.062),
    "wide": Shape(1_000_000, 20_000, 50, 0.06),
    "middle": Shape(200_000, 20_000, 50, 0.03),
    "small": Shape(200_000, 100, 100, 0.062),
}


def make(shape: Shape, path: Path) -> None:
    """Write the atlas of this shape to `path`, with the tables and statements that ingest uses."""
    with Atlas.create(path) as atlas:
        con = atlas.con
        genes = genes_named(shape.n_genes)
        settings = RunSettings("ig", 50, "zero", "published", 1000.0, "none", {"numpy": np.__version__})
        with atlas.transaction():
            model_id, gene_ids = add_model(con, ModelInfo("synthetic", "mlp", "0", genes, 2))
            run_id = add_run(con, model_id, settings)
            sizes = {"n_cells": shape.n_cells, "n_samples": shape.n_samples}
            execute(con, "studies", n_samples=shape.n_samples)
            execute(con, "samples", n_samples=shape.n_samples)
            execute(con, "study_genes")
            execute(con, "cells", **sizes)
            execute(con, "attributed_cells", run_id=run_id)
        for batch in track(list(batches(shape, gene_ids)), description=path.name):
            scores = pa.concat_tables(gene_scores(shape, gene_id) for gene_id in batch)
            con.register("sigdb_incoming", scores)
            execute(con, "attributions", run_id=run_id)
            con.unregister("sigdb_incoming")
        with atlas.transaction():
            rebuild_summary(con)
            con.execute("UPDATE sigdb_data.attribution_runs SET finished = ?", [now()])


def genes_named(n: int) -> list[str]:
    """The first symbols of HGNC."""
    symbols: list[str] = pq.read_table(DATA / "hgnc_human.parquet")["symbol"].to_pylist()
    return symbols[:n]


def execute(con: duckdb.DuckDBPyConnection, name: str, **parameters: object) -> None:
    """Run a statement of benchmarks/sql."""
    con.execute((SQL / f"{name}.sql").read_text(), parameters or None)


def density(shape: Shape, gene_id: int) -> float:
    """The fraction of the cells in which a gene is not 0."""
    spread = 1.0
    draw = np.random.default_rng((1, gene_id)).normal(-(spread**2) / 2, spread)
    return float(min(shape.density * np.exp(draw), 0.9))


def batches(shape: Shape, gene_ids: list[int]) -> list[list[int]]:
    """The genes in order, in batches with about BATCH scores."""
    found: list[list[int]] = [[]]
    held = 0.0
    for gene_id in sorted(gene_ids):
        if held > BATCH:
            found.append([])
            held = 0.0
        found[-1].append(gene_id)
        held += density(shape, gene_id) * shape.n_cells
    return found


def gene_scores(shape: Shape, gene_id: int) -> pa.Table:
    """All scores of a gene, by cell: (gene_id, cell_id, score)."""
    rng = np.random.default_rng((2, gene_id))
    chance = density(shape, gene_id)
    gaps = rng.geometric(chance, int(shape.n_cells * chance * 1.1) + 100)
    cells = np.cumsum(gaps) - 1
    cells = cells[cells < shape.n_cells].astype(np.uint32)
    scores = rng.lognormal(0.5, 0.8, len(cells)).astype(np.float32)
    scores *= np.where(rng.random(len(cells), np.float32) < 1 / 3, np.float32(-1), np.float32(1))
    return pa.table({"gene_id": np.full(len(cells), gene_id, np.uint32), "cell_id": cells, "score": scores})


def main() -> None:
    """Make one atlas."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("path", type=Path)
    options = parser.parse_args()
    options.path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = options.path.with_suffix(".unfinished.duckdb")
    unfinished.unlink(missing_ok=True)
    make(SHAPES[options.shape], unfinished)
    unfinished.rename(options.path)


if __name__ == "__main__":
    main()
