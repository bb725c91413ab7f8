"""Database tools of Python, and dbt: they get the same rows, and find views and comments where BI tools look."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import duckdb
import pytest

import sigdb
from sigdb.atlas.schema import objects
from tests.support import ROOT

HERE = Path(__file__).parent
PYTHON = ROOT / ".venv-tools" / "bin" / "python"
pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="the tools are not installed: make .venv-tools/ready")

GENES = ["LYZ", "CD14", "S100A8", "FAM65B"]
QUERY = """
    SELECT c.study, c.cell_type, count(*) AS n, round(avg(s.score), 6) AS score
    FROM signature_score(:genes) AS s JOIN cells AS c ON s.cell_id = c.cell_id
    GROUP BY c.study, c.cell_type ORDER BY c.study, c.cell_type
"""


def ask(tool, path, query=QUERY, genes=GENES):
    command = [PYTHON, HERE / "tools.py", tool, path, query, json.dumps(genes)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=path.parent)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["sqlalchemy", "pandas", "polars", "adbc"])
def test_a_bound_list_of_genes_gives_the_same_rows(demo_path, tool):
    with sigdb.connect(demo_path) as con:
        rows = con.execute(QUERY.replace(":genes", "$genes"), {"genes": GENES}).fetchall()
    assert len(rows) > 30
    assert ask(tool, demo_path) == [list(row) for row in rows]


def test_reflection_lists_views_columns_and_comments(demo_path):
    seen = ask("reflection", demo_path)
    assert {each.name for each in objects() if each.kind == "VIEW"} <= set(seen["views"])
    assert seen["comment"].startswith("cells -> VIEW")
    with sigdb.connect(demo_path) as con:
        columns = "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'cells'"
        assert seen["columns"] == dict(con.execute(columns).fetchall())


@pytest.mark.slow
def test_dbt_builds_tables_from_macros_and_views(demo_path, tmp_path):
    """The project tests/clients/dbt attaches an atlas; one of its models calls a macro, the other reads a view."""
    atlas, out = shutil.copy(demo_path, tmp_path / "cells_of_mine.duckdb"), tmp_path / "out.duckdb"
    with sigdb.Atlas(atlas) as opened:
        opened.add_views(["MS1"], missing="ignore")
    project = HERE / "dbt"
    folders = ["--project-dir", project, "--profiles-dir", project, "--target-path", tmp_path / "target"]
    environment = os.environ | {"SIGDB_ATLAS": str(atlas), "SIGDB_OUT": str(out)}
    dbt = [PYTHON.with_name("dbt"), "--no-send-anonymous-usage-stats", "run", *folders, "--log-path", tmp_path / "logs"]
    done = subprocess.run(dbt, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout
    with sigdb.connect(demo_path) as con:
        by_type = con.execute(QUERY.replace(":genes", "$genes"), {"genes": GENES}).fetchall()
        scores = (
            "SELECT study, avg(score) FROM signature_scores(['MS1'], missing := 'ignore') JOIN cells USING (cell_id)"
        )
        by_study = con.execute(f"{scores} GROUP BY study ORDER BY study").fetchall()
    with duckdb.connect(str(out), read_only=True) as con:
        assert con.execute("FROM by_type ORDER BY study, cell_type").fetchall() == by_type
        found = con.execute("FROM by_study ORDER BY study").fetchall()
    assert found == [(study, pytest.approx(score)) for study, score in by_study]
