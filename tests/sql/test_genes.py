"""Which gene a name means: symbol, approved, previous, alias, Ensembl id, then any case; and never a guess."""

from __future__ import annotations

import numpy as np
import pytest

import sigdb
from ingest.genes import add_genes
from tests.support.toy import new_atlas, write_study

# FAM65B is now RIPOR2 (before that C6orf32); CD20 became MS4A1; 60B8AG is an alias of both S100A8 and S100A9.
SYMBOLS = ["S100A8", "S100A9", "FAM65B", "MS4A1", "Novel-1", "LYZ", "C1orf112", "NOC2L"]

CASES = [
    # name, symbol, status, suggestion
    ("S100A8", "S100A8", "ok", None),
    ("RIPOR2", "FAM65B", "alias", None),
    ("C6orf32", "FAM65B", "alias", None),
    ("MYONAP", "FAM65B", "alias", None),
    ("CD20", "MS4A1", "alias", None),
    ("ENSG00000156738", "MS4A1", "ensembl", None),
    ("ENSG00000156738.21", "MS4A1", "ensembl", None),
    ("s100a9", "S100A9", "case", None),
    ("ripor2", "FAM65B", "case", None),
    ("novel-1", "Novel-1", "case", None),
    ("FIRRM", "C1orf112", "alias", None),
    ("60B8AG", None, "ambiguous", "S100A8 or S100A9"),
    ("P8", None, "ambiguous", "S100A8"),  # also an alias of a gene that is not in the atlas
    ("S100A88", None, "missing", "S100A8"),
    ("LYZZ", None, "missing", "LYZ"),
    ("CD3E", None, "missing", None),
    ("", None, "missing", None),
    (None, None, "missing", None),
]


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    path = tmp_path_factory.mktemp("genes") / "genes.duckdb"
    with new_atlas(path) as atlas:
        write_study(atlas, np.full((1, len(SYMBOLS)), np.nan), SYMBOLS)
        known = "SELECT symbol FROM sigdb_hgnc_names WHERE name = 'MIF'"
        assert atlas.con.execute(known).fetchall() == [("MIF",)], "a gene of its own"
    with sigdb.connect(path) as con:
        yield con


@pytest.mark.parametrize(("name", "symbol", "status", "suggestion"), CASES, ids=[str(name) for name, *_ in CASES])
def test_check_genes(con, name, symbol, status, suggestion):
    rows = con.execute("SELECT gene, symbol, status, suggestion FROM check_genes([?])", [name]).fetchall()
    assert rows == [(name, symbol, status, suggestion)]


def test_check_genes_keeps_the_order_asked(con):
    names = [name for name, *_ in CASES] * 3
    assert [gene for (gene,) in con.execute("SELECT gene FROM check_genes(?)", [names]).fetchall()] == names
    assert con.execute("FROM check_genes([])").fetchall() == []


def test_a_synonym_that_is_the_symbol_of_another_gene_means_that_other_one(con):
    """S100A9 was once called MIF. But MIF is another gene, not in this atlas: the name must not mean S100A9."""
    assert con.execute("SELECT status, symbol FROM check_genes(['MIF'])").fetchall() == [("missing", None)]


@pytest.mark.slow
def test_more_genes_than_there_are_numbers_of_16_bits(tmp_path):
    names = [f"X{n}" for n in range(70_000)]
    scores = np.zeros((2, len(names)), np.float32)
    scores[0, [0, 65_535, 69_999]] = 1, 2, 4
    with new_atlas(tmp_path / "many.duckdb") as atlas:
        write_study(atlas, scores, names)
    with sigdb.connect(tmp_path / "many.duckdb") as con:
        assert con.execute("SELECT gene_id FROM genes WHERE symbol = 'X69999'").fetchall() == [(69_999,)]
        query = "SELECT cell_id, score FROM signature_score(?, agg := 'sum') ORDER BY cell_id"
        assert con.execute(query, [names[-3:]]).fetchall() == [(0, 4.0), (1, 0.0)]
        con.execute("SET dynamic_or_filter_threshold = 1")  # one branch per gene; none may be forgotten
        assert con.execute(query, [names]).fetchall() == [(0, 7.0), (1, 0.0)]


def test_genes_of_a_second_model_are_the_same_genes_under_other_names(tmp_path):
    with new_atlas(tmp_path / "two.duckdb") as atlas:
        first = add_genes(atlas.con, ["FAM65B", "LYZ", "XYZ1"])
        assert first == [0, 1, 2]
        assert add_genes(atlas.con, ["ENSG00000156738", "RIPOR2", "XYZ1", "ENSG00000090382", "ENSG99999999999"]) == [
            3,
            0,
            2,
            1,
            4,
        ]
        assert atlas.con.execute("SELECT symbol FROM genes ORDER BY gene_id").fetchall() == [
            ("FAM65B",),
            ("LYZ",),
            ("XYZ1",),
            ("MS4A1",),
            ("ENSG99999999999",),
        ]
        # An Ensembl id that comes before its own symbol becomes a separate gene, named by the id.
        ids = add_genes(atlas.con, ["ENSG00000143546", "S100A8"])
        assert atlas.con.execute("SELECT gene_id FROM genes WHERE symbol = 'S100A8'").fetchall() == [(ids[1],)]
        # A list with both the old and the new name of a gene has two genes, each with its own name.
        old_and_new = add_genes(atlas.con, ["FAM65B", "RIPOR2"])
        assert old_and_new == [0, 7]
        query = "SELECT _asked, _gene FROM sigdb_data.resolve_genes($names, NULL, NULL) ORDER BY _gene, _asked"
        found = atlas.con.execute(query, {"names": ["FAM65B", "RIPOR2", "C6orf32"]})
        assert found.fetchall() == [("C6orf32", 0), ("FAM65B", 0), ("RIPOR2", 7)]
