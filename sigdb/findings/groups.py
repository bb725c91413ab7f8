"""Tables of groups that pictures are made of: mean scores, distributions, genes. Each is one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from sqlglot import exp

from sigdb.errors import QueryError, listed
from sigdb.findings.columns import columns_of, cube_columns
from sigdb.scores.options import Options, score_parameters
from sigdb.statements import Answer, ask, parse_condition, parse_statement, replace_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

__all__ = ["embedding", "gene_dots", "group_scores", "score_bins"]


def group_scores(
    con: duckdb.DuckDBPyConnection,
    genes: str | Sequence[str],
    *,
    by: str = "disease",
    cells: str | None = None,
    min_cells: int = 10,
    measured_only: bool = False,
    min_coverage: float = 0,
    **options: Unpack[Options],
) -> Answer:
    """Mean score by cell type and `by`, from the cube: cell_type, label, score, n_cells, n_samples, coverage.

    by, and the SQL condition `cells`: columns of the cube (study, sample, donor, tissue, disease, cell_type, ...).
    """
    (column,) = cube_columns([by])
    parameters = score_parameters(con, genes, **options) | {
        "measured_only": measured_only, "min_coverage": min_coverage, "min_cells": min_cells,
    }  # fmt: skip
    query = replace_columns(parse_statement("findings/group_scores"), label_column=column)
    return ask(con, query.where(parse_condition(cells)) if cells else query, parameters)


def score_bins(
    con: duckdb.DuckDBPyConnection,
    genes: str | Sequence[str],
    *,
    by: str = "cell_type",
    cells: str | None = None,
    n_bins: int = 60,
    min_cells: int = 10,
    measured_only: bool = False,
    **options: Unpack[Options],
) -> Answer:
    """Distribution of the cells' scores by group, counted in the database: label, n_cells, mean, low, high, n.

    by, and the SQL condition `cells`: columns of the view `cells`.
    """
    (column,) = columns_of(con, "cells", [by])
    parameters = score_parameters(con, genes, **options) | {
        "measured_only": measured_only, "n_bins": n_bins, "min_cells": min_cells,
    }  # fmt: skip
    return ask(
        con, of_cells(replace_columns(parse_statement("findings/score_bins"), label_column=column), cells), parameters
    )


def of_cells(query: exp.Select, cells: str | None) -> exp.Select:
    """Keep the cells that fulfil a condition, in the innermost part of a shipped query, where it joins `cells` as c."""
    if cells:
        chosen = exp.select("cell_id").from_("cells").where(parse_condition(cells))
        inner = next(select for select in query.find_all(exp.Select) if select.args.get("joins"))
        inner.where(exp.column("cell_id", table="c").isin(query=chosen), copy=False)
    return query


def embedding(
    con: duckdb.DuckDBPyConnection,
    genes: str | Sequence[str],
    *,
    basis: str = "umap",
    cells: str | None = None,
    n_bins: int = 120,
    max_points: int = 5000,
    measured_only: bool = False,
    **options: Unpack[Options],
) -> Answer:
    """The score in an embedding that was ingested: study, is_binned, x_low, x_high, y_low, y_high, n, score.

    A row is a cell, or in a study of more than `max_points` cells a square of a grid of `n_bins` by `n_bins`, counted
    in the database. basis: `umap` for the columns umap_1 and umap_2 of `cells`, from `sigdb ingest --obsm X_umap`.
    Each study has axes of its own: embeddings of two studies are not one. Raises QueryError where there is none.
    """
    names = [f"{basis}_1", f"{basis}_2"]
    known = con.sql("FROM cells").columns
    if not set(names) <= set(known):
        there = [name.removesuffix("_1") for name in known if name.endswith("_1") and f"{name[:-1]}2" in known]
        raise QueryError(
            f"There is no embedding {basis} in this atlas. It has: {listed(there) or 'none'}. "
            f"`sigdb ingest --obsm X_{basis}` keeps that of a study."
        )
    parameters = score_parameters(con, genes, **options) | {
        "measured_only": measured_only, "n_bins": n_bins, "max_points": max_points,
    }  # fmt: skip
    query = replace_columns(parse_statement("findings/embedding"), x_column=names[0], y_column=names[1])
    return ask(con, of_cells(query, cells), parameters)


def gene_dots(
    con: duckdb.DuckDBPyConnection,
    genes: str | Sequence[str],
    *,
    by: str = "cell_type",
    cells: str | None = None,
    min_cells: int = 10,
    missing: str = "error",
    run: str | int | None = None,
    signed: bool = False,
) -> Answer:
    """Mean attribution of each gene by group, from the cube: label, n_cells, gene, score, fraction_nonzero (of cells).

    by, and the SQL condition `cells`: columns of the cube, as for `group_scores`. Not measured counts as 0.
    """
    (column,) = cube_columns([by])
    parameters = score_parameters(con, genes, missing=missing, run=run, signed=signed) | {"min_cells": min_cells}
    query = replace_columns(parse_statement("findings/gene_dots"), label_column=column)
    if cells:
        for select in [each for each in query.find_all(exp.Select) if each.args.get("group")]:
            select.where(parse_condition(cells), copy=False)
    return ask(con, query, parameters)
