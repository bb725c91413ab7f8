"""Commands from end to end: what they print, and what they write."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path

import pytest

import sigdb
from ingest import load_model
from tests.ingest.check.test_check import token_study
from tests.ingest.conftest import DATA
from tests.ingest.models.conftest import copy_model
from tests.sigdb.cli.conftest import run, words


def test_ingest_again(workdir):
    """A study that exists is refused, skipped or replaced. Chunks of an interrupted ingest are reported."""
    arguments = ["ingest", "new.duckdb", "study.h5ad", "--model", "mlp", "--weights", "model", "--method", "ixg"]
    code, out, err = run(*arguments, cwd=workdir)
    assert code == 0, err
    code, out, err = run(*arguments, cwd=workdir)
    assert code == 1
    assert "--if-exists skip or --if-exists replace" in words(err)
    kept = workdir / "new.duckdb.ingest" / "0123"
    kept.mkdir(parents=True)
    (kept / "plan.json").write_text('{"study": "other"}')
    code, out, err = run(*arguments, "--if-exists", "skip", cwd=workdir)
    assert code == 0, err
    assert out.splitlines()[0] == "study: in the atlas already, and left as it is"
    assert "Cells of other from an interrupted ingest are kept in new.duckdb.ingest." in words(out)
    code, out, err = run(*arguments, "--if-exists", "replace", "--title", "Again", cwd=workdir)
    assert code == 0, err
    with sigdb.connect(workdir / "new.duckdb") as con:
        assert con.execute("SELECT study, title, n_cells FROM studies").fetchall() == [("study", "Again", 40)]


def test_ingest_then_ask(workdir):
    arguments = ["ingest", "new.duckdb", "study.h5ad", "--model", "mlp", "--weights", "model", "--study", "it's mine"]
    code, out, err = run(*arguments, "--map", "tissue=cluster", "--map", "sample=sample", "--steps", "10", cwd=workdir)
    assert code == 1, out
    assert "tissue has several values within 4 samples of it's mine" in words(err)
    code, out, err = run(*arguments, "--map", "tissue=disease", "--title", "A study", "--steps", "10", cwd=workdir)
    assert code == 0, err
    assert "it's mine" in out
    assert "it's mine: 40 of 40 cells, " in err
    assert "obs column 'n_counts' is kept as 'obs_n_counts'" in out
    with sigdb.connect(workdir / "new.duckdb") as con:
        assert con.execute("SELECT study, title, n_cells FROM studies").fetchall() == [("it's mine", "A study", 40)]
        assert con.execute("SELECT DISTINCT tissue FROM cells ORDER BY 1").fetchall() == [("flu",), ("normal",)]
        assert con.execute("SELECT n_steps FROM attribution_runs").fetchall() == [(10,)]
    code, out, _ = run(
        "score", "new.duckdb", "LYZ", "S100A8", "--by", "study, disease,study,", "--format", "csv", cwd=workdir
    )
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert {(row["study"], row["disease"], row["n_cells"]) for row in rows} == {
        ("it's mine", "flu", "20"),
        ("it's mine", "normal", "20"),
    }
    code, out, _ = run("info", "new.duckdb", cwd=workdir)
    assert code == 0
    assert "model-ig" in out


def test_signatures_of_the_library_can_be_scored_by_name(workdir):
    run("signatures", "add", "toy.duckdb", "hallmark.gmt", "--replace", cwd=workdir)
    (workdir / "mine.tsv").write_text("gene\tweight\nCD3E\t2\nS100A8\t-1\n")
    code, out, _ = run("signatures", "add", "toy.duckdb", "mine.tsv", "--name", "MINE", cwd=workdir)
    assert (code, out) == (0, "Added 1 signature of 2 genes: MINE.\n")
    _, out, _ = run("score", "toy.duckdb", "MINE", "--format", "csv", cwd=workdir)
    assert [row["score"] for row in csv.DictReader(io.StringIO(out))] == ["6.0", "0.0", "-2.0"]
    _, out, _ = run("signatures", "list", "toy.duckdb", "--format", "csv", cwd=workdir)
    assert [list(row.values())[:3] for row in csv.DictReader(io.StringIO(out))] == [
        ["B_CELL", "2", "0"],
        ["MINE", "2", "2"],
        ["MYELOID", "2", "2"],
        ["T_CELL", "1", "1"],
    ]
    _, out, _ = run("signatures", "show", "toy.duckdb", "B_CELL", "--format", "json", cwd=workdir)
    assert [(row["gene"], row["status"]) for row in json.loads(out)] == [("MS4A1", "missing"), ("CD79A", "missing")]
    code, out, _ = run("genes", "check", "toy.duckdb", "--file", "mine.tsv", cwd=workdir)
    assert code == 0
    assert "2 of 2 names are genes of this atlas." in out


def test_a_column_is_added_and_removed(workdir):
    (workdir / "grades.csv").write_text("sample,grade\nblood 1,III\n")
    assert run("annotate", "toy.duckdb", "grades.csv", cwd=workdir)[0] == 0
    code, _, err = run("annotate", "toy.duckdb", "grades.csv", "--drop", "grade", cwd=workdir)
    assert (code, "Give FILE with its options, or --drop COLUMN alone." in words(err)) == (1, True)
    code, out, _ = run("annotate", "toy.duckdb", "--drop", "grade", cwd=workdir)
    assert (code, words(out)) == (0, "Removed grade from toy.duckdb.")
    _, out, _ = run("sql", "toy.duckdb", "FROM cells LIMIT 1", "--format", "csv", cwd=workdir)
    assert "grade" not in out.splitlines()[0].split(",")


def test_a_name_of_a_signature_and_a_gene(workdir):
    """A single name means the signature, as before its gene was thought of; both commands say so."""
    (workdir / "regulons.gmt").write_text("CD3E\tregulon\tS100A8\nNOGENE\t\tCD3E\n")
    _, out, _ = run("signatures", "add", "toy.duckdb", "regulons.gmt", cwd=workdir)
    assert "1 name of signatures can also mean a gene: CD3E. Commands then mean the signature" in words(out)
    scores = {}
    for names in (["CD3E"], ["CD3E", "--as-genes"], ["S100A8"], ["NOGENE"]):
        code, out, err = run("score", "toy.duckdb", *names, "--format", "csv", cwd=workdir)
        assert code == 0
        told = "CD3E is a signature of the library and also a gene." in err
        scores[" ".join(names)] = ([row["score"] for row in csv.DictReader(io.StringIO(out))], told)
    as_signature, told = scores.pop("CD3E")
    assert told
    assert (as_signature, False) == scores["S100A8"]
    assert scores["CD3E --as-genes"] == scores["NOGENE"] == (["9.0", "0.0", "0.0"], False)
    code, _, err = run("hits", "toy.duckdb", "NOGENE", "--as-genes", cwd=workdir)
    assert code == 1
    assert "NOGENE" in err


def test_weights_of_a_column_with_another_name(workdir):
    (workdir / "model.csv").write_text("gene,coefficient\nCD3E,2\nS100A8,-1\n")
    code, _, err = run("signatures", "add", "toy.duckdb", "model.csv", cwd=workdir)
    assert code == 1
    assert "name it: --weight-column coefficient" in words(err)
    code, _, _ = run("signatures", "add", "toy.duckdb", "model.csv", "--weight-column", "coefficient", cwd=workdir)
    assert code == 0
    _, out, _ = run("signatures", "show", "toy.duckdb", "model", "--format", "json", cwd=workdir)
    assert [row["weight"] for row in json.loads(out)] == [2, -1]


def test_score_tells_the_genes_that_it_leaves_out(workdir):
    told = "Scored 1 of 2 genes. The model of this run does not know the other: NOPE1."
    arguments = ["score", "toy.duckdb", "CD3E", "NOPE1", "--missing", "ignore"]
    for more in ([], ["--by", "study"]):
        assert told in words(run(*arguments, *more, cwd=workdir)[1])
        _, out, err = run(*arguments, *more, "--format", "csv", cwd=workdir)
        assert told not in out
        assert words(err) == told


def test_hits_prints_groups_samples_and_sql_and_draws(workdir):
    arguments = ["hits", "toy.duckdb", "CD3E", "--cutoff", "1", "--min-cells", "1", "--min-samples", "1"]
    code, out, err = run(*arguments, "--plot", "hits.svg", cwd=workdir)
    assert code == 0, err
    assert "A hit is above a score of 1 (1)." in out
    assert words(err) == "Wrote hits.svg: the chart."
    assert (workdir / "hits.svg").read_text().startswith("<svg")
    _, out, _ = run(*arguments, "--samples", "--format", "csv", cwd=workdir)
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["sample"], row["n_cells"], row["n_hits"], row["left_out"]) == ("blood 1", "3", "1", "")
    _, statement, _ = run(*arguments, "--sql", cwd=workdir)
    _, out, _ = run("sql", "toy.duckdb", statement.rstrip().rstrip(";"), "--format", "csv", cwd=workdir)
    assert list(csv.DictReader(io.StringIO(out))) == [row]


def test_demo_run_again_is_quick_and_changes_nothing(demo_path, tmp_path):
    copy = Path(shutil.copy(demo_path, tmp_path / "demo.duckdb"))
    before = copy.read_bytes()
    code, first, _ = run("demo", copy)
    assert code == 0
    assert "Building" not in first
    assert run("demo", copy)[1] == first
    assert copy.read_bytes() == before


def test_commands_read_a_lake_as_they_read_an_atlas(workdir, toy_path):
    """info, sql and verify read a lake. verify finds a damaged file, and export --check writes it again."""
    _, out, _ = run("export", toy_path, "toy.lake", cwd=workdir)
    assert "0 files written, 22 unchanged" in out
    query = "SELECT score FROM signature_score(['CD3E']) ORDER BY 1"
    assert run("sql", "toy.lake", query, "--format", "csv", cwd=workdir) == run(
        "sql", toy_path, query, "--format", "csv"
    )
    assert "3" in run("info", "toy.lake", cwd=workdir)[1]
    assert "toy.lake is not sound: sums" in words(run("verify", "toy.lake", cwd=workdir)[2])
    (file,) = (workdir / "toy.lake" / "genes").iterdir()
    held = bytearray(file.read_bytes())
    held[10] ^= 1
    file.write_bytes(held)
    code, _, err = run("verify", "toy.lake", cwd=workdir)
    assert (code, "1 of 22 files are damaged" in words(err)) == (1, True)
    _, out, _ = run("export", toy_path, "toy.lake", "--check", cwd=workdir)
    assert "1 files written, 21 unchanged" in out
    run("attach-lake", "toy.lake", "shown.duckdb", cwd=workdir)
    folder, export = (
        "is a folder, not an atlas file. A lake is read-only",
        "is an export of an atlas. Write to the atlas",
    )
    shown = "shows a lake and holds no rows"
    refused = [
        (["upgrade", "toy.lake"], folder),
        (["optimize", "toy.lake"], folder),
        (["signatures", "add", "toy.lake", "hallmark.gmt"], export),
        (["upgrade", "shown.duckdb"], shown),
        (["optimize", "shown.duckdb"], shown),
        (["signatures", "add", "shown.duckdb", "hallmark.gmt"], shown),
    ]
    for command, reason in refused:
        code, _, err = run(*command, cwd=workdir)
        assert (code, reason in words(err)) == (1, True), err


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("scfoundation", ["--depth", "a5", "--pool", "max"]),
        ("scgpt", ["--max-length", "41"]),
        ("geneformer", ["--dictionaries", "{folder}"]),
    ],
)
@pytest.mark.slow
def test_check_a_transformer(name, options, tmp_path):
    """With the options of its adapter; a method that cannot explain it is refused, and so is its export."""
    model = load_model(name, DATA / name)
    token_study(tmp_path / "study.h5ad", model)
    weights = DATA / name
    if name == "geneformer":  # dictionaries in a folder of their own
        weights = copy_model(name, tmp_path)
        (tmp_path / "tables").mkdir()
        for each in weights.glob("*.pkl"):
            each.rename(tmp_path / "tables" / each.name)
    about = ["--model", name, *(each.format(folder=tmp_path / "tables") for each in options)]
    check = ["models", "check", weights, *about, "--cells", "study.h5ad", "--n-cells", "10", "--format", "json"]
    code, out, err = run(*check, "--steps", "2", cwd=tmp_path)
    assert code == 0, err
    assert {"deletion", "infidelity", "shuffled weights"} < {row["test"] for row in json.loads(out)}
    code, _, err = run(*check, "--method", "deeplift", cwd=tmp_path)
    assert code == 1
    assert f"deeplift cannot explain model {weights.name}" in words(err)
    code, _, err = run("models", "export", "out", *about, "--weights", weights, cwd=tmp_path)
    assert code == 1
    assert f"({name}) is not a chain of layers over genes" in words(err)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_check_a_model(workdir):
    """Two checkpoints that are the same agree. The table is for programs, the page for people."""
    arguments = ["models", "check", "model", "model", "--model", "mlp", "--cells", "study.h5ad", "--steps", "4"]
    code, out, err = run(*arguments, "--n-cells", "20", "--format", "json", "--page", "check.html", cwd=workdir)
    assert code == 0, err
    rows = json.loads(out)
    assert list(rows[0]) == ["test", "measure", "value", "needs", "holds"]
    agreement = next(row for row in rows if row["measure"] == "Spearman, first and 2")
    assert (agreement["test"], agreement["value"], agreement["holds"]) == ("checkpoints", 1, True)
    assert "<title>Explanation of model</title>" in (workdir / "check.html").read_text()
    code, out, err = run(*arguments[:3], *arguments[4:], "--n-cells", "20", cwd=workdir)
    assert code == 0, err
    assert re.search(r"(19|20) cells of study\.h5ad, drawn at random with seed 0", out)
    assert "The explanation " in out
