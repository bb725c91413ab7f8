"""From .h5ad to atlas: every number equals a dense computation, and a failed study leaves no trace."""

from __future__ import annotations

import shutil
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix, csr_matrix

import sigdb
from ingest import pipeline
from ingest.attribution.methods import attribute_batch, scale
from ingest.options import Compute, IngestOptions, Method, ReferenceCells, Source
from ingest.pipeline import ingest_files
from sigdb import Atlas
from sigdb.errors import (
    MethodError,
    ObsError,
    OptionError,
    QueryError,
    SigdbError,
    StudyExistsError,
)
from tests.ingest.conftest import GENES, scores_of, small_adata
from tests.support.oracle import captum_on_the_whole_model
from tests.support.toy import fingerprint
from tests.support.zoo import nearly_normalised, with_dead_cell


@pytest.fixture(scope="module")
def ingested(tmp_path_factory, model, file):
    """An atlas of the small study with default options, and the report; read-only."""
    path = tmp_path_factory.mktemp("ingested") / "a.duckdb"
    (report,) = ingest_files(path, [Source(file)], model)
    return path, report


@pytest.fixture
def atlas(tmp_path, ingested):
    """A copy of that atlas."""
    return Path(shutil.copy(ingested[0], tmp_path / "a.duckdb"))


def test_the_atlas_holds_what_was_computed(ingested, model):
    path, report = ingested
    adata = small_adata()
    x = model.normalisation(csr_matrix(adata.X[:, :24]))
    expected, scales = scale(attribute_batch(model, x))
    dense = expected.toarray()
    assert (report.study, report.n_cells, report.n_scores) == ("study", 40, expected.nnz)
    assert (report.n_genes_measured, report.n_empty_cells) == (24, 1)
    found = scores_of(path)
    assert len(found) == expected.nnz
    for (barcode, gene), score in found.items():
        assert score == pytest.approx(dense[int(barcode[4:]), GENES.index(gene)], rel=1e-4, abs=1e-3)
    with sigdb.connect(path) as con:
        cells = con.execute(
            "SELECT barcode, n_counts, n_genes, cluster, donor, disease FROM cells ORDER BY cell_id"
        ).fetchall()
        kept = con.execute(
            "SELECT attribution_scale, completeness_delta FROM attributed_cells ORDER BY cell_id"
        ).fetchall()
        ledger = con.execute("SELECT study_id, chunk, first_row, n_cells, n_scores FROM ingest_chunks").fetchall()
        run = con.execute(
            "SELECT run, method, n_steps, baseline, summation, target_sum FROM attribution_runs"
        ).fetchall()
        totals = con.execute("SELECT cell_id, sum(abs(score)) FROM attributions GROUP BY 1 ORDER BY 1").fetchall()
        in_order = con.execute("SELECT gene_id, cell_id FROM sigdb_data.attributions").fetchall()
    counts = adata.X.toarray()
    order = sorted(range(40), key=lambda i: i % 3)  # by cell type
    assert cells == [
        (f"cell{i}", counts[i].sum(), (counts[i] > 0).sum(), i % 5, f"d{i % 2}", ["normal", "flu"][i % 2])
        for i in order
    ]
    np.testing.assert_allclose([k[0] if k[0] is not None else np.nan for k in kept], scales[order], rtol=1e-5)
    assert kept[order.index(3)] == (None, None)
    assert ledger == [(0, 0, 0, 40, expected.nnz)]
    assert run == [("small-ig", "ig", 50, "zero", "published", 1000.0)]
    np.testing.assert_allclose([total for _, total in totals], 1000, rtol=1e-4)
    assert in_order == sorted(in_order)


def test_the_atlas_holds_what_captum_computes_on_the_whole_model(ingested, model):
    values, _ = captum_on_the_whole_model(model, model.prepare(csr_matrix(small_adata().X[:, :24])), Method())
    totals = np.abs(values).sum(axis=1, keepdims=True)
    expected = np.divide(values, totals, out=np.zeros_like(values), where=totals > 0) * 1000
    found = np.zeros_like(expected)
    for (barcode, gene), score in scores_of(ingested[0]).items():
        found[int(barcode[4:]), GENES.index(gene)] = score
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * 1000)


def test_the_cube_is_the_sum_over_cells(ingested):
    with sigdb.connect(ingested[0]) as con:
        cube = con.execute(
            """SELECT sample_id, cell_type, gene_id, n_nonzero, sum_abs, sum_signed, sum_sq
            FROM attribution_summary ORDER BY ALL"""
        ).fetchall()
        direct = con.execute(
            """SELECT sample_id, cell_type, gene_id, count(*), sum(abs(score)), sum(score), sum(score * score)
            FROM attributions JOIN cells USING (cell_id) GROUP BY ALL ORDER BY ALL"""
        ).fetchall()
        sizes = con.execute("SELECT sample_id, cell_type, n_cells FROM group_sizes ORDER BY ALL").fetchall()
        cells = con.execute("SELECT sample_id, cell_type, count(*) FROM cells GROUP BY ALL ORDER BY ALL").fetchall()
    assert [row[:4] for row in cube] == [row[:4] for row in direct]
    np.testing.assert_allclose([row[4:] for row in cube], [row[4:] for row in direct], rtol=1e-5, atol=1e-5)
    assert sizes == cells


VARIANTS = {
    "genes shuffled": lambda a: a[:, np.random.default_rng(1).permutation(a.n_vars)].copy(),
    "cells shuffled": lambda a: a[np.random.default_rng(1).permutation(a.n_obs)].copy(),
    "csc": lambda a: a.__class__(csc_matrix(a.X), obs=a.obs, var=a.var),
    "a gene split over two columns": lambda a: split_column(a),
    "other names": lambda a: rename_genes(a, {"LYZ": "ENSG00000090382.7", "MS4A1": "CD20", "TRAC": "TRAC"}),
}


def split_column(adata):
    """Split LYZ into two columns: one has 1 where LYZ was counted, the other has the rest."""
    dense = adata.X.toarray()
    extra = np.minimum(dense[:, [GENES.index("LYZ")]], 1)
    dense[:, [GENES.index("LYZ")]] -= extra
    return adata.__class__(
        csr_matrix(np.hstack([dense, extra])), obs=adata.obs, var=pd.DataFrame(index=[*GENES, "LYZ"])
    )


def rename_genes(adata, names):
    adata.var_names = [names.get(name, name) for name in adata.var_names]
    return adata


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_order_of_genes_cells_and_batches_does_not_matter(tmp_path, model, ingested, variant, monkeypatch):
    VARIANTS[variant](small_adata()).write_h5ad(tmp_path / "variant.h5ad")
    monkeypatch.setattr(pipeline, "CHUNK_CELLS", 11)
    ingest_files(
        tmp_path / "b.duckdb", [Source(tmp_path / "variant.h5ad")], model, IngestOptions(compute=Compute(batch_size=4))
    )
    one, two = scores_of(ingested[0]), scores_of(tmp_path / "b.duckdb")
    assert one.keys() == two.keys()
    np.testing.assert_allclose([two[key] for key in one], list(one.values()), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(
    ("n_cells", "compute", "method"),
    [
        (256, Compute("cpu"), Method()),
        (256, Compute("cpu"), Method(n_steps=10)),
        (128, Compute("cpu"), Method(n_steps=100)),
        (16, Compute("cpu"), Method(n_steps=3000)),
        (256, Compute("cpu"), Method("ixg", n_steps=3000)),
        (2048, Compute("cuda"), Method(n_steps=3000)),
    ],
)
def test_a_chunk_of_a_cpu_takes_seconds_whatever_the_steps(n_cells, compute, method):
    """An interruption costs the chunk that is not finished."""
    assert pipeline.chunk_cells(compute, method) == n_cells


def test_progress_covers_every_cell(tmp_path, model, file):
    seen = []
    options = IngestOptions(compute=Compute(batch_size=16), progress=lambda *news: seen.append(news))
    ingest_files(tmp_path / "a.duckdb", [Source(file, "mine")], model, options)
    assert seen == [("mine", 0, 40), ("mine", 16, 40), ("mine", 32, 40), ("mine", 40, 40)]


def test_a_note_tells_of_a_widened_column(tmp_path, model, atlas):
    other = small_adata(10, seed=5)
    other.obs["cluster"] = other.obs["cluster"] + 0.5
    other.write_h5ad(tmp_path / "other.h5ad")
    (report,) = ingest_files(atlas, [Source(tmp_path / "other.h5ad")], model)
    assert report.notes[-1] == "column 'cluster' of the atlas is DOUBLE now: it was BIGINT, and is DOUBLE in this study"


def test_several_studies_share_a_run_and_have_their_own_measured_genes(tmp_path, model, file):
    small_adata(10, seed=5)[:, :20].copy().write_h5ad(tmp_path / "narrow.h5ad")
    ingest_files(tmp_path / "a.duckdb", [Source(file), Source(tmp_path / "narrow.h5ad", source="by hand")], model)
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        studies = con.execute("SELECT study, n_cells, n_genes, source FROM studies ORDER BY study_id").fetchall()
        assert studies == [("study", 40, 24, None), ("narrow", 10, 20, "by hand")]
        assert con.execute("SELECT count(*) FROM attribution_runs").fetchall() == [(1,)]
        assert con.execute("SELECT min(cell_id), max(cell_id), count(*) FROM cells").fetchall() == [(0, 49, 50)]


def test_another_run_of_the_same_study(atlas, model, file):
    (report,) = ingest_files(atlas, [Source(file)], model, IngestOptions(Method(n_steps=20), run="fewer steps"))
    assert report.notes[-2:] == (
        "the atlas had these cells already: their metadata are unchanged",
        "these scores are of run 'fewer steps'; queries use 'small-ig' unless they say run := 'fewer steps'",
    )
    with sigdb.connect(atlas) as con:
        assert con.execute("SELECT count(*) FROM cells").fetchall() == [(40,)]
        query = "SELECT score FROM signature_score(['LYZ'], run := ?) ORDER BY cell_id"
        found = {run: np.ravel(con.execute(query, [run]).fetchall()) for run in ("small-ig", "fewer steps")}
    order = sorted(range(40), key=lambda i: i % 3)  # by cell type
    x = model.normalisation(csr_matrix(small_adata().X[order, :24]))
    for run, n_steps in (("small-ig", 50), ("fewer steps", 20)):
        expected = np.abs(scale(attribute_batch(model, x, Method(n_steps=n_steps)))[0].toarray()[:, GENES.index("LYZ")])
        np.testing.assert_allclose(found[run], expected, rtol=1e-4, atol=2e-3)


def test_an_error_in_a_study_undoes_it_and_keeps_the_studies_before(tmp_path, model, file):
    def fail(study, done, total):
        if study == "second" and done:
            raise KeyboardInterrupt

    options = IngestOptions(compute=Compute(batch_size=8), progress=fail)
    with pytest.raises(KeyboardInterrupt):
        ingest_files(tmp_path / "a.duckdb", [Source(file), Source(file, "second")], model, options)
    with Atlas(tmp_path / "a.duckdb") as atlas:
        assert atlas.con.execute("SELECT study, n_cells FROM studies").fetchall() == [("study", 40)]
        stored = atlas.con.execute("SELECT gene_id, cell_id FROM sigdb_data.attributions").fetchall()
        assert stored == sorted(stored)


def test_the_same_study_twice(atlas, model, file):
    with pytest.raises(StudyExistsError, match="give it another name with `study`"):
        ingest_files(atlas, [Source(file)], model)
    assert issubclass(StudyExistsError, SigdbError)


def test_two_files_with_one_study_name(tmp_path, model, file):
    with pytest.raises(OptionError, match=r"1 study names are used by more than one of the 2 files: study\..*`study`"):
        ingest_files(tmp_path / "a.duckdb", [Source(file), Source(file)], model)
    assert not (tmp_path / "a.duckdb").exists()


def test_the_file_is_not_changed(tmp_path, model):
    small_adata().write_h5ad(tmp_path / "study.h5ad")
    before = (tmp_path / "study.h5ad").read_bytes()
    ingest_files(tmp_path / "a.duckdb", [Source(tmp_path / "study.h5ad")], model, IngestOptions(Method(n_steps=2)))
    assert (tmp_path / "study.h5ad").read_bytes() == before


RUNS = {
    "ig": (Method(), Compute(), ("small-ig", "ig", 50, "zero", "published")),
    "ig otherwise": (
        Method("ig", "dot", 20, "riemann_middle"),
        Compute(precision="bf16"),
        ("small-ig", "ig (riemann_middle, bf16)", 20, "zero", "dot"),
    ),
    "ixg": (Method("ixg"), Compute(), ("small-ixg", "ixg", None, "zero", "dot")),
    "deeplift": (Method("deeplift"), Compute(), ("small-deeplift", "deeplift", None, "zero", "dot")),
}


@pytest.mark.parametrize("case", RUNS)
def test_a_run_records_how_it_was_made_and_stores_what_the_method_gives(tmp_path, model, file, case):
    method, compute, expected = RUNS[case]
    (report,) = ingest_files(tmp_path / "a.duckdb", [Source(file)], model, IngestOptions(method, compute=compute))
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        query = "SELECT run, method, n_steps, baseline, summation FROM attribution_runs"
        assert con.execute(query).fetchall() == [expected]
    counts = csr_matrix(small_adata().X[:, :24])
    x = model.prepare(counts)
    found = attribute_batch(model, x, method)
    scores, scales = scale(found)
    tolerance = 30 if compute.precision == "bf16" else 1e-2
    for (barcode, gene), score in scores_of(tmp_path / "a.duckdb").items():
        assert score == pytest.approx(scores[int(barcode[4:]), GENES.index(gene)], abs=tolerance)
    delta, shares = np.abs(found.delta), np.abs(found.delta) / (1000 * scales)
    if compute.precision == "float32":
        assert report.median_delta == pytest.approx(np.median(np.delete(delta, 3)), rel=1e-2, abs=1e-6)
        assert report.relative_delta == pytest.approx(np.median(np.delete(shares, 3)), rel=1e-2, abs=1e-6)
    assert report.counts_from == "X"


def test_max_error_refuses_a_study_whole(tmp_path, model, file):
    coarse = Method(n_steps=2)
    (report,) = ingest_files(tmp_path / "a.duckdb", [Source(file)], model, IngestOptions(coarse))
    limit = report.median_error
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        stored = con.execute("SELECT median(integration_error) FROM attributed_cells").fetchone()
    assert stored == (pytest.approx(limit),)
    ingest_files(tmp_path / "a.duckdb", [Source(file, "b")], model, IngestOptions(coarse, max_error=limit * 1.01))
    before = fingerprint(tmp_path / "a.duckdb")
    options = IngestOptions(coarse, max_error=limit * 0.99)
    with pytest.raises(MethodError, match=r"above `max_error=.*Nothing of it was stored"):
        ingest_files(tmp_path / "a.duckdb", [Source(file, "c")], model, options)
    assert fingerprint(tmp_path / "a.duckdb") == before


def test_more_steps_are_advised_if_the_integrals_are_coarse(tmp_path, model, file):
    notes = {}
    for n_steps in (2, 50):
        options = IngestOptions(Method(n_steps=n_steps), run=f"{n_steps} steps")
        (report,) = ingest_files(tmp_path / "a.duckdb", [Source(file)], model, options)
        notes[n_steps] = [note for note in report.notes if "coarse" in note]
        assert (report.median_error > 0.05) == bool(notes[n_steps])
    assert notes[50] == []
    assert notes[2][0].endswith("(median over cells). Use more `n_steps`, or `method='deeplift'`")


def test_a_dead_cell_does_not_refuse_its_study(tmp_path):
    """The second cell leaves every unit of the model dead: it is stored without scores, and noted."""
    model, _ = with_dead_cell()
    counts = csr_matrix(np.array([[3, 1, 0], [0, 0, 2], [2, 2, 1], [0, 0, 0]], np.float32))
    study, path = tmp_path / "study.h5ad", tmp_path / "a.duckdb"
    anndata.AnnData(counts, var=pd.DataFrame(index=list(model.gene_ids))).write_h5ad(study)
    (report,) = ingest_files(path, [Source(study)], model, IngestOptions(Method("ixg")))
    assert (report.n_cells, report.n_empty_cells, report.median_error) == (4, 1, None)
    assert "nothing was attributed to 1 of 3 cells of study that have counts" in " ".join(report.notes)
    with sigdb.connect(path) as con:
        rows = con.execute(
            "SELECT attribution_scale IS NULL, completeness_delta IS NULL FROM attributed_cells ORDER BY cell_id"
        ).fetchall()
        with_scores = con.execute("SELECT DISTINCT cell_id FROM attributions ORDER BY 1").fetchall()
        assert [finding for finding in sigdb.verify(con) if finding.n] == []
    assert rows == [(False, False), (True, False), (False, False), (True, True)]
    assert with_scores == [(0,), (2,)]


def test_a_method_that_explains_too_few_cells_is_refused(tmp_path, file):
    path = tmp_path / "a.duckdb"
    with pytest.raises(MethodError, match=r"attributes nothing to 39 of 39 cells of study that have counts.*nearly"):
        ingest_files(path, [Source(file)], nearly_normalised(), IngestOptions(Method("ixg")))
    assert not path.exists()


def test_a_method_that_does_not_suit_the_model_is_refused_before_anything_is_read(tmp_path, model, file):
    with pytest.raises(MethodError, match="maximum at the cell itself"):
        ingest_files(tmp_path / "a.duckdb", [Source(file)], model, IngestOptions(Method("ixg", "published")))
    assert not (tmp_path / "a.duckdb").exists()


@pytest.mark.parametrize("method", ["ig", "deeplift"])
def test_the_mean_of_reference_cells_as_baseline(tmp_path, model, file, method):
    """Scores equal Captum's. Genes that only the baseline has get scores, but empty cells do not."""
    condition = "cell_type = 'monocyte' AND cluster < 4"
    reference = ReferenceCells(file, condition)
    options = IngestOptions(Method(method), baseline=reference)
    (report,) = ingest_files(tmp_path / "a.duckdb", [Source(file)], model, options)
    adata = small_adata()
    is_reference = ((adata.obs["cell_type"] == "monocyte") & (adata.obs["cluster"] < 4)).to_numpy(copy=True)
    is_reference[3] = False  # it has no counts
    x = model.prepare(csr_matrix(adata.X[:, :24]))
    mean = csr_matrix(x[is_reference].toarray().mean(axis=0, keepdims=True).astype(np.float32))
    values, _ = captum_on_the_whole_model(model, x, Method(method), mean)
    values[3] = 0
    totals = np.abs(values).sum(axis=1, keepdims=True)
    expected = np.divide(values, totals, out=np.zeros_like(values), where=totals > 0) * 1000
    found = np.zeros_like(expected)
    for (barcode, gene), score in scores_of(tmp_path / "a.duckdb").items():
        found[int(barcode[4:]), GENES.index(gene)] = score
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-2)
    assert np.abs(found[(x.toarray() == 0)]).max() > 1
    assert report.n_empty_cells == 1
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        ((baseline,),) = con.execute("SELECT baseline FROM attribution_runs").fetchall()
    n_cells = int(is_reference.sum())
    assert baseline.startswith(f"mean of {n_cells} cells of study.h5ad where {condition} (sha256 ")
    again = IngestOptions(Method(method), baseline=ReferenceCells(file, condition))
    ingest_files(tmp_path / "a.duckdb", [Source(file, "other")], model, again)
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        assert con.execute("SELECT count(*) FROM attribution_runs").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("condition", "error", "message"),
    [
        ("cell_type = 'neuron'", ObsError, "No cell with counts in study.h5ad fulfils"),
        ("celltype = 'monocyte'", QueryError, r"is not a SQL condition on .* study\.h5ad.*Columns are barcode, sample"),
        ("cell_type =", QueryError, "is not a SQL condition"),
        ("read_text('/etc/passwd') IS NULL", QueryError, "is not a SQL condition"),
    ],
)
def test_reference_cells_that_cannot_be_found(tmp_path, model, file, condition, error, message):
    with pytest.raises(error, match=message):
        ingest_files(
            tmp_path / "a.duckdb", [Source(file)], model, IngestOptions(baseline=ReferenceCells(file, condition))
        )
    assert not (tmp_path / "a.duckdb").exists()
