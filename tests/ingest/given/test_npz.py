"""A .npz file of scores whose numbers are wrong: refused before scipy relies on them, in little memory and time."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import format as npy
from scipy.sparse import csr_matrix, save_npz

from ingest.given.files import open_npz, open_scores
from sigdb.errors import DamagedError, ScoresError, SigdbError
from tests.ingest.conftest import small_adata
from tests.support.formats import h5ad
from tests.support.lakes import examples

N_CELLS, N_GENES = 12, 5
FORMATS = ("csr", "csc", "bsr", "coo", "dia")
MATRIX = scipy.sparse.random(N_CELLS, N_GENES, 0.4, format="csr", random_state=0)


def arrays(kind):
    """The arrays of the matrix in a format of scipy."""
    with io.BytesIO() as file:
        save_npz(file, MATRIX.asformat(kind))
        file.seek(0)
        return dict(np.load(file))


def write(path, found):
    np.savez(path, **found)
    return path


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("compressed", [True, False])
def test_all_formats_of_scipy_are_read(tmp_path, kind, compressed):
    save_npz(tmp_path / "m.npz", MATRIX.asformat(kind), compressed=compressed)
    found = open_npz(tmp_path / "m.npz", N_CELLS, N_GENES)
    np.testing.assert_array_equal(found.toarray(), MATRIX.toarray())


POSITIONS = [(kind, name) for kind in FORMATS for name in arrays(kind) if name not in ("format", "shape", "data")]


@pytest.mark.parametrize(("kind", "name"), POSITIONS)
@pytest.mark.parametrize("wrong", [-(10**12), -N_CELLS, N_CELLS, 500_000_000, 2**31 - 1, 10**12])
def test_positions_out_of_range(tmp_path, kind, name, wrong):
    """A matrix by columns with such row numbers made scipy write outside of its memory."""
    found = arrays(kind)
    found[name] = found[name].astype(np.int64)
    found[name][-1] = wrong
    with pytest.raises(ScoresError, match=r"m\.npz is not a sparse matrix as scipy\.sparse\.save_npz writes it: "):
        open_npz(write(tmp_path / "m.npz", found), N_CELLS, N_GENES)


CHANGES = {
    "cut off": lambda values: values[: len(values) // 2],
    "twice": lambda values: np.concatenate([values, values]),
    "fractions": lambda values: values + 0.5,
    "text": lambda values: values.astype("S8"),
    "another order": lambda values: values[::-1].copy(),
    "all as the first": lambda values: np.full_like(values, values[0]),
    "all as the last": lambda values: np.full_like(values, values[-1]),
    "no sign": lambda values: values.astype(np.uint64),
    "one more axis": lambda values: values[None],
    "none": lambda values: values[:0],
    "times": lambda values: values.astype("M8[s]"),
}


@settings(max_examples=examples(80), deadline=None)
@given(st.sampled_from(FORMATS), st.data(), st.sampled_from(sorted(CHANGES)))
def test_any_change_is_refused_or_read_within_the_shape(tmp_path_factory, kind, data, change):
    """Whatever is read has its entries inside of the shape, and as many as the file stores."""
    found = arrays(kind)
    name = data.draw(st.sampled_from(sorted(found.keys() - {"format"})))
    found[name] = CHANGES[change](found[name])
    path = write(tmp_path_factory.mktemp("changed") / "m.npz", found)
    try:
        matrix = open_npz(path, N_CELLS, N_GENES)
    except SigdbError:
        return
    assert matrix.shape == (N_CELLS, N_GENES)
    matrix.check_format(full_check=True)
    if kind in ("csr", "csc"):
        assert matrix.nnz == len(found["data"])


def with_claim(path, name, kind, shape, n_bytes=0, cells_and_genes=(N_CELLS, N_GENES)):
    """Write the matrix with an array that claims a shape, and has a number of zero bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, values in (arrays("csr") | {"shape": np.array(cells_and_genes)}).items():
            with archive.open(f"{each}.npy", "w") as file:
                if each != name:
                    npy.write_array(file, values)
                    continue
                npy.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
                for _ in range(n_bytes >> 20):
                    file.write(bytes(1 << 20))
    return path


CLAIMS = {
    "values": ("data", "<f8", (10**12,)),
    "values of text": ("data", "|S1000000000", (20,)),
    "values beside none": ("data", "<f8", (0, 10**18, 10**18)),
    "negative sizes": ("data", "<f8", (-1, -(10**12))),
    "objects": ("data", "|O", (20,)),
    "columns": ("indices", "<i4", (10**12,)),
    "pointers": ("indptr", "<i4", (10**12,)),
    "sizes": ("shape", "<i8", (10**12,)),
    "formats": ("format", "|S3", (10**12,)),
    "a bomb": ("data", "<f8", (1 << 24,), 1 << 27),
    "more than it claims": ("data", "<f8", (20,), 1 << 27),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_claims_are_checked_before_memory_is_reserved(tmp_path, case):
    path = with_claim(tmp_path / "m.npz", *CLAIMS[case])
    with pytest.raises(ScoresError, match=r"writes it: (its (data|indices|indptr|shape|format)|array is|Object)"):
        open_npz(path, N_CELLS, N_GENES)


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY", b"PK\x05\x06" + bytes(18)])
def test_a_file_of_another_kind(tmp_path, content):
    (tmp_path / "m.npz").write_bytes(content)
    with pytest.raises(ScoresError, match="is not a sparse matrix as scipy"):
        open_npz(tmp_path / "m.npz", N_CELLS, N_GENES)


def test_any_flipped_bit_of_the_file(tmp_path):
    save_npz(tmp_path / "m.npz", MATRIX)
    whole = (tmp_path / "m.npz").read_bytes()
    rng = np.random.default_rng(0)
    n_refused = 0
    for at in rng.choice(len(whole), 60, replace=False):
        (tmp_path / "m.npz").write_bytes(whole[:at] + bytes([whole[at] ^ 1 << rng.integers(8)]) + whole[at + 1 :])
        try:
            np.testing.assert_array_equal(open_npz(tmp_path / "m.npz", N_CELLS, N_GENES).toarray(), MATRIX.toarray())
        except SigdbError:
            n_refused += 1
    assert n_refused > 30


CODE = """
import resource, sys
from pathlib import Path
from ingest.given.files import open_npz
from sigdb.errors import UnreadableError
open_npz(Path(sys.argv[1]), 4096, 4096)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)
try:
    open_npz(Path(sys.argv[2]), 4096, 4096)
except UnreadableError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS")
def test_a_matrix_that_does_not_fit_into_memory(tmp_path):
    save_npz(tmp_path / "small.npz", csr_matrix((4096, 4096)))
    with_claim(tmp_path / "large.npz", "data", "<f8", (1 << 24,), 1 << 27, (4096, 4096))
    done = subprocess.run(
        [sys.executable, "-c", CODE, tmp_path / "small.npz", tmp_path / "large.npz"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "large.npz needs more memory than this process may use" in done.stdout


@pytest.mark.parametrize("layout", [scipy.sparse.csr_matrix, scipy.sparse.csc_matrix])
@pytest.mark.parametrize("name", ["indices", "indptr"])
@pytest.mark.parametrize("wrong", [-1, 500_000_000, 2**31 - 1])
def test_positions_out_of_range_in_h5ad(tmp_path, layout, name, wrong):
    path = h5ad(small_adata(), tmp_path / "bad", layout)
    with h5py.File(path, "a") as file:
        file["X"][name][3] = wrong
    with pytest.raises(DamagedError, match=r"bad\.h5ad is damaged"), open_scores(path) as scores:
        scores.rows(0, 40)
