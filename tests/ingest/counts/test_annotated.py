"""The raw counts are found in AnnData, and in the formats that contain AnnData."""

from __future__ import annotations

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import zarr

from ingest.counts.open import open_counts
from sigdb.errors import CountsError, OptionError
from tests.ingest.conftest import GENES, small_adata, small_counts

LAYERS = {"layers/counts": "counts", "raw/X": "raw", "X": "X"}


def adata_with(columns):
    """The small study, whose matrices have the first so many columns: counts, or fractions if the number is negative.

    columns: of layers['counts'], raw and X. Those of X and of the layer are the same.
    """
    adata = small_adata()
    layer, raw, x = columns

    def matrix(n):
        return small_counts()[:, : abs(n)] * (1 if n > 0 else 0.3)

    made = anndata.AnnData(matrix(x), obs=adata.obs, var=pd.DataFrame(index=GENES[: abs(x)]))
    if raw:
        made.raw = anndata.AnnData(matrix(raw), obs=adata.obs, var=pd.DataFrame(index=GENES[: abs(raw)]))
    if layer:
        made.layers["counts"] = matrix(layer)
    return made


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        ((12, 12, 12), "layers/counts"),
        ((12, 30, 12), "raw/X"),
        ((12, 30, -12), "raw/X"),
        ((30, 12, 30), "layers/counts"),
        ((-30, 12, 30), "X"),
        ((12, -30, -12), "layers/counts"),
        ((0, 30, 12), "raw/X"),
        ((0, 12, 30), "X"),
        ((0, 12, -30), "raw/X"),
        ((0, 0, 30), "X"),
    ],
)
def test_the_matrix_with_counts_of_most_genes_is_taken(tmp_path, columns, chosen):
    adata_with(columns).write_h5ad(tmp_path / "a.h5ad")
    sizes = dict(zip(LAYERS, columns, strict=True))
    with open_counts(tmp_path / "a.h5ad") as file:
        assert (file.counts_from, file.layer) == (chosen, LAYERS[chosen])
        assert file.var_names == tuple(GENES[: sizes[chosen]])
        np.testing.assert_array_equal(file.read(0, 99).toarray(), small_counts()[:, : sizes[chosen]].toarray())
        notes = file.notes
    assert notes == tuple(
        f"counts are taken from {chosen}, which has {sizes[chosen]} columns; {other} has counts of only {n}"
        for other, n in sizes.items()
        if 0 < n < sizes[chosen]
    )
    with open_counts(tmp_path / "a.h5ad", layer=LAYERS[chosen]) as file:
        assert (file.counts_from, file.notes) == (chosen, ())


def test_another_layer_is_taken_only_by_name(tmp_path):
    adata = adata_with((5, 0, -5))
    adata.layers["umi"] = adata.layers["counts"] * 2
    adata.write_h5ad(tmp_path / "a.h5ad")
    with open_counts(tmp_path / "a.h5ad", layer="umi") as file:
        np.testing.assert_array_equal(file.read(0, 99).toarray(), small_counts()[:, :5].toarray() * 2)


def mudata(path, parts, obs=None):
    """A file as MuData writes it; obs: the table of all cells."""
    with h5py.File(path, "w") as file:
        file.attrs["encoding-type"] = "MuData"
        for name, adata in parts.items():
            anndata.io.write_elem(file.require_group("mod"), name, adata)
        anndata.io.write_elem(file, "obs", small_adata().obs[[]] if obs is None else obs)
        anndata.io.write_elem(file, "var", pd.DataFrame(index=GENES))
    return path


def proteins():
    return small_adata(seed=5)[:, :14].copy()


@pytest.mark.parametrize("layer", [None, "mod/rna", "counts", "mod/rna/counts"])
def test_the_genes_of_mudata(tmp_path, layer):
    adata = adata_with((30, 0, -30))
    adata.obsm["X_umap"] = np.ones((40, 2))
    with open_counts(mudata(tmp_path / "a.h5mu", {"prot": proteins(), "rna": adata}), layer=layer) as file:
        assert file.counts_from == "mod/rna/layers/counts"
        np.testing.assert_array_equal(file.read(0, 99).toarray(), small_counts().toarray())
        with file.obsm() as obsm:
            assert list(obsm) == ["X_umap"]
        again = file.layer
    with open_counts(tmp_path / "a.h5mu", layer=again) as file:
        assert file.counts_from == "mod/rna/layers/counts"


def test_metadata_of_mudata_are_those_of_the_genes_and_of_all_cells(tmp_path):
    common = pd.DataFrame({"patient": np.arange(41), "rna:cluster": 0, "disease": "other"})
    common.index = [f"cell{n}" for n in range(41)]
    path = mudata(tmp_path / "a.h5mu", {"rna": small_adata()[::-1].copy(), "atac": proteins()}, common)
    with open_counts(path) as file:
        obs = file.take_obs()
    assert list(obs) == [*small_adata().obs, "patient"]
    assert list(obs["patient"]) == list(range(39, -1, -1))
    assert set(obs["disease"]) == {"normal", "flu"}


def test_which_anndata_must_be_clear(tmp_path):
    path = mudata(tmp_path / "a.h5mu", {"a": small_adata(), "b": proteins()})
    with pytest.raises(OptionError, match=r"contains 2 AnnData: mod/a, mod/b\. Choose one with `layer`; .* 'mod/a/c"):
        open_counts(path).__enter__()
    with pytest.raises(OptionError, match=r"It has no 'mod/bb'\. Did you mean 'mod/b'\?"):
        open_counts(path, layer="mod/bb").__enter__()
    with pytest.raises(OptionError, match=r"has no matrix 'counts' \(`layer`\)\. It has: mod/a/X"):
        open_counts(path, layer="mod/a/counts").__enter__()
    for layer, width in (("mod/a", 30), ("mod/b", 14), ("mod/b/X", 14)):
        with open_counts(path, layer=layer) as file:
            assert file.read(0, 99).shape == (40, width)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("folder", ["tables", "table"])
def test_the_table_of_spatialdata(tmp_path, folder):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_group("images")
    anndata.io.write_elem(group.create_group(folder), "table", small_adata())
    with open_counts(tmp_path / "a.zarr") as file:
        assert file.counts_from == f"{folder}/table/X"
        np.testing.assert_array_equal(file.read(0, 99).toarray(), small_counts().toarray())


def test_counts_that_are_nowhere(tmp_path):
    adata_with((-30, -30, -30)).write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(CountsError) as error:
        open_counts(tmp_path / "a.h5ad").__enter__()
    for place in LAYERS:
        assert f"{place} holds " in str(error.value)
    assert "The file has: counts, raw, X" in str(error.value)
