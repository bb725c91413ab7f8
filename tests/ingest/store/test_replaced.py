"""A study that the atlas has already is skipped or replaced, or gets the scores of a further run."""

from __future__ import annotations

import numpy as np
import pytest

import sigdb
from ingest.options import Method
from ingest.pipeline import ingest_files
from sigdb.atlas.verify import verify
from sigdb.errors import CountsError, StudyExistsError
from tests.ingest.conftest import contents, small_adata
from tests.ingest.store.conftest import (
    ATLAS,
    interrupt_at,
    options,
    sources,
    studies,
)


def test_a_replacement_that_is_interrupted_continues(with_both, model):
    folder = with_both
    small_adata(n_cells=33, seed=9).write_h5ad(folder / "second.h5ad")
    how = options(if_exists="replace", progress=interrupt_at(17))
    with pytest.raises(KeyboardInterrupt):
        ingest_files(folder / ATLAS, sources(folder)[1:], model, how)
    assert studies(folder / ATLAS) == [("first", 40), ("second", 40)]
    (report,) = ingest_files(folder / ATLAS, sources(folder)[1:], model, options(if_exists="replace"))
    assert report.n_cells == 33
    assert studies(folder / ATLAS) == [("first", 40), ("second", 33)]


def test_a_study_in_the_atlas_can_be_skipped(with_atlas, model, whole):
    folder = with_atlas
    assert len(ingest_files(folder / ATLAS, sources(folder)[:1], model, options())) == 1
    (report,) = ingest_files(folder / ATLAS, sources(folder), model, options(if_exists="skip"))
    assert report.study == "second"
    assert contents(folder / ATLAS) == whole
    assert ingest_files(folder / ATLAS, sources(folder), model, options(if_exists="skip")) == []
    assert contents(folder / ATLAS) == whole


def rows_of(path, study):
    """Cells and scores of a study, bit for bit."""
    query = """SELECT * FROM sigdb_data.attributions AS a JOIN sigdb_data.cell_data AS c USING (cell_id)
        JOIN sigdb_data.samples AS s USING (sample_id) JOIN sigdb_data.studies AS t USING (study_id)
        WHERE study = ? ORDER BY ALL"""
    with sigdb.connect(path) as con:
        return con.execute(query, [study]).fetchall()


def test_a_study_can_be_replaced(with_both, model):
    """The new study has fewer samples and another disease. The other study stays as it is, bit for bit."""
    folder = with_both
    kept = rows_of(folder / ATLAS, "second")
    adata = small_adata(n_cells=30, seed=9)
    adata.obs["sample"] = adata.obs["donor_id"] = [f"s{i % 3}" for i in range(30)]
    adata.obs["disease"] = "flu"
    adata.write_h5ad(folder / "first.h5ad")
    (report,) = ingest_files(folder / ATLAS, sources(folder)[:1], model, options(if_exists="replace"))
    assert report.n_cells == 30
    assert rows_of(folder / ATLAS, "second") == kept
    ingest_files(folder / "new.duckdb", sources(folder), model, options())
    query = "SELECT * EXCLUDE (donor, tissue) FROM signature_by_sample(['LYZ', 'CD14']) ORDER BY ALL"
    with sigdb.connect(folder / ATLAS) as replaced, sigdb.connect(folder / "new.duckdb") as new:
        assert replaced.execute(query).fetchall() == new.execute(query).fetchall()
        sizes = replaced.execute("SELECT study, n_cells FROM studies ORDER BY study").fetchall()
        assert sizes == [("first", 30), ("second", 40)]
        assert {finding.check: finding.n for finding in verify(replaced) if finding.n} == {}


def test_a_replacement_that_fails_leaves_the_study_as_it_was(with_both, model, whole):
    folder = with_both
    adata = small_adata(seed=9)
    adata.X.data[-1] = 0.5
    adata.write_h5ad(folder / "first.h5ad")
    with pytest.raises(CountsError):
        ingest_files(folder / ATLAS, sources(folder)[:1], model, options(if_exists="replace", layer="X"))
    assert contents(folder / ATLAS) == whole


def test_a_study_with_other_runs_is_not_replaced(with_both, model):
    folder = with_both
    ingest_files(folder / ATLAS, sources(folder)[:1], model, options(method=Method(n_steps=5), run="quick"))
    before = contents(folder / ATLAS)
    text = r"scores of 1 other runs too \(quick\).*drop the study with `sigdb\.Atlas\(path\)\.drop_study\(study\)`"
    with pytest.raises(StudyExistsError, match=text):
        ingest_files(folder / ATLAS, sources(folder)[:1], model, options(if_exists="replace"))
    assert contents(folder / ATLAS) == before
    assert not (folder / f"{ATLAS}.ingest").exists()


def test_a_further_run_finds_the_cells_in_another_order(with_both, model):
    """Cells are matched by their barcodes."""
    folder, method = with_both, Method("ixg")
    ingest_files(folder / "whole.duckdb", sources(folder)[:1], model, options(method=method))
    small_adata(seed=0)[::-1].copy().write_h5ad(folder / "first.h5ad")
    ingest_files(folder / ATLAS, sources(folder)[:1], model, options(method=method, run="again"))
    query = "SELECT cell_id, score FROM signature_score(['LYZ', 'CD14'], run := ?) ORDER BY cell_id"
    with sigdb.connect(folder / ATLAS) as con, sigdb.connect(folder / "whole.duckdb") as other:
        found, expected = (np.array(c.execute(query, [r]).fetchall()) for c, r in ((con, "again"), (other, None)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
