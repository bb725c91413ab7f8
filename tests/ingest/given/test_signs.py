"""Signed scores and absolute values: queries and runs keep them apart."""

from __future__ import annotations

import duckdb
import pytest

import sigdb
from sigdb.errors import (
    QueryError,
    ScoresError,
)
from tests.ingest.conftest import contents
from tests.ingest.given.conftest import (
    failed_checks,
    given_scores,
    load_scores,
    write_files,
)

UNSIGNED = "The scores of run 'precomputed-unknown' are absolute values, without signs"
SIGNED_QUERIES = [
    "FROM signature_score(['LYZ'], signed := true)",
    "SELECT signature_score(cell_id, ['LYZ'], signed := true) FROM cells",
    "FROM signature_by_sample(['LYZ'], signed := true)",
    "FROM signature_hits(['LYZ'], signed := true)",
    "FROM signature_hits(['LYZ'], signed := true, against := 'cells')",
    "FROM signature_calibration(['LYZ'], signed := true)",
    "FROM sample_hit_rates(['LYZ'], signed := true, min_cells := 1)",
    "FROM gene_importance(signed := true)",
    "FROM signature_contributions(['LYZ'], signed := true)",
    "FROM leading_genes(['LYZ'], signed := true)",
    "FROM signature_null(['LYZ'], signed := true, n_controls := 5)",
]


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unsigned")
    load_scores(folder / "a.duckdb", write_files(folder, given_scores(signed=False)))
    return folder / "a.duckdb"


@pytest.mark.parametrize("query", SIGNED_QUERIES)
def test_signed_queries_of_absolute_scores_are_refused(unsigned, query):
    with sigdb.connect(unsigned) as con:
        with pytest.raises(duckdb.Error, match=UNSIGNED):
            con.execute(query).fetchall()
        assert con.execute(query.replace("signed := true", "signed := false")).fetchall()


def test_signed_queries_of_absolute_scores_are_refused_in_python(unsigned):
    with sigdb.connect(unsigned) as con:
        with pytest.raises(QueryError, match=UNSIGNED):
            sigdb.score(con, ["LYZ"], signed=True)
        with pytest.raises(QueryError, match=UNSIGNED):
            sigdb.gene_compare(con, by="cell_type", reference="B", unit="sample", signed=True)
        assert con.execute("SELECT DISTINCT signed_score FROM gene_attributions(['LYZ'])").fetchall() == [(None,)]
        assert con.execute("SELECT is_signed FROM attribution_runs").fetchall() == [(False,)]


@pytest.mark.slow
@pytest.mark.parametrize("first", [True, False])
def test_signed_and_absolute_scores_cannot_share_a_run(tmp_path, first):
    load_scores(tmp_path / "a.duckdb", write_files(tmp_path, given_scores(signed=first)), "one")
    before = contents(tmp_path / "a.duckdb")
    other = write_files(tmp_path, given_scores(signed=not first))
    with pytest.raises(
        ScoresError, match=r"'two' has .*the 1 other studies of run .* have .*a run of their own with `run`"
    ):
        load_scores(tmp_path / "a.duckdb", other, "two")
    assert contents(tmp_path / "a.duckdb") == before
    load_scores(tmp_path / "a.duckdb", other, "two", run="other")
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        runs = "SELECT run, is_signed FROM attribution_runs ORDER BY run_id"
        assert con.execute(runs).fetchall() == [("precomputed-unknown", first), ("other", not first)]
        assert failed_checks(con) == {}
