"""`sigdb sql` and `sigdb transpile`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sigdb.cli.options import (
    AtlasPath,
    Format,
    FormatOption,
    OutputOption,
)
from sigdb.cli.output import dump

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
