"""Open a study's file, of whatever format, and find its raw counts: metadata in memory, the matrix chunk by chunk."""

from __future__ import annotations

import difflib
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
from ingest.counts.matrix import Contents, RowSource, is_by_rows, is_sparse, shape_of, stored_entries
from ingest.counts.values import broken_file, check_any, check_shape, not_counts, open_store
from ingest.obs import join_obs
from sigdb.errors import CountsError, listed

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from scipy.sparse import csr_matrix

    from ingest.counts.matrix import RowReader
    from ingest.counts.values import Array, Group

__all__ = ["CountsFile", "open_counts", "study_name"]

# Enough values to tell raw counts from anything that was computed from them.
PROBE = 100_000
ZARR = ("zarr.json", ".zgroup", ".zattrs")
# What Cell Ranger calls its results, whatever they are of.
CELL_RANGER = {
    "filtered_feature_bc_matrix", "raw_feature_bc_matrix", "sample_filtered_feature_bc_matrix", "outs", "count",
    "filtered_gene_bc_matrices", "filtered_gene_bc_matrices_h5", "raw_gene_bc_matrices", "raw_gene_bc_matrices_h5",
}  # fmt: skip


@dataclass
class CountsFile:
    """An open study: the metadata of its cells, and the matrix that holds its raw counts.

    A matrix that is not stored by cells is sorted into a temporary file when its rows, or its source, are asked for
    first: what is wrong with the metadata is known before.
    """

    path: Path
    contents: Contents
    stack: ExitStack
    spool: Path | None = None

    @cached_property
    def source(self) -> RowSource:
        """Where the rows are, for other processes to read them too; it lasts as long as this file is open."""
        return self.stack.enter_context(self.contents.by_rows(self.spool))

    @cached_property
    def reader(self) -> RowReader:
        """The rows, open."""
        return self.stack.enter_context(self.source.open())

    @property
    def var_names(self) -> tuple[str, ...]:
        """Names of the genes."""
        return self.contents.var_names

    @property
    def layer(self) -> str | None:
        """The matrix, as `open_counts` takes it."""
        return self.contents.layer

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.contents.source.shape[0]

    def take_obs(self) -> pd.DataFrame:
        """The metadata of the cells, once: names of all cells take memory, and nobody needs them twice."""
        obs = self.contents.obs
        self.contents = replace(self.contents, obs=obs.iloc[:0].copy())
        return obs

    @property
    def counts_from(self) -> str:
        """The matrix that holds the counts, such as `layers/counts`, `raw/X` or `X`."""
        return self.contents.source.counts_from

    @contextmanager
    def obsm(self) -> Iterator[Mapping[str, Any]]:
        """The embeddings of the cells, as they are in the file."""
        if not self.contents.source.place:  # Cell Ranger's folder
            yield {}
            return
        with open_store(self.path) as store:
            yield store.get("obsm", {})

    def rows(self, start: int, stop: int) -> csr_matrix:
        """The counts of cells start to stop, (n, n_var) float32; CountsError where they are not counts."""
        return self.reader.rows(start, stop)

    def chunks(self, size: int) -> Iterator[csr_matrix]:
        """Yield the counts of `size` cells at a time."""
        for start in range(0, self.n_cells, size):
            yield self.rows(start, start + size)


@contextmanager
def open_counts(
    path: str | os.PathLike[str],
    *,
    layer: str | None = None,
    obs: str | os.PathLike[str] | None = None,
    spool: Path | None = None,
) -> Iterator[CountsFile]:
    """Open AnnData (.h5ad, zarr) or the output of Cell Ranger (.h5, a folder with matrix.mtx), and find its raw counts.

    layer: the matrix that holds them, a name in `layers`, or `X` or `raw`; by default the first of layers['counts'],
    raw and X that holds counts. For Cell Ranger, the genome. obs: a table of metadata to join to the cells. spool: an
    existing folder for what has to be sorted (default: that of temporary files). Raises CountsError with what was seen
    in each matrix, if none holds counts, and ObsError if the table does not fit.
    """
    path = Path(path)
    with broken_file(path):
        contents = look_into(path, layer)
    if obs is not None:
        contents = replace(contents, obs=join_obs(contents.obs, Path(obs), path))
    with ExitStack() as stack:
        file = CountsFile(path, contents, stack, spool)
        del contents  # or the metadata would stay when they are taken
        yield file


def study_name(path: Path) -> str:
    """What to call the study of a file, if nothing else is said: the file's name, or that of a telling folder."""
    path = path.absolute()
    names = [path.name.removesuffix(path.suffix if path.suffix in (".h5ad", ".h5", ".zarr") else "")]
    names += [folder.name for folder in path.parents]
    return next((name for name in names if name and name not in CELL_RANGER), names[0])


def look_into(path: Path, layer: str | None) -> Contents:
    """What is in a file or folder."""
    if not path.exists():
        siblings = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, siblings, n=1)
        raise CountsError(f"There is no file or folder {path}." + (f" Did you mean {near[0]}?" if near else ""))
    if path.is_dir() and not any((path / name).exists() for name in ZARR):
        return tenx.read_folder(path, layer)
    if ".mtx" in path.suffixes:
        raise CountsError(f"{path} is one of the files that Cell Ranger writes. Name the folder that it is in.")
    with open_store(path) as store:
        if tenx.is_cell_ranger(store):
            return tenx.read_h5(store, path, layer)
        return read_anndata(store, path, layer)


def read_anndata(store: Group, path: Path, layer: str | None) -> Contents:
    """Read the metadata of AnnData, and find its counts."""
    if missing := [key for key in ("obs", "var") if key not in store]:
        raise CountsError(f"{path} is neither AnnData (it has no {listed(missing)}) nor a matrix of Cell Ranger.")
    obs, var = table(store, "obs"), table(store, "var")
    check_any(path, len(obs), "cells")
    check_any(path, len(var), "genes")
    place = choose_matrix(store, path, layer)
    if place == "raw/X":
        var = table(store, "raw/var")
    matrix = store[place]
    check_whole(path, matrix)
    check_shape(path, place, shape_of(matrix), len(obs), len(var))
    source = RowSource(path, place, (len(obs), len(var)), path, place)
    found = {"raw/X": "raw"}.get(place, place.removeprefix("layers/"))
    contents = Contents(obs, tuple(map(str, var.index)), found, source)
    if is_by_rows(matrix):
        return contents
    n_entries = matrix["data"].shape[0] if is_sparse(matrix) else None
    return replace(contents, pieces=partial(stored_entries, path, place), n_entries=n_entries)


def table(store: Group, place: str) -> pd.DataFrame:
    """A table of AnnData."""
    found = anndata.io.read_elem(store[place])
    if not isinstance(found, pd.DataFrame):
        raise TypeError(f"its {place} is no table")
    return found


def check_whole(path: Path, matrix: Group | Array) -> None:
    """Raise CountsError if pieces of a sparse matrix in zarr are missing, which would be read as zeros."""
    for name in ("data", "indices") if isinstance(matrix, zarr.Group) else ():
        n_missing = matrix[name].nchunks - matrix[name].nchunks_initialized
        if n_missing:
            raise CountsError(
                f"{path}: {n_missing} of {matrix[name].nchunks} pieces of {matrix.path}/{name} are missing: was the "
                "folder copied whole?"
            )


def choose_matrix(store: Group, path: Path, layer: str | None) -> str:
    """The place of the raw counts in AnnData; CountsError, with what each matrix holds, if there are none."""
    layers = sorted(store.get("layers", {}))
    if layer is not None:
        place = {"X": "X", "raw": "raw/X"}.get(layer, f"layers/{layer}")
        if place not in store:
            raise CountsError(f"{path} has no matrix {layer!r}. It has: {listed(matrices(store, layers))}.")
        return place
    seen = {}
    for place in ("layers/counts", "raw/X", "X"):
        if place not in store:
            continue
        values = probe(store[place])
        problem = not_counts(values) or (None if values.any() else "nothing but zeros")
        if problem is None:
            return place
        seen[place] = problem
    found = "; ".join(f"{place} holds {problem}" for place, problem in seen.items()) or "it has no matrix"
    raise CountsError(
        f"{path} has no raw counts where they are looked for: {found}. "
        f"Name the matrix that holds them with --layer; there are: {listed(matrices(store, layers)) or 'none'}."
    )


def matrices(store: Group, layers: list[str]) -> list[str]:
    """The names --layer takes for AnnData."""
    return layers + [name for name, place in (("raw", "raw/X"), ("X", "X")) if place in store]


def probe(matrix: Group | Array) -> np.ndarray[tuple[int], np.dtype[np.number]]:
    """The first values of a matrix, without reading the rest."""
    if is_sparse(matrix):
        return np.asarray(matrix["data"][:PROBE])
    rows = max(1, PROBE // max(1, matrix.shape[1]))
    return np.asarray(matrix[:rows]).ravel()
