"""Views of signatures: a client that attaches the atlas finds the scores of the macros in them."""

from __future__ import annotations

import shutil

import duckdb
import numpy as np
import pytest

import sigdb
from sigdb import Atlas, Signature
from sigdb.atlas.optimize import optimize
from sigdb.atlas.upgrade import upgrade
from sigdb.atlas.verify import verify
from sigdb.errors import AtlasError, QueryError, SignatureError
from tests.support.lakes import path_to_read
from tests.support.toy import TOY_GENES, fingerprint, obs_of, write_study

NAMES = ["MYELOID", "T_CELL"]
ODD = 'a "name"; DROP VIEW cells --'


@pytest.fixture
def copy(toy_path, tmp_path):
    path = shutil.copy(toy_path, tmp_path / "copy.duckdb")
    with Atlas(path) as atlas:
        atlas.add_views(NAMES)
    return path


def query_attached(path, query, before=""):
    """The rows of a query in another database, to which the atlas is attached as `elsewhere`."""
    with duckdb.connect() as con:
        con.execute(before)
        con.execute(f"ATTACH '{path_to_read(path)}' AS elsewhere (READ_ONLY)")
        return con.execute(query).fetchall()


def test_cells_by_hand(copy):
    """(6 x 1 + 2 x 0.5) / 1.5. Cell 1 has no stored score, and nothing was attributed to cell 2."""
    rows = query_attached(copy, 'SELECT cell_id, cell_type, score FROM elsewhere.cell_scores."MYELOID" ORDER BY 1')
    assert rows == [(0, "monocyte", pytest.approx(7 / 1.5)), (1, "T cell", 0), (2, None, 0)]


def test_samples_equal_the_samples_of_the_macro(copy):
    rows = query_attached(copy, 'FROM elsewhere.sample_scores."MYELOID" ORDER BY cell_type')
    with sigdb.connect(copy) as con:
        macro = "signature_by_sample(signature_genes('MYELOID'), weights := signature_weights('MYELOID'))"
        found = con.sql(f"FROM {macro} ORDER BY cell_type")
        assert rows == found.fetchall()
        assert con.sql('FROM sample_scores."MYELOID"').columns == found.columns


def test_columns_are_the_columns_of_cells_and_the_score(copy):
    with sigdb.connect(copy) as con:
        assert con.sql('FROM cell_scores."T_CELL"').columns == [*con.sql("FROM cells").columns, "score"]
        comments = "SELECT count(*), count(comment) FROM duckdb_columns() WHERE schema_name = 'cell_scores'"
        ((columns, commented),) = con.execute(comments).fetchall()
        assert columns == commented > 0


DECOYS = """
    CREATE TEMP TABLE cells AS SELECT 99 AS cell_id, 'decoy' AS cell_type;
    CREATE SCHEMA sigdb_data;
    CREATE TABLE sigdb_data.signatures AS SELECT 'MYELOID' AS signature, 'CD3E' AS gene, 1.0 AS weight, 0 AS position;
    CREATE TABLE sigdb_data.cell_data AS SELECT 99 AS cell_id;
    CREATE MACRO sigdb_data.library_scores(a, b, c, d, e, f) AS TABLE SELECT 0 AS _cell, 99.0 AS _score;
    CREATE MACRO sigdb_data.sample_scores(a, b, c, d, e, f, g, h) AS TABLE SELECT 99.0 AS _score;
    CREATE TEMP MACRO signature_scores(a, missing := 1) AS TABLE SELECT 0 AS cell_id, 99.0 AS score;
"""


@pytest.mark.parametrize("schema", ["cell_scores", "sample_scores"])
def test_nothing_of_the_client_is_taken_for_the_atlas(copy, schema):
    query = f'FROM elsewhere.{schema}."MYELOID" ORDER BY ALL'
    assert query_attached(copy, query, DECOYS) == query_attached(copy, query)


def test_views_follow_the_atlas(copy):
    """Add a study with a new column and a column called score, then replace the signature."""
    with Atlas(copy) as atlas:
        obs = obs_of(1, score=[0.25], quality=["good"])
        write_study(atlas, np.array([[1.0, 3.0, 0.0]]), TOY_GENES, study="later", obs=obs)
    new = "SELECT score, obs_score, quality FROM elsewhere.cell_scores.\"MYELOID\" WHERE study = 'later'"
    assert query_attached(copy, new) == [(pytest.approx((1 + 3 * 0.5) / 1.5), 0.25, "good")]
    assert len(query_attached(copy, "SELECT 1 FROM elsewhere.sample_scores.\"MYELOID\" WHERE study = 'later'")) == 1
    with Atlas(copy) as atlas:
        atlas.add_signatures([Signature("MYELOID", (TOY_GENES[1],))], replace=True)
        atlas.materialize(["MYELOID"])
    assert query_attached(copy, new) == [(3, 0.25, "good")]


@pytest.mark.slow
@pytest.mark.parametrize("rewrite", [optimize, upgrade], ids=["optimize", "upgrade"])
def test_views_outlive_what_rewrites_an_atlas(copy, rewrite):
    queries = [f'FROM elsewhere.{schema}."MYELOID" ORDER BY ALL' for schema in ("cell_scores", "sample_scores")]
    before = [query_attached(copy, query) for query in queries]
    rewrite(copy)
    assert [query_attached(copy, query) for query in queries] == before
    with sigdb.connect(copy) as con:
        assert [finding.n for finding in verify(con) if finding.check == "schema"] == [0]


def test_dropped(copy):
    with Atlas(copy) as atlas:
        atlas.drop_views(["MYELOID"])
        with pytest.raises(SignatureError, match=r"1 of 2 signatures have no view: MYELOID\. Views exist of: T_CELL"):
            atlas.drop_views(["T_CELL", "MYELOID"])
        query = "SELECT schema_name, view_name FROM duckdb_views() WHERE schema_name LIKE '%_scores' ORDER BY ALL"
        assert atlas.con.execute(query).fetchall() == [("cell_scores", "T_CELL"), ("sample_scores", "T_CELL")]
        atlas.drop_views(["T_CELL"])
        schemas = "SELECT 1 FROM duckdb_schemas() WHERE schema_name LIKE '%_scores'"
        assert atlas.con.execute(schemas).fetchall() == []


def test_any_name_of_a_signature_is_a_name_of_a_view(copy):
    with Atlas(copy) as atlas:
        atlas.add_signatures([Signature(ODD, (TOY_GENES[0],))])
        atlas.add_views([ODD])
    quoted = ODD.replace('"', '""')
    assert len(query_attached(copy, f'FROM elsewhere.cell_scores."{quoted}"')) == 3
    assert len(query_attached(copy, "FROM elsewhere.main.cells")) == 3


REFUSED = {
    "no such signature": (
        ["MYELOID", "NONE"],
        {},
        SignatureError,
        "1 of 2 names are no signatures of the library: NONE",
    ),
    "a gene that is missing": (["PARTLY"], {"missing": "error"}, QueryError, "not in this atlas"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_request_leaves_the_atlas_as_it_was(copy, case):
    names, options, error, message = REFUSED[case]
    with Atlas(copy) as atlas:
        atlas.add_signatures([Signature("PARTLY", (TOY_GENES[0], "NOGENE"))])
    before = fingerprint(copy)
    with Atlas(copy) as atlas, pytest.raises(error, match=message):
        atlas.add_views(names, **options)
    assert fingerprint(copy) == before
    with Atlas(copy) as atlas:
        atlas.add_views(["partly"])
    assert len(query_attached(copy, 'FROM elsewhere.cell_scores."PARTLY"')) == 3


def test_a_file_of_the_name_of_a_schema_is_refused(tmp_path):
    with pytest.raises(AtlasError, match="cell_scores is the name of a schema"):
        Atlas.create(tmp_path / "cell_scores.duckdb")
