"""Wrong paths and options are found before anything is loaded or computed."""

from __future__ import annotations

import pytest

from sigdb.cli import paths
from sigdb.disk import PICTURES
from sigdb.findings import plots
from tests.sigdb.cli.conftest import run, words
from tests.sigdb.cli.test_startup import HEAVY, modules_loaded_by

WRONG = {
    "no atlas": (["score", "toy.dukdb", "CD3E"], "There is no atlas at toy.dukdb. Did you mean 'toy.duckdb'?"),
    "no folder": (["sql", "toy.duckdb", "FROM cells", "-o", "no/x.csv"], "There is no folder no to write x.csv into."),
    "a folder": (["sql", "toy.duckdb", "FROM cells", "-o", "model"], "model is a folder. Name a file."),
    "no format": (["score", "toy.duckdb", "CD3E", "-o", "x.cvs"], "Did you mean '.csv'? Known suffixes are .csv, .tsv"),
    "no query": (["sql", "toy.duckdb", "-f", "x.sql"], "There is no file x.sql."),
    "two queries": (["sql", "toy.duckdb", "FROM cells", "-f", "genes.txt"], "A query was given, and also --file."),
    "no chart": (["hits", "toy.duckdb", "CD3E", "--plot", "x.bmp"], "A chart is written as one of .html, .png"),
    "no place for a chart": (["hits", "toy.duckdb", "CD3E", "--plot", "no/x.svg"], "There is no folder no"),
    "no page": (["report", "toy.duckdb", "CD3E", "-o", "no/x.html"], "There is no folder no to write x.html into."),
    "no signatures": (["signatures", "add", "toy.duckdb", "hallmrk.gmt"], "Did you mean 'hallmark.gmt'?"),
    "no counts": (["ingest", "a.duckdb", "stud.h5ad", "--model", "mlp", "--weights", "model"], "mean 'study.h5ad'?"),
    "no place for an atlas": (["load", "no/a.duckdb", "--matrix", "scores.npz"], "There is no folder no"),
    "no scores": (["load", "a.duckdb", "--matrix", "no.npz"], "There is no file or folder no.npz."),
    "no arrays": (["import-signature", "a.duckdb", "no", "--genes", "genes.txt"], "There is no folder no."),
    "no model": (["models", "check", "modl", "--model", "mlp", "--cells", "study.h5ad"], "no model folder modl."),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_path_is_named(workdir, case):
    arguments, message = WRONG[case]
    code, out, err = run(*arguments, cwd=workdir)
    assert (code, out) == (1, "")
    assert message in words(err)


def test_a_wrong_path_loads_nothing(tmp_path, toy_path):
    """The checks run in the callbacks of options, before a command imports anything."""
    heavy = {"duckdb", "pyarrow", "numpy", "sqlglot", *HEAVY}
    no_folder = modules_loaded_by("score", toy_path, "CD3E", "-o", tmp_path / "no" / "x.csv")
    no_chart = modules_loaded_by("hits", toy_path, "CD3E", "--plot", tmp_path / "x.bmp")
    assert heavy.isdisjoint(no_folder | no_chart)


def test_pictures_are_what_plots_writes(tmp_path):
    alt = pytest.importorskip("altair")
    chart = alt.Chart(alt.Data(values=[{"x": 1}])).mark_point().encode(x="x:Q")
    for suffix in PICTURES:
        plots.save(chart, tmp_path / f"chart{suffix}")
        assert (tmp_path / f"chart{suffix}").stat().st_size > 0


def test_a_chart_needs_its_extra_before_the_query_runs(workdir, monkeypatch):
    monkeypatch.setattr(paths, "find_spec", lambda name: None)
    code, out, err = run("hits", "toy.duckdb", "CD3E", "--plot", "x.svg", cwd=workdir)
    assert (code, out) == (1, "")
    assert "This needs the package altair." in words(err)


def test_a_chart_names_options(workdir):
    code, _, err = run("hits", "toy.duckdb", "CD3E", "--min-cells", "1", "--plot", "x.json", cwd=workdir)
    assert code == 0, err
    drawn = (workdir / "x.json").read_text()
    assert "--min-samples 1 keeps it" in drawn
    assert "`" not in drawn
