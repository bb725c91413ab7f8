"""The chart of hit rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigdb.findings.plots.theme import (
    GREY,
    PALETTE,
    altair_module,
    finish,
    is_number,
    keep_finite,
    keep_highest,
    names_axis,
    tooltip,
)

if TYPE_CHECKING:
    from sigdb.findings.hits import Hits

__all__ = ["hit_rates"]

# The fewest samples that a box stands for. Quartiles of fewer say less than the points.
BOX = 5
LEGEND = (
    "Each point is a sample, and its area the number of cells. "
    f"Line: median; box: quartiles, in groups of {BOX} samples or more."
)


def hit_rates(found: Hits, title: str = "Hits", n_groups: int = 40) -> Any:
    """Draw hit rates by group: a point per sample, sized by its cells, and a box for 5 samples or more.

    Parameters
    ----------
    found : Hits
        The result of `sigdb.hits`.
    title : str
        The title of the chart.
    n_groups : int
        The most groups to show.

    Returns
    -------
    altair.LayerChart
        Points, medians, and boxes with whiskers of 1.5 interquartile ranges. The highest mean rate is on top.

    Examples
    --------
    >>> found = sigdb.hits(con, "MS1", by="study", percentile=80, min_cells=3, min_samples=1, missing="ignore")
    >>> type(sigdb.plots.hit_rates(found)).__name__
    'LayerChart'
    """
    alt = altair_module()
    values, lost = keep_finite(rate_points(found), "hit_rate")
    values, order, left_out = keep_highest(values, "group", "mean_rate", n_groups)
    y = alt.Y("group:N", sort=order, title=f"{found.by} (samples)", scale=alt.Scale(domain=order), axis=names_axis())
    # The padding keeps points at 0 % and at the highest rate inside the frame.
    room = alt.Scale(domainMin=0, domainMax=max([0.01, *(row["hit_rate"] for row in values)]), nice=False, padding=10)
    x = alt.X("hit_rate:Q", title="hits, % of a sample's cells", scale=room, axis=alt.Axis(format=".3~p", tickCount=8))
    base = alt.Chart(alt.Data(values=values), width=440, height=alt.Step(34)).encode(x=x, y=y)
    box = base.transform_filter(f"datum.n_samples >= {BOX}").mark_boxplot(
        size=20, outliers=False, color=PALETTE[4], opacity=0.55, median={"color": "#222", "thickness": 2}
    )
    median = base.transform_filter(f"datum.n_samples > 1 && datum.n_samples < {BOX}").mark_tick(
        color="#222", thickness=2, size=20
    )
    area = alt.Scale(range=[14, 260], zero=True, nice=False)
    legend = alt.Legend(symbolFillColor=GREY, symbolStrokeWidth=0, values=round_sizes(values), format=",d")
    points = base.mark_circle(color=PALETTE[0], opacity=0.8, stroke="white", strokeWidth=0.5).encode(
        size=alt.Size("n_cells:Q", title="cells of the sample", scale=area, legend=legend),
        yOffset=alt.YOffset("jitter:Q", scale=alt.Scale(domain=[-1.7, 1.7])),
        tooltip=["study:N", "sample:N", "n_cells:Q", "n_hits:Q", tooltip("hit_rate", ".1%")],
    )
    layers = alt.layer(box, median.encode(x=alt.X("median(hit_rate):Q", scale=room)), points)
    return finish(layers, found, title, [*found.notes, LEGEND], [*left_out, *lost], drawn=values)


def round_sizes(points: list[dict[str, Any]]) -> list[int]:
    """Round numbers of cells for the legend: about the most cells of a sample, and a quarter of it."""
    most = max((row["n_cells"] for row in points), default=1)
    return sorted({max(1, int(float(f"{most / part:.1g}"))) for part in (4, 1)})


def rate_points(found: Hits) -> list[dict[str, Any]]:
    """The samples of the ranking, with the name and mean rate of their group.

    The points of a group are spread by the golden ratio. A single one stands on the line of its group.
    """
    groups = {row["label"]: row for row in found.table.to_pylist()}
    points = []
    for number, row in enumerate(found.samples.to_pylist()):
        group = groups[str(row["label"])]
        rate = group["mean_rate"] if is_number(group["mean_rate"]) else None
        points.append(
            {name: row[name] for name in ("study", "sample", "n_cells", "n_hits", "hit_rate")}
            | {"group": f"{group['label']}  ({group['n_samples']})", "n_samples": group["n_samples"]}
            | {"mean_rate": rate, "jitter": (number * 0.618034 % 1) * 2 - 1 if group["n_samples"] > 1 else 0}
        )
    return points
