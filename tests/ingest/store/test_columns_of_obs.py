"""Columns of obs in an atlas: whatever they are called, and however many they are."""

from __future__ import annotations

import re

import duckdb
import numpy as np
import pandas as pd
import pytest

import sigdb
from ingest.obs import RESERVED, obs_table
from ingest.store import writer
from sigdb.atlas import schema
from sigdb.atlas.verify import schema_findings
from tests.support.toy import TOY_GENES, copy_toy, obs_of, write_study

MACROS = [each for each in schema.objects() if each.schema == "main" and each.kind == "MACRO TABLE"]


@pytest.fixture
def path(tmp_path):
    return copy_toy(tmp_path / "a.duckdb")


def add_study(path, obs, study="later"):
    with sigdb.Atlas(path) as atlas:
        write_study(atlas, np.ones((len(obs), 3)), TOY_GENES, study=study, obs=obs)


def columns_of(each):
    return re.search(r"-> TABLE \((.*)\)$", each.signature)[1].split(", ")


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """An atlas with a column of obs for every name that a view or macro returns, and for every parameter of a macro."""
    path = copy_toy(tmp_path_factory.mktemp("crowded") / "a.duckdb")
    parameters = {name for each in MACROS for name in re.findall(r"(\w+) :=", each.signature)}
    obs = pd.DataFrame({name: [1.5] for name in sorted(RESERVED | parameters | {"genes", "Score"})}, index=["c"])
    table, notes = obs_table(obs.drop(columns=["in_vivo", "score"]), study="later", mapping={"sample": "value"})
    assert sum("is kept as 'obs_" in note for note in notes) > 80
    add_study(path, table)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("each", schema.objects(), ids=lambda each: each.name)
def test_examples_run_whatever_the_columns_are_called(crowded, each):
    with sigdb.connect(crowded) as con:
        con.execute(each.example)


def test_what_macros_return_can_be_joined_to_the_cells(crowded):
    with sigdb.connect(crowded) as con:
        for each in MACROS:
            if "cell_id" in columns_of(each):
                own = [name for name in columns_of(each) if name not in ("cell_id", "study", "cell_type", "sample")]
                genes = "['MYELOID']" if each.name == "signature_scores" else "['CD3E']"
                con.execute(f"SELECT {', '.join(own)} FROM {each.name}({genes}) JOIN cells USING (cell_id)")
        joined = "attributions JOIN genes USING (gene_id) JOIN cells USING (cell_id)"
        con.execute(f"SELECT score, symbol, ensembl_id, cell_type FROM {joined}")
        assert con.execute("SELECT DISTINCT obs_Score FROM cells WHERE study = 'later'").fetchall() == [(1.5,)]


def wrong_parts(con):
    """Columns, views, macros and comments that are not as in a new atlas."""
    return [finding.example for finding in schema_findings(con) if finding.n]


def described(path):
    """The columns, comments and constraints of the cells, and their rows."""
    with duckdb.connect(path) as con:
        columns = con.execute(
            """SELECT table_name, column_name, data_type, comment, is_nullable FROM duckdb_columns()
            WHERE table_name IN ('cell_data', 'cells') ORDER BY ALL"""
        ).fetchall()
        return columns, con.execute("FROM cells ORDER BY cell_id").fetchall()


@pytest.mark.parametrize("has_index", [False, True])
def test_many_columns_are_stored_like_few(path, tmp_path, monkeypatch, has_index):
    other = copy_toy(tmp_path / "b.duckdb")
    obs = obs_of(2, age=[7, None], a=["x", "y"], **{"b c": [0.5, None], "SELECT": [True, False]})
    if has_index:
        with duckdb.connect(path) as con:
            con.execute("CREATE INDEX mine ON sigdb_data.cell_data (barcode)")
    add_study(other, obs)
    monkeypatch.setattr(writer, "MANY_COLUMNS", 2)
    add_study(path, obs)
    assert described(path) == described(other)
    with sigdb.connect(path) as con:
        assert wrong_parts(con) == []
        assert len(con.execute("SELECT * FROM duckdb_indexes() WHERE index_name = 'mine'").fetchall()) == has_index


def test_a_failed_study_with_many_columns_leaves_the_atlas_as_it_was(path, monkeypatch):
    before = described(path)
    monkeypatch.setattr(writer, "MANY_COLUMNS", 2)
    monkeypatch.setattr(writer.StudyWriter, "write_scores", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        add_study(path, obs_of(2, a=[1, 2], b=[1, 2], c=[1, 2]))
    assert described(path) == before


def test_a_wide_atlas_comments_only_on_its_own_columns(path):
    add_study(path, obs_of(2, **{f"tf {n}": [n, n] for n in range(200)}))
    columns, _ = described(path)
    without = {name for _, name, _, text, _ in columns if text is None}
    assert without >= {f"tf {n}" for n in range(200)}
    assert without <= {f"tf {n}" for n in range(200)} | {"age"}
    with sigdb.connect(path) as con:
        assert wrong_parts(con) == []
