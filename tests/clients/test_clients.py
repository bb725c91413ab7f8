"""Other clients of one atlas file: queries give the same rows where sigdb is not installed."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import sigdb
from tests.support import ROOT
from tests.support.toy import write_study

HERE = Path(__file__).parent
CLIENTS = ROOT / ".clients"
VERSIONS = ("1.4.2", "1.4.5", "1.5.6", "2.0.1")
EACH_VERSION = pytest.mark.parametrize(
    "version", [pytest.param(each, marks=[pytest.mark.slow] * (each in VERSIONS[1:-1])) for each in VERSIONS]
)

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

# Views of a signature in an atlas that a client attaches to its own database: no USE, no macros.
ATTACHED = {
    "one row per cell": """
        SELECT study, cell_type, count(*) AS n, round(sum(score), 6) AS total FROM elsewhere.cell_scores."MS1"
        GROUP BY ALL ORDER BY ALL""",
    "one row per sample and type": """
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


@pytest.fixture(scope="module")
def grown_path(tmp_path_factory):
    """Three studies of two models, added one after the other: DuckDB 1.4.1 and older cannot find the metadata."""
    path = tmp_path_factory.mktemp("grown") / "grown.duckdb"
    for n_cells, n_genes in ((2000, 20), (6000, 20), (5, 200)):
        scores = np.random.default_rng(0).normal(size=(n_cells, n_genes))
        names = {"study": f"{n_cells} cells", "model": f"{n_genes} genes", "run": f"{n_genes} genes"}
        with sigdb.Atlas.open_or_create(path) as atlas:
            write_study(atlas, scores, [f"G{i}" for i in range(n_genes)], **names)
    return path


GROWN = "SELECT study, n_cells FROM studies ORDER BY ALL"


def attach_and_query(path, query):
    """The statements of a client that has its own database, with a table called `cells`, and attaches the atlas."""
    return f"CREATE TEMP TABLE cells AS SELECT 1 AS cell_id; ATTACH '{path}' AS elsewhere (READ_ONLY); {query}"


def rows_of(path, queries):
    """The rows of each query through sigdb's own connection."""
    with sigdb.connect(path) as con:
        return {name: [list(row) for row in con.execute(query).fetchall()] for name, query in queries.items()}


@pytest.fixture(scope="module")
def expected(demo_path):
    return rows_of(demo_path, QUERIES)


@pytest.fixture(scope="module")
def expected_of_views(viewed_path):
    return rows_of(viewed_path, {name: query.replace("elsewhere.", "") for name, query in ATTACHED.items()})


def output_of(command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def require(path, what):
    """Skip the test if a client is not installed."""
    if not Path(path).exists():
        pytest.skip(f"{what} is not installed; `make test` installs it")


@pytest.fixture(scope="module")
def python_answers(demo_path, viewed_path, grown_path):
    """A function of the version of DuckDB: the answers to all queries, from one process that has only duckdb."""
    queries = {name: (str(demo_path), query) for name, query in QUERIES.items()}
    queries |= {name: (":memory:", attach_and_query(viewed_path, query)) for name, query in ATTACHED.items()}
    queries["grown"] = (str(grown_path), GROWN)

    @cache
    def answers(version):
        folder = CLIENTS / f"duckdb-{version}"
        require(folder, f"duckdb {version}, alone,")
        # -I -S: neither the packages of this environment nor the current folder.
        command = [sys.executable, "-I", "-S", HERE / "query.py", folder]
        return json.loads(output_of(command, input=json.dumps(queries)))

    return answers


@pytest.fixture(scope="module")
def shell_answers(demo_path, tmp_path_factory):
    """The answers of the DuckDB shell, as text, to all queries in one process."""
    shell = shutil.which("duckdb", path=str(Path(sys.executable).parent))
    require(shell or "none", "duckdb-cli")
    folder = tmp_path_factory.mktemp("shell")
    files = {name: folder / f"{number}.csv" for number, name in enumerate(QUERIES)}
    script = "".join(f".output '{files[name]}'\n{query};\n" for name, query in QUERIES.items())
    command = [shell, "-readonly", "-csv", "-nullvalue", "", demo_path]
    output_of(command, input=script)
    return {name: list(csv.DictReader(io.StringIO(file.read_text()))) for name, file in files.items()}


@pytest.fixture(scope="module")
def node_answers(demo_path):
    """The answers of DuckDB's Node client to all queries in one process."""
    require(shutil.which("node") or "none", "node")
    require(CLIENTS / "node" / "node_modules", "@duckdb/node-api")
    queries = {name: (str(demo_path), query) for name, query in QUERIES.items()}
    environment = {**os.environ, "CLIENT": str(CLIENTS / "node")}
    return json.loads(output_of(["node", HERE / "query.mjs"], input=json.dumps(queries), env=environment))


def test_the_queries_have_rows(expected):
    assert all(expected.values())
    assert len(expected["table macro"]) > 30


@EACH_VERSION
@pytest.mark.parametrize("query", QUERIES)
def test_python_with_nothing_but_duckdb(python_answers, expected, version, query):
    assert python_answers(version)[query] == expected[query]


@EACH_VERSION
@pytest.mark.parametrize("query", ATTACHED)
def test_views_of_a_signature_where_the_atlas_is_only_attached(python_answers, expected_of_views, version, query):
    assert len(expected_of_views[query]) > 40
    assert python_answers(version)[query] == expected_of_views[query]


@EACH_VERSION
def test_a_file_that_older_versions_of_duckdb_cannot_open(python_answers, version):
    assert python_answers(version)["grown"] == [["2000 cells", 2000], ["5 cells", 5], ["6000 cells", 6000]]


@pytest.mark.parametrize("query", QUERIES)
def test_duckdb_shell(shell_answers, expected, query):
    rows = [list(row.values()) for row in shell_answers[query]]
    wanted = [["" if value is None else value for value in row] for row in expected[query]]
    assert [
        [type(b)(a) for a, b in zip(row, want, strict=True)] for row, want in zip(rows, wanted, strict=True)
    ] == wanted


@pytest.mark.parametrize("query", QUERIES)
def test_node(node_answers, expected, query):
    assert node_answers[query] == expected[query]
