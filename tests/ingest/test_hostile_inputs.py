"""Wrong inputs on the command line: each gives a clear message and leaves the atlas unchanged.

The command line turns parameters in messages, such as `layer`, into options; the patterns match both.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import anndata
import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix, csr_matrix

from tests.ingest.conftest import save_small_model, small_adata
from tests.support.formats import cell_ranger_h5, h5ad, matrix_folder
from tests.support.inputs import (
    OBS,
    antibodies,
    csv,
    cut,
    empty_group,
    fake_layer,
    first,
    garbage_inside,
    hdf5,
    in_folder,
    in_zarr,
    log1p,
    nothing_in,
    of,
    parquet,
    scaled,
    shorter,
    two_genomes,
    with_genes,
    with_names,
    with_obs,
    with_value,
    with_x,
    write_whole,
    written,
)
from tests.support.toy import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Hostile(NamedTuple):
    """A function that makes an input, and a pattern of the message."""

    make: Callable[[Path], Path]
    message: str
    options: tuple[str, ...] = ()


HOSTILE = {
    # Files that are not what their names say.
    "no such file": Hostile(
        lambda folder: (h5ad(small_adata(), folder / "bad"), folder / "bda.h5ad")[1],
        r"There is no file or folder \S+bda\.h5ad\. Did you mean 'bad\.h5ad'\?",
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
        "X has 40 cells and 30 genes, but the file describes 40 cells and 25 genes",
    ),
    "no index pointer": Hostile(hdf5(lambda file: file["X"].__delitem__("indptr")), "is damaged"),
    "huge ids of genes": Hostile(hdf5(lambda file: file["X/indices"].__setitem__(5, 2**31 - 1)), "is damaged"),
    "no var of raw": Hostile(hdf5(lambda file: file.move("X", "raw/X")), "is damaged"),
    "no matrix": Hostile(
        hdf5(lambda file: file.__delitem__("X")),
        r"no raw counts in .* raw or X: none of these matrices exists",
    ),
    # Values that are not counts.
    "NaN": Hostile(of(with_value(np.nan)), "X holds 1 NaN or infinite values"),
    "infinite": Hostile(of(with_value(np.inf)), "X holds 1 NaN or infinite values"),
    "negative": Hostile(of(with_value(-3)), r"X holds negative values, down to -3 \(scaled or centred data\)"),
    "log-normalised": Hostile(
        of(with_x(log1p)), r"X holds \d+ fractional values of \d+.* \(they look log-normalised\)"
    ),
    "normalised": Hostile(of(with_x(lambda x: x * 10.5)), r"they look normalised.*Name the matrix .* with \S*layer"),
    "scaled": Hostile(of(with_x(scaled)), r"X holds negative values.*\(scaled or centred data\)"),
    "one fraction": Hostile(of(with_value(2.5)), "X holds 1 fractional values of"),
    "too large for counts": Hostile(
        of(with_value(2**25), layout=partial(csr_matrix, dtype=np.int64)),
        r"X holds values up to 3\.36e\+07, more than any count of a gene in a cell \(16,777,216 at most\)",
    ),
    "nothing but zeros": Hostile(of(with_x(lambda x: x * 0)), "X holds only zeros"),
    "a layer that is not counts": Hostile(
        of(fake_layer, write_whole), r"layers/soupx: \d+ fractional values .* in cells 0 to 39", ("--layer", "soupx")
    ),
    "no such layer": Hostile(
        of(fake_layer, write_whole), r"has no matrix 'counts' \(\S*layer\S*\)\. It has: soupx, X", ("--layer", "counts")
    ),
    "a fraction in a matrix by genes": Hostile(
        of(with_value(2.5), layout=csc_matrix), "X: 1 fractional values", ("--layer", "X")
    ),
    # Genes.
    "no genes in common": Hostile(of(with_genes(lambda n, gene: f"probe_{n}_at")), "Only 0 of the model's 24 genes"),
    "mouse": Hostile(of(with_genes(lambda n, gene: gene.capitalize())), "symbols of another species, such as mouse"),
    "lower case": Hostile(of(with_genes(lambda n, gene: gene.lower())), "The names are in lower case"),
    "numbers for names": Hostile(of(with_genes(lambda n, gene: str(n))), "Only 0 of.*The names are numbers"),
    "ids of mouse": Hostile(of(with_genes(lambda n, gene: f"ENSMUSG{n:011}")), "Ensembl ids of another species"),
    "transcripts": Hostile(of(with_genes(lambda n, gene: f"ENST{n:011}.2")), "The names are transcripts"),
    "few genes": Hostile(of(lambda a: a[:, :5].copy()), "Only 5 of the model's 24 genes .*at least 12 are needed"),
    "no genes": Hostile(of(lambda a: a[:, :0].copy()), "has no genes"),
    # Cells and their metadata.
    "no cells": Hostile(of(lambda a: a[:0].copy()), "has no cells"),
    "repeated barcodes": Hostile(
        of(with_names(lambda n: f"cell{n % 38}")),
        "2 cell names of bad occur more than once: cell0, cell1. .*obs_names_make_unique",
    ),
    "missing column": Hostile(
        of(),
        r"no column 'diseas' for the field disease .*Did you mean 'disease'\?",
        ("--map", "disease=diseas"),
    ),
    "unknown field": Hostile(of(), "The atlas has no field 'age' .*Fields are: sample", ("--map", "age=cluster")),
    "varying sample": Hostile(of(), "tissue has several values within 4 samples of bad", ("--map", "tissue=cluster")),
    "cells without a sample": Hostile(
        of(with_obs(sample=pd.Categorical(["s", None] * 20))), "20 of 40 cells of bad have no sample"
    ),
    "in_vivo neither true nor false": Hostile(
        of(with_obs(in_vivo="maybe")), "`in_vivo` must be true or false, not maybe"
    ),
    "obs is no table": Hostile(
        hdf5(lambda file: (file.__delitem__("obs"), anndata.io.write_elem(file, "obs", np.arange(2)))),
        "damaged.*obs is not a table",
    ),
    # Studies that the atlas has already.
    "the same name, other cells": Hostile(
        of(),
        "The atlas has a study 'known' of 12 cells; these 40 are others",
        ("--study", "known", "--run", "again"),
    ),
    "the same name and cells, other counts": Hostile(
        lambda folder: h5ad(small_adata(12, seed=9), folder / "bad"),
        "the same cells, but with other counts in",
        ("--study", "known", "--run", "again"),
    ),
    "the same study": Hostile(
        lambda folder: h5ad(small_adata(12), folder / "known"), "Study 'known' is in the atlas already"
    ),
    # Zarr.
    "zarr of another kind": Hostile(empty_group, "neither AnnData .it has no obs, var."),
    "zarr with broken metadata": Hostile(in_zarr(".zmetadata", b"{"), "is damaged"),
    "zarr with a garbled chunk": Hostile(in_zarr("X/data/0", b"garbage"), "is damaged"),
    "zarr with a missing chunk": Hostile(
        in_zarr("X/indices/0", None), "1 of 1 chunks of X/indices are missing. Was the whole folder copied"
    ),
    # Cell Ranger.
    "empty folder": Hostile(nothing_in, r"nor a folder of Cell Ranger: it has no matrix\.mtx"),
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
        r"matrix\.mtx has 297 entries, but its header says \d+",
    ),
    "barcodes missing": Hostile(
        in_folder("barcodes.tsv", lambda text: text.removesuffix("cell39\n")),
        r"matrix\.mtx has 40 cells and 30 genes, but the file describes 39 cells and 30 genes",
    ),
    "features of another reference": Hostile(
        in_folder("genes.tsv", lambda text: text + "ENSG1\tLYZ\n" * 2), "describes 40 cells and 32 genes"
    ),
    "transposed": Hostile(
        in_folder("matrix.mtx", lambda text: first(text, "30 40 ", "40 30 ")),
        "30 cells and 40 genes, but the file describes 40",
    ),
    "a cell that is not there": Hostile(
        in_folder("matrix.mtx", lambda text: re.sub(r"\n(\d+) 39 ", r"\n\1 41 ", text)),
        "a cell that does not exist",
    ),
    "a gene 0": Hostile(
        in_folder("matrix.mtx", lambda text: re.sub(r"\n\d+ 39 ", "\n0 39 ", text)),
        "entries of a gene that does not exist",
    ),
    "a dense matrix.mtx": Hostile(
        in_folder("matrix.mtx", lambda text: first(text, "coordinate", "array")),
        "not a sparse matrix in Matrix Market format",
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
    "a layer of a folder": Hostile(of(write=matrix_folder), "has only one matrix", ("--layer", "counts")),
    "repeated barcodes of Cell Ranger": Hostile(
        in_folder("barcodes.tsv", lambda text: first(text, "cell7\n", "cell6\n")), "1 cell names of bad occur more"
    ),
    "two genomes": Hostile(of(two_genomes, cell_ranger_h5), r"2 genomes: GRCh38, mm10. Choose one with \S*layer"),
    "antibodies only": Hostile(
        of(antibodies, cell_ranger_h5), "has 30 columns, but none that is a gene: 30 Antibody Capture"
    ),
    "barcodes of .h5 missing": Hostile(
        hdf5(lambda file: shorter(file, "matrix/barcodes"), cell_ranger_h5),
        "40 cells and 30 genes, but the file describes 35 cells",
    ),
    "half of a .h5": Hostile(cut(of(write=cell_ranger_h5), 0.5), "cannot be read as HDF5.*truncated file"),
}


def assert_refused(sigdb_ingest, known, message, *arguments, atlas="a.duckdb"):
    code, out, err = sigdb_ingest(*arguments, atlas=atlas)
    assert (code, out) == (1, "")
    assert re.search(message, err), err
    assert not re.search("is a bug in sigdb|Traceback", err), err
    assert fingerprint("a.duckdb") == known[1]


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
@pytest.mark.parametrize("case", HOSTILE)
def test_a_wrong_input_is_refused_and_the_atlas_is_unchanged(tmp_path, sigdb_ingest, known, case):
    make, message, options = HOSTILE[case]
    assert_refused(sigdb_ingest, known, message, make(tmp_path), *options)


@pytest.mark.parametrize("case", ["half of a file", "one fraction", "mouse", "half of matrix.mtx.gz"])
def test_no_atlas_is_created(tmp_path, sigdb_ingest, known, case):
    make, message, options = HOSTILE[case]
    assert_refused(sigdb_ingest, known, message, make(tmp_path), *options, atlas="new.duckdb")
    assert not (tmp_path / "new.duckdb").exists()


HOSTILE_OBS = {
    "missing rows": (csv(OBS[:30]), r"obs\.csv does not fit .*: 10 of 40 cells have no row \(cell30, .* and 7 more"),
    "rows of other cells": (
        csv(pd.concat([OBS, OBS[:2].assign(barcode=["x", "y"])])),
        r"2 of 42 rows match no cell \(x, y\)",
    ),
    "repeated rows": (csv(pd.concat([OBS, OBS[:1]])), r"1 barcodes are repeated in obs\.csv \(cell0\)"),
    "rows without a barcode": (csv(OBS.assign(barcode=[None, *OBS["barcode"][1:]])), "1 of 40 rows .* have no barcode"),
    "repeated columns": (written("obs.csv", b"barcode,a,a\ncell0,1,2\n"), "has 1 repeated column names: a"),
    "no such table": (lambda folder: folder / "no.csv", "There is no file .*no.csv"),
    "an empty table": (written("obs.csv", b""), "cannot be read as a table of cell metadata"),
    "a header only": (csv(OBS[:0]), "cannot be read as a table of cell metadata: it has no rows"),
    "ragged": (written("obs.csv", b"barcode,a\ncell0,1,2,3\ncell1,1\n"), "rows with more fields than its header"),
    "not text": (written("obs.tsv", bytes(range(128, 256))), "cannot be read as a table of cell metadata"),
    "a spreadsheet": (written("obs.xlsx", b"PK"), r"metadata are read from \.csv, \.tsv .*, not from \S*obs\.xlsx"),
    "not Parquet": (written("obs.parquet", b"no"), "cannot be read as a table of cell metadata"),
    "not gzip": (written("obs.csv.gz", b"no"), "cannot be read as a table of cell metadata"),
    "a column without a name": (parquet(OBS.assign(**{"": 1})), "obs of bad has a column without a name"),
    "times with a zone": (
        parquet(OBS.assign(taken=pd.date_range("2026", periods=40, tz="UTC"))),
        "'taken' has times with a time zone",
    ),
}


@pytest.mark.parametrize("case", HOSTILE_OBS)
def test_metadata_that_do_not_fit(tmp_path, sigdb_ingest, known, case):
    make, message = HOSTILE_OBS[case]
    assert_refused(sigdb_ingest, known, message, of()(tmp_path), "--obs", make(tmp_path))


def test_barcodes_with_another_spelling(tmp_path, sigdb_ingest, known):
    names = ["".join("ACGT"[n // 4**k % 4] for k in range(10)) for n in range(40)]
    path = of(with_names(lambda n: f"{names[n]}-1"), matrix_folder)(tmp_path)
    table = csv(OBS.assign(barcode=[f"s1_{name}" for name in names]))(tmp_path)
    message = r"40 of 40 cells have no row .* The barcode 's1_A{10}' of the table may be 'A{10}-1' of the study"
    assert_refused(sigdb_ingest, known, message, path, "--obs", table)
    assert_refused(sigdb_ingest, known, "are for one file, but 2 are given", path, path, "--obs", table)


def read_only(folder: Path) -> Path:
    if os.geteuid() == 0:
        return type(folder)("/proc/a.duckdb")  # not even root can write there
    (folder / "locked").mkdir(mode=0o500)
    return folder / "locked" / "a.duckdb"


def another_database(folder: Path) -> Path:
    with duckdb.connect(folder / "other.duckdb") as con:
        con.execute("CREATE TABLE t AS SELECT 1")
    return folder / "other.duckdb"


def copy_of_newer_schema(folder: Path) -> Path:
    shutil.copy(folder / "a.duckdb", folder / "newer.duckdb")
    with duckdb.connect(folder / "newer.duckdb") as con:
        con.execute("UPDATE sigdb_data.atlas_info SET value = '99' WHERE key = 'schema_version'")
    return folder / "newer.duckdb"


ATLASES = {
    "a read-only folder": (read_only, "cannot be created|may not write"),
    "no such folder": (lambda folder: folder / "no" / "a.duckdb", "There is no folder .*no to write a.duckdb into"),
    "a folder": (nothing_in, "is a folder. Name a file"),
    "text": (written("text.duckdb", b"no atlas at all"), "cannot be opened"),
    "an empty file": (written("empty.duckdb", b""), "not a sigdb atlas|cannot be opened"),
    "half an atlas": (
        cut(lambda folder: type(folder)(shutil.copy(folder / "a.duckdb", folder / "half.duckdb")), 0.4),
        "Could not read enough bytes from file",
    ),
    "another database": (another_database, "but not a sigdb atlas"),
    "an atlas of a newer sigdb": (copy_of_newer_schema, "99"),
}


@pytest.mark.parametrize("case", ATLASES)
def test_a_file_that_is_not_an_atlas(tmp_path, sigdb_ingest, known, case):
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
