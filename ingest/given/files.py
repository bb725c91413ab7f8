"""Scores of one study in a file: a sparse matrix of scipy (.npz) with tables beside it, or AnnData (.h5ad)."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from scipy.sparse import csr_matrix, load_npz

from ingest.given.load import GivenScores, LoadOptions, load_study
from ingest.obs import join_obs, read_table
from ingest.store.records import StudyInfo
from ingest.store.study import StudyReport, growing_atlas
from sigdb.errors import GeneSpaceError, ScoresError, listed, needs_extra

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd

__all__ = ["file_version", "load_file", "open_scores", "read_names"]

# Cells that are read at a time, and threads that check and keep such cells meanwhile: one waits for the disk.
CHUNK_CELLS = 2048
N_THREADS = min(4, 1 + (os.cpu_count() or 1))


def load_file(
    path: Path,
    matrix: Path,
    options: LoadOptions,
    *,
    study: str = "",
    obs: Path | None = None,
    genes: Path | None = None,
    layer: str | None = None,
    about: Mapping[str, str | None] | None = None,
) -> StudyReport | None:
    """Add the scores of a file to the atlas at `path`, which is made if there is none, as a study.

    study: its name (default: the file's); about: its title, organism, source and licence. None if it was there and is
    left as it is. Other parameters as for `open_scores`; errors as for that and `load_study`.
    """
    with open_scores(matrix, obs=obs, genes=genes, layer=layer) as scores, growing_atlas(path) as (atlas, reports):
        info = StudyInfo(study or matrix.stem, scores.origin, **(about or {}))
        reports += filter(None, [load_study(atlas, info, scores, options)])
    return reports[0] if reports else None


@contextmanager
def open_scores(
    path: Path, *, obs: Path | None = None, genes: Path | None = None, layer: str | None = None
) -> Iterator[GivenScores]:
    """Open the scores of a study, cells x genes.

    obs: a table of the cells (.csv, .tsv, .parquet); beside .npz in the order of the matrix, beside .h5ad joined by
    barcode. genes: names of the columns, one a line. Both are needed beside .npz. layer: of .h5ad, instead of X.
    Raises ScoresError, with the numbers, if these do not fit together or the file is no such matrix.
    """
    if not path.is_file():
        raise ScoresError(f"There is no file {path}.")
    with ExitStack() as stack:
        if path.suffix == ".npz":
            if obs is None or genes is None:
                raise ScoresError("A matrix (.npz) names neither its cells nor its genes: give --obs and --genes.")
            if layer is not None:
                raise ScoresError("--layer is for .h5ad: there is one matrix in a .npz.")
            place, matrix = "", read_npz(path)
            cells, names = read_table(obs), read_names(genes)
        elif path.suffix == ".h5ad":
            place, matrix, cells, names = open_h5ad(stack, path, layer)
            cells = cells if obs is None else join_obs(cells, obs, path)
            names = names if genes is None else read_names(genes)
        else:
            raise ScoresError(f"Scores are read from .npz (a sparse matrix of scipy) or .h5ad, not from {path}.")
        check_shape(matrix.shape, len(cells), len(names))
        yield GivenScores(
            obs=cells,
            genes=names,
            rows=lambda start, stop: read_rows(path, matrix, start, stop),
            origin=f"scores: {path.name}{place and ', '}{place}",
            version=[file_version(each) for each in (path, obs) if each],
            n_chunk=CHUNK_CELLS,
            n_threads=N_THREADS,
        )


def file_version(path: Path) -> list[int]:
    """What changes when a file does."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def read_names(path: Path) -> list[str]:
    """Names, one a line; of a table (.tsv, .csv) its first column, which has no header."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GeneSpaceError(f"{path} cannot be read as a list of genes: {error}.") from error
    separator = "," if path.suffix == ".csv" else "\t"
    if not lines:
        raise GeneSpaceError(f"{path} names no genes.")
    return [line.split(separator)[0].strip().strip('"') for line in lines]


def check_shape(shape: tuple[int, int], n_cells: int, n_genes: int) -> None:
    """Raise ScoresError unless a matrix is of as many cells and genes as are named."""
    for found, named, what in ((shape[0], n_cells, "cells"), (shape[1], n_genes, "genes")):
        if found != named:
            raise ScoresError(
                f"The matrix has {found} {what}, but {named} are named. Each row must be a cell, each column a gene, "
                "in the order in which they are named."
            )
    if not n_cells:
        raise ScoresError("The matrix has no cells.")


def read_npz(path: Path) -> csr_matrix:
    """A sparse matrix of scipy; ScoresError for any other file."""
    try:
        return csr_matrix(load_npz(path))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise ScoresError(f"{path} is no sparse matrix as scipy.sparse.save_npz writes it: {error}") from error


def open_h5ad(stack: ExitStack, path: Path, layer: str | None) -> tuple[str, Any, pd.DataFrame, list[str]]:
    """A matrix of AnnData, open; where it is; obs; the names of its genes. One stored by genes is read whole."""
    with needs_extra("ingest"):
        import anndata
        import h5py
    place = "X" if layer in (None, "X") else f"layers/{layer}"
    try:
        file = stack.enter_context(h5py.File(path))
        if place not in file:
            there = [name for name in ("X",) if name in file] + sorted(file.get("layers", {}))
            raise ScoresError(f"{path} has no matrix {layer or 'X'!r}. It has: {listed(there) or 'none'}.")
        obs, var = (anndata.io.read_elem(file[name]) for name in ("obs", "var"))
        element = file[place]
        if not isinstance(element, h5py.Group):
            matrix = element
        elif element.attrs.get("encoding-type") == "csc_matrix":
            matrix = anndata.io.read_elem(element).tocsr()
        else:
            matrix = anndata.io.sparse_dataset(element)
    except (OSError, KeyError) as error:
        raise ScoresError(f"{path} cannot be read as AnnData: {error}") from error
    return place, matrix, obs, [str(name) for name in var.index]


def read_rows(path: Path, matrix: Any, start: int, stop: int) -> csr_matrix:
    """Rows of a matrix in memory or on disk, each score once."""
    try:
        rows = csr_matrix(matrix[start:stop])
        rows.check_format(full_check=True)
    except (OSError, ValueError, IndexError) as error:
        raise ScoresError(f"{path} cannot be read, cells {start} to {stop - 1}: {error}") from error
    if not np.issubdtype(rows.dtype, np.number) or np.issubdtype(rows.dtype, np.complexfloating):
        raise ScoresError(f"{path} holds {rows.dtype}, not numbers.")
    rows.sum_duplicates()
    return rows
