"""Leading genes: which genes make a score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from sigdb.scores.options import score_parameters
from sigdb.statements import Answer, ask, parse_condition, parse_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from sigdb.findings.nulls import MeanOptions


__all__ = ["leading_genes"]


def leading_genes(
    con: duckdb.DuckDBPyConnection,
    genes: str | Sequence[str],
    *,
    n: int = 10,
    groups: str | None = None,
    min_cells: int = 10,
    **options: Unpack[MeanOptions],
) -> Answer:
    """The n genes that add most to the score of each group, and the score without each (macro `leading_genes`).

    groups: a SQL condition on study, tissue, disease, cell_type, n_cells, gene and the macro's other columns.
    """
    parameters = score_parameters(con, genes, **options) | {"n": n, "min_cells": min_cells}
    query = parse_statement("findings/leading_genes")
    return ask(con, query.where(parse_condition(groups)) if groups else query, parameters)
