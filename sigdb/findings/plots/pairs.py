"""Lines that join the values of each pair, from the reference to the group."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sigdb.findings.plots.theme import GREY, PALETTE, altair_module, colour_by_kind, is_number, short, shorten, tooltip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sigdb.findings.compare import Comparison

__all__ = ["slopes"]

PANELS = 8
DIRECTIONS = {"higher": PALETTE[1], "lower": PALETTE[0], "equal": GREY}
AXES = {"z": "mean z", "score": "mean score", "hits": "hit rate"}


def slopes(found: Comparison, rows: Sequence[Mapping[str, Any]]) -> tuple[list[Any], list[str]]:
    """A chart of the pairs behind some rows of a comparison, one panel a row, and a line about it; or nothing."""
    paired = [row for row in rows if row["study"] is not None and row["n_pairs"] and row["p_value"] is not None]
    values = pair_values(found, paired[:PANELS])
    if not values:
        return [], []
    alt = altair_module()
    panels = list(dict.fromkeys(row["panel"] for row in values))
    y_axis = alt.Axis(format=".3~p") if found.of == "hits" else alt.Axis(tickCount=5)
    names = alt.Axis(labelAngle=0, labelLimit=84, labelExpr="split(datum.label, ' ')")
    sides = alt.EncodingSortField("place", op="min")
    # Without data here, the layers take the data of their panel.
    base = alt.Chart(width=140, height=130).encode(
        x=alt.X("side:N", sort=sides, title=None, axis=names),
        y=alt.Y("value:Q", title=AXES[found.of], axis=y_axis, scale=alt.Scale(zero=False, padding=8)),
        color=colour_by_kind(values, DIRECTIONS).title(f"than in {short(found.reference, 24)}").legend(orient="right"),
        detail="pair:N",
        tooltip=["pair:N", "side:N", tooltip("value", ".3g"), "n_cells:Q"],
    )
    lines = f"split({shorten(300)}, '\\n')"
    header = alt.Header(labelFontSize=11, labelLimit=170, labelLineHeight=14, labelExpr=lines)
    facet = alt.Facet("panel:N", sort=panels, title=None, header=header)
    marks = base.mark_line(strokeWidth=1.5), base.mark_circle(size=40, opacity=1)
    chart = alt.layer(*marks, data=alt.Data(values=values)).facet(facet=facet, columns=4)
    chart = chart.resolve_scale(x="independent", y="shared" if found.of != "score" else "independent")
    more = len(paired) - PANELS
    note = f"Below: each line is one pair.{f' The first {PANELS} of {len(paired):,} paired rows.' if more > 0 else ''}"
    return [chart], [note]


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
