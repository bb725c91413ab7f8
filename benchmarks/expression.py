"""Signatures by attribution and by expression, on the bundled studies: depth, variance within types, AUROC.

Measures each signature in each study that has the population it marks (`sigdb.against_expression`). Across studies, it
measures the AUROC of the population of all studies against all other cells of these studies, with unscaled scores.
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
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.stats import mannwhitneyu
from sqlglot import exp

import sigdb
from sigdb.findings.expression import expression_scores, signature_columns
from sigdb.scores.options import score_parameters
from sigdb.statements import ask, parse_condition

if TYPE_CHECKING:
    import duckdb

METHODS = ("attribution", "mean_log", "score_genes", "ucell")
MEASURES = ("auroc", "depth_rho", "depth_rho_within", "within_variance")
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


def counts_of(study: str) -> anndata.AnnData:
    """A bundled study."""
    return anndata.read_h5ad(str(files("ingest") / "demo" / "studies" / f"{study}.h5ad"))


def studies_of(con: duckdb.DuckDBPyConnection, types: str) -> list[str]:
    """The studies that have cells of these types and of other types."""
    query = exp.select("study").from_("cells").group_by("study").order_by("study")
    marked = parse_condition(f"bool_or(cell_type IN ({types})) AND bool_or(cell_type NOT IN ({types}))")
    return ask(con, query.having(marked), {}).column("study")


def compare(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """One row per signature, study and method, and one across the studies of a signature, which has an AUROC only."""
    rows = []
    for name, (listed, types) in SIGNATURES.items():
        genes = listed if listed == "MS1" else listed.split()
        studies = studies_of(con, types)
        for study in studies:
            found = sigdb.against_expression(
                con, counts_of(study), genes, study=study, population=f"cell_type IN ({types})", **OPTIONS
            )
            rows += [{"signature": name, "study": study, **row} for row in found.table.to_pylist()]
        if len(studies) > 1:
            rows += [{"signature": name, "study": "across", **row} for row in across(con, genes, types, studies)]
    return rows


def across(
    con: duckdb.DuckDBPyConnection, genes: str | list[str], types: str, studies: list[str]
) -> list[dict[str, Any]]:
    """AUROC of the population over the pooled cells of all studies, with unscaled scores."""
    pooled: dict[str, list[np.ndarray]] = {method: [] for method in METHODS}
    con.register("scores", sigdb.score(con, **score_parameters(con, genes, **OPTIONS)))
    marked = []
    wanted = [each.strip("' ") for each in types.split(",")]
    for study in studies:
        query = "SELECT barcode, score, cell_type FROM cells JOIN scores USING (cell_id) WHERE study = ?"
        barcodes, scores, labels = con.execute(query, [study]).fetchnumpy().values()
        adata = counts_of(study)[barcodes]
        values = expression_scores(
            adata, signature_columns(con, adata.var_names.tolist(), score_parameters(con, genes, **OPTIONS)["genes"])
        )
        for method, each in {"attribution": scores, **values}.items():
            pooled[method].append(each)
        marked.append(np.isin(labels.astype(str), wanted))
    con.unregister("scores")
    own = np.concatenate(marked)
    found = []
    for method, parts in pooled.items():
        each = np.concatenate(parts)
        auroc = mannwhitneyu(each[own], each[~own]).statistic / (own.sum() * (~own).sum())
        found.append({"method": method, "n_cells": len(own), "n_marked": int(own.sum()), "auroc": float(auroc)})
    return found


def medians(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Medians over signatures and studies, by method. For correlations, the median of the absolute values."""
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
    for measure in MEASURES:
        table = Table("signature", "study", "cells", "marked", *METHODS, box=box.SIMPLE_HEAD, title=measure)
        for name, study in dict.fromkeys((row["signature"], row["study"]) for row in rows):
            found = {row["method"]: row for row in rows if (row["signature"], row["study"]) == (name, study)}
            values = [found[method].get(measure) for method in METHODS]
            if any(value is not None for value in values):
                sizes = (str(found["attribution"][size]) for size in ("n_cells", "n_marked"))
                table.add_row(name, study, *sizes, *("" if value is None else f"{value:.3f}" for value in values))
        console.print(table)
    within = [row for row in rows if row["study"] != "across"]
    table = Table("median (of |rho|) over signatures and studies", *MEASURES, box=box.SIMPLE_HEAD)
    for method, values in medians(within).items():
        table.add_row(method, *(f"{value:.3f}" for value in values.values()))
    console.print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps({"medians": medians(within), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
