"""Lines that join the values of each pair, from the reference to the group."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sigdb.findings.plots.spec import named_data
from sigdb.findings.plots.theme import (
    GREY,
    PALETTE,
    Spec,
    colour_by_kind,
    column,
    columns,
    is_number,
    short,
    shorten,
    tooltip,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sigdb.findings.compare import Comparison

__all__ = ["PAIRS", "compared_pairs", "slopes"]

PAIRS = "pairs"  # the data set of the pairs

PANELS = 8
DIRECTIONS = {"higher": PALETTE[1], "lower": PALETTE[0], "equal": GREY}
AXES = {"z": "mean z", "score": "mean score", "hits": "hit rate"}


def compared_pairs(found: Comparison, rows: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """The pairs behind some rows of a comparison as points, one panel a row, and a line about them; or nothing."""
    paired = [row for row in rows if row["study"] is not None and row["n_pairs"] and row["p_value"] is not None]
    values = pair_values(found, paired[:PANELS])
    if not values:
        return [], []
    more = f" The first {PANELS} of {len(paired):,} paired rows." if len(paired) > PANELS else ""
    return values, [f"Below: each line is one pair.{more}"]


def slopes(values: Sequence[dict[str, Any]], found: Comparison) -> Spec:
    """The chart of the pairs of a comparison, one panel a row."""
    y_axis = {"format": ".3~p"} if found.of == "hits" else {"tickCount": 5}
    names = {"labelAngle": 0, "labelLimit": 84, "labelExpr": "split(datum.label, ' ')"}
    colour = {"title": f"than in {short(found.reference, 24)}", "legend": {"orient": "right"}}
    shared = {
        "x": column("side:N", sort={"field": "place", "op": "min"}, title=None, axis=names),
        "y": column("value:Q", title=AXES[found.of], axis=y_axis, scale={"zero": False, "padding": 8}),
        "color": colour_by_kind(values, DIRECTIONS) | colour,
        "detail": column("pair:N"),
        "tooltip": [*columns("pair:N", "side:N"), tooltip("value", ".3g"), column("n_cells:Q")],
    }
    marks = {"type": "line", "strokeWidth": 1.5}, {"type": "circle", "size": 40, "opacity": 1}
    lines = f"split({shorten(300)}, '\\n')"
    header = {"labelFontSize": 11, "labelLimit": 170, "labelLineHeight": 14, "labelExpr": lines}
    panels = list(dict.fromkeys(row["panel"] for row in values))
    y_scale = "shared" if found.of != "score" else "independent"
    return {
        "facet": column("panel:N", sort=panels, title=None, header=header),
        "columns": 4,
        "data": named_data(PAIRS),
        "spec": {"layer": [{"mark": mark, "encoding": shared} for mark in marks], "width": 140, "height": 130},
        "resolve": {"scale": {"x": "independent", "y": y_scale}},
    }


def pair_values(found: Comparison, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Two points for each pair of each row: the mean of its units in the reference, and in the group."""
    units: dict[tuple[Any, ...], dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for unit in found.compared.to_pylist():
        if unit["pair"] is not None and is_number(unit["value"]):
            key = (unit["signature"], unit["within"], unit["study"], unit["group"])
            units[key][unit["pair"]].append(unit)
    points = []
    for row in rows:
        base = (row["signature"], row["within"], row["study"])
        group, reference = units[(*base, row["group"])], units[(*base, row["reference"])]
        signature = row["signature"] if len(found.units) > 1 else None
        first = ", ".join(part for part in (signature, row["within"]) if part)
        panel = "\n".join(part for part in (first, row["group"], row["study"]) if part)
        for pair in sorted(group.keys() & reference.keys()):
            points += pair_points(panel, pair, {row["reference"]: reference[pair], row["group"]: group[pair]})
    return points


def pair_points(panel: str, pair: str, sides: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The two points of a pair; `sides`: the units in the reference, then in the group."""
    before, after = (fmean(unit["value"] for unit in units) for units in sides.values())
    kind = "equal" if after == before else "higher" if after > before else "lower"
    return [
        {"panel": panel, "pair": pair, "side": side, "place": place, "value": value, "kind": kind}
        | {"n_cells": sum(unit["n_cells"] for unit in units)}
        for place, ((side, units), value) in enumerate(zip(sides.items(), (before, after), strict=True))
    ]
