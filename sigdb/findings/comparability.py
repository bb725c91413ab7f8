"""Warnings in words where groups differ in what scores depend on: depth, and the genes that were measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sigdb.answers import Answer

Finding = TypeVar("Finding", bound="Answer")

__all__ = [
    "ADJUST",
    "CALIBRATED",
    "COMPARED",
    "COVERAGE",
    "COVERAGE_STEP",
    "DEEPER",
    "DEPTH",
    "DEPTHS",
    "DEPTH_FACTOR",
    "RAW",
    "RAW_GENES",
    "UNCALIBRATED",
    "WITHIN",
    "Finding",
    "warn_of_differences",
    "warn_of_groups",
    "warnings_of",
]

# Groups whose median cells differ by more than this factor in counts or in detected genes are warned of.
DEPTH_FACTOR = 2.0
# Groups whose studies measured parts of the signature that differ by more than this are warned of.
COVERAGE_STEP = 0.1

DEPTH = (
    "The groups differ in depth: the median cell has {low_value:,.0f} {what} in {low}, and {high_value:,.0f} in "
    "{high}, {times:.1f} times as many. {consequence}"
)
COVERAGE = (
    "The groups differ in coverage: of the {n_genes} genes, {low_value} were measured in {low}, and {high_value} in "
    "{high}. They are not scored by the same genes."
)
# How all warnings begin.
WARNINGS = ("The groups differ in depth", "The groups differ in coverage")
# The columns that hold the depth of a group, the best one first, and what they count.
DEPTHS = {"median_detected": "detected genes", "median_counts": "counts"}
RAW = (
    "A score is a share of what was detected, so shallow cells and small panels score higher for that reason alone: "
    "compare hits or z instead."
)
UNCALIBRATED = (
    "A score is a share of what was detected, so shallow cells and small panels score higher for that reason alone, "
    "and have more hits: use `against='controls'`."
)
WITHIN = (
    "A score is a share of what was detected, so scores of these groups cannot be compared. z and p compare each group "
    "with control genes in its own cells."
)
RAW_GENES = (
    "An attribution is a share of what was detected: in shallow cells, genes of high attribution get more, and "
    "others are lost. So differences between these groups may be differences in depth."
)
CALIBRATED = (
    "Scores are compared at equal depth, but shallow cells show less of a programme, so their rate may be too low."
)
COMPARED = (
    "Each cell is compared with controls at its depth, but shallow cells show less of a programme: the difference "
    "between the groups may be one of depth."
)
DEEPER = "Control genes of the same level allow for this in part: the ranking may show depth."
# What a comparison of units that are not in pairs can do about it.
ADJUST = " `covariates=['n_genes']` adjusts for it."


def warn_of_differences(groups: Sequence[Mapping[str, Any]], label: str, consequence: str) -> tuple[str, ...]:
    """Sentences on how groups differ in depth and in coverage of the signature; none if they do not.

    groups: rows with `label` and with median_counts, median_detected, least_measured and n_genes where known.
    """
    spreads = (spread(groups, label, *each, consequence) for each in DEPTHS.items())
    return tuple(filter(None, (next(filter(None, spreads), None), uneven_coverage(groups, label))))


def warn_of_groups(found: Finding, columns: Sequence[str], consequence: str) -> Finding:
    """A finding with notes on how its groups differ; the values of some columns name a group."""
    rows = [
        {
            **row,
            "least_measured": row.get("least_measured", row.get("n_measured")),
            "group": ", ".join(str(row[column]) for column in columns if row[column] is not None) or "no group",
        }
        for row in found.table.to_pylist()
    ]
    return replace(found, notes=(*found.notes, *warn_of_differences(rows, "group", consequence)))


def warnings_of(found: Answer) -> list[str]:
    """The notes of a finding that warn of differences between its groups, for charts."""
    return [note for note in found.notes if note.startswith(WARNINGS) or note == RAW]


def spread(groups: Sequence[Mapping[str, Any]], label: str, column: str, what: str, consequence: str) -> str | None:
    """A sentence on the groups with the lowest and the highest median, if they differ by more than DEPTH_FACTOR."""
    ends = extremes(groups, lambda row: row.get(column))
    if ends is None or ends[1][column] <= DEPTH_FACTOR * max(ends[0][column], 1):
        return None
    low, high = ends
    times = high[column] / max(low[column], 1)
    values = {"low": low[label], "low_value": low[column], "high": high[label], "high_value": high[column]}
    return DEPTH.format(**values, what=what, times=times, consequence=consequence)


def uneven_coverage(groups: Sequence[Mapping[str, Any]], label: str) -> str | None:
    """A sentence on the groups that measured the smallest and the largest part of the signature, if these differ."""

    def part(row: Mapping[str, Any]) -> float | None:
        return row["least_measured"] / row["n_genes"] if row.get("n_genes") else None

    ends = extremes(groups, part)
    if ends is None or (part(ends[1]) or 0) - (part(ends[0]) or 0) <= COVERAGE_STEP:
        return None
    low, high = ends
    values = {"low": low[label], "low_value": low["least_measured"]}
    values |= {"high": high[label], "high_value": high["least_measured"]}
    return COVERAGE.format(**values, n_genes=high["n_genes"])


def extremes(
    groups: Sequence[Mapping[str, Any]], value: Callable[[Mapping[str, Any]], float | None]
) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """The groups of lowest and of highest value; None if fewer than two groups have one."""
    known = [row for row in groups if value(row) is not None]
    if len(known) < 2:
        return None
    return min(known, key=lambda row: value(row) or 0), max(known, key=lambda row: value(row) or 0)
