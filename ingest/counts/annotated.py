"""Find the raw counts in AnnData, and in the formats that contain AnnData: MuData and SpatialData."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import zarr

from ingest.counts.features import GENE_TYPES, Features, choose_genes, plain, split_genomes
from ingest.counts.formats import other_format
from ingest.counts.frames import read_frame
from ingest.counts.matrix import Contents, RowSource, is_by_cells, is_sparse, iterate_stored, shape_of
from ingest.counts.values import check_not_empty, check_shape, find_problem
from sigdb.errors import CountsError, OptionError, listed, nearest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ingest.counts.files import Array, Group

__all__ = ["read_anndata"]

# Values that are read to find out whether a matrix holds raw counts.
PROBE = 100_000
# The matrices that can hold raw counts without being named: the first of those with the most genes is taken.
USUAL = ("layers/counts", "raw/X", "raw.X", "X")
# Where MuData and SpatialData keep their AnnData.
FOLDERS = ("mod", "tables", "table")


def read_anndata(store: Group, path: Path, layer: str | None) -> Contents:
    """Read the metadata of AnnData, and find its counts.

    layer: a matrix, or a genome if there are several. In MuData and SpatialData, it begins with the AnnData to read,
    such as `mod/rna` or `mod/rna/counts`, unless there is only one with genes.
    """
    root, layer = choose_root(store, path, layer)
    file = AnnDataFile(path, store, root)
    if missing := [name for name in ("obs", "var") if name not in file.group]:
        raise CountsError(
            f"{path} is neither AnnData (it has no {listed(missing)}) nor a matrix of Cell Ranger.{other_format(store)}"
        )
    return file.read(layer)


def choose_root(store: Group, path: Path, layer: str | None) -> tuple[str, str | None]:
    """The key of the AnnData in a file, '' for the file itself, and the matrix or genome in it that `layer` names."""
    found = [f"{folder}/{name}" for folder in FOLDERS if is_group(store.get(folder)) for name in store[folder]]
    found = [key for key in found if is_group(store[key]) and {"obs", "var"} <= set(store[key])]
    if not found or "X" in store:
        return "", layer
    for key in found:
        if layer is not None and f"{layer}/".startswith(f"{key}/"):
            return key, layer[len(key) + 1 :] or None
    with_genes = [key for key in found if plain(key.split("/")[1]) in GENE_TYPES]
    if len(with_genes or found) == 1:
        return (with_genes or found)[0], layer
    wrong = "" if layer is None else f" It has no {layer!r}.{nearest(layer, found)}"
    raise OptionError(
        f"{path} contains {len(found)} AnnData: {listed(found)}.{wrong} Choose one with `layer`; a matrix of it "
        f"follows after a slash, as in {found[0] + '/counts'!r}."
    )


@dataclass(frozen=True)
class AnnDataFile:
    """AnnData in an open file. root: the key of its group; '' for the file itself."""

    path: Path
    store: Group
    root: str

    @cached_property
    def group(self) -> Group:
        """The group of the AnnData."""
        return self.store[self.root] if self.root else self.store

    @cached_property
    def var(self) -> pd.DataFrame:
        """The table of the columns of X and of the layers."""
        return read_frame(self.group, "var")

    def key(self, name: str) -> str:
        """The key in the file of an element of the AnnData."""
        return f"{self.root}/{name}" if self.root else name

    def read(self, layer: str | None) -> Contents:
        """Read the metadata, and find the counts that `layer` names."""
        obs = self.read_obs()
        check_not_empty(self.path, len(obs), "cells")
        check_not_empty(self.path, len(self.var), "genes")
        genome = layer if layer is not None and self.matrix_named(layer) is None else None
        if genome is not None and genome not in self.genomes():
            raise self.no_such_matrix(genome)
        name, notes = self.choose_matrix(None if genome else layer)
        matrix, key = self.group[name], self.key(name)
        check_complete(self.path, matrix)
        var = self.var_of(name)
        shape = (len(obs), len(var))
        check_shape(self.path, key, shape_of(matrix), *shape)
        genes = choose_genes(self.path, features_of(var), genome, can_choose=layer is None)
        source = RowSource(self.path, key, shape, self.path, key, genes.columns)
        chosen = genome or {"raw/X": "raw", "raw.X": "raw"}.get(name, name.removeprefix("layers/"))
        contents = Contents(
            obs, genes.names, self.key(chosen), source, notes=(*notes, *genes.notes), obsm=self.key("obsm")
        )
        if is_by_cells(matrix):
            return contents
        n_entries = matrix["data"].shape[0] if is_sparse(matrix) else None
        return replace(contents, pieces=partial(iterate_stored, self.path, key), n_entries=n_entries)

    def read_obs(self) -> pd.DataFrame:
        """The metadata of the cells. MuData has columns that are common to all its AnnData in a table of its own."""
        obs = read_frame(self.group, "obs")
        if not self.root or not is_group(self.store.get("obs")):
            return obs
        common = read_frame(self.store, "obs")
        is_own = [name not in obs and ":" not in str(name) for name in common]
        if common.index.has_duplicates or not obs.index.isin(common.index).all():
            return obs
        return pd.concat([obs, common.loc[obs.index, is_own].set_axis(obs.index)], axis=1)

    def var_of(self, name: str) -> pd.DataFrame:
        """The table of the columns of a matrix. What only var says of a column of raw is added."""
        table = {"raw/X": "raw/var", "raw.X": "raw.var"}.get(name)
        if table is None:
            return self.var
        raw = read_frame(self.group, table)
        more = self.var[self.var.columns.difference(raw.columns, sort=False)]
        if not raw.index.equals(more.index):
            more = more[~more.index.duplicated(keep=False)].reindex(raw.index)
        return pd.concat([raw, more.set_axis(raw.index)], axis=1)

    def matrix_named(self, layer: str) -> str | None:
        """The element that the user calls `layer`, or None if there is no such matrix."""
        names = {"X": ["X"], "raw": ["raw/X", "raw.X"]}.get(layer, [f"layers/{layer}"])
        return next((name for name in names if name in self.group), None)

    def genomes(self) -> set[str]:
        """The genomes that the columns of any matrix have."""
        tables = [self.var, *(self.var_of(name) for name in ("raw/X", "raw.X") if name in self.group)]
        return {genome for var in tables for genome in split_genomes(features_of(var))[1]} - {""}

    def no_such_matrix(self, layer: str) -> OptionError:
        """The error for a `layer` that is neither a matrix nor a genome."""
        names, genomes = [self.key(name) for name in self.matrices()], sorted(self.genomes())
        more = f" Its genomes are: {listed(genomes)}." if genomes else ""
        return OptionError(
            f"{self.path} has no matrix {layer!r} (`layer`).{nearest(layer, [*names, *genomes])} It has: "
            f"{listed(names) or 'none'}.{more}"
        )

    def matrices(self) -> list[str]:
        """The names that the user has for the matrices."""
        return [*sorted(self.group.get("layers", {})), *(name for name in ("raw", "X") if self.matrix_named(name))]

    def choose_matrix(self, layer: str | None) -> tuple[str, list[str]]:
        """The element that holds the raw counts, and notes.

        Without `layer`: of the usual matrices that hold counts, the one with the most columns. Raises CountsError, with
        the contents of each matrix, if there is none.
        """
        if layer is not None and (name := self.matrix_named(layer)):
            return name, []
        problems, n_columns = {}, {}
        for name in (name for name in USUAL if name in self.group):
            values = read_first(self.group[name])
            problems[name] = find_problem(values) or (None if values.any() else "only zeros")
            n_columns[name] = shape_of(self.group[name])[1]
        usable = [name for name, problem in problems.items() if problem is None]
        if not usable:
            found = "; ".join(f"{name} holds {problem}" for name, problem in problems.items())
            raise CountsError(
                f"{self.path} has no raw counts in layers['counts'], raw or X: "
                f"{found or 'none of these matrices exists'}. Name the matrix that holds them with `layer`. The file "
                f"has: {listed(self.matrices()) or 'none'}."
            )
        chosen = max(usable, key=n_columns.__getitem__)
        return chosen, [
            f"counts are taken from {chosen}, which has {n_columns[chosen]:,} columns; {other} has counts of only "
            f"{n_columns[other]:,}"
            for other in usable
            if n_columns[other] < n_columns[chosen]
        ]


def features_of(var: pd.DataFrame) -> Features:
    """The columns of a matrix, as var describes them."""
    return Features.of(np.array([str(name) for name in var.index], dtype=object), var)


def is_group(element: Group | Array | None) -> bool:
    """Whether an element of a file is a group."""
    return element is not None and is_sparse(element)


def check_complete(path: Path, matrix: Group | Array) -> None:
    """Raise CountsError if chunks of a sparse matrix in zarr are missing, which zarr would read as zeros."""
    for name in ("data", "indices") if isinstance(matrix, zarr.Group) else ():
        n_missing = matrix[name].nchunks - matrix[name].nchunks_initialized
        if n_missing:
            raise CountsError(
                f"{path}: {n_missing} of {matrix[name].nchunks} chunks of {matrix.path}/{name} are missing. Was the "
                "whole folder copied?"
            )


def read_first(matrix: Group | Array) -> NDArray[np.number]:
    """The first values of a matrix, without reading the rest."""
    if is_sparse(matrix):
        return np.asarray(matrix["data"][:PROBE])
    n_rows = max(1, PROBE // max(1, matrix.shape[1]))
    return np.asarray(matrix[:n_rows]).ravel()
