"""The chart of distributions of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.findings.plots.spec import (
    About,
    Limit,
    draw,
    keep_first,
    keep_numbers,
    number_rows,
    specify,
    with_brackets,
)
from sigdb.findings.plots.theme import (
    ATTRIBUTION,
    PALETTE,
    Spec,
    by_place,
    calculate,
    column,
    keep,
    tooltip,
    with_altair,
)

if TYPE_CHECKING:
    from sigdb.answers import Answer

__all__ = ["distributions", "distributions_spec"]

HEIGHT = 40  # pixels of a group
LEGEND = [
    "Height: share of the group's cells, on a square-root scale that is the same for all groups. "
    "Line: median. In brackets: cells. The highest mean is on top.",
    "The last bar counts all cells above the 99.9th percentile of all scores.",
]


@with_altair
def distributions(found: Answer, title: str = "Distribution of scores", n_groups: int = 24) -> Spec:
    """Draw the distribution of the cells' scores in each group, one below the other, the highest mean on top.

    Parameters
    ----------
    found : Answer
        The result of `sigdb.score_bins`. Its last bin holds all scores above the 99.9th percentile.
    title : str
        The title of the chart.
    n_groups : int
        The most groups to show.

    Returns
    -------
    altair.FacetChart
        One histogram per group, with its median.

    Examples
    --------
    >>> type(sigdb.plots.distributions(sigdb.score_bins(con, ["LYZ", "CD14"], by="study"))).__name__
    'FacetChart'
    """
    return draw(distributions_spec(n_groups), found, title)


def distributions_spec(n_groups: int = 24) -> Spec:
    """The chart of the statement `findings/score_bins`."""
    numbers = [tooltip("low", ".3g"), tooltip("high", ".3g"), column("n:Q"), tooltip("share", ".1%")]
    bars = {
        "mark": {"type": "rect", "color": PALETTE[4], "stroke": PALETTE[0], "strokeWidth": 0.4},
        "encoding": {
            "x": column("low:Q", title=f"score ({ATTRIBUTION})", scale={"zero": False, "nice": False, "padding": 4}),
            "x2": {"field": "high"},
            "y": column("share:Q", title=None, axis=None, scale={"type": "sqrt", "nice": False}),
            "y2": {"datum": 0},
            "tooltip": [column("group:N"), *numbers, column("n_above:Q")],
        },
    }
    one = keep("datum.number === 1")  # the first bar of a group stands for the group
    median = {
        "mark": {"type": "rule", "color": PALETTE[1], "strokeWidth": 2},
        "encoding": {"x": column("median:Q")},
        "transform": one,
    }
    name = {
        "mark": {"type": "text", "align": "right", "baseline": "bottom", "fontSize": 11, "limit": 280},
        "encoding": {"x": {"value": -6}, "y": {"value": HEIGHT + 3}, "text": column("group:N")},
        "transform": one,
    }
    about = About(LEGEND, ["low", "high", "mean"], [Limit(["label"], n_groups, "mean")])
    chart = {
        "facet": {"row": column("group:N", sort=by_place(), title=None, header={"labels": False})},
        "spec": {"layer": [bars, median, name], "width": 440, "height": HEIGHT},
        "spacing": 4,
        "transform": [
            *keep_numbers(about),
            *calculate(group=with_brackets("label", "n_cells"), share="datum.n / datum.n_cells"),
            *keep_first("group", "mean", "place", n_groups),
            number_rows("group"),
        ],
    }
    return specify(chart, about)
