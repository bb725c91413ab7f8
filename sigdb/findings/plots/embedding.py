"""The chart of scores and cell types in an embedding."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from sigdb.findings.plots.labels import box_of, is_inside, overlap
from sigdb.findings.plots.spec import TABLE, named_data
from sigdb.findings.plots.theme import (
    ATTRIBUTION,
    PALETTE,
    Spec,
    column,
    columns,
    finish,
    keep,
    keep_finite,
    short,
    shorten,
    tooltip,
    viridis,
    with_altair,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sigdb.answers import Answer

__all__ = ["embedding"]

TYPE_COLOUR = column("colour:N", scale=None)
# A colour for each of the largest cell types of a study. Other cells are pale.
COLOURS = [*PALETTE, "#882255", "#999933"]
PALE = "#d9d9d9"
STUDIES = 12
# How far a name may stand above or below the median of its cells, in pixels, the best first; and its most characters.
SHIFTS = (0, 14, -14, 28, -28, 42, -42)
LONGEST = 24
PERCENTILE = 99
NAMES = "names"  # the data set of the cells with the names of their types


@with_altair
def embedding(found: Answer, title: str = "Score in the embedding", size: int = 300) -> Spec:
    """Draw the score in an embedding, one panel per study, beside its cell types. The highest scores are drawn last.

    The colours reach their end at the 99th percentile of the scores, so that a few cells do not decide all colours.

    Parameters
    ----------
    found : Answer
        The result of `sigdb.embedding`.
    title : str
        The title of the chart.
    size : int
        The width and height of a panel, in pixels.

    Returns
    -------
    altair.HConcatChart
        One point per cell; in studies with many cells, one square per bin, with the mean score of its cells. At the
        right, the same cells by type, with the names of the largest types.

    Examples
    --------
    The bundled studies have no embedding. With one, from ``ingest_files(..., obsm=["X_umap"])``:

    >>> chart = sigdb.plots.embedding(sigdb.embedding(con, ["LYZ"]))  # doctest: +SKIP
    """
    values, lost = keep_finite(found.table.to_pylist(), "x_low", "y_low", "score")
    sizes = Counter[str]()
    for row in values:
        sizes[row["study"]] += row["n"]
    kept = {study for study, _ in sizes.most_common(STUDIES)}
    values = [{**row, "panel": f"{row['study']}  ({sizes[row['study']]:,})"} for row in values if row["study"] in kept]
    low, high = colour_ends(values)
    legend = {"orient": "bottom", "titleLimit": size}
    legend_title = f"score, darkest at the {PERCENTILE}th percentile ({high:.3g}) and above"
    colour = viridis("score", legend_title, domain=[low, high], clamp=True, legend=legend)
    tips = [*columns("study:N", "cell_type:N"), tooltip("score", ".3g"), column("n:Q")]
    order = list(dict.fromkeys(row["panel"] for row in values))
    charts, datasets = [panels(TABLE, order, size, {"color": colour, "tooltip": tips})], {TABLE: values}
    if any(row["cell_type"] is not None for row in values):
        datasets[NAMES] = [*values, *colour_types(values, size)]
        charts.append(panels(NAMES, order, size, {"color": TYPE_COLOUR, "tooltip": tips}, name_layers()))
    lines = [
        f"Score ({ATTRIBUTION}). A point is a cell; in studies with many cells, a square shows the mean of its cells.",
        "Each study has its own axes, and distances mean little. In brackets: cells.",
    ]
    if len(charts) > 1:
        lines.append(f"Right: the {len(COLOURS)} largest cell types of each study; all others are pale.")
    if len(sizes) > STUDIES:
        lines.append(f"The {STUDIES} largest of {len(sizes):,} studies.")
    chart = {"hconcat": charts, "spacing": 16, "resolve": {"scale": {"color": "independent"}}, "datasets": datasets}
    return finish(chart, found, title, lines, lost, drawn=values)


def panels(data: str, order: Sequence[str], size: int, encoding: Spec, names: Sequence[Spec] = ()) -> Spec:
    """One panel per study, below each other, with names of cell types."""
    scale = {"zero": False, "nice": False, "padding": 8}
    bare = {"labels": False, "ticks": False, "grid": False, "domain": False}
    place = {name: column(f"{name}_low:Q", title=None, scale=scale, axis=bare) for name in ("x", "y")}
    squares = {
        "mark": {"type": "rect", "strokeWidth": 0},
        "encoding": {**place, "x2": {"field": "x_high"}, "y2": {"field": "y_high"}, **encoding},
        "transform": keep("datum.is_binned === true"),
    }
    points = {
        "mark": {"type": "circle", "size": 16, "opacity": 0.9},
        "encoding": {**place, **encoding},
        "transform": keep("datum.is_binned === false"),
    }
    texts = [{**name, "encoding": {**place, **name["encoding"]}} for name in names]
    header = {"labelFontSize": 11, "labelLimit": size, "labelExpr": shorten(size)}
    frame = {"width": size, "height": size, "view": {"stroke": "#999"}}
    return {
        "facet": column("panel:N", sort=list(order), title=None, header=header),
        "columns": 1,
        "data": named_data(data),
        "spec": {"layer": [squares, points, *texts], **frame},
        "resolve": {"scale": {"x": "independent", "y": "independent"}},
    }


def name_layers() -> list[Spec]:
    """The names of cell types in the colours of their cells, each on a pale ground."""
    known = keep("isValid(datum.name)")
    bold = {"type": "text", "fontSize": 11, "fontWeight": "bold"}
    text = column("name:N")
    return [
        {"mark": {**bold, "stroke": "white", "strokeWidth": 4}, "encoding": {"text": text}, "transform": known},
        {"mark": bold, "encoding": {"text": text, "color": TYPE_COLOUR}, "transform": known},
    ]


def colour_ends(values: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """The lowest score, and the 99th percentile over cells; the highest score if these are equal."""
    if not values:
        return 0, 1
    scores = np.array([row["score"] for row in values])
    order = np.argsort(scores)
    below = np.cumsum(np.array([row["n"] for row in values])[order])
    high = scores[order][np.searchsorted(below, PERCENTILE / 100 * below[-1])]
    return float(scores.min()), float(high if high > scores.min() else scores.max())


def colour_types(values: Sequence[dict[str, Any]], size: int) -> list[dict[str, Any]]:
    """Give each row the colour of its cell type, and return the names of the largest types at their medians."""
    labels = []
    for panel in dict.fromkeys(row["panel"] for row in values):
        rows = [row for row in values if row["panel"] == panel]
        n_cells = Counter[str | None]()
        for row in rows:
            n_cells[row["cell_type"]] += row["n"]
        largest = [name for name, _ in n_cells.most_common() if name is not None][: len(COLOURS)]
        colours = dict(zip(largest, COLOURS, strict=False))
        for row in rows:
            row["colour"] = colours.get(row["cell_type"], PALE)
        labels += name_types(rows, colours, size)
    return labels


def name_types(rows: Sequence[dict[str, Any]], colours: Mapping[str, str], size: int) -> list[dict[str, Any]]:
    """The names of cell types near the medians of their cells, the largest first. Names without room are left out."""
    xy = np.array([[row["x_low"], row["y_low"]] for row in rows])
    types = np.array([row["cell_type"] for row in rows], object)
    low, span = xy.min(axis=0), np.where(np.ptp(xy, axis=0) > 0, np.ptp(xy, axis=0), 1)
    labels: list[dict[str, Any]] = []
    boxes: list[tuple[float, float, float, float]] = []
    for name in colours:
        text = short(name, LONGEST)
        x, y = (np.median(xy[types == name], axis=0) - low) / span * size
        left, _, right, _ = box_of((0, 0), text, "middle")
        x = min(max(x, -left), size - right)
        for shift in SHIFTS:
            box = box_of((x, y + shift), text, "middle")
            if is_inside(box, (size, size)) and not any(overlap(box, other) for other in boxes):
                place = low + np.array([x, y + shift]) / size * span
                label = {"panel": rows[0]["panel"], "name": text, "x_low": place[0], "y_low": place[1]}
                labels.append({**label, "colour": colours[name]})
                boxes.append(box)
                break
    return labels
