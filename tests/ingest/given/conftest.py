"""Given scores of a small study, the files that hold them, and what an atlas stores of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, save_npz

from ingest.given.files import load_file
from ingest.given.load import LoadOptions
from sigdb.atlas.verify import verify
from tests.ingest.conftest import GENES

N_CELLS = 20


def given_scores(*, signed=True, seed=0):
    """Cells x GENES, half of them 0. Absolute values of a cell add up to 1000; cell 3 has no scores."""
    rng = np.random.default_rng(seed)
    dense = rng.normal(size=(N_CELLS, len(GENES))) * (rng.random((N_CELLS, len(GENES))) < 0.5)
    dense[3] = 0
    dense *= 1000 / np.maximum(np.abs(dense).sum(axis=1, keepdims=True), 1e-9)
    return dense if signed else np.abs(dense)


def given_obs(n=N_CELLS):
    names = pd.Index([f"cell{i}" for i in range(n)], name="barcode")
    return pd.DataFrame(
        {"sample": [f"s{i % 2}" for i in range(n)], "cell_type": ["B", "T", "B", "T"] * (n // 4)}, names
    )


def write_files(folder, dense, obs=None, genes=GENES):
    """Write a matrix, the metadata and the genes; return the paths."""
    save_npz(folder / "scores.npz", csr_matrix(dense))
    (given_obs() if obs is None else obs).to_csv(folder / "obs.csv")
    (folder / "genes.txt").write_text("\n".join(genes) + "\n")
    return {"matrix": folder / "scores.npz", "obs": folder / "obs.csv", "genes": folder / "genes.txt"}


def load_scores(path, files, study="mine", **options):
    return load_file(path, files["matrix"], LoadOptions(**options), study=study, obs=files["obs"], genes=files["genes"])


def stored_scores(con, run=None):
    """All scores of a run, by barcode and symbol."""
    query = """SELECT c.barcode, g.symbol, a.score FROM attributions AS a JOIN cells AS c USING (cell_id)
        JOIN genes AS g USING (gene_id) JOIN attribution_runs AS r USING (run_id)
        WHERE ? IS NULL OR r.run = ? ORDER BY ALL"""
    return con.execute(query, [run, run]).fetchall()


def failed_checks(con):
    return {finding.check: finding.example for finding in verify(con) if finding.n}
