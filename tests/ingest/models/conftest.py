"""The counts behind the embeddings that other packages computed."""

from __future__ import annotations

import json
import shutil

import numpy as np
from scipy.sparse import csr_matrix

from tests.ingest.conftest import DATA


def reference_counts():
    """The counts behind the embeddings in the fixtures of scVI and SSL-scTab: (32, 400)."""
    return csr_matrix(np.load(DATA / "scvi_census_like" / "ref.npz")["counts"].astype(np.float32))


def copy_model(name, tmp_path):
    return shutil.copytree(DATA / name, tmp_path / name)


def change_json(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
