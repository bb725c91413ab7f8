"""Plans, where speed hangs on them."""

from __future__ import annotations

import json

import numpy as np
import pytest

import sigdb
from sigdb import Atlas, Signature
from tests.toy import write_study

N_CELLS, N_GENES = 2000, 60
GENES = [f"GENE{i}" for i in range(N_GENES)]


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    """2,000 cells, 60 genes; each cell has one non-zero."""
    path = tmp_path_factory.mktemp("plans") / "plans.duckdb"
    dense = np.zeros((N_CELLS, N_GENES), np.float32)
    dense[np.arange(N_CELLS), np.arange(N_CELLS) % N_GENES] = 1
    with Atlas.create(path) as atlas:
        write_study(atlas, dense, GENES)
        atlas.add_signatures([Signature("ALL", tuple(GENES))])
    with sigdb.connect(path) as con:
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
    """No operator handles cells x genes rows (120,000): DuckDB 2.0 does so when a macro is phrased less luckily."""
    parameters = {"genes": GENES} if "$genes" in query else {}
    ((_, plan),) = con.execute(f"EXPLAIN (ANALYZE, FORMAT json) {query}", parameters).fetchall()
    rows = list(rows_of_operators(json.loads(plan)))
    assert N_CELLS <= max(rows) <= 2 * N_CELLS
