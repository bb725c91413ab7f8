"""`info`, `verify` and `genes check` for people and for programs."""

from __future__ import annotations

import json
from collections import Counter

import duckdb
import pytest

from tests.sigdb.cli.conftest import run, words


def test_info_is_one_object(toy_path):
    code, out, err = run("info", toy_path, "--format", "json")
    facts = json.loads(out)
    assert (code, err) == (0, "")
    assert list(facts) == ["atlas", "bytes", "schema", "contents", "studies", "groups", "notes", "runs"]
    assert facts["contents"] == {"studies": 1, "samples": 1, "cells": 3, "genes": 3, "scores": 3, "signatures": 2}
    assert [run["method"] for run in facts["runs"]] == ["ig"]


def test_info_counts_the_values_of_each_column(demo_path):
    """Against Python's own counts of the rows."""
    groups = {each["column"]: each for each in json.loads(run("info", demo_path, "--format", "json")[1])["groups"]}
    with duckdb.connect(str(demo_path), read_only=True) as con:
        cells = con.execute("FROM cells").fetchall()
        names = [column[0] for column in con.description]
    numbers = {"cell_id", "sample_id", "barcode", "n_counts", "n_genes"}
    assert set(groups) == set(names) - numbers
    for name, found in groups.items():
        values = Counter(row[names.index(name)] for row in cells if row[names.index(name)] is not None)
        assert found["values"] == len(values), name
        assert found["filled"] == pytest.approx(values.total() / len(cells)), name
        assert found["commonest"] is None if not values else values[found["commonest"]] == max(values.values())
    assert {each["describes"] for each in groups.values()} == {"study", "sample", "cell"}
    assert (groups["donor"]["describes"], groups["cell_subtype"]["describes"]) == ("sample", "cell")


def test_info_names_the_columns_for_people(demo_path):
    out = run("info", demo_path)[1]
    assert "cell_type cell 43 100% Dendritic" in words(out)
    assert "Without values: assay, sex, development_stage, in_vivo." in words(out)


def test_info_of_an_empty_atlas(tmp_path):
    from sigdb import Atlas

    Atlas.create(tmp_path / "empty.duckdb").con.close()
    code, out, err = run("info", tmp_path / "empty.duckdb", "--format", "json")
    assert code == 0, err
    assert json.loads(out)["runs"] == []
    assert all(each["filled"] == 0 for each in json.loads(out)["groups"])
    assert run("info", tmp_path / "empty.duckdb")[0] == 0


def test_verify_for_programs(demo_path, toy_path, tmp_path):
    code, out, err = run("verify", demo_path, "--format", "json")
    assert (code, f"{demo_path} is sound." in words(err)) == (0, True)
    checks = json.loads(out)
    assert list(checks[0]) == ["check", "claim", "n", "example"]
    assert all(each["n"] == 0 for each in checks)
    code, out, err = run("verify", toy_path, "-o", tmp_path / "checks.csv")
    assert (code, out, "is not sound: sums" in words(err)) == (1, "", True), "the scores of the toy do not add up"
    assert "Wrote" in err
    assert (tmp_path / "checks.csv").read_text().startswith("check,claim,n,example\ntables,")


def test_genes_check_for_programs(toy_path, tmp_path):
    code, out, err = run("genes", "check", toy_path, "CD3E", "NOPE", "--format", "json")
    assert (code, words(err)) == (1, "1 of 2 names are genes of this atlas.")
    assert [(row["gene"], row["symbol"]) for row in json.loads(out)] == [("CD3E", "CD3E"), ("NOPE", None)]
    code, out, _ = run("genes", "check", toy_path, "CD3E", "-o", tmp_path / "x.md")
    assert (code, out) == (0, "")
    assert "| CD3E | CD3E |" in (tmp_path / "x.md").read_text()
