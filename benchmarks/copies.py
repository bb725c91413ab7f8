"""A large atlas for pictures and times of the explorer page: copies of the cells of another atlas.

    python -m benchmarks.copies demo.duckdb build/copies.duckdb --cells 200000

The attributions of a copy are those of its cell, each times a number from 0.5 to 1.5. The copies are in other samples,
of other donors. Cells get an embedding with a cloud for each cell type.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from benchmarks.atlases import execute
from sigdb import Atlas
from sigdb.atlas import views
from sigdb.atlas.derived import cluster, rebuild_summary

TIMES = 4  # samples made of each one


def make(source: Path, path: Path, n_cells: int) -> None:
    """Write an atlas of `n_cells` cells, which are copies of those of the atlas `source`."""
    shutil.copy(source, path)
    with Atlas(path) as atlas:
        con = atlas.con
        ((n_first,),) = con.execute("SELECT max(cell_id) + 1 FROM sigdb_data.cell_data").fetchall()
        with atlas.transaction():
            for name in ("umap_1", "umap_2"):
                con.execute(f"ALTER TABLE sigdb_data.cell_data ADD COLUMN {name} FLOAT")
            execute(con, "copy_samples", n_times=TIMES)
            execute(con, "copy_cells", n_times=TIMES, n_cells=n_cells)
            execute(con, "copy_attributed_cells", n_first=n_first)
            execute(con, "place_cells")
        execute(con, "copy_attributions", n_first=n_first, n_cells=n_cells)
        cluster(con)
        with atlas.transaction():
            rebuild_summary(con)
            views.show_columns(con)


def main() -> None:
    """Make one atlas."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("path", type=Path)
    parser.add_argument("--cells", type=int, default=200_000)
    options = parser.parse_args()
    make(options.source, options.path, options.cells)


if __name__ == "__main__":
    main()
