"""`sigdb load` and `sigdb import-signature`: scores that were computed elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sigdb.cli.ingest_options import GivenParameters, ImportParameters, parse_mapping
from sigdb.cli.options import DryRunOption, NewAtlasPath
from sigdb.cli.parameters import expand_options
from sigdb.cli.paths import existing
from sigdb.errors import needs_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.given.load import LoadOptions

app = typer.Typer()


@app.command(
    "load", epilog="Example: sigdb load mine.duckdb --matrix scores.npz --obs obs.csv --genes genes.txt --study mine"
)
@expand_options
def load(
    atlas: NewAtlasPath,
    matrix: Annotated[
        Path,
        typer.Option(
            help="The scores, cells x genes: a sparse matrix of scipy (.npz), or an AnnData file (.h5ad).",
            callback=existing("file or folder"),
        ),
    ],
    parameters: GivenParameters,
    obs: Annotated[
        Path | None,
        typer.Option(
            help="A table of cell metadata (.csv, .tsv, .parquet), where the column `barcode`, or else the first one, "
            "names the cells. With .npz: one row per cell, in the order of the matrix. With .h5ad: joined by name.",
            callback=existing(),
        ),
    ] = None,
    genes: Annotated[
        Path | None,
        typer.Option(
            help="The names of the genes, one per line, in the order of the matrix. Needed with .npz.",
            callback=existing(),
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="The layer of the .h5ad file that holds the scores. Default: X.")
    ] = None,
    measured: Annotated[
        Path | None,
        typer.Option(
            help="The names of the genes that the study measured, one per line. Default: all genes.",
            callback=existing(),
        ),
    ] = None,
    study: Annotated[str | None, typer.Option(help="The name of the study. Default: the name of the file.")] = None,
    title: Annotated[str | None, typer.Option(help="The title of the study.")] = None,
    dry_run: DryRunOption = False,
) -> None:
    """Add scores that were computed elsewhere to an atlas, as one study.

    Scores are stored as they are given: the absolute scores of each cell must add up to --target-sum.

    The study is added whole or not at all. After an interruption, the same command continues.
    """
    from sigdb.cli.progress import progress_bars
    from sigdb.cli.reports import print_advice, print_outcome, print_previews

    with needs_extra("ingest"):
        from ingest.given.files import load_file, read_names
        from ingest.given.preview import preview_file
    about = {"title": title, **describe_source(parameters)}
    given: dict[str, Any] = {"study": study or "", "obs": obs, "genes": genes, "layer": layer}
    names = read_names(measured) if measured else None
    if dry_run:
        options = load_options(parameters, lambda *done: None, names)
        print_previews([preview_file(matrix, options, **given)], "scores")
        return
    with progress_bars(quiet=parameters.quiet, first="Reading the cells", last="storing") as report:
        done = load_file(atlas, matrix, load_options(parameters, report, names), about=about, **given)
    print_outcome(atlas, [done] if done else [], [] if done else [study or matrix.stem])
    print_advice(atlas)


@app.command(
    "import-signature",
    epilog="Example: sigdb import-signature atlas.duckdb signature_atlas --genes gene_order.tsv",
)
@expand_options
def import_signature(
    atlas: NewAtlasPath,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="A folder with one folder per cell type, each with an array `attributions` and a file "
            "`cell_metadata.csv.gz`.",
            callback=existing("folder"),
        ),
    ],
    genes: Annotated[
        Path,
        typer.Option(help="The names of the genes, one per line, in the order of the arrays.", callback=existing()),
    ],
    parameters: ImportParameters,
    study_column: Annotated[str, typer.Option(help="The column of the metadata that names the study.")] = "study",
) -> None:
    """Add the studies of an atlas of SIGnature to an atlas, each whole or not at all.

    Studies that the atlas already has are skipped. After an interruption, the same command continues.

    The column `prediction` becomes the cell type, unless --map names another one. All columns are kept.
    """
    from sigdb.cli.progress import progress_bars
    from sigdb.cli.reports import print_advice, print_outcome

    with needs_extra("signature"):
        from ingest.given import signature
        from ingest.given.files import read_names
    about = describe_source(parameters)
    with progress_bars(quiet=parameters.quiet, first="Reading the cells", last="storing") as report:
        options = load_options(parameters, report)
        reports, skipped = signature.import_signature(
            atlas, folder, read_names(genes), options, study_column=study_column, about=about
        )
    print_outcome(atlas, reports, skipped)
    print_advice(atlas)


def load_options(
    parameters: GivenParameters, progress: Callable[[str, int, int], None], measured: Sequence[str] | None = None
) -> LoadOptions:
    """The options of the library, from the parameters of a command."""
    from ingest.given.load import LoadOptions

    return LoadOptions(
        model=parameters.model,
        method=parameters.method,
        target_sum=parameters.target_sum,
        rescale=parameters.rescale,
        measured=measured,
        mapping=parse_mapping(parameters.mapping),
        run=parameters.run,
        if_exists=parameters.if_exists,  # type: ignore[arg-type]
        progress=progress,
    )


def describe_source(parameters: GivenParameters) -> dict[str, str | None]:
    """What is known about the data."""
    return {"organism": parameters.organism, "source": parameters.source, "licence": parameters.licence}
