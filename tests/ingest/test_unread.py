"""Genes that cells express and that a model does not read are counted per cell and per gene."""

from __future__ import annotations

from dataclasses import replace

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

import sigdb
from ingest import pipeline
from ingest.attribution.device import attribute_cells
from ingest.models import Normalisation, load_model
from ingest.options import Compute, IngestOptions, Method, Source
from ingest.pipeline import ingest_files
from ingest.preview import preview_study
from tests.ingest.conftest import DATA, contents
from tests.support.lakes import examples

FAST = IngestOptions(Method(n_steps=1))


@pytest.fixture(scope="module")
def scgpt():
    """An encoder that reads three genes of a cell, beside <cls>."""
    return load_model("scgpt", DATA / "scgpt", max_length=4)


def counts_of(model, numbers):
    """Cells that express the first genes of the model: as many of them as `numbers` says."""
    counts = np.zeros((len(numbers), len(model.gene_ids)), np.float32)
    for row, n in zip(counts, numbers, strict=True):
        row[:n] = np.arange(1, n + 1)
    return counts


def brute_force(model, counts):
    """Where a cell expresses a gene that is not in the prepared cell, cell by cell."""
    read = [model.prepare(csr_matrix(row[None])).toarray()[0] != 0 for row in counts]
    return (counts != 0) & ~np.array(read)


def source_of(model, counts, folder, name="study"):
    """A study in an h5ad file. Its genes are in another order than those of the model, and one is unknown to it."""
    order = np.random.default_rng(0).permutation(len(model.gene_ids))
    adata = anndata.AnnData(
        csr_matrix(np.column_stack([counts[:, order], np.full(len(counts), 7)])),
        obs=pd.DataFrame({"cell_type": ["b", "a"] * (len(counts) // 2)}, index=[f"c{n}" for n in range(len(counts))]),
        var=pd.DataFrame(index=[*np.array(model.gene_ids)[order], "NOT-A-GENE"]),
    )
    adata.write_h5ad(folder / f"{name}.h5ad")
    return Source(folder / f"{name}.h5ad")


def read_of(path):
    """The genes that each cell expresses and how many were read; the cells in which each gene was not read."""
    with sigdb.connect(path) as con:
        cells = con.execute("SELECT barcode, n_expressed, n_read FROM attributed_cells JOIN cells USING (cell_id)")
        by_cell = {barcode: tuple(numbers) for barcode, *numbers in cells.fetchall()}
        genes = con.execute("SELECT symbol, n_cells FROM unread_genes JOIN genes USING (gene_id)")
        by_gene = dict(genes.fetchall())
        assert [each for each in sigdb.verify(con) if each.n] == []
    return by_cell, by_gene


def test_by_hand(scgpt, tmp_path):
    """Cells of 0, 2, 3 and 5 genes: the last one has two genes that are not read."""
    counts = counts_of(scgpt, [0, 2, 3, 5])
    source = source_of(scgpt, counts, tmp_path)
    (report,) = ingest_files(tmp_path / "a.duckdb", [source], scgpt, FAST)
    said = "the model reads a limited number of genes of a cell. Genes read of {}: median 2 of 2; 25% of cells cut. "
    assert [note.startswith(said.format("4 cells")) for note in report.notes].count(True) == 1
    notes = preview_study(source, model=scgpt).notes
    assert [note.startswith(said.format("the first 4 of 4 cells")) for note in notes].count(True) == 1
    by_cell, by_gene = read_of(tmp_path / "a.duckdb")
    assert by_cell == {"c0": (0, 0), "c1": (2, 2), "c2": (3, 3), "c3": (5, 3)}
    unread = np.flatnonzero(brute_force(scgpt, counts)[3])
    assert by_gene == {scgpt.gene_ids[n]: 1 for n in unread}
    assert len(unread) == 2


CELLS = st.lists(st.integers(0, 12), min_size=1, max_size=6)


@settings(max_examples=examples(40), deadline=None)
@given(CELLS, st.integers(2, 14), st.integers(1, 6))
def test_unread_genes_are_those_that_the_dense_matrix_shows(scgpt, numbers, max_length, batch_size):
    model = replace(scgpt, context_limit=max_length)
    counts = counts_of(model, numbers)
    found = attribute_cells(model, csr_matrix(counts), Method(n_steps=1), batch_size=batch_size)
    assert (found.unread.toarray() == brute_force(model, counts)).all()
    assert found.unread.sum(axis=1).ravel().tolist()[0] == [max(0, n - max_length + 1) for n in numbers]


def test_geneformer_does_not_read_the_lowest_genes():
    model = replace(load_model("geneformer", DATA / "geneformer"), context_limit=6)
    counts = np.array(model.medians, np.float32)[None] * np.arange(1, len(model.gene_ids) + 1, dtype=np.float32)
    found = attribute_cells(model, csr_matrix(counts), Method(n_steps=1)).unread.toarray()
    assert np.flatnonzero(~found[0]).tolist() == list(range(len(model.gene_ids) - model.n_places, len(model.gene_ids)))


def test_a_feed_forward_encoder_reads_all_genes(model, small_model):
    """So it does if its normalisation makes a count 0, because 0 is what it reads."""
    counts = csr_matrix(counts_of(model, [5, 0, 1]))
    tiny = replace(model, normalisation=Normalisation(1e-50))
    assert tiny.prepare(counts).toarray().any() == False  # noqa: E712
    for each in (model, tiny):
        assert attribute_cells(each, counts, Method(n_steps=1)).unread.nnz == 0


def test_a_cell_with_one_count_is_not_read_by_scfoundation():
    model = load_model("scfoundation", DATA / "scfoundation")
    counts = counts_of(model, [1, 2])
    assert attribute_cells(model, csr_matrix(counts), Method(n_steps=1)).unread.toarray().sum(axis=1).tolist() == [1, 0]


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of two cells."""
    monkeypatch.setattr(pipeline, "FEWEST_CHUNK_CELLS", 1)
    monkeypatch.setattr(pipeline, "CPU_CHUNK_CELLS", 2)


@pytest.mark.usefixtures("small_chunks")
def test_an_interrupted_study_counts_as_one_that_was_not(scgpt, tmp_path):
    counts = counts_of(scgpt, [3, 8, 0, 5, 1, 4])
    source = source_of(scgpt, counts, tmp_path)
    ingest_files(tmp_path / "once.duckdb", [source], scgpt, FAST)

    def stop(study, done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest_files(tmp_path / "twice.duckdb", [source], scgpt, replace(FAST, progress=stop))
    ingest_files(tmp_path / "twice.duckdb", [source], scgpt, FAST)
    once = contents(tmp_path / "once.duckdb")
    assert once == contents(tmp_path / "twice.duckdb")
    assert sum(n for *_, n in once["unread_genes"]) == brute_force(scgpt, counts).sum() > 0


@pytest.mark.slow
def test_a_study_that_is_replaced_or_dropped_leaves_no_counts(scgpt, tmp_path):
    path = tmp_path / "a.duckdb"
    study, other = (source_of(scgpt, counts_of(scgpt, [n, 5]), tmp_path, f"study{n}") for n in (4, 7))
    ingest_files(path, [study], scgpt, FAST)
    before = contents(path)["unread_genes"]
    ingest_files(path, [other], scgpt, FAST)
    ingest_files(path, [study], scgpt, replace(FAST, if_exists="replace"))
    read_of(path)
    with sigdb.Atlas(path) as atlas:
        atlas.drop_study("study7")
    assert contents(path)["unread_genes"] == before != []


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
def test_workers_count_what_one_process_counts(scgpt, tmp_path):
    source = source_of(scgpt, counts_of(scgpt, [0, 2, 3, 5, 8, 1]), tmp_path)
    ingest_files(tmp_path / "one.duckdb", [source], scgpt, FAST)
    ingest_files(tmp_path / "two.duckdb", [source], scgpt, replace(FAST, compute=Compute("cpu", workers=2)))
    assert contents(tmp_path / "one.duckdb") == contents(tmp_path / "two.duckdb")
