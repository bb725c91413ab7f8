"""`signature_score_py`, `sigdb.score`, and the connections that they work on."""

from __future__ import annotations

import shutil
import threading

import duckdb
import numpy as np
import pytest

import sigdb
from sigdb import Atlas, Signature
from sigdb.errors import AtlasError, QueryError, SignatureError
from sigdb.scores import udf
from tests.support.lakes import path_to_read
from tests.support.toy import TOY_GENES, new_atlas, write_study

EACH = "SELECT cell_id, signature_score_py(cell_id, ?) FROM cells ORDER BY cell_id"


@pytest.fixture
def copy(toy_path, tmp_path):
    return shutil.copy(toy_path, tmp_path / "copy.duckdb")


@pytest.fixture
def con(copy):
    with sigdb.connect(copy) as con:
        yield con


def test_scores_by_hand(con):
    assert con.execute(EACH, ["T_CELL"]).fetchall() == [(0, 0.0), (1, 9.0), (2, 0.0)]
    assert con.execute(EACH, ["MYELOID"]).fetchall()[0] == (0, pytest.approx(7 / 1.5))


def test_nulls_and_unknown_cells(con):
    rows = "VALUES (NULL, 'T_CELL'), (1, NULL), (77, 'T_CELL'), (-1, 'T_CELL'), (1, 'T_CELL')"
    query = f"SELECT signature_score_py(cell, name) FROM ({rows}) AS t(cell, name)"
    assert con.execute(query).fetchall() == [(None,)] * 4 + [(9.0,)]


def test_cells_that_the_run_has_not_attributed_score_null(copy):
    with Atlas(copy) as atlas:
        write_study(atlas, np.array([[2.0, 0, 4.0]]), TOY_GENES, study="b", model="other", run="b")
    with sigdb.connect(copy) as con:
        assert con.execute(EACH, ["T_CELL"]).fetchall() == [(0, 0.0), (1, 9.0), (2, 0.0), (3, None)]
        sigdb.register_signature(con, "T_IN_B", ["CD3E"], run="b")
        assert con.execute(EACH, ["T_IN_B"]).fetchall() == [(0, None), (1, None), (2, None), (3, 4.0)]
        assert sigdb.score(con, ["CD3E"], run="b").to_pylist() == [{"cell_id": 3, "score": 4.0}]


def test_many_rows_of_many_signatures_equal_the_macro(tmp_path):
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((5000, 6)) < 0.4, rng.normal(size=(5000, 6)), 0).astype(np.float32)
    genes = [f"GENE{i}" for i in range(6)]
    with new_atlas(tmp_path / "a.duckdb", genes) as atlas:
        write_study(atlas, dense, genes)
        atlas.add_signatures([Signature(f"S{i}", tuple(genes[: i + 1])) for i in range(6)])
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        query = """
            SELECT s.score, signature_score_py(s.cell_id, s.signature)
            FROM signature_scores((SELECT list(signature) FROM signature_info)) AS s
        """
        macro, function = np.array(con.execute(query).fetchall()).T
    assert len(macro) == 30_000
    np.testing.assert_allclose(function, macro, rtol=1e-6, atol=1e-9)


def test_options_are_given_by_name(con):
    sigdb.register_signature(con, "MINE", ["s100a8", "S100A9"], [1, -3], signed=True, agg="sum")
    assert con.execute(EACH, ["MINE"]).fetchall() == [(0, 12.0), (1, 0.0), (2, 0.0)]
    sigdb.register_signature(con, "MINE", ["S100A8"])
    assert con.execute(EACH, ["MINE"]).fetchall() == [(0, 6.0), (1, 0.0), (2, 0.0)]
    sigdb.register_signature(con, "T_CELL", agg="sum", signed=True)
    assert con.execute(EACH, ["T_CELL"]).fetchall() == [(0, 0.0), (1, 9.0), (2, 0.0)]


def test_errors_say_what_to_do(con):
    with pytest.raises(duckdb.Error, match=r"T_CELLS is neither .* mean T_CELL \(signature\)\?.*register_signature"):
        con.execute(EACH, ["T_CELLS"]).fetchall()
    with pytest.raises(QueryError, match="NEW is neither a signature"):
        sigdb.register_signature(con, "NEW")
    with pytest.raises(SignatureError, match="library of this atlas has a signature 'T_CELL'"):
        sigdb.register_signature(con, "T_CELL", ["CD3E"])
    with pytest.raises(QueryError, match="1 of 2 genes is not in this atlas: NOSUCH"):
        sigdb.register_signature(con, "NEW", ["CD3E", "NOSUCH"])
    with pytest.raises(duckdb.Error, match="NEW is neither a signature"):
        con.execute(EACH, ["NEW"]).fetchall()


def test_a_writable_connection_is_refused(copy):
    with Atlas(copy) as atlas:
        with pytest.raises(AtlasError, match="needs a read-only connection"):
            sigdb.register(atlas.con)
        with pytest.raises(QueryError, match="This connection has no signature_score_py"):
            sigdb.register_signature(atlas.con, "X", ["CD3E"])
        assert sigdb.score(atlas.con, ["CD3E"])["score"].to_pylist() == [0.0, 9.0, 0.0]


def test_a_connection_without_an_atlas_or_with_two():
    with duckdb.connect() as con, pytest.raises(QueryError, match="No atlas is attached"):
        sigdb.score(con, ["CD3E"])


def test_a_plain_connection_with_the_atlas_attached(copy, toy_path, tmp_path):
    """The atlas need not be the current database, unless two atlases are attached."""
    other = shutil.copy(toy_path, tmp_path / "other.duckdb")
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{path_to_read(copy)}' AS atlas (READ_ONLY)")
        assert sigdb.score(con, ["CD3E"])["score"].to_pylist() == [0.0, 9.0, 0.0]
        sigdb.register(con)
        query = "SELECT signature_score_py(cell_id, 'T_CELL') FROM atlas.cells ORDER BY cell_id"
        assert con.execute(query).fetchall() == [(0.0,), (9.0,), (0.0,)]
        con.execute(f"ATTACH '{path_to_read(other)}' AS other (READ_ONLY)")
        with pytest.raises(QueryError, match="2 of the attached databases are atlases \\(atlas, other\\)"):
            sigdb.score(con, ["CD3E"])


def test_several_connections_to_one_file(copy):
    """The function belongs to the database: it stays when the connection that registered it is closed."""
    first, second = sigdb.connect(copy), sigdb.connect(copy)
    sigdb.register_signature(second, "MINE", ["CD3E"])
    assert first.execute(EACH, ["MINE"]).fetchall()[1] == (1, 9.0)
    first.close()
    assert second.execute(EACH, ["MYELOID"]).fetchall()[0] == (0, pytest.approx(7 / 1.5))
    with second.cursor() as cursor:
        assert cursor.execute(EACH, ["MINE"]).fetchall()[1] == (1, 9.0)
    second.close()
    del first, second
    with sigdb.connect(copy) as third:
        assert third.execute(EACH, ["T_CELL"]).fetchall()[1] == (1, 9.0)
        with pytest.raises(duckdb.Error, match="MINE is neither a signature"):
            third.execute(EACH, ["MINE"]).fetchall()


def test_a_locked_connection_has_the_function(copy):
    with sigdb.connect(copy, locked=True) as con:
        assert con.execute(EACH, ["T_CELL"]).fetchall()[1] == (1, 9.0)
        assert sigdb.score(con, ["CD3E"])["score"].to_pylist() == [0.0, 9.0, 0.0]


@pytest.mark.file_only("it finds the scorer by the path of the atlas")
def test_memory_is_bounded_and_vectors_are_shared(copy, con, monkeypatch):
    monkeypatch.setattr(udf, "CACHE_BYTES", 2 * 4 * 3)
    for name in ("A", "B", "C"):
        sigdb.register_signature(con, name, [TOY_GENES["ABC".index(name)]])
    sigdb.register_signature(con, "A_AGAIN", ["s100a8"])
    (scorer,) = udf.scorers[str(copy)]
    for name in ("A", "A_AGAIN", "B"):
        con.execute(EACH, [name]).fetchall()
    assert len(scorer.vectors) == 2
    con.execute(EACH, ["C"]).fetchall()
    con.execute(EACH, ["A_AGAIN"]).fetchall()
    assert len(scorer.vectors) == 2
    assert con.execute(EACH, ["B"]).fetchall() == [(0, 2.0), (1, 0.0), (2, 0.0)]


def test_queries_of_several_threads(con):
    """Each thread has its own cursor. Scores are computed while other threads read a result."""
    found = []

    def ask(name, cursor):
        found.append((name, cursor.execute(EACH, [name]).fetchall()))

    threads = [threading.Thread(target=ask, args=(name, con.cursor())) for name in ["T_CELL", "MYELOID"] * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert {rows[1][1] for name, rows in found if name == "T_CELL"} == {9.0}


def test_a_result_that_is_being_read_is_not_disturbed(con):
    rows = con.execute("SELECT cell_id FROM cells ORDER BY 1")
    assert rows.fetchone() == (0,)
    sigdb.score(con, ["CD3E"])
    assert rows.fetchall() == [(1,), (2,)]
