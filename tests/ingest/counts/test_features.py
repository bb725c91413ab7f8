"""Which columns of a matrix are genes, by what a file says of them."""

from __future__ import annotations

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix, hstack

from ingest.counts.open import open_counts
from sigdb.errors import CountsError, OptionError
from tests.ingest.conftest import GENES, small_adata, small_counts
from tests.support.formats import WRITERS, cell_ranger_h5, h5ad, matrix_folder

# Antibodies that are called like three of the genes.
ANTIBODIES = ["CD14", "CD2", "CD3E"]


def with_antibodies(columns: dict[str, tuple[object, object]]) -> anndata.AnnData:
    """The small study and 1000 counts of each antibody in each cell; columns of var: (of genes, of antibodies)."""
    adata = small_adata()
    var = {name: [of_genes] * 30 + [of_others] * 3 for name, (of_genes, of_others) in columns.items()}
    x = hstack([adata.X, csr_matrix(np.full((40, 3), 1000, np.float32))], format="csr")
    return anndata.AnnData(x, obs=adata.obs, var=pd.DataFrame(var, index=[*GENES, *ANTIBODIES]))


def read(path, layer=None):
    with open_counts(path, layer=layer) as file:
        return file.read(0, 99).toarray(), file.var_names, file.notes


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize(
    ("columns", "note"),
    [
        ({"feature_types": ("Gene Expression", "Antibody Capture")}, "3 Antibody Capture"),
        ({"feature_type": ("gene_expression", "CRISPR Guide Capture")}, "3 CRISPR Guide Capture"),
        ({"feature_types-0": ("GENE EXPRESSION", "Multiplexing capture")}, "3 Multiplexing capture"),
        ({"Feature.Types": ("Gene Expression", "Something new")}, "3 Something new"),
        ({"modality": ("RNA", "ADT")}, "3 ADT"),
        ({"modality": ("rna", "Peaks")}, "3 Peaks"),
        ({"assay": ("GEX", "HTO")}, "3 HTO"),
        ({"kit": ("Gene Expression", "Antibody Capture")}, "3 Antibody Capture"),
        ({"feature_biotype": ("gene", "spike-in"), "feature_type": ("protein_coding", "synthetic")}, "3 spike-in"),
        ({"gene_type": ("protein_coding", "surface protein")}, "3 surface protein"),
        ({"gene_type": ("gene with protein product", "protein")}, "3 protein"),
        ({"class": ("gene", "surface protein")}, "3 surface protein"),
        ({"feature_types": (np.nan, "Antibody Capture")}, "3 Antibody Capture"),
        ({"feature_types": ("Gene Expression", None)}, "3 of unknown kind"),
        ({"a": (1.0, 2.0), "modality": ("RNA", "RNA"), "feature_types": ("", "Custom")}, "3 Custom"),
    ],
)
def test_only_genes_are_counted(tmp_path, columns, note):
    adata = with_antibodies(columns)
    if "modality" in columns:
        adata.var["modality"] = adata.var["modality"].astype("category")
    counts, names, notes = read(h5ad(adata, tmp_path / "a"))
    np.testing.assert_array_equal(counts, small_counts().toarray())
    assert names == tuple(GENES)
    assert notes == (f"3 of 33 columns are not genes and are left out: {note}",)


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"feature_types": (np.nan, np.nan)},
        {"feature_type": ("protein_coding", "lncRNA")},
        {"gene_biotype": ("gene", "pseudogene")},
        {"features": ("RNA", "BCR")},
        {"feature_name": ("ERCC1", "HTO")},
        {"modality": (1, 2)},
    ],
)
def test_columns_that_may_be_genes_are_counted(tmp_path, columns):
    counts, names, notes = read(h5ad(with_antibodies(columns), tmp_path / "a"))
    assert counts.shape == (40, 33)
    assert names == (*GENES, *ANTIBODIES)
    assert notes == ()


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_columns_without_a_type_are_genes_unless_a_gene_has_their_name(tmp_path):
    adata = with_antibodies({"feature_types": ("Gene Expression", None)})
    adata.var_names = [*GENES, "CD14", "CD4", "CD19"]
    _, names, notes = read(h5ad(adata, tmp_path / "a"))
    assert names == (*GENES, "CD4", "CD19")
    assert notes[1] == "2 columns are taken as genes, though the file does not say what they are"


@pytest.mark.parametrize("form", ["Cell Ranger 3 h5", "Cell Ranger 3 mtx", "h5ad csc", "zarr 3 dense"])
def test_what_is_left_out_is_noted_in_every_format(tmp_path, form):
    adata = small_adata()
    adata.var["feature_type"] = ["Gene Expression"] * 25 + ["Antibody Capture"] * 3 + ["Custom", "Peaks"]
    counts, names, notes = read(WRITERS[form](adata, tmp_path / "a"))
    np.testing.assert_array_equal(counts, small_counts().toarray()[:, :25])
    assert names == tuple(GENES[:25])
    assert notes == ("5 of 30 columns are not genes and are left out: 3 Antibody Capture, 1 Custom, 1 Peaks",)


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_types_of_var_hold_for_raw(tmp_path):
    """Raw has counts; its table says nothing of its columns. A column that was cut from var is known by its name."""
    adata = with_antibodies({"feature_types": ("Gene Expression", "Antibody Capture")})
    raw = anndata.AnnData(adata.X, obs=adata.obs, var=pd.DataFrame(index=adata.var_names))
    adata.X, adata.raw = adata.X * 0.5, raw
    adata.write_h5ad(tmp_path / "same.h5ad")
    assert read(tmp_path / "same.h5ad")[1] == tuple(GENES)
    cut = adata[:, 3:].copy()
    cut.var_names = [*GENES[3:], "x", "y", "z"]
    cut.raw.var.index = [*GENES, "x", "y", "z"]
    cut.write_h5ad(tmp_path / "cut.h5ad")
    _, names, notes = read(tmp_path / "cut.h5ad")
    assert names == tuple(GENES)
    assert notes[0] == "3 of 33 columns are not genes and are left out: 3 Antibody Capture"
    assert notes[1] == "3 columns are taken as genes, though the file does not say what they are"


def test_spike_ins_are_known_by_their_names(tmp_path):
    adata = small_adata()
    adata.var_names = [*GENES[:27], "ERCC-00002", "ERCC-00130", "ERCC1"]
    _, names, notes = read(h5ad(adata, tmp_path / "a"))
    assert names == (*GENES[:27], "ERCC1")
    assert notes == ("2 of 30 columns are not genes and are left out: 2 spike-in",)


def test_a_file_without_genes_is_refused(tmp_path):
    adata = small_adata()
    adata.var["modality"] = ["ADT"] * 20 + ["HTO"] * 10
    with pytest.raises(CountsError, match="has 30 columns, but none that is a gene: 20 ADT, 10 HTO"):
        read(h5ad(adata, tmp_path / "a"))


PREFIXES = [("GRCh38_", "mm10___"), ("GRCh38-", "mm10---"), ("hg19_", "mm10_"), ("HUMAN_", "MOUSE_")]
PREFIXES += [("GRCh38-2020-A_", "mm10-2020-A_"), ("GRCh38.", "GRCm39.")]


@pytest.mark.parametrize("write", [h5ad, matrix_folder])
@pytest.mark.parametrize("prefixes", PREFIXES)
def test_one_of_several_genomes_is_chosen_by_the_prefixes_of_genes(tmp_path, write, prefixes):
    adata = small_adata()
    adata.var_names = [prefixes[n >= 20] + gene for n, gene in enumerate(GENES)]
    path = write(adata, tmp_path / "a")
    human, mouse = (prefix.rstrip("_-.") for prefix in prefixes)
    with pytest.raises(OptionError, match=rf"genes of 2 genomes: {human}, {mouse}\. Choose one with `layer`"):
        read(path)
    counts, names, notes = read(path, human)
    np.testing.assert_array_equal(counts, small_counts().toarray()[:, :20])
    assert names == tuple(GENES[:20])
    assert notes == (f"10 columns of other genomes are left out: 10 {mouse}",)
    with pytest.raises(OptionError, match=rf"'{human}x' \(`layer`\)\. Did you mean '{human}'\?"):
        read(path, f"{human}x")


def test_genomes_of_var(tmp_path):
    adata = small_adata()
    adata.var["genome"] = pd.Categorical(["GRCh38"] * 20 + ["mm10"] * 10)
    adata.layers["umi"] = adata.X
    adata.write_h5ad(tmp_path / "a.h5ad")
    assert read(tmp_path / "a.h5ad", "mm10")[1] == tuple(GENES[20:])
    with pytest.raises(OptionError, match=r"2 genomes: GRCh38, mm10\. Leave `layer` out"):
        read(tmp_path / "a.h5ad", "umi")
    with pytest.raises(OptionError, match=r"no matrix 'mm9' .* It has: umi, X\. Its genomes are: GRCh38, mm10"):
        read(tmp_path / "a.h5ad", "mm9")


@pytest.mark.parametrize("genomes", [["GRCh38"], ["GRCh38", "hg19"], ["GRCh38", None]])
def test_one_species_needs_no_choice(tmp_path, genomes):
    adata = small_adata()
    adata.var["genome"] = [genomes[n % len(genomes)] for n in range(30)]
    adata.var_names = [f"GRCh38_{gene}" for gene in GENES]
    assert read(h5ad(adata, tmp_path / "a"))[1:] == (tuple(GENES), ())


def test_the_matrix_of_cellbender_has_no_features(tmp_path):
    path = cell_ranger_h5(small_adata(), tmp_path / "a", 2)
    with h5py.File(path, "a") as file:
        file.move("GRCh38", "matrix")
    counts, names, _ = read(path)
    assert names == tuple(GENES)
    np.testing.assert_array_equal(counts, small_counts().toarray())


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize(
    "columns",
    [
        {"gene_type": ("gene with protein product", "RNA, long non-coding")},
        {"gene_biotype": ("protein_coding", "guide_RNA")},
        {"class": ("surface protein", "receptor")},
        {"gene_class": ("Cell surface antigen", "kinase")},
    ],
)
def test_what_is_said_of_genes_leaves_none_out(tmp_path, columns):
    with open_counts(h5ad(with_antibodies(columns), tmp_path)) as file:
        assert not any("left out" in note for note in file.notes)
