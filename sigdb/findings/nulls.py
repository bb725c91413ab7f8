"""Is a score unusual, and which genes make it: matched control sets, leading genes. Both are macros; this asks them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, Unpack

import pyarrow as pa

from sigdb.findings.statistics import benjamini_hochberg
from sigdb.scores.options import score_parameters
from sigdb.statements import Answer, ask, parse_condition, parse_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb


__all__ = ["Null", "matched_null"]


class MeanOptions(TypedDict, total=False):
    """How a mean score is made: the options that the macros of this module have."""

    weights: Sequence[float] | None
    missing: str
    run: str | int | None
    signed: bool


@dataclass(frozen=True)
class Null:
    """`table`: rows of the macro `signature_null`, with q_value (Benjamini and Hochberg's); `answer`: its SQL."""

    table: pa.Table
    answer: Answer


def matched_null(
    con: duckdb.DuckDBPyConnection,
    genes: str | Sequence[str],
    *,
    n_controls: int = 1000,
    seed: int = 0,
    n_bins: int = 25,
    groups: str | None = None,
    min_cells: int = 10,
    **options: Unpack[MeanOptions],
) -> Null:
    """Compare the score of each group of cells with those of control sets of genes (macro `signature_null`).

    genes: a list of genes, or the name of a signature. groups: a SQL condition on study, tissue, disease, cell_type,
    n_cells and the macro's other columns; groups of fewer than `min_cells` cells are left out. The controls are matched
    within a study on mean attribution and detection, in n_bins bins as scanpy's score_genes has them, and are the same
    for the same seed. p values are empirical and one-sided, and treat genes, not cells, as what is random.
    Raises QueryError as the macro does, and MissingDependencyError without the extra `stats`.
    """
    parameters = score_parameters(con, genes, **options) | {
        "n_controls": n_controls, "seed": seed, "n_bins": n_bins, "min_cells": min_cells,
    }  # fmt: skip
    query = parse_statement("findings/null")
    answer = ask(con, query.where(parse_condition(groups)) if groups else query, parameters)
    q_values = pa.array(benjamini_hochberg(answer.column("p_value")), pa.float64())
    return Null(answer.table.append_column("q_value", q_values), answer)
