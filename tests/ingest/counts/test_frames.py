"""Tables of old AnnData and of SeuratDisk have the labels and names that `anndata.read_h5ad` and the file give."""

from __future__ import annotations

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from ingest.counts.open import open_counts
from sigdb.errors import DamagedError
from tests.ingest.conftest import GENES, small_adata, small_counts

TEXT = h5py.string_dtype()


def assert_as_anndata_reads_it(path):
    """The same cells, genes, counts and values of obs; returns obs."""
    with open_counts(path) as file:
        found, names, counts, place = file.take_obs(), file.var_names, file.read(0, 99), file.counts_from
    adata = anndata.read_h5ad(path)
    source = adata.raw if place.startswith("raw") else adata
    assert names == tuple(source.var_names)
    np.testing.assert_array_equal(counts.toarray(), csr_matrix(source.X).toarray())
    assert list(found.index) == list(adata.obs_names)
    assert list(found) == list(adata.obs)
    for name in found:
        assert as_text(found[name]) == as_text(adata.obs[name]), name
    return found


def as_text(values):
    return ["NULL" if pd.isna(value) else str(value) for value in values.astype(object)]


def compound(frame: pd.DataFrame) -> np.ndarray:
    """A table as anndata wrote it before version 0.7."""
    kinds = {"i": "i4", "f": "f8", "b": "?", "O": TEXT}
    rows = np.zeros(len(frame), [("index", "S20"), *((name, kinds[frame[name].dtype.kind]) for name in frame)])
    rows["index"] = [str(name).encode() for name in frame.index]
    for name in frame:
        rows[name] = frame[name].to_numpy()
    return rows


def old_matrix(file: h5py.File, key: str, counts: csr_matrix, *, dense: bool) -> None:
    if dense:
        file.create_dataset(key, data=counts.toarray(), chunks=(7, 11))
        return
    group = file.create_group(key)
    group["data"], group["indices"], group["indptr"] = counts.data, counts.indices, counts.indptr
    group.attrs.update({"h5sparse_format": "csr", "h5sparse_shape": counts.shape})


@pytest.mark.filterwarnings("ignore::anndata.OldFormatWarning")
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("with_raw", [False, True])
def test_anndata_before_version_0_7(tmp_path, dense, with_raw):
    """Categories are in uns, under a name that obs and var share; counts are in X, or in raw.X."""
    obs = pd.DataFrame(
        {"cell_type": np.arange(40) % 3, "flag": np.arange(40) % 2 == 0, "batch": ["é", "b"] * 20, "one": 0, "x": 0.5},
        index=[f"cell{n}" for n in range(40)],
    )
    var = pd.DataFrame({"cell_type": np.arange(30)}, index=GENES)
    counts = small_counts()
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file["obs"], file["var"] = compound(obs), compound(var)
        file["uns/cell_type_categories"] = np.array(["B", "T", "mono"], dtype=TEXT)
        file["uns/one_categories"] = "only"
        old_matrix(file, "X", counts * 0.5 if with_raw else counts, dense=dense)
        if with_raw:
            old_matrix(file, "raw.X", counts, dense=dense)
            file["raw.var"] = compound(var)
    found = assert_as_anndata_reads_it(tmp_path / "a.h5ad")
    assert list(found["cell_type"][:4]) == ["B", "T", "mono", "B"]
    assert set(found["one"]) == {"only"}


def factors(path, linked):
    """Write the factors of obs as codes, with their labels in `__categories`; anndata 0.7 links them."""
    with h5py.File(path, "a") as file:
        obs = file["obs"]
        for name in ("sample", "disease", "cell_type"):
            codes, labels = obs[name]["codes"][:].astype("i4"), obs[name]["categories"][:]
            del obs[name]
            obs[name], obs[f"__categories/{name}"] = codes, labels
            if linked:
                obs[name].attrs["categories"] = obs[f"__categories/{name}"].ref
        obs.attrs["encoding-version"] = "0.1.0"


@pytest.mark.filterwarnings("ignore::anndata.OldFormatWarning")
def test_anndata_0_7(tmp_path):
    small_adata().write_h5ad(tmp_path / "a.h5ad")
    factors(tmp_path / "a.h5ad", linked=True)
    found = assert_as_anndata_reads_it(tmp_path / "a.h5ad")
    assert as_text(found["cell_type"]) == as_text(small_adata().obs["cell_type"])


def test_factors_of_seurat_disk_have_their_labels(tmp_path):
    """anndata reads the codes: here, the labels in the file are the oracle. A missing value has the code -2^31."""
    small_adata().write_h5ad(tmp_path / "a.h5ad")
    factors(tmp_path / "a.h5ad", linked=False)
    with h5py.File(tmp_path / "a.h5ad", "a") as file:
        file["obs/sample"][7] = -(2**31)
    with open_counts(tmp_path / "a.h5ad") as file:
        found = file.take_obs()
    expected = small_adata().obs
    assert as_text(found["cell_type"]) == as_text(expected["cell_type"])
    assert as_text(found["disease"]) == as_text(expected["disease"])
    assert as_text(found["sample"]) == [*expected["sample"][:7], "NULL", *expected["sample"][8:]]


def test_a_code_without_a_label_is_an_error(tmp_path):
    small_adata().write_h5ad(tmp_path / "a.h5ad")
    factors(tmp_path / "a.h5ad", linked=False)
    with h5py.File(tmp_path / "a.h5ad", "a") as file:
        file["obs/disease"][7] = 5
    with pytest.raises(DamagedError, match="column 'disease' has codes up to 5, but only 2 labels"):
        open_counts(tmp_path / "a.h5ad").__enter__()


def test_a_column_that_is_listed_twice_is_one_column(tmp_path):
    small_adata().write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad", "a") as file:
        file["obs"].attrs["column-order"] = [*file["obs"].attrs["column-order"], "disease"]
    with open_counts(tmp_path / "a.h5ad") as file:
        assert list(file.take_obs()) == list(small_adata().obs)


def test_a_group_of_columns_is_a_table(tmp_path):
    small_adata().write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad", "a") as file:
        del file["obs"]
        file["obs/index"], file["obs/n"] = np.array([f"cell{n}" for n in range(40)], dtype=TEXT), np.arange(40)
    with open_counts(tmp_path / "a.h5ad") as file:
        found = file.take_obs()
    assert list(found.index) == [f"cell{n}" for n in range(40)]
    assert list(found["n"]) == list(range(40))


def test_missing_values_of_every_kind(tmp_path):
    adata = small_adata()
    adata.obs["whole"] = pd.array([1, None] * 20, dtype="Int64")
    adata.obs["flag"] = pd.array([True, None] * 20, dtype="boolean")
    adata.obs["text"] = pd.array(["a", None] * 20, dtype="string")
    adata.obs["level"] = pd.Categorical(["low", None] * 20, categories=["low", "high"], ordered=True)
    with anndata.settings.override(allow_write_nullable_strings=True):
        adata.write_h5ad(tmp_path / "a.h5ad")
    assert_as_anndata_reads_it(tmp_path / "a.h5ad")
