"""A macro returns the numbers of its own atlas, or an error that says what to do."""

from __future__ import annotations

import shutil

import duckdb
import numpy as np
import pytest

import sigdb
from sigdb.atlas.identity import add_condition, atlas_id
from sigdb.atlas.schema import name_atlas, objects
from tests.support.toy import TOY_GENES, new_atlas, obs_of, write_study

GENES = "['S100A8', 'CD3E']"
CALLS = {
    "signature_score": f"SELECT ATLAS.signature_score(0, {GENES})",
    "table of scores": f"SELECT * FROM ATLAS.signature_score({GENES})",
    "signature_scores": "SELECT * FROM ATLAS.signature_scores(['T_CELL'])",
    "signature_hits": f"SELECT * FROM ATLAS.signature_hits({GENES}, against := 'cells')",
    "signature_calibration": f"SELECT * FROM ATLAS.signature_calibration({GENES})",
    "sample_hit_rates": f"SELECT * FROM ATLAS.sample_hit_rates({GENES}, min_cells := 1)",
    "signature_by_sample": f"SELECT * FROM ATLAS.signature_by_sample({GENES})",
    "signature_null": f"SELECT * FROM ATLAS.signature_null({GENES}, n_controls := 20)",
    "signature_controls": f"SELECT * FROM ATLAS.signature_controls({GENES}, n_controls := 2)",
    "signature_contributions": f"SELECT * FROM ATLAS.signature_contributions({GENES})",
    "leading_genes": f"SELECT * FROM ATLAS.leading_genes({GENES})",
    "gene_attributions": f"SELECT * FROM ATLAS.gene_attributions({GENES})",
    "check_genes": f"SELECT * FROM ATLAS.check_genes({GENES})",
    "gene_importance": "SELECT * FROM ATLAS.gene_importance()",
    "signature_genes": "SELECT ATLAS.signature_genes('T_CELL')",
    "signature_weights": "SELECT ATLAS.signature_weights('T_CELL')",
}


SLOW_CALLS = ("signature_hits", "signature_calibration", "sample_hit_rates", "signature_null", "leading_genes")


of_a_file = pytest.mark.file_only("the file that shows a lake has an id of its own")


@pytest.fixture(scope="module")
def other_path(tmp_path_factory):
    """An atlas with the genes, names and signatures of the toy atlas, and other scores."""
    path = tmp_path_factory.mktemp("other") / "other.duckdb"
    with new_atlas(path, TOY_GENES) as atlas:
        with atlas.transaction() as con:
            name_atlas(con)  # new_atlas copies a file
        scores = np.array([[1.0, 0.0, 2.0], [3.0, 4.0, 0.0]])
        write_study(atlas, scores, TOY_GENES, obs=obs_of(2, sample=["s"] * 2, cell_type=["x", "y"]))
        atlas.add_signatures([sigdb.Signature("T_CELL", ("S100A8", "CD3E"), (1.0, 2.0))])
    return path


@pytest.fixture(scope="module")
def two(toy_path, other_path):
    """A connection to both atlases: one (the toy atlas) and two."""
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{toy_path}' AS one (READ_ONLY)")
        con.execute(f"ATTACH '{other_path}' AS two (READ_ONLY)")
        yield con


def rows(con, query):
    return sorted(map(repr, con.execute(query).fetchall()))


def test_every_public_macro_is_called():
    asked = " ".join(CALLS.values())
    assert [each.name for each in objects() if each.is_public_macro and f"ATLAS.{each.name}(" not in asked] == []


@pytest.mark.parametrize(
    "call", [pytest.param(call, marks=[pytest.mark.slow] * (call in SLOW_CALLS)) for call in CALLS]
)
def test_the_numbers_of_its_own_atlas_or_an_error(two, call):
    alone = {}
    for used, other in (("one", "two"), ("two", "one")):
        two.execute(f"USE {used}")
        alone[used] = rows(two, CALLS[call].replace("ATLAS", used))
        assert alone[used] == rows(two, CALLS[call].replace("ATLAS.", ""))
        with pytest.raises(duckdb.CatalogException, match="use_the_atlas_before_its_macros_atlas_"):
            two.execute(CALLS[call].replace("ATLAS", other))
    assert call == "check_genes" or alone["one"] != alone["two"]
    two.execute("USE memory")
    with pytest.raises(duckdb.CatalogException, match=r"use_the_atlas_before_its_macros_atlas_|sigdb_data"):
        two.execute(CALLS[call].replace("ATLAS", "one"))


@of_a_file
@pytest.mark.parametrize("call", ["signature_score", "table of scores", "gene_importance"])
def test_a_copy_is_an_error_while_it_is_attached(toy_path, tmp_path, call):
    shutil.copy(toy_path, tmp_path / "copy.duckdb")
    with sigdb.connect(toy_path, trusted=True) as con:
        expected = rows(con, CALLS[call].replace("ATLAS.", ""))
        con.execute(f"ATTACH '{tmp_path / 'copy.duckdb'}' AS copied (READ_ONLY)")
        for name in ("", "copied."):
            with pytest.raises(duckdb.Error, match=r"copies of one atlas.*DETACH one of them"):
                con.execute(CALLS[call].replace("ATLAS.", name)).fetchall()
        con.execute("DETACH copied")
        assert rows(con, CALLS[call].replace("ATLAS.", "")) == expected


def ids_of(*paths):
    found = []
    for path in paths:
        with sigdb.connect(path, trusted=True) as con:
            found.append(atlas_id(con))
    return found


@of_a_file
def test_each_new_atlas_has_an_id_of_its_own_and_keeps_it(toy_path, other_path, tmp_path):
    before = ids_of(toy_path, other_path)
    assert None not in before
    assert before[0] != before[1]
    path = shutil.copy(toy_path, tmp_path / "copy.duckdb")
    sigdb.upgrade(path)
    sigdb.optimize(path)
    assert ids_of(path) == before[:1]
    sigdb.export_lake(path, tmp_path / "lake")
    sigdb.import_lake(tmp_path / "lake", tmp_path / "imported.duckdb")
    assert len({*before, *ids_of(tmp_path / "imported.duckdb", tmp_path / "lake")}) == 4


@of_a_file
def test_an_atlas_of_an_older_sigdb_gets_an_id(toy_path, tmp_path):
    path = shutil.copy(toy_path, tmp_path / "copy.duckdb")
    (old,) = ids_of(path)
    with duckdb.connect(path) as con:
        con.execute(f"DROP SEQUENCE sigdb_data.{old}")
        con.execute(f"DROP MACRO sigdb_data.use_the_atlas_before_its_macros_{old}")
        con.execute(f"DROP MACRO sigdb_data.is_attached_once_{old}")
        con.execute('CREATE SEQUENCE sigdb_data."atlas_\'; DROP"')
        con.execute("CREATE SEQUENCE sigdb_data.mine")
    assert ids_of(path) == [None]
    with sigdb.connect(path) as con:
        assert {each.check for each in sigdb.verify(con) if each.n} >= {"schema"}
    sigdb.upgrade(path)
    assert None not in ids_of(path)
    with sigdb.connect(path) as con:
        assert con.execute("SELECT signature_score(1, ['CD3E'])").fetchall() == [(9.0,)]


@of_a_file
def test_a_database_that_is_copied_by_duckdb(toy_path, tmp_path):
    with duckdb.connect(tmp_path / "copied.duckdb") as con:
        con.execute(f"ATTACH '{toy_path}' AS toy (READ_ONLY)")
        con.execute("COPY FROM DATABASE toy TO copied")
    assert ids_of(tmp_path / "copied.duckdb") == ids_of(toy_path)
    with sigdb.connect(tmp_path / "copied.duckdb") as con:
        assert con.execute("SELECT signature_score(1, ['CD3E'])").fetchall() == [(9.0,)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT 1 AS a;", "SELECT 1 AS a WHERE true ;"),
        ("SELECT a FROM t WHERE a OR b;", "SELECT a FROM t WHERE true AND ( a OR b ) ;"),
        ("SELECT a FROM t WHERE b ORDER BY a", "SELECT a FROM t WHERE true AND ( b ) ORDER BY a"),
        ("SELECT (SELECT 1 WHERE x) FROM t LIMIT 1", "SELECT (SELECT 1 WHERE x) FROM t WHERE true LIMIT 1"),
        ("SELECT a FROM t WHERE b -- why\nGROUP BY a", "SELECT a FROM t WHERE true AND ( b -- why ) GROUP BY a"),
    ],
)
def test_a_condition_is_added_to_a_query(query, expected):
    assert " ".join(add_condition(query, "true").split()) == expected


def test_a_condition_is_not_added_to_a_union():
    with pytest.raises(ValueError, match="one SELECT"):
        add_condition("SELECT 1 UNION ALL SELECT 2", "true")
