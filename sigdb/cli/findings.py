"""`sigdb hits`, `compare`, `null`, `leading`, `embedding` and `report`: from scores to findings.

A dataclass per command holds its options. They are the keyword arguments of the function of `sigdb` that it calls.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sigdb.cli import complete
from sigdb.cli.options import (
    AtlasPath,
    FormatOption,
    MissingOption,
    OutputOption,
    PlotOption,
    RunOption,
    choice,
)
from sigdb.cli.output import console, is_for_people, print_written, write_finding
from sigdb.cli.parameters import expand_options
from sigdb.cli.paths import page
from sigdb.cli.signature import SignatureParameters
from sigdb.cli.translate import translate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

app = typer.Typer()

CellsOption = Annotated[
    str | None,
    typer.Option(help="Only these cells: a SQL condition on the view `cells`, such as \"tissue = 'blood'\"."),
]
GroupCellsOption = Annotated[
    str | None,
    typer.Option(
        help="Only these cells: a SQL condition on study, sample, donor, tissue, disease, assay, sex, "
        "development_stage, in_vivo and cell_type."
    ),
]
CompareCellsOption = Annotated[
    str | None,
    typer.Option(
        help="Only these cells: a SQL condition on the view `cells`. With --of score, on the columns of "
        "samples and on cell_type only."
    ),
]
GroupsOption = Annotated[
    str | None,
    typer.Option(help="Only these groups: a SQL condition on study, tissue, disease, cell_type and n_cells."),
]
AGAINST = {
    "controls": "the scores of matched control genes in cells of the same study and depth",
    "cells": "the scores of all chosen cells, as in the paper, where depth and panel decide many hits",
}
AgainstOption = Annotated[str, choice(AGAINST, "What scores are compared with.")]
PercentileOption = Annotated[
    float | None,
    typer.Option(help="A hit scores above this percentile, from 0 to 100. Default: 99 of controls, 95 of cells."),
]
UnitOption = Annotated[
    str,
    typer.Option(metavar="[donor|sample]", help="The unit of replication.", autocompletion=lambda: ["donor", "sample"]),
]
PairedByOption = Annotated[
    str | None,
    typer.Option(
        help="Compare within the values of this column where they repeat: donor.", autocompletion=complete.columns
    ),
]
MinCellsOption = Annotated[int, typer.Option(min=1, help="The fewest cells of a unit or group.")]
MinUnitsOption = Annotated[int, typer.Option(min=2, help="The fewest units of a group.")]


@dataclass(frozen=True)
class View:
    """How a finding is shown: as a chart, as the SQL behind it, or as a table."""

    plot: PlotOption = None
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL behind the finding instead of the table.")] = False
    form: FormatOption = None
    output: OutputOption = None

    def show(
        self,
        found: Any,
        chart: str,
        title: str = "",
        *,
        table: pa.Table | None = None,
        important: Sequence[str] = (),
    ) -> None:
        """Draw a finding if a file is named, and print its table (or another one) with its notes, or its SQL.

        A narrow terminal hides the columns that are not important first.
        """
        self.draw(found, chart, title)
        if self.sql:
            console.print(f"{found.sql};", soft_wrap=True)
            return
        write_finding(found, self.form, self.output, table, important)

    def draw(self, found: Any, chart: str, title: str = "") -> None:
        """Draw a finding if a file is named."""
        if self.plot is not None:
            from sigdb.findings import plots

            worded = replace(found, notes=tuple(map(translate, found.notes)))
            plots.save(getattr(plots, chart)(worded, *filter(None, [title])), self.plot)
            print_written(self.plot, "the chart")


def find(function: str, atlas: str, signature: SignatureParameters, options: Any) -> Any:
    """Call a function of `sigdb` for the genes or the signature that a command names, with the options it was given."""
    import sigdb
    from sigdb.cli.trust import connect

    with connect(atlas) as con:
        return getattr(sigdb, function)(con, signature.look_up(con), **asdict(options))


@dataclass(frozen=True)
class CutOffOptions:
    """What a hit is: the options of `sigdb.findings.hits.CutOff`."""

    against: AgainstOption = "controls"
    percentile: PercentileOption = None
    quantile: Annotated[float | None, typer.Option(help="A hit scores above this quantile, from 0 to 1.")] = None
    cutoff: Annotated[float | None, typer.Option(help="A hit scores above this value.")] = None
    sd: Annotated[
        float | None, typer.Option(help="A hit scores above the mean plus this number of standard deviations.")
    ] = None
    below: Annotated[bool, typer.Option("--below", help="A hit scores below the cut-off instead of above.")] = False


@dataclass(frozen=True)
class HitsOptions(CutOffOptions):
    """The options of `sigdb.hits`."""

    cells: CellsOption = None
    by: Annotated[
        str,
        typer.Option(help="The column of the view `samples` that groups the samples.", autocompletion=complete.columns),
    ] = "disease"
    min_cells: Annotated[int, typer.Option(min=1, help="The fewest cells of a sample.")] = 50
    min_samples: Annotated[int, typer.Option(min=1, help="The fewest samples of a group.")] = 3
    missing: MissingOption = None
    run: RunOption = None


# The columns that a narrow terminal hides last, the most important one first.
GROUP_COLUMNS = ("mean_rate", "n_samples", "mean_z")
SAMPLE_COLUMNS = ("sample", "hit_rate", "n_cells", "n_hits", "label", "donor", "left_out")


@app.command(
    "hits",
    epilog='Example: sigdb hits demo.duckdb LYZ --cells "n_counts > 500" --by tissue --plot hits.html',
)
@expand_options
def hits(
    atlas: AtlasPath,
    signature: SignatureParameters,
    options: HitsOptions,
    view: View,
    samples: Annotated[bool, typer.Option("--samples", help="Print one row per sample instead of per group.")] = False,
) -> None:
    """Call hits in a population of cells, and rank groups of samples by their share of hits."""
    found = find("hits", atlas, signature, options)
    title = f"{signature.title}: hits by {options.by}"
    groups = found.table
    if is_for_people(view.form, view.output):
        groups = groups.drop_columns(["median_rate", "median_counts"])
    view.show(
        found,
        "hit_rates",
        title,
        table=found.samples if samples else groups,
        important=SAMPLE_COLUMNS if samples else GROUP_COLUMNS,
    )


OF = {
    "z": "the mean z of their cells",
    "score": "the mean score of their cells",
    "hits": "the part of their cells that are hits; options for a cut-off are for it",
}


@dataclass(frozen=True)
class CompareOptions(CutOffOptions):
    """The options of `sigdb.compare`."""

    of: Annotated[str, choice(OF, "What is compared between donors.")] = "z"
    by: Annotated[str, typer.Option(help="The column whose values are compared.", autocompletion=complete.columns)] = (
        "disease"
    )
    reference: Annotated[str, typer.Option(help="The value that the others are compared with.")] = "normal"
    unit: UnitOption = "donor"
    within: Annotated[
        str | None,
        typer.Option(
            help="Compare within each value of this column. An empty text compares all cells together.",
            callback=lambda column: column or None,
            autocompletion=complete.columns,
        ),
    ] = "cell_type"
    paired_by: PairedByOption = None
    covariates: Annotated[
        list[str], typer.Option("--covariate", help="Adjust for this column of the view `cells`. Repeatable.")
    ] = field(default_factory=list)
    cells: CompareCellsOption = None
    min_cells: MinCellsOption = 10
    min_units: MinUnitsOption = 3
    cells_as_replicates: Annotated[
        bool,
        typer.Option("--cells-as-replicates", help="Allow cells as units. The p values then say nothing about donors."),
    ] = False
    measured_only: Annotated[
        bool, typer.Option("--measured-only", help="Average over the genes that each study measured.")
    ] = False
    missing: MissingOption = None
    run: RunOption = None


# The columns of a table on the terminal, where they hold anything. Other formats have all columns.
COMPARE_COLUMNS = [
    "within",
    "group",
    "study",
    "hedges_g",
    "p_value",
    "q_value",
    "n_group",
    "n_reference",
    "n_pairs",
    "n_donors",
    "n_cells_group",
    "n_cells_reference",
    "mean_group",
    "mean_reference",
    "difference",
    "g_low",
    "g_high",
    "i2",
    "test",
    "note",
]
# The columns that a narrow terminal hides last.
EFFECT_COLUMNS = ("group", "hedges_g", "q_value", "p_value", "study", "n_group", "n_reference", "note")


@app.command(
    "compare",
    epilog="Example: sigdb compare demo.duckdb CD3D CD3E --by tissue --reference 'normal adjacent' "
    "--paired-by donor --min-cells 3",
)
@expand_options
def compare(atlas: AtlasPath, signature: SignatureParameters, options: CompareOptions, view: View) -> None:
    """Compare a signature between groups of donors, in each study and over all studies.

    The rows without a study: one model of all studies asks whether the groups differ in the donors of these studies;
    random effects ask about studies in general, and need more than three of them.
    """
    found = find("compare", atlas, signature, options)
    title = f"{signature.title}: {options.by} against {options.reference}"
    view.show(
        found,
        "effects",
        title,
        table=short_table(found.table) if is_for_people(view.form, view.output) else None,
        important=EFFECT_COLUMNS,
    )


def short_table(table: pa.Table) -> pa.Table:
    """The columns of a comparison for the terminal, without those that hold nothing."""
    return table.select([name for name in COMPARE_COLUMNS if table[name].null_count < max(table.num_rows, 1)])


@dataclass(frozen=True)
class NullOptions:
    """The options of `sigdb.matched_null`."""

    groups: GroupsOption = None
    n_controls: Annotated[int, typer.Option(help="The number of control sets of matched genes.")] = 1000
    seed: Annotated[int, typer.Option(help="The seed of the random draw of controls.")] = 0
    n_bins: Annotated[int, typer.Option(help="The number of bins of mean attribution in which genes match.")] = 25
    min_cells: MinCellsOption = 10
    missing: MissingOption = None
    run: RunOption = None


@app.command("null", epilog="Example: sigdb null demo.duckdb CD3D CD3E CD2 --n-controls 200")
@expand_options
def null(atlas: AtlasPath, signature: SignatureParameters, options: NullOptions, view: View) -> None:
    """Compare the score in each group of cells with the scores of random sets of matched genes."""
    found = find("matched_null", atlas, signature, options)
    important = ("cell_type", "z", "q_value", "p_value", "score", "n_cells", "null_mean")
    view.show(found, "null_scores", f"{signature.title} against matched genes", important=important)


@dataclass(frozen=True)
class LeadingOptions:
    """The options of `sigdb.leading_genes`."""

    groups: GroupsOption = None
    n: Annotated[int, typer.Option("-n", min=1, help="The number of genes of each group.")] = 10
    min_cells: MinCellsOption = 10
    missing: MissingOption = None
    run: RunOption = None


@app.command("leading", epilog="Example: sigdb leading demo.duckdb MS1 -n 3")
@expand_options
def leading(atlas: AtlasPath, signature: SignatureParameters, options: LeadingOptions, view: View) -> None:
    """Show the genes that contribute most to a signature's score in each group, and the score without each."""
    found = find("leading_genes", atlas, signature, options)
    important = ("gene", "share", "contribution", "cell_type", "score", "score_without")
    view.show(found, "contributions", f"What makes the score of {signature.title}", important=important)


@dataclass(frozen=True)
class EmbeddingOptions:
    """The options of `sigdb.embedding`."""

    basis: Annotated[
        str, typer.Option(help="The embedding: umap stands for the columns umap_1 and umap_2 of the view `cells`.")
    ] = "umap"
    cells: CellsOption = None
    max_points: Annotated[
        int,
        typer.Option(min=0, help="Studies with more cells than this are shown in squares instead of points."),
    ] = 5000
    n_bins: Annotated[int, typer.Option(min=1, help="The number of squares along each axis.")] = 120
    missing: MissingOption = None
    run: RunOption = None


@app.command("embedding", epilog="Example: sigdb embedding umap.duckdb CD3E --basis umap --plot cd3e.png")
@expand_options
def embedding(atlas: AtlasPath, signature: SignatureParameters, options: EmbeddingOptions, view: View) -> None:
    """Show a signature in an embedding that `sigdb ingest --obsm` has stored, study by study."""
    found = find("embedding", atlas, signature, options)
    important = ("score", "cell_type", "x_low", "y_low", "n")
    view.show(found, "embedding", f"{signature.title} in {options.basis}", important=important)


@dataclass(frozen=True)
class ReportOptions:
    """The options of `write_report`."""

    cells: GroupCellsOption = None
    by: Annotated[str, typer.Option(help="The column that groups the samples.", autocompletion=complete.columns)] = (
        "disease"
    )
    reference: Annotated[
        str | None, typer.Option(help="Compare the other groups with this one, by donor. Default: no comparison.")
    ] = None
    paired_by: PairedByOption = None
    against: AgainstOption = "controls"
    percentile: PercentileOption = None
    min_cells: MinCellsOption = 10
    min_samples: Annotated[
        int, typer.Option(min=1, help="The fewest samples of a group, and units of a comparison.")
    ] = 3
    missing: MissingOption = None
    run: RunOption = None


@app.command("report", epilog="Example: sigdb report demo.duckdb MS1 -o ms1.html")
@expand_options
def report(
    atlas: AtlasPath,
    signature: SignatureParameters,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write, an .html file.", callback=page)],
    options: ReportOptions,
) -> None:
    """Write one self-contained page about a signature: hits, groups, nulls, leading genes, SQL and provenance."""
    from sigdb.cli.trust import connect
    from sigdb.findings.report import write_report

    with connect(atlas) as con:
        written = write_report(
            con, signature.look_up(con), output, atlas=Path(atlas).name, title=signature.title, **asdict(options)
        )
    size = output.stat().st_size / 1e6
    print_written(output, f"{written.n_charts} charts, {written.n_tables} tables, {size:.1f} MB")
