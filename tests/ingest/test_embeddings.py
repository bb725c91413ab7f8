"""Each embedding becomes two columns of cells in the atlas. Anything that is not an embedding is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

import sigdb
from ingest.models import load_model
from ingest.obs import add_embeddings
from ingest.options import IngestOptions, Source
from ingest.pipeline import ingest_files
from sigdb.errors import ObsError, OptionError
from tests.ingest.conftest import small_adata

OBS = pd.DataFrame({"cluster": [1, 2, 3]}, index=["a", "b", "c"])
UMAP = np.array([[0.5, 1.0], [np.nan, np.nan], [-2.0, 4.0]], np.float32)


def test_each_embedding_becomes_two_columns():
    pca = np.arange(12.0).reshape(3, 4)
    frame = pd.DataFrame({"one": [1, 2, 3], "two": [4, 5, 6]}, index=OBS.index)
    found = add_embeddings(OBS, {"X_umap": UMAP, "X_pca": pca, "mine": frame}, ["X_umap", "X_pca", "mine"])
    assert list(found) == ["cluster", "umap_1", "umap_2", "pca_1", "pca_2", "mine_1", "mine_2"]
    np.testing.assert_array_equal(found[["umap_1", "umap_2"]], UMAP)
    assert found["pca_2"].tolist() == [1, 5, 9]
    assert found["mine_2"].tolist() == [4, 5, 6]
    assert list(OBS) == ["cluster"]


REFUSED = {
    "missing": (
        {"X_umap": UMAP},
        "X_unap",
        OptionError,
        r"has no embedding 'X_unap' \(`obsm`\)\. Did you mean 'X_umap'\? It has: X_umap",
    ),
    "no obsm": ({}, "X_umap", OptionError, "It has: no embeddings"),
    "one column": ({"X_umap": UMAP[:, :1]}, "X_umap", ObsError, r"has the shape \(3, 1\); an embedding of 3 cells"),
    "other cells": ({"X_umap": UMAP[:2]}, "X_umap", ObsError, r"has the shape \(2, 2\)"),
    "not numbers": ({"X_umap": UMAP.astype(str)}, "X_umap", ObsError, "not numbers"),
    "sparse": ({"X_umap": csr_matrix(np.ones((3, 2)))}, "X_umap", ObsError, "is a sparse matrix"),
    "the name is taken": (
        {"Cluster": UMAP},
        "Cluster",
        ObsError,
        "obs has columns called Cluster_2 already: rename them, or leave `obsm` out",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_an_embedding_is_refused(case):
    obsm, key, error, message = REFUSED[case]
    obs = OBS.rename(columns={"cluster": "cluster_2"}) if key == "Cluster" else OBS
    with pytest.raises(error, match=message):
        add_embeddings(obs, obsm, [key])


def test_from_file_to_atlas(tmp_path, small_model):
    adata = small_adata()
    rng = np.random.default_rng(0)
    adata.obsm["X_umap"] = rng.normal(size=(40, 2)).astype(np.float32)
    adata.obsm["X_umap"][5] = np.nan
    adata.obsm["X_sparse"] = csr_matrix(adata.obsm["X_umap"])
    adata.write_h5ad(tmp_path / "study.h5ad")
    model = load_model("mlp", small_model)
    atlas, source = tmp_path / "a.duckdb", Source(tmp_path / "study.h5ad")
    with pytest.raises(ObsError, match="X_sparse"):
        ingest_files(atlas, [source], model, IngestOptions(obsm=["X_sparse"]))
    assert not atlas.exists()
    ingest_files(atlas, [source], model, IngestOptions(obsm=["X_umap"]))
    with sigdb.connect(atlas) as con:
        rows = con.execute("SELECT barcode, umap_1, umap_2 FROM cells").fetchall()
    found = {barcode: (np.nan if x is None else x, np.nan if y is None else y) for barcode, x, y in rows}
    np.testing.assert_array_equal([found[name] for name in adata.obs_names], adata.obsm["X_umap"])
