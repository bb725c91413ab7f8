"""Import atlases that sc-signature 1.0.0 writes: scores and hit rates equal the answers of the package itself.

`make .originals/ready` installs the package in a separate folder, without the versions that it pins.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix, save_npz
from typer.testing import CliRunner

import sigdb
from ingest.given import signature
from ingest.given.load import LoadOptions
from ingest.given.signature import import_signature
from ingest.store import chunks, writer
from sigdb.atlas.verify import verify
from sigdb.cli import app
from sigdb.errors import DamagedError, MissingDependencyError, ObsError, ScoresError
from tests.ingest.conftest import GENES, contents
from tests.support import ROOT

ORIGINALS = ROOT / ".originals"
pytestmark = pytest.mark.skipif(
    not (ORIGINALS / "SIGnature").exists(), reason="sc-signature is not installed: make .originals/ready"
)
pytest.importorskip("tiledb")

# The number of cells of each study in each folder; study b is in both.
FOLDERS = {"T cell": {"a": 40, "b": 25}, "monocyte": {"b": 30, "c": 20, "d": 12}}


def cells_of(name, studies, rng):
    """The metadata of a folder, as SIGnature publishes them."""
    study = [study for study, n in studies.items() for _ in range(n)]
    sample = [f"{each}{n % 3}" for n, each in enumerate(study)]
    columns = {
        "study": study,
        "sample": sample,
        "tissue": "blood",
        "prediction": name,
        "in_vivo": True,
        "disease": ["flu" if each.endswith("0") else "normal" for each in sample],
        "prediction_nn_dist": rng.random(len(study)).round(4),
        "batch": ["007"] * len(study),
        "n": range(len(study)),
    }
    return pd.DataFrame(columns)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder with `atlas`, as the package makes it, `gene_order.tsv`, and the answers of the package.

    Scores are absolute, as in the package, 1000 per cell. Each seventh cell and the last five of a folder have none.
    """
    folder, rng = tmp_path_factory.mktemp("published"), np.random.default_rng(0)
    (folder / "gene_order.tsv").write_text("\n".join(GENES) + "\n")
    for name, studies in FOLDERS.items():
        cells = cells_of(name, studies, rng)
        scores = rng.gamma(1, 1, (len(cells), len(GENES))) * (rng.random((len(cells), len(GENES))) < 0.4)
        scores[::7] = scores[-5:] = 0
        scores *= 1000 / np.maximum(scores.sum(axis=1, keepdims=True), 1e-9)
        save_npz(folder / f"{name}.npz", csr_matrix(scores))
        cells.to_csv(folder / f"{name}.csv.gz", index=False)
    program = [sys.executable, ROOT / "tests" / "support" / "signature_atlas.py", folder]
    environment = os.environ | {"PYTHONPATH": str(ORIGINALS)}
    done = subprocess.run(program, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def imported(published, tmp_path_factory):
    """The imported atlas, read in slabs of about ten cells."""
    path = tmp_path_factory.mktemp("imported") / "a.duckdb"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signature, "SLAB", 100)
        reports, left = import_signature(path, published / "atlas", GENES, LoadOptions(model="SIGnature"))
    assert [(report.study, report.n_cells) for report in reports] == [("a", 40), ("b", 55), ("c", 20), ("d", 12)]
    assert left == []
    assert reports[1].counts_from == "scores: attributions of T cell, monocyte"
    return path


@pytest.mark.slow
def test_scores_equal_the_scores_of_the_package(published, imported):
    answer = json.loads((published / "answer.json").read_text())
    queries = (
        "FROM signature_score(['S100A8', 'LYZ', 'CD14'])",
        "FROM signature_score(['CD3E'], agg := 'sum')",
        "FROM signature_score(['NKG7', 'ACTB'], weights := [3.0, 1.0])",
    )
    with sigdb.connect(imported) as con:
        for number, query in enumerate(queries, start=1):
            rows = con.execute(f"SELECT barcode, score {query} JOIN cells USING (cell_id)").fetchall()
            assert len(rows) == 127
            expected = {row[0]: pytest.approx(row[number], rel=1e-5, abs=1e-9) for row in answer["scores"]}
            assert dict(rows) == expected
        scores = sigdb.score(con, ["S100A8", "LYZ", "CD14"])["score"].to_numpy()
        assert scores.sum() == pytest.approx(sum(row[1] for row in answer["scores"]), rel=1e-5)


def test_hit_rates_equal_the_hit_rates_of_meta(published, imported):
    rates = {tuple(row[:2]): row[2] for row in json.loads((published / "answer.json").read_text())["rates"]}
    query = """SELECT study, sample, hit_rate
        FROM sample_hit_rates(['S100A8', 'LYZ', 'CD14'], percentile := 80, min_cells := 5, against := 'cells')"""
    with sigdb.connect(imported) as con:
        found = {(study, sample): pytest.approx(rate) for study, sample, rate in con.execute(query).fetchall()}
        hits = """SELECT count(*) FILTER (is_hit)
            FROM signature_hits(['S100A8', 'LYZ', 'CD14'], percentile := 80, against := 'cells')"""
        assert 0 < con.execute(hits).fetchall()[0][0] <= 26
    assert len(found) == 9
    assert rates == found


def test_metadata_equal_the_tables_of_the_folders(published, imported):
    with sigdb.connect(imported) as con:
        assert {finding.check: finding.example for finding in verify(con) if finding.n} == {}
        assert con.execute("SELECT model, is_signed FROM attribution_runs JOIN models USING (model_id)").fetchall() == [
            ("SIGnature", False)
        ]
        names = "barcode, study, sample, tissue, cell_type, in_vivo, disease, prediction_nn_dist, batch, n"
        found = con.execute(f"SELECT {names} FROM cells ORDER BY cell_type, n").fetchall()
        empty = "SELECT count(*) FROM attributed_cells WHERE attribution_scale IS NULL"
        assert con.execute(empty).fetchall() == [(10 + 5 + 9 + 5 - 1,)]
    expected = []
    for name in FOLDERS:
        cells = pd.read_csv(published / "atlas" / name / "cell_metadata.csv.gz", dtype={"batch": str})
        cells.insert(0, "barcode", [f"{name}:{row}" for row in range(len(cells))])
        expected += cells.itertuples(index=False, name=None)
    given = ["barcode", *cells_of("x", {"x": 1}, np.random.default_rng(0)).columns]
    order = [given.index("prediction" if name == "cell_type" else name) for name in names.split(", ")]
    assert sorted(found) == sorted(tuple(row[place] for place in order) for row in expected)


def test_the_command_and_its_repetition(published, imported, tmp_path):
    """Studies in the atlas stay as they are. A study that was dropped is added again."""
    path = Path(shutil.copy(imported, tmp_path / "a.duckdb"))
    command = ["import-signature", str(path), str(published / "atlas"), "--genes", str(published / "gene_order.tsv")]
    before = contents(path)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.exception
    assert done.stdout.count("in the atlas already, and left as it is") == 4
    assert contents(path) == before
    with sigdb.Atlas(path) as atlas:
        atlas.drop_study("b")
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.exception
    with sigdb.connect(path) as con, sigdb.connect(imported) as whole:
        query = "SELECT barcode, score FROM signature_score(['LYZ']) JOIN cells USING (cell_id) ORDER BY ALL"
        assert con.execute(query).fetchall() == whole.execute(query).fetchall()


def rewrite(place, change):
    file = place / "cell_metadata.csv.gz"
    change(pd.read_csv(file, dtype=str)).to_csv(file, index=False)


def array_of(place, other):
    """Replace the array of a folder by the array of another one."""
    shutil.rmtree(place / "attributions")
    shutil.copytree(other / "attributions", place / "attributions")


# A change to the folder "monocyte" (62 cells, the last 6 without scores), and the error.
MISFITS = {
    "rows missing": (lambda p: rewrite(p, lambda c: c[:50]), ScoresError, "of cells up to number 56, but .* only 50"),
    "a row missing": (lambda p: rewrite(p, lambda c: c[:61]), ScoresError, "made for 62 cells, but .* has 61"),
    "rows too many": (lambda p: rewrite(p, lambda c: pd.concat([c, c[:1]])), ScoresError, "for 62 cells, .* has 63"),
    "another array": (lambda p: array_of(p, p.parent / "T cell"), ScoresError, "made for 65 cells, but .* has 62"),
    "no metadata": (lambda p: (p / "cell_metadata.csv.gz").unlink(), ScoresError, r"has no cell_metadata\.csv\.gz"),
    "no study": (lambda p: rewrite(p, lambda c: c.drop(columns="study")), ObsError, "'study', .* It has: sample"),
    "of no study": (lambda p: rewrite(p, lambda c: c.replace("b", None)), ObsError, "30 of 62 cells .* have no study"),
    "no array": (lambda p: (p / "attributions" / "__schema").rename(p / "gone"), ScoresError, "TileDB can open"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_folders_that_do_not_fit_are_refused(published, imported, tmp_path, case):
    do, error, message = MISFITS[case]
    shutil.copytree(published / "atlas", tmp_path / "atlas")
    do(tmp_path / "atlas" / "monocyte")
    before = contents(imported)
    with pytest.raises(error, match=message):
        import_signature(imported, tmp_path / "atlas", GENES, LoadOptions(run="other"))
    assert contents(imported) == before


@pytest.mark.parametrize(
    ("genes", "message"),
    [(GENES[:-3], "genes up to number 30, but .* only 27"), ([*GENES, "CD8A"], "made for 30 genes, but .* has 31")],
)
def test_another_list_of_genes_is_refused(published, tmp_path, genes, message):
    with pytest.raises(ScoresError, match=message):
        import_signature(tmp_path / "a.duckdb", published / "atlas", genes, LoadOptions())
    assert not (tmp_path / "a.duckdb").exists()


def test_cells_are_named_by_the_column_barcode(published, tmp_path):
    shutil.copytree(published / "atlas" / "monocyte", tmp_path / "monocyte")
    rewrite(tmp_path / "monocyte", lambda cells: cells.assign(barcode=[f"AAC-{n}" for n in range(len(cells))]))
    import_signature(tmp_path / "a.duckdb", tmp_path / "monocyte", GENES, LoadOptions())
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        assert con.execute("SELECT count(*) FROM cells WHERE barcode = 'AAC-' || n").fetchall() == [(62,)]


def test_a_study_whose_rows_are_apart(published, tmp_path):
    """Two studies alternate. Row groups and slabs are small."""
    shutil.copytree(published / "atlas" / "monocyte", tmp_path / "monocyte")
    rewrite(tmp_path / "monocyte", lambda cells: cells.assign(study=["x", "y"] * 31, sample="s", disease="flu"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signature, "SLAB", 60)
        patch.setattr(signature, "ROW_GROUP", 7)
        import_signature(tmp_path / "a.duckdb", tmp_path / "monocyte", GENES, LoadOptions())
    answer = json.loads((published / "answer.json").read_text())["scores"]
    expected = {row[0]: pytest.approx(row[2], rel=1e-5) for row in answer if row[0].startswith("monocyte")}
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        rows = con.execute("SELECT barcode, score FROM signature_score(['CD3E']) JOIN cells USING (cell_id)").fetchall()
        assert dict(rows) == expected
        assert con.execute("SELECT study, count(*) FROM cells GROUP BY 1 ORDER BY 1").fetchall() == [
            ("x", 31),
            ("y", 31),
        ]


def test_without_tiledb(published, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tiledb", None)
    with pytest.raises(MissingDependencyError, match=r"pip install -e '\.\[signature\]'"):
        import_signature(tmp_path / "a.duckdb", published / "atlas", GENES, LoadOptions())


def test_an_array_that_cannot_be_read_is_damaged(published, tmp_path):
    """The file of the scores ends early; the array still opens."""
    shutil.copytree(published / "atlas" / "monocyte", tmp_path / "monocyte")
    for fragment in (tmp_path / "monocyte" / "attributions" / "__fragments").iterdir():
        for file in fragment.glob("a*.tdb"):
            file.write_bytes(b"")
    with pytest.raises(DamagedError, match=r"monocyte/attributions cannot be read: "):
        import_signature(tmp_path / "a.duckdb", tmp_path / "monocyte", GENES, LoadOptions())
    assert not (tmp_path / "a.duckdb").exists()


MOMENTS = {"in a chunk": (chunks, "sync", 10), "when a study is stored": (writer.StudyWriter, "_derive", 2)}


def import_in_process(path, folder, moment=None):
    """The body of a process, which is killed at `moment`, if given."""
    if moment:
        place, name, at = MOMENTS[moment]
        original, calls = getattr(place, name), []

        def function(*args):
            calls.append(args)
            if len(calls) == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args)

        setattr(place, name, function)
    signature.SLAB = 100
    import_signature(path, folder, GENES, LoadOptions(model="SIGnature", if_exists="skip"))


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_run_again(published, imported, tmp_path, moment):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.ingest.given.test_signature"])
    for each, expected in ((moment, -signal.SIGKILL), (None, 0)):
        process = context.Process(target=import_in_process, args=(tmp_path / "a.duckdb", published / "atlas", each))
        process.start()
        process.join()
        assert process.exitcode == expected
        if each:
            assert list(tmp_path.glob("a.duckdb.ingest/*/chunk-*"))
            with sigdb.connect(tmp_path / "a.duckdb") as con:
                assert con.execute("SELECT study FROM studies").fetchall() in ([], [("a",)])
    assert contents(tmp_path / "a.duckdb") == contents(imported)
    assert not (tmp_path / "a.duckdb.ingest").exists()


def test_samples_in_which_a_field_varies_are_divided(published, tmp_path):
    """Two of the three samples of study c have cells of both diseases."""
    shutil.copytree(published / "atlas" / "monocyte", tmp_path / "monocyte")
    rewrite(tmp_path / "monocyte", lambda cells: cells.assign(disease=["flu"] * 40 + ["normal"] * 22))
    reports, _ = import_signature(tmp_path / "a.duckdb", tmp_path / "monocyte", GENES, LoadOptions())
    notes = {report.study: [note for note in report.notes if "divided" in note] for report in reports}
    assert notes == {
        "b": [],
        "c": ["disease varies within 3 samples, which are divided: 'c0 | flu' is one of the new samples"],
        "d": [],
    }
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        query = "SELECT DISTINCT sample, disease FROM cells WHERE study = 'c' ORDER BY ALL"
        found = con.execute(query).fetchall()
    assert found == [(f"c{n} | {disease}", disease) for n in range(3) for disease in ("flu", "normal")]


def test_a_study_that_cannot_be_added_does_not_stop_the_others(published, tmp_path):
    """Study b has no value of in_vivo that can be read. With `skip`, the next call adds what is missing."""
    shutil.copytree(published / "atlas" / "monocyte", tmp_path / "monocyte")
    path, spoiled = tmp_path / "a.duckdb", ["maybe"] * 30 + ["True"] * 32
    rewrite(tmp_path / "monocyte", lambda cells: cells.assign(in_vivo=spoiled))
    with pytest.raises(
        ObsError, match=r"1 of 3 studies were not added: b\. The others are in the atlas\. b: in_vivo must"
    ):
        import_signature(path, tmp_path / "monocyte", GENES, LoadOptions())
    with sigdb.connect(path) as con:
        assert con.execute("SELECT study FROM studies ORDER BY 1").fetchall() == [("c",), ("d",)]
    rewrite(tmp_path / "monocyte", lambda cells: cells.assign(in_vivo="True"))
    reports, left = import_signature(path, tmp_path / "monocyte", GENES, LoadOptions(if_exists="skip"))
    assert ([report.study for report in reports], left) == (["b"], ["c", "d"])
