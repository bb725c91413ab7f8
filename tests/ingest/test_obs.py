"""Columns of obs become fields of the atlas or columns of their own. Nothing is dropped or coerced."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from ingest.obs import CELLS, RESERVED, obs_table
from ingest.store.records import FIELDS
from sigdb import Atlas
from sigdb.atlas import schema
from sigdb.errors import ObsError, OptionError
from tests.ingest.conftest import small_adata

OBS = small_adata(6).obs


def table(obs=OBS, **mapping):
    return obs_table(obs, study="study", mapping=mapping)


def test_fields_have_usual_names_and_other_columns_are_kept():
    found, notes = table()
    assert found["barcode"].to_pylist() == [f"cell{i}" for i in range(6)]
    assert found["sample"].to_pylist() == ["s0", "s1", "s2", "s3", "s0", "s1"]
    assert found["donor"].to_pylist() == ["d0", "d1"] * 3
    assert found["cell_type"].to_pylist() == ["monocyte", "T cell", None] * 2
    assert found["tissue"].to_pylist() == [None] * 6
    assert found["cluster"].to_pylist() == [0, 1, 2, 3, 4, 0]
    assert found["doublet_score"].to_pylist() == [None, 0.25, 0.25, 0.25, 0.25, 0.25]
    assert found["obs_n_counts"].to_pylist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert notes == ["obs column 'n_counts' is kept as 'obs_n_counts': the atlas has its own column 'n_counts'"]
    assert set(found.column_names) == {"barcode", *FIELDS, "cluster", "doublet_score", "obs_n_counts"}


def test_fields_as_mapped():
    found, _ = table(disease="cluster", tissue="disease")
    assert found["disease"].to_pylist() == ["0", "1", "2", "3", "4", "0"]
    assert found["tissue"].to_pylist() == ["normal", "flu"] * 3
    assert "cluster" not in found.column_names


def test_a_field_may_be_left_out():
    found, _ = table(disease="", donor="")
    assert found["disease"].to_pylist() == [None] * 6
    assert found["obs_disease"].to_pylist() == ["normal", "flu"] * 3
    assert found["donor_id"].to_pylist() == ["d0", "d1"] * 3


def test_without_a_sample_column_donors_or_the_study_are_the_samples():
    found, notes = table(OBS.drop(columns="sample"))
    assert found["sample"].to_pylist() == ["d0", "d1"] * 3
    assert "no sample column: one sample for each donor" in notes
    found, notes = table(OBS.drop(columns="sample").assign(tissue=["lung", "lung", "blood"] * 2))
    samples = ["d0 | lung", "d1 | lung", "d0 | blood", "d1 | lung", "d0 | lung", "d1 | blood"]
    assert found["sample"].to_pylist() == samples
    assert "no sample column: one sample for each donor and tissue" in notes
    found, notes = table(OBS[["cluster"]])
    assert found["sample"].to_pylist() == ["study"] * 6
    assert notes == ["no sample column: the whole study is one sample"]


def test_samples_are_divided_by_the_fields_that_vary_in_them():
    obs = OBS.assign(sample=["s", "s", "s", "t", "t", "t"], tissue=["lung", "lung", None] + ["lung"] * 3)
    obs = obs.assign(disease=["flu", "normal", "flu"] + ["flu"] * 3, donor_id="d")
    found, notes = obs_table(obs, study="study", mapping={}, divide=True)
    names = ["s | lung | flu", "s | lung | normal", "s | unknown | flu", "t", "t", "t"]
    assert found["sample"].to_pylist() == names
    assert (
        "tissue and disease vary within 1 sample, which is divided: 's | lung | flu' is one of the new samples" in notes
    )
    with pytest.raises(ObsError, match="dividing them gives equal names"):
        obs_table(
            obs.assign(sample=["s", "s", "s", "s | lung | flu"] + ["t"] * 2), study="study", mapping={}, divide=True
        )


def test_in_vivo_is_a_boolean():
    found, _ = table(OBS.assign(in_vivo=["True", "no", None, "FALSE", "1", "0"]))
    assert found["in_vivo"].to_pylist() == [True, False, None, False, True, False]
    with pytest.raises(ObsError, match="in_vivo must be true or false, not maybe"):
        table(OBS.assign(in_vivo="maybe"))


@pytest.mark.parametrize(
    ("obs", "mapping", "error", "message"),
    [
        (
            OBS,
            {"diseas": "disease"},
            OptionError,
            r"no field 'diseas' \(`mapping`\)\. Did you mean 'disease'\? Fields are: sample, donor",
        ),
        (
            OBS,
            {"disease": "diseas"},
            OptionError,
            r"no column 'diseas' for the field disease \(`mapping`\)\. Did you mean 'disease'\?",
        ),
        (OBS.set_axis([*"ababcd"]), {}, ObsError, "2 cell names of study occur more than once: a, b"),
        (OBS.assign(sample=["s", None] * 3), {}, ObsError, "3 of 6 cells of study have no sample"),
        (OBS.assign(mixed=[1, "a", 2.5, None, 1, 1]), {}, ObsError, "obs column 'mixed' cannot be stored"),
        (pd.concat([OBS, OBS[["cluster"]]], axis=1), {}, ObsError, "1 columns more than once: cluster"),
    ],
    ids=["field", "column", "barcodes", "sample", "mixed", "twice"],
)
def test_what_cannot_be_stored_is_refused(obs, mapping, error, message):
    with pytest.raises(error, match=message):
        table(obs, **mapping)


def test_column_types():
    obs = OBS.assign(
        text=["a", None, "b", "c", "d", "e"],
        flag=[True, False] * 3,
        number=np.float32(0.5),
        whole=np.int8(3),
        nullable=pd.array([1, None, 3, 4, 5, 6], dtype="Int64"),
        category=pd.Categorical(["x", None] * 3),
        when=pd.Timestamp("2026-01-02"),
    )
    found, _ = table(obs)
    kinds = {
        "text": "string",
        "flag": "bool",
        "number": "double",
        "whole": "int64",
        "nullable": "int64",
        "category": "string",
    }
    assert {name: str(found.schema.field(name).type) for name in kinds} == kinds
    assert found["nullable"].to_pylist()[1] is None
    assert found["category"].to_pylist()[1] is None
    assert str(found.schema.field("when").type).startswith("timestamp")


def test_columns_that_differ_only_in_case_are_kept():
    found, notes = table(OBS.assign(Cluster=7, CLUSTER=8, Study="u", study="v", obs_score=9, score=0.5))
    kept = {"cluster": 0, "Cluster_2": 7, "CLUSTER_3": 8, "obs_Study": "u", "obs_study_2": "v"}
    kept |= {"obs_score": 9, "obs_score_2": 0.5}
    assert {name: found[name][0].as_py() for name in kept} == kept
    assert len({name.lower() for name in found.column_names}) == len(found.column_names)
    assert "obs column 'Cluster' is kept as 'Cluster_2': another one differs only in case" in notes
    assert "obs column 'study' is kept as 'obs_study_2': the atlas has its own column 'study'" in notes


def test_text_that_is_read_as_another_type_is_told():
    found, notes = table(OBS.assign(flag=["True", "False"] * 3, part=["3.0", None] * 3, code=["7", "07"] * 3))
    assert found["flag"].to_pylist()[:2] == [True, False]
    assert found["part"].to_pylist()[:2] == [3, None]
    assert found["code"].to_pylist()[:2] == ["7", "07"]
    assert notes[-1] == "2 obs columns of text are kept as whole numbers or true and false: flag, part"


def test_reserved_names_are_what_views_and_macros_return(tmp_path):
    """A macro says what it returns in its header. Views are asked in an empty atlas, which has no columns of obs."""
    with Atlas.create(tmp_path / "a.duckdb") as atlas:
        public = [each for each in schema.objects() if each.schema == "main"]
        views = [each.name for each in public if each.kind == "VIEW"]
        columns = {name for view in views for (name, *_) in atlas.con.execute(f"DESCRIBE {view}").fetchall()}
        cells = {name for (name, *_) in atlas.con.execute("DESCRIBE cells").fetchall()}
    for each in public:
        if each.kind == "MACRO TABLE":
            columns |= set(re.search(r"-> TABLE \((.*)\)$", each.signature)[1].split(", "))
    assert cells == {*CELLS, *FIELDS}
    assert columns == RESERVED
