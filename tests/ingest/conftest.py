from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from scipy.sparse import csr_matrix
from torch import nn

import sigdb
from ingest.models import load_model
from ingest.options import IngestOptions, Method, Source
from ingest.pipeline import ingest_files
from sigdb import cli
from sigdb.statements import statement
from tests.support import ROOT
from tests.support.formats import h5ad
from tests.support.prebuilt import copy_prebuilt
from tests.support.toy import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATA = ROOT / "tests" / "data"

# 30 real symbols, so that names resolve. The small model knows the first 24.
GENES = [
    *("S100A8", "S100A9", "S100A12", "VCAN", "LYZ", "CD14", "CD3D", "CD3E", "CD3G", "CD2", "TRAC", "IL7R"),
    *("MS4A1", "CD79A", "CD79B", "NKG7", "GNLY", "GZMB", "PRF1", "INS", "GCG", "SST", "PPY", "KRT19"),
    *("COL1A1", "COL3A1", "PECAM1", "MBP", "PLP1", "ACTB"),
]


def small_counts(n_cells: int = 40, seed: int = 0) -> csr_matrix:
    """Poisson counts, two fifths of them zero; cell 3 has only zeros."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(1.0, 2.0, size=(n_cells, len(GENES)))).astype(np.float32)
    counts[3] = 0
    return csr_matrix(counts)


def small_adata(n_cells: int = 40, seed: int = 0) -> anndata.AnnData:
    obs = pd.DataFrame(
        {
            "sample": pd.Categorical([f"s{i % 4}" for i in range(n_cells)]),
            "donor_id": pd.Categorical([f"d{i % 2}" for i in range(n_cells)]),
            "disease": pd.Categorical([["normal", "flu"][i % 2] for i in range(n_cells)]),
            "cell_type": pd.Categorical([["monocyte", "T cell", None][i % 3] for i in range(n_cells)]),
            "cluster": np.arange(n_cells) % 5,
            "doublet_score": np.where(np.arange(n_cells) % 7 == 0, np.nan, 0.25),
            "n_counts": np.arange(n_cells) * 1.0,
        },
        index=[f"cell{i}" for i in range(n_cells)],
    )
    return anndata.AnnData(small_counts(n_cells, seed), obs=obs, var=pd.DataFrame(index=GENES))


def save_small_model(
    folder: Path, *, activation: str = "PReLU", l2: bool = True, genes: list[str] | None = None
) -> Path:
    """A small random encoder in the generic MLP format, with batch norm statistics other than the defaults."""
    genes = genes or GENES[:24]
    torch.manual_seed(1)
    kind = getattr(nn, activation)
    net = nn.Sequential(
        nn.Linear(len(genes), 16),
        nn.BatchNorm1d(16),
        kind(),
        nn.Linear(16, 16),
        kind(),
        nn.Linear(16, 6),
    )
    net.train()
    with torch.no_grad():
        for _ in range(5):
            net(torch.rand(32, len(genes)) * 3)
    spec = {
        "format": "sigdb-mlp",
        "version": 1,
        "name": folder.name,
        "description": "random",
        "genes": genes,
        "normalisation": {"target_sum": 10000, "log1p": True},
        "layers": ["Linear", {"type": "BatchNorm1d", "eps": 1e-5}, activation, "Linear", activation, "Linear"],
        "l2_normalised": l2,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps(spec))
    save_file(net.state_dict(), folder / "model.safetensors")
    return folder


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small encoder."""
    return save_small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="session")
def model(small_model):
    """The small encoder."""
    return load_model("mlp", small_model)


@pytest.fixture(scope="session")
def file(tmp_path_factory):
    """The small study; read-only."""
    path = tmp_path_factory.mktemp("study") / "study.h5ad"
    small_adata().write_h5ad(path)
    return path


def contents(path):
    """Every table of an atlas or a lake, without the times at which rows were written."""
    times = {"attribution_runs": "EXCLUDE (started, finished)", "ingest_chunks": "EXCLUDE (written)"}
    with sigdb.connect(path) as con:
        return {
            name: con.execute(f"SELECT * {times.get(name, '')} FROM sigdb_data.{name} ORDER BY ALL").fetchall()
            for (name,) in con.execute(statement("atlas/inspect.tables")).fetchall()
            if name != "atlas_info"
        }


def scores_of(path):
    """All scores as {(barcode, gene): score}."""
    with sigdb.connect(path) as con:
        query = """SELECT c.barcode, g.symbol, a.score
            FROM attributions AS a JOIN cells AS c USING (cell_id) JOIN genes AS g USING (gene_id)"""
        return {(barcode, gene): score for barcode, gene, score in con.execute(query).fetchall()}


@pytest.fixture(scope="session")
def known(tmp_path_factory, small_model):
    """An atlas that holds the study `known`, and its fingerprint; tests copy the atlas."""

    def build(path):
        study = h5ad(small_adata(12), path.with_name("known"))
        ingest_files(path, [Source(study)], load_model("mlp", small_model), IngestOptions(Method(n_steps=2)))

    path = copy_prebuilt("known.duckdb", build, tmp_path_factory.mktemp("known") / "a.duckdb")
    return path, fingerprint(path)


@pytest.fixture
def sigdb_ingest(tmp_path, known, small_model, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """`sigdb ingest ...` in a folder with the atlas a.duckdb; returns (exit code, standard output, standard error)."""
    shutil.copy(known[0], tmp_path / "a.duckdb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "listen", lambda: None)  # the signals of the tests stay as they are

    def run(*arguments: object, atlas: str = "a.duckdb", weights: Path = small_model) -> tuple[int, str, str]:
        model = ["--model", "mlp", "--weights", str(weights), "--steps", "2"]
        monkeypatch.setattr(sys, "argv", ["sigdb", "ingest", atlas, *map(str, arguments), *model])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, " ".join(err.split())

    return run
