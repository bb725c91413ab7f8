"""Lakes of older schemas can be read and grow.

Schema 5 has no sums of gene_importance: they are added up from the cube. Schema 6 does not know which genes were read.
"""

from __future__ import annotations

import pytest

import sigdb
from sigdb.lake import manifest
from sigdb.lake.grow import growing_lake
from tests.support.lakes import QUERIES, assert_same, copy_grown_lake, copy_two_runs, copy_two_runs_lake, make_older


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    return copy_two_runs(tmp_path_factory.mktemp("two") / "two.duckdb")


@pytest.fixture(scope="module", params=[5, 6])
def older(request, tmp_path_factory):
    folder = copy_two_runs_lake(tmp_path_factory.mktemp("older") / "lake")
    make_older(folder, request.param)
    return folder


def answers(path, query, **options):
    with sigdb.connect(path, **options) as con:
        return con.execute(query).fetchall()


def check_importance(path):
    """The sums are those of the cube. (The scores of these runs do not add up to 1000, which is another check.)"""
    with sigdb.connect(path) as con:
        assert [(each.check, each.example) for each in sigdb.verify(con) if each.n and each.check != "sums"] == []


@pytest.mark.parametrize("name", ["scores", "importance", "cube", "read"])
def test_it_answers_as_the_atlas_does(older, two_runs, name):
    assert_same(answers(older, QUERIES[name]), answers(two_runs, QUERIES[name]))


@pytest.mark.file_only("it opens the files that it makes of a lake")
def test_all_that_is_made_of_it_has_the_sums(older, two_runs, tmp_path):
    """A file of views, and an atlas file. Both have the schema of this sigdb."""
    sigdb.attach_lake(older, tmp_path / "shown.duckdb")
    sigdb.import_lake(older, tmp_path / "imported.duckdb")
    expected = answers(two_runs, QUERIES["importance"])
    for path in (tmp_path / "shown.duckdb", tmp_path / "imported.duckdb"):
        assert_same(answers(path, QUERIES["importance"], trusted=True), expected)
    check_importance(tmp_path / "imported.duckdb")


@pytest.mark.slow
@pytest.mark.parametrize("schema", [5, 6])
def test_it_grows_into_a_lake_with_the_sums(two_runs, tmp_path, schema):
    lake = copy_grown_lake(tmp_path / "lake")
    make_older(lake, schema)
    with growing_lake(lake) as grown:
        grown.publish()
    found = manifest.read(str(lake))
    assert sum(file.rows for file in found.files_of("importance_sums")) > 0
    assert_same(answers(lake, QUERIES["importance"]), answers(two_runs, QUERIES["importance"]))
    check_importance(lake)
