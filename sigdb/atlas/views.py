"""Views of signatures: scores for clients that attach an atlas and do not `USE` it, so that macros are out of reach.

`cell_scores."MS1"` has a row a cell, `sample_scores."MS1"` one a sample and cell type. They hold no numbers, so they
follow whatever is written to the atlas; those of cells read the kept scores of a materialised signature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from sigdb.atlas import schema
from sigdb.errors import SignatureError, listed
from sigdb.scores.engine import check_score
from sigdb.statements import parse_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

__all__ = ["SCHEMAS", "create", "drop", "install", "refresh", "viewed"]

# The schemas that the views are in, and what they show.
SCHEMAS = {
    "cell_scores": "The score of the signature in every cell, beside the columns of cells.",
    "sample_scores": "The mean score of the signature in each sample and cell type, as signature_by_sample has it.",
}
COVERAGE = {
    "n_cells": "Cells of the sample and type.",
    "n_genes": "Genes of the signature that the model knows.",
    "n_measured": "Those of them that the sample's study measured.",
}
OBS_SCORE = "Column score of the studies' obs, as they have it."
SCORE = "Score of the signature: mean |attribution| of its genes, in thousandths of a cell."
VIEWS = """
    SELECT view_name FROM duckdb_views() WHERE schema_name = 'cell_scores' AND database_name = current_database()
"""
COMMENTS = """
    SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'cells' AND database_name = current_database()
"""


def create(con: duckdb.DuckDBPyConnection, signatures: Sequence[str], *, missing: str = "error") -> None:
    """Make the views of signatures of the library, in place of those there were.

    con: open for writing, in a transaction of the caller. Raises QueryError as a score would, also for genes that the
    model does not know unless missing is 'ignore'; SignatureError where two names differ in case alone.
    """
    asked = {"genes": None, "weights": None, "agg": "mean", "missing": missing, "run": None}
    check_score(con, asked | {"signed": False, "signatures": list(signatures)})
    names = sorted({*viewed(con), *signatures})
    if alike := [name for name in names if sum(name.lower() == other.lower() for other in names) > 1]:
        raise SignatureError(f"Names of views differ in more than case, unlike {listed(alike)}.")
    install(con, signatures)


def create_one(con: duckdb.DuckDBPyConnection, folder: str, signature: str) -> None:
    """Make one view, with comments on it and its columns."""
    query = parse_statement(f"atlas/signature_views.{folder}")
    if folder == "cell_scores":
        show_cells(con, query)
    for parameter in list(query.find_all(exp.Placeholder)):
        parameter.replace(exp.Literal.string(signature))  # a view can have none
    view = exp.table_(signature, db=folder, quoted=True)
    con.execute(exp.Create(this=view, kind="VIEW", replace=True, expression=query).sql("duckdb"))
    schema.comment(con, "VIEW", view, f"{SCHEMAS[folder]} Signature: {signature}.")
    comments = dict(con.execute(COMMENTS).fetchall()) | {"score": SCORE}
    if folder == "sample_scores":
        comments |= COVERAGE
    for column, *_ in con.execute(exp.Describe(this=view).sql("duckdb")).fetchall():
        place = exp.column(column, signature, folder, quoted=True)
        schema.comment(con, "COLUMN", place, comments.get(column, OBS_SCORE))


def show_cells(con: duckdb.DuckDBPyConnection, query: exp.Select) -> None:
    """Select the columns of `cells`, one that is called score as obs_score, and put its definition in its place."""
    columns: list[exp.Expr] = []
    for name, *_ in con.execute("DESCRIBE cells").fetchall():
        column = exp.column(name, table="c", quoted=True)
        columns.append(exp.alias_(column, "obs_score") if name.lower() == "score" else column)
    query.set("expressions", [*columns, *query.expressions])
    definition = sqlglot.parse_one(schema.read_object("views", "cells").sql, dialect="duckdb").expression
    (cells,) = [table for table in query.find_all(exp.Table) if table.name == "cells"]
    cells.replace(definition.subquery("c"))


def viewed(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The signatures that have views."""
    return sorted(name for (name,) in con.execute(VIEWS).fetchall())


def drop(con: duckdb.DuckDBPyConnection, signatures: Sequence[str]) -> None:
    """Drop the views of signatures, and with the last of them their schemas. SignatureError if one has no view."""
    there = viewed(con)
    if absent := [name for name in signatures if name not in there]:
        raise SignatureError(f"There is no view of {listed(absent)}; there are of: {listed(there) or 'no signature'}.")
    for folder in SCHEMAS:
        for signature in signatures:
            con.execute("DROP VIEW " + exp.table_(signature, db=folder, quoted=True).sql("duckdb"))
        if set(there) <= set(signatures):
            con.execute("DROP SCHEMA " + folder)


def refresh(con: duckdb.DuckDBPyConnection) -> None:
    """Make all views anew: for columns that `cells` has got since, and for views of an older sigdb."""
    install(con, viewed(con))


def install(con: duckdb.DuckDBPyConnection, signatures: Sequence[str]) -> None:
    """Make the views of signatures that have been checked, with their schemas, as far as there are any."""
    for folder in SCHEMAS if signatures else ():
        con.execute("CREATE SCHEMA IF NOT EXISTS " + folder)
        for signature in signatures:
            create_one(con, folder, signature)
