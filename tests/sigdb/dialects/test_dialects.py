"""Queries for BigQuery, run by GoogleSQL's own evaluator; queries for Trino, parsed by its own grammar."""

from __future__ import annotations

import re
import shutil

import duckdb
import pytest

import sigdb
from tests.sigdb.dialects.test_transpile import EVERYTHING, OBJECTS, REFUSED, multiset
from tests.support.queries import MEANINGS, QUERIES

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def small_path(two_runs_path, tmp_path_factory):
    """A few cells and genes of the atlas of two runs, since the evaluator joins by comparing all pairs of rows."""
    path = tmp_path_factory.mktemp("small") / "small.duckdb"
    shutil.copy(two_runs_path, path)
    named = sorted(set(re.findall(r"[A-Z0-9]{2,}", " ".join(QUERIES.values()).upper())))
    kept = (
        "SELECT gene_id FROM sigdb_data.genes WHERE list_contains($named, symbol) UNION SELECT n.gene_id "
        "FROM sigdb_data.gene_names AS n JOIN sigdb_data.signatures AS s ON n.name = s.gene WHERE s.signature = 'MS1'"
    )
    with duckdb.connect(str(path)) as con:
        for table in ("cell_data", "attributed_cells", "attributions", "signature_cells"):
            con.execute(f"DELETE FROM sigdb_data.{table} WHERE cell_id % 120 <> 0")
        for table in ("attributions", "attribution_summary", "gene_names", "model_genes", "study_genes", "genes"):
            con.execute(f"DELETE FROM sigdb_data.{table} WHERE gene_id NOT IN ({kept})", {"named": named})
        con.execute("DELETE FROM sigdb_data.signatures WHERE signature NOT IN ('MS1', 'HALLMARK_HYPOXIA')")
    return path


@pytest.fixture(scope="module")
def google():
    pytest.importorskip("zetasql", reason="zetasql is not installed: make test-dialects")
    from tests.support import googlesql

    return googlesql


@pytest.fixture(scope="module")
def evaluator(google):
    return google.client()


@pytest.fixture(scope="module")
def toy_tables(google, evaluator, toy_path):
    return google.Database(evaluator, toy_path)


@pytest.fixture(scope="module")
def small_tables(google, evaluator, small_path):
    return google.Database(evaluator, small_path)


# The evaluator looks the signature up again for every pair of a cell and a gene, which takes it a quarter of an hour.
# `signature_genes` itself, and the score of its genes, are evaluated apart.
TOO_SLOW = {"scalar with a signature of the library"}


def accepted_by_bigquery(names):
    return [name for name in names if name not in REFUSED["bigquery"]]


@pytest.mark.parametrize(
    "each",
    [each for each in OBJECTS if each.name not in REFUSED["bigquery"]],
    ids=lambda each: f"{each.kind}-{each.name}",
)
def test_example_in_googlesql_gives_what_the_header_says(toy_tables, each):
    ((value, *_), *rest) = toy_tables.query(sigdb.transpile(each.example, "bigquery"))
    assert rest == []
    assert str(value).lower() == each.expected.lower()


@pytest.mark.parametrize("name", [name for name in accepted_by_bigquery(QUERIES) if name not in TOO_SLOW])
def test_query_in_googlesql_gives_what_duckdb_gives(small_tables, small_path, name):
    with sigdb.connect(small_path) as con:
        expected = con.execute(QUERIES[name]).fetchall()
    assert multiset(small_tables.query(sigdb.transpile(QUERIES[name], "bigquery"))) == multiset(expected)


@pytest.mark.parametrize("name", accepted_by_bigquery(MEANINGS))
def test_query_has_the_same_meaning_in_googlesql(toy_tables, name):
    expected = duckdb.sql(MEANINGS[name]).fetchall()
    assert multiset(toy_tables.query(sigdb.transpile(MEANINGS[name], "bigquery"))) == multiset(expected)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("FROM signature_score(['XYZ'])", "1 of 1 gene is not in this atlas: XYZ. check_genes"),
        ("FROM signature_score(['CD3E'], weights := [0])", "All weights are 0"),
        ("SELECT signature_score(cell_id, ['CD3E'], agg := 'median') FROM cells", "agg must be 'mean' or 'sum'"),
    ],
)
def test_checks_raise_in_googlesql(toy_tables, query, text):
    with pytest.raises(Exception, match=re.escape(text)):
        toy_tables.query(sigdb.transpile(query, "bigquery"))


@pytest.mark.parametrize("name", [name for name in EVERYTHING | MEANINGS if name not in REFUSED["trino"]])
def test_trino_parses_it(name):
    trino = pytest.importorskip("trino_query_parser", reason="trino-query-parser is not installed: make test-dialects")
    trino.parse_statement(sigdb.transpile((EVERYTHING | MEANINGS)[name], "trino"))
