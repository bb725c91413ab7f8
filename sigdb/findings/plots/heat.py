"""The heat map of scores by cell type and label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigdb.findings.plots.spec import (
    About,
    Limit,
    are_numbers,
    draw,
    keep_first,
    named,
    number_text,
    rank_by,
    specify,
)
from sigdb.findings.plots.theme import ATTRIBUTION, CROSS, altair_module, by_place, names_axis, tooltip, viridis

if TYPE_CHECKING:
    from sigdb.answers import Answer

__all__ = ["MEASURES", "heat_map", "heat_map_spec"]

# Groups whose study of lowest coverage measured a smaller part of the genes are faded.
LOW_COVERAGE = 0.5
# What is drawn: the column, its short name, and what it means.
MEASURES = {
    "z": ("mean z", "Mean z: in standard deviations of the scores that each cell is compared with"),
    "score": ("mean score", f"Mean score ({ATTRIBUTION})"),
}


def heat_map(
    found: Answer, title: str = "Score by cell type and disease", n_groups: int = 40, n_labels: int = 20
) -> Any:
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
    return draw(heat_map_spec(measure, n_groups, n_labels), found, title)


def heat_map_spec(measure: str = "z", n_groups: int = 40, n_labels: int = 20) -> Any:
    """The chart of the statements `findings/group_hits` and `findings/group_scores`, by cell_type and label."""
    alt = altair_module()
    name, meaning = MEASURES[measure]
    base = alt.Chart(width=alt.Step(64), height=alt.Step(32)).encode(
        x=alt.X(
            "column:N", title=None, sort=by_place("column_place"), axis=names_axis(200, orient="top", labelAngle=-30)
        ),
        y=alt.Y("row:N", title=None, sort=by_place("row_place"), axis=names_axis()),
        tooltip=["row:N", "column:N", tooltip(measure, ".3g"), *(f"{each}:N" for each in DETAILS)],
    )
    known = base.transform_filter("isValid(datum.value)")
    squares = known.mark_rect(stroke="white").encode(
        color=viridis("value", name), opacity=alt.condition("datum.is_faint", alt.value(0.4), alt.value(1))
    )
    border = known.transform_filter("datum.is_faint").mark_rect(filled=False, stroke="#333", strokeDash=[3, 2])
    ink = alt.condition("datum.is_dark", alt.value("white"), alt.value("#111"))
    number = base.mark_text(fontSize=10, dy=-5).encode(text="text:N", color=ink)
    sizes = base.mark_text(fontSize=8, dy=7).encode(text="sizes:N", color=ink)
    limits = [
        Limit(["label"], n_labels, measure, what="columns"),
        Limit(["cell_type"], n_groups, measure, what="cell types"),
    ]
    about = About([f"{meaning}. {MARKS}"], limits=limits)
    chart = add_texts(add_places(alt.layer(squares, border, number, sizes), measure, n_groups, n_labels))
    return specify(chart, about)


MARKS = (
    "Below it: samples / cells. Blank: no group, or too few cells. "
    "Cross: no value, because no gene was measured or the controls do not vary. "
    "Faded, with a dashed border: a study measured fewer than half of the genes."
)
DETAILS = ("n_samples", "n_cells", "least_measured", "n_genes", "median_counts", "median_detected")


def add_places(chart: Any, measure: str, n_groups: int, n_labels: int) -> Any:
    """Give each group its value, or none if it is that of no measured gene, and its row and column, highest first."""
    is_known = f"{are_numbers(measure)} && !(datum.least_measured === 0 && !datum.{measure})"
    is_faint = f"isValid(datum.least_measured) && datum.least_measured < {LOW_COVERAGE} * datum.n_genes"
    chart = chart.transform_calculate(
        value=f"{is_known} ? datum.{measure} : null", row=named("cell_type"), column=named("label"), is_faint=is_faint
    )
    chart = keep_first(rank_by(chart, "column", "value", "column_place"), "column_place", n_labels)
    return keep_first(rank_by(chart, "row", "value", "row_place"), "row_place", n_groups)


def add_texts(chart: Any) -> Any:
    """Give each square its texts, and a colour for them that can be read on the square."""
    return chart.transform_joinaggregate(lowest="min(value)", highest="max(value)").transform_calculate(
        text=f"isValid(datum.value) ? {number_text('value')} : '{CROSS}'",
        sizes="isValid(datum.value) ? format(datum.n_samples, ',') + ' / ' + format(datum.n_cells, ',') : ''",
        is_dark="isValid(datum.value) && !datum.is_faint && datum.value > (datum.lowest + datum.highest) / 2",
    )
