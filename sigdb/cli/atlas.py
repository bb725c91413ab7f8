"""`sigdb info`, `verify`, `drop-study`, `upgrade` and `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track

from sigdb import disk
from sigdb.atlas import verify as verification
from sigdb.atlas.file import schema_version
from sigdb.atlas.optimize import fragmentation
from sigdb.atlas.optimize import optimize as optimize_atlas
from sigdb.atlas.upgrade import upgrade as upgrade_atlas
from sigdb.atlas.writer import Atlas
from sigdb.cli.ask import AtlasPath
from sigdb.cli.output import console, errors, show
from sigdb.cli.progress import progress_bars
from sigdb.connection import connect
from sigdb.errors import AtlasError, listed
from sigdb.lake import manifest

if TYPE_CHECKING:
    import duckdb


# Times its size to which an upgrade may make a file grow without a word.
WORTH_TELLING = 1.2


def info(atlas: AtlasPath) -> None:
    """Say what an atlas holds, and how its scores were made."""
    with connect(atlas) as con:
        size = manifest.read(atlas).bytes if disk.is_lake(atlas) else Path(atlas).stat().st_size
        console.print(f"{atlas}, {size / 1e6:,.1f} MB, atlas schema {schema_version(con, atlas)}")
        show(con, "It holds", "cli/atlas.overview")
        show(con, "Studies", "cli/atlas.studies")
        show(con, "Attribution runs", "cli/atlas.runs", across=True)


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


def optimize(
    atlas: AtlasPath,
    precision: Annotated[
        int | None,
        typer.Option(
            metavar="DECIMALS",
            min=2,
            max=6,
            help="Round the scores, which are 1000 a cell in all, to so many decimals: a smaller file. Not undone.",
        ),
    ] = None,
) -> None:
    """Sort the scores of an atlas, so that queries read little, into a new file that then replaces the old one."""
    with Atlas(atlas) as opened:
        before, size = fragmentation(opened.con), Path(atlas).stat().st_size
    with progress_bars("scores") as report:
        optimize_atlas(atlas, decimals=precision, progress=lambda done, total: report(Path(atlas).name, done, total))
    with connect(atlas) as con:
        after = fragmentation(con)
    console.print(
        f"{atlas}: {size / 1e6:,.1f} MB became {Path(atlas).stat().st_size / 1e6:,.1f} MB. "
        f"Queries read {before:.1f} times the row groups of a sorted atlas before, {after:.1f} times now."
    )
    if precision is not None:
        console.print(
            f"No score changed by more than {10**-precision / 2:g}; sums and kept scores are those of the rounded ones."
        )


def verify(
    atlas: AtlasPath,
    fix: Annotated[
        bool, typer.Option("--fix", help="Make anew what is derived: cube, group sizes, kept scores, order, macros.")
    ] = False,
) -> None:
    """Check that an atlas is sound: its scores against the ledger, its sums against its scores, and more.

    Of a lake, the checksums of its files as well.
    """
    if disk.is_lake(atlas):
        manifest.check_sums(manifest.read(atlas))
    with connect(atlas) as con:
        findings = checked(con)
    wrong = [finding for finding in findings if finding.n and (fix or not finding.is_advice)]
    fixable = [finding for finding in wrong if finding.is_fixable]
    if fix and fixable:
        if len(fixable) < len(wrong):
            lost = [each.check for each in wrong if not each.is_fixable]
            way_out = "Drop the study (drop-study), and ingest it again."
            if "tables" in lost:
                way_out = "Put the columns back (ALTER TABLE), or ingest the studies into a new atlas."
            raise AtlasError(
                f"Not fixed: {listed(lost)} cannot be made anew, and the rest would be made from what is wrong. "
                f"{way_out}"
            )
        with Atlas(atlas) as opened:
            fixed = verification.fix(opened, fixable)
        console.print(f"Made anew: {listed(fixed)}.")
        # Opened again: only then DuckDB shows the text of a macro as it is stored.
        with connect(atlas) as con:
            wrong = [finding for finding in checked(con) if finding.n]
    if wrong:
        way_out = f" `sigdb verify --fix {atlas}` makes it anew." if len(fixable) == len(wrong) and not fix else ""
        raise AtlasError(f"{atlas} is not sound: {listed([each.check for each in wrong])}.{way_out}")
    console.print(f"{atlas} is sound.")
    if any(finding.n and finding.is_advice for finding in findings) and not fix:
        console.print(f"Queries would be faster if it were sorted: sigdb optimize {atlas}")


def checked(con: duckdb.DuckDBPyConnection) -> list[verification.Finding]:
    """Run all checks, and print what they found."""
    findings = list(
        track(verification.verify(con), "Checking", total=len(verification.CHECKS) + 2, console=errors, transient=True)
    )
    for each in findings:
        outcome = f"{each.n} times not so, for example: {each.example}" if each.n else "ok"
        console.print(f"{each.check}: {outcome}", markup=False)
    return findings


def upgrade(atlas: AtlasPath) -> None:
    """Bring an atlas to the schema and the macros of this sigdb, in one transaction.

    From a schema before 4, the attributions are written a second time, and the file grows by as much.
    """
    size = Path(atlas).stat().st_size if Path(atlas).exists() else 0
    before, after = upgrade_atlas(atlas)
    change = f"from schema {before} to {after}" if before != after else f"at schema {after} already"
    console.print(f"{atlas} is {change}; its views and macros are now those of this sigdb.")
    if before != after and (times := Path(atlas).stat().st_size / size) >= WORTH_TELLING:
        console.print(f"Its file is {times:.1f} times as large, and has gaps. To close them: sigdb optimize {atlas}")
