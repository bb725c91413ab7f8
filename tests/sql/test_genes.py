"""Which gene a name means: symbol, approved, previous, alias, Ensembl id, then any case; and never a guess."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

import sigdb
from ingest.genes import add_genes
from tests.support.toy import new_atlas, write_study

# FAM65B is now RIPOR2 (before that C6orf32); CD20 became MS4A1; 60B8AG is an alias of both S100A8 and S100A9. RHOD has
# the alias Rho, and SMC3 the ambiguous alias HCAP; RHO and hCAP (an alias of RNGTT) are genes that this atlas lacks.
SYMBOLS = ["S100A8", "S100A9", "FAM65B", "MS4A1", "Novel-1", "LYZ", "C1orf112", "NOC2L", "RHOD", "SMC3"]

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
    ("Rho", "RHOD", "alias", None),
    ("RHO", None, "missing", "RHOD"),
    ("rho", None, "missing", "RHOD"),  # in any case, RHO is a better match than an alias
    ("rHOD", "RHOD", "case", None),
    ("hCAP", None, "missing", None),
    ("hcap", None, "ambiguous", "SMC3"),
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
def test_a_name_of_hgnc_means_the_gene_of_hgnc_or_none(demo_path):
    """Every name that HGNC has in the same spelling but for case as a name in the atlas, looked up without SQL."""
    ranks = ("symbol", "previous", "alias", "ensembl_id")
    meanings: dict[str, dict[int, set[str]]] = {}
    for row in pq.read_table(Path(sigdb.__file__).parent / "data" / "hgnc_human.parquet").to_pylist():
        for rank, source in enumerate(ranks):
            for name in row[source] if isinstance(row[source], list) else filter(None, [row[source]]):
                meanings.setdefault(name, {}).setdefault(rank, set()).add(row["symbol"])
    best = {name: found[min(found)] for name, found in meanings.items()}
    with sigdb.connect(demo_path) as con:
        lower = {name for (name,) in con.execute("SELECT DISTINCT name_lower FROM sigdb_data.gene_names").fetchall()}
        symbols = {name for (name,) in con.execute("SELECT symbol FROM genes").fetchall()}
        asked = [name for name in best if name.lower() in lower and name not in symbols]
        found = con.execute("SELECT gene, symbol FROM check_genes(?)", [asked]).fetchall()
    wrong = [(gene, symbol) for gene, symbol in found if symbol and best[gene] != best.get(symbol, {symbol})]
    assert len(found) == len(asked) > 1000
    assert wrong == []


def test_a_name_of_another_gene_is_found_once_a_model_has_that_gene(tmp_path):
    with new_atlas(tmp_path / "grown.duckdb") as atlas:
        add_genes(atlas.con, ["RHOD", "SMC3"])
        query = "SELECT _asked, _gene FROM sigdb_data.resolve_genes(['RHO', 'hCAP'], NULL, NULL) ORDER BY _position"
        assert atlas.con.execute(query).fetchall() == [("RHO", None), ("hCAP", None)]
        assert add_genes(atlas.con, ["RHO", "RNGTT"]) == [2, 3]
        assert atlas.con.execute(query).fetchall() == [("RHO", 2), ("hCAP", 3)]
        other = "SELECT count(*) FROM gene_aliases WHERE source = 'other'"
        assert atlas.con.execute(other).fetchall() == [(0,)], "they are not names of the gene"


def test_a_gene_of_another_run_is_missing_and_the_message_names_that_run(tmp_path):
    with new_atlas(tmp_path / "runs.duckdb") as atlas:
        write_study(atlas, np.ones((2, 1)), ["LYZ"], study="A", model="one", run="first")
        write_study(atlas, np.ones((2, 2)), ["LYZ", "GZMB"], study="B", model="two", run="it's")
    with sigdb.connect(tmp_path / "runs.duckdb") as con:
        query = "SELECT status, suggestion FROM check_genes(['GZMB'])"
        assert con.execute(query).fetchall() == [("missing", "run := 'it''s'")]
        expected = r"1 of 2 genes is not in the model of this run: GZMB \(use run := 'it''s'\)"
        with pytest.raises(duckdb.Error, match=expected):
            con.execute("FROM signature_score(['LYZ', 'GZMB'])").fetchall()
        with pytest.raises(duckdb.Error, match="None of the genes of the list is in the model of this run: GZMB"):
            con.execute("FROM signature_score(['GZMB'], missing := 'ignore')").fetchall()
        assert con.execute("FROM signature_score(['LYZ', 'GZMB'], run := 'it''s')").fetchall() != []


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
