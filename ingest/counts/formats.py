"""Say what to do with a file in a format that is not read: a packed file, a table of text, a file of R and so on."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import h5py

from sigdb.errors import CountsError, DamagedError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest.counts.files import Group

__all__ = ["check_format", "explain_filters", "other_format"]

HDF5 = b"\x89HDF\r\n\x1a\n"
# How a packed file begins, and the program that unpacks it.
PACKED = {
    b"\x1f\x8b": "gunzip",
    b"PK\x03\x04": "unzip",
    b"BZh": "bunzip2",
    b"\xfd7zXZ": "unxz",
    b"\x28\xb5\x2f\xfd": "unzstd",
}
TEXT = (".csv", ".tsv", ".txt", ".tab")
OF_R = (".rds", ".rdata", ".rda", ".qs", ".robj")
# What a group of HDF5 contains in other formats, and how to make AnnData of it.
OTHER = {
    "a loom file": ({"matrix", "row_attrs", "col_attrs"}, "anndata.io.read_loom(...).write_h5ad(...)"),
    "an h5Seurat file": ({"assays", "cell.names"}, "SeuratDisk's Convert(..., dest = 'h5ad')"),
    "a molecule_info.h5 of Cell Ranger": ({"barcode_idx", "umi"}, "use filtered_feature_bc_matrix.h5 beside it"),
}
# The usual names of filters of HDF5 that the package hdf5plugin brings.
FILTERS = {307: "bzip2", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32015: "zstd", 32026: "blosc2"}


def check_format(path: Path) -> None:
    """Raise CountsError, with the way out, if a file must be unpacked or converted before it can be read."""
    with path.open("rb") as file:
        start = file.read(8)
    if start == HDF5:
        return
    name = path.name.lower()
    kind = Path(name.removesuffix(".gz")).suffix
    if kind in (*OF_R, *TEXT):
        what = "an object of R" if kind in OF_R else "a table of text"
        raise CountsError(
            f"{path} is {what}, from which no counts are read. Make AnnData of it (.h5ad), with cells as rows and "
            "genes as columns."
        )
    for magic, program in PACKED.items():
        if start.startswith(magic):
            unpack = "tar -xf" if name.endswith((".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")) else program
            raise CountsError(
                f"{path} is packed, but parts of a file are read in any order. Unpack it with {unpack}, and name "
                "the file or folder that comes out."
            )


def other_format(store: Group) -> str:
    """What to do with an HDF5 file that is known, but not read: ' It is ..., which ...'; '' if it is not known."""
    for name, (parts, way_out) in OTHER.items():
        if parts <= set(store):
            return f" It is {name}. To read it: {way_out}."
    return ""


@contextmanager
def explain_filters(path: Path, file: h5py.File) -> Iterator[None]:
    """Read compressed data with the filters of hdf5plugin; MissingDependencyError if the package is needed and missing.

    The block is what reads the file.
    """
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401  # its import registers the filters
    try:
        yield
    except (OSError, DamagedError) as error:
        if name := missing_filter(file):
            raise MissingDependencyError(
                f"{path} is compressed with {name}, which needs a plug-in of HDF5. Install it: pip install hdf5plugin"
            ) from error
        raise


def missing_filter(file: h5py.File) -> str | None:
    """The name of the first filter that a dataset of the file needs and that this machine lacks, or None."""

    def find(_: str, element: h5py.Group | h5py.Dataset) -> str | None:
        if not isinstance(element, h5py.Dataset):
            return None
        settings = element.id.get_create_plist()
        used = [settings.get_filter(number) for number in range(settings.get_nfilters())]
        return next((FILTERS.get(code, f"filter {code}") for code, *_ in used if not h5py.h5z.filter_avail(code)), None)

    found: str | None = file.visititems(find)
    return found
