"""What people give by mistake: each input, the message they see, and that the atlas is as it was."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import anndata
import duckdb
import h5py
import numpy as np
import pandas as pd
import pytest
import zarr
from scipy.sparse import csc_matrix, csr_matrix

import sigdb
from ingest.attribution import Method
from ingest.models import load_model
from ingest.pipeline import IngestOptions, Source, ingest_files
from sigdb import cli
from tests.ingest.conftest import GENES, save_small_model, small_adata
from tests.ingest.formats import cell_ranger_h5, h5ad, matrix_folder, zarr_folder
from tests.toy import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def known(tmp_path_factory, small_model):
    """An atlas that holds a study, `known`, and its fingerprint; copied by each test."""
    folder = tmp_path_factory.mktemp("known")
    study, options = h5ad(small_adata(12), folder / "known"), IngestOptions(Method(n_steps=2))
    ingest_files(folder / "a.duckdb", [Source(study)], load_model("mlp", small_model), options)
    return folder / "a.duckdb", fingerprint(folder / "a.duckdb")


@pytest.fixture
def sigdb_ingest(tmp_path, known, small_model, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """`sigdb ingest ...` in a folder with the atlas a.duckdb; returns (exit code, standard output, standard error)."""
    shutil.copy(known[0], tmp_path / "a.duckdb")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, atlas: str = "a.duckdb", weights: Path = small_model) -> tuple[int, str, str]:
        model = ["--model", "mlp", "--weights", str(weights), "--steps", "2"]
        monkeypatch.setattr(sys, "argv", ["sigdb", "ingest", atlas, *map(str, arguments), *model])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, " ".join(err.split())

    return run


def of(change: Callable = lambda adata: adata, write: Callable = h5ad, **options) -> Callable[[Path], Path]:
    """A study that was changed and then written."""
    return lambda folder: write(change(small_adata()), folder / "bad", **options)


def with_x(change: Callable[[csr_matrix], object]) -> Callable[[anndata.AnnData], anndata.AnnData]:
    """Another matrix."""

    def changed(adata):
        return anndata.AnnData(change(adata.X), obs=adata.obs, var=adata.var)

    return changed


def with_value(value: float) -> Callable[[anndata.AnnData], anndata.AnnData]:
    """One value is another."""

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
    """Other names of the genes."""

    def change(adata):
        adata.var_names = [name(number, gene) for number, gene in enumerate(GENES)]
        return adata

    return change


def with_obs(**columns: object) -> Callable[[anndata.AnnData], anndata.AnnData]:
    """Further columns of obs, by name, or by a name with blanks for underscores at its ends."""

    def change(adata):
        adata.obs = adata.obs.assign(**columns)
        return adata

    return change


def with_names(names: Callable[[int], str]) -> Callable[[anndata.AnnData], anndata.AnnData]:
    """Other names of the cells."""

    def change(adata):
        adata.obs.index = [names(number) for number in range(adata.n_obs)]
        return adata

    return change


def hdf5(change: Callable[[h5py.File], object], write: Callable = h5ad) -> Callable[[Path], Path]:
    """A study that was changed after it was written."""

    def make(folder):
        path = of(write=write)(folder)
        with h5py.File(path, "a") as file:
            change(file)
        return path

    return make


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    """A file of anything."""

    def make(folder):
        (folder / name).write_bytes(content)
        return folder / name

    return make


def cut(make: Callable[[Path], Path], part: float, file: str = "") -> Callable[[Path], Path]:
    """A file of which only the first part came through."""

    def made(folder):
        path = make(folder)
        whole = path / file if file else path
        whole.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * part)])
        return path

    return made


def shorter(file: h5py.File, name: str) -> None:
    """Drop the last names of obs or var."""
    values, attributes = file[name][:-5], dict(file[name].attrs)
    del file[name]
    file[name] = values
    file[name].attrs.update(attributes)


def in_folder(file: str, change: Callable[[str], str], **options) -> Callable[[Path], Path]:
    """A folder of Cell Ranger, version 2, of which one file was changed."""

    def make(folder):
        path = matrix_folder(small_adata(), folder / "bad", 2, **options)
        (path / file).write_text(change((path / file).read_text()))
        return path

    return make


def in_zarr(file: str, content: bytes | None) -> Callable[[Path], Path]:
    """A zarr folder in which one file is another, or missing."""

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
    """Text with something replaced once, which must be there."""
    assert old in text
    return text.replace(old, new, 1)


def fake_layer(adata: anndata.AnnData) -> anndata.AnnData:
    adata.layers["soupx"] = adata.X * 0.5
    return adata


def write_whole(adata: anndata.AnnData, path: Path) -> Path:
    """With its layers."""
    adata.write_h5ad(path.with_suffix(".h5ad"))
    return path.with_suffix(".h5ad")


def antibodies(adata: anndata.AnnData) -> anndata.AnnData:
    adata.var["feature_type"] = "Antibody Capture"
    return adata


def two_genomes(adata: anndata.AnnData) -> anndata.AnnData:
    adata.var["genome"] = ["GRCh38"] * 20 + ["mm10"] * 10
    return adata


class Hostile(NamedTuple):
    """An input, and what is said of it."""

    make: Callable[[Path], Path]
    message: str
    options: tuple[str, ...] = ()


HOSTILE = {
    # Files that are not what they are called.
    "no such file": Hostile(
        lambda folder: (h5ad(small_adata(), folder / "bad"), folder / "bda.h5ad")[1],
        r"There is no file or folder \S+bda\.h5ad\. Did you mean bad\.h5ad\?",
    ),
    "empty file": Hostile(written("bad.h5ad", b""), "cannot be read as HDF5"),
    "text": Hostile(written("bad.h5ad", b"gene,cell\n"), "cannot be read as HDF5.*file signature not found"),
    "half of a file": Hostile(cut(of(), 0.5), "cannot be read as HDF5.*truncated file"),
    "nearly all of a file": Hostile(cut(of(), 0.99), "cannot be read as HDF5.*truncated file"),
    "HDF5 of another kind": Hostile(
        hdf5(lambda file: file.clear()), r"neither AnnData \(it has no obs, var\) nor a matrix of Cell Ranger"
    ),
    "garbage inside": Hostile(
        lambda folder: garbage_inside(folder), r"bad\.h5ad is damaged, or not as AnnData or Cell Ranger write it"
    ),
    "newer encoding": Hostile(
        hdf5(lambda file: file["obs"].attrs.__setitem__("encoding-version", "99.0")), "is damaged, or not as AnnData"
    ),
    "obs shorter than X": Hostile(
        hdf5(lambda file: [shorter(file, f"obs/{name}") for name in ("_index",)]), "damaged|35 cells"
    ),
    "gene list of another length": Hostile(
        hdf5(lambda file: shorter(file, "var/_index")),
        "X is of 40 cells and 30 genes, but 40 cells and 25 genes are described",
    ),
    "no index pointer": Hostile(hdf5(lambda file: file["X"].__delitem__("indptr")), "is damaged"),
    "huge ids of genes": Hostile(hdf5(lambda file: file["X/indices"].__setitem__(5, 2**31 - 1)), "is damaged"),
    "no var of raw": Hostile(hdf5(lambda file: file.move("X", "raw/X")), "is damaged"),
    "no matrix": Hostile(
        hdf5(lambda file: file.__delitem__("X")), "no raw counts where they are looked for: it has no"
    ),
    # Values that are not counts.
    "NaN": Hostile(of(with_value(np.nan)), "X holds 1 NaN or infinite values"),
    "infinite": Hostile(of(with_value(np.inf)), "X holds 1 NaN or infinite values"),
    "negative": Hostile(of(with_value(-3)), r"X holds negative values, down to -3 \(scaled or centred data\)"),
    "log-normalised": Hostile(
        of(with_x(log1p)), r"X holds \d+ fractional values of \d+.* \(they look log-normalised\)"
    ),
    "normalised": Hostile(of(with_x(lambda x: x * 10.5)), "they look normalised.*Name the matrix .*with --layer"),
    "scaled": Hostile(of(with_x(scaled)), r"X holds negative values.*\(scaled or centred data\)"),
    "one fraction": Hostile(of(with_value(2.5)), "X holds 1 fractional values of"),
    "too large for counts": Hostile(
        of(with_value(2**25), layout=partial(csr_matrix, dtype=np.int64)),
        r"X holds values up to 3\.36e\+07, more than any count of a gene in a cell \(16,777,216 at most\)",
    ),
    "nothing but zeros": Hostile(of(with_x(lambda x: x * 0)), "X holds nothing but zeros"),
    "a layer that is not counts": Hostile(
        of(fake_layer, write_whole), r"layers/soupx: \d+ fractional values .* in cells 0 to 39", ("--layer", "soupx")
    ),
    "no such layer": Hostile(
        of(fake_layer, write_whole), r"has no matrix 'counts'\. It has: soupx, X", ("--layer", "counts")
    ),
    "a fraction in a matrix by genes": Hostile(
        of(with_value(2.5), layout=csc_matrix), "X: 1 fractional values", ("--layer", "X")
    ),
    # Genes.
    "no genes in common": Hostile(of(with_genes(lambda n, gene: f"probe_{n}_at")), "Only 0 of the model's 24 genes"),
    "mouse": Hostile(of(with_genes(lambda n, gene: gene.capitalize())), "symbols of another species, such as mouse"),
    "lower case": Hostile(of(with_genes(lambda n, gene: gene.lower())), "They are in lower case"),
    "numbers for names": Hostile(of(with_genes(lambda n, gene: str(n))), "Only 0 of.*They are numbers"),
    "ids of mouse": Hostile(of(with_genes(lambda n, gene: f"ENSMUSG{n:011}")), "Ensembl ids of another species"),
    "transcripts": Hostile(of(with_genes(lambda n, gene: f"ENST{n:011}.2")), "They are transcripts"),
    "few genes": Hostile(of(lambda a: a[:, :5].copy()), "Only 5 of the model's 24 genes .*at least 12 are needed"),
    "no genes": Hostile(of(lambda a: a[:, :0].copy()), "has no genes"),
    # Cells and their metadata.
    "no cells": Hostile(of(lambda a: a[:0].copy()), "has no cells"),
    "repeated barcodes": Hostile(
        of(with_names(lambda n: f"cell{n % 38}")),
        "2 cell names of bad occur more than once: cell0, cell1. .*obs_names_make_unique",
    ),
    "missing column": Hostile(
        of(), r"obs has no column 'diseas' to map disease to\. Did you mean 'disease'\?", ("--map", "disease=diseas")
    ),
    "unknown field": Hostile(of(), "There is no field 'age' to map. Fields are: sample", ("--map", "age=cluster")),
    "varying sample": Hostile(of(), "tissue has several values within 4 samples of bad", ("--map", "tissue=cluster")),
    "cells without a sample": Hostile(
        of(with_obs(sample=pd.Categorical(["s", None] * 20))), "20 of 40 cells of bad have no sample"
    ),
    "in_vivo neither true nor false": Hostile(
        of(with_obs(in_vivo="maybe")), "in_vivo must be true or false, not maybe"
    ),
    "two columns, case aside": Hostile(of(with_obs(Cluster=1)), "two columns called 'Cluster', case aside"),
    "a column as ours would be called": Hostile(of(with_obs(obs_n_counts=1)), "two columns called 'obs_n_counts'"),
    "obs is no table": Hostile(
        hdf5(lambda file: (file.__delitem__("obs"), anndata.io.write_elem(file, "obs", np.arange(2)))),
        "damaged.*obs is no table",
    ),
    # Studies that are there.
    "the same name, other cells": Hostile(
        of(),
        "The atlas has a study 'known' of 12 cells; these 40 are others",
        ("--study", "known", "--run", "again"),
    ),
    "the same name and cells, other counts": Hostile(
        lambda folder: h5ad(small_adata(12, seed=9), folder / "bad"),
        "the same cells, but other counts in",
        ("--study", "known", "--run", "again"),
    ),
    "the same study": Hostile(
        lambda folder: h5ad(small_adata(12), folder / "known"), "Study 'known' is in the atlas already"
    ),
    # Zarr.
    "zarr of another kind": Hostile(empty_group, "neither AnnData .it has no obs, var."),
    "zarr whose metadata are broken": Hostile(in_zarr(".zmetadata", b"{"), "is damaged"),
    "zarr with a garbled piece": Hostile(in_zarr("X/data/0", b"garbage"), "is damaged"),
    "zarr of which a piece is missing": Hostile(
        in_zarr("X/indices/0", None), "1 of 1 pieces of X/indices are missing: was the folder copied whole"
    ),
    # Cell Ranger.
    "empty folder": Hostile(nothing_in, r"no folder of Cell Ranger: it has no matrix\.mtx"),
    "the folder above": Hostile(
        lambda folder: matrix_folder(small_adata(), nothing_in(folder) / "filtered_feature_bc_matrix").parent,
        r"it has no matrix\.mtx\. Did you mean \S+/filtered_feature_bc_matrix\?",
    ),
    "the matrix alone": Hostile(
        lambda folder: of(write=matrix_folder)(folder) / "matrix.mtx.gz", "Name the folder that it is in"
    ),
    "half of matrix.mtx.gz": Hostile(cut(of(write=matrix_folder), 0.5, "matrix.mtx.gz"), "bad is damaged"),
    "half of matrix.mtx": Hostile(
        in_folder("matrix.mtx", lambda text: "\n".join(text.splitlines()[:300])),
        r"matrix\.mtx has 297 entries, but says that there are \d+",
    ),
    "barcodes missing": Hostile(
        in_folder("barcodes.tsv", lambda text: text.removesuffix("cell39\n")),
        r"matrix\.mtx is of 40 cells and 30 genes, but 39 cells and 30 genes are described",
    ),
    "features of another reference": Hostile(
        in_folder("genes.tsv", lambda text: text + "ENSG1\tLYZ\n"), "40 cells and 31 genes are described"
    ),
    "transposed": Hostile(
        in_folder("matrix.mtx", lambda text: first(text, "30 40 ", "40 30 ")), "of 30 cells and 40 genes, but 40 cells"
    ),
    "a cell that is not there": Hostile(
        in_folder("matrix.mtx", lambda text: re.sub(r"\n(\d+) 39 ", r"\n\1 41 ", text)), "entries of a cell that is not"
    ),
    "a gene 0": Hostile(
        in_folder("matrix.mtx", lambda text: re.sub(r"\n\d+ 39 ", "\n0 39 ", text)),
        "entries of a gene that is not there",
    ),
    "a dense matrix.mtx": Hostile(
        in_folder("matrix.mtx", lambda text: first(text, "coordinate", "array")), "no sparse matrix .*Matrix Market"
    ),
    "words in matrix.mtx": Hostile(
        in_folder("matrix.mtx", lambda text: re.sub(r"\n(\d+) 39 \d+", r"\n\1 39 many", text)), "is damaged.*many"
    ),
    "corrected counts": Hostile(
        in_folder(
            "matrix.mtx",
            lambda text: first(re.sub(r"\n(\d+) 39 \d+", r"\n\1 39 0.5", text, count=1), "integer", "real"),
        ),
        "matrix.mtx: 1 fractional values",
    ),
    "a layer of a folder": Hostile(of(write=matrix_folder), "has one matrix", ("--layer", "counts")),
    "repeated barcodes of Cell Ranger": Hostile(
        in_folder("barcodes.tsv", lambda text: first(text, "cell7\n", "cell6\n")), "1 cell names of bad occur more"
    ),
    "two genomes": Hostile(of(two_genomes, cell_ranger_h5), "genes of 2 genomes: GRCh38, mm10. Name one with --layer"),
    "antibodies only": Hostile(
        of(antibodies, cell_ranger_h5), "has 30 features, but none is of the type 'Gene Expression'"
    ),
    "barcodes of .h5 missing": Hostile(
        hdf5(lambda file: shorter(file, "matrix/barcodes"), cell_ranger_h5), "is of 40 cells and 30 genes, but 35 cells"
    ),
    "half of a .h5": Hostile(cut(of(write=cell_ranger_h5), 0.5), "cannot be read as HDF5.*truncated file"),
}


def garbage_inside(folder: Path) -> Path:
    path = h5ad(small_adata(), folder / "bad", compression="gzip")
    with h5py.File(path, "a") as file:
        file["X/data"].id.write_direct_chunk((0,), b"garbage")
    return path


def assert_refused(sigdb_ingest, known, message, *arguments, atlas="a.duckdb"):
    code, out, err = sigdb_ingest(*arguments, atlas=atlas)
    assert (code, out) == (1, "")
    assert re.search(message, err), err
    assert not re.search("should not have happened|Traceback", err), err
    assert fingerprint("a.duckdb") == known[1]


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
@pytest.mark.parametrize("case", HOSTILE)
def test_it_is_refused_and_the_atlas_is_as_it_was(tmp_path, sigdb_ingest, known, case):
    make, message, options = HOSTILE[case]
    assert_refused(sigdb_ingest, known, message, make(tmp_path), *options)


@pytest.mark.parametrize("case", ["half of a file", "one fraction", "mouse", "half of matrix.mtx.gz"])
def test_no_atlas_is_made_of_it(tmp_path, sigdb_ingest, known, case):
    make, message, options = HOSTILE[case]
    assert_refused(sigdb_ingest, known, message, make(tmp_path), *options, atlas="new.duckdb")
    assert not (tmp_path / "new.duckdb").exists()


OBS = pd.DataFrame({"barcode": [f"cell{n}" for n in range(40)], "age": range(40), "cell_type": ["B", None] * 20})


def csv(table: pd.DataFrame, name: str = "obs.csv") -> Callable[[Path], Path]:
    """A table of metadata."""

    def make(folder):
        table.to_csv(folder / name, index=False, sep="\t" if ".tsv" in name else ",")
        return folder / name

    return make


def parquet(table: pd.DataFrame) -> Callable[[Path], Path]:
    """The same as Parquet."""

    def make(folder):
        table.to_parquet(folder / "obs.parquet")
        return folder / "obs.parquet"

    return make


HOSTILE_OBS = {
    "missing rows": (csv(OBS[:30]), r"obs\.csv does not fit .*: 10 of 40 cells have no row \(cell30, .* and 7 more"),
    "rows of other cells": (
        csv(pd.concat([OBS, OBS[:2].assign(barcode=["x", "y"])])), r"2 of 42 rows are of no cell \(x, y\)"
    ),
    "repeated rows": (csv(pd.concat([OBS, OBS[:1]])), r"1 barcodes are repeated in obs\.csv \(cell0\)"),
    "rows without a barcode": (csv(OBS.assign(barcode=[None, *OBS["barcode"][1:]])), "1 of 40 rows .* have no barcode"),
    "repeated columns": (written("obs.csv", b"barcode,a,a\ncell0,1,2\n"), "has 1 columns more than once: a"),
    "no such table": (lambda folder: folder / "no.csv", "no.csv cannot be read as a table of metadata"),
    "an empty table": (written("obs.csv", b""), "cannot be read as a table of metadata"),
    "a header only": (csv(OBS[:0]), "cannot be read as a table of metadata: it has no rows"),
    "ragged": (written("obs.csv", b"barcode,a\ncell0,1,2,3\ncell1,1\n"), "rows with more fields than its header"),
    "not text": (written("obs.tsv", bytes(range(128, 256))), "cannot be read as a table of metadata"),
    "a spreadsheet": (written("obs.xlsx", b"PK"), r"are read from \.csv, \.tsv .*, not from \S*obs\.xlsx"),
    "not Parquet": (written("obs.parquet", b"no"), "cannot be read as a table of metadata"),
    "an archive that is none": (written("obs.csv.gz", b"no"), "cannot be read as a table of metadata"),
    "a column without a name": (parquet(OBS.assign(**{"": 1})), "obs of bad has a column without a name"),
    "columns alike": (csv(OBS.assign(Age=1)), "two columns called 'Age', case aside"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE_OBS)
def test_metadata_that_do_not_fit(tmp_path, sigdb_ingest, known, case):
    make, message = HOSTILE_OBS[case]
    assert_refused(sigdb_ingest, known, message, of()(tmp_path), "--obs", make(tmp_path))


def test_barcodes_that_are_spelt_otherwise(tmp_path, sigdb_ingest, known):
    names = ["".join("ACGT"[n // 4**k % 4] for k in range(10)) for n in range(40)]
    path = of(with_names(lambda n: f"{names[n]}-1"), matrix_folder)(tmp_path)
    table = csv(OBS.assign(barcode=[f"s1_{name}" for name in names]))(tmp_path)
    message = r"40 of 40 cells have no row .* The same barcode may be 's1_A{10}' there and 'A{10}-1' in the study"
    assert_refused(sigdb_ingest, known, message, path, "--obs", table)
    assert_refused(sigdb_ingest, known, "are for one file; there are 2", path, path, "--obs", table)


def read_only(folder: Path) -> Path:
    if os.geteuid() == 0:
        return type(folder)("/proc/a.duckdb")  # where root cannot write either
    (folder / "locked").mkdir(mode=0o500)
    return folder / "locked" / "a.duckdb"


def another_database(folder: Path) -> Path:
    with duckdb.connect(folder / "other.duckdb") as con:
        con.execute("CREATE TABLE t AS SELECT 1")
    return folder / "other.duckdb"


def newer(folder: Path) -> Path:
    shutil.copy(folder / "a.duckdb", folder / "newer.duckdb")
    with duckdb.connect(folder / "newer.duckdb") as con:
        con.execute("UPDATE sigdb_data.atlas_info SET value = '99' WHERE key = 'schema_version'")
    return folder / "newer.duckdb"


ATLASES = {
    "a read-only folder": (read_only, "cannot be created"),
    "no such folder": (lambda folder: folder / "no" / "a.duckdb", "cannot be created"),
    "a folder": (nothing_in, "is a folder, not an atlas"),
    "text": (written("text.duckdb", b"no atlas at all"), "cannot be opened"),
    "an empty file": (written("empty.duckdb", b""), "not a sigdb atlas|cannot be opened"),
    "half an atlas": (
        cut(lambda folder: type(folder)(shutil.copy(folder / "a.duckdb", folder / "half.duckdb")), 0.4),
        "Could not read enough bytes from file",
    ),
    "another database": (another_database, "but not a sigdb atlas"),
    "an atlas of a newer sigdb": (newer, "99"),
}


@pytest.mark.parametrize("case", ATLASES)
def test_an_atlas_that_is_none(tmp_path, sigdb_ingest, known, case):
    make, message = ATLASES[case]
    atlas = make(tmp_path)
    before = atlas.read_bytes() if atlas.is_file() else atlas.exists()
    assert_refused(sigdb_ingest, known, message, of()(tmp_path), atlas=str(atlas))
    assert (atlas.read_bytes() if atlas.is_file() else atlas.exists()) == before


def test_a_model_whose_gene_list_is_of_another_length(tmp_path, sigdb_ingest, known):
    folder = save_small_model(tmp_path / "model")
    spec = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(spec | {"genes": spec["genes"][:-1]}))
    code, _, err = sigdb_ingest(of()(tmp_path), weights=folder)
    assert code == 1
    assert re.search("23.*24|24.*23", err), err
    assert fingerprint("a.duckdb") == known[1]


# What is odd, but right.


def ingested(sigdb_ingest, path, *options, study="bad"):
    """Ingest what must go well; return standard output, and the cells of the study as a data frame."""
    code, out, err = sigdb_ingest(path, *options)
    assert code == 0, err
    with sigdb.connect("a.duckdb") as con:
        cells = con.execute("SELECT * FROM cells WHERE study = ? ORDER BY cell_id", [study]).df()
        (sums,) = con.execute(
            """SELECT list(s.total ORDER BY s.total) FROM (SELECT sum(abs(score)) AS total FROM attributions
            JOIN cells USING (cell_id) WHERE study = ? GROUP BY cell_id) AS s""",
            [study],
        ).fetchone()
    np.testing.assert_allclose(sums or [], 1000, rtol=1e-4)
    return " ".join(out.split()), cells


def test_a_single_cell(tmp_path, sigdb_ingest):
    _, cells = ingested(sigdb_ingest, of(lambda a: a[5:6].copy())(tmp_path))
    assert list(cells["barcode"]) == ["cell5"]


@pytest.mark.parametrize("write", [h5ad, zarr_folder, cell_ranger_h5, matrix_folder])
def test_cells_without_counts_are_cells(tmp_path, sigdb_ingest, write):
    def empty(adata):
        x = adata.X.tolil()
        x[[0, 39]] = 0
        return anndata.AnnData(csr_matrix(x), obs=adata.obs, var=adata.var)

    _, cells = ingested(sigdb_ingest, of(empty, write)(tmp_path))
    assert len(cells) == 40
    assert list(cells.index[cells["n_counts"] == 0]) == [0, 3, 39]


ODD_NAMES = ['it\'s "mine"', "'; DROP TABLE cells; --", "Größe µ 细胞 🧬", "a/b\\c", "-n", "[red]x[/]", "$1 {x} %s"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_study_of_any_name(tmp_path, sigdb_ingest, name):
    out, cells = ingested(sigdb_ingest, of()(tmp_path), f"--study={name}", study=name)
    assert len(cells) == 40
    assert " ".join(name.split()) in out


def test_paths_with_spaces_and_quotes(tmp_path, sigdb_ingest):
    folder = tmp_path / 'my data\'s "best" 100% #1'
    folder.mkdir()
    path = matrix_folder(small_adata(), folder / "a study")
    shutil.copy("a.duckdb", folder / "an atlas's.duckdb")
    code, _, err = sigdb_ingest(
        path, "--obs", csv(OBS, "my obs.tsv.gz")(folder), atlas=str(folder / "an atlas's.duckdb")
    )
    assert code == 0, err
    with sigdb.connect(folder / "an atlas's.duckdb") as con:
        assert con.execute("SELECT count(age) FROM cells WHERE study = 'a study'").fetchall() == [(40,)]


def test_odd_columns_of_obs_are_kept(tmp_path, sigdb_ingest):
    names = ["it's", 'a "b"', "select", "a.b", "x; DROP TABLE cells", " blank ", "Größe", "%", "run_id", "_cell", "100"]
    path = of(with_obs(**{name: np.arange(40) * n for n, name in enumerate(names)}))(tmp_path)
    _, cells = ingested(sigdb_ingest, path)
    for number, name in enumerate(names):
        assert list(cells[name]) == [cell * number for cell in range(40)]


def test_columns_called_like_ours_are_kept_beside_them(tmp_path, sigdb_ingest):
    path = of(with_obs(cell_id="x", Study="y", barcode="z", sample_id=7, n_genes=-1.0))(tmp_path)
    out, cells = ingested(sigdb_ingest, path)
    for name, value in {"cell_id": "x", "Study": "y", "barcode": "z", "sample_id": 7, "n_genes": -1.0}.items():
        assert set(cells[f"obs_{name}"]) == {value}
        assert f"obs column {name!r} is kept as 'obs_{name}'" in out
    assert list(cells["barcode"]) == [f"cell{n}" for n in range(40)]


def test_categories_with_nan_are_missing_values(tmp_path, sigdb_ingest):
    values = pd.Categorical(["nan", None, "x", np.nan] * 10, categories=["nan", "x", "never"])
    _, cells = ingested(sigdb_ingest, of(with_obs(state=values, tissue=values))(tmp_path), "--map", "tissue=")
    assert list(cells["state"][:4].fillna("NULL")) == ["nan", "NULL", "x", "NULL"]
    assert list(cells["obs_tissue"][:4].fillna("NULL")) == ["nan", "NULL", "x", "NULL"]


def test_a_column_of_another_type_in_each_study(tmp_path, sigdb_ingest):
    """Nothing is lost: what cannot be a number becomes text, and is said."""
    kinds = {"whole": [1] * 40, "real": [0.5] * 40, "flag": [True] * 40, "text": ["high"] * 40, "none": [np.nan] * 40}
    said = {}
    for study, values in kinds.items():
        path = of(with_obs(grade=pd.Series(values, index=small_adata().obs_names)))(tmp_path)
        said[study], cells = ingested(sigdb_ingest, path, "--study", study, study=study)
    assert set(cells["grade"]) == {None}
    assert "column 'grade' of the atlas is DOUBLE now: it was BIGINT" in said["real"]
    assert "column 'grade' of the atlas is VARCHAR now: it was DOUBLE" in said["flag"]
    assert all("grade" not in said[study] for study in ("whole", "text", "none"))
    with sigdb.connect("a.duckdb") as con:
        found = con.execute("SELECT DISTINCT study, grade FROM cells WHERE study <> 'known' ORDER BY ALL").fetchall()
    assert found == [("flag", "true"), ("none", None), ("real", "0.5"), ("text", "high"), ("whole", "1.0")]


def test_huge_ids_and_times_are_kept_as_they_are(tmp_path, sigdb_ingest):
    path = of(with_obs(code=np.arange(40, dtype=np.uint64) + 2**63, small=np.arange(40, dtype=np.uint64)))(tmp_path)
    when = pd.DataFrame({"barcode": OBS["barcode"], "taken": pd.Timestamp("2024-02-29 12:00")})
    _, cells = ingested(sigdb_ingest, path, "--obs", parquet(when)(tmp_path))
    assert [int(code) for code in cells["code"][:2]] == [2**63, 2**63 + 1]
    assert set(cells["taken"]) == {pd.Timestamp("2024-02-29 12:00")}


IDS = {"LYZ": "ENSG00000090382.7", "CD14": "ENSG00000170458", "MS4A1": "CD20"}


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_ids_old_names_and_repeated_genes(tmp_path, sigdb_ingest):
    """A gene is found by its id or alias, and the columns of one gene are added up."""

    def change(adata):
        x = adata.X.toarray()
        half = np.floor(x[:, [4]] / 2)
        x[:, [4]] -= half
        names = [*(IDS.get(gene, gene) for gene in GENES), "ENSG00000090382"]
        return anndata.AnnData(csr_matrix(np.hstack([x, half])), obs=adata.obs, var=pd.DataFrame(index=names))

    ingested(sigdb_ingest, of()(tmp_path), "--study", "plain", study="plain")
    ingested(sigdb_ingest, of(change)(tmp_path))
    query = "SELECT barcode, gene_id, score FROM attributions JOIN cells USING (cell_id) WHERE study = ? ORDER BY ALL"
    with sigdb.connect("a.duckdb") as con:
        plain, odd = (con.execute(query, [study]).df() for study in ("plain", "bad"))
    assert plain[["barcode", "gene_id"]].equals(odd[["barcode", "gene_id"]])
    np.testing.assert_allclose(odd["score"], plain["score"], rtol=1e-4, atol=1e-3)


def r_style(table: pd.DataFrame) -> Callable[[Path], Path]:
    """As R's write.table writes it: the header does not name the column of row names."""

    def make(folder):
        text = table.to_csv(index=False, sep="\t").removeprefix("barcode\t")
        (folder / "obs.txt").write_text(text)
        return folder / "obs.txt"

    return make


TABLES = {
    "csv": csv(OBS[::-1]),
    "tsv": csv(OBS, "obs.tsv"),
    "gzip": csv(OBS, "obs.csv.gz"),
    "R": r_style(OBS),
    "parquet": parquet(OBS),
    "parquet with an index": parquet(OBS.set_index("barcode")),
    "barcode not first": csv(OBS[["age", "barcode", "cell_type"]]),
    "another name for barcode": csv(OBS.rename(columns={"barcode": ""})),
}


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize("write", [h5ad, matrix_folder])
def test_metadata_join_by_barcode(tmp_path, sigdb_ingest, form, write):
    _, cells = ingested(sigdb_ingest, of(write=write)(tmp_path), "--obs", TABLES[form](tmp_path))
    assert list(cells["age"]) == list(range(40))
    assert cells["age"].dtype.kind == "i"
    assert list(cells["cell_type"].fillna("NULL")) == ["B", "NULL"] * 20
    assert list(cells["donor"].fillna("NULL")) == (["d0", "d1"] * 20 if write is h5ad else ["NULL"] * 40)


def test_barcodes_that_look_like_numbers(tmp_path, sigdb_ingest):
    names = [f"{n:03}" for n in range(39)] + ["1e5"]
    table = OBS.assign(barcode=names, level=[None, *range(39)])
    path = of(with_names(lambda n: names[n]), matrix_folder)(tmp_path)
    _, cells = ingested(sigdb_ingest, path, "--obs", csv(table)(tmp_path))
    assert list(cells["barcode"]) == names
    assert list(cells["level"][1:].astype(int)) == list(range(39))
    assert cells["level"].isna()[0]


def test_reference_cells_by_joined_metadata(tmp_path, sigdb_ingest):
    arguments = ("--obs", csv(OBS)(tmp_path), "--baseline-cells", "age < 20", "--run", "reference")
    ingested(sigdb_ingest, matrix_folder(small_adata(), tmp_path / "bad"), *arguments)
    with sigdb.connect("a.duckdb") as con:
        ((baseline,),) = con.execute("SELECT baseline FROM attribution_runs WHERE run = 'reference'").fetchall()
    assert baseline.startswith("mean of 19 cells of bad where age < 20")
