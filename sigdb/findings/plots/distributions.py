"""The chart of distributions of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigdb.findings.plots.theme import (
    ATTRIBUTION,
    PALETTE,
    altair_module,
    finish,
    keep_finite,
    keep_highest,
    mark_first,
    tooltip,
)

if TYPE_CHECKING:
    from sigdb.answers import Answer

__all__ = ["distributions"]

HEIGHT = 40  # pixels of a group
LEGEND = (
    "Height: share of the group's cells, on a square-root scale that is the same for all groups. "
    "Line: median. In brackets: cells. The highest mean is on top."
)


def distributions(found: Answer, title: str = "Distribution of scores", n_groups: int = 24) -> Any:
    """Draw the distribution of the cells' scores in each group, one below the other, the highest mean on top.

    Parameters
    ----------
    found : Answer
        The result of `sigdb.score_bins`. Its last bin holds all scores above the 99.9th percentile; the chart says so.
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
    alt = altair_module()
    values, lost = keep_finite([bar(row) for row in found.table.to_pylist()], "low", "high", "mean")
    values, order, left_out = keep_highest(values, "group", "mean", n_groups)
    tallest = max((row["share"] for row in values), default=1)
    shares = alt.Scale(type="sqrt", domain=[0, tallest])
    base = alt.Chart(width=440, height=HEIGHT)
    bars = base.mark_rect(color=PALETTE[4], stroke=PALETTE[0], strokeWidth=0.4).encode(
        x=alt.X("low:Q", title=f"score ({ATTRIBUTION})", scale=alt.Scale(zero=False, nice=False, padding=4)),
        x2="high:Q",
        y=alt.Y("share:Q", title=None, axis=None, scale=shares),
        y2=alt.datum(0),
        tooltip=["label:N", tooltip("low", ".3g"), tooltip("high", ".3g"), "n:Q", tooltip("share", ".1%")],
    )
    # The first bar of a group stands for the group.
    one = base.transform_filter("datum.is_first")
    median = one.mark_rule(color="#111", strokeWidth=2).encode(x="median:Q")
    name = one.mark_text(align="right", baseline="bottom", fontSize=11, limit=280).encode(
        x=alt.value(-6), y=alt.value(HEIGHT + 3), text="group:N"
    )
    rows = alt.Row("group:N", sort=order, title=None, header=alt.Header(labels=False))
    chart = alt.layer(bars, median, name, data=alt.Data(values=mark_first(values))).facet(row=rows, spacing=4)
    return finish(chart, found, title, [LEGEND, *clipped(found)], [*left_out, *lost], drawn=values)


def bar(row: dict[str, Any]) -> dict[str, Any]:
    """A bin of a group as a bar."""
    label = row["label"] or "(none)"
    return {**row, "label": label, "group": f"{label}  ({row['n_cells']:,})", "share": row["n"] / row["n_cells"]}


def clipped(found: Answer) -> list[str]:
    """A line about the cells above the last bin, if there are any."""
    rows = found.table.select(["high", "n_above"]).to_pylist()
    n = sum(row["n_above"] for row in rows)
    if not n:
        return []
    edge = max(row["high"] for row in rows if row["n_above"])
    cells = "1 cell above it counts" if n == 1 else f"{n:,} cells above it count"
    return [f"Clipped at the 99.9th percentile of all scores ({edge:.3g}): {cells} in the last bar."]
