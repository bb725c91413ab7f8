"""What every finding returns: a table, its SQL, notes, a data frame, and HTML that escapes what comes from data."""

from __future__ import annotations

import importlib.util
import pkgutil
import sys

import numpy as np
import pyarrow as pa
import pytest

import sigdb
from sigdb import Answer, Atlas
from sigdb.answers import SHOWN
from sigdb.errors import MissingDependencyError, QueryError
from tests.support.toy import obs_of, write_study

GENES = ["TOYGENE0", "TOYGENE1"]


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    """One study of twelve donors, a cell each: six flu, five normal, one without a disease; and one of no donor."""
    path = tmp_path_factory.mktemp("answers") / "answers.duckdb"
    rng = np.random.default_rng(0)
    names = [*(f"d{n}" for n in range(12)), None]
    diseases = ["flu"] * 6 + ["normal"] * 5 + [None, "flu"]
    obs = obs_of(
        13,
        sample=[f"s{n}" for n in range(13)],
        donor=names,
        disease=diseases,
        cell_type=["T cell"] * 13,
        umap_1=rng.normal(size=13),
        umap_2=rng.normal(size=13),
    )
    with Atlas.create(path) as atlas:
        write_study(atlas, rng.lognormal(size=(13, 2)), GENES, obs=obs)
    with sigdb.connect(path) as con:
        yield con


FINDINGS = {
    "hits": lambda con: sigdb.hits(con, GENES, min_cells=1),
    "compare": lambda con: sigdb.compare(con, {"a": GENES, "b": GENES[:1]}, min_cells=1),
    "gene_compare": lambda con: sigdb.gene_compare(con, by="disease", reference="normal", min_cells=1, min_nonzero=1),
    "matched_null": lambda con: sigdb.matched_null(con, GENES[:1], n_controls=5, min_cells=1),
    "leading_genes": lambda con: sigdb.leading_genes(con, GENES, min_cells=1),
    "embedding": lambda con: sigdb.embedding(con, GENES),
    "score_bins": lambda con: sigdb.score_bins(con, GENES),
    "group_scores": lambda con: sigdb.group_scores(con, GENES, min_cells=1),
    "gene_dots": lambda con: sigdb.gene_dots(con, GENES, min_cells=1),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_every_finding_is_an_answer(con, name):
    found = FINDINGS[name](con)
    assert isinstance(found, Answer)
    assert found.table.num_rows > 0
    for statement in found.sql.split(";\n\n"):
        assert con.execute(statement).fetchall()
    assert all(note.endswith(".") for note in found.notes)
    assert list(found.df().columns) == found.table.column_names
    assert found._repr_html_().count("<tr>") == min(found.table.num_rows, SHOWN) + 1


def test_notes_say_the_rule_and_what_was_left_out(con):
    found = sigdb.hits(con, GENES, cutoff=1, min_cells=1, min_samples=6)
    assert found.notes == (
        "A hit is above a score of 1 (1). 61.5% of 13 cells are hits.",
        "Left out 6 samples: 5 (in a group of fewer than 6 samples), 1 (no disease).",
    )
    left_out = "Left out 2 units: 1 (no disease), 1 (no donor)."
    assert sigdb.compare(con, GENES, of="score", min_cells=1).notes == (left_out,)
    genes = sigdb.gene_compare(con, by="disease", reference="normal", min_cells=1, min_nonzero=12)
    assert genes.notes[0] == "toy: Welch t, 6 units of flu, 5 of normal; 2 genes in too few cells."
    cells = sigdb.compare(con, GENES, cells_as_replicates=True)
    assert cells.notes[0] == "Cells are the replicates: the p values say nothing about donors."


def test_several_signatures_have_several_statements(con):
    found = FINDINGS["compare"](con)
    assert found.sql == ";\n\n".join(each.sql for each in found.units.values())
    assert set(found.units) == {"a", "b"}


def test_html_shows_the_first_rows_and_escapes_them():
    table = pa.table({"<name>": ["<b>&"] * 60, "n": [1234567] * 60, "x": [0.123456] * 60})
    shown = Answer(table, "SELECT 1", ("1 < 2.",))._repr_html_()
    assert shown.count("&lt;b&gt;&amp;") == SHOWN
    assert "The first 50 of 60 rows." in shown
    assert "1 &lt; 2." in shown
    assert "<b>" not in shown
    assert "1,234,567" in shown
    assert "0.1235" in shown


def test_pandas_is_named_where_it_is_missing(con, monkeypatch):
    found = FINDINGS["gene_dots"](con)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match="pip install pandas"):
        found.df()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda con: sigdb.score(con, GENES, weight=[1, 2]), "sigdb.score has no parameter `weight`. Did you mean 'we"),
        (lambda con: sigdb.leading_genes(con, GENES, agg="sum"), "sigdb.leading_genes has no parameter `agg`"),
        (lambda con: sigdb.matched_null(con, GENES, n_control=5), "Did you mean 'n_controls'"),
        (lambda con: sigdb.group_scores(con, GENES, by="diseases"), "no column diseases. Did you mean 'disease'"),
    ],
)
def test_a_wrong_name_gets_the_nearest(con, call, message):
    with pytest.raises(QueryError, match=message):
        call(con)


@pytest.mark.parametrize("calibrated", [True, False], ids=["from cells", "from the cube"])
def test_a_coverage_that_is_no_part_is_refused(con, calibrated):
    with pytest.raises(QueryError, match="`min_coverage` must be from 0 to 1, not 2"):
        sigdb.group_scores(con, GENES, calibrated=calibrated, min_coverage=2)


def test_no_public_name_is_that_of_a_module():
    """`import sigdb.hits` would give the function, or the function would hide the module."""
    modules = {each.name for each in pkgutil.iter_modules(sigdb.__path__)}
    assert modules.isdisjoint(sigdb.__all__)
    assert importlib.util.find_spec("sigdb.findings.hits").name == "sigdb.findings.hits"


def test_a_zero_that_was_not_measured_is_told_from_one_that_was(demo_path):
    """Independently, from the cells and the genes of their studies."""
    genes, cells = ["LYZ", "CD14", "MS4A1"], "study = 'zheng2017_pbmc68k'"
    with sigdb.connect(demo_path) as con:
        expected = con.execute(
            """SELECT c.cell_type, g.symbol, count(*), count(m.gene_id) FROM cells AS c
            JOIN sigdb_data.studies AS s USING (study) CROSS JOIN genes AS g
            LEFT JOIN sigdb_data.study_genes AS m ON m.study_id = s.study_id AND m.gene_id = g.gene_id
            WHERE list_contains($genes, g.symbol) GROUP BY ALL""",
            {"genes": genes},
        ).fetchall()
        rows = sigdb.gene_dots(con, genes, min_cells=1).table.to_pylist()
        one = sigdb.gene_dots(con, genes, cells=cells).table.to_pylist()
        not_measured = sigdb.leading_genes(con, genes).not_measured.to_pylist()
        pairs = con.execute(
            """SELECT study, symbol FROM sigdb_data.studies CROSS JOIN genes
            ANTI JOIN sigdb_data.study_genes USING (study_id, gene_id) WHERE list_contains($genes, symbol)""",
            {"genes": genes},
        ).fetchall()
    columns = ("label", "gene", "n_cells", "n_cells_measured")
    assert {tuple(row[name] for name in columns) for row in rows} == set(expected)
    assert len(rows) == len(expected)
    assert {row["n_cells_measured"] > 0 for row in rows if row["gene"] == "CD14"} == {False, True}
    assert {row["n_cells_measured"] for row in one if row["gene"] == "CD14"} == {0}
    assert {(row["study"], row["gene"]) for row in not_measured} == set(pairs) >= {("zheng2017_pbmc68k", "CD14")}
