"""signature_score and related macros on the toy atlas (tests/support/toy.py), with values worked out by hand."""

from __future__ import annotations

import duckdb
import pytest

import sigdb
from sigdb.errors import QueryError
from tests.support.toy import copy_toy

ALL = "SELECT cell_id, score FROM signature_score({}) ORDER BY cell_id"

SCORES = [
    # arguments, scores of cells 0, 1, 2
    ("['S100A8', 'S100A9']", (4.0, 0.0, 0.0)),
    ("['S100A8', 'S100A9'], agg := 'sum'", (8.0, 0.0, 0.0)),
    ("['S100A8', 'S100A9'], signed := true", (2.0, 0.0, 0.0)),
    ("['S100A8', 'S100A9'], weights := [1, 3]", (3.0, 0.0, 0.0)),
    ("['S100A8', 'CD3E'], weights := [1, -1]", (3.0, -4.5, 0.0)),
    ("['S100A8', 'S100A9'], weights := [1, -1], signed := true", (4.0, 0.0, 0.0)),
    ("['S100A8', 'CD3E'], weights := [0.5, -2], agg := 'sum'", (3.0, -18.0, 0.0)),
    ("['S100A8', 'CD3E'], weights := [0, 2]", (0.0, 9.0, 0.0)),
    ("['S100A8', 'S100A8', 'S100A9']", (4.0, 0.0, 0.0)),
    ("['S100A8', 'CAGA', 's100a8', 'ENSG00000143546.9']", (6.0, 0.0, 0.0)),
    ("['S100A8', 'NOSUCHGENE'], missing := 'ignore'", (6.0, 0.0, 0.0)),
    ("['S100A8', 'NOSUCHGENE'], weights := [2, 100], missing := 'ignore'", (6.0, 0.0, 0.0)),
    ("['CD3E'], run := 'toy-model-ig'", (0.0, 9.0, 0.0)),
    ("['CD3E'], run := 0", (0.0, 9.0, 0.0)),
    ("signature_genes('MYELOID'), weights := signature_weights('MYELOID')", (14 / 3, 0.0, 0.0)),
    ("signature_genes('myeloid'), weights := signature_weights('Myeloid')", (14 / 3, 0.0, 0.0)),
    ("['CD3E'::VARCHAR]::VARCHAR[]", (0.0, 9.0, 0.0)),
    ("(SELECT list(gene) FROM signatures WHERE signature = 'T_CELL')", (0.0, 9.0, 0.0)),
]


@pytest.mark.parametrize(("arguments", "expected"), SCORES, ids=[arguments for arguments, _ in SCORES])
def test_table_and_scalar_score(toy, arguments, expected):
    table = toy.execute(ALL.format(arguments)).fetchall()
    assert table == [(cell, pytest.approx(score)) for cell, score in enumerate(expected)]
    scalar = toy.execute(
        f"SELECT cell_id, signature_score(cell_id, {arguments}) FROM cells ORDER BY cell_id"
    ).fetchall()
    assert scalar == table


@pytest.mark.file_only("it adds a name to a file")
def test_names_of_the_library_that_differ_in_case_only(tmp_path):
    """A library of an older sigdb may hold such names."""
    path = copy_toy(tmp_path / "toy.duckdb")
    with duckdb.connect(path) as con:
        row = "SELECT 'Myeloid' AS signature, 0 AS position, 'CD3E' AS gene, 1.0 AS weight"
        con.execute(f"INSERT INTO sigdb_data.signatures BY NAME {row}")
        query = "SELECT signature_genes(n) FROM (VALUES ('MYELOID'), ('Myeloid'), ('myeloid')) AS t(n) ORDER BY n"
        found = con.execute(query).fetchall()
    assert found == [(["S100A8", "S100A9"],), (["CD3E"],), ([],)]


def test_scores_of_library_signatures_in_one_call(toy):
    rows = toy.execute("FROM signature_scores(['MYELOID', 'T_CELL', 'MYELOID']) ORDER BY signature, cell_id").fetchall()
    assert rows == [
        ("MYELOID", 0, pytest.approx(14 / 3)),
        ("MYELOID", 1, 0.0),
        ("MYELOID", 2, 0.0),
        ("T_CELL", 0, 0.0),
        ("T_CELL", 1, 9.0),
        ("T_CELL", 2, 0.0),
    ]
    summed = toy.execute(
        "SELECT score FROM signature_scores(['MYELOID'], agg := 'sum', signed := true) WHERE cell_id = 0"
    )
    assert summed.fetchall() == [(5.0,)]


def test_a_cell_that_the_run_has_not_attributed_has_no_score(toy):
    assert toy.execute("SELECT signature_score(99, ['CD3E']), signature_score(NULL, ['CD3E'])").fetchall() == [
        (None, None)
    ]


def test_gene_attributions_are_signed_and_non_zero_only(toy):
    rows = toy.execute("FROM gene_attributions(['CAGA', 'S100A9', 'CD3E']) ORDER BY cell_id, gene").fetchall()
    assert rows == [(0, "S100A8", 6.0, 6.0), (0, "S100A9", 2.0, -2.0), (1, "CD3E", 9.0, 9.0)]


ERRORS = [
    ("['S100A8B', 'FOO']", "2 of 2 genes are not in this atlas: S100A8B .did you mean S100A8.., FOO"),
    ("['CD3E', 'FOO', 'BAR', 'FOO']", "3 of 4 genes are not in this atlas: FOO, BAR, FOO. .*to score the other 1"),
    ("['60B8AG']", "60B8AG .ambiguous: S100A8 or S100A9."),
    ("['FOO', 'BAR'], missing := 'ignore'", "None of the genes of the list is in this atlas: FOO, BAR"),
    ("[]", "empty"),
    ("NULL", "empty"),
    ("['CD3E', NULL]", "1 of 2 genes is NULL"),
    ("['CD3E', NULL], missing := 'ignore'", "1 of 2 genes is NULL"),
    ("['CD3E'], weights := [1, 2]", "2 weights for 1 gene"),
    ("['CD3E'], weights := []", "0 weights for 1 gene"),
    ("['CD3E', 'S100A8'], weights := [1, NULL]", "must be finite.*: S100A8"),
    ("['CD3E', 'S100A8'], weights := [1, 'nan'::DOUBLE]", "must be finite.*: S100A8"),
    ("['CD3E', 'S100A8'], weights := ['inf'::DOUBLE, 1]", "must be finite.*: CD3E"),
    ("['CD3E', 'cd3e'], weights := [1, 2]", "more than once, with different weights: CD3E"),
    ("['CD3E'], weights := [0]", "All weights are 0"),
    ("['CD3E'], agg := 'median'", "agg must be 'mean' or 'sum', not 'median'"),
    ("['CD3E'], agg := NULL", "agg must be .* not NULL"),
    ("['CD3E'], missing := 'drop'", "missing must be 'error' or 'ignore', not 'drop'"),
    ("['CD3E'], run := 'v2'", "no run 'v2' in this atlas. It has: toy-model-ig"),
    ("['CD3E'], run := 7", "no run '7'"),
]


@pytest.mark.parametrize(("arguments", "message"), ERRORS, ids=[arguments for arguments, _ in ERRORS])
def test_what_cannot_be_scored_raises_and_says_why(toy, arguments, message):
    with pytest.raises(duckdb.Error, match=message):
        toy.execute(ALL.format(arguments)).fetchall()
    with pytest.raises(duckdb.Error, match=message):
        toy.execute(f"SELECT cell_id FROM cells WHERE signature_score(cell_id, {arguments}) > 0").fetchall()


def test_unselected_scores_are_still_checked(toy):
    with pytest.raises(duckdb.Error, match="FOO"):
        toy.execute("SELECT count(*) FROM signature_score(['CD3E', 'FOO'])").fetchall()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("FROM signature_scores(['MYELOYD', 'T_CELL'])", "No such signature: MYELOYD .did you mean MYELOID"),
        (
            "FROM signature_scores(['a', 'b', 'c', 'd', 'e', 'f', 'g'])",
            "No such signature: a, b, c, d, e and 2 more. FROM signature_info",
        ),
        ("FROM signature_scores(['t_cell'])", "No such signature: t_cell .did you mean T_CELL"),
        ("FROM signature_scores([])", "empty"),
        ("FROM signature_scores(NULL)", "empty"),
        ("FROM signature_scores(['MYELOID', NULL])", "No such signature: NULL"),
        ("FROM signature_score(signature_genes('MS7'))", "empty or NULL .signature_genes gives an empty list"),
        ("FROM signature_score(['CD3E'], weights := signature_weights('MS7'))", "0 weights for 1 gene"),
        ("FROM check_genes(['CD3E'], run := 'v2')", "no run 'v2' in this atlas"),
        ("FROM gene_attributions(['FOO'])", "FOO"),
    ],
)
def test_errors_of_the_other_macros(toy, query, message):
    with pytest.raises(duckdb.Error, match=message):
        toy.execute(query).fetchall()


PYTHON_ERRORS = [
    ({"genes": ["CD3E", "FOO"]}, "1 of 2 genes is not in this atlas: FOO"),
    ({"genes": []}, "empty"),
    ({"genes": ["CD3E"], "weights": [1, 2]}, "2 weights for 1 gene"),
    ({"genes": ["CD3E"], "agg": "median"}, "`agg` must be"),
    ({"genes": ["CD3E"], "run": "v2"}, "no run 'v2'"),
]


@pytest.mark.parametrize(("arguments", "message"), PYTHON_ERRORS, ids=[message for _, message in PYTHON_ERRORS])
def test_scores_in_python_raise_the_same(toy, arguments, message):
    with pytest.raises(QueryError, match=message):
        sigdb.score(toy, **arguments)


def test_scores_in_python_can_be_joined(toy):
    found = sigdb.score(toy, ["S100A8", "FOO"], missing="ignore")
    assert [(name, str(found.schema.field(name).type)) for name in found.column_names] == [
        ("cell_id", "uint32"),
        ("score", "double"),
    ]
    toy.register("myeloid", found)
    rows = toy.execute("SELECT cell_type, score FROM myeloid JOIN cells USING (cell_id) ORDER BY cell_id").fetchall()
    assert rows == [("monocyte", 6.0), ("T cell", 0.0), (None, 0.0)]


HOSTILE = [
    "CD3E'); DROP TABLE sigdb_data.genes; --",
    "a'b",
    'a"b',
    "/* x */",
    "--",
    "\\",
    "$1",
    "?",
    "%",
    "[1]",
    "é😀",
    "",
]


@pytest.mark.parametrize("gene", HOSTILE)
def test_sql_in_a_gene_list_is_data(toy, gene):
    rows = toy.execute("SELECT status, symbol FROM check_genes(?)", [[gene]]).fetchall()
    assert rows == [("missing", None)]
    rows = toy.execute("FROM signature_score(?, missing := 'ignore') ORDER BY cell_id", [[gene, "CD3E"]]).fetchall()
    assert rows == [(0, 0.0), (1, 9.0), (2, 0.0)]
    with pytest.raises(duckdb.Error, match="1 of 1 gene is not in this atlas"):
        toy.execute("FROM signature_score(?)", [[gene]]).fetchall()
    assert toy.execute("SELECT count(*) FROM genes").fetchall() == [(3,)]
