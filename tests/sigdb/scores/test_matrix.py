"""`score_matrix`: scores in the rows of adata.obs, each in the row of its cell."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import sigdb
from sigdb import Signature
from sigdb.errors import ObsError, QueryError
from tests.support.toy import new_atlas, obs_of, write_study

GENES = ("CD3E", "LYZ")
SIGNATURES = ["T", Signature("M", ("LYZ", "CD3E"), (3, 1))]


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    """Two studies with the barcodes c0, c1, c2; in the first, samples a, a, b. T = CD3E, M = (3 LYZ + CD3E) / 4."""
    path = tmp_path_factory.mktemp("matrix") / "a.duckdb"
    with new_atlas(path, GENES) as atlas:
        one = obs_of(3, barcode=["c0", "c1", "c2"], sample=["a", "a", "b"])
        write_study(atlas, np.array([[1.0, 0], [2, 4], [np.nan, np.nan]]), GENES, study="one", obs=one)
        two = obs_of(3, barcode=["c0", "c1", "c2"], sample=["x", "x", "x"])
        write_study(atlas, np.array([[0, 8.0], [5, 0], [6, 0]]), GENES, study="two", obs=two)
        write_study(atlas, np.array([[7.0, 0]]), GENES, study="three", obs=obs_of(1, barcode=["c9"]), run="late")
        atlas.add_signatures([Signature("T", ("CD3E",))])
    with sigdb.connect(path) as con:
        yield con


def frame(barcodes, samples):
    return pd.DataFrame({"sample": samples}, index=barcodes)


def test_rows_follow_obs_in_any_order(con):
    adata = ad.AnnData(np.zeros((3, 1), np.float32), obs=frame(["c1", "c2", "c0"], ["x", "x", "a"]))
    scores = sigdb.score_matrix(con, SIGNATURES, adata.obs)
    assert list(scores.index) == ["c1", "c2", "c0"]
    assert list(scores.columns) == ["T", "M"]
    np.testing.assert_allclose(scores.to_numpy(), [[5, 1.25], [6, 1.5], [1, 0.25]])
    adata.obsm["signatures"] = scores
    assert adata.obs.join(scores)["T"].tolist() == [5, 6, 1]


def test_barcode_alone_within_a_study(con):
    obs = pd.DataFrame(index=["c1", "c0"])
    assert sigdb.score_matrix(con, ["T"], obs, sample=None, study="two")["T"].tolist() == [5, 0]


def test_all_cells_without_obs(con):
    scores = sigdb.score_matrix(con, ["T"], signed=True)
    assert scores.index.name == "cell_id"
    assert scores["T"].to_dict() == {0: 1, 1: 2, 2: 0, 3: 0, 4: 5, 5: 6}
    assert np.isnan(sigdb.score_matrix(con, ["T"], frame(["c9"], ["sample 1"]))["T"]["c9"])
    assert sigdb.score_matrix(con, ["T"], run="late")["T"].to_dict() == {6: 7}


def test_rows_that_are_not_in_the_atlas(con):
    obs = frame(["c0", "c7", "c1"], ["a", "a", "x"])
    with pytest.raises(ObsError, match=r"1 of 3 rows of obs are not cells of the atlas \(c7\).*unmatched='nan'"):
        sigdb.score_matrix(con, ["T"], obs)
    np.testing.assert_array_equal(sigdb.score_matrix(con, ["T"], obs, unmatched="nan")["T"], [1, np.nan, 5])


def test_a_missing_sample_matches_no_cell(con):
    with pytest.raises(ObsError, match="1 of 2 rows of obs are not cells"):
        sigdb.score_matrix(con, ["T"], frame(["c0", "c1"], ["a", None]))


REFUSED = [
    (
        {"sample": None},
        ObsError,
        r"2 of 2 rows of obs match several cells of the atlas \(c0, c1\).*`study` or .*`sample`",
    ),
    ({"sample": "batch"}, ObsError, "obs has no column 'batch'.*`sample=None`"),
    ({"unmatched": "drop"}, QueryError, "`unmatched` must be 'error' or 'nan', not 'drop'"),
    ({"agg": "median"}, QueryError, "`agg` must be"),
    ({"weights": [1.0]}, QueryError, "sigdb.score_matrix has no parameter `weights`"),
]


@pytest.mark.parametrize(("options", "error", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_wrong_options_are_refused(con, options, error, message):
    with pytest.raises(error, match=message):
        sigdb.score_matrix(con, ["T"], frame(["c0", "c1"], ["a", "a"]), **options)


def test_signatures_that_are_refused(con):
    with pytest.raises(QueryError, match="given more than once: T"):
        sigdb.score_matrix(con, ["T", Signature("T", ("LYZ",))])
    with pytest.raises(QueryError, match="no signatures to score"):
        sigdb.score_matrix(con, [])
    with pytest.raises(QueryError, match="X is neither a signature of the library nor a gene"):
        sigdb.score_matrix(con, ["X"])


@pytest.mark.parametrize("ask", [sigdb.score, sigdb.leading_genes], ids=["score", "leading_genes"])
def test_an_error_of_a_macro_names_parameters_in_python(toy, ask):
    with pytest.raises(QueryError, match=r"Use `missing='ignore'` to score the other 1\."):
        ask(toy, ["CD3E", "FOO"])


@pytest.fixture
def adata():
    return ad.AnnData(np.zeros((3, 1), np.float32), obs=frame(["c1", "c2", "c0"], ["x", "x", "a"]))


def test_annotate_writes_columns_of_obs(con, adata):
    sigdb.annotate(con, adata, [*SIGNATURES, "LYZ"])
    assert list(adata.obs.columns) == ["sample", "T", "M", "LYZ"]
    np.testing.assert_allclose(adata.obs[["T", "M", "LYZ"]], [[5, 1.25, 0], [6, 1.5, 0], [1, 0.25, 0]])


def test_annotate_writes_one_entry_of_obsm(con, adata):
    sigdb.annotate(con, adata, {"a": "t", "b": ["LYZ"]}, obsm="X_sigdb", signed=True)
    assert list(adata.obs.columns) == ["sample"]
    assert adata.obsm["X_sigdb"]["a"].to_dict() == {"c1": 5, "c2": 6, "c0": 1}


@pytest.mark.parametrize("given", ["adata", "obs"])
def test_an_adata_or_its_obs(con, adata, given):
    scores = sigdb.score_matrix(con, "T", adata if given == "adata" else adata.obs)
    assert scores["T"].tolist() == [5, 6, 1]


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
def test_barcodes_that_repeat_within_an_adata(con):
    both = ad.AnnData(np.zeros((2, 1), np.float32), obs=frame(["c0", "c0"], ["x", "a"]))
    sigdb.annotate(con, both, "T")
    assert both.obs["T"].tolist() == [0, 1]


def test_annotate_leaves_cells_without_a_score(con, adata):
    adata.obs_names = ["c1", "c2", "new"]
    with pytest.raises(ObsError, match="1 of 3 rows of obs are not cells of the atlas"):
        sigdb.annotate(con, adata, ["T"])
    assert list(adata.obs.columns) == ["sample"]
    sigdb.annotate(con, adata, ["T"], unmatched="nan")
    np.testing.assert_array_equal(adata.obs["T"], [5, 6, np.nan])


@pytest.mark.parametrize("obsm", [None, "T"])
def test_annotate_overwrites_only_if_asked(con, adata, obsm):
    place = adata.obs if obsm is None else adata.obsm
    place["T"] = np.ones((3, 1)) if obsm else 7.0
    with pytest.raises(ObsError, match=r"adata\.obsm? has T already\. Use `overwrite=True`"):
        sigdb.annotate(con, adata, "T", obsm=obsm)
    assert np.asarray(place["T"]).ravel()[0] in (1, 7)
    sigdb.annotate(con, adata, "T", obsm=obsm, overwrite=True)
    assert np.asarray(place["T"]).ravel().tolist() == [5, 6, 1]


ODD = {
    "a path": ("study.h5ad", ["T"], ObsError, "as an AnnData object or as its `obs`, not as str"),
    "nothing": (None, ["T"], ObsError, "not as NoneType"),
    "no signatures": ("adata", None, QueryError, "1 of 1 is something else: None"),
    "a list of lists": ("adata", [["CD3E"]], QueryError, r"1 of 1 is something else: \['CD3E'\]"),
}


@pytest.mark.parametrize("case", ODD)
def test_annotate_refuses(con, adata, case):
    given, signatures, error, said = ODD[case]
    with pytest.raises(error, match=said):
        sigdb.annotate(con, adata if given == "adata" else given, signatures)
