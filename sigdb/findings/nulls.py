"""Matched nulls: whether a score is unusual beside the scores of random genes with similar attributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

from sigdb.answers import Answer
from sigdb.findings.columns import where_groups
from sigdb.findings.comparability import WITHIN, warn_of_groups
from sigdb.findings.lost import explain_empty
from sigdb.scores.names import ask_scores
from sigdb.scores.options import GeneOptions, check_options, score_parameters
from sigdb.statements import parse_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    import pyarrow as pa

    from sigdb.scores.members import Genes


__all__ = ["NOTES", "Null", "matched_null"]

NOTES = (
    "The p values treat the genes as random, not the cells or donors: they say nothing about how certain a score is.",
)


@dataclass(frozen=True)
class Null(Answer):
    """Scores beside the scores of matched control sets: the result of `sigdb.matched_null`.

    Attributes
    ----------
    table, sql, notes
        As for `sigdb.Answer`; `sigdb.matched_null` describes the columns.
    """


def matched_null(
    con: duckdb.DuckDBPyConnection,
    genes: Genes,
    *,
    n_controls: int = 1000,
    seed: int = 0,
    n_bins: int = 25,
    groups: str | None = None,
    min_cells: int = 10,
    weights: Sequence[float] | None = None,
    **options: Unpack[GeneOptions],
) -> Null:
    """Compare the score of each group of cells with the scores of random sets of matched genes.

    A group is a study, tissue, disease and cell type. The control sets are matched within a study, gene by gene, on
    mean attribution and detection, in bins as in scanpy's ``score_genes``. They may hold genes of the signature: then p
    values of random signatures are uniform. The macro `signature_null` gives the same rows in SQL, without q values.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    genes : str, Signature or list of str
        The name of a signature of the library, a `sigdb.Signature`, the name of a gene, or a list of genes.
    n_controls : int
        The number of control sets.
    seed : int
        The same seed draws the same control sets.
    n_bins : int
        The number of bins of mean attribution.
    groups : str, optional
        A SQL condition on study, tissue, disease, cell_type and n_cells, such as ``"study = 'wu2020_tcell'"``.
    min_cells : int
        Groups of fewer cells are left out.
    weights : sequence of float, optional
        One weight per gene.
    **options
        missing, run, signed: see `sigdb.ScoreOptions`.

    Returns
    -------
    Null
        One row per group: study, tissue, disease, cell_type, n_cells, score (in thousandths of a cell, as in
        `signature_by_sample`), null_mean, null_sd, null_low, null_median and null_high (quantiles of the control sets'
        scores: 2.5 %, 50 % and 97.5 %), z, p_value (empirical, one-sided: high scores), p_two_sided (twice the smaller
        of p_value and its counterpart for low scores, at most 1), n_controls, n_sets (how many distinct sets there are,
        1000000 for that many or more; no p value is below 1 / n_sets), n_genes, n_measured, median_counts and
        median_detected (counts and detected genes of the median cell) and q_value (of p_value; Benjamini and Hochberg,
        over all rows). The highest z come first.

    Raises
    ------
    QueryError
        If the genes, a condition or an option cannot be used.

    Examples
    --------
    >>> found = sigdb.matched_null(con, ["CD3D", "CD3E", "CD2"], n_controls=100, groups="study = 'wu2020_tcell'")
    >>> found.table["z"].null_count
    0
    >>> found.notes[0][:39]
    'The p values treat the genes as random,'
    """
    check_options(matched_null, options, GeneOptions)
    parameters = score_parameters(con, genes, weights=weights, **options)
    parameters |= {"n_controls": n_controls, "seed": seed, "n_bins": n_bins, "min_cells": min_cells}
    found = ask_scores(con, where_groups(parse_statement("findings/null"), groups), parameters)
    found = Null(found.table, found.sql, (*NOTES, *few_sets(found.table, n_controls), *found.notes))
    found = explain_empty(con, found, ["study", "tissue", "disease", "cell_type"], groups, min_cells)
    return warn_of_groups(found, ["cell_type", "study", "tissue", "disease"], WITHIN)


def few_sets(table: pa.Table, n_controls: int) -> list[str]:
    """Say which studies have fewer distinct control sets than were asked for."""
    rows = table.select(["study", "n_sets"]).to_pylist()
    few = {row["study"]: row["n_sets"] for row in rows if row["n_sets"] is not None and row["n_sets"] <= n_controls}
    studies = ", ".join(f"{study} ({n_sets})" for study, n_sets in sorted(few.items()))
    text = "No p value is below 1 / the number of distinct control sets, which is small"
    return [f"{text}: {studies}. With a smaller `n_bins` there are more sets."] if few else []
