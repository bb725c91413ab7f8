"""The chart of hit rates."""

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
    GREY,
    PALETTE,
    Spec,
    by_place,
    calculate,
    column,
    columns,
    keep,
    names_axis,
    tooltip,
    with_altair,
)

if TYPE_CHECKING:
    from sigdb.findings.hits import Hits

__all__ = ["hit_rates", "hit_rates_spec"]

# The fewest samples that a box stands for. Quartiles of fewer say less than the points.
BOX = 5
LEGEND = (
    "Each point is a sample, and its area the number of cells. "
    f"Line: median; box: quartiles, in groups of {BOX} samples or more."
)


@with_altair
def hit_rates(found: Hits, title: str = "Hits", n_groups: int = 40) -> Spec:
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


def hit_rates_spec(n_groups: int = 40, axis: str = "samples in brackets") -> Spec:
    """The chart of the statement `findings/hit_rates`."""
    # The padding keeps points at 0 % and at the highest rate inside the frame.
    room = {"domain": {"unionWith": [0, 0.01]}, "nice": False, "padding": 10}
    percent = {"format": ".3~p", "tickCount": 8}
    shared = {
        "x": column("hit_rate:Q", title="hits, % of a sample's cells", scale=room, axis=percent),
        "y": column("group:N", sort=by_place(), title=axis, axis=names_axis()),
    }
    median = {
        "mark": {"type": "tick", "color": PALETTE[1], "thickness": 2, "size": 20, "opacity": 1},
        "encoding": {**shared, "x": column("hit_rate:Q", aggregate="median", scale=room)},
        "transform": keep(f"datum.n_samples > 1 && datum.n_samples < {BOX}"),
    }
    points = {
        "mark": {"type": "circle", "color": PALETTE[0], "opacity": 0.8, "stroke": "white", "strokeWidth": 0.5},
        "encoding": {
            **shared,
            "size": size_of_cells(),
            "yOffset": column("jitter:Q", scale={"domain": [-1.7, 1.7]}),
            "tooltip": [*columns("study:N", "sample:N", "n_cells:Q", "n_hits:Q"), tooltip("hit_rate", ".1%")],
        },
    }
    about = About([LEGEND], ["hit_rate"], [Limit(["label"], n_groups, "mean_rate")], unless="left_out")
    transform = [
        *keep_numbers(about),
        *calculate(group=with_brackets("label", "n_samples")),
        *keep_first("group", "mean_rate", "place", n_groups),
        *spread(),
    ]
    chart = {"layer": [box_of(shared), median, points], "width": 440, "height": {"step": 34}, "transform": transform}
    return specify(chart, about)


def box_of(encoding: Spec) -> Spec:
    """The boxes of groups of some samples, with their medians."""
    median = {"color": PALETTE[1], "thickness": 2, "opacity": 1}
    box = {"type": "boxplot", "size": 20, "outliers": False, "color": PALETTE[4], "opacity": 0.55, "median": median}
    return {"mark": box, "encoding": encoding, "transform": keep(f"datum.n_samples >= {BOX}")}


def spread() -> list[Spec]:
    """Spread the points of a group by the golden ratio. A single one stands on the line of its group."""
    return [number_rows(), *calculate(jitter="datum.n_samples > 1 ? ((datum.number - 1) * 0.618034 % 1) * 2 - 1 : 0")]


def size_of_cells() -> Spec:
    """The area of a point: the number of cells. The legend has about the most cells, and a quarter of it."""
    part, most = (f"max(1, {rounded(f'domain({chr(39)}size{chr(39)})[1] / {each}')})" for each in (4, 1))
    values = {"expr": f"{part} < {most} ? [{part}, {most}] : [{most}]"}
    legend = {"symbolFillColor": GREY, "symbolStrokeWidth": 0, "values": values, "format": ",d"}
    area = {"range": [14, 260], "zero": True, "nice": False}
    return column("n_cells:Q", title="cells of the sample", scale=area, legend=legend)


def rounded(value: str) -> str:
    """An expression of Vega: a number with one digit that is not 0."""
    return f"toNumber(format({value}, '.1r'))"
