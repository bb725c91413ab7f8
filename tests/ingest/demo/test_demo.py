"""The demo: its atlas has the expected contents, and its model finds cell types without annotation."""

from __future__ import annotations

import shutil
from importlib.resources import files

import anndata
import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

import sigdb
from benchmarks.markers import compare, summary
from ingest.demo import attribute_demo, build_demo, demo_sources
from ingest.genes import map_to_models
from ingest.models import load_model
from ingest.obs import obs_table
from ingest.pipeline import ingest_files
from tests.ingest.conftest import contents, scores_of


@pytest.fixture(scope="module")
def comparisons(demo_path):
    with sigdb.connect(demo_path) as con:
        return compare(con)


def test_markers_of_held_out_annotation_rank_higher_at_home(comparisons):
    """All 74 markers rank higher, and two thirds of them separate better than by expression.

    The markers were listed before the model was trained. Figures when this was written: 74 rank higher in their own
    types; 50 separate better than by expression rank; median separation 0.728 against 0.675; AUROC 0.929 against 0.932
    of expression.
    """
    found = summary(comparisons)
    assert found["markers"] == 74
    assert found["higher in own types"] == 74
    assert found["separate better"] >= 47
    assert found["separation"] >= found["by expression"] + 0.03
    assert found["own rank"] >= found["own rank by expression"] + 0.05
    assert found["AUROC"] >= found["AUROC by expression"] - 0.02


@pytest.mark.parametrize("gene", ["CD3D", "MS4A1", "LYZ", "INS"])
def test_well_known_markers(comparisons, gene):
    """A guard against regressions, with genes that were picked after the figures were known.

    NKG7 is not among them: it separates better in only one of three studies.
    """
    for each in (each for each in comparisons if each.gene == gene):
        by_attribution, by_expression = each.separation
        assert by_attribution > by_expression + 0.03, each


def test_top_myeloid_genes_are_myeloid(demo_path):
    with sigdb.connect(demo_path) as con:
        rows = con.execute(
            """SELECT g.symbol FROM attribution_summary AS a JOIN genes AS g USING (gene_id)
            WHERE a.cell_type IN ('CD14+ Monocyte', 'MDC', 'macrophage', 'Microglia/Macrophage')
            GROUP BY 1 ORDER BY sum(a.sum_abs) DESC LIMIT 12"""
        ).fetchall()
    known = {"LST1", "FCGR3A", "AIF1", "CFD", "SPI1", "FCN1", "CTSS", "LYZ", "FCER1G", "PILRA", "IFI30"}
    known |= {"CST3", "TYROBP"}
    assert len(known & {gene for (gene,) in rows}) >= 9


def test_the_model_has_the_signature_genes_that_two_studies_measure(demo_path):
    model = load_model("mlp", files("ingest") / "demo" / "model")
    assert len(model.gene_ids) == 7000
    with sigdb.connect(demo_path) as con:
        known = "SELECT count(*) FROM check_genes(signature_genes('MS1')) WHERE gene_id IS NOT NULL"
        assert con.execute(known).fetchall()[0][0] >= 81
        short = con.execute(
            """SELECT s.signature FROM signatures AS s LEFT JOIN genes AS g ON s.gene = g.symbol
            GROUP BY s.signature HAVING count(g.symbol) < 0.9 * count(*)"""
        ).fetchall()
    assert short == [("MS1",)]


def test_size_and_provenance(demo_path):
    with sigdb.connect(demo_path) as con:
        assert con.execute("SELECT count(*) FROM cells").fetchall() == [(1757,)]
        assert con.execute("SELECT count(*) FROM signature_info").fetchall() == [(51,)]
        assert con.execute("SELECT count(*) FROM studies WHERE source IS NULL OR licence IS NULL").fetchall() == [(0,)]
        assert con.execute(
            "SELECT model, method, n_steps FROM attribution_runs JOIN models USING (model_id)"
        ).fetchall() == [("sigdb-demo", "ig", 50)]
        sums = "SELECT min(s), max(s) FROM (SELECT sum(abs(score)) AS s FROM attributions GROUP BY cell_id)"
        low, high = con.execute(sums).fetchall()[0]
        assert 999.9 < low < high < 1000.1


def fields(path, study):
    """The cells of a study, without their ids."""
    with sigdb.connect(path) as con:
        return con.execute(
            "SELECT * EXCLUDE (cell_id, sample_id) FROM cells WHERE study = ? ORDER BY ALL", [study]
        ).fetchall()


@pytest.mark.slow
def test_the_bundled_attributions_are_of_the_bundled_model(demo_path, tmp_path):
    """One study here, all of them in the next test. The sums of a cell are 1000, so 1e-3 is a millionth of them."""
    folder = files("ingest") / "demo"
    (source,) = (each for each in demo_sources(folder / "studies") if "tirosh" in str(each.path))
    model = load_model("mlp", folder / "model")
    ingest_files(tmp_path / "tirosh.duckdb", [source], model)
    wanted, bundled = scores_of(tmp_path / "tirosh.duckdb"), scores_of(demo_path)
    assert max(abs(score - bundled[key]) for key, score in wanted.items()) < 1e-3
    assert fields(tmp_path / "tirosh.duckdb", source.name) == fields(demo_path, source.name)
    with sigdb.connect(demo_path) as con:
        assert con.execute("SELECT checkpoint_sha256 FROM sigdb_data.models").fetchall() == [(model.sha256,)]


def test_the_bundled_metadata_are_what_ingest_reads_now(demo_path):
    """Metadata that ingest reads differently need a new bundle, also where the scores stay as they are."""
    with sigdb.connect(demo_path) as con:
        for source in demo_sources(files("ingest") / "demo" / "studies"):
            read, _ = obs_table(anndata.read_h5ad(source.path).obs, study=source.name, mapping={}, divide=True)
            bundled = con.sql("FROM cells WHERE study = ?", params=[source.name]).to_arrow_table()
            tables = (bundled.select(read.column_names), read)
            bundled_cells, read_cells = (table.sort_by("barcode").to_pylist() for table in tables)
            assert bundled_cells == read_cells, source.name
            about = "SELECT title, organism, source, licence FROM studies WHERE study = ?"
            wanted = (source.title, source.organism, source.source, source.licence)
            assert con.execute(about, [source.name]).fetchall() == [wanted]


@pytest.mark.slow
def test_the_bundled_atlas_is_the_one_that_the_model_makes(demo_path, tmp_path):
    attribute_demo(tmp_path / "demo.duckdb")
    for source in demo_sources(files("ingest") / "demo" / "studies"):
        assert fields(tmp_path / "demo.duckdb", source.name) == fields(demo_path, source.name)
    wanted, bundled = contents(tmp_path / "demo.duckdb"), contents(demo_path)
    exact = wanted.keys() - {
        "attributions",
        "attribution_summary",
        "importance_sums",
        "attributed_cells",
        "attribution_runs",
        "ingest_chunks",
    }
    assert {name for name in exact if wanted[name] != bundled[name]} == set()
    for name in ("attributions", "attribution_summary", "importance_sums", "attributed_cells"):
        np.testing.assert_allclose(
            np.array(wanted[name], object)[:, -3:].astype(float),
            np.array(bundled[name], object)[:, -3:].astype(float),
            1e-3,
            1e-3,
        )


def test_a_demo_that_fails_leaves_no_atlas(toy_path, tmp_path, monkeypatch):
    def stop(con):
        raise KeyboardInterrupt

    monkeypatch.setattr("ingest.demo.import_lake", lambda lake, path: shutil.copy(toy_path, path))
    monkeypatch.setattr("ingest.demo.rebuild_summary", stop)
    with pytest.raises(KeyboardInterrupt):
        build_demo(tmp_path / "demo.duckdb")
    assert not (tmp_path / "demo.duckdb").exists()


def test_the_demo_atlas_is_consistent(demo_path):
    with sigdb.connect(demo_path) as con:
        assert [finding.check for finding in sigdb.verify(con) if finding.n] == []


@pytest.mark.slow
def test_an_interrupted_run_of_the_model_leaves_no_atlas(tmp_path):
    def stop(study, done, total):
        if study.startswith("baron"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attribute_demo(tmp_path / "demo.duckdb", stop)
    assert not (tmp_path / "demo.duckdb").exists()


@pytest.mark.parametrize("name", ["scgpt", "geneformer"])
def test_demonstration_transformers_know_cell_types(name):
    """By the nearest of the other cells of a study that was trained on; chance is 1 in 5."""
    folder = files("ingest") / "demo"
    model = load_model(name, folder / "transformers" / f"{name}-demo")
    assert (len(model.gene_ids), model.context_limit, model.latent_dim) == (1500, 160, 32)
    adata = anndata.read_h5ad(folder / "studies" / "zheng2017_pbmc68k.h5ad")[::5]
    (genes,), _ = map_to_models([model.gene_ids], adata.var_names)
    z = torch.nn.functional.normalize(model.embed(genes(csr_matrix(adata.X))))
    similarity = (z @ z.T).fill_diagonal_(-1)
    types = adata.obs["cell_type"].to_numpy()
    assert (types[similarity.argmax(1).numpy()] == types).mean() > 0.6
