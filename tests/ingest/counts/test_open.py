"""Reading studies: every format gives the counts that were written, and raw counts are found in their matrix."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
import tempfile
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anndata
import numpy as np
import pytest
from scipy.sparse import csr_matrix

from ingest.counts import matrix, spool, tenx
from ingest.counts.open import open_counts
from ingest.options import study_name
from sigdb.errors import CountsError, OptionError, UnreadableError
from tests.ingest.conftest import GENES, small_adata, small_counts
from tests.support.formats import WRITERS, cell_ranger_h5, matrix_folder


def write_h5ad(tmp_path, adata):
    adata.write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


def log1p(counts):
    logged = counts.copy()
    logged.data = np.log1p(logged.data / 3)
    return logged


@pytest.fixture
def small_pieces(monkeypatch):
    """Read a study of 40 cells in many pieces."""
    for name, value in (("ENTRIES", 50), ("VALUES", 100), ("MOST_VALUES", 600), ("BLOCK", 7)):
        for module in (matrix, spool):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(tenx, "TEXT", 200)


@pytest.mark.parametrize("joined", [False, True])
def test_taken_metadata_are_not_kept_in_memory(tmp_path, joined):
    adata = small_adata()
    table = tmp_path / "obs.csv"
    adata.obs.rename_axis("barcode").to_csv(table)
    with open_counts(write_h5ad(tmp_path, adata), obs=table if joined else None) as file:
        obs = file.take_obs()
        assert len(obs) == file.n_cells == 40
        taken = weakref.ref(obs)
        del obs
        gc.collect()
        assert taken() is None
        assert file.read(0, 40).shape == (40, len(GENES))


@pytest.mark.parametrize("size", [17, 7, 1])
@pytest.mark.parametrize("form", WRITERS)
def test_counts_are_read_as_they_were_written(tmp_path, small_pieces, form, size):
    adata = small_adata()
    path = WRITERS[form](adata, tmp_path / "a")
    before = {file: file.read_bytes() for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()}
    with open_counts(path) as file:
        chunks = list(file.chunks(size))
        assert file.var_names == tuple(GENES)
        assert list(file.take_obs().index) == list(adata.obs_names)
        part = file.read(11, 30)
    assert [chunk.shape[0] for chunk in chunks] == [size] * (40 // size) + [40 % size] * (40 % size > 0)
    assert all(chunk.dtype == np.float32 for chunk in chunks)
    np.testing.assert_array_equal(np.vstack([chunk.toarray() for chunk in chunks]), small_counts().toarray())
    np.testing.assert_array_equal(part.toarray(), small_counts()[11:30].toarray())
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.parametrize("form", ["h5ad csr", "zarr 3 csr", "h5ad csc", "Cell Ranger 3 mtx"])
def test_another_thread_can_read(tmp_path, small_pieces, form):
    with open_counts(WRITERS[form](small_adata(), tmp_path / "a")) as file, ThreadPoolExecutor(1) as pool:
        found = list(pool.map(file.read, range(0, 40, 8), range(8, 48, 8)))
    np.testing.assert_array_equal(np.vstack([chunk.toarray() for chunk in found]), small_counts().toarray())


def with_antibodies():
    """The small study with two antibodies among its features."""
    adata = small_adata()
    adata.var["feature_type"] = "Gene Expression"
    adata.var.iloc[[5, 17], 0] = "Antibody Capture"
    return adata


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize(
    ("form", "read"),
    [("Cell Ranger 3 h5", "read_10x_h5"), ("Cell Ranger 2 h5", "read_10x_h5"), ("Cell Ranger 3 mtx", "read_10x_mtx")],
)
def test_cell_ranger_is_read_as_scanpy_reads_it(tmp_path, form, read):
    scanpy = pytest.importorskip("scanpy")
    path = WRITERS[form](with_antibodies(), tmp_path / "a")
    expected = getattr(scanpy, read)(path)
    with open_counts(path) as file:
        assert file.var_names == tuple(expected.var_names)
        assert len(file.var_names) == (30 if form == "Cell Ranger 2 h5" else 28)
        assert list(file.take_obs().index) == list(expected.obs_names)
        np.testing.assert_array_equal(file.read(0, 40).toarray(), expected.X.toarray())


def test_one_of_several_genomes(tmp_path):
    """A mixture of human and mouse, which version 3 of Cell Ranger writes into one matrix, and version 2 into two."""
    adata = small_adata()
    adata.var["genome"] = ["GRCh38"] * 20 + ["mm10"] * 10
    adata.var["name"] = [f"GRCh38_{gene}" for gene in GENES[:20]] + [f"mm10___{gene}" for gene in GENES[20:]]
    path = cell_ranger_h5(adata, tmp_path / "three")
    with (
        pytest.raises(OptionError, match=r"2 genomes: GRCh38, mm10\. Choose one with `layer`"),
        open_counts(path),
    ):
        pass
    for genome, genes in (("GRCh38", slice(0, 20)), ("mm10", slice(20, 30))):
        with open_counts(path, layer=genome) as file:
            assert (file.layer, file.var_names) == (genome, tuple(GENES[genes]))
            np.testing.assert_array_equal(file.read(0, 99).toarray(), small_counts().toarray()[:, genes])
    with pytest.raises(OptionError, match=r"no genome 'hg19' \(`layer`\)\. It has: GRCh38, mm10"):
        open_counts(path, layer="hg19").__enter__()
    path = cell_ranger_h5(small_adata(), tmp_path / "two", 2)
    cell_ranger_h5(small_adata(seed=3), tmp_path / "two", 2, "mm10")
    with pytest.raises(OptionError, match="genes of 2 genomes: GRCh38, mm10"), open_counts(path):
        pass
    with open_counts(path, layer="mm10") as file:
        assert (file.layer, file.counts_from) == ("mm10", "mm10")
        np.testing.assert_array_equal(file.read(0, 99).toarray(), small_counts(seed=3).toarray())


def test_a_feature_without_a_symbol_is_named_by_its_id(tmp_path):
    adata = small_adata()
    adata.var["name"] = ["", *GENES[1:]]
    with open_counts(cell_ranger_h5(adata, tmp_path / "a")) as file:
        assert file.var_names == ("ENSG00000000000", *GENES[1:])


def test_files_with_a_prefix_and_a_study_named_after_its_folder(tmp_path):
    folder = matrix_folder(small_adata(), tmp_path / "filtered_feature_bc_matrix")
    for file in folder.iterdir():
        file.rename(folder / f"GSM1_{file.name}")
    with open_counts(folder) as file:
        assert file.counts_from == "GSM1_matrix.mtx.gz"
    assert study_name(folder) == tmp_path.name
    assert study_name(Path("/data/patient 3/outs/filtered_feature_bc_matrix.h5")) == "patient 3"
    assert [study_name(Path("/data") / name) for name in ("a.h5ad", "b.c.zarr", "d.h5", "e", "f.h5mu")] == [
        *"a",
        "b.c",
        *"def",
    ]


def read_all(path):
    with open_counts(path) as file:
        return list(file.chunks(10))


def test_a_sorted_copy_is_removed_with_the_file_and_needs_space(tmp_path, monkeypatch):
    path = WRITERS["h5ad csc"](small_adata(), tmp_path / "a")
    spools = tmp_path / "spools"
    spools.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spools))
    with open_counts(path) as file:
        assert not list(spools.iterdir())
        file.read(0, 5)
        n_bytes = (next(spools.iterdir()) / "entries").stat().st_size
        assert n_bytes == 10 * small_counts().nnz
        assert file.read(0, 5).nnz == small_counts()[:5].nnz
    assert not list(spools.iterdir())
    usage = shutil.disk_usage(spools)._replace(free=n_bytes - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(CountsError, match=r"is not stored by cells, .* Set TMPDIR to a folder with more space"):
        read_all(path)
    assert not list(spools.iterdir())


MEASURE = """
import sys
from pathlib import Path
from ingest.counts import matrix, tenx
from ingest.counts.open import open_counts
matrix.ENTRIES = tenx.TEXT = 1 << 17
for path in sys.argv[1:]:
    with open_counts(path) as file:
        total = sum(int(chunk.sum()) for chunk in file.chunks(512))
    print(total)
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_depend_on_the_size_of_the_file(tmp_path):
    """The peaks with 4,000 and 40,000 cells, which would be 12 and 120 MB in memory, are about the same."""
    peaks = []
    for n_cells in (4_000, 40_000):
        counts = np.random.default_rng(0).integers(-6, 5, (n_cells, 1000), np.int8).clip(0)
        adata = anndata.AnnData(csr_matrix(counts, dtype=np.float32))
        forms = ["h5ad csr", "h5ad csc", "zarr 2 csr", "Cell Ranger 3 h5", "Cell Ranger 2 mtx"]
        paths = [WRITERS[form](adata, tmp_path / f"{form} {n_cells}") for form in forms]
        command = [sys.executable, "-W", "error", "-c", MEASURE, *map(str, paths)]
        *totals, peak = map(int, subprocess.check_output(command, text=True).split())
        assert totals == [int(counts.sum())] * len(forms)
        peaks.append(peak)
    assert peaks[1] < 1.1 * peaks[0], peaks


def test_a_layer_of_zeros_holds_no_counts(tmp_path):
    adata = small_adata()
    adata.layers["counts"] = adata.X * 0
    with open_counts(write_h5ad(tmp_path, adata)) as file:
        assert file.counts_from == "X"


def test_stored_zeros_are_dropped(tmp_path):
    adata = small_adata()
    adata.X.data[::3] = 0
    with open_counts(write_h5ad(tmp_path, adata)) as file:
        (counts,) = file.chunks(100)
    assert counts.nnz == np.count_nonzero(adata.X.toarray())


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        ("umis", OptionError, r"has no matrix 'umis' \(`layer`\)\. Did you mean 'umi'\? It has: umi, X"),
        ("raw", OptionError, r"has no matrix 'raw' \(`layer`\)\. It has: umi, X"),
    ],
)
def test_a_layer_that_does_not_exist_is_a_wrong_option(tmp_path, layer, error, message):
    adata = small_adata()
    adata.layers["umi"] = adata.X
    with pytest.raises(error, match=message), open_counts(write_h5ad(tmp_path, adata), layer=layer):
        pass


def test_a_layer_of_a_folder_with_one_matrix_is_a_wrong_option(tmp_path):
    path = matrix_folder(small_adata(), tmp_path / "a")
    with pytest.raises(OptionError, match=r"has only one matrix and names no genomes: leave `layer='counts'` out"):
        open_counts(path, layer="counts").__enter__()


def test_a_missing_file_is_unreadable(tmp_path):
    write_h5ad(tmp_path, small_adata())
    with pytest.raises(UnreadableError, match=r"There is no file or folder \S+b\.h5ad\. Did you mean 'a\.h5ad'\?"):
        open_counts(tmp_path / "b.h5ad").__enter__()
