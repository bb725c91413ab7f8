"""Read the scores of one study from a file: a sparse matrix of scipy (.npz) with tables, or AnnData (.h5ad)."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix

from ingest.given.load import LoadOptions, load_study
from ingest.given.npz import check_lengths, read_npz
from ingest.given.scores import GivenScores
from ingest.obs import join_obs, read_table
from ingest.store.records import StudyInfo
from ingest.store.study import StudyReport, study_session
from sigdb.errors import (
    GeneSpaceError,
    ScoresError,
    SigdbError,
    UnreadableError,
    listed,
    message,
    nearest,
    needs_extra,
    no_memory,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd

__all__ = ["file_version", "load_file", "read_names"]

# Cells to read at a time, and threads that check and write such cells in the meantime. One of them waits for the disk.
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
    """Add the scores in a file as a study to the atlas at `path`; make the atlas if it does not exist.

    study: its name (default: the file's). about: its title, organism, source and licence. Other parameters and errors
    as for `open_scores` and `load_study`. Returns None if the atlas has the study, and it stays as it is.
    """
    with (
        open_scores(matrix, obs=obs, genes=genes, layer=layer, mapping=options.mapping) as scores,
        study_session(path) as (atlas, reports),
    ):
        info = StudyInfo(study or matrix.stem, scores.origin, **(about or {}))
        reports += filter(None, [load_study(atlas, info, scores, options)])
    return reports[0] if reports else None


@contextmanager
def open_scores(
    path: Path,
    *,
    obs: Path | None = None,
    genes: Path | None = None,
    layer: str | None = None,
    mapping: Mapping[str, str] | None = None,
) -> Iterator[GivenScores]:
    """Open the scores of a study, cells x genes.

    obs: a table of the cells (.csv, .tsv, .parquet): in the order of the matrix for .npz, joined by barcode for .h5ad.
    genes: a file with the names of the columns, one per line. .npz needs both. layer: of .h5ad, instead of X.
    mapping: as for `join_obs`.
    Raises ScoresError if these do not fit together, or the file is not such a matrix; DamagedError or UnreadableError
    if it cannot be read.
    """
    if not path.is_file():
        raise ScoresError(f"There is no file {path}.")
    with ExitStack() as stack:
        if path.suffix == ".npz":
            if obs is None or genes is None:
                raise ScoresError("A matrix (.npz) names neither its cells nor its genes: give `obs` and `genes`.")
            if layer is not None:
                raise ScoresError("A .npz file has one matrix only: leave out `layer`, which is for .h5ad.")
            cells, names = read_table(obs, mapping), read_names(genes)
            key, matrix = "", open_npz(path, len(cells), len(names))
        elif path.suffix == ".h5ad":
            key, matrix, cells, names = open_h5ad(stack, path, layer)
            cells = cells if obs is None else join_obs(cells, obs, path, mapping)
            names = names if genes is None else read_names(genes)
        else:
            raise ScoresError(f"Scores are read from .npz (a sparse matrix of scipy) or .h5ad, not from {path}.")
        check_lengths(matrix.shape, len(cells), len(names))
        yield GivenScores(
            obs=cells,
            genes=names,
            rows=lambda start, stop: read_rows(path, matrix, start, stop),
            origin=f"scores: {path.name}{key and ', '}{key}",
            version=[file_version(each) for each in (path, obs) if each],
            n_chunk=CHUNK_CELLS,
            n_threads=N_THREADS,
        )


def file_version(path: Path) -> list[int]:
    """The size and the time of a file, which change if its contents do."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def read_names(path: Path) -> list[str]:
    """Read names, one per line; of a table (.tsv, .csv) without a header, the first column."""
    try:
        with explain_os_errors(path):
            lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise GeneSpaceError(f"{path} cannot be read as a list of genes: {error}.") from error
    separator = "," if path.suffix == ".csv" else "\t"
    if not lines:
        raise GeneSpaceError(f"{path} names no genes.")
    return [line.split(separator)[0].strip().strip('"') for line in lines]


@contextmanager
def explain_os_errors(path: Path) -> Iterator[None]:
    """Raise UnreadableError if the system or the memory does not suffice; this says nothing about the contents."""
    try:
        yield
    except MemoryError as error:
        raise UnreadableError(no_memory(path)) from error
    except OSError as error:
        if error.errno:
            raise UnreadableError(f"{path} could not be read: {os.strerror(error.errno)}") from error
        raise


def open_npz(path: Path, n_cells: int, n_genes: int) -> csr_matrix:
    """Read a sparse matrix of scipy, (n_cells, n_genes); ScoresError for any other file."""
    try:
        with explain_os_errors(path):
            return read_npz(path, n_cells, n_genes)
    except SigdbError:
        raise
    except Exception as error:
        # zipfile, zlib, numpy and scipy raise exceptions of many kinds.
        reason = message(error) or type(error).__name__
        raise ScoresError(f"{path} is not a sparse matrix as scipy.sparse.save_npz writes it: {reason}") from error


def open_h5ad(stack: ExitStack, path: Path, layer: str | None) -> tuple[str, Any, pd.DataFrame, list[str]]:
    """Open a matrix of AnnData; return its place in the file, the matrix, obs, and the names of its genes.

    A matrix that is stored by genes is read as a whole.
    """
    with needs_extra("ingest"):
        import anndata
        import h5py

        from ingest.counts.files import convert_errors, open_store
        from ingest.counts.frames import read_frame
        from ingest.counts.matrix import read_pointers, shape_of
    key = "X" if layer in (None, "X") else f"layers/{layer}"
    file = stack.enter_context(open_store(path))
    with convert_errors(path):
        if key not in file:
            there = [name for name in ("X",) if name in file] + sorted(file.get("layers", {}))
            hint = nearest(layer or "X", there)
            raise ScoresError(f"{path} has no matrix {layer or 'X'!r}.{hint} It has: {listed(there) or 'none'}.")
        obs, var = read_frame(file, "obs"), read_frame(file, "var")
        element = file[key]
        n_cells, n_genes = shape_of(element)
        if not isinstance(element, h5py.Group):
            matrix = element
        else:
            matrix = anndata.io.sparse_dataset(element)
            read_pointers(element, n_cells if matrix.format == "csr" else n_genes)
            if matrix.format == "csc":
                matrix = matrix.to_memory()
                matrix.check_format(full_check=True)
                matrix = matrix.tocsr()
    return key, matrix, obs, [str(name) for name in var.index]


def read_rows(path: Path, matrix: Any, start: int, stop: int) -> csr_matrix:
    """Read rows of a matrix in memory or on disk; duplicate entries are added up."""
    with needs_extra("ingest"):
        from ingest.counts.files import convert_errors
    with convert_errors(path):
        rows = csr_matrix(matrix[start:stop])
        rows.check_format(full_check=True)
    if not np.issubdtype(rows.dtype, np.number) or np.issubdtype(rows.dtype, np.complexfloating):
        raise ScoresError(f"{path} holds {rows.dtype}, not numbers.")
    rows.sum_duplicates()
    return rows
