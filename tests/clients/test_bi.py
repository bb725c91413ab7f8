"""`make bi` without Superset: the data set gives sigdb's scores, and a failure names every missing part."""

from __future__ import annotations

import subprocess
import sys

import duckdb
import jinja2
import pytest

import sigdb
from tests.support import ROOT

BI = ROOT / "docs" / "superset"


def where_in(values):
    """Superset's Jinja filter of this name: the values as a quoted SQL list."""
    return "({})".format(", ".join("'{}'".format(value.replace("'", "''")) for value in values))


def data_set(chosen):
    """The SQL of the data set, as Superset renders it for these chosen signatures."""
    environment = jinja2.Environment()
    environment.filters["where_in"] = where_in
    template = environment.from_string((BI / "signature_by_sample.sql").read_text())
    return template.render(filter_values=lambda column: {"signature": chosen}[column])


@pytest.mark.parametrize(("chosen", "name"), [([], "MS1"), (["HALLMARK_HYPOXIA", "MS1"], "HALLMARK_HYPOXIA")])
def test_the_filter_chooses_the_signature(demo_path, chosen, name):
    with sigdb.connect(demo_path) as con:
        found = con.execute(f"SELECT signature, sum(score * n_cells) FROM ({data_set(chosen)}) GROUP BY ALL").fetchall()
        scores = "SELECT sum(score) FROM signature_scores([?], missing := 'ignore')"
        assert found == [(name, pytest.approx(con.execute(scores, [name]).fetchall()[0][0]))]


def test_a_signature_name_is_not_run_as_sql(demo_path):
    with sigdb.connect(demo_path) as con, pytest.raises(duckdb.Error, match="empty"):
        con.execute(data_set(["x') AS signature, * FROM cells --"]))


def test_every_missing_part_is_named(tmp_path):
    arguments = ["none.duckdb", "--sigdb", "no-sigdb", "--picture", "x.png"]
    done = subprocess.run(
        [sys.executable, BI / "dashboard.py", *arguments],
        capture_output=True,
        text=True,
        env={"PATH": ""},
        cwd=tmp_path,
    )
    assert done.returncode == 1
    expected = ["there is no atlas", "no command no-sigdb", "has no superset", "make .venv-bi/ready", "no Chromium"]
    assert [text for text in expected if text not in done.stderr] == []
    assert list(tmp_path.iterdir()) == []
