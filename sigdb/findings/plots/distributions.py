"""The chart of distributions of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigdb.findings.plots.spec import (
    About,
    Limit,
    draw,
    keep_first,
    keep_numbers,
    named_data,
    number_rows,
    rank_by,
    specify,
    with_brackets,
)
from sigdb.findings.plots.theme import ATTRIBUTION, PALETTE, altair_module, by_place, tooltip

if TYPE_CHECKING:
    from sigdb.answers import Answer

__all__ = ["distributions", "distributions_spec"]

HEIGHT = 40  # pixels of a group
LEGEND = [
    "Height: share of the group's cells, on a square-root scale that is the same for all groups. "
    "Line: median. In brackets: cells. The highest mean is on top.",
    "The last bar counts all cells above the 99.9th percentile of all scores.",
]


def distributions(found: Answer, title: str = "Distribution of scores", n_groups: int = 24) -> Any:
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


def distributions_spec(n_groups: int = 24) -> Any:
    """The chart of the statement `findings/score_bins`."""
    alt = altair_module()
    shares = alt.Scale(type="sqrt", nice=False)
    base = alt.Chart(width=440, height=HEIGHT)
    bars = base.mark_rect(color=PALETTE[4], stroke=PALETTE[0], strokeWidth=0.4).encode(
        x=alt.X("low:Q", title=f"score ({ATTRIBUTION})", scale=alt.Scale(zero=False, nice=False, padding=4)),
        x2="high:Q",
        y=alt.Y("share:Q", title=None, axis=None, scale=shares),
        y2=alt.datum(0),
        tooltip=["group:N", tooltip("low", ".3g"), tooltip("high", ".3g"), "n:Q", tooltip("share", ".1%"), "n_above:Q"],
    )
    # The first bar of a group stands for the group.
    one = base.transform_filter("datum.number === 1")
    median = one.mark_rule(color=PALETTE[1], strokeWidth=2).encode(x="median:Q")
    name = one.mark_text(align="right", baseline="bottom", fontSize=11, limit=280).encode(
        x=alt.value(-6), y=alt.value(HEIGHT + 3), text="group:N"
    )
    rows = alt.Row("group:N", sort=by_place(), title=None, header=alt.Header(labels=False))
    chart = alt.layer(bars, median, name, data=named_data()).facet(row=rows, spacing=4)
    about = About(LEGEND, ["low", "high", "mean"], [Limit(["label"], n_groups, "mean")])
    chart = keep_numbers(chart, about).transform_calculate(
        group=with_brackets("label", "n_cells"), share="datum.n / datum.n_cells"
    )
    chart = keep_first(rank_by(chart, "group", "mean", "place"), "place", n_groups)
    return specify(number_rows(chart, "group"), about)
