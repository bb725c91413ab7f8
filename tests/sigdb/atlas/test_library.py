"""The library of signatures: what is removed goes with its kept scores and its views; a refusal changes nothing."""

from __future__ import annotations

import shutil

import pytest

import sigdb
from sigdb import Atlas, Signature
from sigdb.errors import SignatureError
from tests.support.toy import fingerprint


@pytest.fixture
def copy(toy_path, tmp_path):
    return shutil.copy(toy_path, tmp_path / "copy.duckdb")


def test_removed_signatures_leave_nothing(copy):
    before = fingerprint(copy)
    new = [Signature("A", ("CD3E", "S100A8"), (1, 2)), Signature("B", ("CD3E",))]
    with Atlas(copy) as atlas:
        atlas.add_signatures(new)
        atlas.materialize(["A", "T_CELL"])
        atlas.add_views(["A"])
        assert atlas.remove_signatures(["a", "B", "b"]) == ["A", "B"]
        kept = atlas.con.execute("SELECT signature FROM materialized_signatures").fetchall()
        assert kept == [("T_CELL",)]
        assert atlas.con.execute("SELECT count(*) FROM duckdb_views() WHERE view_name = 'A'").fetchall() == [(0,)]
        atlas.unmaterialize(["T_CELL"])
    assert fingerprint(copy) == before
    with Atlas(copy) as atlas:
        atlas.add_signatures(new)
    with sigdb.connect(copy) as con:
        assert con.execute("SELECT count(*) FROM signature_info").fetchall() == [(4,)]


REFUSED = {
    "one of several": (["T_CELL", "MYELOYD"], r"1 of 2 names are no signatures .*: MYELOYD \(did you mean MYELOID\?\)"),
    "one": (["NONE"], r"^NONE is no signature of the library\. It has: MYELOID, T_CELL\.$"),
    "none": ([], "No signature is named"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_removal_changes_nothing(copy, case):
    names, said = REFUSED[case]
    before = fingerprint(copy)
    with Atlas(copy) as atlas, pytest.raises(SignatureError, match=said):
        atlas.remove_signatures(names)
    assert fingerprint(copy) == before
