"""Open HDF5 files and zarr folders, and turn the errors of damaged files into errors of sigdb."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import h5py
import zarr

from ingest.counts.contained import check_folder, check_hdf5, check_zarr
from ingest.counts.formats import explain_filters
from sigdb.errors import DamagedError, SigdbError, UnreadableError, message, no_memory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Group: TypeAlias = h5py.Group | zarr.Group
    Array: TypeAlias = h5py.Dataset | zarr.Array

__all__ = ["convert_errors", "open_store"]


@contextmanager
def open_store(path: Path) -> Iterator[Group]:
    """Open a zarr folder or an HDF5 file that holds all of its data itself.

    Raises DamagedError if it is neither or refers to other files, and UnreadableError if it cannot be read.
    """
    if path.is_dir():
        with convert_errors(path):
            n_bytes = check_folder(path)
            group = zarr.open_group(path, mode="r")
            check_zarr(group, path, n_bytes)
        yield group
        return
    with convert_errors(path):
        if path.exists() and not path.is_file():
            raise DamagedError(f"{path} is neither a file nor a folder.")
        try:
            file = h5py.File(path, "r")
        except OSError as error:
            if error_number(error):
                raise
            text = f"{path} cannot be read as HDF5, the format of .h5ad and of Cell Ranger's .h5: {error}"
            raise DamagedError(text) from error
    with file:
        with convert_errors(path):
            check_hdf5(file, path)
        with explain_filters(path, file):
            yield file


@contextmanager
def convert_errors(path: Path) -> Iterator[None]:
    """Turn any error of h5py, zarr, anndata and scipy in the block into a DamagedError about the file.

    If the operating system could not read the file, raise UnreadableError: another machine or a later attempt may
    succeed. The same holds if the memory does not suffice.
    """
    try:
        yield
    except SigdbError:
        raise
    except MemoryError as error:
        raise UnreadableError(no_memory(path)) from error
    except Exception as error:
        if number := error_number(error):
            raise UnreadableError(f"{path} could not be read: {os.strerror(number)}") from error
        reason = message(error) or type(error).__name__
        raise DamagedError(f"{path} is damaged, or not as AnnData or Cell Ranger write it: {reason}") from error


def error_number(error: Exception) -> int:
    """The errno of the system error behind an error, or 0. h5py may give it only in the text."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = re.search(r"\berrno = (\d+)", str(error))
    return int(found[1]) if found else 0
