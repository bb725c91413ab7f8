"""`sigdb score`, and the commands of the library: what they print, draw and write."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.sigdb.cli.conftest import run, words

SCORE = ["score", "toy.duckdb", "S100A8", "S100A9"]


def rows_of(*arguments, cwd):
    code, out, err = run(*arguments, "--format", "csv", cwd=cwd)
    assert code == 0, err
    return list(csv.DictReader(io.StringIO(out)))


def test_cells_by_score_with_coverage(workdir):
    rows = rows_of(*SCORE, cwd=workdir)
    assert [float(row["score"]) for row in rows] == [4, 0, 0]
    assert {(row["coverage"], row["n_measured"], row["n_genes"]) for row in rows} == {("1.0", "2", "2")}
    (row,) = rows_of(*SCORE, "--cells", "cell_type = 'T cell'", cwd=workdir)
    assert (row["cell_id"], row["score"]) == ("1", "0.0")


def test_groups_of_cells(workdir):
    rows = rows_of(*SCORE, "--by", "study,cell_type", "--cells", "n_counts >= 0", cwd=workdir)
    assert {(row["cell_type"], float(row["score"])) for row in rows} == {("monocyte", 4), ("T cell", 0), ("", 0)}
    (row,) = rows_of(*SCORE, "--by", "study", "--min-cells", "2", cwd=workdir)
    assert (row["n_cells"], row["n_samples"], row["n_units"], row["score_se"]) == ("3", "1", "1", "")


@pytest.mark.parametrize(
    "by",
    [
        pytest.param([], id="cells"),
        pytest.param(["--by", "cell_type"], id="one", marks=pytest.mark.slow),
        pytest.param(["--by", "study,cell_type"], id="two", marks=pytest.mark.slow),
    ],
)
def test_a_chart_and_the_sql(workdir, by):
    code, out, err = run(*SCORE, *by, "--cells", "true", "--plot", "score.json", "--sql", cwd=workdir)
    assert code == 0, err
    drawn = json.loads((workdir / "score.json").read_text())
    assert "S100A8, S100A9" in json.dumps(drawn)
    code, table, err = run("sql", "toy.duckdb", out.rstrip().rstrip(";"), "--format", "csv", cwd=workdir)
    assert code == 0, err
    assert list(csv.DictReader(io.StringIO(table))) == rows_of(*SCORE, *by, cwd=workdir)


def test_a_signature_in_another_case(workdir):
    assert rows_of("score", "toy.duckdb", "myeloid", cwd=workdir) == rows_of(
        "score", "toy.duckdb", "MYELOID", cwd=workdir
    )
    _, out, _ = run("signatures", "show", "toy.duckdb", "t_cell", cwd=workdir)
    assert "CD3E" in out


def test_signatures_are_removed(workdir):
    code, _, err = run("signatures", "remove", "toy.duckdb", "T_CELL", "MYELOYD", cwd=workdir)
    assert (code, "1 of 2 names are no signatures of the library: MYELOYD (did you mean MYELOID?)" in words(err)) == (
        1,
        True,
    )
    code, out, _ = run("signatures", "remove", "toy.duckdb", "t_cell", cwd=workdir)
    assert (code, words(out)) == (0, "Removed 1 signature: T_CELL. The library has 1 signature.")


RANK = ["signatures", "rank", "toy.duckdb", "--min-cells", "1"]


def test_signatures_are_ranked(workdir):
    code, out, err = run(*RANK, "--cell-type", "monocyte", cwd=workdir)
    assert code == 0, err
    assert "1 cell of 1 sample, beside 2 other cells of the same studies: toy." in words(out)
    rows = rows_of(*RANK, "--cells", "study = 'toy'", "--cell-type", "monocyte", "--cell-type", "T cell", cwd=workdir)
    assert {row["signature"] for row in rows} == {"MYELOID", "T_CELL"}
    assert {row["n_cells"] for row in rows} == {"2"}
    _, out, _ = run(*RANK, "--cell-type", "monocyte", "--sql", cwd=workdir)
    assert "'monocyte'" in out


REFUSED = {
    "no cells": ([], "Say which cells: --cell-type NAME, or --cells CONDITION."),
    "no such type": (["--cell-type", "monocytes"], "No cell has the type monocytes. Did you mean 'monocyte'?"),
    "all cells": (["--cells", "true"], "No study has 1 cells of the group and as many others"),
    "another column": (["--cells", "n_counts > 1"], "The cube has no column n_counts"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_ranked(workdir, case):
    arguments, said = REFUSED[case]
    code, _, err = run(*RANK, *arguments, cwd=workdir)
    assert (code, said in words(err)) == (1, True), err
