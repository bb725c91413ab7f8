"""`sigdb sql`, `sigdb score` and `sigdb transpile`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sigdb.cli import complete
from sigdb.cli.options import (
    AggOption,
    AtlasPath,
    FormatOption,
    MissingOption,
    OutputOption,
    RunOption,
)
from sigdb.cli.output import dump, print_notes, write_finding
from sigdb.cli.parameters import expand_options
from sigdb.cli.paths import existing
from sigdb.cli.signature import SignatureParameters
from sigdb.errors import OptionError

app = typer.Typer()

QueryArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="QUERY", help="The SQL query. Without it, or with -, the query is read from standard input."
    ),
]
FileOption = Annotated[
    Path | None, typer.Option("--file", "-f", help="Read the query from this file.", callback=existing())
]


@app.command(
    "sql",
    epilog='Example: sigdb sql demo.duckdb "SELECT study, count(*) AS cells FROM cells GROUP BY study" --format csv',
)
def sql(
    atlas: AtlasPath,
    query: QueryArgument = None,
    file: FileOption = None,
    form: FormatOption = None,
    output: OutputOption = None,
) -> None:
    """Run a SQL query on an atlas, and print its result.

    The atlas is opened read-only. Of several statements, the result of the last one is printed.
    """
    from sigdb.cli.trust import connect

    text = read_query(query, file)
    with connect(atlas) as con:
        dump(con, text, {}, form, output)


@app.command("score", epilog="Example: sigdb score demo.duckdb S100A8 S100A12 VCAN --by study,cell_type")
@expand_options
def score(
    atlas: AtlasPath,
    signature: SignatureParameters,
    by: Annotated[
        str | None,
        typer.Option(
            help="Average over groups of cells: columns of the view `cells`, separated by commas. Default: one row per "
            "cell.",
            autocompletion=complete.columns,
        ),
    ] = None,
    agg: AggOption = "mean",
    missing: MissingOption = "error",
    run: RunOption = None,
    signed: Annotated[bool, typer.Option("--signed", help="Keep the sign of the attributions.")] = False,
    form: FormatOption = None,
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
    dialect: Annotated[
        str, typer.Option("--to", help="The dialect: spark, databricks, trino, bigquery, snowflake or duckdb.")
    ],
    query: QueryArgument = None,
    file: FileOption = None,
    schema: Annotated[
        str,
        typer.Option(help="The schema of the base tables. A catalog or project may stand before it: project.schema."),
    ] = "sigdb_data",
) -> None:
    """Translate a query on an atlas into the SQL of another engine, with macros and views written out."""
    import sigdb

    typer.echo(sigdb.transpile(read_query(query, file), dialect, schema=schema))


def read_query(query: str | None, file: Path | None) -> str:
    """The text of a query: as it was given, of a file, or from standard input."""
    if query is not None and file is not None:
        raise OptionError("A query was given, and also --file. Give one of them.")
    if file is not None:
        try:
            return file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise OptionError(f"{file} is not a text file in UTF-8.") from error
    if query not in (None, "-"):
        return query
    if query is None and sys.stdin.isatty():
        raise OptionError(
            "There is no query. Give one in quotes, name a file with --file, or use `sigdb shell ATLAS` to write "
            "several."
        )
    return sys.stdin.read()
