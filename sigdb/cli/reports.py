"""What the commands that add studies print at their end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sigdb.cli.output import console, print_note, print_table
from sigdb.errors import listed
from sigdb.text import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.preview import StudyPreview
    from ingest.store.study import StudyReport


def print_outcome(atlas: Path, reports: Sequence[StudyReport], skipped: Sequence[str]) -> None:
    """Print what was stored of each study, which studies were skipped, and which are unfinished."""
    from ingest.store.stage import stages_folder, unfinished_studies

    print_reports(reports)
    print_fields(reports)
    for study in skipped:
        console.print(f"{study}: in the atlas already, and left as it is")
    if unfinished := unfinished_studies(atlas):
        console.print(
            f"Cells of {listed(unfinished)} from an interrupted ingest are kept in {stages_folder(atlas)}. "
            "Run its command again to continue, or remove the folder."
        )


def print_advice(atlas: Path) -> None:
    """Advise the user to sort an atlas, if queries would gain from it."""
    from sigdb.atlas import optimize
    from sigdb.atlas.file import little_memory, open_atlas

    with open_atlas(atlas, read_only=True, sorts=True) as con, little_memory(con):
        if advice := optimize.advice(con, atlas):
            print_note(advice)


def print_reports(reports: Sequence[StudyReport]) -> None:
    """Print a table of studies, and the notes on each. Only Integrated Gradients has an estimated error."""
    if not reports:
        return
    given = all(report.median_delta is None for report in reports)
    names = ["study", "scores from" if given else "counts from", "cells", "scores", "genes measured"]
    names += ["cells without scores"] if given else ["cells without counts"]
    estimated = any(report.median_error is not None for report in reports)
    names += ["estimated error"] if estimated else []
    rows = []
    for each in reports:
        row = [each.study, each.counts_from, each.n_cells, each.n_scores, each.n_genes_measured, each.n_empty_cells]
        rows.append([*row, each.median_error] if estimated else row)
    print_table(names, rows)
    for report in reports:
        for note in report.notes:
            print_note(f"{report.study}: {note}")


def print_fields(reports: Sequence[StudyReport | StudyPreview]) -> None:
    """Print where the fields of the cells of each study come from, and which columns look like those it lacks."""
    from ingest.fields import notes_on_missing

    rows = [
        [report.study, each.field, each.column or "(inferred)", each.n_values, each.n_missing]
        for report in reports
        for each in report.fields
        if each.column or each.n_values
    ]
    if not rows:
        return
    console.print()
    print_table(["study", "field", "column", "values", "cells without"], rows)
    for report in reports:
        for note in notes_on_missing(report.fields):
            print_note(f"{report.study}: {note}")


def print_previews(previews: Sequence[StudyPreview], what: str = "counts") -> None:
    """Print what would be taken from each file of counts or scores."""
    names = ["study", f"{what} from", "cells", "columns", "genes of the model"]
    rows = []
    for each in previews:
        shared = f"{each.n_genes_measured:,} of {each.n_model_genes:,}" if each.n_model_genes else None
        rows.append([each.study, each.counts_from, each.n_cells, each.n_columns, shared])
    print_table(names, rows)
    print_fields(previews)
    for each in previews:
        if each.columns:
            print_note(f"{each.study} keeps {count(len(each.columns), 'other column')}: {listed(each.columns)}.")
        for note in each.notes:
            print_note(f"{each.study}: {note}")
    console.print("Nothing was computed or written.")
