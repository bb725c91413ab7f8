"""The volcano plot of a gene comparison."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sigdb.findings.plots.labels import SIDES, place_labels
from sigdb.findings.plots.spec import TABLE, named_data
from sigdb.findings.plots.theme import (
    GREY,
    PALETTE,
    SIGNIFICANT,
    Spec,
    colour_by_kind,
    column,
    finish,
    keep,
    keep_finite,
    short,
    significance,
    tooltip,
    with_altair,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigdb.findings.gene_compare import GeneComparison

__all__ = ["volcano"]

SIZE = (520, 380)  # pixels
SMALLEST_P = 1e-300  # its logarithm is finite


@with_altair
def volcano(found: GeneComparison, title: str | None = None, n_labels: int = 20) -> Spec:
    """Draw a volcano plot of a gene comparison: the mean difference and p of each gene, q < 0.05 in colour.

    A dashed line shows the largest p with q < 0.05, if there is one.

    Parameters
    ----------
    found : GeneComparison
        The result of `sigdb.gene_compare`.
    title : str, optional
        The title of the chart. Default: the two groups.
    n_labels : int
        The most genes to label: significant ones first, then by difference times -log10 p. Labels without room are
        left out.

    Returns
    -------
    altair.LayerChart
        One point per gene that was tested.

    Examples
    --------
    >>> found = sigdb.gene_compare(
    ...     con, by="tissue", reference="normal adjacent", group="tumour", paired_by="donor", min_cells=3
    ... )
    >>> type(sigdb.plots.volcano(found)).__name__
    'LayerChart'
    """
    tested = [row for row in found.findings.to_pylist() if row["p_value"] is not None]
    rows, lost = keep_finite(tested, "difference", "p_value")
    values = [volcano_point(row) for row in rows]
    widest = max((abs(row["difference"]) for row in values), default=0) * 1.08 or 1
    highest = max((row["height"] for row in values), default=0) * 1.06 or 1
    label_points(values, n_labels, widest, highest)
    group, reference = short(found.group), short(found.reference)
    title_x = f"difference in mean attribution, {group} minus {reference} (thousandths of a cell)"
    place = {
        "x": column("difference:Q", title=title_x, scale={"domain": [-widest, widest], "nice": False}),
        "y": column("height:Q", title="\u2212log10 p", scale={"domain": [0, highest], "nice": False}),
    }
    tips = [column("gene:N"), tooltip("difference", ".3g"), tooltip("p", ".2g"), tooltip("q", ".2g")]
    colour = colour_by_kind(values, dict(zip(SIGNIFICANT, (PALETTE[1], GREY), strict=True)))
    points = {
        "mark": {"type": "circle", "size": 24, "opacity": 0.6},
        "encoding": {**place, "color": colour, "tooltip": tips},
    }
    labels = [
        {
            "mark": {"type": "text", "fontSize": 11, **where},
            "encoding": {**place, "text": column("gene:N")},
            "transform": keep(f"datum.side == '{side}'"),
        }
        for side, where in SIDES.items()
    ]
    layers = {
        "layer": [points, *threshold(values), *labels],
        "data": named_data(),
        "datasets": {TABLE: values},
        "width": SIZE[0],
        "height": SIZE[1],
    }
    title = title or f"{group} against {reference}"
    return finish(layers, found, title, sizes(found, values), lost, drawn=values)


def sizes(found: GeneComparison, values: Sequence[dict[str, Any]]) -> list[str]:
    """What was tested, and how many genes pass."""
    n_group, n_reference, n_cells = (
        sum(getattr(each, n) for each in found.studies) for n in ("n_group", "n_reference", "n_cells")
    )
    made_by = f"{len(found.studies)} studies; one model"
    if len(found.studies) == 1:
        made_by = f"{found.studies[0].study}; {found.studies[0].test}"
    n = sum(row["kind"] == SIGNIFICANT[0] for row in values)
    return [
        f"{made_by}; units: {n_group:,} / {n_reference:,}, {n_cells:,} cells.",
        f"{len(values):,} genes tested; {n:,} with q < 0.05.",
    ]


def volcano_point(row: dict[str, Any]) -> dict[str, Any]:
    """A gene that was tested, as a point."""
    return {
        "gene": row["gene"],
        "difference": row["difference"],
        "p": row["p_value"],
        "q": row["q_value"],
        "height": -math.log10(max(row["p_value"], SMALLEST_P)),
        "kind": significance(row["q_value"]),
    }


def threshold(values: Sequence[dict[str, Any]]) -> list[Spec]:
    """A line below the genes with q < 0.05; nothing if there are none."""
    passing = [row["height"] for row in values if row["kind"] == SIGNIFICANT[0]]
    if not passing:
        return []
    data = {"values": [{"height": min(passing), "text": "q = 0.05"}]}
    y = column("height:Q")
    text = {"type": "text", "align": "left", "dy": -6, "color": "#555", "fontSize": 11}
    return [
        {"data": data, "mark": {"type": "rule", "strokeDash": [4, 3], "color": "#777"}, "encoding": {"y": y}},
        {"data": data, "mark": text, "encoding": {"x": {"value": 4}, "y": y, "text": column("text:N")}},
    ]


def label_points(values: list[dict[str, Any]], n: int, widest: float, highest: float) -> None:
    """Give the most telling points the side of their label: significant ones, then by difference times height."""
    if not values:
        return
    x, y = (np.array([row[name] for row in values], float) for name in ("difference", "height"))
    pixels = np.column_stack([(x / widest + 1) / 2 * SIZE[0], y / highest * SIZE[1]])
    passes = np.array([row["kind"] == SIGNIFICANT[0] for row in values])
    best = np.lexsort([-np.abs(x) / widest * y / highest, ~passes])[: 5 * n]
    for number, side in place_labels(pixels, ((i, values[i]["gene"]) for i in best), SIZE, n).items():
        values[number]["side"] = side
