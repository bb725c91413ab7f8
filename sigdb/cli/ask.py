"""`sigdb sql`, `sigdb score` and `sigdb transpile`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from sqlglot import exp

from sigdb import statements
from sigdb.cli.output import Format, dump
from sigdb.connection import connect
from sigdb.dialects.macros import SCHEMA
from sigdb.dialects.transpile import DIALECTS
from sigdb.dialects.transpile import transpile as written_out
from sigdb.findings.columns import columns_of
from sigdb.scores.options import score_parameters
from sigdb.statements import parse_statement

if TYPE_CHECKING:
    import duckdb


AtlasPath = Annotated[str, typer.Argument(metavar="ATLAS", help="The atlas file, or the folder or address of a lake.")]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How to write the result.")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file, not to the terminal.")]
MissingOption = Annotated[str, typer.Option(help="error, or ignore to leave out genes that the atlas does not know.")]
RunOption = Annotated[str | None, typer.Option(help="An attribution run other than the default one.")]


def sql(
    atlas: AtlasPath,
    query: Annotated[str, typer.Argument(help="The query, or - to read it from standard input.")],
    form: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Run a SQL query on an atlas, which is opened read-only, and print its result."""
    with connect(atlas) as con:
        dump(con, sys.stdin.read() if query == "-" else query, {}, form, output)


def score(
    atlas: AtlasPath,
    names: Annotated[
        list[str], typer.Argument(metavar="GENE...", help="Genes, or the name of one signature of the library.")
    ],
    by: Annotated[
        str | None, typer.Option(help="Columns of `cells` to average over, separated by commas. Without: every cell.")
    ] = None,
    agg: Annotated[str, typer.Option(help="mean or sum over the genes.")] = "mean",
    missing: MissingOption = "error",
    run: RunOption = None,
    signed: Annotated[bool, typer.Option("--signed", help="Keep the sign of the attributions.")] = False,
    form: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Score a gene signature in every cell, or its mean by group of cells."""
    with connect(atlas) as con:
        options = score_parameters(
            con, genes_or_signature(con, names), agg=agg, missing=missing, run=run, signed=signed
        )
        query = grouped_score(con, by) if by else statements.statement("cli/ask.score_cells")
        dump(con, query, options, form, output)


def transpile(
    query: Annotated[str, typer.Argument(help="The query, as for an atlas, or - to read it from standard input.")],
    to: Annotated[str, typer.Option(help=f"The dialect: {', '.join(DIALECTS)}.")],
    schema: Annotated[
        str, typer.Option(help="Where the base tables are: a schema, or one with its catalog or project before it.")
    ] = SCHEMA,
) -> None:
    """Print a query on an atlas in the SQL of another engine, with macros and views written out."""
    typer.echo(written_out(sys.stdin.read() if query == "-" else query, to, schema=schema))


def genes_or_signature(con: duckdb.DuckDBPyConnection, names: list[str]) -> str | list[str]:
    """What the words of a command mean: one name of the library is that signature, anything else is genes."""
    in_library = con.execute("SELECT 1 FROM signature_info WHERE signature = ?", names[:1]).fetchall()
    return names[0] if len(names) == 1 and in_library else names


def grouped_score(con: duckdb.DuckDBPyConnection, by: str) -> str:
    """The query for the mean score by columns of `cells`, separated by commas; QueryError if it has no such column."""
    groups = columns_of(con, "cells", [name.strip() for name in by.split(",") if name.strip()])
    query = parse_statement("cli/ask.score")
    columns = [exp.column(name, table="c", quoted=True) for name in groups]
    query.set("expressions", [*columns, *query.expressions])
    return query.group_by(*columns).sql("duckdb")
