"""`sigdb hits`, `compare`, `null`, `leading`, `report` and `genes compare`: from scores to findings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import duckdb
import typer

from sigdb.cli.ask import AtlasPath, FormatOption, MissingOption, OutputOption, RunOption, genes_or_signature
from sigdb.cli.output import Format, console, dump
from sigdb.connection import connect
from sigdb.findings.compare import compare as compare_groups
from sigdb.findings.gene_compare import gene_compare
from sigdb.findings.groups import embedding as score_in_embedding
from sigdb.findings.hits import hits as call_hits
from sigdb.findings.leading import leading_genes
from sigdb.findings.nulls import matched_null

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa


GenesArgument = Annotated[
    list[str], typer.Argument(metavar="GENE...", help="Genes, or the name of one signature of the library.")
]
CellsOption = Annotated[
    str | None, typer.Option("--cells", help="A SQL condition on `cells`: only these, as \"tissue = 'blood'\".")
]
CubeOption = Annotated[
    str | None, typer.Option("--cells", help="A SQL condition on sample columns and cell_type: only these cells.")
]
GroupsOption = Annotated[
    str | None, typer.Option("--groups", help="A SQL condition on study, tissue, disease, cell_type, n_cells.")
]
PlotOption = Annotated[Path | None, typer.Option("--plot", help="Draw it: .html, .png, .svg or .json (extra plots).")]
SqlOption = Annotated[bool, typer.Option("--sql", help="Print the SQL statement behind it, and nothing else.")]
ByOption = Annotated[str, typer.Option(help="The column whose values are compared.")]
UnitOption = Annotated[str, typer.Option(help="What is a replicate: donor or sample.")]
PairedOption = Annotated[
    str | None, typer.Option("--paired-by", help="Compare within these, where they repeat: donor.")
]
MinUnits = Annotated[int, typer.Option(min=2, help="Fewest units of a group.")]
MinCells = Annotated[int, typer.Option(min=1, help="Fewest cells of a unit or group.")]


def hits(
    atlas: AtlasPath,
    names: GenesArgument,
    cells: CellsOption = None,
    percentile: Annotated[float | None, typer.Option(help="A hit is above this percentile (default: 95).")] = None,
    quantile: Annotated[float | None, typer.Option(help="The same, from 0 to 1.")] = None,
    cutoff: Annotated[float | None, typer.Option(help="A hit is above this score.")] = None,
    sd: Annotated[float | None, typer.Option(help="A hit is above mean + SD standard deviations.")] = None,
    below: Annotated[bool, typer.Option("--below", help="A hit is below the cut-off, not above.")] = False,
    by: Annotated[str, typer.Option(help="The column of `samples` that groups are made by.")] = "disease",
    min_cells: Annotated[int, typer.Option(min=1, help="Fewest cells of a sample.")] = 50,
    min_samples: Annotated[int, typer.Option(min=1, help="Fewest samples of a group.")] = 3,
    samples: Annotated[bool, typer.Option("--samples", help="Print the samples, not the groups.")] = False,
    missing: MissingOption = "error",
    run: RunOption = None,
    plot: PlotOption = None,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Call hits in a population of cells, and rank groups of samples by the part of their cells that are hits."""
    with connect(atlas) as con:
        found = call_hits(
            con, genes_or_signature(con, names), cells=cells, by=by, percentile=percentile, quantile=quantile,
            cutoff=cutoff, sd=sd, below=below, min_cells=min_cells, min_samples=min_samples, missing=missing, run=run,
        )  # fmt: skip
    draw(plot, "hit_rates", found, f"{name_of(names)}: hits by {by}")
    write(found.samples if samples else found.table, [found.sql] if sql else None, form, output)
    if form is Format.table and not sql:
        console.print(f"A hit is {found.rule} ({found.cutoff:.4g})." if found.cutoff is not None else "No samples.")
        say_left_out("samples", found.left_out)


def compare(
    atlas: AtlasPath,
    names: GenesArgument,
    by: ByOption = "disease",
    reference: Annotated[str, typer.Option(help="The value that the others are compared with.")] = "normal",
    unit: UnitOption = "donor",
    within: Annotated[str, typer.Option(help="A column to compare within; empty: all cells together.")] = "cell_type",
    paired_by: PairedOption = None,
    covariates: Annotated[
        list[str] | None, typer.Option("--covariate", help="A column of cells to adjust for; repeatable.")
    ] = None,
    cells: CubeOption = None,
    min_cells: MinCells = 10,
    min_units: MinUnits = 3,
    cells_as_replicates: Annotated[
        bool, typer.Option("--cells-as-replicates", help="Take cells as units; p values then say nothing of donors.")
    ] = False,
    measured_only: Annotated[
        bool, typer.Option("--measured-only", help="Means over the genes that each study measured.")
    ] = False,
    missing: MissingOption = "error",
    run: RunOption = None,
    plot: PlotOption = None,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Compare a signature between groups of donors, study by study, and combined across studies."""
    with connect(atlas) as con:
        found = compare_groups(
            con, genes_or_signature(con, names), by=by, reference=reference, unit=unit, within=within or None,
            paired_by=paired_by, covariates=covariates or [], cells=cells, min_cells=min_cells, min_units=min_units,
            cells_as_replicates=cells_as_replicates, measured_only=measured_only, missing=missing, run=run,
        )  # fmt: skip
    draw(plot, "effects", found, f"{name_of(names)}: {by} against {reference}")
    short = ["within", "group", "study", "test", "n_group", "n_reference", "n_cells_group", "n_cells_reference"]
    short += ["mean_group", "mean_reference", "difference", "hedges_g", "g_low", "g_high", "p_value", "q_value", "note"]
    table = found.table.select(short) if form is Format.table else found.table
    write(table, [each.sql for each in found.units.values()] if sql else None, form, output)
    if form is Format.table and not sql:
        say_left_out("units", found.left_out)


def null(
    atlas: AtlasPath,
    names: GenesArgument,
    groups: GroupsOption = None,
    n_controls: Annotated[int, typer.Option(help="Control sets of matched genes.")] = 1000,
    seed: Annotated[int, typer.Option(help="Another seed draws other controls.")] = 0,
    n_bins: Annotated[int, typer.Option(help="Bins of mean attribution that genes are matched in.")] = 25,
    min_cells: MinCells = 10,
    missing: MissingOption = "error",
    run: RunOption = None,
    plot: PlotOption = None,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Compare the score of each group of cells with those of matched sets of other genes."""
    with connect(atlas) as con:
        found = matched_null(
            con, genes_or_signature(con, names), n_controls=n_controls, seed=seed, n_bins=n_bins, groups=groups,
            min_cells=min_cells, missing=missing, run=run,
        )  # fmt: skip
    draw(plot, "null_scores", found, f"{name_of(names)} against matched genes")
    write(found.table, [found.sql] if sql else None, form, output)


def leading(
    atlas: AtlasPath,
    names: GenesArgument,
    groups: GroupsOption = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Genes of each group.")] = 10,
    min_cells: MinCells = 10,
    missing: MissingOption = "error",
    run: RunOption = None,
    plot: PlotOption = None,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Show the genes that add most to a signature's score in each group, and the score without each."""
    with connect(atlas) as con:
        found = leading_genes(
            con, genes_or_signature(con, names), n=n, groups=groups, min_cells=min_cells, missing=missing, run=run
        )
    draw(plot, "contributions", found, f"What makes the score of {name_of(names)}")
    write(found.table, [found.sql] if sql else None, form, output)


def genes_compare(
    atlas: AtlasPath,
    by: ByOption,
    reference: Annotated[str, typer.Option(help="The value that the other is compared with.")],
    group: Annotated[str | None, typer.Option(help="The other value, if there are several.")] = None,
    study: Annotated[str | None, typer.Option(help="Only this study.")] = None,
    unit: UnitOption = "donor",
    paired_by: PairedOption = None,
    cells: CubeOption = None,
    min_cells: MinCells = 10,
    min_units: MinUnits = 3,
    min_nonzero: Annotated[int, typer.Option(min=1, help="Fewest cells in which a gene is not 0.")] = 10,
    run: RunOption = None,
    plot: PlotOption = None,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Compare the attribution of every gene between two groups of donors, study by study, and combined."""
    with connect(atlas) as con:
        found = gene_compare(
            con, by=by, reference=reference, group=group, study=study, unit=unit, paired_by=paired_by, cells=cells,
            min_cells=min_cells, min_units=min_units, min_nonzero=min_nonzero, run=run,
        )  # fmt: skip
    draw(plot, "volcano", found)
    write(found.table, [found.sql] if sql else None, form, output)
    if form is Format.table and not sql:
        for each in found.studies:
            units = f"{each.n_group} units of {found.group}, {each.n_reference} of {found.reference}"
            console.print(f"{each.study}: {each.test}, {units}; {each.n_untested} genes in too few cells.")
        say_left_out("units", found.left_out)


def embedding(
    atlas: AtlasPath,
    names: GenesArgument,
    basis: Annotated[
        str, typer.Option(help="The embedding: umap for the columns umap_1 and umap_2 of cells.")
    ] = "umap",
    cells: CellsOption = None,
    max_points: Annotated[int, typer.Option(min=0, help="Studies of more cells are counted in squares.")] = 5000,
    n_bins: Annotated[int, typer.Option(min=1, help="Squares to a side.")] = 120,
    missing: MissingOption = "error",
    run: RunOption = None,
    plot: PlotOption = None,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Show a signature in an embedding that `sigdb ingest --obsm` has kept, a study at a time."""
    with connect(atlas) as con:
        found = score_in_embedding(
            con, genes_or_signature(con, names), basis=basis, cells=cells, max_points=max_points, n_bins=n_bins,
            missing=missing, run=run,
        )  # fmt: skip
    draw(plot, "embedding", found, f"{name_of(names)} in {basis}")
    write(found.table, [found.sql] if sql else None, form, output)


def report(
    atlas: AtlasPath,
    names: GenesArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write, .html.")],
    cells: CubeOption = None,
    by: Annotated[str, typer.Option(help="The column that groups are made by.")] = "disease",
    reference: Annotated[str | None, typer.Option(help="Compare with this value of it, by donor.")] = None,
    paired_by: PairedOption = None,
    percentile: Annotated[float, typer.Option(help="A hit is above this percentile.")] = 95,
    min_cells: MinCells = 10,
    min_samples: Annotated[int, typer.Option(min=1, help="Fewest samples of a group, units of a comparison.")] = 3,
    missing: MissingOption = "error",
    run: RunOption = None,
) -> None:
    """Write one self-contained page about a signature: hits, groups, nulls, leading genes, SQL and provenance."""
    from sigdb.findings.report import write_report

    with connect(atlas) as con:
        page = write_report(
            con, genes_or_signature(con, names), output, atlas=Path(atlas).name, title=name_of(names), cells=cells,
            by=by, reference=reference, paired_by=paired_by, percentile=percentile, min_cells=min_cells,
            min_samples=min_samples, missing=missing, run=run,
        )  # fmt: skip
    console.print(
        f"Wrote {output}: {page.n_charts} charts, {page.n_tables} tables, {output.stat().st_size / 1e6:.1f} MB."
    )


def name_of(names: Sequence[str]) -> str:
    """A signature in a title: its name, or its first genes."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def draw(path: Path | None, chart: str, *arguments: Any) -> None:
    """Write a chart of `sigdb.plots`, if a path is given."""
    if path is not None:
        from sigdb.findings import plots

        plots.save(getattr(plots, chart)(*arguments), path)


def write(table: pa.Table, statements: Sequence[str] | None, form: Format, output: Path | None) -> None:
    """Write a table as `sigdb sql` does, or only the SQL behind it."""
    if statements is not None:
        for statement in statements:
            console.print(f"{statement};", soft_wrap=True)
        return
    with duckdb.connect() as scratch:
        scratch.register("found", table)
        empty: dict[str, Any] = {}
        dump(scratch, "FROM found", empty, form, output)


def say_left_out(what: str, reasons: Mapping[str, int]) -> None:
    """Say how many samples or units were left out, and why."""
    if reasons:
        console.print(f"Left out {what}: {', '.join(f'{n} ({reason})' for reason, n in reasons.items())}.")
