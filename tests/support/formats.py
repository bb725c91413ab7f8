"""Writers of one study in every format that ingest reads."""

from __future__ import annotations

import gzip
import warnings
from functools import partial
from typing import TYPE_CHECKING

import anndata
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import zarr
from pyarrow import csv
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


def h5ad(adata: anndata.AnnData, path: Path, layout: Callable = csr_matrix, **options) -> Path:
    path = path.with_suffix(".h5ad")
    anndata.AnnData(layout(adata.X), obs=adata.obs, var=adata.var).write_h5ad(path, **options)
    return path


def h5ad_by_columns(adata: anndata.AnnData, path: Path, columns: int = 3) -> Path:
    """Dense, in HDF5 chunks of all cells and a few genes."""
    path = h5ad(adata, path)
    with h5py.File(path, "a") as file:
        del file["X"]
        file.create_dataset("X", adata.shape, "f4", chunks=(adata.n_obs, columns))
        for start in range(0, adata.n_vars, columns):
            file["X"][:, start : start + columns] = adata.X[:, start : start + columns].toarray()
        file["X"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    return path


def zarr_folder(adata: anndata.AnnData, path: Path, layout: Callable = csr_matrix, version: int = 2) -> Path:
    path = path.with_suffix(".zarr")
    with warnings.catch_warnings(), anndata.settings.override(zarr_write_format=version):
        warnings.simplefilter("ignore")  # about future formats
        anndata.AnnData(layout(adata.X), obs=adata.obs, var=adata.var).write_zarr(path)
    assert zarr.open_group(path, mode="r").metadata.zarr_format == version
    return path


def features(adata: anndata.AnnData) -> pd.DataFrame:
    """The genes as Cell Ranger names them. Ids, types and genomes that var does not have are made up."""
    found = pd.DataFrame({"id": [f"ENSG{n:011}" for n in range(adata.n_vars)], "name": list(adata.var_names)})
    found["feature_type"], found["genome"] = "Gene Expression", "GRCh38"
    for name in adata.var.columns.intersection(found.columns):
        found[name] = list(adata.var[name])
    return found


def cell_ranger_h5(adata: anndata.AnnData, path: Path, version: int = 3, genome: str = "GRCh38") -> Path:
    path, x, about = path.with_suffix(".h5"), csr_matrix(adata.X), features(adata)
    with h5py.File(path, "a") as file:
        group = file.create_group("matrix" if version == 3 else genome)
        for name, values in (("data", x.data.astype("i4")), ("indices", x.indices.astype("i8")), ("indptr", x.indptr)):
            group.create_dataset(name, data=values, chunks=True)
        group["shape"] = np.array([adata.n_vars, adata.n_obs], "i4")
        group["barcodes"] = np.array(list(adata.obs_names), "S")
        if version == 3:
            for name in about:
                group[f"features/{name}"] = np.array(list(about[name]), "S")
            group["features/_all_tag_keys"] = np.array(["genome"], "S")
        else:
            group["genes"], group["gene_names"] = np.array(list(about["id"]), "S"), np.array(list(about["name"]), "S")
    return path


def matrix_folder(adata: anndata.AnnData, path: Path, version: int = 3, order: str = "cells") -> Path:
    """order: the lines of matrix.mtx are sorted by "cells", as Cell Ranger writes them, or by "genes", as others do."""
    path.mkdir()
    end, about, x = ".gz" if version == 3 else "", features(adata), coo_matrix(adata.X)
    by = np.lexsort((x.col, x.row) if order == "cells" else (x.row, x.col))
    lines = pa.table({"gene": x.col[by] + 1, "cell": x.row[by] + 1, "count": x.data[by].astype("i4")})
    write = partial(gzip.open, compresslevel=1) if end else open
    with write(path / f"matrix.mtx{end}", "wb") as file:
        file.write(b"%%MatrixMarket matrix coordinate integer general\n%metadata_json: {}\n")
        file.write(b"%d %d %d\n" % (adata.n_vars, adata.n_obs, x.nnz))
        csv.write_csv(lines, file, csv.WriteOptions(include_header=False, delimiter=" "))
    columns: Sequence[str] = ["id", "name", "feature_type"] if version == 3 else ["id", "name"]
    barcodes = adata.obs_names.to_frame()
    for name, table in (("features" if version == 3 else "genes", about[columns]), ("barcodes", barcodes)):
        table.to_csv(path / f"{name}.tsv{end}", sep="\t", header=False, index=False)
    return path


WRITERS: dict[str, Callable[[anndata.AnnData, Path], Path]] = {
    "h5ad csr": h5ad,
    "h5ad csc": partial(h5ad, layout=csc_matrix),
    "h5ad dense": partial(h5ad, layout=lambda x: x.toarray()),
    "h5ad dense gzip": partial(h5ad, layout=lambda x: x.toarray(), compression="gzip"),
    "h5ad dense by columns": h5ad_by_columns,
    "h5ad float64": partial(h5ad, layout=lambda x: csr_matrix(x, dtype=np.float64)),
    "h5ad int32": partial(h5ad, layout=lambda x: csr_matrix(x, dtype=np.int32)),
    "zarr 2 csr": zarr_folder,
    "zarr 3 csr": partial(zarr_folder, version=3),
    "zarr 2 csc": partial(zarr_folder, layout=csc_matrix),
    "zarr 3 dense": partial(zarr_folder, layout=lambda x: x.toarray(), version=3),
    "Cell Ranger 3 h5": cell_ranger_h5,
    "Cell Ranger 2 h5": partial(cell_ranger_h5, version=2),
    "Cell Ranger 3 mtx": matrix_folder,
    "Cell Ranger 2 mtx": partial(matrix_folder, version=2),
    "mtx by genes": partial(matrix_folder, version=2, order="genes"),
}
