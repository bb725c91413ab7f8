"""`sigdb sql`, `sigdb score` and `sigdb transpile`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sigdb.cli.options import (
    AtlasPath,
    Format,
    FormatOption,
    MissingOption,
    OutputOption,
    RunOption,
)
from sigdb.cli.output import dump, print_notes, write_finding
from sigdb.cli.parameters import expand_options
from sigdb.cli.signature import SignatureParameters

app = typer.Typer()

QueryArgument = Annotated[
    str, typer.Argument(metavar="QUERY", help="The SQL query. With -, it is read from standard input.")
]


@app.command(
    "sql",
    epilog='Example: sigdb sql demo.duckdb "SELECT study, count(*) AS cells FROM cells GROUP BY study" --format csv',
)
def sql(atlas: AtlasPath, query: QueryArgument, form: FormatOption = Format.table, output: OutputOption = None) -> None:
    """Run a SQL query on an atlas, and print its result.

    The atlas is opened read-only.
    """
    from sigdb.cli.trust import connect

    with connect(atlas) as con:
        dump(con, read_query(query), {}, form, output)


@app.command("score", epilog="Example: sigdb score demo.duckdb S100A8 S100A12 VCAN --by study,cell_type")
@expand_options
def score(
    atlas: AtlasPath,
    signature: SignatureParameters,
    by: Annotated[
        str | None,
        typer.Option(
            help="Average over groups of cells: columns of the view `cells`, separated by commas. Default: one row per "
            "cell."
        ),
    ] = None,
    agg: Annotated[str, typer.Option(metavar="[mean|sum]", help="How scores of genes are combined.")] = "mean",
    missing: MissingOption = None,
    run: RunOption = None,
    signed: Annotated[bool, typer.Option("--signed", help="Keep the sign of the attributions.")] = False,
    form: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Score a gene signature in each cell, or its mean in each group of cells.

    For groups, mean z and hit rate compare the cells with matched control genes at the same depth: see `sigdb hits`.
    """
    from sigdb.cli.trust import connect
    from sigdb.findings.columns import columns_of
    from sigdb.findings.groups import calibrated_scores
    from sigdb.scores.names import name_notes
    from sigdb.scores.options import ScoreOptions, score_parameters
    from sigdb.statements import statement

    with connect(atlas) as con:
        members = signature.look_up(con)
        options = ScoreOptions(agg=agg, missing=missing, run=run, signed=signed)
        if by is None:
            parameters = score_parameters(con, members, **options)
            dump(con, statement("cli/ask.score_cells"), parameters, form, output)
            print_notes(name_notes(con, parameters["genes"], run=run), form)
            return
        columns = columns_of(con, "cells", [name.strip() for name in by.split(",") if name.strip()])
        found = calibrated_scores(con, members, dict(zip(columns, columns, strict=True)), **options)
    write_finding(found, form, output)


@app.command(
    "transpile",
    epilog="Example: sigdb transpile --to spark \"SELECT avg(score) FROM signature_score(['LYZ', 'CD14'])\"",
)
def transpile(
    query: QueryArgument,
    dialect: Annotated[
        str, typer.Option("--to", help="The dialect: spark, databricks, trino, bigquery, snowflake or duckdb.")
    ],
    schema: Annotated[
        str,
        typer.Option(help="The schema of the base tables. A catalog or project may stand before it: project.schema."),
    ] = "sigdb_data",
) -> None:
    """Translate a query on an atlas into the SQL of another engine, with macros and views written out."""
    import sigdb

    typer.echo(sigdb.transpile(read_query(query), dialect, schema=schema))


def read_query(query: str) -> str:
    """The text of a query; `-` stands for standard input."""
    return sys.stdin.read() if query == "-" else query
