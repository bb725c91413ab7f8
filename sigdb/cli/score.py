"""`sigdb score`: scores of single cells, or of groups of cells."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from sigdb.cli import complete
from sigdb.cli.findings import CellsOption, View
from sigdb.cli.options import AggOption, AtlasPath, MissingOption, RunOption
from sigdb.cli.output import console, dump, print_notes
from sigdb.cli.parameters import expand_options
from sigdb.cli.signature import SignatureParameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from sigdb.answers import Answer

app = typer.Typer()

# The columns that a narrow terminal hides last, the most important one first.
CELL_COLUMNS = ("score", "cell_type", "study", "coverage", "n_measured")
GROUP_COLUMNS = ("score", "z", "hit_rate", "n_cells", "score_se", "coverage")


@dataclass(frozen=True)
class ScoreParameters:
    """How a signature is scored: options of `sigdb.ScoreOptions`."""

    agg: AggOption = "mean"
    missing: MissingOption = None
    run: RunOption = None
    signed: Annotated[bool, typer.Option("--signed", help="Keep the sign of the attributions.")] = False


@app.command("score", epilog="Example: sigdb score demo.duckdb S100A8 S100A12 VCAN --by study,cell_type --min-cells 10")
@expand_options
def score(
    atlas: AtlasPath,
    signature: SignatureParameters,
    options: ScoreParameters,
    view: View,
    by: Annotated[
        str | None,
        typer.Option(
            help="Average over groups of cells: columns of the view `cells`, separated by commas. Default: one row per "
            "cell.",
            autocompletion=complete.columns,
        ),
    ] = None,
    cells: CellsOption = None,
    min_cells: Annotated[int, typer.Option(min=1, help="The fewest cells of a group.")] = 1,
) -> None:
    """Score a gene signature in each cell, or its mean in each group of cells.

    For groups, mean z and hit rate compare the cells with matched control genes at the same depth: see `sigdb hits`.
    score_se and z_se are cluster-robust standard errors of these means. The clusters are the n_units donors, and the
    samples of donors without a name. There is no error for fewer than two units, or for cells of several studies.

    coverage is the part of the genes that the study measured.
    """
    from sigdb.cli.trust import connect
    from sigdb.errors import QueryError
    from sigdb.findings.columns import columns_of
    from sigdb.findings.groups import calibrated_scores

    with connect(atlas) as con:
        members = signature.look_up(con)
        if by is None:
            show_cells(con, members, cells, options, view, signature.title)
            return
        columns = columns_of(con, "cells", [name.strip() for name in by.split(",") if name.strip()])
        if not columns:
            raise QueryError("`by` names no column. Name one or several, such as `by='study,cell_type'`.")
        named = dict(zip(columns, columns, strict=True))
        found = calibrated_scores(con, members, named, cells, min_cells, **asdict(options))
    view.draw(two_axes(found, columns), "heat_map", f"{signature.title} by {', '.join(columns)}")
    replace(view, plot=None).show(found, "heat_map", important=(*columns, *GROUP_COLUMNS))


def show_cells(
    con: duckdb.DuckDBPyConnection,
    members: str | list[str],
    cells: str | None,
    options: ScoreParameters,
    view: View,
    title: str,
) -> None:
    """Draw the scores of cells by cell type, and print them cell by cell, without holding them in memory."""
    import sigdb
    from sigdb.findings.columns import keep_cells
    from sigdb.findings.lost import check_chosen
    from sigdb.scores.names import gene_notes
    from sigdb.scores.options import score_parameters
    from sigdb.statements import named_in, parse_statement, to_sql, write_out

    parameters = score_parameters(con, members, **asdict(options))
    check_chosen(con, [], cells)
    query = keep_cells(parse_statement("findings/cell_scores"), cells)
    if view.plot is not None:
        view.draw(sigdb.score_bins(con, members, cells=cells, **asdict(options)), "distributions", title)
    if view.sql:
        console.print(f"{write_out(query, parameters)};", soft_wrap=True)
        return
    dump(con, to_sql(query), named_in(query, parameters), view.form, view.output, CELL_COLUMNS)
    print_notes(gene_notes(con, parameters["genes"], run=parameters["run"]), view.form)


def two_axes(found: Answer, columns: Sequence[str]) -> Answer:
    """Groups as a heat map shows them: the last column is cell_type, the others are the label."""
    import pyarrow as pa

    *first, last = columns
    rows = found.table.select(list(columns)).to_pylist()
    labels = [", ".join(str(row[name]) for name in first if row[name] is not None) or "all" for row in rows]
    axes = {"label": pa.array(labels, pa.string()), "cell_type": found.table[last].cast(pa.string())}
    rest = {name: found.table[name] for name in found.table.column_names if name not in columns}
    return replace(found, table=pa.table(axes | rest))
