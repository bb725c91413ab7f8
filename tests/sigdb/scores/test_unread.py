"""Genes that a run did not read in many of the cells that express them: notes, warnings and the coverage."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from typer.testing import CliRunner

import sigdb
from sigdb.cli import app
from sigdb.findings.columns import choose_groups
from sigdb.statements import ask, parse_statement
from tests.support.toy import TOY_GENES, new_atlas, obs_of, settings, write_study

NOTE = (
    "Run toy-model-ig did not read 1 gene in cells that express it, and counts it as 0 there: S100A8 in 75% of these "
    "cells in two, S100A8 in 50% of these cells in one. "
)


@pytest.fixture(scope="module")
def unread(tmp_path_factory):
    """Cells with a score and cells in which the gene was not read, of 10 cells each; CD3E was read everywhere.

                       S100A8    S100A9
    one                5, 5      9, 1      half of the cells, and a tenth, which is not more than a tenth
    two                1, 3      0, 0      three quarters
    three              5, -      9, -      not recorded
    one, 7 steps       5, 0      9, 0      a run that read all genes
    """
    path = tmp_path_factory.mktemp("unread") / "a.duckdb"
    with new_atlas(path, TOY_GENES) as atlas:
        for study, read, not_read, steps in (
            ("one", (5, 9), (5, 1), 50),
            ("two", (1, 0), (3, 0), 50),
            ("three", (5, 9), None, 50),
            ("one", (5, 9), (0, 0), 7),
        ):
            scores, cut = np.zeros((10, 3)), np.zeros((10, 3), bool)
            scores[:, 2] = 500
            for gene, n in enumerate(read):
                scores[:n, gene] = 250
                cut[n : n + (not_read or (0, 0))[gene], gene] = True
            write_study(
                atlas,
                scores,
                TOY_GENES,
                study=study,
                obs=obs_of(10, sample=[f"{study} {n % 2}" for n in range(10)], cell_type=["x"] * 10),
                run=None if steps == 50 else "seven",
                run_settings=settings(n_steps=steps),
                unread=None if not_read is None else cut,
            )
        atlas.add_signatures([sigdb.Signature("S", ("S100A8", "CD3E"))])
    return path


@pytest.fixture
def con(unread):
    with sigdb.connect(unread) as con:
        yield con


def test_a_finding_names_the_worst_genes_and_studies(con):
    found = sigdb.group_scores(con, ["S100A8", "S100A9", "CD3E"], by="study", min_cells=1)
    (note,) = [note for note in found.notes if "did not read" in note]
    assert note.startswith(NOTE)
    assert "`max_length`" in note


@pytest.mark.parametrize(("genes", "run"), [(["S100A9", "CD3E"], None), (["S100A8"], "seven")])
def test_genes_that_were_read_are_not_mentioned(con, genes, run):
    found = sigdb.group_scores(con, genes, by="study", min_cells=1, run=run)
    assert [note for note in found.notes if "did not read" in note] == []


def test_scores_without_notes_warn(con, caplog):
    pytest.importorskip("pandas")
    with caplog.at_level(logging.WARNING):
        sigdb.score_matrix(con, {"S": ["S100A8"]})
    assert NOTE in caplog.text


def test_the_coverage_counts_genes_that_were_often_not_read(con):
    query = choose_groups(parse_statement("findings/coverage"), "TRUE")
    parameters = {"genes": ["S100A8", "S100A9", "CD3E"], "weights": None, "run": None}
    rows = ask(con, query, parameters).table.to_pylist()
    assert {row["study"]: row["n_unread"] for row in rows} == {"one": 1, "two": 1, "three": None}
    assert {row["n_unread"] for row in ask(con, query, parameters | {"run": "seven"}).table.to_pylist()} == {0, None}


def test_the_commands_say_it(unread):
    run = CliRunner().invoke
    scores = run(app, ["score", str(unread), "S100A8", "--by", "study"])
    assert "S100A8 in 75% of these cells in two" in " ".join(scores.stdout.split())
    info = " ".join(run(app, ["info", str(unread)]).stdout.split())
    assert "genes_read all median 2 of 2; 40% of cells cut" in info
    runs = json.loads(run(app, ["info", str(unread), "--format", "json"]).stdout)["runs"]
    assert {each["run"]: each["share_cut"] for each in runs} == {"toy-model-ig": 0.4, "seven": 0}
