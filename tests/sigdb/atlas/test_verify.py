"""`sigdb.verify` finds planted errors and names the violated check; `fix` rebuilds derived data."""

from __future__ import annotations

import shutil
from itertools import pairwise

import duckdb
import numpy as np
import pytest
from typer.testing import CliRunner

import sigdb
from sigdb import Atlas, Signature
from sigdb.atlas.derived import cluster
from sigdb.atlas.schema import comment_tables
from sigdb.atlas.verify import CHECKS, fix, verify
from sigdb.cli import app
from sigdb.statements import statement
from tests.support.toy import fingerprint, new_atlas, obs_of, write_study

GENES = ("S100A8", "S100A9", "CD3E", "LYZ")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Two studies of 20 cells, scores that add up to 1000, one cell without attributions, a materialised signature.

    It is recorded for the first study that some genes were not read; nothing is recorded for the second.
    """
    path = tmp_path_factory.mktemp("verify") / "sound.duckdb"
    rng = np.random.default_rng(0)
    with new_atlas(path) as atlas:
        for study in ("one", "two"):
            scores = rng.normal(size=(20, 4)) * (rng.random((20, 4)) < 0.8)
            scores[0] = np.nan
            scores[1:, 0] += 0.1
            scores *= 1000 / np.abs(scores).sum(axis=1, keepdims=True)
            obs = obs_of(20, sample=["a", "b"] * 10, cell_type=["x", "x", None, "y"] * 5)
            unread = {"unread": (scores == 0) & (rng.random((20, 4)) < 0.5)} if study == "one" else {}
            write_study(atlas, scores, GENES, study=study, obs=obs, chunks=3, **unread)
        atlas.add_signatures([Signature("S", ("CD3E", "LYZ"))])
        atlas.materialize(["S"])
        with atlas.transaction() as con:
            cluster(con)
    return path


@pytest.fixture
def copy(sound, tmp_path):
    return shutil.copy(sound, tmp_path / "copy.duckdb")


@pytest.fixture(autouse=True)
def ranges_of_a_gene(monkeypatch):
    """Checks that run by ranges of genes have several ranges here."""
    monkeypatch.setattr("sigdb.atlas.verify.BATCH", 20)


def failed_checks(path):
    with sigdb.connect(path) as con:
        return {finding.check: (finding.n, finding.example) for finding in verify(con) if finding.n}


def test_a_sound_atlas(sound):
    assert failed_checks(sound) == {}


@pytest.mark.file_only("of a lake, the order of rows is not checked")
def test_all_checks_run(sound):
    with sigdb.connect(sound) as con:
        assert [finding.check for finding in verify(con)] == ["tables", "schema", *CHECKS]


@pytest.mark.parametrize("batch", [1, 50, 70, 10_000])
def test_ranges_of_genes_are_all_ids_there_can_be(sound, batch):
    with sigdb.connect(sound) as con:
        ranges = con.execute(statement("atlas/inspect.gene_ranges"), {"batch": batch}).fetchall()
        counts = con.execute("SELECT gene_id, count(*) FROM sigdb_data.attributions GROUP BY ALL ORDER BY 1").fetchall()
    assert (ranges[0][0], ranges[-1][1]) == (0, 2**32 - 1)
    assert all(last + 1 == first for (_, last), (first, _) in pairwise(ranges))
    for first, last in ranges:
        before_its_last = [n for gene_id, n in counts if first <= gene_id <= last][:-1]
        assert sum(before_its_last) < batch
    assert len(ranges) == {1: 5, 50: 3, 70: 2, 10_000: 1}[batch]


def test_an_empty_atlas(tmp_path):
    with new_atlas(tmp_path / "empty.duckdb") as atlas:
        assert [finding for finding in verify(atlas.con) if finding.n] == []


# A planted error, the check that must find it, and a part of its example.
PLANTED = [
    ("UPDATE sigdb_data.attributed_cells SET n_read = n_expressed + 1 WHERE cell_id = 2", "unread", "run 0, cell 2: "),
    ("UPDATE sigdb_data.attributed_cells SET n_read = NULL WHERE cell_id = 2", "unread", "NULL read"),
    ("UPDATE sigdb_data.attributed_cells SET n_read = 0 WHERE cell_id = 2", "unread", "0 read"),
    ("DELETE FROM sigdb_data.unread_genes WHERE gene_id = 1", "unread", "run 0, study 0: "),
    ("UPDATE sigdb_data.unread_genes SET n_cells = n_cells + 1 WHERE gene_id = 1", "unread", "run 0, study 0: "),
    ("UPDATE sigdb_data.unread_genes SET study_id = 1", "unread", "study 0: 0 counted by gene, "),
    ("UPDATE sigdb_data.unread_genes SET gene_id = 1", "unread", "gene 1: "),
    (
        "UPDATE sigdb_data.unread_genes SET gene_id = 99 WHERE gene_id = 1",
        "orphans",
        "1 rows of unread_genes name no gene",
    ),
    (
        "UPDATE sigdb_data.unread_genes SET study_id = 99 WHERE gene_id = 1",
        "orphans",
        "1 rows of unread_genes name no study",
    ),
    ("DELETE FROM sigdb_data.attributions WHERE cell_id = 5 AND gene_id = 0", "ledger", "study 0, run 0: 20 cells and"),
    ("DELETE FROM sigdb_data.ingest_chunks WHERE study_id = 1 AND chunk = 2", "ledger", "study 1, run 0: 14 cells"),
    ("DELETE FROM sigdb_data.attributed_cells WHERE cell_id = 39", "ledger", "19 and"),
    ("UPDATE sigdb_data.cell_data SET cell_id = 7 WHERE cell_id = 8", "cell_ids", "cell_data has cell 7 2 times"),
    (
        "INSERT INTO sigdb_data.attributed_cells FROM sigdb_data.attributed_cells WHERE cell_id = 3",
        "cell_ids",
        "run 0 has cell 3 2 times",
    ),
    ("UPDATE sigdb_data.attributions SET gene_id = 4000 WHERE gene_id = 3", "orphans", "name no gene of the run's"),
    ("UPDATE sigdb_data.attributions SET run_id = 9 WHERE cell_id = 4", "orphans", "rows of attributions"),
    ("DELETE FROM sigdb_data.cell_data WHERE cell_id = 12", "orphans", "1 rows of attributed_cells name no cell"),
    ("UPDATE sigdb_data.cell_data SET sample_id = 99 WHERE cell_id = 12", "orphans", "cell_data name no sample"),
    ("DELETE FROM sigdb_data.samples WHERE sample_id = 3", "orphans", "10 rows of cell_data name no sample"),
    ("DELETE FROM sigdb_data.signature_info", "orphans", "2 rows of signatures name no signature"),
    ("DELETE FROM sigdb_data.materialized_signatures", "orphans", "signature_cells name no materialised"),
    ("UPDATE sigdb_data.attributions SET score = 'nan' WHERE cell_id = 6 AND gene_id = 0", "scores", "cell 6: nan"),
    ("UPDATE sigdb_data.attributions SET score = 'inf' WHERE cell_id = 6 AND gene_id = 0", "scores", "cell 6: inf"),
    ("UPDATE sigdb_data.attributions SET score = 0 WHERE cell_id = 6 AND gene_id = 0", "scores", "cell 6: 0.0"),
    ("UPDATE sigdb_data.attributions SET score = NULL WHERE cell_id = 6 AND gene_id = 0", "scores", "cell 6: NULL"),
    ("INSERT INTO sigdb_data.attributions FROM sigdb_data.attributions WHERE cell_id = 6", "scores", "cell 6 2 times"),
    ("UPDATE sigdb_data.attributions SET score = score * 1.01 WHERE cell_id = 9", "sums", "cell 9: 1010.0 instead of"),
    ("INSERT INTO sigdb_data.attributions VALUES (0, 1, 20, 5)", "sums", "cell 20: 5.0 instead of 0"),
    (
        "UPDATE sigdb_data.attributed_cells SET attribution_scale = NULL WHERE cell_id = 2",
        "completeness",
        "cell 2: scale NULL",
    ),
    (
        "UPDATE sigdb_data.attributed_cells SET completeness_delta = 'nan' WHERE cell_id = 2",
        "completeness",
        "cell 2: scale 0.5, delta nan",
    ),
    (
        "UPDATE sigdb_data.attributed_cells SET integration_error = -1 WHERE cell_id = 2",
        "completeness",
        "cell 2: scale 0.5, delta 0.01, error -1.0",
    ),
    ("UPDATE sigdb_data.attribution_summary SET sum_abs = sum_abs * 1.0001 WHERE gene_id = 2", "cube", "gene 2"),
    ("UPDATE sigdb_data.attribution_summary SET sum_signed = -sum_signed WHERE gene_id = 2", "cube", "gene 2"),
    ("UPDATE sigdb_data.attribution_summary SET n_nonzero = n_nonzero + 1 WHERE gene_id = 2", "cube", "gene 2"),
    ("UPDATE sigdb_data.attribution_summary SET sum_sq = 'nan' WHERE gene_id = 2", "cube", "gene 2"),
    ("DELETE FROM sigdb_data.attribution_summary WHERE sample_id = 1", "cube", "sample 1"),
    ("UPDATE sigdb_data.importance_sums SET sum_abs = sum_abs * 1.0001 WHERE gene_id = 2", "importance_sums", "gene 2"),
    ("UPDATE sigdb_data.importance_sums SET sum_signed = -sum_signed WHERE gene_id = 2", "importance_sums", "gene 2"),
    ("UPDATE sigdb_data.importance_sums SET n_nonzero = n_nonzero + 1 WHERE gene_id = 2", "importance_sums", "gene 2"),
    ("INSERT INTO sigdb_data.importance_sums FROM sigdb_data.importance_sums", "importance_sums", "group 0, gene 0"),
    ("DELETE FROM sigdb_data.importance_sums WHERE group_id = 1", "importance_sums", "group 1"),
    ("DELETE FROM sigdb_data.importance_groups WHERE group_id = 1", "importance_groups", "0 groups, not 1"),
    (
        "INSERT INTO sigdb_data.importance_groups FROM sigdb_data.importance_groups",
        "importance_groups",
        "2 groups, not 1",
    ),
    ("UPDATE sigdb_data.importance_groups SET group_id = 0 WHERE group_id = 1", "importance_groups", "1 groups, not 1"),
    ("UPDATE sigdb_data.group_sizes SET n_cells = 4 WHERE sample_id = 0", "group_sizes", "sample 0: 4 recorded, 5"),
    (
        "UPDATE sigdb_data.signature_cells SET score = score + 1 WHERE cell_id = 3",
        "materialized",
        "signature 0, cell 3",
    ),
    ("DELETE FROM sigdb_data.signature_cells WHERE cell_id = 3", "materialized", "signature 0, cell 3: none"),
    (
        "CREATE OR REPLACE TABLE sigdb_data.attributions AS "
        "FROM sigdb_data.attributions ORDER BY run_id, gene_id, cell_id DESC",
        "sorted",
        "after run 0, gene 0, cell 10 comes run 0",
    ),
    ("DROP VIEW gene_coverage", "schema", "missing view gene_coverage"),
    ("CREATE OR REPLACE MACRO signature_genes(name) AS ['LYZ']", "schema", "another macro main.signature_genes(name)"),
    ("ALTER TABLE sigdb_data.studies ADD COLUMN mine VARCHAR", "tables", "unknown column studies.mine"),
    ("ALTER TABLE sigdb_data.model_genes ALTER position TYPE BIGINT", "tables", "another column model_genes.position"),
    ("ALTER TABLE sigdb_data.group_sizes DROP n_cells", "tables", "missing column group_sizes.n_cells"),
]


of_a_file = pytest.mark.file_only("a lake has the views and macros of the sigdb that shows it, and no order of rows")


@pytest.mark.parametrize(
    ("statement", "check", "example"),
    [
        pytest.param(*each, id=each[0][:60], marks=[of_a_file] if each[1] in ("tables", "schema", "sorted") else [])
        for each in PLANTED
    ],
)
def test_a_planted_error_is_found(copy, statement, check, example):
    with Atlas(copy) as atlas:
        atlas.con.execute(statement)
    wrong = failed_checks(copy)
    assert check in wrong
    assert example in wrong[check][1]


@pytest.mark.file_only("it writes to the atlas")
def test_a_label_changed_by_hand_is_found(copy):
    """The cube has no labels of samples, but the sums of gene_importance are added up by them."""
    with Atlas(copy) as atlas:
        atlas.con.execute("UPDATE sigdb_data.samples SET disease = 'other' WHERE sample_id = 0")
    wrong = failed_checks(copy)
    assert wrong.keys() == {"importance_groups", "importance_sums"}
    assert "0 groups, not 1" in wrong["importance_groups"][1]


@pytest.mark.file_only("it writes to the atlas")
def test_objects_of_the_user_are_ignored(copy):
    with Atlas(copy) as atlas:
        atlas.con.execute("""
            CREATE TABLE mine AS SELECT 1 AS a;
            CREATE TABLE sigdb_data.mine AS SELECT 1 AS a;
            CREATE VIEW my_genes AS FROM genes;
            CREATE MACRO plus_one(x) AS x + 1;
            CREATE SCHEMA lab;
            CREATE VIEW lab.genes AS FROM main.genes;
            CREATE MACRO lab.signature_genes(name) AS [name];
        """)
    assert failed_checks(copy) == {}


@pytest.mark.file_only("it writes to the atlas")
def test_the_command_sees_that_macros_and_views_were_rebuilt(copy):
    with Atlas(copy) as atlas:
        atlas.con.execute("CREATE OR REPLACE MACRO signature_genes(name) AS ['LYZ']; DROP VIEW gene_coverage")
    result = CliRunner().invoke(app, ["verify", str(copy), "--fix"])
    assert result.exit_code == 0, result.exception
    assert "Rebuilt: schema" in result.stdout
    assert "is sound" in result.stdout


REBUILT = ("cube", "group_sizes", "importance_groups", "importance_sums", "materialized", "sorted")
DERIVED = [each[:2] for each in PLANTED if each[1] in REBUILT or "MACRO signature_genes" in each[0]]


@pytest.mark.slow
@pytest.mark.file_only("it writes to the atlas")
@pytest.mark.parametrize(("statement", "check"), DERIVED, ids=[statement[:60] for statement, _ in DERIVED])
def test_derived_data_are_rebuilt(copy, statement, check):
    before = fingerprint(copy)
    with Atlas(copy) as atlas:
        atlas.con.execute(statement)
        assert check in fix(atlas, list(verify(atlas.con)))
    assert failed_checks(copy) == {}
    after = fingerprint(copy)
    for table in ("attribution_summary", "group_sizes", "importance_groups", "importance_sums", "signature_cells"):
        assert [row[:-3] for row in sorted(after.pop(table), key=str)] == [
            row[:-3] for row in sorted(before.pop(table), key=str)
        ]
    assert after == before


@pytest.mark.file_only("it writes to the atlas")
def test_missing_columns_are_not_rebuilt(copy):
    with Atlas(copy) as atlas:
        atlas.con.execute("ALTER TABLE sigdb_data.group_sizes DROP n_cells")
    wrong = failed_checks(copy)
    assert wrong["tables"] == (1, "missing column group_sizes.n_cells")
    assert "cannot be checked" in wrong["group_sizes"][1]
    plain, fixing = (CliRunner().invoke(app, ["verify", str(copy), *each]) for each in ([], ["--fix"]))
    assert "is not sound: tables, " in str(plain.exception)
    assert "--fix" not in str(plain.exception)
    assert "Not fixed: tables cannot be rebuilt" in str(fixing.exception)
    assert "Put the columns back" in str(fixing.exception)


def test_the_command(copy):
    run = CliRunner().invoke
    assert run(app, ["verify", str(copy)]).exit_code == 0
    with Atlas(copy) as atlas:
        atlas.con.execute("DELETE FROM sigdb_data.group_sizes")
    result = run(app, ["verify", str(copy)])
    assert isinstance(result.exception, sigdb.errors.AtlasError)
    assert "is not sound: group_sizes, importance_groups, importance_sums. `sigdb verify --fix" in str(result.exception)
    assert "group_sizes: wrong 8 times" in result.stdout
    result = run(app, ["verify", str(copy), "--fix"])
    assert result.exit_code == 0
    assert "Rebuilt: group_sizes" in result.stdout
    with Atlas(copy) as atlas:
        atlas.con.execute(
            "CREATE OR REPLACE TABLE sigdb_data.attributions AS "
            "FROM sigdb_data.attributions ORDER BY run_id, gene_id, cell_id DESC"
        )
        comment_tables(atlas.con)
    result = run(app, ["verify", str(copy)])
    assert result.exit_code == 0
    assert "is sound" in result.stdout
    assert "faster if the atlas were sorted: sigdb optimize" in " ".join(result.stdout.split())
    with Atlas(copy) as atlas:
        atlas.con.execute("DELETE FROM sigdb_data.attributions WHERE cell_id = 5")
    result = run(app, ["verify", str(copy), "--fix"])
    assert "Not fixed: ledger, sums cannot be rebuilt" in str(result.exception)


REPLACED = [
    ("CREATE OR REPLACE VIEW studies AS SELECT * REPLACE ('x' AS title) FROM sigdb_data.studies", "view studies"),
    ("CREATE OR REPLACE MACRO sigdb_data.branch_size() AS 2 * 500", "sigdb_data.branch_size()"),
    ("CREATE OR REPLACE MACRO signature_genes(name) AS ['LYZ'], (name, x) AS ['CD3E']", "signature_genes(name"),
    ("CREATE MACRO list_extract(l, i) AS 1.0", "macro list_extract (a function of DuckDB)"),
]


@pytest.mark.file_only("a lake gets its macros from sigdb")
@pytest.mark.parametrize(("statement", "part"), REPLACED)
def test_a_replaced_definition_is_found_whatever_the_file_says_about_its_duckdb(copy, statement, part):
    with duckdb.connect(copy) as con:
        (before,) = con.execute("SELECT comment FROM duckdb_views() WHERE view_name = 'studies'").fetchone()
        con.execute(statement)
        con.execute("COMMENT ON VIEW studies IS '" + before.replace("'", "''") + "'")
        con.execute("UPDATE sigdb_data.atlas_info SET value = '1.4.4' WHERE key = 'duckdb_version'")
    with sigdb.connect(copy, trusted=True) as con:
        (found,) = [each for each in verify(con) if each.check == "schema"]
    assert found.n
    assert part in found.example


@pytest.mark.file_only("a lake has checksums")
def test_a_damaged_block_is_found_in_any_table(copy):
    """A flipped bit in a column that no other check reads."""
    with duckdb.connect(copy) as con:
        con.execute("CREATE TABLE mine AS SELECT hash(range) AS x FROM range(10_000)")
        con.execute("CHECKPOINT")
        place = "SELECT block_id, block_offset FROM pragma_storage_info('mine') WHERE segment_type <> 'VALIDITY'"
        block, offset = con.execute(place).fetchone()
    with open(copy, "r+b") as file:
        file.seek(12288 + block * 262144 + 8 + offset + 40)
        (byte,) = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte ^ 16]))
    assert failed_checks(copy)["readable"][1].startswith("main.mine: ")
    done = CliRunner().invoke(app, ["verify", str(copy)])
    assert isinstance(done.exception, sigdb.SigdbError)
