"""`sigdb.optimize` sorts an atlas. If it is interrupted at any time, the atlas is the old one or the new one."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys

import duckdb
import numpy as np
import pytest

import sigdb
from sigdb import Atlas, Signature
from sigdb.atlas import optimize
from sigdb.atlas.derived import cluster
from sigdb.atlas.file import SORTED_ROW_GROUP_SIZE
from sigdb.atlas.verify import verify
from sigdb.errors import AtlasError, AtlasLockedError
from tests.support.toy import fingerprint, new_atlas, obs_of, settings, write_study

pytestmark = pytest.mark.file_only("it rewrites the atlas file")

GENES = [f"GENE{i:03}" for i in range(300)]


@pytest.fixture(scope="module")
def scattered(tmp_path_factory):
    """Two studies and two runs, 300 genes, 3,000 cells, 1.1 million scores, in the order in which they were written."""
    path = tmp_path_factory.mktemp("optimize") / "scattered.duckdb"
    rng = np.random.default_rng(0)
    with new_atlas(path, GENES) as atlas:
        for study, run in (("one", 5), ("two", 5), ("one", 7)):
            scores = np.where(np.random.default_rng(run).random((1500, 300)) < 0.8, rng.normal(size=(1500, 300)), 0)
            obs = obs_of(1500, sample=[f"s{i % 3}" for i in range(1500)])
            options = {"run_settings": settings(n_steps=run), "run": f"run {run}"}
            write_study(atlas, scores, GENES, study=study, obs=obs, chunks=10, **options)
        atlas.add_signatures([Signature("S", tuple(GENES[:4]))])
        atlas.materialize(["S"])
    return path


@pytest.fixture
def copy(scattered, tmp_path):
    return shutil.copy(scattered, tmp_path / "it's mine.duckdb")


def content(path):
    """The fingerprint, with the attributions sorted."""
    found = fingerprint(path)
    found["attributions"] = sorted(found["attributions"])
    return found


def is_sorted(path):
    with sigdb.connect(path) as con:
        return {finding.check: finding.n == 0 for finding in verify(con)}["sorted"]


@pytest.mark.slow
def test_the_same_atlas_sorted(copy):
    before = content(copy)
    assert not is_sorted(copy)
    with sigdb.connect(copy) as con:
        assert optimize.fragmentation(con) > 1.4
    told = []
    optimize.optimize(copy, progress=lambda done, total: told.append((done, total)))
    assert content(copy) == before
    assert is_sorted(copy)
    with sigdb.connect(copy) as con:
        assert optimize.fragmentation(con) == pytest.approx(1, abs=0.3)
        assert "v1.2.0" in str(con.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchall())
        query = "SELECT max(count) FROM pragma_storage_info('sigdb_data.attributions') WHERE column_name = 'run_id'"
        assert con.execute(query).fetchall() == [(SORTED_ROW_GROUP_SIZE,)]
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] == len(before["attributions"])
    assert [file.name for file in copy.parent.iterdir()] == [copy.name]


def test_a_small_atlas_is_sorted_in_its_file(copy):
    before = content(copy)
    with Atlas(copy) as atlas, atlas.transaction() as con:
        cluster(con)
    assert content(copy) == before
    assert is_sorted(copy)


@pytest.mark.slow
@pytest.mark.parametrize("decimals", [2, 3])
def test_scores_are_rounded(copy, decimals):
    """Each score is rounded, unless it would become 0. Derived data agree with the rounded scores."""
    before = content(copy)
    optimize.optimize(copy, decimals=decimals)
    after = content(copy)
    old, new = (np.array([score for *_, score in found["attributions"]]) for found in (before, after))
    assert [row[:-1] for row in after["attributions"]] == [row[:-1] for row in before["attributions"]]
    rounded = np.round(old, decimals)
    np.testing.assert_array_equal(new, np.where(rounded == 0, old, rounded).astype(np.float32))
    assert 0 < (rounded == 0).sum() < 0.01 * len(old)
    with sigdb.connect(copy) as con:
        wrong = {finding.check for finding in verify(con) if finding.n}
        assert con.execute("SELECT value FROM sigdb_data.atlas_info WHERE key = 'decimals'").fetchall() == [
            (str(decimals),)
        ]
    assert wrong <= {"sums"}, "the scores of this atlas never add up to 1000"


@pytest.mark.slow
@pytest.mark.parametrize("decimals", [-1, 1, 7])
def test_decimals_out_of_range_are_refused(copy, decimals):
    before = fingerprint(copy)
    with pytest.raises(AtlasError, match=f"2 to 6 decimals, not to `decimals={decimals}`"):
        optimize.optimize(copy, decimals=decimals)
    assert fingerprint(copy) == before


def test_scores_that_add_up_to_little_are_not_rounded(tmp_path):
    path = tmp_path / "ones.duckdb"
    with new_atlas(path, GENES[:2]) as atlas:
        write_study(atlas, np.array([[0.5, 0.5]]), GENES[:2], run_settings=settings(target_sum=1.0), run="ones")
    before = path.read_bytes()
    with pytest.raises(
        AtlasError, match=r"Rounding to 2 decimals would ruin .*: 1 in run ones\. Leave out `decimals`, .*rescaled"
    ):
        optimize.optimize(path, decimals=2)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    optimize.optimize(path)
    assert is_sorted(path)


# Tables of the user in several schemas, with foreign keys to tables whose names sort after their own.
MINE = """
    CREATE SCHEMA lab;
    CREATE SCHEMA "it's";
    CREATE TABLE my_notes (note VARCHAR PRIMARY KEY);
    CREATE TABLE a_reply (reply VARCHAR PRIMARY KEY, note VARCHAR REFERENCES my_notes(note));
    CREATE TABLE "A reply, to it" (reply VARCHAR REFERENCES a_reply(reply));
    CREATE TABLE lab.annot (cell_id INTEGER, annot VARCHAR DEFAULT 'none');
    CREATE TABLE "it's"."of, '24" AS SELECT 1 AS "a b";
    CREATE TABLE sigdb_data.mine AS SELECT 2 AS b;
    CREATE VIEW lab.shown AS FROM lab.annot;
    CREATE MACRO lab.twice(x) AS 2 * x;
    COMMENT ON TABLE lab.annot IS 'by hand';
    INSERT INTO my_notes VALUES ('x'), ('y');
    INSERT INTO a_reply VALUES ('yes', 'y');
    INSERT INTO "A reply, to it" VALUES ('yes');
    INSERT INTO lab.annot VALUES (3, 'odd');
"""
ASKED = """
    SELECT (SELECT count(*) FROM my_notes), (FROM a_reply SELECT reply || note), (FROM "A reply, to it"),
        (FROM lab.shown SELECT annot), (FROM "it's"."of, '24"), (FROM sigdb_data.mine), lab.twice(3),
        (SELECT comment FROM duckdb_tables() WHERE table_name = 'annot')
"""


def test_tables_of_the_user_are_kept(copy):
    with Atlas(copy) as atlas:
        atlas.con.execute(MINE)
    before = content(copy)
    optimize.optimize(copy)
    assert content(copy) == before
    with sigdb.connect(copy) as con:
        assert con.execute(ASKED).fetchall() == [(2, "yesy", "yes", "odd", 1, 2, 6, "by hand")]


def test_a_table_that_cannot_be_copied_is_named(copy):
    with Atlas(copy) as atlas:
        atlas.con.execute("CREATE TABLE t (a INTEGER, twice INTEGER GENERATED ALWAYS AS (2 * a))")
    before = content(copy)
    with pytest.raises(AtlasError, match=r"The table main\.t cannot be copied: .*1 columns but 2 values"):
        optimize.optimize(copy)
    assert content(copy) == before


@pytest.mark.slow
def test_the_file_behind_a_link_is_replaced_and_keeps_its_mode(copy):
    before = content(copy)
    copy.chmod(0o664)
    (copy.parent / "links").mkdir()
    link = copy.parent / "links" / "link.duckdb"
    link.symlink_to(copy)
    optimize.optimize(link)
    assert link.is_symlink()
    assert copy.stat().st_mode & 0o777 == 0o664
    assert is_sorted(copy)
    assert content(copy) == before


def test_with_other_decimals_it_starts_again(copy, monkeypatch):
    interrupt_optimize(copy, monkeypatch)
    optimize.optimize(copy, decimals=3)
    with sigdb.connect(copy) as con:
        query = "SELECT count(*) FROM attributions WHERE abs(score) > 0.001 AND round(score::DOUBLE, 3)::FLOAT <> score"
        assert con.execute(query).fetchall() == [(0,)]


CODE = "import sys; from sigdb.optimize import optimize; print(1, flush=True); optimize(sys.argv[1], batch=20_000)"


@pytest.mark.slow
def test_killed_at_any_moment(copy):
    """Killed after increasing times, it continues where it stopped. The atlas is complete at all times."""
    before = content(copy)
    for milliseconds in range(20, 2000, 150):
        with subprocess.Popen([sys.executable, "-c", CODE, copy], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            try:
                process.wait(milliseconds / 1000)
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        with sigdb.connect(copy) as con:
            assert con.execute("SELECT count(*) FROM attributions").fetchall() == [(len(before["attributions"]),)]
    optimize.optimize(copy)
    assert content(copy) == before
    assert is_sorted(copy)


def interrupt_optimize(path, monkeypatch):
    """Interrupt an optimization after the second range of genes."""

    def stop(done, total):
        if done > total / 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimize.optimize(path, batch=50_000, progress=stop)
    return path.with_name(path.name + ".optimizing")


@pytest.mark.slow
def test_finished_ranges_are_not_sorted_again(copy, monkeypatch):
    before = content(copy)
    unfinished = interrupt_optimize(copy, monkeypatch)
    with duckdb.connect(unfinished) as con:
        done = con.execute("SELECT count(*) FROM sigdb_data.attributions").fetchall()[0][0]
    assert 0 < done < len(before["attributions"])
    copied = []
    original = optimize.run_statement

    def count(con, name, parameters=None, **relations):
        if name == "atlas/optimize.copy_attributions":
            copied.append(parameters)
        return original(con, name, parameters, **relations)

    monkeypatch.setattr(optimize, "run_statement", count)
    optimize.optimize(copy, batch=50_000)
    assert 0 < len(copied) < 0.8 * len(before["attributions"]) / 50_000
    assert content(copy) == before


@pytest.mark.slow
def test_an_atlas_that_has_changed_is_copied_from_the_start(copy, monkeypatch):
    interrupt_optimize(copy, monkeypatch)
    with Atlas(copy) as atlas:
        write_study(atlas, np.ones((5, 300)), GENES, study="three")
    before = content(copy)
    optimize.optimize(copy)
    assert content(copy) == before
    assert is_sorted(copy)


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE OR REPLACE MACRO signature_genes(name) AS ['mine']",
        "CREATE OR REPLACE VIEW genes AS SELECT 'mine' AS symbol",
        "COMMENT ON VIEW genes IS 'mine'",
        "ALTER TABLE sigdb_data.cell_data ADD COLUMN mine VARCHAR",
        "CREATE TABLE mine AS SELECT 1 AS a",
        "CREATE INDEX mine ON sigdb_data.cell_data (barcode)",
    ],
)
def test_objects_that_changed_in_the_meantime_are_copied(copy, monkeypatch, statement):
    """The new file has the current views, macros and tables, not those from the start of the first call."""
    interrupt_optimize(copy, monkeypatch)
    with Atlas(copy) as atlas:
        atlas.con.execute(statement)
    before = content(copy)
    optimize.optimize(copy)
    assert content(copy) == before
    with sigdb.connect(copy) as con:
        assert len(con.execute("FROM duckdb_indexes() WHERE index_name = 'mine'").fetchall()) == ("INDEX" in statement)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["database", "text"])
def test_another_file_in_the_way_is_left_alone(copy, kind):
    before = content(copy)
    other = copy.with_name(copy.name + ".optimizing")
    if kind == "text":
        other.write_text("mine" * 10_000)
    else:
        with duckdb.connect(other, config={"storage_compatibility_version": "v1.2.0"}) as con:
            con.execute("CREATE TABLE t AS SELECT 1")
    held = other.read_bytes()
    with pytest.raises(
        AtlasError,
        match=r"is in the way\. It is damaged, or it was not left by .*`sigdb.optimize\(path\)`: .* Remove it\.",
    ):
        optimize.optimize(copy)
    assert content(copy) == before
    assert other.read_bytes() == held


@pytest.mark.slow
def test_killed_before_anything_was_noted(copy):
    before = content(copy)
    with duckdb.connect(copy.with_name(copy.name + ".optimizing"), config={"storage_compatibility_version": "v1.2.0"}):
        pass
    optimize.optimize(copy)
    assert content(copy) == before


@pytest.mark.slow
def test_killed_before_the_last_step(copy):
    """The new file is complete, but it has not replaced the old one yet."""
    before = content(copy)
    shutil.copy(copy, copy.with_name(copy.name + ".optimizing"))
    optimize.optimize(copy)
    assert content(copy) == before
    assert is_sorted(copy)


def test_a_full_disk_is_refused(copy, monkeypatch):
    before = content(copy)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 5, 5))
    with pytest.raises(AtlasError, match=r"needs [\d.]+ MB more, and its disk has 5 bytes free\. Make room"):
        optimize.optimize(copy)
    assert content(copy) == before


def test_open_elsewhere(copy):
    code = (
        "import duckdb, sys; con = duckdb.connect(sys.argv[1], read_only=True); print(1, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code, copy], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(AtlasLockedError, match="open in another process"):
            optimize.optimize(copy)
        other.stdin.close()


def test_an_empty_atlas(tmp_path):
    new_atlas(tmp_path / "empty.duckdb").close()
    before = fingerprint(tmp_path / "empty.duckdb")
    optimize.optimize(tmp_path / "empty.duckdb")
    assert fingerprint(tmp_path / "empty.duckdb") == before
