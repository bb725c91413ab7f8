"""Views of signatures: scores for clients that attach an atlas without `USE`, and so cannot call its macros.

`cell_scores."MS1"` has one row per cell, `sample_scores."MS1"` one row per sample and cell type. The views hold no
numbers, so they reflect every change to the atlas. Views of cells read the kept scores of materialised signatures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from sigdb.atlas import schema
from sigdb.errors import SignatureError, listed
from sigdb.scores.engine import check_score
from sigdb.statements import full_names, parse_statement, run_statement, statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

__all__ = ["create", "drop", "install", "refresh", "show_columns", "view_names"]

# The schemas of the views, and what the views show.
SCHEMAS = {
    "cell_scores": "The score of the signature in every cell, with the columns of cells.",
    "sample_scores": "The mean score of the signature per sample and cell type, as in signature_by_sample.",
}
COVERAGE = {
    "n_cells": "Cells of the sample and cell type.",
    "n_genes": "Genes of the signature that the model knows.",
    "n_measured": "Genes of n_genes that the study of the sample measured.",
}
OBS_SCORE = "Column score of the studies' obs, unchanged."
SCORE = "Score of the signature: mean |attribution| of its genes, in thousandths of a cell."


def create(con: duckdb.DuckDBPyConnection, signatures: Sequence[str], *, missing: str = "error") -> None:
    """Make the views of signatures of the library. Views of these signatures that exist already are replaced.

    con: open for writing, in a transaction of the caller. Raises QueryError for invalid options, and for unknown genes
    unless missing is 'ignore'; SignatureError if two names differ only in case.
    """
    options = {"genes": None, "weights": None, "agg": "mean", "missing": missing, "run": None}
    check_score(con, options | {"signed": False, "signatures": list(signatures)})
    names = sorted({*view_names(con), *signatures})
    if alike := [name for name in names if sum(name.lower() == other.lower() for other in names) > 1]:
        raise SignatureError(
            f"Names of views must differ in more than case; {len(alike)} names do not: {listed(alike)}. "
            "Rename all but one of these signatures."
        )
    install(con, signatures)


def create_one(con: duckdb.DuckDBPyConnection, folder: str, signature: str) -> None:
    """Make one view, with comments on the view and its columns."""
    query = parse_statement(f"atlas/signature_views.{folder}")
    if folder == "cell_scores":
        select_cells(con, query)
    for parameter in list(query.find_all(exp.Placeholder)):
        parameter.replace(exp.Literal.string(signature))  # a view cannot have parameters
    view = exp.table_(signature, db=folder, quoted=True)
    created = exp.Create(this=view, kind="VIEW", replace=True, expression=query).sql("duckdb")
    con.execute(full_names(created))
    schema.comment(con, "VIEW", view, f"{SCHEMAS[folder]} Signature: {signature}.")
    comments = dict(run_statement(con, "atlas/signature_views.cell_comments")) | {"score": SCORE}
    if folder == "sample_scores":
        comments |= COVERAGE
    for column, *_ in con.execute(exp.Describe(this=view).sql("duckdb")).fetchall():
        if text := comments.get(column, OBS_SCORE):
            schema.comment(con, "COLUMN", exp.column(column, signature, folder, quoted=True), text)


def select_cells(con: duckdb.DuckDBPyConnection, query: exp.Select) -> None:
    """Add the columns of `cells` to a query (`score` as `obs_score`), and inline the definition of `cells`."""
    columns: list[exp.Expr] = []
    for name, *_ in run_statement(con, "atlas/signature_views.cell_columns"):
        column = exp.column(name, table="c", quoted=True)
        columns.append(exp.alias_(column, "obs_score") if name.lower() == "score" else column)
    query.set("expressions", [*columns, *query.expressions])
    definition = sqlglot.parse_one(schema.read_object("views", "cells").sql, dialect="duckdb").expression
    (cells,) = [table for table in query.find_all(exp.Table) if table.name == "cells"]
    cells.replace(definition.subquery("c"))


def view_names(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The signatures that have views, sorted."""
    return [name for (name,) in run_statement(con, "atlas/signature_views.view_names")]


def drop(con: duckdb.DuckDBPyConnection, signatures: Sequence[str]) -> None:
    """Drop the views of signatures, and the schemas after the last view. Raises SignatureError if a view is missing."""
    existing = view_names(con)
    if missing := [name for name in signatures if name not in existing]:
        raise SignatureError(
            f"{len(missing)} of {len(signatures)} signatures have no view: {listed(missing)}. "
            f"Views exist of: {listed(existing) or 'no signature'}."
        )
    for folder in SCHEMAS:
        for signature in signatures:
            view = exp.table_(signature, db=folder, quoted=True)
            con.execute(statement("atlas/signature_views.drop_view").replace("signature_view", view.sql("duckdb")))
    if set(existing) <= set(signatures):
        run_statement(con, "atlas/signature_views.drop_schemas")


def refresh(con: duckdb.DuckDBPyConnection) -> None:
    """Make all views again, to add new columns of `cells` and to replace views of an older sigdb."""
    install(con, view_names(con))


def show_columns(con: duckdb.DuckDBPyConnection) -> None:
    """Make the comments and the views follow the columns of `cell_data`, after some were added or removed."""
    schema.comment_tables(con)
    schema.create(con, schema.read_object("views", "cells"))
    refresh(con)


def install(con: duckdb.DuckDBPyConnection, signatures: Sequence[str]) -> None:
    """Make the views of signatures, with their schemas. The caller has checked the signatures."""
    if not signatures:
        return
    run_statement(con, "atlas/signature_views.create_schemas")
    for folder in SCHEMAS:
        for signature in signatures:
            create_one(con, folder, signature)
