"""`sigdb info`, `drop-study`, `optimize`, `verify` and `upgrade`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sigdb.cli import complete
from sigdb.cli.options import AtlasFile, AtlasPath
from sigdb.cli.output import console, print_query
from sigdb.cli.trust import is_trusted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

    from sigdb.atlas.verify import Finding

app = typer.Typer()


@app.command("info", epilog="Example: sigdb info demo.duckdb")
def info(atlas: AtlasPath) -> None:
    """Show what an atlas holds, and how its scores were computed."""
    from sigdb.atlas.file import explain_read_errors, schema_version
    from sigdb.atlas.overlap import overlap_notes
    from sigdb.disk import is_lake

    if is_lake(atlas):
        from sigdb.lake import manifest
        from sigdb.lake.open import open_lake

        con, size = open_lake(atlas), manifest.read(atlas).bytes
    else:
        # Unlike `sigdb.connect`, without the function signature_score_py, which is slow to load.
        from sigdb.atlas.file import open_atlas

        con, size = open_atlas(atlas, read_only=True, trusted=is_trusted()), Path(atlas).stat().st_size
    with explain_read_errors(con, atlas), con:
        console.print(f"{atlas}, {size / 1e6:,.1f} MB, atlas schema {schema_version(con, atlas)}")
        print_query(con, "Contents", "cli/atlas.overview")
        print_query(con, "Studies", "cli/atlas.studies")
        for note in overlap_notes(con):
            console.print(note)
        print_query(con, "Attribution runs", "cli/atlas.runs", transposed=True)


@app.command("drop-study", epilog="Example: sigdb drop-study demo.duckdb wu2020_tcell --yes")
def drop_study(
    atlas: AtlasFile,
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="The name of the study.", autocompletion=complete.studies)
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Remove a study with its scores in all runs.

    Other studies do not change.
    """
    import sigdb

    with sigdb.Atlas(atlas) as opened:
        if not yes:
            typer.confirm(f"Remove the study {study} from {atlas}? This cannot be undone.", abort=True)
        cells = opened.drop_study(study)
    console.print(f"Removed {study}: {cells} cells.")


@app.command("optimize", epilog="Example: sigdb optimize demo.duckdb")
def optimize(
    atlas: AtlasFile,
    decimals: Annotated[
        int | None,
        typer.Option(
            "--precision",
            metavar="DECIMALS",
            min=2,
            max=6,
            help="Round scores, which add up to 1000 per cell, to this number of decimals. The file becomes smaller. "
            "Rounding cannot be undone.",
        ),
    ] = None,
) -> None:
    """Sort the scores of an atlas, so that queries read less of the file.

    The sorted atlas is written to a new file, which then replaces the old one.
    """
    import sigdb
    from sigdb.atlas.optimize import fragmentation
    from sigdb.atlas.optimize import optimize as sort_atlas
    from sigdb.cli.progress import progress_bars
    from sigdb.cli.trust import connect

    path = Path(atlas)
    with sigdb.Atlas(path) as opened:
        before, size = fragmentation(opened.con), path.stat().st_size
    with progress_bars("scores") as report:
        sort_atlas(path, decimals=decimals, progress=lambda done, total: report(path.name, done, total))
    with connect(atlas) as con:
        after = fragmentation(con)
    console.print(
        f"{atlas}: {size / 1e6:,.1f} MB before, {path.stat().st_size / 1e6:,.1f} MB now. A query read {before:.1f} "
        f"times the row groups of a sorted atlas before, and reads {after:.1f} times as many now."
    )
    if decimals is not None:
        console.print(
            f"No score changed by more than {10**-decimals / 2:g}. Sums and materialised scores were computed again "
            "from the rounded scores."
        )


@app.command("verify", epilog="Example: sigdb verify demo.duckdb")
def verify(
    atlas: AtlasPath,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix",
            help="Rebuild what is derived from the scores: cube, group sizes, materialised scores, order, views and "
            "macros.",
        ),
    ] = False,
) -> None:
    """Check that an atlas is sound: scores against the ledger, sums against scores, and more.

    For a lake, the checksums of its files are compared as well.
    """
    from sigdb import disk
    from sigdb.errors import AtlasError, listed
    from sigdb.lake import manifest

    if disk.is_lake(atlas):
        manifest.check_sums(manifest.read(atlas))
    findings = print_checks(atlas)
    wrong = [each for each in findings if each.n and (fix or not each.is_advice)]
    fixable = [each for each in wrong if each.is_fixable]
    if fix and fixable:
        rebuild(atlas, wrong)
        # A new connection, since only a new one shows the text of a macro as it is stored.
        wrong = [each for each in print_checks(atlas) if each.n]
    if wrong:
        way_out = f" `sigdb verify --fix {atlas}` rebuilds what is wrong." if wrong == fixable and not fix else ""
        raise AtlasError(f"{atlas} is not sound: {listed([each.check for each in wrong])}.{way_out}")
    console.print(f"{atlas} is sound.")
    if any(each.n and each.is_advice for each in findings) and not fix:
        console.print(f"Queries would be faster if the atlas were sorted: sigdb optimize {atlas}")


def rebuild(atlas: str, wrong: Sequence[Finding]) -> None:
    """Rebuild what is derived; AtlasError if something that it is derived from is wrong too."""
    import sigdb
    from sigdb.atlas.verify import fix
    from sigdb.errors import AtlasError, listed

    lost = [each.check for each in wrong if not each.is_fixable]
    if lost:
        way_out = "Remove the study (sigdb drop-study), and ingest it again."
        if "tables" in lost:
            way_out = "Put the columns back (ALTER TABLE), or ingest the studies into a new atlas."
        raise AtlasError(
            f"Not fixed: {listed(lost)} cannot be rebuilt, and the rest would be rebuilt from wrong data. {way_out}"
        )
    with sigdb.Atlas(atlas) as opened:
        fixed = fix(opened, list(wrong))
    console.print(f"Rebuilt: {listed(fixed)}.")


def print_checks(atlas: str) -> list[Finding]:
    """Run all checks, and print the outcome of each."""
    from sigdb.cli.trust import connect

    with connect(atlas) as con:
        findings = list(track_checks(con))
    for each in findings:
        outcome = f"wrong {each.n} times, for example: {each.example}" if each.n else "ok"
        console.print(f"{each.check}: {outcome}")
    return findings


def track_checks(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Run all checks under a progress bar."""
    from rich.progress import track

    from sigdb.atlas import verify as verification
    from sigdb.cli.output import errors

    n_checks = len(verification.CHECKS) + 2
    yield from track(verification.verify(con), "Checking", total=n_checks, console=errors, transient=True)


@app.command("upgrade", epilog="Example: sigdb upgrade demo.duckdb")
def upgrade(atlas: AtlasFile) -> None:
    """Bring an atlas to the schema, the views and the macros of this version of sigdb, in one transaction."""
    from sigdb.atlas.upgrade import upgrade as upgrade_atlas

    before, after = upgrade_atlas(atlas)
    change = f"went from schema {before} to schema {after}" if before != after else f"already has schema {after}"
    console.print(f"{atlas} {change}. Its views and macros match this version of sigdb.")
