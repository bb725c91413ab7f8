"""One atlas file, other clients: the same queries give the same rows where no sigdb is installed."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sigdb
from tests.support import ROOT
from tests.support.toy import write_study

HERE = Path(__file__).parent
CLIENTS = ROOT / ".clients"
VERSIONS = ("1.4.2", "1.4.5", "1.5.6", "2.0.0")

QUERIES = {
    "table macro": """
        SELECT c.study, c.cell_type, count(*) AS n, round(avg(s.score), 6) AS score
        FROM signature_score(['LYZ', 'CD14', 'S100A8', 'FAM65B'], weights := [1, 2, 0.5, 1]) AS s
        JOIN cells AS c ON s.cell_id = c.cell_id GROUP BY ALL ORDER BY ALL""",
    "scalar macro": """
        SELECT barcode, round(signature_score(cell_id, ['CD3D', 'CD3E', 'TRAC'], missing := 'ignore'), 6) AS score
        FROM cells WHERE signature_score(cell_id, ['CD3D', 'CD3E', 'TRAC'], missing := 'ignore') > 8 ORDER BY ALL""",
    "library": """
        SELECT signature, round(sum(score), 3) AS total, count(*) AS n
        FROM signature_scores(['MS1', 'HALLMARK_HYPOXIA', 'HALLMARK_MYOGENESIS'], missing := 'ignore', signed := true)
        GROUP BY signature ORDER BY signature""",
    "library list": """
        SELECT count(*) AS n, round(sum(score), 3) AS total
        FROM signature_score(signature_genes('MS1'), weights := signature_weights('MS1'), missing := 'ignore')""",
    "lateral": """
        SELECT t.name, round(sum(s.score), 3) AS total
        FROM (VALUES ('t', ['CD3D', 'CD3E']), ('b', ['MS4A1'])) AS t(name, genes), signature_score(t.genes) AS s
        GROUP BY t.name ORDER BY t.name""",
    "genes": """
        SELECT gene, symbol, status, suggestion
        FROM check_genes(['FAM65B', 'CD20', 'ENSG00000143546.9', 'lyz', 'S100A88'])""",
    "attributions": """
        SELECT gene, count(*) AS n, round(sum(signed_score), 3) AS total
        FROM gene_attributions(['INS', 'GCG']) GROUP BY gene ORDER BY gene""",
    "cube": """
        SELECT cell_type, round(sum(sum_abs), 3) AS total FROM attribution_summary AS a JOIN genes USING (gene_id)
        WHERE symbol = 'INS' GROUP BY ALL ORDER BY ALL""",
}

# From a database of the client's own, where the atlas is attached and not USEd: views of a signature, no macros.
ATTACHED = {
    "a row a cell": """
        SELECT study, cell_type, count(*) AS n, round(sum(score), 6) AS total FROM elsewhere.cell_scores."MS1"
        GROUP BY ALL ORDER BY ALL""",
    "a row a sample and type": """
        SELECT sample, cell_type, n_cells, round(score, 6) AS score, n_measured FROM elsewhere.sample_scores."MS1"
        ORDER BY ALL""",
}


@pytest.fixture(scope="module")
def viewed_path(demo_path, tmp_path_factory):
    """The demo atlas with views of MS1."""
    path = shutil.copy(demo_path, tmp_path_factory.mktemp("views") / "demo.duckdb")
    with sigdb.Atlas(path) as atlas:
        atlas.add_views(["MS1"], missing="ignore")
    return path


def attached(path, query):
    """What a client says that has a database of its own, with a table called `cells`."""
    return f"CREATE TEMP TABLE cells AS SELECT 1 AS cell_id; ATTACH '{path}' AS elsewhere (READ_ONLY); {query}"


@pytest.fixture(scope="module")
def expected(demo_path):
    """Rows of each query through sigdb's own connection."""
    with sigdb.connect(demo_path) as con:
        return {name: [list(row) for row in con.execute(query).fetchall()] for name, query in QUERIES.items()}


def output_of(command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def needs(path, what):
    if not Path(path).exists():
        pytest.skip(f"{what} is not installed; `make test` installs it")


def test_the_queries_have_rows(expected):
    assert all(expected.values())
    assert len(expected["table macro"]) > 30


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("query", QUERIES)
def test_python_with_nothing_but_duckdb(demo_path, expected, version, query):
    folder = CLIENTS / f"duckdb-{version}"
    needs(folder, f"duckdb {version}, alone,")
    # -I -S: neither this environment's packages nor the current folder.
    out = output_of([sys.executable, "-I", "-S", HERE / "query.py", folder, demo_path, QUERIES[query]])
    assert json.loads(out) == expected[query]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("query", ATTACHED)
def test_views_of_a_signature_where_the_atlas_is_only_attached(viewed_path, version, query):
    folder = CLIENTS / f"duckdb-{version}"
    needs(folder, f"duckdb {version}, alone,")
    with sigdb.connect(viewed_path) as con:
        rows = con.execute(ATTACHED[query].replace("elsewhere.", "")).fetchall()
    said = attached(viewed_path, ATTACHED[query])
    out = output_of([sys.executable, "-I", "-S", HERE / "query.py", folder, ":memory:", said])
    assert len(rows) > 40
    assert json.loads(out) == [list(row) for row in rows]


@pytest.fixture(scope="module")
def grown_path(tmp_path_factory):
    """Three studies, one after the other, of two models: DuckDB 1.4.1 and older cannot find the metadata."""
    path = tmp_path_factory.mktemp("grown") / "grown.duckdb"
    for n_cells, n_genes in ((2000, 20), (6000, 20), (5, 200)):
        scores = np.random.default_rng(0).normal(size=(n_cells, n_genes))
        genes = [f"G{i}" for i in range(n_genes)]
        with sigdb.Atlas.open_or_create(path) as atlas:
            write_study(
                atlas, scores, genes, study=f"{n_cells} cells", model=f"{n_genes} genes", run=f"{n_genes} genes"
            )
    return path


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_that_older_versions_of_duckdb_cannot_open(grown_path, version):
    folder = CLIENTS / f"duckdb-{version}"
    needs(folder, f"duckdb {version}, alone,")
    query = "SELECT study, n_cells FROM studies ORDER BY ALL"
    out = output_of([sys.executable, "-I", "-S", HERE / "query.py", folder, grown_path, query])
    assert json.loads(out) == [["2000 cells", 2000], ["5 cells", 5], ["6000 cells", 6000]]


@pytest.mark.parametrize("query", QUERIES)
def test_duckdb_shell(demo_path, expected, query):
    shell = shutil.which("duckdb", path=str(Path(sys.executable).parent))
    needs(shell or "none", "duckdb-cli")
    out = output_of([shell, "-readonly", "-csv", "-nullvalue", "", demo_path, "-c", QUERIES[query]])
    rows = [list(row.values()) for row in csv.DictReader(io.StringIO(out))]
    wanted = [["" if value is None else value for value in row] for row in expected[query]]
    assert [
        [type(b)(a) for a, b in zip(row, want, strict=True)] for row, want in zip(rows, wanted, strict=True)
    ] == wanted


@pytest.mark.parametrize("query", QUERIES)
def test_node(demo_path, expected, query):
    needs(shutil.which("node") or "none", "node")
    needs(CLIENTS / "node" / "node_modules", "@duckdb/node-api")
    environment = {**os.environ, "CLIENT": str(CLIENTS / "node")}
    out = output_of(["node", HERE / "query.mjs", demo_path, QUERIES[query]], env=environment)
    assert json.loads(out) == expected[query]
