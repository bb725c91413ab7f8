"""Matched nulls: whether a score is higher than the scores of other genes with similar attributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

import pyarrow as pa

from sigdb.answers import Answer
from sigdb.findings.columns import where
from sigdb.findings.statistics import benjamini_hochberg
from sigdb.scores.options import GeneOptions, check_options, score_parameters
from sigdb.statements import ask, parse_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb


__all__ = ["Null", "matched_null"]

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
    genes: str | Sequence[str],
    *,
    n_controls: int = 1000,
    seed: int = 0,
    n_bins: int = 25,
    groups: str | None = None,
    min_cells: int = 10,
    weights: Sequence[float] | None = None,
    **options: Unpack[GeneOptions],
) -> Null:
    """Compare the score of each group of cells with the scores of matched sets of other genes.

    A group is a study, tissue, disease and cell type. The control sets are matched within a study, gene by gene, on
    mean attribution and detection, in bins as in scanpy's ``score_genes``. The macro `signature_null` gives
    the same rows in SQL, without q values.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    genes : str or sequence of str
        A list of genes, or the name of a signature of the library.
    n_controls : int
        The number of control sets.
    seed : int
        The same seed draws the same control sets.
    n_bins : int
        The number of bins of mean attribution.
    groups : str, optional
        A SQL condition on the columns of the macro, such as ``"study = 'wu2020_tcell'"``.
    min_cells : int
        Groups of fewer cells are left out.
    weights : sequence of float, optional
        One weight per gene.
    **options
        missing, run, signed: see `sigdb.ScoreOptions`.

    Returns
    -------
    Null
        One row per group: study, tissue, disease, cell_type, n_cells, score (in thousandths of a cell), null_mean,
        null_sd, z, p_value (empirical, one-sided), n_controls, n_genes, n_measured and q_value (Benjamini and Hochberg,
        over all rows). The highest z come first.

    Raises
    ------
    QueryError
        If the genes, a condition or an option cannot be used.
    MissingDependencyError
        If the extra `stats` is not installed.

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
    found = ask(con, where(parse_statement("findings/null"), groups), parameters)
    q_values = pa.array(benjamini_hochberg(found.column("p_value")), pa.float64())
    return Null(found.table.append_column("q_value", q_values), found.sql, NOTES)
