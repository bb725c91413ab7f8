"""What commands print: tables, CSV, JSON, Parquet, progress."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import subprocess
import sys
import time
from contextlib import redirect_stderr

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import sigdb
from sigdb.cli import output
from sigdb.cli import progress as cli_progress
from sigdb.cli.progress import progress_bars
from tests.sigdb.cli.conftest import run


def test_sql_formats(toy_path, tmp_path):
    query = "SELECT cell_id, cell_type, signature_score(cell_id, ['CD3E']) AS score FROM cells ORDER BY cell_id"
    code, out, _ = run("sql", toy_path, query)
    assert code == 0
    assert "T cell" in out
    assert "3 rows." in out
    _, out, _ = run("sql", toy_path, query, "--format", "csv")
    assert list(csv.DictReader(io.StringIO(out)))[1] == {"cell_id": "1", "cell_type": "T cell", "score": "9.0"}
    _, out, _ = run("sql", toy_path, query, "--format", "json")
    assert json.loads(out)[2] == {"cell_id": 2, "cell_type": None, "score": 0.0}
    _, out, _ = run("sql", toy_path, "SELECT 1 AS a WHERE false", "--format", "json")
    assert json.loads(out) == []
    code, _, _ = run("sql", toy_path, query, "--format", "parquet", "-o", tmp_path / "out.parquet")
    assert code == 0
    assert pq.read_table(tmp_path / "out.parquet")["score"].to_pylist() == [0.0, 9.0, 0.0]
    run("sql", toy_path, query, "--format", "csv", "-o", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == "cell_id,cell_type,score"
    code, out, _ = run("sql", toy_path, "-", "--format", "csv", stdin="SELECT 42 AS answer")
    assert (code, out) == (0, "answer\n42\n")


def test_json_and_csv_keep_what_sql_can_say(toy_path):
    query = """SELECT 1 AS a, 'x' AS a, 'nan'::DOUBLE AS b, 1.50::DECIMAL(4, 2) AS c, [1, 2] AS d, {'k': 'v'} AS e,
        DATE '2026-01-02' AS f, true AS g, '\\xFF'::BLOB AS h, NULL AS i"""
    (row,) = json.loads(run("sql", toy_path, query, "--format", "json")[1])
    assert row == {
        "a": 1,
        "a_1": "x",
        "b": None,
        "c": 1.5,
        "d": [1, 2],
        "e": {"k": "v"},
        "f": "2026-01-02",
        "g": True,
        "h": "ff",
        "i": None,
    }
    out = run("sql", toy_path, "SELECT [1, 2] AS d, 2024 AS year", "--format", "csv")[1]
    assert out == 'd,year\n"[1, 2]",2024\n'
    assert "2024" in run("sql", toy_path, "SELECT 2024 AS year")[1]


def test_names_are_not_markup(workdir):
    (workdir / "odd.gmt").write_text("x[/red]y\t\tCD3E\n")
    code, out, err = run("signatures", "add", "toy.duckdb", "odd.gmt", cwd=workdir)
    assert (code, out) == (0, "Added 1 signature of 1 gene: x[/red]y.\n"), err
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


ESCAPES = "\x1b]52;c;Y3VybA==\x07\x1b[2J\r\u202eover\nB\x85\x9b31m"


def test_a_terminal_shows_control_characters_and_obeys_none(workdir, monkeypatch):
    """In tables and their headers, errors, notes and progress; on a terminal and in a pipe."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    query = f"SELECT '{ESCAPES}' AS \"{ESCAPES}\", 1 AS n"
    outputs = [*run("sql", "toy.duckdb", query, cwd=workdir)[1:]]
    outputs += run("sql", "toy.duckdb", f"SELECT error('{ESCAPES}')", cwd=workdir)[1:]
    (workdir / "odd.gmt").write_text("S\x1b[2J\x07\t\tCD3E\n")
    outputs += run("signatures", "add", "toy.duckdb", "odd.gmt", cwd=workdir)[1:]
    outputs += run("score", "toy.duckdb", "S\x1b[2K\x07", cwd=workdir)[1:]
    shown = "".join(outputs)
    assert re.findall("[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202e]|\x1b(?!\\[[0-9;]*m)", shown) == []
    assert shown.count(r"\x1b]52;c;Y3VybA==\x07\x1b[2J\r\u202eover\nB\x85\x9b31m") == 2
    assert r"S\x1b[2J\x07" in shown
    with redirect_stderr(io.StringIO()) as err, progress_bars() as report:
        report("x\x1b[2Jy", 1, 1)
    assert r"x\x1b[2Jy" in err.getvalue()


@pytest.mark.parametrize("form", ["csv", "tsv", "json", "ndjson", "md", "html"])
def test_data_on_a_terminal_are_obeyed_by_none(toy_path, monkeypatch, form):
    """A pipe gets the data as they are."""
    query = f"SELECT '{ESCAPES}' AS a, 1 AS b"
    written = io.StringIO()
    written.isatty = lambda: True
    monkeypatch.setattr(output.sys, "stdout", written)
    with sigdb.connect(toy_path) as con:
        output.dump(con, query, {}, form, None)
    shown = written.getvalue()
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", shown) == []
    if form == "csv":
        written.isatty = lambda: False
        with sigdb.connect(toy_path) as con:
            output.dump(con, query, {}, form, None)
        assert ESCAPES in written.getvalue()


def test_csv_quotes_line_ends_within_values(toy_path):
    """As pandas and DuckDB read them; a carriage return alone also ends a line there."""
    query = "SELECT 'T' || chr(13) AS a, 5 AS n UNION ALL SELECT 'B' || chr(10) || 'x', NULL ORDER BY ALL"
    out = run("sql", toy_path, query, "--format", "csv")[1]
    assert out == 'a,n\n"B\nx",\n"T\r",5\n'
    assert list(csv.reader(io.StringIO(out, newline=""))) == [["a", "n"], ["B\nx", ""], ["T\r", "5"]]


def test_more_rows_than_a_table_shows_are_counted(toy_path):
    _, out, _ = run("sql", toy_path, "SELECT * FROM range(1000)")
    assert "The first 200 rows. --output FILE.csv writes all of them." in out
    _, out, _ = run("sql", toy_path, "SELECT * FROM range(25000)", "--format", "csv")
    assert len(out.splitlines()) == 25001


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
    assert re.search(r"study .* 20,000 of 20,000 cells, [\d,]+ cells/s, 0:00:0\d elapsed", bar), bar


def test_what_has_no_count_is_named_while_it_lasts(monkeypatch):
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    monkeypatch.setattr(cli_progress, "errors", terminal)
    shown = []
    with progress_bars(first="Reading the model", last="storing") as report:
        time.sleep(0.2)
        shown.append(terminal.file.getvalue())
        report("study", 5, 10)
        terminal.file.truncate(0)
        time.sleep(0.2)
        shown.append(terminal.file.getvalue())
        report("study", 10, 10)
        time.sleep(0.2)
        shown.append(terminal.file.getvalue())
    assert ["Reading the model" in each for each in shown] == [True, False, False]
    assert ["study: storing" in each for each in shown] == [False, False, True]


def test_a_pipe_that_closes_early_gets_no_message(demo_path):
    command = f"{shlex.quote(sys.executable)} -m sigdb sql {demo_path} 'FROM attributions' --format csv | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("run_id,gene_id,cell_id,score\n", "")
