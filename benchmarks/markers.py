"""Do attributions tell cell types apart by their markers better than expression does? Measured on the demo atlas.

The demonstration model never saw the annotation when it was trained, but its settings were chosen with the annotation
in view. The markers were listed before any training. A marker belongs to some cell types of a study. In each cell, the
marker is ranked among the genes that the cell expresses (0 to 1; 0 if the marker is not expressed), by absolute
attribution and by expression. *Separation* is the mean rank in the marker's own types minus the mean rank in the
others. *AUROC* compares own types with others by the score or the log-expression itself.

    python -m benchmarks.markers demo.duckdb --json markers.json
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_matrix
from scipy.stats import mannwhitneyu, rankdata

import sigdb
from ingest.counts.open import open_counts
from ingest.genes import map_genes
from ingest.models import Normalisation

if TYPE_CHECKING:
    import duckdb

BARON, BASSEZ, TIROSH = "baron2016_pancreas", "bassez2021_breast_tme", "tirosh2016_oligodendroglioma"
WU, ZHENG = "wu2020_tcell", "zheng2017_pbmc68k"
ZHENG_T = (
    *("CD4+/CD25 T Reg", "CD8+ Cytotoxic T", "CD8+/CD45RA+ Naive Cytotoxic"),
    *("CD4+/CD45RO+ Memory", "CD4+/CD45RA+/CD25- Naive T"),
)
BASSEZ_B = ("B_memory", "B_naive", "B_GC")

# study, column of cells, its own types, markers
MARKERS = [
    (ZHENG, "cell_type", ZHENG_T, "CD3D CD3E"),
    (ZHENG, "cell_type", ("CD19+ B",), "MS4A1 CD79A CD79B"),
    (ZHENG, "cell_type", ("CD56+ NK", "CD8+ Cytotoxic T"), "NKG7 GNLY PRF1"),
    (ZHENG, "cell_type", ("CD14+ Monocyte", "Dendritic"), "LYZ CST3"),
    (ZHENG, "cell_type", ("CD14+ Monocyte",), "S100A8 S100A9 FCN1"),
    (ZHENG, "cell_type", ("Dendritic",), "FCER1A"),
    (BASSEZ, "cell_type", ("CD8_T", "CD4_T", "Treg", "gdT"), "CD3D"),
    (BASSEZ, "cell_type", BASSEZ_B, "MS4A1"),
    (BASSEZ, "cell_type", (*BASSEZ_B, "plasma"), "CD79A"),
    (BASSEZ, "cell_type", ("plasma",), "MZB1 JCHAIN"),
    (BASSEZ, "cell_type", ("NK",), "NKG7 GNLY KLRF1"),
    (BASSEZ, "cell_type", ("CD8_T",), "CD8A"),
    (BASSEZ, "cell_type", ("Treg",), "FOXP3 IL2RA CTLA4"),
    (BASSEZ, "cell_type", ("MDC",), "LYZ S100A8 CD14 C1QA CD68"),
    (BASSEZ, "cell_type", ("pDC",), "LILRA4 IL3RA"),
    (BASSEZ, "cell_type", ("mast",), "TPSAB1 KIT"),
    (WU, "cell_type", ("CD8 T",), "CD8A CD8B"),
    (WU, "cell_subtype", ("8.1-Teff",), "NKG7 GNLY GZMB"),
    (WU, "cell_subtype", ("4.6a-Treg", "4.6b-Treg"), "FOXP3 IL2RA"),
    (BARON, "cell_type", ("beta",), "INS IAPP"),
    (BARON, "cell_type", ("alpha",), "GCG"),
    (BARON, "cell_type", ("delta",), "SST"),
    (BARON, "cell_type", ("gamma",), "PPY"),
    (BARON, "cell_type", ("epsilon",), "GHRL"),
    (BARON, "cell_type", ("ductal",), "KRT19 KRT7"),
    (BARON, "cell_type", ("acinar",), "PRSS1 CPA1"),
    (BARON, "cell_type", ("activated_stellate", "quiescent_stellate"), "COL1A1 COL1A2 PDGFRB"),
    (BARON, "cell_type", ("endothelial",), "PECAM1 PLVAP VWF"),
    (BARON, "cell_type", ("macrophage",), "CD68 C1QA TYROBP"),
    (BARON, "cell_type", ("mast",), "TPSAB1 KIT"),
    (BARON, "cell_type", ("schwann",), "SOX10"),
    (TIROSH, "cell_type", ("Oligodendrocytes (non-malignant)",), "MBP PLP1 MOG MAG"),
    (TIROSH, "cell_type", ("Microglia/Macrophage",), "CD14 CSF1R C1QA AIF1 TYROBP"),
    (TIROSH, "cell_type", ("malignant",), "PDGFRA"),
]

SCORES = """
    SELECT cell_id - min(cell_id) OVER () AS cell, gene_id, abs(score) AS score
    FROM attributions JOIN cells USING (cell_id) WHERE study = ?
"""


@dataclass(frozen=True)
class Comparison:
    """One marker in one study: mean within-cell ranks, and AUROC, by attribution and by expression."""

    study: str
    types: str
    gene: str
    own_attribution: float
    other_attribution: float
    own_expression: float
    other_expression: float
    auroc_attribution: float
    auroc_expression: float

    @property
    def separation(self) -> tuple[float, float]:
        """Own minus other rank, by attribution and by expression."""
        return self.own_attribution - self.other_attribution, self.own_expression - self.other_expression


def within_cell_ranks(values: csr_matrix) -> csr_matrix:
    """Replace the stored values of each row by their rank in it, up to 1."""
    ranks = [rankdata(values.data[a:b]) / (b - a) for a, b in zip(values.indptr[:-1], values.indptr[1:], strict=True)]
    return csr_matrix((np.concatenate(ranks), values.indices, values.indptr), shape=values.shape)


def matrices(con: duckdb.DuckDBPyConnection, study: str) -> tuple[csr_matrix, csr_matrix]:
    """|attribution| and log-expression of a study, (n_cells, n_genes): cells by cell_id, genes by gene_id."""
    n_genes = con.execute("SELECT count(*) FROM genes").fetchall()[0][0]
    barcodes = con.execute("SELECT barcode FROM cells WHERE study = ? ORDER BY cell_id", [study]).fetchnumpy()
    with open_counts(files("ingest") / "demo" / "studies" / f"{study}.h5ad") as file:
        (counts,) = file.chunks(file.n_cells)
        expression = Normalisation()(map_genes(con, file.var_names, range(n_genes), min_genes=1)(counts))
        rows = file.take_obs().index.get_indexer(barcodes["barcode"])
    found = con.execute(SCORES, [study]).fetchnumpy()
    places = found["cell"].astype(int), found["gene_id"].astype(int)
    attribution = csr_matrix((found["score"], places), shape=expression.shape)
    attribution.sort_indices()
    return attribution, expression[rows]


def compare(con: duckdb.DuckDBPyConnection) -> list[Comparison]:
    """Compare attribution with expression for all markers."""
    gene_ids = dict(con.execute("SELECT symbol, gene_id FROM genes").fetchall())
    found = []
    for study in (ZHENG, BASSEZ, WU, BARON, TIROSH):
        values = matrices(con, study)
        ranks = [within_cell_ranks(each) for each in values]
        labels = con.execute("SELECT * FROM cells WHERE study = ? ORDER BY cell_id", [study]).fetchnumpy()
        for _, column, types, genes in (marker for marker in MARKERS if marker[0] == study):
            own = np.isin(labels[column].astype(str), types)
            for gene in genes.split():
                by_rank = [np.ravel(each[:, gene_ids[gene]].toarray()) for each in ranks]
                by_value = [np.ravel(each[:, gene_ids[gene]].toarray()) for each in values]
                means = [mean for each in by_rank for mean in (each[own].mean(), each[~own].mean())]
                pairs = own.sum() * (~own).sum()
                aurocs = [mannwhitneyu(each[own], each[~own]).statistic / pairs for each in by_value]
                found.append(Comparison(study, ", ".join(types), gene, *map(float, (*means, *aurocs))))
    return found


def summary(found: list[Comparison]) -> dict[str, float]:
    """Summary of the comparisons: numbers of markers, and medians over the markers."""
    separation = np.array([each.separation for each in found])
    own = np.array([(each.own_attribution, each.own_expression) for each in found])
    auroc = np.array([(each.auroc_attribution, each.auroc_expression) for each in found])
    return {
        "markers": len(found),
        "higher in own types": int((separation[:, 0] > 0).sum()),
        "separate better": int((separation[:, 0] > separation[:, 1]).sum()),
        "separation": float(np.median(separation[:, 0])),
        "by expression": float(np.median(separation[:, 1])),
        "own rank": float(np.median(own[:, 0])),
        "own rank by expression": float(np.median(own[:, 1])),
        "AUROC": float(np.median(auroc[:, 0])),
        "AUROC by expression": float(np.median(auroc[:, 1])),
    }


def by_study(found: list[Comparison]) -> dict[str, dict[str, float]]:
    """The summary of each study, and of all studies."""
    studies = dict.fromkeys(each.study for each in found)
    return {name: summary([each for each in found if each.study == name]) for name in studies} | {"all": summary(found)}


def print_markers(console: Console, found: list[Comparison]) -> None:
    """Print one row per marker."""
    columns = ("study", "own types", "marker", "separation", "by expression", "AUROC", "by expression")
    table = Table(*columns, box=box.SIMPLE_HEAD)
    for each in found:
        numbers = (*each.separation, each.auroc_attribution, each.auroc_expression)
        table.add_row(each.study, each.types[:30], each.gene, *(f"{number:.3f}" for number in numbers))
    console.print(table)


def main() -> None:
    """Print one row per study and, with --all, one per marker. Write both as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("atlas", type=Path)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--all", action="store_true", help="also print one row per marker")
    arguments = parser.parse_args()
    with sigdb.connect(arguments.atlas) as con:
        found = compare(con)
    console, rows = Console(width=180), by_study(found)
    if arguments.all:
        print_markers(console, found)
    table = Table("study", *rows["all"], box=box.SIMPLE_HEAD)
    for study, row in rows.items():
        table.add_row(study, *(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    console.print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps({"by_study": rows, "markers": [asdict(each) for each in found]}, indent=1))


if __name__ == "__main__":
    main()
