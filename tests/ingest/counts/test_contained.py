"""Files of strangers that point to other files, or claim to hold more than they can: refused by name, unread."""

from __future__ import annotations

import gzip
import json
import os
import shutil

import h5py
import numcodecs
import numpy as np
import pytest
import zarr

from ingest.counts.open import open_counts
from ingest.given.files import open_scores
from sigdb.errors import CountsError, DamagedError, SigdbError
from tests.ingest.conftest import small_adata
from tests.support.formats import cell_ranger_h5, h5ad, matrix_folder, zarr_folder

SECRET = "-----BEGIN OPENSSH PRIVATE KEY-----"


def external_storage(parent, name, values, secret):
    parent.create_dataset(name, shape=(2,), dtype="S17", external=[(str(secret), 0, 34)])


def external_link(parent, name, values, secret):
    with h5py.File(secret.with_suffix(".other"), "w") as other:
        other["data"] = values
    parent[name] = h5py.ExternalLink(secret.with_suffix(".other"), "data")


def virtual_dataset(parent, name, values, secret):
    with h5py.File(secret.with_suffix(".other"), "w") as other:
        other["data"] = values
        layout = h5py.VirtualLayout(values.shape, values.dtype)
        layout[...] = h5py.VirtualSource(other["data"])
    parent.create_virtual_dataset(name, layout)


def reference(parent, name, values, secret):
    """Old versions of AnnData store the categories of a column behind a reference, which may have no other name."""
    external_storage(parent, "hidden", values, secret)
    parent[name] = values
    parent[name].attrs["categories"] = parent["hidden"].ref


WAYS = {
    "external storage": external_storage,
    "external link": external_link,
    "virtual dataset": virtual_dataset,
    "external storage in": reference,
}
# A format, and a data set of it that is replaced by one of the WAYS.
PLACES = {
    "h5ad": (h5ad, "obs", "_index"),
    "h5ad, counts": (h5ad, "X", "data"),
    "h5ad, what is not read": (h5ad, "uns", "note"),
    "Cell Ranger": (cell_ranger_h5, "matrix/features", "name"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", WAYS)
def test_data_in_another_file_are_refused_by_name(tmp_path, way, place):
    write, group, name = PLACES[place]
    (tmp_path / "id_rsa").write_text(SECRET)
    path = write(small_adata(), tmp_path / "gift")
    with h5py.File(path, "a") as file:
        parent = file.require_group(group)
        values = parent[name][:] if name in parent else np.arange(3)
        if name in parent:
            del parent[name]
        WAYS[way](parent, name, np.asarray(values, "S") if values.dtype == object else values, tmp_path / "id_rsa")
    expected = rf"gift\S+ takes (the categories of )?{group}/(hidden|{name}) from another file \({way}"
    with pytest.raises(DamagedError, match=expected), open_counts(path):
        pass
    if path.suffix == ".h5ad":
        with pytest.raises(DamagedError, match=expected), open_scores(path):
            pass


def claim(file, name, shape, **options):
    """Replace a data set by an empty one of another shape."""
    attributes, kind = dict(file[name].attrs), file[name].dtype
    del file[name]
    options = {"chunks": (1024,), **options}
    file.create_dataset(name, shape=shape, dtype=kind, **options).attrs.update(attributes)


CLAIMS = {
    "names of cells": lambda file: claim(file, "obs/_index", (10**11,)),
    "values": lambda file: claim(file, "X/data", (10**12,)),
    "index pointers": lambda file: claim(file, "X/indptr", (10**12,)),
    "a chunk": lambda file: claim(file, "X/data", (300,), chunks=(2**29,), maxshape=(None,)),
    "what is not read": lambda file: file.create_dataset("uns/x", shape=(10**12,), chunks=(10**6,), dtype="f8"),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_a_file_that_claims_more_than_it_can_hold(tmp_path, case):
    path = h5ad(small_adata(), tmp_path / "bad")
    with h5py.File(path, "a") as file:
        CLAIMS[case](file)
    expected = r"bad.h5ad is damaged: it claims to hold [\d,.]+ GB of data, but has [\d.]+ kB"
    with pytest.raises(DamagedError, match=expected), open_counts(path):
        pass


def test_links_within_a_file_are_followed(tmp_path):
    """Soft links, cycles of hard links, and types that are stored by name."""
    path = h5ad(small_adata(), tmp_path / "odd")
    with h5py.File(path, "a") as file:
        file["uns/all"] = file["/"]
        file["uns/kind"] = np.dtype("i4")
        file.move("X/data", "uns/data")
        file["X/data"] = h5py.SoftLink("/uns/data")
        file["uns/nothing"] = h5py.SoftLink("/no/where")
    with open_counts(path) as counts:
        assert (counts.read(0, 40) != small_adata().X).nnz == 0


def test_groups_in_groups_without_end(tmp_path):
    path = h5ad(small_adata(), tmp_path / "bad")
    with h5py.File(path, "a") as file:
        group = file["uns"]
        for _ in range(300):
            group = group.create_group("n" * 300)
    with pytest.raises(DamagedError, match="its groups are nested too deeply"), open_counts(path):
        pass


def link_out(path, name, secret):
    (path / name).unlink(missing_ok=True)
    (path / name).symlink_to(secret)


def link_folder(path, name, secret):
    shutil.move(path / name, secret.with_name("elsewhere"))
    (path / name).symlink_to(secret.with_name("elsewhere"))


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(("link", "name"), [(link_out, "obs/_index/0"), (link_folder, "obs"), (link_out, "uns/x")])
def test_links_out_of_a_zarr_folder_are_refused(tmp_path, monkeypatch, version, link, name):
    (tmp_path / "id_rsa").write_text(SECRET)
    path = zarr_folder(small_adata(), tmp_path / "gift", version=version)
    name = "obs/_index/c/0" if version == 3 and name == "obs/_index/0" else name
    link(path, name, tmp_path / "id_rsa")
    monkeypatch.chdir(tmp_path)
    for given in (path, path.relative_to(tmp_path)):
        expected = rf"takes {name} from another file \(symbolic link to '"
        with pytest.raises(DamagedError, match=expected), open_counts(given):
            pass


def test_links_that_the_user_made_are_followed(tmp_path):
    """To a zarr folder, within it, and to the files of a folder of Cell Ranger."""
    path = zarr_folder(small_adata(), tmp_path / "a")
    (path / "obs" / "again").symlink_to("_index")
    (tmp_path / "b.zarr").symlink_to(path)
    whole = matrix_folder(small_adata(), tmp_path / "whole")
    (tmp_path / "links").mkdir()
    for file in whole.iterdir():
        (tmp_path / "links" / f"GSM1_{file.name}").symlink_to(file)
    for given in (tmp_path / "b.zarr", tmp_path / "links"):
        with open_counts(given) as counts:
            assert counts.n_cells == 40


def test_a_pipe_is_not_waited_for(tmp_path):
    zarr_path = zarr_folder(small_adata(), tmp_path / "a")
    os.mkfifo(zarr_path / "obs" / "x")
    os.mkfifo(tmp_path / "b.h5ad")
    whole = matrix_folder(small_adata(), tmp_path / "c", version=2)
    (whole / "matrix.mtx").unlink()
    os.mkfifo(whole / "matrix.mtx")
    for path in (zarr_path, tmp_path / "b.h5ad", whole):
        with pytest.raises(CountsError), open_counts(path):
            pass


def change_zarr(path, name, **changes):
    """Change the metadata of an array of zarr 2, which AnnData keeps in one file."""
    metadata = json.loads((path / ".zmetadata").read_text())
    metadata["metadata"][f"{name}/.zarray"].update(changes)
    (path / ".zmetadata").write_text(json.dumps(metadata))


def test_a_zarr_folder_that_claims_more_than_it_can_hold(tmp_path):
    path = zarr_folder(small_adata(), tmp_path / "bad")
    change_zarr(path, "X/indptr", shape=[10**12])
    with pytest.raises(DamagedError, match=r"claims to hold 4,000.0 GB of data, but has [\d.]+ kB"), open_counts(path):
        pass


def test_pickled_objects_in_zarr_are_refused(tmp_path):
    path = zarr_folder(small_adata(), tmp_path / "bad")
    filters = [each.get_config() for each in (numcodecs.VLenUTF8(), numcodecs.Pickle())]
    change_zarr(path, "obs/_index", filters=filters)
    with pytest.raises(SigdbError, match=r"bad.zarr holds pickled objects in obs/_index"), open_counts(path):
        pass
    assert "_index" in zarr.open_group(path, mode="r")["obs"]


@pytest.mark.parametrize(("column", "part"), [("sample", "codes"), ("cell_type", "codes")])
def test_a_column_that_is_too_short_is_not_repeated(tmp_path, column, part):
    path = h5ad(small_adata(), tmp_path / "bad")
    with h5py.File(path, "a") as file:
        name = f"obs/{column}/{part}" if isinstance(file[f"obs/{column}"], h5py.Group) else f"obs/{column}"
        one, attributes = file[name][:1], dict(file[name].attrs)
        del file[name]
        file[name] = one
        file[name].attrs.update(attributes)
    with pytest.raises(DamagedError, match=f"its obs has 1 values of {column} for 40 rows"), open_counts(path):
        pass


def gzip_zeros(path, start, line, n_bytes):
    """Replace a gzipped text by a start, and lines that repeat without end."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(start)
        for _ in range(n_bytes >> 20):
            file.write((line * (1 << 20))[: 1 << 20])


HEADER = b"%%MatrixMarket matrix coordinate integer general\n"
BOMBS = {
    "an endless line": ("matrix.mtx.gz", b"", b"0", 1 << 26, "a line of more than 1048576 characters"),
    "an endless comment": ("matrix.mtx.gz", HEADER + b"%", b"0", 1 << 26, "a line of more than 1048576 characters"),
    "endless comments": ("matrix.mtx.gz", HEADER, b"%\n", 1 << 26, "invalid literal|not enough values"),
    "an endless entry": ("matrix.mtx.gz", HEADER + b"30 40 9\n1 1 ", b"1", 1 << 26, "line of more than|straddling"),
    "endless entries": ("matrix.mtx.gz", HEADER + b"30 40 9\n", b"1 1 1\n", 1 << 26, "more entries than the 9"),
    "more entries than places": ("matrix.mtx.gz", HEADER + b"30 40 9999999\n", b"", 0, "claims 9999999 entries of 40"),
    "negative numbers": ("matrix.mtx.gz", HEADER + b"-30 -40 9\n1 1 1\n", b"", 0, "-40 cells and -30 genes|-9|claims"),
    "endless names": ("barcodes.tsv.gz", b"", b"A\n", 1 << 29, "barcodes.tsv.gz is damaged: it expands to more than"),
    "an endless name": ("features.tsv.gz", b"", b"A", 1 << 29, "features.tsv.gz is damaged: it expands to more than"),
}


@pytest.mark.parametrize(
    "case", [pytest.param(each, marks=pytest.mark.slow if "name" in each else ()) for each in BOMBS]
)
def test_small_files_that_expand_without_end(tmp_path, case):
    """Each is refused in a few megabytes of memory."""
    name, start, line, n_bytes, message = BOMBS[case]
    path = matrix_folder(small_adata(), tmp_path / "bad")
    gzip_zeros(path / name, start, line, n_bytes)
    with pytest.raises(CountsError, match=message), open_counts(path) as counts:
        counts.read(0, 40)
