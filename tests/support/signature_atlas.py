"""Atlases as sc-signature writes them: a program that runs in its own process, which can import that package.

python signature_atlas.py FOLDER     writes arrays and metadata from the .npz and .csv.gz in FOLDER, and then
                                     the scores and hit rates of that package, as .json
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from SIGnature import Meta, SIGnature

QUERIES = (
    {"gene_list": ["S100A8", "LYZ", "CD14"]},
    {"gene_list": ["CD3E"], "aggregate_type": "sum"},
    {"gene_list": ["NKG7", "ACTB"], "weights": [3.0, 1.0]},
)


def write(folder: Path) -> None:
    """Write an array and its metadata for each matrix."""
    genes = (folder / "gene_order.tsv").read_text().split()
    for matrix in folder.glob("*.npz"):
        place = folder / "atlas" / matrix.stem
        place.mkdir(parents=True)
        SIGnature(genes).create_tiledb(str(matrix), batch_size=25, attribution_tiledb_uri=str(place / "attributions"))
        shutil.copy(matrix.with_suffix(".csv.gz"), place / "cell_metadata.csv.gz")


def ask(folder: Path) -> None:
    """Write the scores of all cells by each query, and the hit rates of the first query."""
    genes = (folder / "gene_order.tsv").read_text().split()
    tables = []
    for place in sorted((folder / "atlas").iterdir()):
        cells = pd.read_csv(place / "cell_metadata.csv.gz", keep_default_na=False)
        package = SIGnature(genes, str(place / "attributions"))
        for number, query in enumerate(QUERIES):
            scores = np.asarray(package.query_attributions(**query)).ravel()
            # The package returns no scores for the cells after the last cell that has one.
            cells[f"score_{number}"] = np.pad(scores, (0, len(cells) - len(scores)))
        tables.append(cells.assign(cell=[f"{place.name}:{row}" for row in range(len(cells))]))
    meta = Meta(pd.concat(tables, ignore_index=True))
    meta.add_hits("score_0", mode="percentile", cut_val=80)
    rates = meta.samphit_df(5, 1, hit_col="score_0__hit", num_dis=None, dropna=False)
    columns = ["cell", *(f"score_{number}" for number in range(len(QUERIES)))]
    answer = {
        "scores": meta.df[columns].to_numpy().tolist(),
        "rates": rates[["study", "sample", "score_0__hit"]].to_numpy().tolist(),
    }
    (folder / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    ask(Path(sys.argv[1]))
