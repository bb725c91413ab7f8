"""Signatures by attribution and by expression, on the bundled studies: depth, variance within types, AUROC.

Measures each signature in each study that has the population it marks: the AUROC of these cells against the others, the
part of the variance that is within cell types, and the correlation of the score with the depth of the cells. The latter
is Spearman's rho within each cell type. Its absolute values are averaged, weighted by cells, over the types that the
signature marks and over the others; with their signs, types of opposite correlation would cancel out. Across studies,
it measures the AUROC over the cells of all studies, with unscaled scores.

Signatures are MS1 and textbook markers, which were chosen before the first measurement. The demonstration model never
saw the annotation.

    python -m benchmarks.expression demo.duckdb --json expression.json
"""

from __future__ import annotations

import argparse
import json
import warnings
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr
from sqlglot import exp

import sigdb
from sigdb.findings.expression import expression_scores, measure, signature_columns
from sigdb.scores.options import score_parameters
from sigdb.statements import ask, parse_condition

if TYPE_CHECKING:
    import duckdb

METHODS = ("attribution", "z", "mean_log", "score_genes", "ucell")
MEASURES = ("auroc", "within_variance", "depth_marked", "depth_others", "depth_signed")
# Cell types with fewer cells are left out of the correlations with depth.
MIN_CELLS = 10
# signature: its genes (or its name in the library), and the cell types that it should mark.
SIGNATURES = {
    "T cell": (
        "CD3D CD3E CD3G CD2 CD5 CD6 TRAT1 IL7R",
        "'CD8_T', 'CD4_T', 'Treg', 'gdT', 't_cell', 'CD4+/CD25 T Reg', 'CD8+ Cytotoxic T', 'CD4+/CD45RO+ Memory', "
        "'CD8+/CD45RA+ Naive Cytotoxic', 'CD4+/CD45RA+/CD25- Naive T'",
    ),
    "B cell": ("MS4A1 CD79A CD79B CD19 BANK1 CD22 TCL1A", "'B_memory', 'B_naive', 'B_GC', 'CD19+ B'"),
    "NK cell": ("NKG7 GNLY PRF1 KLRD1 KLRF1 GZMB FGFBP2", "'NK', 'CD56+ NK'"),
    "myeloid": (
        "LYZ CD14 FCN1 S100A8 S100A9 CST3 AIF1 TYROBP",
        "'CD14+ Monocyte', 'MDC', 'macrophage', 'Microglia/Macrophage'",
    ),
    "MS1": ("MS1", "'CD14+ Monocyte', 'MDC', 'macrophage', 'Microglia/Macrophage'"),
    "endocrine": ("CHGA CHGB SCG2 SCG5 PCSK1N INSM1", "'alpha', 'beta', 'delta', 'gamma', 'epsilon'"),
}
OPTIONS: dict[str, Any] = {"missing": "ignore"}
SCORES = """
    SELECT study, barcode, cell_type, n_counts, score AS attribution, z
    FROM signature_hits($genes, missing := 'ignore') JOIN cells USING (cell_id)
    WHERE list_contains($studies, study)
"""


def counts_of(study: str) -> anndata.AnnData:
    """A bundled study."""
    return anndata.read_h5ad(str(files("ingest") / "demo" / "studies" / f"{study}.h5ad"))


def studies_of(con: duckdb.DuckDBPyConnection, types: str) -> list[str]:
    """The studies that have cells of these types and of other types."""
    query = exp.select("study").from_("cells").group_by("study").order_by("study")
    marked = parse_condition(f"bool_or(cell_type IN ({types})) AND bool_or(cell_type NOT IN ({types}))")
    return ask(con, query.having(marked), {}).column("study")


def compare(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """One row per signature, study and method, and one across studies, which has no correlations with depth."""
    rows = []
    for name, (listed, types) in SIGNATURES.items():
        genes = score_parameters(con, listed if listed == "MS1" else listed.split(), **OPTIONS)["genes"]
        scores = scores_of(con, genes, studies_of(con, types))
        scores["marked"] = scores["cell_type"].isin([each.strip("' ") for each in types.split(",")])
        for study, cells in scores.groupby("study"):
            about = {"signature": name, "study": study}
            rows += [{**about, "method": each, **measures_of(cells, each), **depths(cells, each)} for each in METHODS]
        if scores["study"].nunique() > 1:
            about = {"signature": name, "study": "across"}
            rows += [{**about, "method": each, **measures_of(scores, each)} for each in METHODS]
    return rows


def scores_of(con: duckdb.DuckDBPyConnection, genes: list[str], studies: list[str]) -> pd.DataFrame:
    """The scores of the cells of these studies by every method: study, barcode, cell_type, n_counts and METHODS."""
    found = con.execute(SCORES, {"genes": genes, "studies": studies}).df()
    tables = []
    for study, cells in found.groupby("study"):
        adata = counts_of(str(study))[cells["barcode"].to_list()]
        values = expression_scores(adata, signature_columns(con, adata.var_names.tolist(), genes))
        tables.append(cells.assign(**values))
    return pd.concat(tables, ignore_index=True)


def measures_of(cells: pd.DataFrame, method: str) -> dict[str, Any]:
    """Numbers of cells, AUROC and part of the variance within types, of one method."""
    found = measure(*(cells[name].to_numpy() for name in (method, "n_counts", "cell_type", "marked")))
    return {name: found[name] for name in ("n_cells", "n_marked", "auroc", "within_variance")}


def depths(cells: pd.DataFrame, method: str) -> dict[str, float | None]:
    """Mean correlation with depth within cell types: absolute, in marked and in other types, and signed, in all."""
    rows = []
    for _, group in cells.groupby("cell_type", observed=True):
        if len(group) >= MIN_CELLS and np.ptp(group[method]) > 0 and np.ptp(group["n_counts"]) > 0:
            rows.append((spearmanr(group[method], group["n_counts"]).statistic, len(group), group["marked"].iloc[0]))
    rho, sizes, marked = map(np.array, zip(*rows, strict=True))
    return {
        "depth_marked": weighted(np.abs(rho[marked]), sizes[marked]),
        "depth_others": weighted(np.abs(rho[~marked]), sizes[~marked]),
        "depth_signed": weighted(rho, sizes),
    }


def weighted(values: np.ndarray, weights: np.ndarray) -> float | None:
    """The weighted mean; None if there are no values."""
    return float(np.average(values, weights=weights)) if len(values) else None


def medians(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Medians over signatures and studies, by method; of depth_signed, the median of the absolute values."""
    return {method: {each: middle(rows, method, each) for each in MEASURES} for method in METHODS}


def middle(rows: list[dict[str, Any]], method: str, measure: str) -> float:
    """The median of one measure of one method."""
    values = [row[measure] for row in rows if row["method"] == method and row[measure] is not None]
    return float(np.median(np.abs(values)))


def main() -> None:
    """Print the measures of each method, side by side; write all figures as JSON."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("atlas", type=Path)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    with sigdb.connect(arguments.atlas) as con:
        rows = compare(con)
    console = Console(width=200)
    for each in MEASURES:
        table = Table("signature", "study", "cells", "marked", *METHODS, box=box.SIMPLE_HEAD, title=each)
        for name, study in dict.fromkeys((row["signature"], row["study"]) for row in rows):
            found = {row["method"]: row for row in rows if (row["signature"], row["study"]) == (name, study)}
            values = [found[method].get(each) for method in METHODS]
            if any(value is not None for value in values):
                sizes = (str(found["attribution"][size]) for size in ("n_cells", "n_marked"))
                table.add_row(name, study, *sizes, *("" if value is None else f"{value:.3f}" for value in values))
        console.print(table)
    within = [row for row in rows if row["study"] != "across"]
    table = Table("median over signatures and studies", *MEASURES, box=box.SIMPLE_HEAD)
    for method, values in medians(within).items():
        table.add_row(method, *(f"{value:.3f}" for value in values.values()))
    console.print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps({"medians": medians(within), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
