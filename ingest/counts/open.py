"""Open a study's file in any supported format and find its raw counts.

Metadata are read into memory; counts are read chunk by chunk.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import zarr

from ingest.counts import tenx
from ingest.counts.files import convert_errors, open_store
from ingest.counts.matrix import Contents, RowSource, is_by_cells, is_sparse, iterate_stored, shape_of
from ingest.counts.values import check_not_empty, check_shape, find_problem
from ingest.obs import join_obs
from ingest.options import check_exists
from sigdb.errors import CountsError, OptionError, listed, nearest

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from scipy.sparse import csr_matrix

    from ingest.counts.files import Array, Group
    from ingest.counts.matrix import RowReader

__all__ = ["CountsFile", "open_counts"]

# Values that are read to find out whether a matrix holds raw counts.
PROBE = 100_000
# A zarr folder has one of these files.
ZARR = ("zarr.json", ".zgroup", ".zattrs")


@dataclass
class CountsFile:
    """An open study: the metadata of its cells, and the matrix of its raw counts.

    A matrix that is not stored by cells is sorted into a temporary file when `source` or `reader` is first used.
    Errors in the metadata can be found before that.
    """

    path: Path
    contents: Contents
    stack: ExitStack
    spool: Path | None = None

    @cached_property
    def source(self) -> RowSource:
        """Where the counts are, for other processes. Valid as long as this file is open."""
        return self.stack.enter_context(self.contents.by_cells(self.spool))

    @cached_property
    def reader(self) -> RowReader:
        """The counts, open for reading."""
        return self.stack.enter_context(self.source.open())

    @property
    def var_names(self) -> tuple[str, ...]:
        """Names of the genes."""
        return self.contents.var_names

    @property
    def layer(self) -> str | None:
        """The matrix of raw counts, as `open_counts` takes it."""
        return self.contents.layer

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.contents.source.shape[0]

    def take_obs(self) -> pd.DataFrame:
        """Return the metadata of the cells and forget them, to free memory. Call it once."""
        obs = self.contents.obs
        self.contents = replace(self.contents, obs=obs.iloc[:0].copy())
        return obs

    @property
    def counts_from(self) -> str:
        """The matrix that holds the counts, such as `layers/counts`, `raw/X` or `X`."""
        return self.contents.source.counts_from

    @contextmanager
    def obsm(self) -> Iterator[Mapping[str, Any]]:
        """The embeddings of the cells, as elements of the open file."""
        if not self.contents.source.key:  # a folder of Cell Ranger
            yield {}
            return
        with open_store(self.path) as store:
            yield store.get("obsm", {})

    def read(self, start: int, stop: int) -> csr_matrix:
        """The counts of cells start to stop, (n, n_genes) float32; CountsError if they are not counts."""
        return self.reader.read(start, stop)

    def chunks(self, size: int) -> Iterator[csr_matrix]:
        """Yield the counts of `size` cells at a time."""
        for start in range(0, self.n_cells, size):
            yield self.read(start, start + size)


@contextmanager
def open_counts(
    path: str | os.PathLike[str],
    *,
    layer: str | None = None,
    obs: str | os.PathLike[str] | None = None,
    mapping: Mapping[str, str] | None = None,
    spool: Path | None = None,
) -> Iterator[CountsFile]:
    """Open AnnData (.h5ad, zarr) or the output of Cell Ranger (.h5, a folder with matrix.mtx), and find its raw counts.

    layer: the matrix that holds them: a name in `layers`, or `X` or `raw`; for Cell Ranger, the genome. Default: the
    first of layers['counts'], raw and X that holds counts. obs: a table of metadata to join to the cells. mapping: as
    for `join_obs`. spool: an existing folder for sorted copies; default: the system's folder for temporary files.

    Raises CountsError, with the contents of each matrix, if none holds raw counts; OptionError if `layer` does not
    exist; ObsError if the table does not fit; UnreadableError if there is no such file.
    """
    path = Path(path)
    with convert_errors(path):
        contents = read_contents(path, layer)
    if obs is not None:
        contents = replace(contents, obs=join_obs(contents.obs, Path(obs), path, mapping))
    with ExitStack() as stack:
        file = CountsFile(path, contents, stack, spool)
        del contents  # this reference would keep the metadata in memory after `take_obs`
        yield file


def read_contents(path: Path, layer: str | None) -> Contents:
    """Find out the format of a file or folder and read its metadata."""
    check_exists(path)
    if path.is_dir() and not any((path / name).exists() for name in ZARR):
        return tenx.read_folder(path, layer)
    if ".mtx" in path.suffixes:
        raise CountsError(f"{path} is one of several files that Cell Ranger writes. Name the folder that it is in.")
    with open_store(path) as store:
        if tenx.is_cell_ranger(store):
            return tenx.read_h5(store, path, layer)
        return read_anndata(store, path, layer)


def read_anndata(store: Group, path: Path, layer: str | None) -> Contents:
    """Read the metadata of AnnData, and find its counts."""
    if missing := [key for key in ("obs", "var") if key not in store]:
        raise CountsError(f"{path} is neither AnnData (it has no {listed(missing)}) nor a matrix of Cell Ranger.")
    obs, var = read_frame(store, "obs"), read_frame(store, "var")
    check_not_empty(path, len(obs), "cells")
    check_not_empty(path, len(var), "genes")
    key = choose_matrix(store, path, layer)
    if key == "raw/X":
        var = read_frame(store, "raw/var")
    matrix = store[key]
    check_complete(path, matrix)
    check_shape(path, key, shape_of(matrix), len(obs), len(var))
    source = RowSource(path, key, (len(obs), len(var)), path, key)
    chosen = {"raw/X": "raw"}.get(key, key.removeprefix("layers/"))
    contents = Contents(obs, tuple(map(str, var.index)), chosen, source)
    if is_by_cells(matrix):
        return contents
    n_entries = matrix["data"].shape[0] if is_sparse(matrix) else None
    return replace(contents, pieces=partial(iterate_stored, path, key), n_entries=n_entries)


def read_frame(store: Group, key: str) -> pd.DataFrame:
    """A data frame of AnnData; TypeError if the element is something else."""
    frame = anndata.io.read_elem(store[key])
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"its {key} is not a table")
    for name in frame.columns if is_sparse(store[key]) else ():
        column = store[key][name]
        values = next((column[part] for part in ("codes", "values") if is_sparse(column) and part in column), column)
        if values.shape[:1] != (len(frame),):  # pandas repeats a single value
            raise ValueError(f"its {key} has {values.shape[0]} values of {name} for {len(frame)} rows")
    return frame


def check_complete(path: Path, matrix: Group | Array) -> None:
    """Raise CountsError if chunks of a sparse matrix in zarr are missing, which zarr would read as zeros."""
    for name in ("data", "indices") if isinstance(matrix, zarr.Group) else ():
        n_missing = matrix[name].nchunks - matrix[name].nchunks_initialized
        if n_missing:
            raise CountsError(
                f"{path}: {n_missing} of {matrix[name].nchunks} chunks of {matrix.path}/{name} are missing. Was the "
                "whole folder copied?"
            )


def choose_matrix(store: Group, path: Path, layer: str | None) -> str:
    """The key of the raw counts in AnnData; CountsError, with the contents of each matrix, if there are none."""
    layers = sorted(store.get("layers", {}))
    names = layers + [name for name, key in (("raw", "raw/X"), ("X", "X")) if key in store]
    if layer is not None:
        key = {"X": "X", "raw": "raw/X"}.get(layer, f"layers/{layer}")
        if key not in store:
            raise OptionError(
                f"{path} has no matrix {layer!r} (`layer`).{nearest(layer, names)} It has: {listed(names) or 'none'}."
            )
        return key
    seen = {}
    for key in ("layers/counts", "raw/X", "X"):
        if key not in store:
            continue
        values = read_first(store[key])
        problem = find_problem(values) or (None if values.any() else "only zeros")
        if problem is None:
            return key
        seen[key] = problem
    found = "; ".join(f"{key} holds {problem}" for key, problem in seen.items()) or "none of these matrices exists"
    raise CountsError(
        f"{path} has no raw counts in layers['counts'], raw or X: {found}. Name the matrix that holds them with "
        f"`layer`. The file has: {listed(names) or 'none'}."
    )


def read_first(matrix: Group | Array) -> np.ndarray[tuple[int], np.dtype[np.number]]:
    """The first values of a matrix, without reading the rest."""
    if is_sparse(matrix):
        return np.asarray(matrix["data"][:PROBE])
    n_rows = max(1, PROBE // max(1, matrix.shape[1]))
    return np.asarray(matrix[:n_rows]).ravel()
