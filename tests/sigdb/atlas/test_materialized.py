"""Materialised signatures: scores are read instead of computed, and agree after every change to the atlas."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import sigdb
from sigdb import Atlas, Signature
from sigdb.errors import SigdbError, SignatureError
from tests.support.toy import TOY_GENES, fingerprint, settings, write_study

NAMES = ["MYELOID", "T_CELL"]


@pytest.fixture
def copy(toy_path, tmp_path):
    return shutil.copy(toy_path, tmp_path / "copy.duckdb")


def scores(path, names=NAMES, options=""):
    with sigdb.connect(path) as con:
        return con.execute(f"FROM signature_scores(?{options}) ORDER BY ALL", [names]).fetchall()


def materialized_signatures(path):
    with sigdb.connect(path) as con:
        return con.execute("SELECT signature, n_genes FROM materialized_signatures ORDER BY 1").fetchall()


def change_kept_scores(path):
    """Change the kept scores, so that the result of a query shows whether it reads them."""
    with Atlas(path) as atlas:
        atlas.con.execute("UPDATE sigdb_data.signature_cells SET score = score + 100")


@pytest.mark.parametrize(
    "options", ["", ", agg := 'sum'", ", run := '0'", ", measured_only := true", ", signed := true"]
)
def test_scores_are_the_same_and_are_read(copy, options):
    computed = scores(copy, options=options)
    with Atlas(copy) as atlas:
        atlas.materialize(["MYELOID"])
    read = scores(copy, options=options)
    assert [row[:2] for row in read] == [row[:2] for row in computed]
    assert [score for *_, score in read] == pytest.approx([score for *_, score in computed], rel=1e-7)
    change_kept_scores(copy)
    changed = [name for name, _, score in scores(copy, options=options) if score >= 100]
    assert changed == ([] if "signed" in options else ["MYELOID"] * 3)


def test_by_hand(copy):
    """(6 x 1 + 2 x 0.5) / 1.5. Cell 1 has no stored score, and nothing was attributed to cell 2."""
    with Atlas(copy) as atlas:
        atlas.materialize(["MYELOID"])
        rows = atlas.con.execute("SELECT cell_id, score FROM sigdb_data.signature_cells ORDER BY 1").fetchall()
    assert rows == [(0, pytest.approx(7 / 1.5)), (1, 0.0), (2, 0.0)]


def test_new_cells_get_scores(copy):
    with Atlas(copy) as atlas:
        atlas.materialize(NAMES)
        write_study(atlas, np.array([[3.0, 0, 1.0], [np.nan] * 3]), TOY_GENES, study="more")
        atlas.unmaterialize(["T_CELL"])
    with_kept = scores(copy)
    assert materialized_signatures(copy) == [("MYELOID", 2)]
    with Atlas(copy) as atlas:
        assert atlas.con.execute("SELECT count(*) FROM sigdb_data.signature_cells").fetchall() == [(5,)]
        atlas.unmaterialize(["MYELOID"])
        assert atlas.con.execute("SELECT count(*) FROM sigdb_data.signature_cells").fetchall() == [(0,)]
    computed = scores(copy)
    assert [row[:2] for row in with_kept] == [row[:2] for row in computed]
    assert [score for *_, score in with_kept] == pytest.approx([score for *_, score in computed], rel=1e-7)
    assert ("MYELOID", 3, 2.0) in with_kept


def test_a_signature_that_is_replaced_is_computed_again(copy):
    with Atlas(copy) as atlas:
        atlas.materialize(NAMES)
        atlas.add_signatures([Signature("MYELOID", ("S100A8",))], replace=True)
    assert scores(copy, ["MYELOID"]) == [("MYELOID", 0, 6.0), ("MYELOID", 1, 0.0), ("MYELOID", 2, 0.0)]
    assert materialized_signatures(copy) == [("MYELOID", 1), ("T_CELL", 1)]


def test_a_signature_that_is_replaced_by_one_without_scores_is_forgotten(copy):
    with Atlas(copy) as atlas:
        atlas.materialize(NAMES)
        atlas.add_signatures([Signature("MYELOID", ("LYZ",)), Signature("T_CELL", ("CD3E",), (0,))], replace=True)
    assert materialized_signatures(copy) == []


def test_runs_are_kept_apart(copy):
    with Atlas(copy) as atlas:
        other = settings(n_steps=7)
        write_study(atlas, np.array([[1.0, 1, 0], [0, 0, 1], [np.nan] * 3]), TOY_GENES, run_settings=other, run="other")
        atlas.materialize(["T_CELL"], run="other")
        atlas.materialize(["T_CELL"])
        atlas.materialize(["T_CELL"])
    with sigdb.connect(copy) as con:
        runs = con.execute("SELECT list(run ORDER BY run) FROM materialized_signatures").fetchall()
        assert runs == [(["other", "toy-model-ig"],)]
        query = "SELECT score FROM signature_scores(['T_CELL'], run := ?) WHERE cell_id = 1"
        assert con.execute(query, ["other"]).fetchall() == [(1.0,)]
        assert con.execute(query, [None]).fetchall() == [(9.0,)]


def test_a_name_that_comes_to_mean_another_gene(copy):
    """RIPOR2 is a gene of the second model only. Before, its previous symbol FAM65B had no meaning in the atlas."""
    with Atlas(copy) as atlas:
        atlas.add_signatures([Signature("B", ("CD3E", "FAM65B"))])
        atlas.materialize(["B"], missing="ignore")
        write_study(atlas, np.array([[5.0, 6.0]]), ("CD3E", "RIPOR2"), study="two", model="b", run="b")
        atlas.materialize(["B"], run="b")
    with sigdb.connect(copy) as con:
        query = "SELECT max(score) FROM signature_scores(['B'], run := ?, missing := 'ignore')"
        assert con.execute(query, [None]).fetchall() == [(9.0,)]
        assert con.execute(query, ["b"]).fetchall() == [(5.5,)]


REFUSED = [
    (["NO_SUCH"], {}, "1 of 2 names are no signatures of the library: NO_SUCH"),
    ([], {}, "No signature is named"),
    (["UNKNOWN"], {"missing": "error"}, "1 of 4 genes is not in this atlas: NOSUCH"),
    (["NOTHING"], {}, "None of the genes of NOTHING is in this atlas"),
    (["T_CELL"], {"run": "no"}, "no"),
]


@pytest.mark.parametrize(("names", "options", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_what_cannot_be_scored_is_refused_and_nothing_changes(copy, names, options, message):
    with Atlas(copy) as atlas:
        atlas.add_signatures([Signature("UNKNOWN", ("CD3E", "NOSUCH")), Signature("NOTHING", ("NOSUCH",))])
    before = fingerprint(copy)
    with Atlas(copy) as atlas, pytest.raises(SigdbError, match=message):
        atlas.materialize([*NAMES[: len(names)], *names], **options)
    assert fingerprint(copy) == before


def test_forgetting_what_is_not_kept(copy):
    with Atlas(copy) as atlas:
        with pytest.raises(
            SignatureError, match=r"no scores of 1 of 1 signatures: T_CELL\. It keeps the scores of: no signature"
        ):
            atlas.unmaterialize(["T_CELL"])
        atlas.materialize(["MYELOID"])
        with pytest.raises(
            SignatureError, match=r"no scores of 1 of 2 signatures: T_CELL\. It keeps the scores of: MYELOID"
        ):
            atlas.unmaterialize(NAMES)
    assert materialized_signatures(copy) == [("MYELOID", 2)]
