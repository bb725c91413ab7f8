"""The command line as a user meets it: what it prints, its exit codes, its files."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import warnings
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tiledb
import typer
from rich.console import Console
from scipy.sparse import csr_matrix, save_npz

import sigdb
from sigdb.cli import app, main
from sigdb.cli import progress as cli_progress
from sigdb.cli.progress import progress_bars
from sigdb.errors import AtlasNotFoundError
from tests.ingest.conftest import save_small_model, small_adata
from tests.support.toy import TOY_GENES, fingerprint, narrow_ids, obs_of, write_study


def run(*arguments, cwd=".", stdin=""):
    """Run `sigdb ...`; return (exit code, standard output, standard error).

    In this process, which has loaded torch and the like once; README, wheel and pipes are tried as processes.
    """
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        chdir(cwd), redirect_stdout(out), redirect_stderr(err), mock.patch.dict(os.environ),
        mock.patch.object(sys, "argv", ["sigdb", *map(str, arguments)]),
        mock.patch.object(sys, "stdin", io.StringIO(stdin)),
    ):  # fmt: skip
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def toy_lake(toy_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lakes") / "toy.lake"
    sigdb.export_lake(toy_path, folder)
    return folder


@pytest.fixture
def workdir(tmp_path, toy_path, toy_lake):
    """A folder as the examples of the help expect it."""
    shutil.copy(toy_path, tmp_path / "toy.duckdb")
    adata = small_adata()
    adata.obs["donor"] = adata.obs["donor_id"]
    adata.write_h5ad(tmp_path / "study.h5ad")
    save_small_model(tmp_path / "model")
    shutil.copytree(toy_lake, tmp_path / "toy.lake")
    (tmp_path / "hallmark.gmt").write_text("MYELOID\tnew\tS100A8\tS100A9\nB_CELL\tnew\tMS4A1\tCD79A\n")
    with sigdb.Atlas.create(tmp_path / "umap.duckdb") as atlas:
        write_study(atlas, np.eye(3), TOY_GENES, obs=obs_of(3, umap_1=[0.0, 1.0, 2.0], umap_2=[0.5, 0.0, 3.0]))
    write_scores(tmp_path)
    return tmp_path


def write_scores(folder):
    """One score a cell, as a matrix with its tables, and as an atlas of SIGnature."""
    save_npz(folder / "scores.npz", csr_matrix(1000 * np.eye(3)))
    (folder / "obs.csv").write_text("barcode,cell_type\na,T\nb,B\nc,T\n")
    for name in ("genes.txt", "gene_order.tsv"):
        (folder / name).write_text("\n".join(TOY_GENES) + "\n")
    place = folder / "signature_atlas" / "T cell"
    place.mkdir(parents=True)
    domain = tiledb.Domain(*(tiledb.Dim(name=name, domain=(0, 2), dtype=np.uint32) for name in ("x", "y")))
    values = tiledb.Attr(name="vals", dtype=np.float32)
    tiledb.Array.create(str(place / "attributions"), tiledb.ArraySchema(domain=domain, sparse=True, attrs=[values]))
    with tiledb.open(str(place / "attributions"), "w") as array:
        array[np.arange(3), np.arange(3)] = np.full(3, 1000, np.float32)
    pd.DataFrame({"study": ["a", "a", "b"], "prediction": "T cell"}).to_csv(place / "cell_metadata.csv.gz", index=False)


def commands(group=None, path=()):
    """All commands as (words, epilog)."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        yield (*path, name), command.epilog


@pytest.mark.parametrize(
    ("words", "epilog"), list(commands()), ids=lambda value: "-".join(value) if isinstance(value, tuple) else ""
)
def test_every_help_ends_with_an_example_that_runs(workdir, demo_path, words, epilog):
    shutil.copy(demo_path, workdir / "demo.duckdb")
    code, out, _ = run(*words, "--help")
    assert code == 0
    example = epilog.removeprefix("Example: ")
    assert epilog != example
    assert " ".join(example.split()) in " ".join(out.split())
    program, *arguments = shlex.split(example)
    assert program == "sigdb"
    if "--master" in arguments:
        pytest.importorskip("pyspark", reason="pyspark is not installed: make test-cluster")
        warnings.simplefilter("default")  # PySpark's own
    code, out, err = run(*arguments, cwd=workdir)
    assert (code, err if "Error" in err else "") == (0, ""), err
    assert out


def test_sql_formats(toy_path, tmp_path):
    query = "SELECT cell_id, cell_type, signature_score(cell_id, ['CD3E']) AS score FROM cells ORDER BY cell_id"
    code, out, _ = run("sql", toy_path, query)
    assert code == 0
    assert "T cell" in out
    assert "3 rows." in out
    _, out, _ = run("sql", toy_path, query, "--format", "csv")
    assert list(csv.DictReader(io.StringIO(out)))[1] == {"cell_id": "1", "cell_type": "T cell", "score": "9.0"}
    _, out, _ = run("sql", toy_path, query, "-f", "json")
    assert json.loads(out)[2] == {"cell_id": 2, "cell_type": None, "score": 0.0}
    _, out, _ = run("sql", toy_path, "SELECT 1 AS a WHERE false", "-f", "json")
    assert json.loads(out) == []
    code, _, _ = run("sql", toy_path, query, "-f", "parquet", "-o", tmp_path / "out.parquet")
    assert code == 0
    assert pq.read_table(tmp_path / "out.parquet")["score"].to_pylist() == [0.0, 9.0, 0.0]
    run("sql", toy_path, query, "-f", "csv", "-o", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == "cell_id,cell_type,score"
    code, out, _ = run("sql", toy_path, "-", "-f", "csv", stdin="SELECT 42 AS answer")
    assert (code, out) == (0, "answer\n42\n")


def test_json_and_csv_keep_what_sql_can_say(toy_path):
    query = """SELECT 1 AS a, 'x' AS a, 'nan'::DOUBLE AS b, 1.50::DECIMAL(4, 2) AS c, [1, 2] AS d, {'k': 'v'} AS e,
        DATE '2026-01-02' AS f, true AS g, '\\xFF'::BLOB AS h, NULL AS i"""
    (row,) = json.loads(run("sql", toy_path, query, "-f", "json")[1])
    assert row == {
        "a": 1, "a_1": "x", "b": None, "c": 1.5, "d": [1, 2], "e": {"k": "v"}, "f": "2026-01-02", "g": True, "h": "ff",
        "i": None,
    }  # fmt: skip
    out = run("sql", toy_path, "SELECT [1, 2] AS d, 2024 AS year", "-f", "csv")[1]
    assert out == 'd,year\n"[1, 2]",2024\n'
    assert "2024" in run("sql", toy_path, "SELECT 2024 AS year")[1]


def test_names_are_not_markup(workdir):
    (workdir / "odd.gmt").write_text("x[/red]y\t\tCD3E\n")
    code, out, err = run("signatures", "add", "toy.duckdb", "odd.gmt", cwd=workdir)
    assert (code, out) == (0, "Added 1 signature of 1 genes: x[/red]y.\n"), err
    out = run(
        "sql",
        "toy.duckdb",
        "SELECT signature AS \"[red]name\" FROM signature_info WHERE signature LIKE 'x%'",
        cwd=workdir,
    )[1]
    assert "[red]name" in out
    assert "x[/red]y" in out
    code, out, err = run(
        "ingest", "n.duckdb", "study.h5ad", "--model", "mlp", "--weights", "model", "--study", "a[/b]", cwd=workdir
    )
    assert code == 0, err
    assert "a[/b]" in out


def test_version():
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("sigdb 0.")


def test_more_rows_than_a_table_shows_are_counted(toy_path):
    _, out, _ = run("sql", toy_path, "SELECT * FROM range(1000)")
    assert "over 200 rows. The first are shown; --format csv gives all." in out
    _, out, _ = run("sql", toy_path, "SELECT * FROM range(25000)", "--format", "csv")
    assert len(out.splitlines()) == 25001


INGEST = ["ingest", "a.duckdb", "study.h5ad"]
MODEL = ["--model", "mlp", "--weights", "model"]
ERRORS = {
    "parquet to the terminal": (["sql", "toy.duckdb", "SELECT 1", "-f", "parquet"], 1, "--output FILE"),
    "no query": (["sql", "toy.duckdb", " "], 1, "There is no query"),
    "no such folder": (
        ["sql", "toy.duckdb", "SELECT 1", "-f", "csv", "-o", "no/such.csv"],
        1,
        "No such file or directory",
    ),
    "one name, two lists": (
        ["signatures", "add", "toy.duckdb", "a.csv", "b.csv", "--name", "x"],
        1,
        "--name is for one file",
    ),
    "unknown run": (["genes", "check", "toy.duckdb", "CD3E", "--run", "v2"], 1, "There is no run 'v2'"),
    "bad sql": (["sql", "toy.duckdb", "SELEC 1"], 1, "syntax error"),
    "a write": (["sql", "toy.duckdb", "DELETE FROM sigdb_data.genes"], 1, "read-only"),
    "no atlas": (["info", "none.duckdb"], 1, "There is no atlas at none.duckdb"),
    "not an atlas": (["info", "study.h5ad"], 1, "cannot be opened"),
    "unknown gene": (["score", "toy.duckdb", "CD3EE"], 1, "did you mean CD3E?"),
    "unknown column": (["score", "toy.duckdb", "CD3E", "--by", "type"], 1, "cells has no column type. It has:"),
    "hostile column": (["score", "toy.duckdb", "CD3E", "--by", 'cell_type") --'], 1, "cells has no column"),
    "unknown agg": (["score", "toy.duckdb", "CD3E", "--agg", "max"], 1, "agg must be 'mean' or 'sum', not 'max'"),
    "no genes": (["genes", "check", "toy.duckdb"], 1, "Name at least one gene"),
    "missing gene": (["genes", "check", "toy.duckdb", "CD3E", "FOO"], 1, ""),
    "signature there": (["signatures", "add", "toy.duckdb", "hallmark.gmt"], 1, "1 of 2 signatures are in the library"),
    "no such signature": (["signatures", "show", "toy.duckdb", "MS7"], 1, "No such signature: MS7"),
    "no such file": (["signatures", "add", "toy.duckdb", "no.gmt"], 1, "There is no file no.gmt"),
    "demo over another atlas": (["demo", "toy.duckdb"], 1, "not the demo atlas"),
    "cells is a statement": (
        ["hits", "toy.duckdb", "CD3E", "--cells", "true; DROP TABLE x"],
        1,
        "not one SQL condition",
    ),
    "two cut-offs": (["hits", "toy.duckdb", "CD3E", "--sd", "2", "--cutoff", "1"], 1, "one cut-off; 2 are given"),
    "cells as replicates": (["compare", "toy.duckdb", "CD3E", "--unit", "cell"], 1, "they are not replicates"),
    "no such picture": (["leading", "toy.duckdb", "CD3E", "--min-cells", "1", "--plot", "x.pdf"], 1, "not 'x.pdf'"),
    "no such page": (["report", "toy.duckdb", "CD3E", "-o", "x.pdf"], 1, "A report is an .html file, not 'x.pdf'"),
    "no model": ([*INGEST, "--model", "mlp", "--weights", "no"], 1, "There is no model folder no"),
    "bad map": (
        [*INGEST, *MODEL, "--map", "disease"],
        1,
        "--map takes FIELD=COLUMN, or FIELD= for none, not 'disease'",
    ),
    "one name, two files": ([*INGEST, "study.h5ad", *MODEL, "--study", "x"], 1, "for one file; there are 2"),
    "unknown model kind": ([*INGEST, "--model", "bert", "--weights", "model"], 2, "'bert' is not one of"),
    "local method, published": (
        [*INGEST, *MODEL, "--method", "ixg", "--summation", "published"],
        1,
        "maximum at the cell itself",
    ),
    "covariate of a model without": (
        [*INGEST, *MODEL, "--covariate", "batch=b1"],
        1,
        "only genes as input: leave batch out",
    ),
    "covariate without a value": ([*INGEST, *MODEL, "--covariate", "batch="], 1, "--covariate takes NAME=VALUE"),
    "baseline file alone": ([*INGEST, *MODEL, "--baseline-file", "study.h5ad"], 1, "needs --baseline-cells"),
    "no such device": ([*INGEST, *MODEL, "--device", "tpu"], 1, "There is no device 'tpu'"),
    "too large a delta": ([*INGEST, *MODEL, "--steps", "2", "--max-delta", "0"], 1, "above --max-delta 0"),
    "export over a folder": (["models", "export", "model", *MODEL], 1, "model exists already"),
    "no command": (["nosuch"], 2, "No such command"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_paragraph_and_an_exit_code(workdir, case):
    arguments, expected, message = ERRORS[case]
    before = fingerprint(workdir / "toy.duckdb")
    code, _, err = run(*arguments, cwd=workdir)
    assert code == expected
    assert message in " ".join(err.split())
    assert "Traceback" not in err
    assert fingerprint(workdir / "toy.duckdb") == before
    assert not (workdir / "a.duckdb").exists()


def test_debug_shows_the_traceback(workdir):
    with pytest.raises(AtlasNotFoundError):
        run("--debug", "info", "none.duckdb", cwd=workdir)


def test_ingest_again(workdir):
    """What is there is refused, left or replaced; what an interrupted ingest has kept is told."""
    arguments = ["ingest", "new.duckdb", "study.h5ad", "--model", "mlp", "--weights", "model", "--method", "ixg"]
    code, out, err = run(*arguments, cwd=workdir)
    assert code == 0, err
    code, out, err = run(*arguments, cwd=workdir)
    assert code == 1
    assert "--if-exists skip, or --if-exists replace" in " ".join(err.split())
    kept = workdir / "new.duckdb.ingest" / "0123"
    kept.mkdir(parents=True)
    (kept / "plan.json").write_text('{"study": "other"}')
    code, out, err = run(*arguments, "--if-exists", "skip", cwd=workdir)
    assert code == 0, err
    assert out.splitlines()[0] == "study: in the atlas already, and left as it is"
    assert "Cells of other from an interrupted ingest are kept in new.duckdb.ingest." in " ".join(out.split())
    code, out, err = run(*arguments, "--if-exists", "replace", "--title", "Again", cwd=workdir)
    assert code == 0, err
    with sigdb.connect(workdir / "new.duckdb") as con:
        assert con.execute("SELECT study, title, n_cells FROM studies").fetchall() == [("study", "Again", 40)]


def test_ingest_then_ask(workdir):
    arguments = ["ingest", "new.duckdb", "study.h5ad", "--model", "mlp", "--weights", "model", "--study", "it's mine"]
    code, out, err = run(*arguments, "--map", "tissue=cluster", "--map", "sample=sample", "--steps", "10", cwd=workdir)
    assert code == 1, out
    assert "tissue has several values within 4 samples of it's mine" in " ".join(err.split())
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
        "score", "new.duckdb", "LYZ", "S100A8", "--by", "study, disease,study,", "-f", "csv", cwd=workdir
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


def test_quiet_is_quiet_and_lines_are_few(workdir, monkeypatch, capsys):
    arguments = ["ingest", "new.duckdb", "study.h5ad", "--model", "mlp", "--weights", "model", "--steps", "2"]
    code, out, err = run(*arguments, "--quiet", cwd=workdir)
    assert (code, err) == (0, "")
    assert "40" in out
    seconds = iter(np.arange(0, 100, 1.5))
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    with progress_bars() as report:
        for done in range(11):
            report("[b]study", done * 1000, 10_000)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 4
    assert all(re.match(r"\[b\]study: \d+,000 of 10,000 cells, [\d,]+ cells/s", line) for line in lines), lines
    assert all(line.endswith(" left") for line in lines[1:-1])
    with progress_bars(quiet=True) as report:
        report("study", 10, 10)
    assert capsys.readouterr().err == ""


def test_a_bar_tells_speed_and_time_left(monkeypatch):
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    monkeypatch.setattr(cli_progress, "errors", terminal)
    with progress_bars() as report:
        for done in range(0, 20_001, 5000):
            report("study", done, 20_000)
            time.sleep(0.01)
    bar = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.file.getvalue()).split("\r")[-1]
    assert re.search(r"study .* 20000/20000 cells [\d,]+ cells/s 0:00:0\d 0:00:00", bar), bar


def test_signatures_of_the_library_can_be_scored_by_name(workdir):
    run("signatures", "add", "toy.duckdb", "hallmark.gmt", "--replace", cwd=workdir)
    (workdir / "mine.tsv").write_text("gene\tweight\nCD3E\t2\nS100A8\t-1\n")
    code, out, _ = run("signatures", "add", "toy.duckdb", "mine.tsv", "--name", "MINE", cwd=workdir)
    assert (code, out) == (0, "Added 1 signature of 2 genes: MINE.\n")
    _, out, _ = run("score", "toy.duckdb", "MINE", "-f", "csv", cwd=workdir)
    assert [row["score"] for row in csv.DictReader(io.StringIO(out))] == ["6.0", "0.0", "-2.0"]
    _, out, _ = run("signatures", "list", "toy.duckdb", "-f", "csv", cwd=workdir)
    assert [list(row.values())[:3] for row in csv.DictReader(io.StringIO(out))] == [
        ["B_CELL", "2", "0"], ["MINE", "2", "2"], ["MYELOID", "2", "2"], ["T_CELL", "1", "1"]
    ]  # fmt: skip
    _, out, _ = run("signatures", "show", "toy.duckdb", "B_CELL", "-f", "json", cwd=workdir)
    assert [(row["gene"], row["status"]) for row in json.loads(out)] == [("MS4A1", "missing"), ("CD79A", "missing")]
    code, out, _ = run("genes", "check", "toy.duckdb", "--file", "mine.tsv", cwd=workdir)
    assert code == 0
    assert "2 of 2 names are genes of this atlas." in out


def test_hits_prints_groups_samples_and_sql_and_draws(workdir):
    asked = ["hits", "toy.duckdb", "CD3E", "--cutoff", "1", "--min-cells", "1", "--min-samples", "1"]
    code, out, err = run(*asked, "--plot", "hits.svg", cwd=workdir)
    assert code == 0, err
    assert "A hit is above a score of 1 (1)." in out
    assert (workdir / "hits.svg").read_text().startswith("<svg")
    _, out, _ = run(*asked, "--samples", "-f", "csv", cwd=workdir)
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["sample"], row["n_cells"], row["n_hits"], row["left_out"]) == ("blood 1", "3", "1", "")
    _, statement, _ = run(*asked, "--sql", cwd=workdir)
    _, out, _ = run("sql", "toy.duckdb", statement.rstrip().rstrip(";"), "-f", "csv", cwd=workdir)
    assert list(csv.DictReader(io.StringIO(out))) == [row]


def test_demo_run_again_is_quick_and_changes_nothing(demo_path, tmp_path):
    copy = Path(shutil.copy(demo_path, tmp_path / "demo.duckdb"))
    before = copy.read_bytes()
    code, first, _ = run("demo", copy)
    assert code == 0
    assert "Building" not in first
    assert run("demo", copy)[1] == first
    assert copy.read_bytes() == before


def test_a_pipe_that_closes_early_gets_no_message(demo_path):
    command = f"{shlex.quote(sys.executable)} -m sigdb.cli sql {demo_path} 'FROM attributions' -f csv | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("run_id,gene_id,cell_id,score\n", "")


def test_a_lake_is_asked_as_an_atlas_is(workdir, toy_path):
    """info, sql, verify; a damaged file is found by verify, and written again by export --check."""
    _, out, _ = run("export", toy_path, "toy.lake", cwd=workdir)
    assert "0 files written, 19 as they were" in out
    query = "SELECT score FROM signature_score(['CD3E']) ORDER BY 1"
    assert run("sql", "toy.lake", query, "-f", "csv", cwd=workdir) == run("sql", toy_path, query, "-f", "csv")
    assert "3" in run("info", "toy.lake", cwd=workdir)[1]
    assert "toy.lake is not sound: sums" in " ".join(run("verify", "toy.lake", cwd=workdir)[2].split())
    (file,) = (workdir / "toy.lake" / "genes").iterdir()
    held = bytearray(file.read_bytes())
    held[10] ^= 1
    file.write_bytes(held)
    code, _, err = run("verify", "toy.lake", cwd=workdir)
    assert (code, "1 of 19 files are damaged" in " ".join(err.split())) == (1, True)
    _, out, _ = run("export", toy_path, "toy.lake", "--check", cwd=workdir)
    assert "1 files written, 18 as they were" in out
    run("attach-lake", "toy.lake", "shown.duckdb", cwd=workdir)
    folder, export = "is a folder, not an atlas file. A lake is only read", "is an export of an atlas. Write to that"
    shown = "shows a lake, and holds no rows"
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
        assert (code, reason in " ".join(err.split())) == (1, True), err


def test_upgrade_tells_of_the_gaps_that_it_leaves(tmp_path):
    with sigdb.Atlas.create(tmp_path / "old.duckdb") as atlas:
        write_study(atlas, np.random.default_rng(0).lognormal(0, 1, (50_000, len(TOY_GENES))), TOY_GENES)
        narrow_ids(atlas.con)
        atlas.con.execute("UPDATE sigdb_data.atlas_info SET value = '3' WHERE key = 'schema_version'")
    code, out, _ = run("upgrade", "old.duckdb", cwd=tmp_path)
    assert code == 0
    told = r"from schema 3 to 4; .*Its file is \d\.\d times as large.*sigdb optimize old\.duckdb"
    assert re.search(told, out, re.DOTALL)
    size = (tmp_path / "old.duckdb").stat().st_size
    assert run("optimize", "old.duckdb", cwd=tmp_path)[0] == 0
    assert (tmp_path / "old.duckdb").stat().st_size < size / 1.2
    code, out, _ = run("upgrade", "old.duckdb", cwd=tmp_path)
    assert (code, "Its file is" in out) == (0, False)
