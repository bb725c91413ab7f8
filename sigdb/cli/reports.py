"""What the commands that add studies print at their end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sigdb.cli.output import console, print_note, print_table
from sigdb.errors import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.store.study import StudyReport


def print_outcome(atlas: Path, reports: Sequence[StudyReport], skipped: Sequence[str]) -> None:
    """Print what was stored of each study, which studies were skipped, and which are unfinished."""
    from ingest.store.stage import stages_folder, unfinished_studies

    print_reports(reports)
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
