"""SQLAlchemy, pandas, polars and ADBC on an atlas: the same rows; views and comments where a BI tool looks for them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import sigdb
from sigdb.catalog import VIEWS

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-tools" / "bin" / "python"
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


@pytest.mark.parametrize("tool", ["sqlalchemy", "pandas", "polars", "adbc"])
def test_a_bound_list_of_genes_gives_the_same_rows(demo_path, tool):
    with sigdb.connect(demo_path) as con:
        rows = con.execute(QUERY.replace(":genes", "$genes"), {"genes": GENES}).fetchall()
    assert len(rows) > 30
    assert ask(tool, demo_path) == [list(row) for row in rows]


def test_reflection_lists_views_columns_and_comments(demo_path):
    seen = ask("reflection", demo_path)
    assert set(VIEWS) <= set(seen["views"])
    assert seen["comment"].startswith("cells -> VIEW")
    with sigdb.connect(demo_path) as con:
        columns = "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'cells'"
        assert seen["columns"] == dict(con.execute(columns).fetchall())
