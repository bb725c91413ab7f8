"""Upgrade an atlas: planted steps run in one transaction, and what cannot be upgraded is left unchanged."""

from __future__ import annotations

import shutil

import duckdb
import pytest

import sigdb
from sigdb import statements
from sigdb.atlas.file import SCHEMA_VERSION
from sigdb.atlas.upgrade import OLDEST_SCHEMA, upgrade
from sigdb.errors import AtlasError, AtlasVersionError
from tests.support.toy import fingerprint, make_schema_4, make_schema_5, make_schema_6, set_schema_version


@pytest.fixture
def copy(toy_path, tmp_path):
    return shutil.copy(toy_path, tmp_path / "copy of toy.duckdb")


def test_an_atlas_older_than_any_upgrade(copy):
    set_schema_version(copy, OLDEST_SCHEMA - 1)
    with pytest.raises(AtlasVersionError, match=f"can upgrade schemas from {OLDEST_SCHEMA} on"):
        upgrade(copy)


@pytest.mark.file_only("a lake records the schema of the sigdb that runs, and this test changes that schema")
def test_upgrade_runs_the_scripts_in_between_and_installs_the_macros(copy, monkeypatch):
    """A current atlas, opened by a sigdb that is two schemas ahead and has these two upgrade steps."""
    scripts = {
        f"upgrades/{SCHEMA_VERSION:03}": "ALTER TABLE sigdb_data.studies ADD COLUMN doi VARCHAR;",
        f"upgrades/{SCHEMA_VERSION + 1:03}": "UPDATE sigdb_data.studies SET doi = 'unknown';",
    }
    original = statements.statement
    monkeypatch.setattr(statements, "statement", lambda name: scripts.get(name) or original(name))
    for module in ("upgrade", "file", "empty"):
        monkeypatch.setattr(f"sigdb.atlas.{module}.SCHEMA_VERSION", SCHEMA_VERSION + 2)
    with duckdb.connect(copy) as con:
        con.execute("CREATE OR REPLACE MACRO signature_genes(name) AS ['stale']")
    assert upgrade(copy) == (SCHEMA_VERSION, SCHEMA_VERSION + 2)
    with sigdb.connect(copy) as con:
        assert con.execute("SELECT doi FROM studies").fetchall() == [("unknown",)]
        assert con.execute("SELECT signature_genes('T_CELL')").fetchall() == [(["CD3E"],)]


def test_schema_5_had_no_sums_of_importance(copy):
    with sigdb.connect(copy) as con:
        query = "FROM gene_importance(cell_type := 'monocyte')"
        expected = con.execute(query).fetchall()
        unsound = {finding.check for finding in sigdb.verify(con) if finding.n}
    before = fingerprint(copy)
    make_schema_5(copy)
    with pytest.raises(AtlasVersionError, match="has atlas schema 5"):
        sigdb.connect(copy)
    assert upgrade(copy) == (5, SCHEMA_VERSION)
    with sigdb.connect(copy) as con:
        assert con.execute(query).fetchall() == expected != []
        assert {finding.check for finding in sigdb.verify(con) if finding.n} == unsound
    assert fingerprint(copy) == before


@pytest.mark.parametrize(("make_older", "schema"), [(make_schema_6, 6), (make_schema_5, 5), (make_schema_4, 4)])
def test_what_older_schemas_did_not_record_is_unknown(copy, make_older, schema):
    """An older atlas keeps its data. What its schema did not record is NULL, and it is as sound as a new atlas."""
    unknown = ["n_expressed", "n_read", *(["integration_error"] if schema == 4 else [])]
    stored = f"SELECT * EXCLUDE ({', '.join(unknown)}) FROM attributed_cells ORDER BY ALL"
    with sigdb.connect(copy) as con:
        unsound = {finding.check for finding in sigdb.verify(con) if finding.n}
        expected = con.execute(stored).fetchall()
    with duckdb.connect(copy) as con:  # what an upgrade must not make up again
        con.execute("UPDATE sigdb_data.attributed_cells SET n_expressed = 7, n_read = 7")
    make_older(copy)
    assert upgrade(copy) == (schema, SCHEMA_VERSION)
    with sigdb.connect(copy) as con:
        assert con.execute(stored).fetchall() == expected
        assert con.execute(f"SELECT DISTINCT {', '.join(unknown)} FROM attributed_cells").fetchall() == [
            (None,) * len(unknown)
        ]
        assert con.execute("FROM unread_genes").fetchall() == []
        assert {finding.check for finding in sigdb.verify(con) if finding.n} == unsound


def test_a_failing_upgrade_changes_nothing(copy, monkeypatch):
    before = fingerprint(copy)
    original = statements.statement
    script = "ALTER TABLE sigdb_data.studies ADD COLUMN doi VARCHAR; SELECT * FROM nowhere;"
    scripts = {f"upgrades/{SCHEMA_VERSION:03}": script}
    monkeypatch.setattr(statements, "statement", lambda name: scripts.get(name) or original(name))
    monkeypatch.setattr("sigdb.atlas.upgrade.SCHEMA_VERSION", SCHEMA_VERSION + 1)
    with pytest.raises(AtlasError, match=r"copy of toy\.duckdb cannot be upgraded and is unchanged: .*nowhere"):
        upgrade(copy)
    assert fingerprint(copy) == before


def test_an_index_of_the_user_prevents_an_upgrade(copy, monkeypatch):
    script = (
        "ALTER TABLE sigdb_data.attributions RENAME TO renamed;ALTER TABLE sigdb_data.renamed RENAME TO attributions;"
    )
    original = statements.statement
    scripts = {f"upgrades/{SCHEMA_VERSION:03}": script}
    monkeypatch.setattr(statements, "statement", lambda name: scripts.get(name) or original(name))
    for module in ("upgrade", "empty"):
        monkeypatch.setattr(f"sigdb.atlas.{module}.SCHEMA_VERSION", SCHEMA_VERSION + 1)
    with duckdb.connect(copy) as con:
        con.execute("CREATE INDEX mine ON sigdb_data.attributions (cell_id)")
    with pytest.raises(AtlasError, match=r"is unchanged: .*attributions.* an index or a column that you added .* drop"):
        upgrade(copy)
    with duckdb.connect(copy) as con:
        con.execute("DROP INDEX sigdb_data.mine")
    assert upgrade(copy) == (SCHEMA_VERSION, SCHEMA_VERSION + 1)


def test_upgrading_a_current_atlas_keeps_its_data(copy):
    before = fingerprint(copy)
    assert upgrade(copy) == (SCHEMA_VERSION, SCHEMA_VERSION)
    assert fingerprint(copy) == before
