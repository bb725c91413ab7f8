"""Wrong and odd inputs: functions that write one to a folder and return its path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata
import h5py
import numpy as np
import pandas as pd
import zarr
from scipy.sparse import csr_matrix

from tests.ingest.conftest import GENES, small_adata
from tests.support.formats import h5ad, matrix_folder, zarr_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def of(change: Callable = lambda adata: adata, write: Callable = h5ad, **options) -> Callable[[Path], Path]:
    """Write the small study after a change."""
    return lambda folder: write(change(small_adata()), folder / "bad", **options)


def with_x(change: Callable[[csr_matrix], object]) -> Callable[[anndata.AnnData], anndata.AnnData]:
    """Replace the matrix."""

    def changed(adata):
        return anndata.AnnData(change(adata.X), obs=adata.obs, var=adata.var)

    return changed


def with_value(value: float) -> Callable[[anndata.AnnData], anndata.AnnData]:
    """Replace one stored value."""

    def change(x):
        x.data[200] = value
        return x

    return with_x(change)


def log1p(x: csr_matrix) -> csr_matrix:
    x.data = np.log1p(x.data / 3)
    return x


def scaled(x: csr_matrix) -> csr_matrix:
    dense = x.toarray()
    return csr_matrix((dense - dense.mean(axis=0)) / dense.std(axis=0))


def with_genes(name: Callable[[int, str], str]) -> Callable[[anndata.AnnData], anndata.AnnData]:
    """Rename the genes."""

    def change(adata):
        adata.var_names = [name(number, gene) for number, gene in enumerate(GENES)]
        return adata

    return change


def with_obs(**columns: object) -> Callable[[anndata.AnnData], anndata.AnnData]:
    """Add columns to obs."""

    def change(adata):
        adata.obs = adata.obs.assign(**columns)
        return adata

    return change


def with_names(names: Callable[[int], str]) -> Callable[[anndata.AnnData], anndata.AnnData]:
    """Rename the cells."""

    def change(adata):
        adata.obs.index = [names(number) for number in range(adata.n_obs)]
        return adata

    return change


def hdf5(change: Callable[[h5py.File], object], write: Callable = h5ad) -> Callable[[Path], Path]:
    """Write the small study, then change the file."""

    def make(folder):
        path = of(write=write)(folder)
        with h5py.File(path, "a") as file:
            change(file)
        return path

    return make


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    """Write a file with these bytes."""

    def make(folder):
        (folder / name).write_bytes(content)
        return folder / name

    return make


def cut(make: Callable[[Path], Path], part: float, file: str = "") -> Callable[[Path], Path]:
    """Truncate a file, as an interrupted copy does; `part` is the fraction that is kept."""

    def made(folder):
        path = make(folder)
        whole = path / file if file else path
        whole.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * part)])
        return path

    return made


def shorter(file: h5py.File, name: str) -> None:
    """Drop the last five names of obs or var."""
    values, attributes = file[name][:-5], dict(file[name].attrs)
    del file[name]
    file[name] = values
    file[name].attrs.update(attributes)


def in_folder(file: str, change: Callable[[str], str], **options) -> Callable[[Path], Path]:
    """Write a folder in the format of Cell Ranger 2, then change one of its files."""

    def make(folder):
        path = matrix_folder(small_adata(), folder / "bad", 2, **options)
        (path / file).write_text(change((path / file).read_text()))
        return path

    return make


def in_zarr(file: str, content: bytes | None) -> Callable[[Path], Path]:
    """Write a zarr folder, then replace one of its files, or remove it if `content` is None."""

    def make(folder):
        path = zarr_folder(small_adata(), folder / "bad")
        (path / file).unlink()
        if content is not None:
            (path / file).write_bytes(content)
        return path

    return make


def nothing_in(folder: Path) -> Path:
    (folder / "bad").mkdir()
    return folder / "bad"


def empty_group(folder: Path) -> Path:
    zarr.open_group(folder / "bad.zarr", mode="w", zarr_format=2)
    return folder / "bad.zarr"


def first(text: str, old: str, new: str) -> str:
    """Replace the first `old` by `new`; `text` must contain it."""
    assert old in text
    return text.replace(old, new, 1)


def fake_layer(adata: anndata.AnnData) -> anndata.AnnData:
    adata.layers["soupx"] = adata.X * 0.5
    return adata


def write_whole(adata: anndata.AnnData, path: Path) -> Path:
    """Write the study with its layers."""
    adata.write_h5ad(path.with_suffix(".h5ad"))
    return path.with_suffix(".h5ad")


def antibodies(adata: anndata.AnnData) -> anndata.AnnData:
    adata.var["feature_type"] = "Antibody Capture"
    return adata


def two_genomes(adata: anndata.AnnData) -> anndata.AnnData:
    adata.var["genome"] = ["GRCh38"] * 20 + ["mm10"] * 10
    return adata


def garbage_inside(folder: Path) -> Path:
    path = h5ad(small_adata(), folder / "bad", compression="gzip")
    with h5py.File(path, "a") as file:
        file["X/data"].id.write_direct_chunk((0,), b"garbage")
    return path


OBS = pd.DataFrame({"barcode": [f"cell{n}" for n in range(40)], "age": range(40), "cell_type": ["B", None] * 20})


def csv(table: pd.DataFrame, name: str = "obs.csv") -> Callable[[Path], Path]:
    """Write a table of metadata as csv or tsv."""

    def make(folder):
        table.to_csv(folder / name, index=False, sep="\t" if ".tsv" in name else ",")
        return folder / name

    return make


def parquet(table: pd.DataFrame) -> Callable[[Path], Path]:
    """Write a table of metadata as Parquet."""

    def make(folder):
        table.to_parquet(folder / "obs.parquet")
        return folder / "obs.parquet"

    return make
