"""Chunks are merged and added up, one range of genes at a time, and streamed into DuckDB."""

from __future__ import annotations

from itertools import pairwise

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix, random_array, vstack

from ingest.store import sort, stream, writer
from ingest.store.chunks import Chunk
from ingest.store.sort import SCORES, Groups, merge_chunks
from ingest.store.stage import Stage
from ingest.store.stream import insert_tables, row_groups
from ingest.store.writer import limit_resources
from sigdb import statements
from sigdb.errors import DamagedError
from tests.support.toy import TOY_GENES, new_atlas, obs_of, write_study

N_CELLS, N_GENES, CHUNK = 37, 11, 8
VERSIONS = {"numpy": "2"}


@pytest.fixture
def matrix():
    """Scores of 37 cells and 11 genes, some negative. One gene and some cells have no scores."""
    rng = np.random.default_rng(0)
    found = csr_matrix(random_array((N_CELLS, N_GENES), density=0.3, rng=rng, format="csr"), dtype=np.float32)
    found.data -= 0.3
    dense = found.toarray()
    dense[:, 4] = 0
    return csr_matrix(dense)


def stage_of(folder, matrix):
    """A stage with the chunks of a matrix. Gene ids and ranks are in random order."""
    rng = np.random.default_rng(1)
    gene_ids = rng.permutation(np.arange(100, 100 + 2 * N_GENES, 2)).astype(np.uint32)
    stage = Stage.open(folder / "stage", "study", gene_ids, rng.permutation(N_CELLS).astype(np.uint32))
    for number, first in enumerate(range(0, N_CELLS, CHUNK)):
        rows = matrix[first : first + CHUNK]
        depth = np.ones(rows.shape[0])
        chunk = Chunk(depth, depth, rows, *[depth] * 5, np.zeros(N_GENES, np.int64))
        stage.write_chunk(number, first, chunk, device="cpu", versions=VERSIONS)
    return stage


@pytest.fixture
def stage(tmp_path, matrix):
    return stage_of(tmp_path, matrix)


@pytest.mark.parametrize(("batch", "place_bits"), [(10**6, 32), (1, 32), (20, 32), (20, 7), (20, 6)])
def test_scores_are_sorted_by_gene_and_rank(stage, matrix, monkeypatch, batch, place_bits):
    """For ranges of all genes, of one gene, and of as many genes as fit beside the rank, which has 6 bits here."""
    monkeypatch.setattr(sort, "BATCH", batch)
    monkeypatch.setattr(sort, "PLACE_BITS", place_bits)
    ranges = list(merge_chunks(stage))
    found = pa.concat_tables([part.to_arrow() for part in ranges])
    coo = matrix.tocoo()
    order = np.lexsort((stage.ranks[coo.row], stage.gene_ids[coo.col]))
    assert found["gene_id"].to_pylist() == stage.gene_ids[coo.col][order].tolist()
    assert found["rank"].to_pylist() == stage.ranks[coo.row][order].tolist()
    assert found["score"].to_pylist() == coo.data[order].tolist()
    assert len(ranges) == {(10**6, 32): 1, (1, 32): 10, (20, 32): 6, (20, 7): 7, (20, 6): 10}[batch, place_bits]


@pytest.mark.parametrize("most_sums", [1, 7, 10**6])
def test_sums_equal_the_sums_of_sql(stage, monkeypatch, most_sums):
    monkeypatch.setattr(sort, "MOST_SUMS", most_sums)
    monkeypatch.setattr(sort, "BATCH", 25)
    groups = pa.table({"sample_id": [1, 1, 2], "cell_type": ["a", None, "a"]})
    numbers = np.random.default_rng(2).integers(0, 3, N_CELLS).astype(np.int32)
    ranges = list(merge_chunks(stage))
    found = pa.concat_tables([Groups(numbers, groups).add_up(part) for part in ranges])
    scores = pa.concat_tables([part.to_arrow() for part in ranges])
    cells = groups.take(numbers).append_column("rank", pa.array(np.arange(N_CELLS)))
    with duckdb.connect() as con:
        con.register("scores", scores)
        con.register("cells", cells)
        wanted = con.execute("""
            SELECT sample_id, cell_type, gene_id, count(*), sum(abs(score::DOUBLE)), sum(score::DOUBLE),
                sum(score::DOUBLE * score::DOUBLE)
            FROM scores JOIN cells USING (rank) GROUP BY ALL ORDER BY gene_id, sample_id, cell_type
            """).fetchall()
    columns = list(zip(*wanted, strict=True))
    assert [tuple(column.to_pylist()) for column in found.columns[:4]] == columns[:4]
    assert np.array(found.columns[4:]) == pytest.approx(np.array(columns[4:]), rel=1e-12)


def test_a_study_without_scores_has_no_ranges_and_no_signs(tmp_path):
    stage = stage_of(tmp_path, csr_matrix((N_CELLS, N_GENES), dtype=np.float32))
    assert list(merge_chunks(stage)) == []
    assert stage.is_signed() is None


@pytest.mark.parametrize(("low", "is_signed"), [(-1.0, True), (1.0, False)])
def test_a_single_negative_score_makes_a_study_signed(tmp_path, low, is_signed):
    scores = csr_matrix((N_CELLS - 1, N_GENES), dtype=np.float32)
    last = csr_matrix(([low], ([0], [3])), shape=(1, N_GENES), dtype=np.float32)
    assert stage_of(tmp_path, vstack([scores, last], format="csr")).is_signed() is is_signed


def test_chunks_of_another_format_are_removed(stage, monkeypatch):
    opened = Stage.open(stage.folder, "study", stage.gene_ids, stage.ranks)
    assert opened.n_cells == N_CELLS
    monkeypatch.setattr("ingest.store.stage.FORMAT", 1)
    assert Stage.open(stage.folder, "study", stage.gene_ids, stage.ranks).n_cells == 0


def scores_between(*bounds):
    """One table from each bound to the next. All columns of a row are its number."""
    for first, last in pairwise(bounds):
        yield pa.table([pa.array(range(first, last), kind) for kind in SCORES.types], schema=SCORES)


def test_rows_are_added_in_order_and_in_full_row_groups(monkeypatch):
    monkeypatch.setattr(stream, "ROW_GROUP_SIZE", 10)
    assert [len(batch) for batch in row_groups(scores_between(0, 7, 28, 33))] == [10, 10, 10, 3]
    with duckdb.connect() as con:
        con.execute(statements.statement("schema"))
        con.execute("BEGIN")
        place = {"run_id": 1, "first_cell": 1000}
        for bounds in ((0, 7, 28, 33), (33, 33), (33, 40)):
            insert_tables(con, "ingest/study.add_sorted_scores", place, "sigdb_scores", SCORES, scores_between(*bounds))
        con.execute("COMMIT")
        rows = con.execute("FROM sigdb_data.attributions").fetchall()
    assert rows == [(1, n, 1000 + n, float(n)) for n in range(40)]


def test_an_error_while_tables_are_made_is_raised_as_it_is(monkeypatch):
    monkeypatch.setattr(stream, "ROW_GROUP_SIZE", 10_000)

    def tables():
        yield from scores_between(0, 30_000, 60_000)
        raise OSError(28, "No space left on device")

    with duckdb.connect() as con:
        con.execute(statements.statement("schema"))
        with pytest.raises(OSError, match="No space left"):
            insert_tables(
                con, "ingest/study.add_sorted_scores", {"run_id": 1, "first_cell": 0}, "sigdb_scores", SCORES, tables()
            )
        assert con.execute("SELECT count(*) FROM sigdb_data.attributions").fetchall() == [(0,)]


def test_a_chunk_that_ends_early_is_damaged(stage):
    file = stage.folder / "chunk-2" / "scores"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(DamagedError, match="is damaged: it ends early"):
        list(merge_chunks(stage))


def test_ranges_are_reported_in_order(stage, monkeypatch):
    monkeypatch.setattr(sort, "BATCH", 20)
    seen = []
    assert list(merge_chunks(stage, seen.append)) == seen
    assert len(seen) == 6


def test_limits_hold_inside_the_block_only_and_hide_no_error():
    limits = "SELECT current_setting('memory_limit'), current_setting('threads')"
    with duckdb.connect(config={"threads": 7}) as con:
        before = con.execute(limits).fetchall()
        con.execute("BEGIN")
        with limit_resources(con):
            assert con.execute(limits).fetchall() == [("183.1 MiB", 4)]
        assert con.execute(limits).fetchall() == before
        with pytest.raises(duckdb.CatalogException, match="no_such_table"), limit_resources(con):
            con.execute("FROM no_such_table")
        con.execute("ROLLBACK")
        assert con.execute(limits).fetchall() == before


@pytest.mark.parametrize(("decimals", "compression"), [(None, "ALPRD"), (2, "ALP")])
def test_scores_are_compressed(tmp_path, decimals, compression):
    scores = np.random.default_rng(0).lognormal(3, 1, (60_000, 3))
    scores = scores if decimals is None else np.round(scores, decimals)
    with new_atlas(tmp_path / "large.duckdb", TOY_GENES) as atlas:
        write_study(atlas, scores, TOY_GENES)
        (found,) = atlas.con.execute("""
            SELECT DISTINCT compression FROM pragma_storage_info('sigdb_data.attributions')
            WHERE column_name = 'score' AND segment_type = 'FLOAT' AND row_group_id = 0
            """).fetchall()
        assert found == (compression,)


def test_a_statement_that_fails_in_a_transaction_says_why():
    place = {"run_id": 1, "first_cell": 2**32 - 1}
    (table,) = scores_between(0, 7)
    with duckdb.connect() as con:
        con.execute(statements.statement("schema"))
        con.execute("BEGIN")
        with pytest.raises(duckdb.OutOfRangeException, match=r"Overflow in addition"):
            statements.run_statement(con, "ingest/study.add_sorted_scores", place, sigdb_scores=table)


def test_metadata_may_use_more_memory_than_scores(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "STORE_MEMORY", "10MB")
    n_cells, columns = 20_000, {f"column {n}": np.random.default_rng(n).random(20_000) for n in range(40)}
    with new_atlas(tmp_path / "wide.duckdb", TOY_GENES) as atlas:
        write_study(atlas, np.ones((n_cells, 3)), TOY_GENES, obs=obs_of(n_cells, **columns))
        assert atlas.con.execute('SELECT count(DISTINCT "column 39") FROM cells').fetchall() == [(n_cells,)]
