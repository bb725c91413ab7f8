"""What the commands that add studies print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sigdb.atlas import optimize
from sigdb.atlas.file import little_memory
from sigdb.cli.output import console, print_table
from sigdb.connection import connect
from sigdb.errors import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.store.study import StudyReport


def print_outcome(atlas: Path, reports: Sequence[StudyReport], left: Sequence[str]) -> None:
    """Say what came of all studies, those left as they are too, and what a user should do next."""
    from ingest.store.stage import stages_folder, unfinished_studies

    print_reports(reports)
    for study in left:
        console.print(f"{study}: in the atlas already, and left as it is", markup=False)
    if unfinished := unfinished_studies(atlas):
        console.print(
            f"Cells of {listed(unfinished)} from an interrupted ingest are kept in {stages_folder(atlas)}. "
            "Its command goes on from there; without it, remove the folder.",
            markup=False,
        )


def print_advice(atlas: Path) -> None:
    """Say whether it is worth sorting an atlas."""
    with connect(atlas) as con, little_memory(con):
        if advice := optimize.advice(con, atlas):
            console.print(advice, markup=False)


def print_reports(reports: Sequence[StudyReport]) -> None:
    """Say what came of each study; without how well attributions add up, where they were computed elsewhere."""
    if not reports:
        return
    given = all(report.median_delta is None for report in reports)
    names = ["study", "scores from" if given else "counts from", "cells", "scores", "genes measured"]
    names += ["cells without scores"] if given else ["cells without counts"]
    names += [] if given else ["median |completeness delta|", "as a share"]
    rows = [
        (r.study, r.counts_from, r.n_cells, r.n_scores, r.n_genes_measured, r.n_empty_cells, r.median_delta,
         r.relative_delta)[: len(names)]
        for r in reports
    ]  # fmt: skip
    print_table(names, rows, grouped=True)
    for report in reports:
        for note in report.notes:
            console.print(f"{report.study}: {note}")
