"""`sigdb info`, `drop-study`, `optimize`, `verify` and `upgrade`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sigdb.cli import complete
from sigdb.cli.options import AtlasFile, AtlasPath, Format, FormatOption, OutputOption, choice
from sigdb.cli.output import console, dump_table, errors, is_for_people, print_titled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

    from sigdb.atlas.verify import Finding

app = typer.Typer()


# What `cli/atlas.runs` says of the genes that were read, in the order of `describe_read`.
GENES_READ = ("median_read", "median_expressed", "share_cut")
INFO_FORMATS = {"table": "tables for people", "json": "one object for programs"}


@app.command("info", epilog="Example: sigdb info demo.duckdb --format json")
def info(
    atlas: AtlasPath, form: Annotated[str, choice(INFO_FORMATS, "The format of the result.", flag="--format")] = "table"
) -> None:
    """Show what an atlas holds, by what its cells can be grouped, and how its scores were computed.

    The JSON object has the keys atlas, bytes, schema, contents, studies, groups, notes and runs.
    """
    import json

    from sigdb.cli.formats import to_json

    facts = collect_facts(atlas)
    if form == "json":
        typer.echo(json.dumps(to_json(facts), indent=2))
    else:
        print_facts(facts)


def collect_facts(atlas: str) -> dict[str, Any]:
    """What `sigdb info` says of an atlas."""
    from sigdb.atlas.file import explain_read_errors, schema_version
    from sigdb.atlas.overlap import overlap_notes
    from sigdb.cli.trust import open_to_read
    from sigdb.disk import is_lake

    con = open_to_read(atlas)
    with explain_read_errors(con, atlas), con:
        if is_lake(atlas):
            from sigdb.lake import manifest

            size = manifest.read(atlas).bytes
        else:
            size = Path(atlas).stat().st_size
        return {
            "atlas": atlas,
            "bytes": size,
            "schema": schema_version(con, atlas),
            "contents": records(con, "cli/atlas.overview")[0],
            "studies": records(con, "cli/atlas.studies"),
            "groups": group_columns(con),
            "notes": list(overlap_notes(con)),
            "runs": records(con, "cli/atlas.runs"),
        }


def records(con: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
    """The rows of a named statement as dictionaries."""
    from sigdb.statements import run_statement

    rows = run_statement(con, name)
    return [dict(zip((column[0] for column in con.description), row, strict=True)) for row in rows]


def group_columns(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The columns by which cells can be grouped, with their numbers of values and the share of cells that have one.

    Columns of a study come first, and then those of a sample and of a cell.
    """
    from sigdb.statements import run_statement

    columns = records(con, "cli/atlas.group_columns")
    names = [each["column"] for each in columns]
    ((n_cells, *found),) = run_statement(con, "cli/atlas.group_values", {"names": names})
    n = len(names)
    facts = zip(columns, found[:n], found[n : 2 * n], found[2 * n :], strict=True)
    groups = [
        {**column, "values": values, "filled": filled / n_cells if n_cells else 0.0, "commonest": commonest}
        for column, values, filled, commonest in facts
    ]
    return sorted(groups, key=lambda each: ("study", "sample", "cell").index(each["describes"]))


def print_facts(facts: dict[str, Any]) -> None:
    """Print what `sigdb info` says of an atlas, for people."""
    console.print(f"{facts['atlas']}, {facts['bytes'] / 1e6:,.1f} MB, atlas schema {facts['schema']}")
    print_records("Contents", [facts["contents"]])
    print_records("Studies", facts["studies"])
    for note in facts["notes"]:
        console.print(note)
    groups = [each | {"filled": f"{each['filled']:.0%}"} for each in facts["groups"] if each["values"]]
    print_records("Columns to group cells by", groups)
    if empty := [each["column"] for each in facts["groups"] if not each["values"]]:
        console.print(f"Without values: {', '.join(empty)}.", end="\n\n")
    # One column per run: a run has more facts than a line has room for.
    if runs := facts["runs"]:
        rows = [[name, *(run[name] for run in runs)] for name in runs[0] if name not in GENES_READ]
        if any(run["share_cut"] for run in runs):
            rows.append(["genes_read", *map(genes_read, runs)])
        print_titled("Attribution runs", ["", *map(str, rows[0][1:])], rows[1:])


def genes_read(run: dict[str, Any]) -> str:
    """How many expressed genes of a cell a run read, for people."""
    from sigdb.text import describe_read

    if run["share_cut"] is None:
        return "not recorded"
    return describe_read(*(run[name] for name in GENES_READ)) if run["share_cut"] else "all"


def print_records(title: str, found: Sequence[dict[str, Any]]) -> None:
    """Print dictionaries with the same keys as a table, if there are any."""
    if found:
        print_titled(title, list(found[0]), [list(each.values()) for each in found])


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
            help="Rebuild what is derived from the scores: cube, group sizes, sums of gene_importance, materialised "
            "scores, order, views and macros.",
        ),
    ] = False,
    form: FormatOption = None,
    output: OutputOption = None,
) -> None:
    """Check that an atlas is sound: scores against the ledger, sums against scores, and more.

    For a lake, the checksums of its files are compared as well.
    """
    from sigdb import disk
    from sigdb.errors import AtlasError, listed
    from sigdb.lake import manifest

    if disk.is_lake(atlas):
        manifest.check_sums(manifest.read(atlas))
    out = console if is_for_people(form, output) else errors
    findings = run_checks(atlas)
    wrong = [each for each in findings if each.n and (fix or not each.is_advice)]
    fixable = [each for each in wrong if each.is_fixable]
    if fix and fixable:
        if out is console:
            print_checks(findings, form, output)
        out.print(rebuild(atlas, wrong))
        # A new connection, since only a new one shows the text of a macro as it is stored.
        findings = run_checks(atlas)
        wrong = [each for each in findings if each.n]
    print_checks(findings, form, output)
    if wrong:
        way_out = f" `sigdb verify --fix {atlas}` rebuilds what is wrong." if wrong == fixable and not fix else ""
        raise AtlasError(f"{atlas} is not sound: {listed([each.check for each in wrong])}.{way_out}")
    out.print(f"{atlas} is sound.")
    if any(each.n and each.is_advice for each in findings) and not fix:
        out.print(f"Queries would be faster if the atlas were sorted: sigdb optimize {atlas}")


def rebuild(atlas: str, wrong: Sequence[Finding]) -> str:
    """Rebuild what is derived, and say what that was; AtlasError if something that it is derived from is wrong too."""
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
    return f"Rebuilt: {listed(fixed)}."


def run_checks(atlas: str) -> list[Finding]:
    """Run all checks."""
    from sigdb.cli.trust import connect

    with connect(atlas) as con:
        return list(track_checks(con))


def print_checks(findings: Sequence[Finding], form: Format | None, output: Path | None) -> None:
    """Print the outcome of each check: a line for people, a row for programs."""
    if is_for_people(form, output):
        for each in findings:
            outcome = f"wrong {each.n:,} times, for example: {each.example}" if each.n else "ok"
            console.print(f"{each.check}: {outcome}")
        return
    import pyarrow as pa

    columns = ("check", "claim", "n", "example")
    types = (pa.string(), pa.string(), pa.int64(), pa.string())
    values = ([getattr(each, name) for each in findings] for name in columns)
    dump_table(pa.table([pa.array(*each) for each in zip(values, types, strict=True)], names=columns), form, output)


def track_checks(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Run all checks under a progress bar."""
    from rich.progress import track

    from sigdb.atlas import verify as verification

    n_checks = len(verification.CHECKS) + 2
    yield from track(verification.verify(con), "Checking", total=n_checks, console=errors, transient=True)


@app.command("upgrade", epilog="Example: sigdb upgrade demo.duckdb")
def upgrade(atlas: AtlasFile) -> None:
    """Bring an atlas to the schema, the views and the macros of this version of sigdb, in one transaction."""
    from sigdb.atlas.upgrade import upgrade as upgrade_atlas

    before, after = upgrade_atlas(atlas)
    change = f"went from schema {before} to schema {after}" if before != after else f"already has schema {after}"
    console.print(f"{atlas} {change}. Its views and macros match this version of sigdb.")
