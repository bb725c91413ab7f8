"""Draw the pictures of docs/guides/charts.md from the demo atlas: `python docs/pictures.py demo.duckdb`.

The embedding is of principal components, computed here from the attributions: the bundled studies have none.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from PIL import Image

import sigdb
from sigdb import plots

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

FOLDER = Path(__file__).parent / "images" / "charts"
GENES = ["LYZ", "CD14", "FCN1", "AIF1"]
PAIRED: dict[str, Any] = {"by": "tissue", "reference": "normal adjacent", "paired_by": "donor", "min_cells": 3}
COLOURS = 128  # of a picture, which keeps it small


def components(con: duckdb.DuckDBPyConnection, study: str) -> sigdb.Answer:
    """The score of each cell of a study, at the first two principal components of its attributions."""
    query = """SELECT a.cell_id, a.gene_id, a.score FROM attributions AS a JOIN cells USING (cell_id)
        WHERE study = $study"""
    cell, gene, score = con.execute(query, {"study": study}).fetchnumpy().values()
    cells, rows = np.unique(cell, return_inverse=True)
    genes, columns = np.unique(gene, return_inverse=True)
    dense = np.zeros((len(cells), len(genes)))
    dense[rows, columns] = np.sqrt(np.abs(score))
    u, s, _ = np.linalg.svd(dense - dense.mean(axis=0), full_matrices=False)
    x, y = (u[:, :2] * s[:2] * np.sign(u[:, :2].sum(axis=0))).T
    found = sigdb.score(con, GENES)
    known = con.execute("SELECT cell_id, cell_type FROM cells").fetchall()
    types, scores = dict(known), dict(zip(*found.select(["cell_id", "score"]).to_pydict().values(), strict=True))
    order = sorted(range(len(cells)), key=lambda i: scores[cells[i]])
    place = {"x_low": x[order], "x_high": x[order], "y_low": y[order], "y_high": y[order]}
    columns = {"study": [study] * len(cells), "is_binned": [False] * len(cells), "n": [1] * len(cells), **place}
    columns |= {"cell_type": [types[cells[i]] for i in order], "score": [scores[cells[i]] for i in order]}
    return sigdb.Answer(pa.table(columns), query)


CHARTS: dict[str, Callable[[Any], Any]] = {
    "hit_rates": lambda con: plots.hit_rates(
        sigdb.hits(con, GENES, by="study", min_cells=10, min_samples=1), "Hits of four genes of monocytes"
    ),
    "heat_map": lambda con: plots.heat_map(
        sigdb.group_scores(con, "MS1", missing="ignore"), "MS1 by cell type and disease", n_groups=12
    ),
    "intervals": lambda con: plots.intervals(
        sigdb.group_scores(con, GENES, by="study"), "Four genes of monocytes by cell type and study", n_groups=16
    ),
    "distributions": lambda con: plots.distributions(sigdb.score_bins(con, GENES), n_groups=10),
    "dots": lambda con: plots.dots(sigdb.gene_dots(con, [*GENES, "CD3D", "MS4A1"]), n_groups=16),
    "contributions": lambda con: plots.contributions(
        sigdb.leading_genes(con, "MS1", n=6, missing="ignore"), "Leading genes of MS1", n_groups=12
    ),
    "top_genes": lambda con: plots.top_genes(sigdb.top_genes(con, cell_type="beta", n=20), "Top genes of beta cells"),
    "null_scores": lambda con: plots.null_scores(sigdb.matched_null(con, GENES), n_groups=16),
    "effects": lambda con: plots.effects(sigdb.compare(con, ["CD3D", "CD3E"], **PAIRED)),
    "volcano": lambda con: plots.volcano(sigdb.gene_compare(con, group="tumour", **PAIRED)),
    "embedding": lambda con: plots.embedding(
        components(con, "zheng2017_pbmc68k"), "Score in two principal components", size=280
    ),
}


def main(atlas: str) -> None:
    """Draw all pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sigdb.connect(atlas) as con, TemporaryDirectory() as folder:
        for name, chart in CHARTS.items():
            drawn = Path(folder) / f"{name}.png"
            plots.save(chart(con), drawn)
            small = io.BytesIO()
            Image.open(drawn).convert("RGB").quantize(COLOURS).save(small, "PNG", optimize=True)
            (FOLDER / f"{name}.png").write_bytes(small.getvalue())


if __name__ == "__main__":
    main(sys.argv[1])
