"""`sigdb load` and `sigdb import-signature`: scores that were computed elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sigdb.cli.options import (
    IfExists,
    IfExistsOption,
    LicenceOption,
    MappingOption,
    NewAtlasPath,
    OrganismOption,
    QuietOption,
    RunNameOption,
    parse_mapping,
)
from sigdb.cli.progress import progress_bars
from sigdb.cli.reports import print_advice, print_outcome
from sigdb.errors import needs_extra

ModelOption = Annotated[str, typer.Option(help="The model that the scores are of, in words.")]
MethodOption = Annotated[str, typer.Option(help="The method that computed them, in words.")]
TargetSumOption = Annotated[float, typer.Option(help="What the absolute scores of a cell add up to.")]
RescaleOption = Annotated[bool, typer.Option("--rescale", help="Make the scores of each cell add up to --target-sum.")]
SourceOption = Annotated[str | None, typer.Option(help="Where the data are from: an accession, a DOI.")]


def load(
    atlas: NewAtlasPath,
    matrix: Annotated[
        Path, typer.Option(help="The scores, cells x genes: a sparse matrix of scipy (.npz), or AnnData (.h5ad).")
    ],
    obs: Annotated[
        Path | None,
        typer.Option(
            help="Metadata of the cells (.csv, .tsv, .parquet), which the column `barcode` names, or else the first: "
            "for .npz, a row for each of the matrix, in its order; for .h5ad, joined by name."
        ),
    ] = None,
    genes: Annotated[
        Path | None, typer.Option(help="Names of the genes, one a line, in the order of the matrix; needed for .npz.")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="The layer of .h5ad that holds the scores (default: X).")] = None,
    measured: Annotated[
        Path | None, typer.Option(help="Names of the genes that the study measured, one a line (default: all).")
    ] = None,
    study: Annotated[str | None, typer.Option(help="Name of the study (default: the file's).")] = None,
    run: RunNameOption = None,
    model: ModelOption = "precomputed",
    method: MethodOption = "unknown",
    target_sum: TargetSumOption = 1000.0,
    rescale: RescaleOption = False,
    title: Annotated[str | None, typer.Option(help="Title of the study.")] = None,
    organism: OrganismOption = None,
    source: SourceOption = None,
    licence: LicenceOption = None,
    mapping: MappingOption = None,
    if_exists: IfExistsOption = IfExists.ERROR,
    quiet: QuietOption = False,
) -> None:
    """Add scores that were computed elsewhere to an atlas, as a study: whole, or not at all.

    They are stored as given: the absolute scores of a cell must add up to --target-sum.
    """
    with needs_extra("ingest"):
        from ingest.given.files import load_file, read_names
        from ingest.given.load import LoadOptions
    with progress_bars(quiet=quiet) as report:
        options = LoadOptions(
            model=model, method=method, target_sum=target_sum, rescale=rescale,
            measured=read_names(measured) if measured else None, mapping=parse_mapping(mapping or []), run=run,
            if_exists=if_exists.value, progress=report,
        )  # fmt: skip
        about = {"title": title, "organism": organism, "source": source, "licence": licence}
        done = load_file(atlas, matrix, options, study=study or "", obs=obs, genes=genes, layer=layer, about=about)
    print_outcome(atlas, [done] if done else [], [] if done else [study or matrix.stem])
    print_advice(atlas)


def import_signature(
    atlas: NewAtlasPath,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="A folder of folders, one a cell type, each with an array `attributions` and `cell_metadata.csv.gz`.",
        ),
    ],
    genes: Annotated[Path, typer.Option(help="Names of the genes, one a line, in the order of the arrays.")],
    study_column: Annotated[str, typer.Option(help="The column of the metadata that names the study.")] = "study",
    run: RunNameOption = None,
    model: ModelOption = "SIGnature",
    method: MethodOption = "unknown",
    target_sum: TargetSumOption = 1000.0,
    rescale: RescaleOption = False,
    organism: OrganismOption = None,
    source: SourceOption = None,
    licence: LicenceOption = None,
    mapping: MappingOption = None,
    if_exists: IfExistsOption = IfExists.SKIP,
    quiet: QuietOption = False,
) -> None:
    """Add the studies of an atlas of SIGnature to an atlas, each whole or not at all.

    Studies that the atlas has are left as they are, so that the same command goes on where one was interrupted. The
    column `prediction` becomes the cell type, unless --map says otherwise; all columns are kept.
    """
    with needs_extra("signature"):
        from ingest.given import signature
        from ingest.given.files import read_names
        from ingest.given.load import LoadOptions
    with progress_bars(quiet=quiet) as report:
        options = LoadOptions(
            model=model, method=method, target_sum=target_sum, rescale=rescale, mapping=parse_mapping(mapping or []),
            run=run, if_exists=if_exists.value, progress=report,
        )  # fmt: skip
        about = {"organism": organism, "source": source, "licence": licence}
        reports, left = signature.import_signature(
            atlas, folder, read_names(genes), options, study_column=study_column, about=about
        )
    print_outcome(atlas, reports, left)
    print_advice(atlas)
