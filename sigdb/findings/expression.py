"""The same signature by expression, where a study's counts are at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pyarrow as pa
from sqlglot import exp

from sigdb.errors import QueryError, needs_extra
from sigdb.scores.engine import score
from sigdb.scores.options import Options, score_parameters
from sigdb.statements import ask, parse_condition, parse_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata
    import duckdb
    from numpy.typing import NDArray

__all__ = ["against_expression", "expression_scores"]


def against_expression(
    con: duckdb.DuckDBPyConnection,
    adata: anndata.AnnData,
    genes: str | Sequence[str],
    *,
    study: str,
    population: str,
    layer: str | None = None,
    **options: Unpack[Options],
) -> pa.Table:
    """Compare the attribution score of a signature with three scores of expression, in the cells of one study.

    adata: the study's raw counts (cells by genes), in X or `layer`, with the barcodes of the atlas as obs_names.
    population: a SQL condition on `cells`, the cells that the signature should mark. Genes are those that are in adata
    and known to the atlas's model. A row a method: attribution, mean_log (log1p of counts per 10,000), scanpy's
    score_genes, and UCell (pyucell); columns:
    depth_rho: Spearman correlation of the score with n_counts; depth_rho_within: the mean of that within cell types,
    weighted by cells (types of 10 or more); within_variance: the part of the variance that is within cell types;
    auroc: of the population against the study's other cells. Values may be null where a score does not vary.
    Raises QueryError if cells or genes do not fit, and MissingDependencyError without the extra `expression`.
    """
    query = exp.select("cell_id", "barcode", "n_counts", "cell_type").from_("cells")
    marked = exp.alias_(
        exp.Coalesce(this=exp.Paren(this=parse_condition(population)), expressions=[exp.false()]), "marked"
    )
    query = query.select(marked).where(exp.column("study").eq(exp.Placeholder(this="study"))).order_by("cell_id")
    cells = ask(con, query, {"study": study}).table
    places = {name: place for place, name in enumerate(adata.obs_names)}
    if cells.num_rows == 0 or any(barcode not in places for barcode in cells["barcode"].to_pylist()):
        raise QueryError(f"The cells of adata are not those of {study}: obs_names must hold the barcodes of the atlas.")
    if cells["n_counts"].null_count:
        raise QueryError(f"Depth is not known of cells of {study}, whose scores were loaded without counts (n_counts).")
    rows = [places[barcode] for barcode in cells["barcode"].to_pylist()]
    names = names_in(con, adata.var_names.tolist(), score_parameters(con, genes, **options))
    values = expression_scores(adata[rows], names, layer=layer)
    attribution = dict(zip(*(score_of(con, genes, options)), strict=True))
    methods = {"attribution": np.array([attribution.get(c, np.nan) for c in cells["cell_id"].to_pylist()]), **values}
    labels = {name: cells[name].to_numpy(zero_copy_only=False) for name in ("n_counts", "cell_type", "marked")}
    found = [{"method": name, "n_genes": len(names), **measures(each, **labels)} for name, each in methods.items()]
    return pa.Table.from_pylist(found)


def score_of(
    con: duckdb.DuckDBPyConnection, genes: str | Sequence[str], options: Options
) -> tuple[list[int], list[float]]:
    """cell_id and attribution score of all cells."""
    table = score(con, **score_parameters(con, genes, **options))
    return table["cell_id"].to_pylist(), table["score"].to_pylist()


def names_in(con: duckdb.DuckDBPyConnection, var_names: list[str], parameters: dict[str, Any]) -> list[str]:
    """The columns of a matrix that are genes of a signature, whatever names both use; QueryError if there is none."""
    resolved = parse_statement("findings/resolved_names")
    wanted, there = (
        ask(con, resolved, {"names": names}).column("gene_id") for names in (parameters["genes"], var_names)
    )
    names = [name for name, gene in zip(var_names, there, strict=True) if gene is not None and gene in set(wanted)]
    if not names:
        raise QueryError("None of the genes of the signature is in var_names of adata.")
    return names


def expression_scores(
    adata: anndata.AnnData, names: Sequence[str], *, layer: str | None = None
) -> dict[str, NDArray[np.float64]]:
    """Scores of a signature by expression, (n_cells,) each: mean_log, score_genes (seed 0), ucell."""
    with needs_extra("expression"):
        import pyucell
        import scanpy
    work = adata.copy()
    if layer is not None:
        work.X = work.layers[layer].copy()
    pyucell.compute_ucell_scores(work, signatures={"s": list(names)}, n_jobs=1)
    scanpy.pp.normalize_total(work, target_sum=1e4)
    scanpy.pp.log1p(work)
    scanpy.tl.score_genes(work, list(names), score_name="score_genes", random_state=0)
    mean = np.asarray(work[:, list(names)].X.mean(axis=1), dtype=float).ravel()
    return {
        "mean_log": mean,
        "score_genes": work.obs["score_genes"].to_numpy(float),
        "ucell": work.obs["s_UCell"].to_numpy(float),
    }


def measures(
    scores: NDArray[np.float64], n_counts: NDArray[np.float64], cell_type: NDArray[Any], marked: NDArray[Any]
) -> dict[str, float | int | None]:
    """Depth effect, variance within types, and AUROC of one score; cells without a score are left out."""
    with needs_extra("stats"):
        from scipy import stats
    seen = np.isfinite(scores)
    scores, n_counts, marked = scores[seen], n_counts[seen], marked[seen].astype(bool)
    types = np.array([str(each) for each in cell_type[seen]])
    groups = [types == name for name in np.unique(types)]
    within = [
        (float(stats.spearmanr(scores[group], n_counts[group]).statistic), int(group.sum()))
        for group in groups
        if group.sum() >= 10 and np.ptp(scores[group]) > 0 and np.ptp(n_counts[group]) > 0
    ]
    varies = np.ptp(scores) > 0 if len(scores) else False
    residual = sum(((scores[group] - scores[group].mean()) ** 2).sum() for group in groups)
    pairs = int(marked.sum()) * int((~marked).sum())
    return {
        "n_cells": len(scores),
        "n_marked": int(marked.sum()),
        "depth_rho": float(stats.spearmanr(scores, n_counts).statistic) if varies else None,
        "depth_rho_within": weighted_mean(within),
        "within_variance": float(residual / ((scores - scores.mean()) ** 2).sum()) if varies else None,
        "auroc": float(stats.mannwhitneyu(scores[marked], scores[~marked]).statistic / pairs) if pairs else None,
    }


def weighted_mean(pairs: list[tuple[float, int]]) -> float | None:
    """The mean of (value, weight) pairs, None if there is none."""
    return sum(value * weight for value, weight in pairs) / sum(weight for _, weight in pairs) if pairs else None
