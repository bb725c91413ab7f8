"""An ingest that is interrupted or fails: attributed chunks are kept if they can be used."""

from __future__ import annotations

import errno

import duckdb
import pytest
from scipy.sparse import csc_matrix

import sigdb
from ingest.counts.matrix import RowReader
from ingest.options import Method, Source
from ingest.pipeline import ingest_files
from ingest.store import stage
from ingest.store import study as store_study
from sigdb.errors import CountsError, DamagedError, OptionError, StudyExistsError, UnreadableError
from tests.ingest.conftest import contents, small_adata
from tests.ingest.store.conftest import (
    ATLAS,
    CHUNK_CELLS,
    N_CHUNKS,
    count_chunks,
    interrupt,
    options,
    sources,
    studies,
)


def test_only_what_is_missing_is_attributed(with_atlas, model, whole, monkeypatch, caplog):
    folder = with_atlas
    interrupt(folder, model)
    assert "24 of 40 cells are done and kept" in caplog.text or "16 of 40 cells" in caplog.text
    assert stage.unfinished_studies(folder / ATLAS) == ["second"]
    numbers, told = count_chunks(monkeypatch), []
    ingest_files(folder / ATLAS, sources(folder)[1:], model, options(progress=lambda *news: told.append(news)))
    assert len(numbers) in (2, 3)
    assert told[0] == ("second", 40 - 8 * len(numbers), 40)
    assert contents(folder / ATLAS) == whole


@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_same_command_continues_after_the_studies_that_it_added(interrupted, model, whole, monkeypatch, times):
    """The first study, which was added before the interruption, is no error."""
    folder = interrupted
    for _ in range(times - 1):
        interrupt(folder, model)
    numbers = count_chunks(monkeypatch)
    (report,) = ingest_files(folder / ATLAS, sources(folder), model, options())
    assert (report.study, len(numbers) < N_CHUNKS) == ("second", True)
    assert contents(folder / ATLAS) == whole
    assert not (folder / f"{ATLAS}.ingest").exists()
    with pytest.raises(StudyExistsError, match="'first' is in the atlas already"):
        ingest_files(folder / ATLAS, sources(folder), model, options())


def test_files_of_one_name_are_refused_before_any_is_read(folder, model):
    (folder / "other").mkdir()
    twice = [*sources(folder), Source(folder / "other" / "first.h5ad")]
    with pytest.raises(OptionError, match="1 study names are used by more than one of the 3 files: first"):
        ingest_files(folder / ATLAS, twice, model, options(if_exists="skip"))
    assert not (folder / ATLAS).exists()


@pytest.mark.parametrize("damage", [pytest.param("", marks=pytest.mark.slow), "{"])
def test_a_stage_without_a_readable_plan_starts_over(interrupted, model, whole, damage):
    folder = interrupted
    (note,) = (folder / f"{ATLAS}.ingest").glob(f"*/{stage.PLAN}")
    note.write_text(damage)
    assert stage.unfinished_studies(folder / ATLAS) == []
    ingest_files(folder / ATLAS, sources(folder), model, options())
    assert contents(folder / ATLAS) == whole


def test_a_matrix_that_cannot_be_sorted_leaves_no_stage(with_atlas, model):
    folder = with_atlas
    adata = small_adata(seed=1)
    adata.X = csc_matrix(adata.X)
    adata.X.data[-1] = 0.5
    adata.write_h5ad(folder / "second.h5ad")
    with pytest.raises(CountsError, match="fractional"):
        ingest_files(folder / ATLAS, sources(folder), model, options(layer="X"))
    assert stage.unfinished_studies(folder / ATLAS) == []


def test_an_atlas_that_cannot_be_sorted_is_still_whole(with_atlas, model, whole, monkeypatch, caplog):
    folder = with_atlas

    def fail(con):
        raise duckdb.IOException("No space left on device")

    monkeypatch.setattr(store_study, "cluster", fail)
    reports = ingest_files(folder / ATLAS, sources(folder), model, options())
    assert [report.study for report in reports] == ["first", "second"]
    assert "could not be sorted: No space left on device. To sort them: `sigdb.optimize(path)`" in caplog.text
    assert contents(folder / ATLAS) == whole


CHANGES = {
    "other method": ({"method": Method(n_steps=7)}, None),
    "other file": ({}, lambda folder: small_adata(seed=5).write_h5ad(folder / "second.h5ad")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_chunks_of_another_method_or_file_are_not_used(interrupted, model, monkeypatch, change):
    folder = interrupted
    changes, do = CHANGES[change]
    if do:
        do(folder)
    numbers = count_chunks(monkeypatch)
    how = options(run="other" if changes else None, **changes)
    (report,) = ingest_files(folder / ATLAS, sources(folder)[1:], model, how)
    assert numbers == list(range(N_CHUNKS))
    assert report.n_cells == 40
    assert stage.unfinished_studies(folder / ATLAS) == ["second"], "the first attempt is still kept"


def test_chunks_are_not_used_if_their_cells_go_to_other_places(interrupted, model, monkeypatch):
    """The same file, but cell types from another column, and so another order of the cells."""
    folder = interrupted
    numbers = count_chunks(monkeypatch)
    ingest_files(folder / ATLAS, sources(folder)[1:], model, options(mapping={"cell_type": "cluster"}))
    assert numbers == list(range(N_CHUNKS))
    with sigdb.connect(folder / ATLAS) as con:
        rows = con.execute("SELECT cell_type FROM cells WHERE study = 'second' ORDER BY cell_id").fetchall()
    assert rows == [(str(cluster),) for cluster in range(5) for _ in range(8)]
    assert not (folder / f"{ATLAS}.ingest").exists()


def test_a_file_that_is_at_fault_leaves_no_chunks(with_atlas, model):
    folder = with_atlas
    adata = small_adata()
    adata.X.data[-1] = 0.5
    adata.write_h5ad(folder / "second.h5ad")
    with pytest.raises(CountsError, match="1 fractional"):
        ingest_files(folder / ATLAS, sources(folder), model, options(layer="X"))
    assert studies(folder / ATLAS) == [("first", 40)]
    assert not list(folder.glob(f"{ATLAS}.ingest/*/chunk-*"))
    assert stage.unfinished_studies(folder / ATLAS) == []


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        pytest.param(
            OSError(errno.ESTALE, "stale"),
            UnreadableError,
            r"second\.h5ad could not be read: Stale file handle$",
            marks=pytest.mark.slow,
            id="by number",
        ),
        pytest.param(
            KeyError("unable to open (file read failed: errno = 5, ...)"),
            UnreadableError,
            "Input/output error$",
            id="in the text of h5py",
        ),
        pytest.param(
            OSError("wrong B-tree signature"),
            DamagedError,
            r"second\.h5ad is damaged, .*: wrong B-tree signature",
            marks=pytest.mark.slow,
            id="damaged",
        ),
    ],
)
def test_a_file_that_cannot_be_read_costs_no_chunks(with_atlas, model, whole, monkeypatch, error, kind, text):
    """The machine may be at fault, and the chunks that exist are still good."""
    folder, original = with_atlas, RowReader.read_sparse

    def sparse_rows(reader, start, stop):
        if reader.source.path.stem == "second" and start == 3 * CHUNK_CELLS:
            raise error
        return original(reader, start, stop)

    with monkeypatch.context() as patch:
        patch.setattr(RowReader, "read_sparse", sparse_rows)
        with pytest.raises(kind, match=text):
            ingest_files(folder / ATLAS, sources(folder), model, options())
    assert stage.unfinished_studies(folder / ATLAS) == ["second"]
    numbers = count_chunks(monkeypatch)
    ingest_files(folder / ATLAS, sources(folder)[1:], model, options())
    assert set(numbers) < set(range(N_CHUNKS))
    assert contents(folder / ATLAS) == whole
