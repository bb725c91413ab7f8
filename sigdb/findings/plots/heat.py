"""The heat map of scores by cell type and label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.findings.plots.spec import (
    About,
    Limit,
    aggregate,
    are_numbers,
    draw,
    keep_first,
    named,
    number_text,
    specify,
)
from sigdb.findings.plots.theme import (
    ATTRIBUTION,
    CROSS,
    Spec,
    by_place,
    calculate,
    column,
    columns,
    is_number,
    keep,
    names_axis,
    tooltip,
    viridis,
    with_altair,
)

if TYPE_CHECKING:
    from sigdb.answers import Answer

__all__ = ["MEASURES", "heat_map", "heat_map_spec"]

# Groups whose study of lowest coverage measured a smaller part of the genes are faded.
LOW_COVERAGE = 0.5
# In a map of this many squares or more, the colours end at a percentile of |value|: one value does not take them all.
FEW, PERCENTILE = 10, 99
LOW, HIGH = (f"domain('color')[{end}]" for end in (0, 1))
LEGEND = {
    "values": {"expr": f"[{LOW}, ({LOW} + {HIGH}) / 2, {HIGH}]"},
    "format": ".3~g",
    "labelExpr": f"datum.label + (datum.value === {HIGH} && {HIGH} >= -{LOW} ? ' and above'"
    f" : datum.value === {LOW} && {LOW} <= -{HIGH} ? ' and below' : '')",
}
# What is drawn: the column, its short name, and what it means.
MEASURES = {
    "z": ("mean z", "Mean z: in standard deviations of the scores that each cell is compared with"),
    "score": ("mean score", f"Mean score ({ATTRIBUTION})"),
}


@with_altair
def heat_map(
    found: Answer, title: str = "Score by cell type and disease", n_groups: int = 40, n_labels: int = 20
) -> Spec:
    """Draw the mean z by cell type (rows) and label (columns), with the number of samples and cells in each.

    Without calibration, the mean score is drawn. Groups in which fewer than half of the genes were measured are faded,
    with a dashed border. A cross is a group without a value, because no gene was measured or the controls do not vary.

    Parameters
    ----------
    found : Answer
        The result of `sigdb.group_scores`.
    title : str
        The title of the chart.
    n_groups, n_labels : int
        The most cell types and the most labels to show.

    Returns
    -------
    altair.LayerChart
        Coloured squares with text. Dark means high.

    Examples
    --------
    >>> type(sigdb.plots.heat_map(sigdb.group_scores(con, ["LYZ", "CD14"]))).__name__
    'LayerChart'
    """
    measure = "z" if "z" in found.table.column_names else "score"
    spec = heat_map_spec(measure, n_groups, n_labels)
    if not any(map(is_number, found.table[measure].to_pylist())):  # a scale of colours without ends
        spec["layer"][0]["encoding"]["color"]["legend"] = None
    return draw(spec, found, title)


def heat_map_spec(measure: str = "z", n_groups: int = 40, n_labels: int = 20) -> Spec:
    """The chart of the statements `findings/group_hits` and `findings/group_scores`, by cell_type and label."""
    name, meaning = MEASURES[measure]
    labels = names_axis(200, orient="top", labelAngle=-30)
    shared = {
        "x": column("column:N", title=None, sort=by_place("column_place"), axis=labels),
        "y": column("row:N", title=None, sort=by_place("row_place"), axis=names_axis()),
        "tooltip": [*columns("row:N", "column:N"), tooltip(measure, ".3g"), *(column(f"{each}:N") for each in DETAILS)],
    }
    faint = {"condition": {"test": "datum.is_faint", "value": 0.4}, "value": 1}
    ink = {"condition": {"test": "datum.is_dark", "value": "white"}, "value": "#111"}
    known = keep("isValid(datum.value)")
    squares = {
        "mark": {"type": "rect", "stroke": "white"},
        "encoding": {**shared, "color": viridis("colour", name, legend=LEGEND), "opacity": faint},
        "transform": known,
    }
    border = {
        "mark": {"type": "rect", "filled": False, "stroke": "#333", "strokeDash": [3, 2]},
        "encoding": shared,
        "transform": [*known, *keep("datum.is_faint")],
    }
    number, sizes = (
        {
            "mark": {"type": "text", "fontSize": size, "dy": dy},
            "encoding": {**shared, "text": column(f"{text}:N"), "color": ink},
        }
        for text, size, dy in (("text", 10, -5), ("sizes", 8, 7))
    )
    limits = [
        Limit(["label"], n_labels, measure, what="columns"),
        Limit(["cell_type"], n_groups, measure, what="cell types"),
    ]
    chart = {
        "layer": [squares, border, number, sizes],
        "width": {"step": 64},
        "height": {"step": 32},
        "transform": [*add_places(measure, n_groups, n_labels), *add_colours(), *add_texts()],
    }
    return specify(chart, About([f"{meaning}. {MARKS}"], limits=limits))


MARKS = (
    "Below it: samples / cells. Blank: no group, or too few cells. "
    "Cross: no value, because no gene was measured or the controls do not vary. "
    "Faded, with a dashed border: a study measured fewer than half of the genes. "
    f"With {FEW} squares or more, the colours end at the {PERCENTILE}th percentile of the absolute values."
)
DETAILS = ("n_samples", "n_cells", "least_measured", "n_genes", "median_counts", "median_detected")


def add_places(measure: str, n_groups: int, n_labels: int) -> list[Spec]:
    """Give each group its value, or none if it is that of no measured gene, and its row and column, highest first."""
    is_known = f"{are_numbers(measure)} && !(datum.least_measured === 0 && !datum.{measure})"
    is_faint = f"isValid(datum.least_measured) && datum.least_measured < {LOW_COVERAGE} * datum.n_genes"
    value = f"{is_known} ? datum.{measure} : null"
    return [
        *calculate(value=value, row=named("cell_type"), column=named("label"), is_faint=is_faint),
        *keep_first("column", "value", "column_place", n_labels),
        *keep_first("row", "value", "row_place", n_groups),
    ]


def add_colours() -> list[Spec]:
    """Give each square the number that its colour stands for, which ends where few values lie beyond.

    The end is the largest |value|; in maps of 10 squares or more, it is the 99th percentile, without interpolation.
    If that is 0, it is the largest again.
    """
    last = f"datum.n_known < {FEW} ? datum.n_known : floor({PERCENTILE / 100} * (datum.n_known - 1)) + 1"
    return [
        *calculate(is_known="isValid(datum.value)", size="abs(datum.value)"),
        aggregate("is_known", n_known=("count", "value"), largest=("max", "size")),
        {"window": [{"op": "row_number", "as": "number"}], "groupby": ["is_known"], "sort": [{"field": "size"}]},
        *calculate(size=f"datum.is_known && datum.number <= ({last}) ? datum.size : null"),
        aggregate("is_known", end=("max", "size")),
        *calculate(
            end="datum.end > 0 ? datum.end : datum.largest",
            colour="datum.is_known ? clamp(datum.value, -datum.end, datum.end) : null",
        ),
    ]


def add_texts() -> list[Spec]:
    """Give each square its texts, and a colour for them that can be read on the square."""
    return [
        aggregate(lowest=("min", "colour"), highest=("max", "colour")),
        *calculate(
            text=f"isValid(datum.value) ? {number_text('value')} : '{CROSS}'",
            sizes="isValid(datum.value) ? format(datum.n_samples, ',') + ' / ' + format(datum.n_cells, ',') : ''",
            is_dark="isValid(datum.value) && !datum.is_faint && datum.colour > (datum.lowest + datum.highest) / 2",
        ),
    ]
