"""How the cost of queries grows with an atlas, by engine: DuckDB on the file, DuckDB on the lake, Spark on the lake.

    python -m benchmarks.engines build/engines --cells 250000 1000000 4000000

Makes an atlas of each size (benchmarks.atlases: 400 genes, 24 scores per cell, 20,000 cells per sample) and its lake.
Runs the same queries on all three, compares the answers, prints one table and writes engines.json. Each engine is a
separate process for each size, and runs each query once to warm up. Spark runs on this machine. It needs the extra
`spark` and Java.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

import sigdb
from benchmarks import atlases
from benchmarks.search import peak, read_by

if TYPE_CHECKING:
    from collections.abc import Callable

N_GENES = 400
DENSITY = 0.06
CELLS_PER_SAMPLE = 20_000
ENGINES = ("file", "lake", "spark")
# {genes} is a list in SQL. Answers are rounded, since engines add up in different orders.
QUERIES = {
    "scores of all cells, 2 genes": ("SELECT count(*), round(sum(score), 3) FROM signature_score({genes})", 2),
    "scores of all cells, 80 genes": ("SELECT count(*), round(sum(score), 3) FROM signature_score({genes})", 80),
    "means by group, 80 genes": (
        "SELECT disease, cell_type, round(sum(score * n_cells) / sum(n_cells), 6) AS score "
        "FROM signature_by_sample({genes}) GROUP BY disease, cell_type ORDER BY disease, cell_type",
        80,
    ),
    "hit rates by sample, 80 genes": (
        "SELECT sample, n_hits FROM sample_hit_rates({genes}) ORDER BY sample",
        80,
    ),
}


def place(folder: Path, n_cells: int, engine: str) -> Path:
    """The atlas or lake of a size."""
    return folder / (f"{n_cells}.duckdb" if engine == "file" else f"{n_cells}.lake")


def prepare(folder: Path, n_cells: int) -> dict[str, Any]:
    """Make atlas and lake if they do not exist. Return their sizes and the seconds of the export."""
    atlas, lake = place(folder, n_cells, "file"), place(folder, n_cells, "lake")
    if not atlas.exists():
        shape = atlases.Shape(n_cells, N_GENES, max(1, n_cells // CELLS_PER_SAMPLE), DENSITY)
        atlases.make(shape, atlas)
    start = time.perf_counter()
    exported = sigdb.export_lake(atlas, lake)
    seconds = time.perf_counter() - start if exported.written else None
    with sigdb.connect(atlas) as con:
        ((rows,),) = con.execute("SELECT count(*) FROM sigdb_data.attributions").fetchall()
    return {
        "cells": n_cells,
        "rows": rows,
        "file_bytes": atlas.stat().st_size,
        "lake_bytes": exported.manifest.bytes,
        "lake_files": len(exported.manifest.files_of("attributions")),
        "export_s": seconds,
    }


def with_genes(query: str, n: int) -> str:
    """The query with n genes that are spread over all genes."""
    genes = atlases.genes_named(N_GENES)[:: N_GENES // n][:n]
    return query.format(genes="[" + ", ".join(f"'{gene}'" for gene in genes) + "]")


def measure(folder: Path, n_cells: int, engine: str, repeats: int) -> list[dict[str, Any]]:
    """Time all queries in this process."""
    start = time.perf_counter()
    ask, about = (on_spark if engine == "spark" else on_duckdb)(place(folder, n_cells, engine))
    opened = time.perf_counter() - start
    found = []
    for name, (query, n) in QUERIES.items():
        text, seconds = with_genes(query, n), []
        for _ in range(repeats + 1):
            start = time.perf_counter()
            result = ask(text)
            seconds.append(time.perf_counter() - start)
        median = statistics.median(seconds[1:])
        found.append({"cells": n_cells, "engine": engine, "query": name, "first": seconds[0], "median": median})
        found[-1] |= {"opened": opened, "result": result} | about(text)
    # Spark's memory is in the JVM, which is a child of this process.
    processes = ["self", *Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    return [each | {"peak_gb": max(peak(process) or 0.0 for process in processes)} for each in found]


def on_duckdb(path: Path) -> tuple[Callable[[str], Any], Callable[[str], dict[str, Any]]]:
    """A function that runs a query on DuckDB, and one that says how many rows and row groups a query reads."""
    con = sigdb.connect(path)
    return lambda text: con.execute(text).fetchall(), lambda text: read_by(con, text) or {}


def on_spark(path: Path) -> tuple[Callable[[str], Any], Callable[[str], dict[str, Any]]]:
    """A function that runs a query on Spark, on all cores of this machine."""
    from ingest.spark.driver import spark_session

    settings = {"spark.ui.enabled": "false", "spark.driver.memory": "6g", "spark.sql.shuffle.partitions": "8"}
    spark = spark_session("local[*]", settings | {"spark.driver.host": "127.0.0.1"})
    sigdb.spark.register(spark, str(path.absolute()))
    return lambda text: [list(row) for row in sigdb.spark.sql(spark, text).collect()], lambda text: {}


def row_groups(lake: Path) -> int:
    """How many row groups the attributions of a lake have."""
    return sum(pq.read_metadata(file).num_row_groups for file in (lake / "attributions").rglob("*.parquet"))


def compare(found: list[dict[str, Any]]) -> None:
    """Raise if engines give different answers, and print the table."""
    table = Table("cells", "query", "engine", "s", "first s", "rows read", "row groups", "peak GB")
    for each in found:
        first = next(o for o in found if (o["cells"], o["query"]) == (each["cells"], each["query"]))
        for mine, other in zip(each["result"], first["result"], strict=True):
            if mine[:-1] != other[:-1] or not np.isclose(mine[-1], other[-1], rtol=1e-5):
                raise AssertionError(f"{each['query']}: {each['engine']} says {mine}, {first['engine']} {other}")
        groups = f"{each['row_groups']:,} of {each['of_row_groups']:,}" if "row_groups" in each else ""
        table.add_row(
            f"{each['cells']:,}",
            each["query"],
            each["engine"],
            f"{each['median']:.2f}",
            f"{each['first']:.2f}",
            f"{each['rows']:,}" if "rows" in each else "",
            groups,
            f"{each['peak_gb']:.1f}",
        )
    Console(width=140).print(table)


def main() -> None:
    """Measure everything, or (in a separate process) one engine at one size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cells", type=int, nargs="+", default=[250_000, 1_000_000, 4_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.engine:
        json.dump(measure(given.folder, given.cells[0], given.engine, given.repeats), sys.stdout)
        return
    sizes, found = [], []
    for n_cells in given.cells:
        sizes.append(
            prepare(given.folder, n_cells) | {"lake_row_groups": row_groups(place(given.folder, n_cells, "lake"))}
        )
        for engine in ENGINES:
            command = [sys.executable, "-m", "benchmarks.engines", str(given.folder), "--cells", str(n_cells)]
            command += ["--engine", engine, "--repeats", str(given.repeats)]
            output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
            found += json.loads(output.splitlines()[-1])
        (given.folder / "engines.json").write_text(json.dumps({"sizes": sizes, "found": found}, indent=1))
    about = Table(*sizes[0])
    for size in sizes:
        about.add_row(*(f"{value:,.1f}" if isinstance(value, float) else f"{value or 0:,}" for value in size.values()))
    Console(width=140).print(about)
    compare(found)


if __name__ == "__main__":
    main()
