"""Open a study's file in any supported format and find its raw counts.

Metadata are read into memory; counts are read chunk by chunk.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.counts import tenx
from ingest.counts.annotated import read_anndata
from ingest.counts.files import convert_errors, open_store
from ingest.counts.formats import check_format
from ingest.obs import join_obs
from ingest.options import check_exists
from sigdb.errors import CountsError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    import pandas as pd
    from scipy.sparse import csr_matrix

    from ingest.counts.matrix import Contents, RowReader, RowSource

__all__ = ["CountsFile", "open_counts"]

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
    def notes(self) -> tuple[str, ...]:
        """What a user should know about what was read, and what was left out."""
        return self.contents.notes

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
        if not self.contents.obsm:
            yield {}
            return
        with open_store(self.path) as store:
            yield store.get(self.contents.obsm, {})

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

    layer: the matrix that holds them: a name in `layers`, or `X` or `raw`; or the genome, if there are several; in
    MuData and SpatialData, after the AnnData (`mod/rna`, `mod/rna/counts`). Default: of layers['counts'], raw and X,
    the one with counts of the most genes. obs: a table of metadata to join to the cells. mapping: as for `join_obs`.
    spool: an existing folder for sorted copies; default: the system's folder for temporary files.

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
    if path.is_file():
        check_format(path)
    with open_store(path) as store:
        if tenx.is_cell_ranger(store):
            return tenx.read_h5(store, path, layer)
        return read_anndata(store, path, layer)
