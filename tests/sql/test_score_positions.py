"""The scalar macro is right wherever an expression is allowed, and no name of the caller captures one of ours."""

from __future__ import annotations

import re

import duckdb
import pytest

import sigdb
from tests.support.lakes import assert_same, path_to_read

S = "signature_score({cell}, ['S100A8', 'S100A9'])"

# Each query must give the cells whose score of (S100A8, S100A9) is above 1: only cell 0.
POSITIONS = {
    "select": f"SELECT cell_id FROM (SELECT cell_id, {S} AS s FROM {{cells}}) WHERE s > 1",
    "where": f"SELECT cell_id FROM {{cells}} WHERE {S} > 1",
    "having": f"SELECT cell_id FROM {{cells}} GROUP BY cell_id HAVING {S} > 1",
    "having aggregate": f"SELECT min(cell_id) FROM {{cells}} GROUP BY cell_type HAVING avg({S}) > 1",
    "on": f"SELECT c.cell_id FROM {{cells}} AS c JOIN (SELECT 1 AS one) AS d ON {S.format(cell='c.cell_id')} > d.one",
    "order by": f"SELECT cell_id FROM {{cells}} ORDER BY {S} DESC LIMIT 1",
    "cte": f"WITH t AS (SELECT cell_id, {S} AS s FROM {{cells}}) SELECT cell_id FROM t WHERE s > 1",
    "lateral": (
        f"SELECT c.cell_id FROM {{cells}} AS c, LATERAL (SELECT {S.format(cell='c.cell_id')} AS s) AS l WHERE l.s > 1"
    ),
    "case": f"SELECT cell_id FROM {{cells}} WHERE CASE WHEN {S} > 1 THEN true ELSE false END",
    "exists": f"SELECT cell_id FROM {{cells}} AS c WHERE EXISTS (SELECT 1 WHERE {S.format(cell='c.cell_id')} > 1)",
    "qualify": f"SELECT cell_id FROM (SELECT cell_id, {S} AS s FROM {{cells}}) QUALIFY s = max(s) OVER ()",
    "aggregate filter": f"SELECT max(cell_id) FILTER ({S} > 1) FROM {{cells}}",
}


@pytest.mark.parametrize("cell", ["cell_id", "c.cell_id"], ids=["bare", "qualified"])
@pytest.mark.parametrize("position", POSITIONS)
def test_scalar_macro_in_every_position(toy, position, cell):
    query = POSITIONS[position].format(cell=cell, cells="cells AS c").replace("AS c AS c", "AS c")
    assert toy.execute(query).fetchall() == [(0,)]


ALIASED = {
    "where": f"SELECT cell_id, {S} AS s FROM cells WHERE s > 1",
    "window": f"SELECT cell_id, row_number() OVER (ORDER BY {S} DESC) AS s FROM cells QUALIFY s = 1",
}


@pytest.mark.parametrize("query", ALIASED)
def test_a_position_without_volatile_expressions_gives_scores_or_says_so(toy, query):
    """A score can raise an error, so DuckDB 2.0 takes it for volatile and refuses it here; DuckDB 1.x does not."""
    try:
        rows = toy.execute(ALIASED[query].format(cell="cell_id")).fetchall()
    except duckdb.BinderException as error:
        assert re.search(r"volatile|side effects", str(error))  # noqa: PT017 (either outcome is right)
    else:
        assert [cell for cell, _ in rows] == [0]


NAMES = [
    "genes",
    "weights",
    "run",
    "cell_id",
    "score",
    "symbol",
    "gene_id",
    "_cell",
    "_gene",
    "_value",
    "name",
    "q",
    "a",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_column_of_the_caller_is_not_captured(toy, name):
    quoted = f'"{name}"'
    scalar = f"SELECT signature_score(t.id, t.{quoted}) FROM (SELECT 1 AS id, ['CD3E'] AS {quoted}) AS t"
    assert toy.execute(scalar).fetchall() == [(9.0,)]
    bare = f"SELECT signature_score(1, {quoted}) FROM (SELECT ['CD3E'] AS {quoted}) AS t"
    assert toy.execute(bare).fetchall() == [(9.0,)]
    if name != "cell_id":
        bare_cell = f"SELECT signature_score({quoted}, ['CD3E']) FROM (SELECT 1 AS {quoted}) AS t"
        assert toy.execute(bare_cell).fetchall() == [(9.0,)]


def test_each_row_may_ask_for_another_signature(toy):
    rows = toy.execute(
        """
        SELECT s.signature, c.cell_id, signature_score(c.cell_id, s.genes)
        FROM (SELECT signature, list(gene) AS genes FROM signatures GROUP BY signature) AS s, cells AS c
        ORDER BY ALL
        """
    ).fetchall()
    assert rows == [
        ("MYELOID", 0, 4.0),
        ("MYELOID", 1, 0.0),
        ("MYELOID", 2, 0.0),
        ("T_CELL", 0, 0.0),
        ("T_CELL", 1, 9.0),
        ("T_CELL", 2, 0.0),
    ]
    table = toy.execute(
        """
        SELECT s.signature, t.cell_id, t.score
        FROM (SELECT signature, list(gene) AS genes FROM signatures GROUP BY signature) AS s,
            signature_score(s.genes) AS t
        ORDER BY ALL
        """
    ).fetchall()
    assert table == rows


@pytest.mark.slow
@pytest.mark.parametrize(
    "macro",
    [
        "signature_hits({genes})",
        "signature_hits({genes}, cells := 'cells', percentile := 50, against := 'cells')",
        "sample_hit_rates({genes}, min_cells := 1)",
        "signature_by_sample({genes})",
    ],
)
def test_each_row_may_ask_a_table_macro_for_another_signature(toy, macro):
    lists = [["S100A8", "S100A9"], ["CD3E"]]
    alone = [row for genes in lists for row in toy.execute(f"FROM {macro.format(genes=genes)}").fetchall()]
    rows = toy.execute(
        f"SELECT t.* FROM (SELECT unnest({lists}) AS g) AS s, {macro.format(genes='s.g')} AS t"
    ).fetchall()
    assert_same(sorted(rows, key=repr), sorted(alone, key=repr))


def test_each_row_may_ask_for_another_signature_of_the_library(toy):
    query = (
        "FROM (SELECT unnest(['MYELOID', 'T_CELL']) AS n) AS s, signature_scores([s.n]) AS t SELECT t.* ORDER BY ALL"
    )
    assert (
        toy.execute(query).fetchall()
        == toy.execute("FROM signature_scores(['MYELOID', 'T_CELL']) ORDER BY ALL").fetchall()
    )


def test_no_score_is_above_the_highest(toy):
    """The cut-off and the scores are one evaluation: two could differ in the last digits of their sums."""
    query = "SELECT count(*) FILTER (is_hit) FROM signature_hits(['S100A8'], percentile := 100, against := 'cells')"
    assert toy.execute(query).fetchall() == [(0,)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("FROM signature_score('CD3E')", "write ['CD3E']; for a signature of the library, signature_genes('CD3E')"),
        ("SELECT signature_score(cell_id, 'CD3E') FROM cells", "The genes must be a list, not the text 'CD3E'"),
        ("FROM signature_hits('CD3E')", "The genes must be a list, not the text 'CD3E'"),
        ("FROM signature_by_sample('CD3E')", "The genes must be a list, not the text 'CD3E'"),
        ("FROM signature_score(['CD3E'], weights := 2)", "The weights must be a list of numbers, one per gene"),
        (
            "FROM signature_score(['CD3E'], weights := 'a')",
            "The weights must be a list of numbers, one per gene",
        ),
        ("FROM check_genes('CD3E')", "The genes must be a list, not the text 'CD3E'"),
        ("FROM signature_scores('T_CELL')", "The signatures must be a list, not the text 'T_CELL'. Write ['T_CELL']"),
    ],
)
def test_a_text_where_a_list_belongs_is_explained(toy, query, expected):
    with pytest.raises(duckdb.Error, match=re.escape(expected)):
        toy.execute(query).fetchall()


DECOYS = ["cells", "genes", "attributions", "signatures", "gene_names", "attributed_cells", "attribution_runs"]


@pytest.mark.parametrize("decoy", DECOYS)
def test_relations_of_the_caller_do_not_replace_ours(toy_path, decoy):
    expected = [(0, 0.0), (1, 9.0), (2, 0.0)]
    with sigdb.connect(toy_path) as con:
        body = "SELECT 1 AS cell_id, 0 AS gene_id, 0 AS run_id, 'CD3E' AS symbol, 5.0 AS score"
        cte = f"WITH {decoy} AS ({body}) SELECT cell_id, score FROM signature_score(['CD3E']) ORDER BY 1"
        assert con.execute(cte).fetchall() == expected
        con.execute(f"CREATE TEMP TABLE {decoy} AS {body}")
        assert con.execute("SELECT cell_id, score FROM signature_score(['CD3E']) ORDER BY 1").fetchall() == expected
        assert con.execute("SELECT signature_score(1, ['CD3E'])").fetchall() == [(9.0,)]


def test_attached_under_another_name(toy_path):
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{path_to_read(toy_path)}' AS other (READ_ONLY)")
        assert con.execute("SELECT count(*) FROM other.cells").fetchall() == [(3,)]
        with pytest.raises(duckdb.Error):
            con.execute("FROM other.signature_score(['CD3E'])")
        con.execute("USE other")
        assert con.execute("SELECT signature_score(1, ['CD3E'])").fetchall() == [(9.0,)]


def test_prepared_statement(toy):
    toy.execute("PREPARE q AS SELECT score FROM signature_score($1, weights := $2) WHERE cell_id = 0")
    assert toy.execute("EXECUTE q(['S100A8', 'S100A9'], [1, 3])").fetchall() == [(3.0,)]
