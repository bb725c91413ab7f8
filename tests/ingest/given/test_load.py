"""Scores that were computed elsewhere: stored as given, or refused without a change of the atlas."""

from __future__ import annotations

import doctest
import errno

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix, csr_matrix, save_npz
from typer.testing import CliRunner

import sigdb
from ingest.given import files as given_files
from ingest.given import load
from ingest.given.files import load_file
from ingest.given.load import LoadOptions
from ingest.given.preview import preview_file
from ingest.models import load_model
from ingest.options import Source
from ingest.pipeline import ingest_files
from ingest.store.stage import unfinished_studies
from sigdb.cli import app
from sigdb.errors import (
    DamagedError,
    GeneSpaceError,
    ObsError,
    OptionError,
    ScoresError,
    StudyExistsError,
    UnreadableError,
)
from tests.ingest.conftest import GENES, contents, small_adata
from tests.ingest.given.conftest import (
    N_CELLS,
    failed_checks,
    given_obs,
    given_scores,
    load_scores,
    stored_scores,
    write_files,
)


def test_scores_are_stored_as_given(tmp_path, monkeypatch):
    monkeypatch.setattr(given_files, "CHUNK_CELLS", 8)
    dense = given_scores().astype(np.float32)
    told = []
    report = load_scores(tmp_path / "a.duckdb", write_files(tmp_path, dense), progress=lambda *news: told.append(news))
    assert (report.n_cells, report.n_scores, report.n_empty_cells) == (N_CELLS, np.count_nonzero(dense), 1)
    assert report.counts_from == "scores: scores.npz"
    assert told[-1] == ("mine", N_CELLS, N_CELLS)
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        expected = [(f"cell{i}", GENES[j], float(dense[i, j])) for i, j in zip(*dense.nonzero(), strict=True)]
        assert stored_scores(con) == sorted(expected)
        assert failed_checks(con) == {}
        run = "SELECT model, architecture, method, is_signed FROM attribution_runs JOIN models USING (model_id)"
        assert con.execute(run).fetchall() == [("precomputed", "precomputed", "unknown", True)]
        cells = "SELECT count(*), count(n_counts), count(n_genes), count(DISTINCT sample) FROM cells"
        assert con.execute(cells).fetchall() == [(N_CELLS, 0, 0, 2)]
        query = """SELECT score FROM signature_score(['LYZ', 'CD14'], signed := true) JOIN cells USING (cell_id)
            ORDER BY barcode[5:]::INT"""
        scores = con.execute(query).fetchnumpy()
        genes = [GENES.index("LYZ"), GENES.index("CD14")]
        np.testing.assert_allclose(scores["score"], dense[:, genes].mean(axis=1), rtol=1e-6, atol=1e-6)
    assert not (tmp_path / "a.duckdb.ingest").exists()


def test_attributions_of_ingest_load_unchanged(tmp_path, small_model):
    """They are loaded as a matrix into another atlas, and as a further run of the same cells."""
    adata = small_adata()
    adata.write_h5ad(tmp_path / "study.h5ad")
    ingest_files(tmp_path / "one.duckdb", [Source(tmp_path / "study.h5ad")], load_model("mlp", small_model))
    with sigdb.connect(tmp_path / "one.duckdb") as con:
        scores = stored_scores(con)
        summary = "SELECT * FROM signature_by_sample(['LYZ', 'CD3E'], signed := true) ORDER BY ALL"
        sums = con.execute(summary).fetchall()
        counts = con.execute("SELECT barcode, n_counts, n_genes FROM cells").df().set_index("barcode")
    dense = np.zeros((adata.n_obs, 24))
    for barcode, symbol, score in scores:
        dense[int(barcode[4:]), GENES.index(symbol)] = score
    obs = adata.obs.drop(columns="n_counts").join(counts).rename_axis("barcode")
    files = write_files(tmp_path, dense, obs, GENES[:24])
    load_scores(tmp_path / "two.duckdb", files, "study")
    with sigdb.connect(tmp_path / "two.duckdb") as con:
        assert stored_scores(con) == scores
        assert con.execute(summary).fetchall() == sums
        known = con.execute("SELECT barcode, n_counts, n_genes FROM cells").df().set_index("barcode")
        pd.testing.assert_frame_equal(known.sort_index(), counts.sort_index())
    report = load_scores(tmp_path / "one.duckdb", files, "study", run="given")
    assert "the atlas had these cells already: their metadata are unchanged" in report.notes
    with sigdb.connect(tmp_path / "one.duckdb") as con:
        assert stored_scores(con, "given") == scores
        assert failed_checks(con) == {}


def test_rescaled_scores_can_be_restored(tmp_path):
    dense = given_scores() * np.linspace(1, 3, N_CELLS)[:, None]
    files = write_files(tmp_path, dense)
    with pytest.raises(
        ScoresError, match=r"of 18 of 19 cells \(among the cells 0 to 19\).*1000 to 3000\. `rescale=True`"
    ):
        load_scores(tmp_path / "a.duckdb", files)
    assert not (tmp_path / "a.duckdb").exists()
    load_scores(tmp_path / "a.duckdb", files, rescale=True)
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        assert failed_checks(con) == {}
        query = """SELECT c.barcode[5:]::INT, sum(a.score * s.attribution_scale) FROM attributions AS a
            JOIN cells AS c USING (cell_id) JOIN attributed_cells AS s USING (run_id, cell_id) GROUP BY 1 ORDER BY 1"""
        found = dict(con.execute(query).fetchall())
        assert found == {i: pytest.approx(dense[i].sum(), rel=1e-4, abs=0.01) for i in range(N_CELLS) if i != 3}


def test_another_target_sum(tmp_path):
    files = write_files(tmp_path, given_scores() / 1000)
    with pytest.raises(ScoresError, match=r"1 to 1\. If this is the sum they should have, say `target_sum=1`;"):
        load_scores(tmp_path / "a.duckdb", files)
    load_scores(tmp_path / "a.duckdb", files, target_sum=1.0)
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        assert failed_checks(con) == {}
        assert con.execute("SELECT target_sum FROM attribution_runs").fetchall() == [(1.0,)]


def scores_with(value, place=(2, 5)):
    dense = given_scores()
    dense[place] = value
    return dense


REFUSED = {
    "cells": ({"obs": given_obs(16)}, {}, ScoresError, "The matrix has 20 cells, but 16 are named"),
    "genes": ({"genes": GENES[:-1]}, {}, ScoresError, "The matrix has 30 genes, but 29 are named"),
    "NaN": ({"dense": scores_with(np.nan)}, {}, ScoresError, "1 scores are NaN and 0 are infinite"),
    "infinite": ({"dense": scores_with(-np.inf)}, {}, ScoresError, "0 scores are NaN and 1 are infinite"),
    "too large": ({"dense": scores_with(1e300)}, {}, ScoresError, "1 are infinite, or too large"),
    "sums": ({"dense": scores_with(5000.0)}, {}, ScoresError, "of 1 of 19 cells .* do not add up to 1000"),
    "repeated gene": ({"genes": [*GENES[:-1], GENES[0]]}, {}, GeneSpaceError, "1 of 30 genes occur more.*: S100A8"),
    "no such genes": ({"genes": [f"xq{i}" for i in range(30)]}, {}, GeneSpaceError, r"None of the 30 genes .*\(xq0"),
    "empty name": ({"genes": [*GENES[:-2], "", "ACTB"]}, {}, GeneSpaceError, "1 of 30 names of genes are empty"),
    "not a column": ({}, {"measured": ["LYZ", "FOO"]}, GeneSpaceError, "1 of 2 measured genes have no column: FOO"),
    "not measured": (
        {},
        {"measured": GENES[1:]},
        ScoresError,
        "1 genes have scores, but `measured` does not .*: S100A8",
    ),
    "counts": ({"obs": given_obs().assign(n_counts=-1)}, {}, ObsError, "'n_counts' must hold counts; 20 of 20"),
    "no numbers": ({"obs": given_obs().assign(n_genes="many")}, {}, ObsError, "'n_genes' must hold numbers"),
    "there": ({"study": "there"}, {}, StudyExistsError, "is in the atlas already"),
    "other cells": ({"study": "there"}, {"run": "new", "method": "ig"}, StudyExistsError, "'there' of 40 cells"),
}


@pytest.fixture(scope="module")
def with_a_study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("there")
    dense = np.vstack([given_scores(), given_scores(seed=1)])
    load_scores(folder / "a.duckdb", write_files(folder, dense, given_obs(40)), "there")
    return folder / "a.duckdb", contents(folder / "a.duckdb")


@pytest.mark.parametrize("case", REFUSED)
def test_refused_scores_leave_the_atlas_unchanged(with_a_study, tmp_path, case):
    path, before = with_a_study
    changes, options, error, message = REFUSED[case]
    changes = dict(changes)
    study = changes.pop("study", "mine")
    files = write_files(tmp_path, **{"dense": given_scores(), **changes})
    with pytest.raises(error, match=message):
        load_scores(path, files, study, **options)
    assert contents(path) == before
    assert not path.with_name("a.duckdb.ingest").exists()


def test_files_that_are_not_scores(tmp_path):
    files = write_files(tmp_path, given_scores())
    np.savez(tmp_path / "dense.npz", scores=given_scores())
    (tmp_path / "text.npz").write_text("no scores")
    for name in ("dense.npz", "text.npz"):
        with pytest.raises(ScoresError, match=r"is not a sparse matrix as scipy\.sparse\.save_npz writes it"):
            load_scores(tmp_path / "a.duckdb", files | {"matrix": tmp_path / name})
    with pytest.raises(ScoresError, match="give `obs` and `genes`"):
        load_scores(tmp_path / "a.duckdb", files | {"genes": None})
    outside = csr_matrix(given_scores())
    outside.indices[0] = len(GENES)
    save_npz(tmp_path / "outside.npz", outside)
    with pytest.raises(ScoresError, match=r"is not a sparse matrix .*: .*indices"):
        load_scores(tmp_path / "a.duckdb", files | {"matrix": tmp_path / "outside.npz"})
    with pytest.raises(ScoresError, match="There is no file"):
        load_scores(tmp_path / "a.duckdb", files | {"matrix": tmp_path / "none.npz"})
    with pytest.raises(UnreadableError, match=r"gone\.txt could not be read: No such file or directory$"):
        load_scores(tmp_path / "a.duckdb", files | {"genes": tmp_path / "gone.txt"})
    (tmp_path / "text.h5ad").write_text("not HDF5")
    with pytest.raises(DamagedError, match=r"text\.h5ad cannot be read as HDF5"):
        load_file(tmp_path / "a.duckdb", tmp_path / "text.h5ad", LoadOptions())
    with pytest.raises(ScoresError, match=r"from \.npz .* or \.h5ad"):
        load_scores(tmp_path / "a.duckdb", files | {"matrix": tmp_path / "genes.txt"})
    assert not (tmp_path / "a.duckdb").exists()


@pytest.mark.parametrize("form", [csr_matrix, csc_matrix, np.asarray], ids=["csr", "csc", "dense"])
def test_scores_in_anndata(tmp_path, form, monkeypatch):
    """The file names cells and genes. A table is joined by name, in any order."""
    monkeypatch.setattr(given_files, "CHUNK_CELLS", 8)
    dense = given_scores().astype(np.float32)
    obs = given_obs().rename_axis(None)
    adata = anndata.AnnData(csr_matrix(dense * 2), obs=obs, var=pd.DataFrame(index=GENES), layers={"ig": form(dense)})
    adata.write_h5ad(tmp_path / "scores.h5ad")
    given_obs().assign(cluster=range(N_CELLS))[::-1].to_csv(tmp_path / "more.csv")
    asked = {"layer": "ig", "obs": tmp_path / "more.csv", "study": "mine"}
    load_file(tmp_path / "a.duckdb", tmp_path / "scores.h5ad", LoadOptions(), **asked)
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        assert len(stored_scores(con)) == np.count_nonzero(dense)
        assert con.execute("SELECT count(*) FROM cells WHERE barcode = 'cell' || cluster").fetchall() == [(N_CELLS,)]
        query = "SELECT signed_score FROM gene_attributions(['LYZ']) JOIN cells USING (cell_id) WHERE barcode = 'cell5'"
        expected = float(dense[5, GENES.index("LYZ")])
        assert con.execute(query).fetchall() == ([(expected,)] if expected else [])
    with pytest.raises(ScoresError, match=r"has no matrix 'dl'. It has: X, ig"):
        load_file(tmp_path / "b.duckdb", tmp_path / "scores.h5ad", LoadOptions(), layer="dl")


def test_an_interrupted_load_continues(tmp_path, monkeypatch):
    monkeypatch.setattr(given_files, "CHUNK_CELLS", 8)
    files = write_files(tmp_path, given_scores())
    load_scores(tmp_path / "whole.duckdb", files)

    def interrupt(study, done, total):
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_scores(tmp_path / "a.duckdb", files, progress=interrupt)
    numbers, original = [], load.check_scores
    monkeypatch.setattr(load, "check_scores", lambda *args: numbers.append(args[1]) or original(*args))
    load_scores(tmp_path / "a.duckdb", files)
    assert numbers == [16]
    assert contents(tmp_path / "a.duckdb") == contents(tmp_path / "whole.duckdb")
    assert not (tmp_path / "a.duckdb.ingest").exists()
    assert load_scores(tmp_path / "a.duckdb", files, if_exists="skip") is None


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (OSError(errno.ESTALE, "stale"), UnreadableError, r"scores\.h5ad could not be read: Stale file handle$"),
        (OSError("wrong B-tree signature"), DamagedError, r"scores\.h5ad is damaged, .*: wrong B-tree signature"),
    ],
    ids=["unreadable", "damaged"],
)
def test_scores_that_cannot_be_read_cost_no_chunks(tmp_path, monkeypatch, error, kind, text):
    """The machine may be at fault, and the chunks that exist are still good."""
    monkeypatch.setattr(given_files, "CHUNK_CELLS", 8)
    adata = anndata.AnnData(
        csr_matrix(given_scores()), obs=given_obs().rename_axis(None), var=pd.DataFrame(index=GENES)
    )
    adata.write_h5ad(tmp_path / "scores.h5ad")
    original = anndata.io.sparse_dataset

    class Spoiled:
        def __init__(self, element):
            self.matrix = original(element)
            self.shape, self.format = self.matrix.shape, self.matrix.format

        def __getitem__(self, rows):
            if rows.start == 16:
                raise error
            return self.matrix[rows]

    with monkeypatch.context() as patch:
        patch.setattr(anndata.io, "sparse_dataset", Spoiled)
        with pytest.raises(kind, match=text):
            load_file(tmp_path / "a.duckdb", tmp_path / "scores.h5ad", LoadOptions())
    assert unfinished_studies(tmp_path / "a.duckdb") == ["scores"]
    numbers, check = [], load.check_scores
    monkeypatch.setattr(load, "check_scores", lambda *args: numbers.append(args[1]) or check(*args))
    report = load_file(tmp_path / "a.duckdb", tmp_path / "scores.h5ad", LoadOptions())
    assert (report.n_cells, numbers) == (N_CELLS, [16])


def test_a_target_sum_must_be_positive():
    with pytest.raises(ScoresError, match="`target_sum` must be a positive number, not -1"):
        LoadOptions(target_sum=-1)


@pytest.mark.parametrize("example", [load.load_study, LoadOptions], ids=lambda example: example.__name__)
def test_examples_of_docstrings_run(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(example.__doc__, {"sigdb": sigdb}, example.__name__, None, None)
    report = []
    assert test.examples
    assert doctest.DocTestRunner().run(test, out=report.append).failed == 0, "".join(report)


def test_the_command(tmp_path):
    write_files(tmp_path, given_scores())
    (tmp_path / "measured.txt").write_text("\n".join(GENES))
    arguments = [
        "load",
        tmp_path / "a.duckdb",
        "--matrix",
        tmp_path / "scores.npz",
        "--obs",
        tmp_path / "obs.csv",
        "--genes",
        tmp_path / "genes.txt",
        "--measured",
        tmp_path / "measured.txt",
        "--study",
        "mine",
        "--run",
        "theirs",
        "--model",
        "scFoundation",
        "--method",
        "ig (50 steps)",
        "--map",
        "donor=sample",
        "--title",
        "A title",
        "--quiet",
    ]
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code == 0, done.exception
    assert "cells without scores" in done.stdout
    assert "completeness" not in done.stdout
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        runs = "SELECT run, model, method FROM attribution_runs JOIN models USING (model_id)"
        assert con.execute(runs).fetchall() == [("theirs", "scFoundation", "ig (50 steps)")]
        assert con.execute("SELECT DISTINCT donor FROM cells ORDER BY ALL").fetchall() == [("s0",), ("s1",)]
    done = CliRunner().invoke(app, [*map(str, arguments), "--if-exists", "skip"])
    assert "mine: in the atlas already, and left as it is" in done.stdout


def load_command(folder, *arguments):
    files = {"matrix": "scores.npz", "obs": "obs.csv", "genes": "genes.txt"}
    named = [part for name, file in files.items() for part in (f"--{name}", folder / file)]
    return CliRunner().invoke(app, [*map(str, ["load", folder / "a.duckdb", *named, *arguments])])


def test_a_dry_run_of_load_shows_what_would_be_taken_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(given_files, "CHUNK_CELLS", 8)
    obs = given_obs().rename(columns={"cell_type": "Patient"})
    files = write_files(tmp_path, given_scores(), obs)
    before = sorted(tmp_path.iterdir())
    where = {"obs": files["obs"], "genes": files["genes"]}
    found = preview_file(files["matrix"], LoadOptions(), **where)
    assert (found.study, found.n_cells, found.counts_from) == ("scores", N_CELLS, "scores: scores.npz")
    assert (found.n_columns, found.n_genes_measured, found.columns) == (len(GENES), len(GENES), ("Patient",))
    done = load_command(tmp_path, "--dry-run", "--study", "mine")
    assert done.exit_code == 0, done.exception
    assert "scores from" in done.stdout
    assert "mine: donor: none; candidates: Patient. To take the first: --map donor=Patient" in done.stdout
    assert f"the scores of the first 8 of {N_CELLS} cells were checked" in done.stdout
    assert done.stdout.endswith("Nothing was computed or written.\n")
    assert sorted(tmp_path.iterdir()) == before
    loaded = load_scores(tmp_path / "a.duckdb", files)
    assert loaded.fields == found.fields


@pytest.mark.parametrize(
    ("dense", "options", "error"),
    [
        (given_scores() * 2, {}, ScoresError),
        (given_scores(), {"measured": ["NOSUCH"]}, GeneSpaceError),
        (given_scores(), {"measured": GENES[:1]}, ScoresError),
        (given_scores(), {"mapping": {"donor": "nosuch"}}, OptionError),
    ],
    ids=["sums", "a measured gene without a column", "scores of other genes", "no such column"],
)
def test_a_dry_run_refuses_what_loading_refuses(tmp_path, dense, options, error):
    files = write_files(tmp_path, dense)
    with pytest.raises(error) as loading:
        load_scores(tmp_path / "a.duckdb", files, **options)
    with pytest.raises(error) as planning:
        preview_file(files["matrix"], LoadOptions(**options), study="mine", obs=files["obs"], genes=files["genes"])
    assert str(planning.value) == str(loading.value)
