"""What a reader of a comparison should know, in words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sigdb.answers import left_out_note
from sigdb.findings.comparability import ADJUST, COMPARED, RAW, UNCALIBRATED, warn_of_differences
from sigdb.findings.hits import RENAME
from sigdb.findings.lost_units import advise_min_cells, nothing_compared
from sigdb.findings.testing import ONE_MODEL, PAIRED
from sigdb.findings.units import NAMES_NO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sigdb.findings.hits import CutOff
    from sigdb.findings.units import Design, Unit

__all__ = ["ONE_MODEL_NOTE", "depth_notes", "notes_of", "units_left_out"]

ONE_MODEL_NOTE = (
    f"{ONE_MODEL.capitalize()}: do the groups differ among the donors of these studies? Random effects: do they differ "
    "in studies like these? With two or three studies, random effects can hardly tell."
)
Z_NOTES = {
    "controls": "Means are of z: standard deviations above matched control genes in cells of the same study and depth.",
    "cells": "Means are of z: standard deviations above the mean score of all chosen cells.",
}
DEPTH = ("median_counts", "median_detected")
# The most comparisons of hit rates that are put into words.
SENTENCES = 10


def notes_of(
    rows: Sequence[Mapping[str, Any]],
    units: Sequence[Unit],
    design: Design,
    lost: Sequence[tuple[Mapping[str, Any], str]],
    of: str,
    rule: CutOff,
) -> tuple[str, ...]:
    """The notes of a comparison of z, scores or hits. lost: what was left out, and why. rule: what a hit is."""
    notes = [] if rows else [nothing_compared(units, design)]
    # A test without a p value had units enough: its values do not vary.
    if all(row["test"] == "none" for row in rows) and (advice := advise_min_cells(units, lost, design)):
        notes.append(f"Nothing was tested. {advice}")
    if design.unit == "cell":
        notes.append("Cells are the replicates: the p values say nothing about donors.")
    if of == "z":
        notes.append(Z_NOTES[rule.against])
    if of == "hits":
        notes.append(f"A hit is {rule}.")
        notes += rates_in_words(rows, design.unit)
    if any(row["test"] == ONE_MODEL for row in rows):
        notes.append(ONE_MODEL_NOTE)
    notes += [*unit_notes(rows, units, design), *units_left_out(Counter(reason for _, reason in lost))]
    tested = [row for row in rows if row["study"] is not None and row["p_value"] is not None]
    notes += depth_notes(tested, consequence_of_depth(design, of, rule))
    return tuple(notes)


def units_left_out(reasons: Mapping[str, int]) -> tuple[str, ...]:
    """Notes on units that were not compared, and on what to do about donors such as 'not given'."""
    notes = left_out_note("unit", reasons)
    if any(NAMES_NO in reason for reason in reasons):
        notes += (RENAME,)
    return notes


def consequence_of_depth(design: Design, of: str, rule: CutOff) -> str:
    """What a difference in depth means for a comparison, and what to do about it."""
    if of == "score":
        return RAW
    if rule.against == "cells":
        return UNCALIBRATED
    can_adjust = not (design.covariates or design.paired_by or design.unit == "cell")
    return COMPARED + (ADJUST if can_adjust else "")


def depth_notes(rows: Sequence[Mapping[str, Any]], consequence: str) -> tuple[str, ...]:
    """A warning about the comparison within a study whose groups differ most in depth; no note if no depth differs."""
    pairs = [
        [
            {"group": f"{row[side]} ({row['study']})", **{name: row[f"{name}_{side}"] for name in DEPTH}}
            for side in ("group", "reference")
        ]
        for row in rows
    ]
    differing = [pair for pair in pairs if warn_of_differences(pair, "group", consequence)]
    if not differing:
        return ()
    count = f"In {len(differing)} of {len(pairs)} comparisons within a study, the groups differ in depth."
    return count, *warn_of_differences(max(differing, key=depth_ratio), "group", consequence)


def depth_ratio(pair: Sequence[Mapping[str, Any]]) -> float:
    """How many times as deep the deeper of two groups is, by detected genes, or by counts if these are unknown."""
    for name in reversed(DEPTH):
        values = [row[name] for row in pair]
        if None not in values:
            return float(max(values) / max(min(values), 1))
    return 1.0


def unit_notes(rows: Sequence[Mapping[str, Any]], units: Sequence[Unit], design: Design) -> Iterator[str]:
    """Notes on units that are not replicates, that have no donor, or that have no partner."""
    studies = [row for row in rows if row["study"] is not None]
    repeated = sum(0 < row["n_donors"] < n_replicates(row) for row in studies)
    if repeated and design.unit != "cell":
        yield (
            f"Comparisons of more {design.unit}s than donors: {repeated}. Several {design.unit}s of one donor are not "
            f"replicates. Groups of fewer than {design.fewest} donors are not tested, and a linear model takes donors "
            "as clusters."
        )
    if unknown := sum(not unit.donors for unit in units):
        yield f"Units without a donor in the atlas: {unknown}. Each counts as a donor of its own."
    if unpaired := sum(row["n_unpaired"] for row in studies if row["test"] == PAIRED):
        used = any(row["test"] == ONE_MODEL for row in rows)
        yield (
            f"Units without a partner in the other group: {unpaired}. The paired test of a study leaves them out"
            f"{'; the model of all studies uses them' if used else ''}."
        )


def n_replicates(row: Mapping[str, Any]) -> int:
    """How many independent units the sizes of a comparison promise; the two units of a pair count once."""
    return int(row["n_pairs"] if row["test"] == PAIRED else row["n_group"] + row["n_reference"] - row["n_pairs"])


def rates_in_words(rows: Sequence[Mapping[str, Any]], unit: str) -> Iterator[str]:
    """The rates and their difference of the first findings."""
    found = [row for row in rows if row["is_finding"] and row["p_value"] is not None]
    for row in found[:SENTENCES]:
        place = ", ".join(
            part for part in (row["signature"], row["within"], row["study"]) if part not in (None, "genes")
        )
        points = [100 * row[name] for name in ("difference", "difference_low", "difference_high")]
        difference = "a difference of {:+.1f} points (95 % interval {:+.1f} to {:+.1f})".format(*points)
        rates = f"within {row['n_studies']} studies, {row['group']} against {row['reference']}"
        if row["study"] is not None:
            rates = f"the mean {unit} of {row['group']} has {row['mean_group']:.1%} hits, of {row['reference']} "
            rates += f"{row['mean_reference']:.1%}"
        yield f"{f'{place}: ' if place else ''}{rates}: {difference}."
    if len(found) > SENTENCES:
        yield f"{len(found) - SENTENCES} more comparisons are in the table."
