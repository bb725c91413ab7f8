"""Refuse files of a study that take their data from other files, or claim more data than they can hold."""

from __future__ import annotations

import gzip
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numcodecs
from h5py import h5a, h5d, h5g, h5l, h5o, h5z

from sigdb.disk import size_text
from sigdb.errors import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import zarr

__all__ = ["check_folder", "check_hdf5", "check_text", "check_zarr"]

# A file may claim this many times its size, a little more than deflate compresses (1032 to 1), and in any case this
# many bytes.
MOST_TIMES = 1100
MOST_TIMES_OF_TEXT = 100
ROOM = 1 << 28
# The longest path of an object in a file, in characters.
MOST_NAME = 1 << 16
LINKS = {h5l.TYPE_EXTERNAL: "external link"}
WHY = "A study is read only from its own file, because other files of this machine would get into the atlas."


def check_hdf5(file: h5py.File, path: Path) -> None:
    """Raise DamagedError if an object of an HDF5 file is stored in another file, or the file claims too much."""
    claimed = 0
    for name, dataset in iterate_datasets(file, path):
        plist = dataset.get_create_plist()
        if plist.get_external_count():
            refuse(path, name, f"external storage in {os.fsdecode(plist.get_external(0)[0])!r}")
        if plist.get_layout() == h5d.VIRTUAL:
            refuse(path, name, "virtual dataset")
        filters = [plist.get_filter(n)[0] for n in range(plist.get_nfilters())]
        if filters.count(h5z.FILTER_DEFLATE) > 1:
            raise DamagedError(f"{path} is damaged: {name} is compressed {len(filters)} times over.")
        chunk = plist.get_chunk() if plist.get_layout() == h5d.CHUNKED else (0,)
        n_values = max(dataset.get_space().get_simple_extent_npoints(), math.prod(chunk))
        claimed += n_values * dataset.get_type().get_size()
    check_claim(path, claimed, path.stat().st_size)


def iterate_datasets(file: h5py.File, path: Path) -> Iterator[tuple[str, h5d.DatasetID]]:
    """Yield the name and id of each dataset of a file once. Raises DamagedError for a link to another file."""
    pending: list[tuple[str, h5g.GroupID | h5d.DatasetID]] = [("", h5o.open(file.id, b"/"))]
    seen = set()
    while pending:
        name, found = pending.pop()
        if (address := h5o.get_info(found).addr) in seen:
            continue
        seen.add(address)
        if h5a.exists(found, b"categories"):
            pending += referenced_categories(found, name)
        if isinstance(found, h5d.DatasetID):
            yield name, found
        elif isinstance(found, h5g.GroupID):
            pending += members(found, name, path)


def members(group: h5g.GroupID, name: str, path: Path) -> Iterator[tuple[str, h5g.GroupID | h5d.DatasetID]]:
    """Yield the names and ids of the objects in a group. Soft links lead to objects of the same file."""
    for key in group:
        kind, below = group.links.get_info(key).type, f"{name}/{os.fsdecode(key)}".lstrip("/")
        if len(below) > MOST_NAME:
            raise DamagedError(f"{path} is damaged: its groups are nested too deeply, below {name[:20]}.")
        if kind == h5l.TYPE_HARD:
            yield below, h5o.open(group, key)
        elif kind != h5l.TYPE_SOFT:
            refuse(path, below, LINKS.get(kind, "user-defined link"))


def referenced_categories(found: h5g.GroupID | h5d.DatasetID, name: str) -> Iterator[tuple[str, h5d.DatasetID]]:
    """The categories of a column as old versions of AnnData store them: behind a reference, perhaps without a name."""
    value = h5py.Dataset(found).attrs["categories"] if isinstance(found, h5d.DatasetID) else None
    if isinstance(value, h5py.Reference) and value:
        yield f"the categories of {name}", h5py.h5r.dereference(value, found)


def check_folder(path: Path) -> int:
    """The bytes in the files of a zarr folder. Raises DamagedError for anything but files and folders in it."""
    n_bytes, pending, root = 0, [os.fspath(path)], path.resolve()
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
                    refuse(path, os.path.relpath(entry.path, path), f"symbolic link to {os.readlink(entry.path)!r}")
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif entry.is_file():
                    n_bytes += entry.stat().st_size
                elif not entry.is_dir():
                    raise DamagedError(f"{path} is damaged: {os.path.relpath(entry.path, path)} is not a file.")
    return n_bytes


def check_zarr(group: zarr.Group, path: Path, n_bytes: int) -> None:
    """Raise DamagedError if an array of a zarr folder of n_bytes is pickled, or the folder claims too much."""
    claimed = 0
    for array in iterate_arrays(group):
        if any(isinstance(codec, numcodecs.Pickle) for codec in codecs(array)):
            raise DamagedError(f"{path} holds pickled objects in {array.path}, which could run code. It is not read.")
        chunk = getattr(array, "shards", None) or array.chunks
        claimed += max(math.prod(array.shape), math.prod(chunk)) * array.dtype.itemsize
    check_claim(path, claimed, n_bytes)


def iterate_arrays(group: zarr.Group) -> Iterator[zarr.Array]:
    """Yield all arrays in a group."""
    for _, array in group.arrays():
        yield array
    for _, below in group.groups():
        yield from iterate_arrays(below)


def codecs(array: zarr.Array) -> list[object]:
    """The filters and the compressors of an array. zarr 2 has None for no filters, and one compressor."""
    compressors = array.compressors if hasattr(array, "compressors") else [array.compressor]
    return [*(array.filters or ()), *compressors]


def check_text(path: Path) -> None:
    """Raise DamagedError if a small gzipped text expands to more than names and numbers can."""
    if path.suffix != ".gz":
        return
    most, n_bytes = ROOM + MOST_TIMES_OF_TEXT * path.stat().st_size, 0
    with gzip.open(path) as file:
        while piece := file.read(1 << 20):
            if (n_bytes := n_bytes + len(piece)) > most:
                raise DamagedError(f"{path} is damaged: it expands to more than {size_text(most)} of text.")


def refuse(path: Path, name: str, kind: str) -> None:
    """Raise DamagedError for a part of a file that is stored elsewhere."""
    raise DamagedError(
        f"{path} takes {name} from another file ({kind}). {WHY} If you trust the file, read it and write it again with "
        "AnnData, or copy the folder with `cp -rL`."
    )


def check_claim(path: Path, claimed: int, n_bytes: int) -> None:
    """Raise DamagedError if a file of n_bytes claims to hold more than any compression allows."""
    if claimed > ROOM + MOST_TIMES * n_bytes:
        raise DamagedError(
            f"{path} is damaged: it claims to hold {size_text(claimed)} of data, but has {size_text(n_bytes)}."
        )
