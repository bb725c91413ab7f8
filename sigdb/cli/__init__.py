"""The command line, `sigdb`."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as package_version
from typing import Annotated

import duckdb
import typer

from sigdb.cli import ask, atlas, demo, findings, genes, ingest, lake, library, load, models
from sigdb.cli.output import problem
from sigdb.errors import SigdbError

__all__ = ["app", "main"]

app = typer.Typer(
    name="sigdb",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Gene-signature search in single-cell attribution atlases: one DuckDB file, asked in SQL.",
    epilog="Example: sigdb demo",
)
app.command("demo", epilog="Example: sigdb demo demo.duckdb")(demo.demo)
app.command(
    "ingest",
    epilog="Example: sigdb ingest mine.duckdb study.h5ad --model mlp --weights model --map donor=donor",
)(ingest.ingest)
app.command(
    "ingest-spark",
    epilog="Example: sigdb ingest-spark mine.lake study.h5ad --model mlp --weights model --master 'local[2,4]'",
)(ingest.ingest_spark)
app.command(
    "load",
    epilog="Example: sigdb load mine.duckdb --matrix scores.npz --obs obs.csv --genes genes.txt --study mine",
)(load.load)
app.command(
    "import-signature",
    epilog="Example: sigdb import-signature atlas.duckdb signature_atlas --genes gene_order.tsv",
)(load.import_signature)
app.command("drop-study", epilog="Example: sigdb drop-study demo.duckdb wu2020_tcell --yes")(atlas.drop_study)
app.command("info", epilog="Example: sigdb info demo.duckdb")(atlas.info)
app.command(
    "sql",
    epilog='Example: sigdb sql demo.duckdb "SELECT study, count(*) AS cells FROM cells GROUP BY study" --format csv',
)(ask.sql)
app.command(
    "transpile",
    epilog="Example: sigdb transpile --to spark \"SELECT avg(score) FROM signature_score(['LYZ', 'CD14'])\"",
)(ask.transpile)
app.command("score", epilog="Example: sigdb score demo.duckdb S100A8 S100A12 VCAN --by study,cell_type")(ask.score)
app.command(
    "hits",
    epilog='Example: sigdb hits demo.duckdb LYZ --cells "n_counts > 500" --percentile 90 --by tissue --plot hits.html',
)(findings.hits)
app.command(
    "compare",
    epilog="Example: sigdb compare demo.duckdb CD3D CD3E --by tissue --reference 'normal adjacent' "
    "--paired-by donor --min-cells 3",
)(findings.compare)
app.command("null", epilog="Example: sigdb null demo.duckdb CD3D CD3E CD2 --n-controls 200")(findings.null)
app.command("leading", epilog="Example: sigdb leading demo.duckdb MS1 --missing ignore -n 3")(findings.leading)
app.command(
    "embedding",
    epilog="Example: sigdb embedding umap.duckdb CD3E --basis umap --plot cd3e.png",
)(findings.embedding)
app.command("report", epilog="Example: sigdb report demo.duckdb MS1 --missing ignore -o ms1.html")(findings.report)
app.command("upgrade", epilog="Example: sigdb upgrade demo.duckdb")(atlas.upgrade)
app.command("optimize", epilog="Example: sigdb optimize demo.duckdb")(atlas.optimize)
app.command("verify", epilog="Example: sigdb verify demo.duckdb")(atlas.verify)
app.command("export", epilog="Example: sigdb export demo.duckdb demo.lake")(lake.export)
app.command("attach-lake", epilog="Example: sigdb attach-lake toy.lake attached.duckdb")(lake.attach_lake)
app.command("import-lake", epilog="Example: sigdb import-lake toy.lake imported.duckdb")(lake.import_lake)
app.add_typer(library.app, name="signatures")
genes.app.command(
    "compare",
    epilog="Example: sigdb genes compare demo.duckdb --by tissue --reference 'normal adjacent' --group tumour "
    "--paired-by donor --min-cells 3",
)(findings.genes_compare)
app.add_typer(genes.app, name="genes")
app.add_typer(models.app, name="models")


def show_version(wanted: bool) -> None:
    """Print the version, and stop."""
    if wanted:
        typer.echo(f"sigdb {package_version('sigdb-atlas')}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.", envvar="SIGDB_DEBUG")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Gene-signature search in single-cell attribution atlases: one DuckDB file, asked in SQL."""
    if debug:
        os.environ["SIGDB_DEBUG"] = "1"


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 an error that it explains in a paragraph, 2 wrong usage."""
    try:
        app()
    except Exception as error:
        if os.environ.get("SIGDB_DEBUG"):
            raise
        problem(error)
        if not isinstance(error, SigdbError | duckdb.Error | OSError):
            problem(f"({type(error).__name__}: this should not have happened. `sigdb --debug ...` shows where it did.)")
        sys.exit(1)
