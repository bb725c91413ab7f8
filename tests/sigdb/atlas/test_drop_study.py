"""Drop a study: all of its data are removed, and nothing else changes."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import sigdb
from sigdb import Atlas
from sigdb.errors import AtlasError
from tests.support.toy import TOY_GENES, fingerprint, obs_of, settings, write_study

pytestmark = pytest.mark.file_only("it writes to the atlas")

MORE = np.array([[3.0, 0, 1.0], [np.nan] * 3, [0, 2.0, 0]])


@pytest.fixture
def copy(toy_path, tmp_path):
    return shutil.copy(toy_path, tmp_path / "copy.duckdb")


def add_more(atlas, study="more", **options):
    obs = obs_of(3, sample=["s1", "s1", "s2"], cell_type=["monocyte", None, "monocyte"])
    write_study(atlas, MORE, TOY_GENES, study=study, obs=obs, **options)


def test_a_dropped_study_leaves_no_trace(copy):
    with Atlas(copy) as atlas:
        atlas.materialize(["MYELOID"])
    before = fingerprint(copy)
    with Atlas(copy) as atlas:
        add_more(atlas)
        assert atlas.drop_study("more") == 3
    after = fingerprint(copy)
    for found in (before, after):
        found["attribution_runs"] = [(*row[:11], *row[12:]) for row in found["attribution_runs"]]  # without `finished`
    assert after == before


def test_other_studies_keep_their_ids_and_scores_in_all_runs(copy):
    """The first study is removed; the second, cells 3 to 5, does not change in either run."""
    query = "SELECT * FROM signature_score(['S100A8', 'S100A9'], run := ?) WHERE cell_id >= 3 ORDER BY cell_id"
    groups = "FROM signature_by_sample(['CD3E']) WHERE study = 'more' ORDER BY ALL"
    with Atlas(copy) as atlas:
        add_more(atlas)
        add_more(atlas, run_settings=settings(n_steps=7), run="other")
        atlas.materialize(["MYELOID", "T_CELL"])

        def scores():
            return [atlas.con.execute(query, [run]).fetchall() for run in (None, "other")], atlas.con.execute(
                groups
            ).fetchall()

        before = scores()
        atlas.drop_study("toy")
        assert scores() == before
    with sigdb.connect(copy) as con:
        assert con.execute("SELECT cell_id FROM cells ORDER BY 1").fetchall() == [(3,), (4,), (5,)]
        scores = con.execute("SELECT cell_id, score FROM signature_scores(['T_CELL']) ORDER BY 1").fetchall()
        assert scores == [(3, 1.0), (4, 0.0), (5, 0.0)]
        assert sigdb.score(con, ["CD3E"]).to_pydict() == {"cell_id": [3, 4, 5], "score": [1.0, 0.0, 0.0]}
        assert con.execute("SELECT signature_score_py(3, 'T_CELL'), signature_score_py(0, 'T_CELL')").fetchall() == [
            (1.0, None)
        ]
        for table in ("attributions", "attributed_cells", "signature_cells"):
            assert con.execute(f"SELECT count(*) FROM sigdb_data.{table} WHERE cell_id < 3").fetchall() == [(0,)]


def test_a_study_of_the_same_name_can_be_added_again(copy):
    with Atlas(copy) as atlas:
        add_more(atlas)
        atlas.drop_study("more")
        add_more(atlas)
        assert atlas.con.execute("SELECT n_cells FROM studies WHERE study = 'more'").fetchall() == [(3,)]


def test_an_unknown_study(copy):
    before = fingerprint(copy)
    with Atlas(copy) as atlas, pytest.raises(AtlasError, match=r"no study 'Toy' in this atlas of 1 .* mean 'toy'"):
        atlas.drop_study("Toy")
    assert fingerprint(copy) == before
