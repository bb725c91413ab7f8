"""Query plans that speed depends on."""

from __future__ import annotations

import json

import duckdb
import numpy as np
import pytest

import sigdb
from sigdb import Signature
from sigdb.atlas.derived import cluster
from sigdb.lake import files
from tests.support.toy import new_atlas, write_study

N_CELLS, N_GENES = 2000, 60
GENES = [f"GENE{i}" for i in range(N_GENES)]


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    """2,000 cells, 60 genes; each cell has one non-zero."""
    path = tmp_path_factory.mktemp("plans") / "plans.duckdb"
    dense = np.zeros((N_CELLS, N_GENES), np.float32)
    dense[np.arange(N_CELLS), np.arange(N_CELLS) % N_GENES] = 1
    with new_atlas(path, GENES) as atlas:
        write_study(atlas, dense, GENES)
        atlas.add_signatures([Signature("ALL", tuple(GENES))])
    with sigdb.connect(path, trusted=True) as con:
        yield con


def rows_of_operators(node):
    """How many rows came out of each operator of an analysed plan, in the JSON of DuckDB 1.x or 2.x."""
    if isinstance(node, list):
        for each in node:
            yield from rows_of_operators(each)
    elif isinstance(node, dict):
        yield int(node.get("operator_cardinality", node.get("intermediate_rows", 0)))
        yield from rows_of_operators(list(node.values()))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT avg(signature_score(cell_id, $genes)) FROM cells",
        "SELECT count(*) FROM cells WHERE signature_score(cell_id, $genes) > 0",
        "SELECT avg(signature_score(cell_id, signature_genes('ALL'))) FROM cells",
        "SELECT avg(signature_score(cell_id, (SELECT list(gene) FROM signatures WHERE signature = 'ALL'))) FROM cells",
        "SELECT avg(score) FROM signature_score($genes)",
    ],
)
def test_a_gene_list_is_resolved_once_not_once_for_every_cell(con, query):
    """No operator has cells x genes rows (120,000), as DuckDB 2.0 plans some other phrasings of the macro."""
    parameters = {"genes": GENES} if "$genes" in query else {}
    ((_, plan),) = con.execute(f"EXPLAIN (ANALYZE, FORMAT json) {query}", parameters).fetchall()
    rows = list(rows_of_operators(json.loads(plan)))
    assert N_CELLS <= max(rows) <= 2 * N_CELLS


names_its_scans = pytest.mark.file_only("a plan names the table of a scan only if it is in the file")
# The size of a row group in any DuckDB.
N_ROWS, ROW_GROUP = 30_000 * 40, 122_880


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """30,000 cells, 40 genes, all scores stored and sorted: 10 to 15 row groups, of 3 or 4 genes each."""
    path = tmp_path_factory.mktemp("dense") / "dense.duckdb"
    scores = np.random.default_rng(0).uniform(1, 2, (30_000, 40)).astype(np.float32)
    genes = [f"GENE{i:02}" for i in range(40)]
    with new_atlas(path, genes) as atlas:
        write_study(atlas, scores, genes)
        atlas.add_signatures([Signature(f"S{i}", tuple(genes[i : i + 20])) for i in range(20)])
        with atlas.transaction() as con:
            cluster(con)
    with sigdb.connect(path, trusted=True) as con:
        yield con


def rows_read(con, query):
    """How many attributions a query reads; on DuckDB 1.x, which does not say, how many pass the filters of the scan."""

    def scans(node):
        if isinstance(node, list):
            return [row for each in node for row in scans(each)]
        if not isinstance(node, dict):
            return []
        table = str((node.get("extra_info") or {}).get("Table", ""))
        read = node.get("rows_scanned", node.get("operator_cardinality", 0)) if "attributions" in table else 0
        return [read, *(row for key, each in node.items() if key != "extra_info" for row in scans(each))]

    ((_, plan),) = con.execute(f"EXPLAIN (ANALYZE, FORMAT json) {query}").fetchall()
    return sum(scans(json.loads(plan)))


@names_its_scans
@pytest.mark.parametrize(
    "query",
    [
        "SELECT sum(score) FROM signature_score(['GENE03', 'GENE04'])",
        "SELECT sum(signature_score(cell_id, ['GENE03', 'GENE04'])) FROM cells",
        "SELECT count(*) FROM signature_hits(['GENE03', 'GENE04'], against := 'cells')",
    ],
)
def test_only_the_row_groups_of_the_genes_are_read(dense, query):
    """Two adjacent genes lie in two row groups of ten or more; hits may compute the scores twice."""
    assert 0 < rows_read(dense, query) <= (4 if "hits" in query else 2) * ROW_GROUP


@names_its_scans
@pytest.mark.skipif(duckdb.__version__ < "2", reason="DuckDB 1.x does not say how many rows a scan reads")
def test_many_signatures_take_one_scan(dense):
    """20 signatures of 20 genes: each gene is read once, however many signatures contain it."""
    read = rows_read(dense, "SELECT count(*) FROM signature_scores((SELECT list(signature) FROM signature_info))")
    assert N_ROWS * 0.9 < read < N_ROWS * 1.1


@names_its_scans
def test_a_materialised_signature_is_read_without_the_attributions(tmp_path):
    with new_atlas(tmp_path / "a.duckdb", GENES[:4]) as atlas:
        write_study(atlas, np.random.default_rng(0).uniform(1, 2, (30_000, 4)).astype(np.float32), GENES[:4])
        atlas.add_signatures([Signature("S", tuple(GENES[:4]))])
        atlas.materialize(["S"])
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        query = "SELECT count(*) FROM signature_scores(['S'])"
        assert con.execute(query).fetchall() == [(30_000,)]
        # Each of 13 branches starts its scan, and finds that it has no gene to look for.
        assert rows_read(con, query) <= 13 * 2 * 2048


@pytest.mark.file_only("it makes a lake of its own")
def test_plans_of_a_lake(dense, tmp_path_factory):
    """Files of 16 genes with row groups of 4 genes. Sums by cell are made in an array."""
    folder = tmp_path_factory.mktemp("lake") / "lake"
    ((path, _),) = dense.execute("SELECT path, readonly FROM duckdb_databases() WHERE NOT internal").fetchall()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "ROW_GROUP", 120_000)
        sigdb.export_lake(path, folder, genes_per_bucket=16)
    with sigdb.connect(folder) as con:
        query = "SELECT sum(score) FROM signature_score(['GENE03', 'GENE17'])"
        assert con.execute(query).fetchall() == [(pytest.approx(dense.execute(query).fetchall()[0][0]),)]
        ((_, plan),) = con.execute(f"EXPLAIN {query}").fetchall()
        assert "PERFECT" in plan.upper()
        ((_, plan),) = con.execute(f"EXPLAIN (ANALYZE, FORMAT json) {query}").fetchall()
        assert max(rows_of_operators(json.loads(plan))) <= 2 * 120_000
