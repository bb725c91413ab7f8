"""The chart of hit rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigdb.findings.plots.spec import About, Limit, draw, keep_first, keep_numbers, rank_by, specify, with_brackets
from sigdb.findings.plots.theme import GREY, PALETTE, altair_module, by_place, names_axis, tooltip

if TYPE_CHECKING:
    from sigdb.findings.hits import Hits

__all__ = ["hit_rates", "hit_rates_spec"]

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
    spec = hit_rates_spec(n_groups, f"{found.by} (samples)")
    return draw(spec, found, title, found.notes, table=found.samples.to_pylist())


def hit_rates_spec(n_groups: int = 40, axis: str = "samples in brackets") -> Any:
    """The chart of the statement `findings/hit_rates`."""
    alt = altair_module()
    # The padding keeps points at 0 % and at the highest rate inside the frame.
    room = alt.Scale(domain=alt.DomainUnionWith(unionWith=[0, 0.01]), nice=False, padding=10)
    x = alt.X("hit_rate:Q", title="hits, % of a sample's cells", scale=room, axis=alt.Axis(format=".3~p", tickCount=8))
    y = alt.Y("group:N", sort=by_place(), title=axis, axis=names_axis())
    base = alt.Chart(width=440, height=alt.Step(34)).encode(x=x, y=y)
    box = base.transform_filter(f"datum.n_samples >= {BOX}").mark_boxplot(
        size=20,
        outliers=False,
        color=PALETTE[4],
        opacity=0.55,
        median={"color": PALETTE[1], "thickness": 2, "opacity": 1},
    )
    median = base.transform_filter(f"datum.n_samples > 1 && datum.n_samples < {BOX}").mark_tick(
        color=PALETTE[1], thickness=2, size=20, opacity=1
    )
    points = base.mark_circle(color=PALETTE[0], opacity=0.8, stroke="white", strokeWidth=0.5).encode(
        size=size_of_cells(),
        yOffset=alt.YOffset("jitter:Q", scale=alt.Scale(domain=[-1.7, 1.7])),
        tooltip=["study:N", "sample:N", "n_cells:Q", "n_hits:Q", tooltip("hit_rate", ".1%")],
    )
    about = About([LEGEND], ["hit_rate"], [Limit(["label"], n_groups, "mean_rate")], unless="left_out")
    chart = alt.layer(box, median.encode(x=alt.X("median(hit_rate):Q", scale=room)), points)
    chart = keep_numbers(chart, about).transform_calculate(group=with_brackets("label", "n_samples"))
    return specify(spread(keep_first(rank_by(chart, "group", "mean_rate", "place"), "place", n_groups)), about)


def spread(chart: Any) -> Any:
    """Spread the points of a group by the golden ratio. A single one stands on the line of its group."""
    number = altair_module().WindowFieldDef(op="row_number", **{"as": "number"})
    jitter = "datum.n_samples > 1 ? ((datum.number - 1) * 0.618034 % 1) * 2 - 1 : 0"
    return chart.transform_window([number]).transform_calculate(jitter=jitter)


def size_of_cells() -> Any:
    """The area of a point: the number of cells. The legend has about the most cells, and a quarter of it."""
    alt = altair_module()
    part, most = (f"max(1, {rounded(f'domain({chr(39)}size{chr(39)})[1] / {each}')})" for each in (4, 1))
    values = alt.ExprRef(f"{part} < {most} ? [{part}, {most}] : [{most}]")
    legend = alt.Legend(symbolFillColor=GREY, symbolStrokeWidth=0, values=values, format=",d")
    area = alt.Scale(range=[14, 260], zero=True, nice=False)
    return alt.Size("n_cells:Q", title="cells of the sample", scale=area, legend=legend)


def rounded(value: str) -> str:
    """An expression of Vega: a number with one digit that is not 0."""
    return f"toNumber(format({value}, '.1r'))"
