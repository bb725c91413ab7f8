"""Unusual but valid inputs are stored unchanged."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix, hstack

import sigdb
from tests.ingest.conftest import GENES, small_adata
from tests.support.formats import cell_ranger_h5, h5ad, matrix_folder, zarr_folder
from tests.support.inputs import OBS, csv, of, parquet, with_names, with_obs, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def ingest_and_read(sigdb_ingest, path, *options, study="bad"):
    """Ingest a valid input; return standard output and the cells of the study as a data frame."""
    code, out, err = sigdb_ingest(path, *options)
    assert code == 0, err
    with sigdb.connect("a.duckdb") as con:
        cells = con.execute("SELECT * FROM cells WHERE study = ? ORDER BY len(barcode), barcode", [study]).df()
        (sums,) = con.execute(
            """SELECT list(s.total ORDER BY s.total) FROM (SELECT sum(abs(score)) AS total FROM attributions
            JOIN cells USING (cell_id) WHERE study = ? GROUP BY cell_id) AS s""",
            [study],
        ).fetchone()
    np.testing.assert_allclose(sums or [], 1000, rtol=1e-4)
    return " ".join(out.split()), cells


def test_a_single_cell(tmp_path, sigdb_ingest):
    _, cells = ingest_and_read(sigdb_ingest, of(lambda a: a[5:6].copy())(tmp_path))
    assert list(cells["barcode"]) == ["cell5"]


@pytest.mark.parametrize("write", [h5ad, zarr_folder, cell_ranger_h5, matrix_folder])
def test_cells_without_counts_are_kept(tmp_path, sigdb_ingest, write):
    def empty(adata):
        x = adata.X.tolil()
        x[[0, 39]] = 0
        return anndata.AnnData(csr_matrix(x), obs=adata.obs, var=adata.var)

    _, cells = ingest_and_read(sigdb_ingest, of(empty, write)(tmp_path))
    assert len(cells) == 40
    assert set(cells["barcode"][cells["n_counts"] == 0]) == {"cell0", "cell3", "cell39"}


ODD_NAMES = ['it\'s "mine"', "'; DROP TABLE cells; --", "Größe µ 细胞 🧬", "a/b\\c", "-n", "[red]x[/]", "$1 {x} %s"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_study_of_any_name(tmp_path, sigdb_ingest, name):
    out, cells = ingest_and_read(sigdb_ingest, of()(tmp_path), f"--study={name}", study=name)
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
    names = ["it's", 'a "b"', "select", "a.b", "x; DROP TABLE cells", " blank ", "Größe", "%", "genes", "_cell", "100"]
    path = of(with_obs(**{name: np.arange(40) * n for n, name in enumerate(names)}))(tmp_path)
    _, cells = ingest_and_read(sigdb_ingest, path)
    for number, name in enumerate(names):
        assert list(cells[name]) == [cell * number for cell in range(40)]


def test_columns_with_names_of_the_atlas_are_kept_under_other_names(tmp_path, sigdb_ingest):
    path = of(with_obs(cell_id="x", Study="y", barcode="z", sample_id=7, n_genes=-1.0))(tmp_path)
    out, cells = ingest_and_read(sigdb_ingest, path)
    for name, value in {"cell_id": "x", "Study": "y", "barcode": "z", "sample_id": 7, "n_genes": -1.0}.items():
        assert set(cells[f"obs_{name}"]) == {value}
        assert f"obs column {name!r} is kept as 'obs_{name}'" in out
    assert list(cells["barcode"]) == [f"cell{n}" for n in range(40)]


def test_categories_with_nan_are_missing_values(tmp_path, sigdb_ingest):
    values = pd.Categorical(["nan", None, "x", np.nan] * 10, categories=["nan", "x", "never"])
    _, cells = ingest_and_read(sigdb_ingest, of(with_obs(state=values, tissue=values))(tmp_path), "--map", "tissue=")
    assert list(cells["state"][:4].fillna("NULL")) == ["nan", "NULL", "x", "NULL"]
    assert list(cells["obs_tissue"][:4].fillna("NULL")) == ["nan", "NULL", "x", "NULL"]


def test_a_column_of_another_type_in_each_study(tmp_path, sigdb_ingest):
    """Values that are not numbers make the column text, and a note says so."""
    kinds = {"whole": [1] * 40, "real": [0.5] * 40, "flag": [True] * 40, "text": ["high"] * 40, "none": [np.nan] * 40}
    said = {}
    for study, values in kinds.items():
        path = of(with_obs(grade=pd.Series(values, index=small_adata().obs_names)))(tmp_path)
        said[study], cells = ingest_and_read(sigdb_ingest, path, "--study", study, study=study)
    assert set(cells["grade"]) == {None}
    assert "column 'grade' of the atlas is DOUBLE now: it was BIGINT" in said["real"]
    assert "column 'grade' of the atlas is VARCHAR now: it was DOUBLE" in said["flag"]
    assert all("grade" not in said[study] for study in ("whole", "text", "none"))
    with sigdb.connect("a.duckdb") as con:
        found = con.execute("SELECT DISTINCT study, grade FROM cells WHERE study <> 'known' ORDER BY ALL").fetchall()
    assert found == [("flag", "True"), ("none", None), ("real", "0.5"), ("text", "high"), ("whole", "1")]


def test_huge_ids_and_times_are_kept_as_they_are(tmp_path, sigdb_ingest):
    path = of(with_obs(code=np.arange(40, dtype=np.uint64) + 2**63, small=np.arange(40, dtype=np.uint64)))(tmp_path)
    when = pd.DataFrame({"barcode": OBS["barcode"], "taken": pd.Timestamp("2024-02-29 12:00")})
    _, cells = ingest_and_read(sigdb_ingest, path, "--obs", parquet(when)(tmp_path))
    assert [int(code) for code in cells["code"][:2]] == [2**63, 2**63 + 1]
    assert set(cells["taken"]) == {pd.Timestamp("2024-02-29 12:00")}


IDS = {"LYZ": "ENSG00000090382.7", "CD14": "ENSG00000170458", "MS4A1": "CD20"}


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_ids_old_names_and_repeated_genes(tmp_path, sigdb_ingest):
    """Genes are found by id or alias, and several columns of one gene are added up."""

    def change(adata):
        x = adata.X.toarray()
        half = np.floor(x[:, [4]] / 2)
        x[:, [4]] -= half
        names = [*(IDS.get(gene, gene) for gene in GENES), "ENSG00000090382"]
        return anndata.AnnData(csr_matrix(np.hstack([x, half])), obs=adata.obs, var=pd.DataFrame(index=names))

    ingest_and_read(sigdb_ingest, of()(tmp_path), "--study", "plain", study="plain")
    ingest_and_read(sigdb_ingest, of(change)(tmp_path))
    query = "SELECT barcode, gene_id, score FROM attributions JOIN cells USING (cell_id) WHERE study = ? ORDER BY ALL"
    with sigdb.connect("a.duckdb") as con:
        plain, odd = (con.execute(query, [study]).df() for study in ("plain", "bad"))
    assert plain[["barcode", "gene_id"]].equals(odd[["barcode", "gene_id"]])
    np.testing.assert_allclose(odd["score"], plain["score"], rtol=1e-4, atol=1e-3)


def r_style(table: pd.DataFrame) -> Callable[[Path], Path]:
    """Write a table like R's write.table, whose header does not name the column of row names."""

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


@pytest.mark.slow
@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize("write", [h5ad, matrix_folder])
def test_metadata_join_by_barcode(tmp_path, sigdb_ingest, form, write):
    _, cells = ingest_and_read(sigdb_ingest, of(write=write)(tmp_path), "--obs", TABLES[form](tmp_path))
    assert list(cells["age"]) == list(range(40))
    assert cells["age"].dtype.kind == "i"
    assert list(cells["cell_type"].fillna("NULL")) == ["B", "NULL"] * 20
    assert list(cells["donor"].fillna("NULL")) == (["d0", "d1"] * 20 if write is h5ad else ["NULL"] * 40)


def test_barcodes_that_look_like_numbers(tmp_path, sigdb_ingest):
    names = [f"{n:03}" for n in range(39)] + ["1e5"]
    table = OBS.assign(barcode=names, level=[None, *range(39)])
    path = of(with_names(lambda n: names[n]), matrix_folder)(tmp_path)
    _, cells = ingest_and_read(sigdb_ingest, path, "--obs", csv(table)(tmp_path))
    assert list(cells["barcode"]) == names
    assert list(cells["level"][1:].astype(int)) == list(range(39))
    assert cells["level"].isna()[0]


def test_reference_cells_by_joined_metadata(tmp_path, sigdb_ingest):
    arguments = ("--obs", csv(OBS)(tmp_path), "--baseline-cells", "age < 20", "--run", "reference")
    ingest_and_read(sigdb_ingest, matrix_folder(small_adata(), tmp_path / "bad"), *arguments)
    with sigdb.connect("a.duckdb") as con:
        ((baseline,),) = con.execute("SELECT baseline FROM attribution_runs WHERE run = 'reference'").fetchall()
    assert baseline.startswith("mean of 19 cells of bad where age < 20")


def test_ids_in_a_table_stay_text(tmp_path, sigdb_ingest):
    """Donors 007 and 7 are two people, also in a column with a name of its own. Numbers become numbers."""
    table = pd.DataFrame({"barcode": OBS["barcode"], "patient": ["007", "7", "7.0", "1e+05"] * 10})
    table = table.assign(sample=[f"0{n % 4}" for n in range(40)], plate=["01", "1"] * 20, age=["7", ""] * 20)
    table = table.assign(part=["0.5", "1"] * 20, good=["TRUE", "FALSE"] * 20)
    path = of(lambda adata: anndata.AnnData(adata.X, obs=adata.obs[[]], var=adata.var))(tmp_path)
    for file in ("obs.csv", "obs.tsv"):
        _, cells = ingest_and_read(
            sigdb_ingest,
            path,
            "--obs",
            csv(table, file)(tmp_path),
            "--map",
            "donor=patient",
            "--study",
            file,
            study=file,
        )
        for name, expected in {"donor": table["patient"], "sample": table["sample"], "plate": table["plate"]}.items():
            assert list(cells[name]) == list(expected)
        assert list(cells["age"][:2].fillna(-1)) == [7, -1]
        assert list(cells["part"][:2]) == [0.5, 1.0]
        assert list(cells["good"][:2]) == [True, False]


def test_row_names_of_r_stay_text(tmp_path, sigdb_ingest):
    """R writes no header for its row names."""
    rows = "\n".join(f"{n:02},{n % 2}0" for n in range(40))
    (tmp_path / "r.csv").write_text(f"index\n{rows}\n")
    path = of(with_names(lambda n: f"{n:02}"))(tmp_path)
    _, cells = ingest_and_read(sigdb_ingest, path, "--obs", tmp_path / "r.csv")
    assert list(cells["barcode"]) == [f"{n:02}" for n in range(40)]
    assert list(cells["index"][:2].astype(str)) == ["00", "10"]


def study_scores(study):
    """All scores of a study by barcode and gene, and the counts of its cells."""
    with sigdb.connect("a.duckdb") as con:
        return con.execute(
            """SELECT barcode, n_counts, n_genes, gene_id, score FROM cells LEFT JOIN attributions USING (cell_id)
            WHERE study = ? ORDER BY ALL""",
            [study],
        ).fetchall()


def with_antibodies(adata):
    """Three antibodies that are called like genes, with high counts."""
    x = hstack([adata.X, np.full((40, 3), 1000.0)], format="csr")
    var = pd.DataFrame({"feature_types": ["Gene Expression"] * 30 + ["Antibody Capture"] * 3})
    return anndata.AnnData(x, obs=adata.obs, var=var.set_axis([*GENES, "CD14", "CD2", "LYZ"]))


def with_another_genome(adata):
    x = hstack([adata.X, np.full((40, 2), 7.0)], format="csr")
    return anndata.AnnData(
        x, adata.obs, pd.DataFrame(index=[*(f"GRCh38_{gene}" for gene in GENES), "mm10_a", "mm10_b"])
    )


def with_cut_layer(adata):
    """The counts of a few genes, beside those of all in raw."""
    adata.raw = adata.copy()
    adata.layers["counts"] = adata.X.copy()
    adata.X = adata.X * 0.3
    return adata[:, :15].copy()


ODD_COUNTS = {
    "antibodies": (with_antibodies, (), "3 of 33 columns are not genes and are left out: 3 Antibody Capture"),
    "genomes": (with_another_genome, ("--layer", "GRCh38"), "2 columns of other genomes are left out: 2 mm10"),
    "cut layer": (with_cut_layer, (), "taken from raw/X, which has 30 columns; layers/counts has counts of only 15"),
}


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_odd_counts_have_the_scores_of_plain_ones(tmp_path, sigdb_ingest):
    ingest_and_read(sigdb_ingest, of()(tmp_path), "--study", "plain", study="plain")
    for study, (change, options, note) in ODD_COUNTS.items():
        out, _ = ingest_and_read(sigdb_ingest, of(change, write_whole)(tmp_path), "--study", study, *options)
        assert note in out
        assert study_scores(study) == study_scores("plain")


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_what_is_odd_about_columns_and_cells_is_noted(tmp_path, sigdb_ingest):
    def change(adata):
        x = (adata.X > 0).astype(np.float32)
        adata = anndata.AnnData(x, obs=adata.obs, var=adata.var)
        adata.var_names = [*GENES[:26], "CD20", "HLA.DRA", "1-Mar", "CD14"]
        return adata

    out, _ = ingest_and_read(sigdb_ingest, of(change)(tmp_path))
    assert "2 of 30 columns have names that no human gene has: 1 with dots, which R writes for dashes" in out
    assert "2 columns are added up to 1 genes: CD14, CD14" in out
    assert "1 columns are ignored, as their genes have a better name: CD20" in out
    assert "39 of 40 cells have fewer than 100 counts" in out
    assert "every count of every cell is 1: was the matrix made binary?" in out
