"""`sigdb sql` and `sigdb transpile`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sigdb.cli.options import (
    AtlasPath,
    FormatOption,
    OutputOption,
)
from sigdb.cli.output import dump
from sigdb.cli.paths import existing
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
