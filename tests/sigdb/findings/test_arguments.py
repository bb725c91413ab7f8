"""Arguments of another kind than a function takes are refused, with what it takes."""

from __future__ import annotations

import inspect

import anndata
import pandas as pd
import pytest

import sigdb
from sigdb.errors import ObsError, QueryError
from tests.sigdb.findings.test_answers import FINDINGS

GENES = ["CD3E", "MS4A1"]
CALLS = {
    "hits": lambda con, **options: sigdb.hits(con, GENES, **options),
    "compare": lambda con, **options: sigdb.compare(con, GENES, of="hits", **options),
    "gene_compare": lambda con, **options: sigdb.gene_compare(con, by="disease", reference="normal", **options),
    "rank_signatures": lambda con, **options: sigdb.rank_signatures(con, cells="cell_type = 'T cell'", **options),
    **{
        name: lambda con, name=name, **options: getattr(sigdb, name)(con, GENES, **options)
        for name in ("matched_null", "leading_genes", "embedding", "score_bins", "group_scores", "gene_dots")
    },
}
NUMBERS = [
    (name, parameter.name)
    for name in CALLS
    if name != "embedding"  # the toy atlas has none
    for parameter in inspect.signature(getattr(sigdb, name)).parameters.values()
    if parameter.annotation in ("int", "float", "float | None", "int | None")
]


@pytest.fixture(scope="module")
def con(toy_path):
    with sigdb.connect(toy_path) as con:
        yield con


def test_every_finding_is_called():
    assert set(FINDINGS) <= set(CALLS)
    assert {name for name, _ in NUMBERS} == CALLS.keys() - {"embedding"}


@pytest.mark.parametrize(("name", "parameter"), NUMBERS)
def test_a_number_in_a_text_is_refused(con, name, parameter):
    with pytest.raises(QueryError, match=rf"^`{parameter}` must be a number, not '5'\.$"):
        CALLS[name](con, **{parameter: "5"})


@pytest.mark.parametrize(
    "call",
    [
        *CALLS.values(),
        lambda con: sigdb.score(con, GENES),
        lambda con: sigdb.score_matrix(con, ["MS1"]),
        lambda con: sigdb.annotate(con, anndata.AnnData(obs=pd.DataFrame({"sample": ["a"]}, ["b"])), ["MS1"]),
        lambda con: sigdb.register(con),
        lambda con: sigdb.register_signature(con, "a", GENES),
    ],
)
def test_the_path_of_an_atlas_is_no_connection(call):
    message = r"^`con` must be a connection, not 'demo.duckdb'\. `sigdb.connect\('demo.duckdb'\)` opens one\.$"
    with pytest.raises(QueryError, match=message):
        call("demo.duckdb")


def test_a_data_frame_of_cells_cannot_be_annotated(con):
    obs = pd.DataFrame({"sample": ["a"]}, ["b"])
    with pytest.raises(ObsError, match=r"`adata` must be an AnnData object, not a data frame\. `sigdb.score_matrix"):
        sigdb.annotate(con, obs, ["T_CELL"])


def test_genes_with_weights_are_a_signature(con):
    with pytest.raises(QueryError, match=r"not dict: .* Weights come with `sigdb.Signature\(name, genes, weights\)`"):
        sigdb.score_matrix(con, {"b": {"MS4A1": 1}})
