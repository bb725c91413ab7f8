"""Errors as a user of the command line meets them."""

from __future__ import annotations

import re

import duckdb
import pytest

from sigdb.errors import AtlasNotFoundError
from tests.sigdb.cli.conftest import run, words

INGEST = ["ingest", "a.duckdb", "study.h5ad"]
MODEL = ["--model", "mlp", "--weights", "model"]
ERRORS = {
    "parquet to the terminal": (["sql", "toy.duckdb", "SELECT 1", "--format", "parquet"], 1, "--output FILE"),
    "no query": (["sql", "toy.duckdb", " "], 1, "There is no query"),
    "no such folder": (
        ["sql", "toy.duckdb", "SELECT 1", "--format", "csv", "-o", "no/such.csv"],
        1,
        "There is no folder no to write such.csv into",
    ),
    "one name, two lists": (
        ["signatures", "add", "toy.duckdb", "genes.txt", "obs.csv", "--name", "x"],
        1,
        "--name names the signature of one file, but 2 files are given",
    ),
    "unknown run": (["genes", "check", "toy.duckdb", "CD3E", "--run", "v2"], 1, "There is no run 'v2'"),
    "bad sql": (["sql", "toy.duckdb", "SELEC 1"], 1, "syntax error"),
    "a write": (["sql", "toy.duckdb", "DELETE FROM sigdb_data.genes"], 1, "read-only"),
    "no atlas": (["info", "none.duckdb"], 1, "There is no atlas at none.duckdb"),
    "not an atlas": (["info", "study.h5ad"], 1, "cannot be opened"),
    "unknown gene": (["score", "toy.duckdb", "CD3EE"], 1, "CD3EE is neither a signature"),
    "unknown column": (["score", "toy.duckdb", "CD3E", "--by", "type"], 1, "cells has no column type."),
    "hostile column": (["score", "toy.duckdb", "CD3E", "--by", 'cell_type") --'], 1, "cells has no column"),
    "no column": (["score", "toy.duckdb", "CD3E", "--by", ","], 1, "--by names no column"),
    "a column of cells": (
        ["hits", "toy.duckdb", "CD3E", "--by", "cell_type"],
        1,
        "Choose cells by cell_type with --cells, or score groups of cells: `sigdb score ATLAS GENE... --by cell_type`",
    ),
    "several signatures": (
        ["score", "toy.duckdb", "MYELOID", "t_cell"],
        1,
        "2 of 2 names are signatures of the library, not genes: MYELOID, t_cell. Name one signature alone, as in "
        "`sigdb score ATLAS MYELOID`",
    ),
    "unknown agg": (["score", "toy.duckdb", "CD3E", "--agg", "max"], 2, "'max' is not one of 'mean', 'sum'"),
    "no genes": (["genes", "check", "toy.duckdb"], 1, "Name at least one gene"),
    "missing gene": (["genes", "check", "toy.duckdb", "CD3E", "FOO"], 1, ""),
    "signature there": (["signatures", "add", "toy.duckdb", "hallmark.gmt"], 1, "1 of 2 signatures are in the library"),
    "no such signature": (
        ["signatures", "show", "toy.duckdb", "MS7"],
        1,
        "MS7 is no signature of the library",
    ),
    "no such file": (["signatures", "add", "toy.duckdb", "no.gmt"], 1, "There is no file no.gmt"),
    "demo over another atlas": (["demo", "toy.duckdb"], 1, "not the demo atlas"),
    "cells is a statement": (
        ["hits", "toy.duckdb", "CD3E", "--cells", "true; DROP TABLE x"],
        1,
        "not one SQL condition",
    ),
    "two cut-offs": (["hits", "toy.duckdb", "CD3E", "--sd", "2", "--cutoff", "1"], 1, "A hit has one cut-off"),
    "cells as replicates": (["compare", "toy.duckdb", "CD3E", "--unit", "cell"], 1, "they are not replicates"),
    "a cut-off of scores": (
        ["compare", "toy.duckdb", "CD3E", "--percentile", "90"],
        1,
        "--percentile says what a hit is. Use it with --of hits",
    ),
    "no such picture": (["leading", "toy.duckdb", "CD3E", "--min-cells", "1", "--plot", "x.pdf"], 1, "not 'x.pdf'"),
    "no such page": (["report", "toy.duckdb", "CD3E", "-o", "x.pdf"], 1, "A report is an .html file, not 'x.pdf'"),
    "no model": ([*INGEST, "--model", "mlp", "--weights", "no"], 1, "There is no model folder no"),
    "bad map": (
        [*INGEST, *MODEL, "--map", "disease"],
        1,
        "--map takes FIELD=COLUMN, or FIELD= for an empty field, not 'disease'",
    ),
    "one name, two files": ([*INGEST, "study.h5ad", *MODEL, "--study", "x"], 1, "are for one file, but 2 are given"),
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
    "too large an error": ([*INGEST, *MODEL, "--steps", "2", "--max-error", "0"], 1, "above --max-error 0"),
    "export over a folder": (["models", "export", "model", *MODEL], 1, "model exists already"),
    "check of no model": (["models", "check", "modl", "--model", "mlp", "--cells", "study.h5ad"], 1, "mean 'model'?"),
    "check of no cells": (
        ["models", "check", "model", "--model", "mlp", "--cells", "stud.h5ad"],
        1,
        "mean 'study.h5ad'?",
    ),
    "check of few cells": (
        ["models", "check", "model", "--model", "mlp", "--cells", "study.h5ad", "--n-cells", "9"],
        2,
        "greater than or equal to 10",
    ),
    "check on no page": (
        ["models", "check", "model", "--model", "mlp", "--cells", "study.h5ad", "--page", "x.pdf"],
        1,
        "A report is an .html file, not 'x.pdf'",
    ),
    "check into no folder": (
        ["models", "check", "model", "--model", "mlp", "--cells", "study.h5ad", "--page", "none/x.html"],
        1,
        "There is no folder none to write x.html into",
    ),
    "no command": (["nosuch"], 2, "No such command"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_paragraph_and_an_exit_code(workdir, case):
    arguments, expected, message = ERRORS[case]
    before = (workdir / "toy.duckdb").read_bytes()
    code, _, err = run(*arguments, cwd=workdir)
    assert code == expected
    assert message in words(err)
    assert "Traceback" not in err
    assert (workdir / "toy.duckdb").read_bytes() == before
    assert not (workdir / "a.duckdb").exists()


def test_debug_shows_the_traceback(workdir):
    with pytest.raises(AtlasNotFoundError):
        run("--debug", "info", "none.duckdb", cwd=workdir)


LOAD = ["load", "a.duckdb", "--matrix", "scores.npz"]
GIVEN = [*LOAD, "--obs", "obs.csv", "--genes", "genes.txt"]
# Errors of the library whose way out is an option or a command.
WAYS_OUT = {
    "tables of a matrix": (LOAD, "give --obs and --genes"),
    "layer of a matrix": ([*GIVEN, "--layer", "x"], "--layer"),
    "impossible sum": ([*GIVEN, "--target-sum", "0"], "--target-sum must be a positive number, not 0"),
    "another sum": ([*GIVEN, "--target-sum", "500"], "--target-sum 1000; --rescale"),
    "few genes": ([*INGEST, *MODEL, "--min-genes", "5000"], "--min-genes"),
    "error": ([*INGEST, *MODEL, "--steps", "2", "--max-error", "0"], "--max-error 0"),
    "summation": ([*INGEST, *MODEL, "--method", "ixg", "--summation", "published"], "--summation dot"),
    "precision": ([*INGEST, *MODEL, "--method", "deeplift", "--precision", "bf16"], "leave --precision out"),
    "names of files": ([*INGEST, "study.h5ad", *MODEL], "--study"),
    "device": ([*INGEST, *MODEL, "--device", "cuda:99"], "--device cpu"),
    "a lake is read-only": (["optimize", "toy.lake"], "`sigdb import-lake"),
    "an export": (["signatures", "add", "toy.lake", "hallmark.gmt"], "sigdb export"),
    "a signature of the library": (["signatures", "add", "toy.duckdb", "hallmark.gmt"], "--replace"),
    "cells as replicates": (["compare", "toy.duckdb", "CD3E", "--unit", "cell"], "--cells-as-replicates compares"),
    "a macro": (["score", "toy.duckdb", "CD3E", "FOO"], "Use --missing ignore to score the other 1. `sigdb genes"),
    "no atlas": (["verify", "no.lake"], "`sigdb ingest"),
}


@pytest.mark.parametrize("case", WAYS_OUT)
def test_errors_of_the_library_name_options_and_commands(workdir, case):
    """The library names parameters and calls. The user of the command line reads options and commands only."""
    arguments, way_out = WAYS_OUT[case]
    code, _, err = run(*arguments, cwd=workdir)
    assert code == 1
    assert way_out in words(err)
    assert "`sigdb." not in err
    assert not re.search(r"`\w+(=[^`]*)?`", words(err))


def test_warnings_of_the_library_name_commands(workdir, monkeypatch):
    from ingest.store import study

    def fail(con):
        raise duckdb.IOException("No space left on device")

    monkeypatch.setattr(study, "cluster", fail)
    code, _, err = run("ingest", "new.duckdb", "study.h5ad", *MODEL, "--steps", "2", cwd=workdir)
    assert code == 0
    assert "Warning: The studies are in the atlas, but its scores could not be sorted" in words(err)
    assert "`sigdb optimize ATLAS`" in words(err)


def test_errors_of_a_query_in_sql_stay_in_sql(workdir):
    """The caller writes SQL, so options are named as in SQL."""
    code, _, err = run("sql", "toy.duckdb", "FROM signature_score(['CD3E', 'FOO'])", cwd=workdir)
    assert code == 1
    assert "Use missing := 'ignore' to score the other 1. check_genes([...]) shows" in words(err)
