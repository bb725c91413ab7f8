"""`sigdb ingest`, `info`, `drop-study`, `upgrade` and `demo`."""

from __future__ import annotations

from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    track,
)

from sigdb import verify as verification
from sigdb.atlas import Atlas
from sigdb.atlas import upgrade as upgrade_atlas
from sigdb.cli.findings import print_findings, show
from sigdb.cli.output import console, errors, print_table
from sigdb.cli.query import AtlasPath
from sigdb.connection import connect, schema_version
from sigdb.errors import AtlasError, MissingDependencyError, ObsError, StudyExistsError, listed
from sigdb.optimize import fragmentation
from sigdb.optimize import optimize as optimize_atlas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb

    from ingest.pipeline import StudyReport


class Method(StrEnum):
    """Attribution methods."""

    ig = "ig"


class Architecture(StrEnum):
    """Model adapters."""

    mlp = "mlp"
    scimilarity = "scimilarity"


def ingest(
    atlas: Annotated[Path, typer.Argument(metavar="ATLAS", help="The atlas file; made if there is none.")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="AnnData files (.h5ad) with raw counts, a study each.")
    ],
    model: Annotated[Architecture, typer.Option(help="The kind of model in the weights folder.")],
    weights: Annotated[Path, typer.Option(help="The model's folder.")],
    method: Annotated[Method, typer.Option(help="Attribution method: ig, Integrated Gradients.")] = Method.ig,
    steps: Annotated[int, typer.Option(min=2, help="Integration steps.")] = 50,
    study: Annotated[str | None, typer.Option(help="Name of the study (default: the file's); for one file.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the study; for one file.")] = None,
    organism: Annotated[str | None, typer.Option(help="Organism of the study.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Where the study is from: an accession, a DOI; for one file.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the data.")] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN",
            help="Take a field (disease, donor, ...) from this obs column; FIELD= for none; repeatable.",
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Matrix of raw counts: a layer, X or raw (default: the first that holds counts).")
    ] = None,
    run: Annotated[str | None, typer.Option(help="A name for the run (default: model and method).")] = None,
    min_genes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Fewest genes that study and model must share (default: 500, or half of a smaller model's)."
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Cells attributed at a time.")] = 64,
) -> None:
    """Attribute the cells of AnnData files and add them to an atlas, each file whole or not at all."""
    with needs_ingest_extra():
        from ingest import pipeline
        from ingest.models import load_model
    if len(files) > 1 and (study or title or source):
        raise StudyExistsError(f"--study, --title and --source are for one file; there are {len(files)}.")
    with progress_bars() as report:
        options = pipeline.IngestOptions(
            n_steps=steps, layer=layer, mapping=parse_mapping(mapping or []), run=run, min_genes=min_genes,
            batch_size=batch_size, progress=report,
        )  # fmt: skip
        sources = [pipeline.Source(file, study or "", title, organism, source, licence) for file in files]
        reports = pipeline.ingest_files(atlas, sources, load_model(model.value, weights), options)
    print_reports(reports)


def demo(
    atlas: Annotated[Path, typer.Argument(metavar="ATLAS", help="Where the demo atlas is, or shall be.")] = Path(
        "demo.duckdb"
    ),
) -> None:
    """Build an atlas from the bundled real studies, if there is none, and show what can be asked of it."""
    if not atlas.exists():
        with needs_ingest_extra():
            from ingest.demo import build_demo
        console.print(f"Building {atlas} from the bundled studies, with the demonstration model.")
        with progress_bars() as report:
            reports = build_demo(atlas, report)
        print_reports(reports)
    with connect(atlas) as con:
        print_findings(con, atlas)


def info(atlas: AtlasPath) -> None:
    """Say what an atlas holds, and how its scores were made."""
    with connect(atlas) as con:
        console.print(f"{atlas}, {atlas.stat().st_size / 1e6:,.1f} MB, atlas schema {schema_version(con, atlas)}")
        show(con, "It holds", "overview")
        show(con, "Studies", "studies")
        show(con, "Attribution runs", "runs", across=True)


def drop_study(
    atlas: AtlasPath,
    study: Annotated[str, typer.Argument(help="The study to remove.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a study with its scores in all runs; every other study stays as it is."""
    with Atlas(atlas) as opened:
        if not yes:
            typer.confirm(f"Remove the study {study} from {atlas}? This cannot be undone.", abort=True)
        cells = opened.drop_study(study)
    console.print(f"Removed {study}: {cells} cells.", markup=False)


def optimize(atlas: AtlasPath) -> None:
    """Sort the scores of an atlas, so that queries read little, into a new file that then replaces the old one."""
    with connect(atlas) as con:
        before, size = fragmentation(con), atlas.stat().st_size
    with progress_bars("scores") as report:
        optimize_atlas(atlas, progress=lambda done, total: report(atlas.name, done, total))
    with connect(atlas) as con:
        after = fragmentation(con)
    console.print(
        f"{atlas}: {size / 1e6:,.1f} MB became {atlas.stat().st_size / 1e6:,.1f} MB. "
        f"Queries read {before:.1f} times the row groups of a sorted atlas before, {after:.1f} times now."
    )


def verify(
    atlas: AtlasPath,
    fix: Annotated[
        bool, typer.Option("--fix", help="Make anew what is derived: cube, group sizes, kept scores, order, macros.")
    ] = False,
) -> None:
    """Check that an atlas is sound: its scores against the ledger, its sums against its scores, and more."""
    with connect(atlas) as con:
        findings = checked(con)
    wrong = [finding for finding in findings if finding.n]
    fixable = [finding for finding in wrong if finding.is_fixable]
    if fix and fixable:
        if len(fixable) < len(wrong):
            raise AtlasError(
                f"Not fixed: {listed([each.check for each in wrong if not each.is_fixable])} cannot be made anew, and "
                "the rest would be made from what is wrong. Drop the study (drop-study), and ingest it again."
            )
        with Atlas(atlas) as opened:
            fixed = verification.fix(opened, fixable)
            console.print(f"Made anew: {listed(fixed)}.")
            wrong = [finding for finding in checked(opened.con) if finding.n]
    if wrong:
        way_out = f" `sigdb verify --fix {atlas}` makes it anew." if len(fixable) == len(wrong) and not fix else ""
        raise AtlasError(f"{atlas} is not sound: {listed([each.check for each in wrong])}.{way_out}")
    console.print(f"{atlas} is sound.")


def checked(con: duckdb.DuckDBPyConnection) -> list[verification.Finding]:
    """Run all checks, and print what they found."""
    findings = list(
        track(verification.verify(con), "Checking", total=len(verification.CHECKS) + 1, console=errors, transient=True)
    )
    for each in findings:
        outcome = f"{each.n} times not so, for example: {each.example}" if each.n else "ok"
        console.print(f"{each.check}: {outcome}", markup=False)
    return findings


def upgrade(atlas: AtlasPath) -> None:
    """Bring an atlas to the schema and the macros of this sigdb, in one transaction."""
    before, after = upgrade_atlas(atlas)
    change = f"from schema {before} to {after}" if before != after else f"at schema {after} already"
    console.print(f"{atlas} is {change}; its views and macros are now those of this sigdb.")


@contextmanager
def needs_ingest_extra() -> Iterator[None]:
    """Turn a failed import inside the block into a MissingDependencyError that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"This command computes attributions and needs the package {error.name}. "
            "Install it: pip install 'sigdb-atlas[ingest]'"
        ) from error


def parse_mapping(pairs: list[str]) -> dict[str, str]:
    """FIELD=COLUMN pairs as a dict; ObsError for anything else."""
    if odd := [pair for pair in pairs if not pair.partition("=")[0] or "=" not in pair]:
        raise ObsError(f"--map takes FIELD=COLUMN, or FIELD= for none, not {odd[0]!r}.")
    return dict(pair.split("=", 1) for pair in pairs)


@contextmanager
def progress_bars(unit: str = "cells") -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar per name (a study), on standard error; yields the function to tell (name, done, total)."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=errors) as progress:
        tasks = {}

        def report(study: str, done: int, total: int) -> None:
            if study not in tasks:
                tasks[study] = progress.add_task(study, total=total)
            progress.update(tasks[study], completed=done)

        yield report


def print_reports(reports: list[StudyReport]) -> None:
    """Say what came of each study."""
    names = ("study", "cells", "scores", "genes measured", "cells without counts", "median |completeness delta|")
    rows = [(r.study, r.n_cells, r.n_scores, r.n_genes_measured, r.n_empty_cells, r.median_delta) for r in reports]
    print_table(names, rows, grouped=True)
    for report in reports:
        for note in report.notes:
            console.print(f"{report.study}: {note}")
