"""Reading .h5ad: which matrix holds the counts, what is refused, and that rows come out as they went in."""

from __future__ import annotations

import anndata
import h5py
import numpy as np
import pytest
from scipy.sparse import csc_matrix, csr_matrix

from ingest.read import open_counts
from sigdb.errors import CountsError
from tests.ingest.conftest import GENES, small_adata, small_counts


def written(tmp_path, adata):
    adata.write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


def log1p(counts):
    logged = counts.copy()
    logged.data = np.log1p(logged.data / 3)
    return logged


LAYOUTS = {
    "csr": csr_matrix,
    "csc": csc_matrix,
    "dense": lambda x: x.toarray(),
    "float64": lambda x: x.astype(np.float64),
    "int32": lambda x: x.astype(np.int32),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_come_out_as_they_went_in(tmp_path, layout):
    adata = small_adata()
    adata.X = LAYOUTS[layout](adata.X)
    with open_counts(written(tmp_path, adata)) as file:
        chunks = list(file.chunks(17))
        assert file.counts_from == "X"
        assert file.var_names == tuple(GENES)
    assert [chunk.shape[0] for chunk in chunks] == [17, 17, 6]
    assert all(chunk.dtype == np.float32 for chunk in chunks)
    np.testing.assert_array_equal(np.vstack([chunk.toarray() for chunk in chunks]), small_counts().toarray())


def test_counts_are_found_where_they_are(tmp_path):
    adata = small_adata()
    counts = adata.X.copy()
    adata.raw = adata.copy()
    adata.X = log1p(counts)
    adata = adata[:, :5].copy()
    with open_counts(written(tmp_path, adata)) as file:
        assert (file.counts_from, len(file.var_names)) == ("raw/X", len(GENES))
        np.testing.assert_array_equal(next(file.chunks(100)).toarray(), counts.toarray())
    adata.layers["counts"] = counts[:, :5]
    with open_counts(written(tmp_path, adata)) as file:
        assert (file.counts_from, len(file.var_names)) == ("layers/counts", 5)
    adata.layers["umi"] = counts[:, :5] * 2
    with open_counts(written(tmp_path, adata), layer="umi") as file:
        np.testing.assert_array_equal(next(file.chunks(100)).toarray(), counts[:, :5].toarray() * 2)
    with open_counts(written(tmp_path, adata), layer="raw") as file:
        assert file.counts_from == "raw/X"


def with_value(value):
    counts = small_counts()
    counts.data[7] = value
    return counts


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (log1p(small_counts()), r"X holds \d+ fractional values of \d+, up to .* \(they look log-normalised\)"),
        (small_counts() * 10.5, r"they look normalised"),
        (with_value(-1), r"X holds negative values, down to -1 \(scaled or centred data\)"),
        (with_value(np.nan), "X holds 1 NaN or infinite values"),
        (with_value(np.inf), "X holds 1 NaN or infinite values"),
    ],
    ids=["log-normalised", "normalised", "negative", "nan", "inf"],
)
def test_what_is_not_counts_is_refused_with_what_was_seen(tmp_path, matrix, message):
    adata = small_adata()
    adata.X = matrix
    adata.layers["soupx"] = matrix
    with (
        pytest.raises(CountsError, match=message + r".*--layer; there are: soupx, X"),
        open_counts(written(tmp_path, adata)),
    ):
        pass
    with (
        open_counts(written(tmp_path, adata), layer="soupx") as file,
        pytest.raises(CountsError, match="in cells 0 to 39"),
    ):
        list(file.chunks(100))


def test_a_layer_that_is_not_there(tmp_path):
    with (
        pytest.raises(CountsError, match=r"no matrix 'umi'\. It has: X"),
        open_counts(written(tmp_path, small_adata()), layer="umi"),
    ):
        pass


def test_a_layer_of_zeros_holds_no_counts(tmp_path):
    adata = small_adata()
    adata.layers["counts"] = adata.X * 0
    with open_counts(written(tmp_path, adata)) as file:
        assert file.counts_from == "X"
    adata.X = adata.X * 0
    with pytest.raises(CountsError, match="X holds nothing but zeros"), open_counts(written(tmp_path, adata)):
        pass


def test_explicit_zeros_are_not_counts(tmp_path):
    adata = small_adata()
    adata.X.data[::3] = 0
    with open_counts(written(tmp_path, adata)) as file:
        (counts,) = file.chunks(100)
    assert counts.nnz == np.count_nonzero(adata.X.toarray())


DAMAGE = {
    "obs shorter than X": (
        lambda file: file["obs/_index"].resize((30,)),
        "X is of 40 cells and 30 genes, but 30 cells",
    ),
    "no index pointer": (lambda file: file.__delitem__("X/indptr"), "damaged"),
    "column out of range": (lambda file: file["X/indices"].__setitem__(5, 99), "damaged"),
    "no var of raw": (lambda file: file.move("X", "raw/X"), "damaged"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files(tmp_path, damage):
    path = written(tmp_path, anndata.AnnData(small_counts(), var=small_adata().var))
    spoil, message = DAMAGE[damage]
    with h5py.File(path, "a") as file:
        if damage == "obs shorter than X":
            names = file["obs/_index"][:30]
            attributes = dict(file["obs/_index"].attrs)
            del file["obs/_index"]
            file["obs/_index"] = names
            file["obs/_index"].attrs.update(attributes)
        else:
            spoil(file)
    with pytest.raises(CountsError, match=message), open_counts(path) as file:
        list(file.chunks(7))


def test_files_that_are_not_anndata(tmp_path):
    (tmp_path / "text.h5ad").write_text("no")
    h5py.File(tmp_path / "bare.h5ad", "w").close()
    whole = written(tmp_path, small_adata()).read_bytes()
    (tmp_path / "cut.h5ad").write_bytes(whole[: len(whole) // 2])
    for name, message in (
        ("none.h5ad", "There is no file or folder"), ("text.h5ad", "cannot be read"), ("cut.h5ad", "cannot be read"),
        ("bare.h5ad", "no obs, var"),
    ):  # fmt: skip
        with pytest.raises(CountsError, match=message), open_counts(tmp_path / name):
            pass


def test_no_matrix_at_all(tmp_path):
    adata = anndata.AnnData(obs=small_adata().obs, var=small_adata().var)
    with pytest.raises(CountsError, match="it has no matrix"), open_counts(written(tmp_path, adata)):
        pass
