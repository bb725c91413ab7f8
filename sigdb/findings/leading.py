"""Leading genes: which genes make a score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

from sigdb.answers import Answer
from sigdb.findings.columns import where_groups
from sigdb.findings.comparability import RAW, warn_of_groups
from sigdb.findings.lost import explain_empty
from sigdb.scores.names import ask_scores
from sigdb.scores.options import GeneOptions, check_options, score_parameters
from sigdb.statements import ask, parse_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    import pyarrow as pa

    from sigdb.scores.members import Genes


__all__ = ["LeadingGenes", "leading_genes"]


@dataclass(frozen=True, kw_only=True)
class LeadingGenes(Answer):
    """The genes that make a score: the result of `sigdb.leading_genes`.

    Attributes
    ----------
    table, sql, notes
        As for `sigdb.Answer`; `sigdb.leading_genes` describes the columns.
    not_measured : pyarrow.Table
        study, gene: the genes of the signature that a study did not measure.

    Examples
    --------
    >>> found = sigdb.leading_genes(con, ["LYZ", "CD14"])
    >>> {"study": "zheng2017_pbmc68k", "gene": "CD14"} in found.not_measured.to_pylist()
    True
    """

    not_measured: pa.Table


def leading_genes(
    con: duckdb.DuckDBPyConnection,
    genes: Genes,
    *,
    n: int = 10,
    groups: str | None = None,
    min_cells: int = 10,
    weights: Sequence[float] | None = None,
    **options: Unpack[GeneOptions],
) -> LeadingGenes:
    """Find the genes that contribute most to the mean score of each group of cells.

    A group is a study, tissue, disease and cell type. The macro `leading_genes` gives the same rows in SQL.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    genes : str, Signature or list of str
        The name of a signature of the library, a `sigdb.Signature`, the name of a gene, or a list of genes.
    n : int
        The number of genes per group.
    groups : str, optional
        A SQL condition on study, tissue, disease, cell_type and n_cells, such as ``"cell_type = 'MDC'"``.
    min_cells : int
        Groups of fewer cells are left out.
    weights : sequence of float, optional
        One weight per gene.
    **options
        missing, run, signed: see `sigdb.ScoreOptions`.

    Returns
    -------
    LeadingGenes
        One row per group and gene: study, tissue, disease, cell_type, n_cells, gene, contribution (to the mean score,
        in thousandths of a cell), share (of 1), rank, cumulative_share, score, score_without the gene, n_genes and
        n_measured (by the study), median_counts and median_detected (counts and detected genes of the median cell). The
        groups of highest score come first.

    Raises
    ------
    QueryError
        If the genes, a condition or an option cannot be used.

    Examples
    --------
    >>> found = sigdb.leading_genes(con, ["LYZ", "CD14", "FCN1"], n=1, groups="cell_type = 'CD14+ Monocyte'")
    >>> found.column("gene")
    ['FCN1']
    """
    check_options(leading_genes, options, GeneOptions)
    parameters = score_parameters(con, genes, weights=weights, **options) | {"n": n, "min_cells": min_cells}
    found = ask_scores(con, where_groups(parse_statement("findings/leading_genes"), groups), parameters)
    found = explain_empty(con, found, ["study", "tissue", "disease", "cell_type"], groups, min_cells)
    found = warn_of_groups(found, ["cell_type", "study", "tissue", "disease"], RAW)
    not_measured = ask(con, parse_statement("findings/not_measured"), parameters).table
    return LeadingGenes(table=found.table, sql=found.sql, notes=found.notes, not_measured=not_measured)
