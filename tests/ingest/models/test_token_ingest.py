"""How an ingest with a transformer is divided changes nothing: chunks after an interruption, and workers."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from ingest import pipeline
from ingest.models import load_model
from ingest.options import Compute, IngestOptions, Method, Source
from ingest.pipeline import ingest_files
from tests.ingest.conftest import DATA, contents
from tests.ingest.store.conftest import count_chunks
from tests.support.zoo import TRANSFORMERS

N_CELLS, CHUNK_CELLS = 22, 8
EACH = pytest.mark.parametrize(
    "name", [*(pytest.param(each, marks=pytest.mark.slow) for each in TRANSFORMERS[:2]), "geneformer"]
)


def options(n_workers=1, **changes):
    return IngestOptions(Method(n_steps=2), compute=Compute("cpu", workers=n_workers, threads=n_workers), **changes)


def load(name):
    """scGPT reads 40 genes of a cell, so that genes are drawn at random."""
    return load_model(name, DATA / name, max_length=41 if name == "scgpt" else None)


@pytest.fixture
def model(name):
    return load(name)


@pytest.fixture
def study(model, tmp_path, monkeypatch):
    """Cells of 0 to 100 genes, which are read in three chunks."""
    monkeypatch.setattr(pipeline, "CHUNK_CELLS", CHUNK_CELLS)
    rng = np.random.default_rng(0)
    counts = rng.poisson(1.0, size=(N_CELLS, len(model.gene_ids))).astype(np.float32)
    counts[np.arange(len(model.gene_ids)) >= rng.integers(0, 160, N_CELLS)[:, None]] = 0
    counts[5] = 0
    obs = pd.DataFrame(index=[f"cell{n}" for n in range(N_CELLS)])
    adata = anndata.AnnData(csr_matrix(counts), obs=obs, var=pd.DataFrame(index=list(model.gene_ids)))
    adata.write_h5ad(tmp_path / "study.h5ad")
    return Source(tmp_path / "study.h5ad")


def stop_after_two_chunks(study, done, total):
    if done > CHUNK_CELLS:
        raise KeyboardInterrupt


@EACH
def test_an_interrupted_ingest_goes_on_to_the_same_atlas(name, model, study, tmp_path, monkeypatch):
    ingest_files(tmp_path / "whole.duckdb", [study], model, options())
    with pytest.raises(KeyboardInterrupt):
        ingest_files(tmp_path / "a.duckdb", [study], model, options(progress=stop_after_two_chunks))
    numbers = count_chunks(monkeypatch)
    ingest_files(tmp_path / "a.duckdb", [study], load(name), options())
    assert 0 < len(numbers) < 3
    assert contents(tmp_path / "a.duckdb") == contents(tmp_path / "whole.duckdb")


@pytest.mark.parametrize("name", TRANSFORMERS)
@pytest.mark.slow
def test_two_workers_store_the_same(name, model, study, tmp_path):
    for n_workers in (1, 2):
        ingest_files(tmp_path / f"{n_workers}.duckdb", [study], model, options(n_workers))
    assert contents(tmp_path / "1.duckdb") == contents(tmp_path / "2.duckdb")


@pytest.mark.parametrize("name", ["scgpt"])
@pytest.mark.slow
def test_chunks_of_a_model_that_reads_fewer_genes_are_not_used(name, model, study, tmp_path):
    """The run of 60 tokens does not take the chunk of the run of 41."""
    longer = load_model(name, DATA / name, max_length=60)
    ingest_files(tmp_path / "whole.duckdb", [study], longer, options())
    with pytest.raises(KeyboardInterrupt):
        ingest_files(tmp_path / "a.duckdb", [study], model, options(progress=stop_after_two_chunks))
    ingest_files(tmp_path / "a.duckdb", [study], longer, options())
    assert contents(tmp_path / "a.duckdb") == contents(tmp_path / "whole.duckdb")
