"""Transformers: embeddings of the original code, attributions of Captum, and what must not matter."""

from __future__ import annotations

from types import SimpleNamespace

import anndata
import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file
from scipy.sparse import csr_matrix

import sigdb
from ingest.attribution.device import attribute_cells, set_up
from ingest.attribution.methods import attribute_batch, check_method, most_rows
from ingest.models import load_model
from ingest.models.scgpt import bin_counts
from ingest.options import Compute, IngestOptions, Method, ReferenceCells, Source
from ingest.pipeline import ingest_files
from sigdb.errors import MethodError
from tests.ingest.conftest import DATA
from tests.ingest.models.conftest import change_json, copy_model
from tests.support.oracle import captum_on_tokens
from tests.support.zoo import TRANSFORMERS

OF_EACH = pytest.mark.parametrize("name", TRANSFORMERS)


def reference(name):
    return np.load(DATA / name / "ref.npz")


def model_of(name):
    return load_model(name, DATA / name)


def counts_of(name, model):
    """The counts behind the reference: (n_cells, n_genes), columns as in the model."""
    counts = reference(name)["counts"].astype(np.float32)
    if name == "geneformer":
        place = {str(gene): n for n, gene in enumerate(reference(name)["ensembl"])}
        counts = counts[:, [place[gene] for gene in model.gene_ids]]
    return csr_matrix(counts)


@pytest.mark.parametrize("pool", ["all", "max"])
def test_embeddings_of_scfoundation(pool):
    model = load_model("scfoundation", DATA / "scfoundation" / "models.ckpt", pool=pool)
    found = model.embed(counts_of("scfoundation", model)).numpy()
    np.testing.assert_allclose(found, reference("scfoundation")[f"{pool}_t4"], atol=1e-5)
    assert model.latent_dim == found.shape[1]


@pytest.mark.parametrize(("depth", "factor"), [("f1", 0.0), ("a5", 5.0), ("f10", 1.0), ("a0", 0.0), ("t4", None)])
def test_the_depth_that_scfoundation_is_asked_for(depth, factor):
    """T is 4, or log10 of the total plus log10 of a factor; S is log10 of the total."""
    model = load_model("scfoundation", DATA / "scfoundation", depth=depth)
    counts = counts_of("scfoundation", model)
    batch = model.tokens(model.prepare(counts))
    total = np.log10(counts.toarray().sum(axis=1))
    np.testing.assert_allclose(batch.values[:, -1], total, rtol=1e-6)
    np.testing.assert_allclose(batch.values[:, -2], 4.0 if factor is None else total + factor, rtol=1e-6)


def test_embeddings_of_scgpt():
    """Of the very tokens and bins that the original drew."""
    model, ref = model_of("scgpt"), reference("scgpt")
    column = {row: n for n, row in enumerate(model.rows)}
    bins = np.zeros((len(ref["gene"]), len(model.gene_ids)), np.float32)
    for cell, (rows, values) in enumerate(zip(ref["gene"], ref["expr"], strict=True)):
        for row, value in zip(rows, values, strict=True):
            if row in column:
                bins[cell, column[row]] = value
    entry = model.enter(csr_matrix(bins))
    z = entry.tail(entry.point)
    np.testing.assert_allclose(z, ref["cls"], atol=1e-5)
    np.testing.assert_allclose(model.finish(z), ref["cls_l2"], atol=1e-5)


def test_tokens_and_embeddings_of_geneformer():
    model, ref = model_of("geneformer"), reference("geneformer")
    counts = counts_of("geneformer", model)
    batch = model.tokens(model.prepare(counts))
    for cell, (ids, mask) in enumerate(zip(ref["input_ids"], ref["attention_mask"].astype(bool), strict=True)):
        assert batch.ids[cell][batch.is_token[cell]].tolist() == ids[mask].tolist()
    np.testing.assert_allclose(model.embed(counts), ref["cell_emb_minus1"], atol=1e-5)


@pytest.mark.parametrize("method", [Method(n_steps=10), Method(n_steps=10, summation="dot")], ids=["published", "dot"])
@OF_EACH
def test_attributions_equal_captum_on_the_whole_network(name, method):
    model = model_of(name)
    x = model.prepare(counts_of(name, model)[:3])
    expected = captum_on_tokens(model, x, method)
    found = attribute_batch(model, x, method).values.toarray()
    assert np.abs(found - expected).max() < 1e-5 * max(np.abs(expected).max(), 1)
    assert (found != 0).sum() > 0.9 * x.nnz


def test_input_x_gradient_of_genes_alone():
    """T and S are held fixed, so they get nothing."""
    model = model_of("scfoundation")
    x = model.prepare(counts_of("scfoundation", model)[:2])
    expected = captum_on_tokens(model, x, Method("ixg"))
    found = attribute_batch(model, x, Method("ixg")).values.toarray()
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@OF_EACH
def test_neither_batches_nor_padding_nor_the_order_of_cells_matter(name):
    model, method = model_of(name), Method(n_steps=4)
    counts = counts_of(name, model)[:4]
    expected = attribute_cells(model, counts, method, batch_size=1)
    order = [2, 0, 3, 1]
    for batch_size in (3, 4):
        found = attribute_cells(model, counts[order], method, batch_size=batch_size)
        largest = abs(expected.values).max()
        np.testing.assert_allclose(found.values.toarray(), expected.values.toarray()[order], atol=1e-5 * largest)
        np.testing.assert_allclose(found.error, expected.error[order], atol=1e-3)


def test_cells_of_a_batch_have_similar_lengths(monkeypatch):
    """What is known of a cell comes back in its own row."""
    model = load_model("scgpt", DATA / "scgpt", max_length=100)
    counts = counts_of("scgpt", model)[:6]
    for cell, n_genes in enumerate((209, 20, 120, 0, 130, 30)):
        counts.data[counts.indptr[cell] + n_genes : counts.indptr[cell + 1]] = 0
    counts.eliminate_zeros()
    lengths, tokens = [], type(model).tokens
    monkeypatch.setattr(
        type(model), "tokens", lambda self, x: lengths.append(np.diff(x.indptr).tolist()) or tokens(self, x)
    )
    found = attribute_cells(model, counts, Method(n_steps=2), batch_size=2)
    assert lengths == [[20], [30, 99], [99, 99]]
    alone = [attribute_cells(model, cell, Method(n_steps=2), batch_size=1) for cell in counts]
    assert np.diff(found.unread.indptr).tolist() == [110, 0, 21, 0, 31, 0]
    for cell, expected in enumerate(alone):
        assert (found.unread[cell] != expected.unread).nnz == 0
        np.testing.assert_allclose(found.values[cell].toarray(), expected.values.toarray(), atol=1e-5)
    assert np.isnan(found.delta).tolist() == [False, False, False, True, False, False]


@OF_EACH
def test_a_study_in_an_atlas(name, tmp_path):
    """Genes of the study in any order, a gene that the model lacks, and a cell without counts."""
    model = model_of(name)
    counts = counts_of(name, model)[:3].toarray()
    counts[1] = 0
    order = np.random.default_rng(0).permutation(len(model.gene_ids))
    adata = anndata.AnnData(
        csr_matrix(np.column_stack([counts[:, order], [7, 7, 7]])),
        obs=pd.DataFrame(index=["a", "b", "c"]),
        var=pd.DataFrame(index=[*np.array(model.gene_ids)[order], "NOT-A-GENE"]),
    )
    adata.write_h5ad(tmp_path / "study.h5ad")
    [report] = ingest_files(
        tmp_path / "atlas.duckdb", [Source(tmp_path / "study.h5ad")], model, IngestOptions(Method(n_steps=4))
    )
    assert (report.n_cells, report.n_empty_cells) == (3, 1)
    coarse = [note for note in report.notes if "coarse" in note]
    assert bool(coarse) == (report.median_error > 0.05)
    assert all(note.endswith("Use more `n_steps`") for note in coarse)
    expected = attribute_cells(model, csr_matrix(counts), Method(n_steps=4)).values.toarray()
    with sigdb.connect(tmp_path / "atlas.duckdb") as con:
        assert con.execute("SELECT architecture, description FROM models").fetchone() == (name, model.description)
        query = """SELECT barcode, score * attribution_scale FROM signature_score([?], signed := TRUE)
            JOIN attributed_cells USING (cell_id) JOIN cells USING (cell_id)"""
        for gene in (model.gene_ids[order[0]], model.gene_ids[int(np.abs(expected[0]).argmax())]):
            found = dict(con.execute(query, [gene]).fetchall())
            column = model.gene_ids.index(gene)
            assert found["a"] == pytest.approx(expected[0, column], rel=1e-3, abs=1e-6)
            assert found["c"] == pytest.approx(expected[2, column], rel=1e-3, abs=1e-6)


def test_a_batch_holds_as_many_tokens_as_a_chain_of_layers_holds_cells():
    """Of 2,048 tokens: one cell of 1,200, two of 1,000. A cell of more goes alone."""
    for max_length, n_cells in ((None, 1), (1000, 2), (5000, 1)):
        model = load_model("scgpt", DATA / "scgpt", max_length=max_length)
        assert set_up(model, Compute("cpu"))[1] == n_cells
    large = SimpleNamespace(row_bytes=100 << 20)
    assert most_rows(large, "cpu") == 40


@pytest.mark.parametrize("n", [1, 2, 30, 600])
def test_bins_are_quantiles_and_ties_are_broken_between_their_edges(n):
    """Each bin is one that numpy's digitize allows; without ties, it is the only one."""
    rng = np.random.default_rng(n)
    for counts in (rng.poisson(2, n) + 1.0, rng.permutation(n) + 1.0):
        found = bin_counts(counts, 51, np.random.default_rng(0))
        edges = np.quantile(counts, np.linspace(0, 1, 50))
        low, high = np.digitize(counts, edges, right=True), np.digitize(counts, edges)
        assert ((found >= np.minimum(low + 1, high)) & (found <= high)).all()
        assert found.min() >= 1
        assert found.max() <= 50
        assert (found == np.round(found)).all()


def test_scgpt_reads_the_same_genes_of_a_cell_each_time():
    """A cell of more genes than the context holds: as many as fit, drawn by the counts of this cell alone."""
    model = load_model("scgpt", DATA / "scgpt", max_length=101)
    counts = counts_of("scgpt", model)
    x = model.prepare(counts)
    assert np.diff(x.indptr).tolist() == [100] * 8
    assert (model.prepare(counts[[5, 2]]) != x[[5, 2]]).nnz == 0
    assert x[0].indices.tolist() != sorted(counts[0].indices.tolist())[:100]
    whole = model_of("scgpt").prepare(counts)
    kept = x.toarray() > 0
    assert (x.toarray()[kept] == whole.toarray()[kept]).all()
    assert model.sha256 != model_of("scgpt").sha256


def test_geneformer_reads_the_highest_genes_first(tmp_path):
    """A context of 34 tokens: <cls>, 32 genes and <eos>. Genes that do not fit have no place and no score."""
    folder = copy_model("geneformer", tmp_path)
    change_json(folder / "config.json", max_position_embeddings=34)
    tensors = load_file(folder / "model.safetensors")
    table = "bert.embeddings.position_embeddings.weight"
    save_file(tensors | {table: tensors[table][:34].clone()}, folder / "model.safetensors")
    model = load_model("geneformer", folder)
    counts = counts_of("geneformer", model)
    whole, found = model_of("geneformer").prepare(counts).toarray(), model.prepare(counts).toarray()
    assert (found > 0).sum(axis=1).tolist() == [32] * len(found)
    for cut, full in zip(found, whole, strict=True):
        assert np.argsort(-cut, kind="stable")[:32].tolist() == np.argsort(-full, kind="stable")[:32].tolist()
    scores = attribute_cells(model, counts[:2], Method(n_steps=2)).values
    assert np.diff(scores.indptr).tolist() == [32, 32]


def test_a_cell_with_one_count_has_no_place_in_scfoundation():
    model = model_of("scfoundation")
    counts = np.zeros((2, len(model.gene_ids)), np.float32)
    counts[0, 5], counts[1, 5] = 1, 2
    found = attribute_cells(model, csr_matrix(counts), Method(n_steps=2))
    assert np.diff(found.values.indptr).tolist() == [0, 1]
    assert np.isnan(found.delta).tolist() == [True, False]


@OF_EACH
def test_what_cannot_explain_a_transformer_is_refused(name, tmp_path):
    model = model_of(name)
    with pytest.raises(MethodError, match=r"deeplift cannot explain model .*: the Rescale rule .* Use `method='ig'`"):
        check_method(Method("deeplift"), model)
    options = IngestOptions(baseline=ReferenceCells(tmp_path / "none.h5ad", "TRUE"))
    with pytest.raises(MethodError, match=r"reads tokens of expressed genes.*leave the baseline out"):
        ingest_files(tmp_path / "atlas.duckdb", [Source(tmp_path / "none.h5ad")], model, options)
