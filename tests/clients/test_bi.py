"""`make bi`, without Superset: the data set gives sigdb's scores, and what is missing is named."""

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
    """Superset's filter of this name, as it says: a list in SQL, quoted."""
    return "({})".format(", ".join("'{}'".format(value.replace("'", "''")) for value in values))


def data_set(chosen):
    """The SQL of the data set, as Superset renders it for these values of the filter."""
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


def test_a_name_of_a_signature_is_no_sql(demo_path):
    with sigdb.connect(demo_path) as con, pytest.raises(duckdb.Error, match="empty"):
        con.execute(data_set(["x') AS signature, * FROM cells --"]))


def test_what_is_missing_is_named(tmp_path):
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
