"""Write the scores of an atlas in the format of sc-signature 1.0.0, for `benchmarks.search`.

    python -m benchmarks.peer build/cells.duckdb build/cells.tiledb

Writes the attributions as the TileDB array that `SIGnature.create_tiledb` makes: same schema, filters, cell order and
tile order, consolidated into one fragment. (The package's own loop over Python lists would take hours here.) Scores are
stored without sign, since the package's search takes no absolute values.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import duckdb
import numpy as np
import tiledb
from rich.progress import track
from SIGnature.utils import optimize_tiledb_array

BATCH = 20_000_000  # scores

RANGES = """
SELECT min(gene_id), max(gene_id), sum(n)
FROM (SELECT gene_id, n, sum(n) OVER (ORDER BY gene_id) // $batch AS batch
      FROM (SELECT gene_id, count(*) AS n FROM attributions GROUP BY gene_id))
GROUP BY batch ORDER BY batch
"""
SCORES = """
SELECT gene_id AS y, cell_id AS x, abs(score) AS vals FROM attributions
WHERE gene_id BETWEEN $first AND $last ORDER BY gene_id, cell_id
"""


def create(uri: Path, n_cells: int, n_genes: int) -> None:
    """An empty array with the schema of sc-signature 1.0.0."""
    domain = tiledb.Domain(
        tiledb.Dim(name="x", domain=(0, n_cells - 1), dtype=np.uint32),
        tiledb.Dim(name="y", domain=(0, n_genes - 1), dtype=np.uint32),
    )
    values = tiledb.Attr(name="vals", dtype=np.float32, filters=tiledb.FilterList([tiledb.GzipFilter()]))
    schema = tiledb.ArraySchema(
        domain=domain, sparse=True, cell_order="col-major", tile_order="col-major", attrs=[values]
    )
    tiledb.SparseArray.create(str(uri), schema)


def export(atlas: Path, uri: Path) -> None:
    """Write the attributions of `atlas` as a TileDB array at `uri`."""
    with duckdb.connect(str(atlas), read_only=True) as con:
        ((n_cells,),) = con.execute("SELECT count(*) FROM cells").fetchall()
        ((n_genes,),) = con.execute("SELECT count(*) FROM genes").fetchall()
        create(uri, n_cells, n_genes)
        for first, last, _ in track(con.execute(RANGES, {"batch": BATCH}).fetchall(), description=uri.name):
            scores = con.execute(SCORES, {"first": first, "last": last}).fetchnumpy()
            with tiledb.open(str(uri), "w") as array:
                array[scores["x"], scores["y"].astype(np.uint32)] = {"vals": scores["vals"]}
    optimize_tiledb_array(str(uri))


def main() -> None:
    """Export one atlas."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("atlas", type=Path)
    parser.add_argument("uri", type=Path)
    options = parser.parse_args()
    shutil.rmtree(options.uri, ignore_errors=True)
    export(options.atlas, options.uri)


if __name__ == "__main__":
    main()
