"""The score of a signature by attribution beside its scores by expression, in a study whose counts are available."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pyarrow as pa
from sqlglot import exp

from sigdb.errors import QueryError, listed, needs_extra
from sigdb.findings.columns import choose_cells, is_chosen
from sigdb.scores.names import ask_scores
from sigdb.scores.options import ScoreOptions, check_options, score_parameters
from sigdb.statements import ask, parse_statement
from sigdb.text import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata
    import duckdb
    from numpy.typing import NDArray

    from sigdb.answers import Answer
    from sigdb.scores.members import Genes

__all__ = ["against_expression", "expression_scores", "signature_columns"]


def against_expression(
    con: duckdb.DuckDBPyConnection,
    adata: anndata.AnnData,
    genes: Genes,
    *,
    study: str,
    population: str,
    layer: str | None = None,
    **options: Unpack[ScoreOptions],
) -> Answer:
    """Compare the attribution score of a signature with three scores of its expression, in the cells of one study.

    The methods are attribution, mean_log (the mean of log1p of counts per 10,000), score_genes (scanpy) and ucell
    (pyucell). Expression is scored over the genes that are both in `adata` and in the atlas.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    adata : anndata.AnnData
        The raw counts of the study, cells by genes. obs_names are the barcodes of the atlas. It is not changed.
    genes : str, Signature or list of str
        The name of a signature of the library, a `sigdb.Signature`, the name of a gene, or a list of genes.
    study : str
        The name of the study.
    population : str
        A SQL condition on the view `cells`: the cells that the signature should mark.
    layer : str, optional
        The layer of `adata` that holds the counts. Default: X.
    **options
        weights, agg, missing, run, signed, measured_only: see `sigdb.ScoreOptions`. They apply to the attribution
        score; expression is scored without weights.

    Returns
    -------
    Answer
        One row per method: method, n_genes (found in `adata`), n_cells, n_marked (cells of the population),
        depth_rho (Spearman correlation of the score with n_counts), depth_rho_within (the mean of its absolute values
        within cell types of 10 or more cells, weighted by cells; 0 to 1, so that types of opposite sign do not cancel
        out), within_variance (the part of the variance that is within cell types) and auroc (of the population against
        the study's other cells). Values are NULL where a score does not vary.

    Raises
    ------
    QueryError
        If the cells or the genes of `adata` do not fit the study, or if an option cannot be used.
    MissingDependencyError
        If the extra `expression` is not installed.

    Examples
    --------
    >>> import anndata
    >>> from importlib.resources import files
    >>> path = files("ingest") / "demo" / "studies" / "zheng2017_pbmc68k.h5ad"
    >>> found = sigdb.against_expression(
    ...     con,
    ...     anndata.read_h5ad(path),
    ...     ["MS4A1", "CD79A"],
    ...     study="zheng2017_pbmc68k",
    ...     population="cell_type = 'CD19+ B'",
    ... )
    >>> found.column("method")
    ['attribution', 'mean_log', 'score_genes', 'ucell']
    """
    check_options(against_expression, options)
    parameters = score_parameters(con, genes, **options)
    found = ask_scores(con, cells_statement(population), {**parameters, "study": study})
    cells = found.table
    rows = match_barcodes(adata, cells, study)
    columns = signature_columns(con, adata.var_names.tolist(), parameters["genes"])
    scores = {
        "attribution": cells["score"].to_numpy(zero_copy_only=False),
        **expression_scores(adata[rows], columns, layer=layer),
    }
    labels = {name: cells[name].to_numpy(zero_copy_only=False) for name in ("n_counts", "cell_type", "marked")}
    measured = [
        {"method": method, "n_genes": len(columns), **measure(each, **labels)} for method, each in scores.items()
    ]
    note = f"Expression is scored over {len(columns)} genes of adata; {len(parameters['genes'])} names were given."
    return replace(found, table=pa.Table.from_pylist(measured), notes=(note, *found.notes))


def cells_statement(population: str) -> exp.Select:
    """The statement for the cells of a study, with `marked`: whether a cell belongs to a population."""
    marked = exp.alias_(is_chosen("c"), "marked")
    return choose_cells(parse_statement("findings/expression_cells").select(marked), population)


def match_barcodes(adata: anndata.AnnData, cells: pa.Table, study: str) -> list[int]:
    """The row of adata for each cell of a study; QueryError if it lacks some, or if their depth is unknown."""
    places = {name: place for place, name in enumerate(adata.obs_names)}
    barcodes = cells["barcode"].to_pylist()
    if not barcodes:
        raise QueryError(f"The atlas has no cells of a study {study!r}.")
    if unknown := [barcode for barcode in barcodes if barcode not in places]:
        raise QueryError(
            f"{len(unknown)} of {len(barcodes)} cells of {study} are not in adata ({listed(unknown, 3)}). "
            "Its obs_names must hold the barcodes of the atlas."
        )
    if n_unknown := cells["n_counts"].null_count:
        raise QueryError(
            f"The depth (n_counts) of {n_unknown} cells of {study} is unknown: their scores were loaded without counts."
        )
    return [places[barcode] for barcode in barcodes]


def signature_columns(con: duckdb.DuckDBPyConnection, var_names: list[str], genes: Sequence[str]) -> list[str]:
    """The columns of a matrix that are genes of a signature, whatever names both use; QueryError if there are none."""
    statement = parse_statement("findings/resolve_names")
    wanted, known = (ask(con, statement, {"names": names}).column("gene_id") for names in (list(genes), var_names))
    ids = set(wanted) - {None}
    columns = [name for name, gene in zip(var_names, known, strict=True) if gene in ids]
    if not columns:
        raise QueryError(f"None of {count(len(genes), 'gene')} of the signature is in var_names of adata.")
    return columns


def expression_scores(
    adata: anndata.AnnData, names: Sequence[str], *, layer: str | None = None
) -> dict[str, NDArray[np.float64]]:
    """The scores of a signature by expression, (n_cells,) each: mean_log, score_genes (seed 0), ucell."""
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


def measure(
    scores: NDArray[np.float64], n_counts: NDArray[np.float64], cell_type: NDArray[Any], marked: NDArray[Any]
) -> dict[str, float | int | None]:
    """The depth effect, the variance within cell types and the AUROC of a score, over the cells that have one."""
    with needs_extra("stats"):
        from scipy import stats
    seen = np.isfinite(scores)
    scores, n_counts, marked = scores[seen], n_counts[seen], marked[seen].astype(bool)
    types = np.array([str(each) for each in cell_type[seen]])
    groups = [types == name for name in np.unique(types)]
    within = [
        (abs(float(stats.spearmanr(scores[group], n_counts[group]).statistic)), int(group.sum()))
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
    """The weighted mean of (value, weight) pairs; None if there are no pairs."""
    return sum(value * weight for value, weight in pairs) / sum(weight for _, weight in pairs) if pairs else None
