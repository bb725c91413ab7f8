"""Two studies of five chunks each, and atlases that hold neither, one or both of them."""

from __future__ import annotations

import shutil

import pytest

import sigdb
from ingest import pipeline
from ingest.models import load_model
from ingest.options import Compute, IngestOptions, Method, Source
from ingest.pipeline import ingest_files
from ingest.work import job
from tests.ingest.conftest import contents, small_adata

CHUNK_CELLS = 8
N_CHUNKS = 5
ATLAS = "a.duckdb"
STUDIES = ("first", "second")


def options(n_workers=1, **changes):
    """Options that cost little: two steps, one thread per process."""
    usual = {"method": Method(n_steps=2), "compute": Compute(device="cpu", workers=n_workers, threads=n_workers)}
    return IngestOptions(**{**usual, **changes})


def sources(folder):
    return [Source(folder / f"{study}.h5ad") for study in STUDIES]


@pytest.fixture(scope="session")
def template(tmp_path_factory, small_model):
    """A folder with two studies of 40 cells, `whole.duckdb`, which holds both, and an empty atlas."""
    folder = tmp_path_factory.mktemp("template")
    for n, study in enumerate(STUDIES):
        small_adata(seed=n).write_h5ad(folder / f"{study}.h5ad")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "CHUNK_CELLS", CHUNK_CELLS)
        ingest_files(folder / "whole.duckdb", sources(folder), load_model("mlp", small_model), options())
    sigdb.Atlas.create(folder / "empty.duckdb").close()
    return folder


@pytest.fixture(scope="session")
def whole(template):
    """What an ingest of both studies without interruption stores."""
    return contents(template / "whole.duckdb")


@pytest.fixture
def folder(template, tmp_path, monkeypatch):
    """A folder with two studies of 40 cells, which are read in 5 chunks each."""
    monkeypatch.setattr(pipeline, "CHUNK_CELLS", CHUNK_CELLS)
    for study in STUDIES:
        shutil.copy(template / f"{study}.h5ad", tmp_path)
    return tmp_path


@pytest.fixture
def with_atlas(template, folder):
    """The same folder with an empty atlas, where it does not matter who makes the atlas."""
    shutil.copy(template / "empty.duckdb", folder / ATLAS)
    return folder


@pytest.fixture
def with_both(template, folder):
    """The same folder with an atlas that holds both studies."""
    shutil.copy(template / "whole.duckdb", folder / ATLAS)
    return folder


def studies(path):
    """The studies of an atlas, and the number of cells of each; None if there is no atlas yet."""
    if not path.exists():
        return None
    with sigdb.connect(path) as con:
        query = (
            "SELECT study, (SELECT count(*) FROM cells AS c WHERE c.study = s.study) FROM studies AS s ORDER BY study"
        )
        assert con.execute("SELECT count(*) FROM ingest_chunks").fetchall()[0][0] % N_CHUNKS == 0
        return con.execute(query).fetchall()


def interrupt_at(n_cells):
    """A progress function that interrupts the second study after n_cells."""

    def progress(study, done, total):
        if study == "second" and done >= n_cells:
            raise KeyboardInterrupt

    return progress


def interrupt(folder, model):
    with pytest.raises(KeyboardInterrupt):
        ingest_files(folder / ATLAS, sources(folder), model, options(progress=interrupt_at(17)))


@pytest.fixture
def interrupted(with_atlas, model):
    """A folder with an atlas that holds the first study, and chunks of the second."""
    interrupt(with_atlas, model)
    return with_atlas


def count_chunks(monkeypatch):
    """A list that gets the numbers of the chunks that are attributed from now on."""
    numbers = []
    original = job.Job.keep

    def keep(job, number, chunk):
        numbers.append(number)
        original(job, number, chunk)

    monkeypatch.setattr(job.Job, "keep", keep)
    return numbers
