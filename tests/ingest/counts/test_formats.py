"""Files that must be unpacked, converted or read with a plug-in are refused with the way out."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from io import BytesIO

import h5py
import numpy as np
import pytest

from ingest.counts.open import open_counts
from sigdb.errors import CountsError, MissingDependencyError
from tests.ingest.conftest import small_adata, small_counts
from tests.support.formats import h5ad, matrix_folder


def zipped(content: bytes) -> bytes:
    with zipfile.ZipFile(made := BytesIO(), "w") as file:
        file.writestr("a", content)
    return made.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "way_out"),
    [
        ("a.h5ad.gz", gzip.compress(b"x", mtime=0), "Unpack it with gunzip"),
        ("a.h5ad", gzip.compress(b"x", mtime=0), "Unpack it with gunzip"),
        ("a.h5.bz2", bz2.compress(b"x"), "Unpack it with bunzip2"),
        ("a.h5ad.xz", lzma.compress(b"x"), "Unpack it with unxz"),
        ("a.zarr.zip", zipped(b"x"), "Unpack it with unzip"),
        ("a.tar.gz", gzip.compress(b"x", mtime=0), "Unpack it with tar -xf"),
        ("a.h5ad.zst", b"\x28\xb5\x2f\xfd....", "Unpack it with unzstd"),
        ("a.csv.gz", gzip.compress(b"x", mtime=0), r"is a table of text, .* Make AnnData of it"),
        ("a.TSV", b"gene\tcell", r"is a table of text, .* Make AnnData of it"),
        ("a.rds", gzip.compress(b"x", mtime=0), r"is an object of R, .* Make AnnData of it"),
        ("a.RData", b"RDX3", r"is an object of R, .* Make AnnData of it"),
    ],
)
def test_a_packed_or_foreign_file(tmp_path, name, content, way_out):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CountsError, match=way_out):
        open_counts(tmp_path / name).__enter__()


def test_any_name_will_do_for_hdf5(tmp_path):
    h5ad(small_adata(), tmp_path / "a").rename(tmp_path / "a.csv")
    with open_counts(tmp_path / "a.csv") as file:
        assert file.n_cells == 40


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["matrix", "row_attrs", "col_attrs"], r"It is a loom file\. To read it: anndata\.io\.read_loom"),
        (["assays", "cell.names"], r"It is an h5Seurat file\. To read it: SeuratDisk's Convert"),
        (["barcode_idx", "umi"], r"It is a molecule_info\.h5 of Cell Ranger"),
    ],
)
def test_hdf5_of_other_programs(tmp_path, groups, message):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for group in groups:
            file.create_group(group)
    with pytest.raises(CountsError, match=message):
        open_counts(tmp_path / "a.h5").__enter__()


@pytest.mark.parametrize(("code", "name"), [(32015, "zstd"), (32001, "blosc"), (32999, "filter 32999")])
@pytest.mark.parametrize("key", ["X/data", "obs/cluster"])
def test_a_filter_that_is_missing_is_named(tmp_path, code, name, key):
    if h5py.h5z.filter_avail(code):
        pytest.skip("this machine has the filter")
    path = h5ad(small_adata(), tmp_path / "a")
    with h5py.File(path, "a") as file:
        values, attributes = file[key][:], dict(file[key].attrs)
        del file[key]
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk(values.shape)
        settings.set_filter(code, h5py.h5z.FLAG_OPTIONAL)
        kind = h5py.h5t.py_create(values.dtype)
        space = h5py.h5s.create_simple(values.shape)
        made = h5py.h5d.create(file.id, key.encode(), kind, space, settings)
        made.write_direct_chunk((0,), values.tobytes(), 0)
        file[key].attrs.update(attributes)
    with pytest.raises(MissingDependencyError, match=rf"compressed with {name}, .* pip install hdf5plugin"):
        open_counts(path).__enter__()


def test_a_filter_of_hdf5plugin_is_read(tmp_path):
    plugin = pytest.importorskip("hdf5plugin")
    small_adata().write_h5ad(tmp_path / "a.h5ad", compression=plugin.FILTERS["zstd"])
    with open_counts(tmp_path / "a.h5ad") as file:
        np.testing.assert_array_equal(file.read(0, 99).toarray(), small_counts().toarray())


def quoted(text: str) -> str:
    return "".join('"' + line.replace("\t", '"\t"') + '"\n' for line in text.splitlines())


def numbered(text: str) -> str:
    return "".join(f"{number}\t{line}\n" for number, line in enumerate(text.splitlines(), 1))


@pytest.mark.parametrize(
    "change",
    [
        quoted,
        lambda text: quoted(text).replace('"', "'"),
        lambda text: "\ufeff" + text,
        lambda text: "\ufeff" + quoted(text),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", " \n"),
        lambda text: quoted(numbered(text)),
    ],
    ids=["quotes", "single quotes", "BOM", "BOM and quotes", "Windows", "spaces", "row names of R"],
)
def test_tables_of_cell_ranger_that_other_programs_wrote(tmp_path, change):
    path = matrix_folder(small_adata(), tmp_path / "a", 2)
    for name in ("genes.tsv", "barcodes.tsv"):
        (path / name).write_bytes(change((path / name).read_text()).encode())
    if change("x").startswith("\ufeff"):
        (path / "matrix.mtx").write_text("\ufeff" + (path / "matrix.mtx").read_text())
    with open_counts(path) as file:
        assert file.var_names == tuple(small_adata().var_names)
        assert list(file.take_obs().index) == list(small_adata().obs_names)
        np.testing.assert_array_equal(file.read(0, 99).toarray(), small_counts().toarray())


def test_quotes_that_are_part_of_names_are_kept(tmp_path):
    adata = small_adata()
    adata.obs_names = ["5'", *(f'"{n}"' for n in range(39))]
    path = matrix_folder(adata, tmp_path / "a", 2)
    (path / "barcodes.tsv").write_text("\n".join(adata.obs_names) + "\n")
    with open_counts(path) as file:
        assert list(file.take_obs().index) == list(adata.obs_names)


@pytest.mark.parametrize("file", ["barcodes", "genes"])
def test_a_header_line_is_told(tmp_path, file):
    path = matrix_folder(small_adata(), tmp_path / "a", 2)
    table = path / f"{file}.tsv"
    table.write_text(("x\ty\n" if file == "genes" else "x\n") + table.read_text())
    message = r"one more than matrix\.mtx describes\. If its first line \([xy]\) is a header, remove it"
    with pytest.raises(CountsError, match=message):
        open_counts(path).__enter__()
