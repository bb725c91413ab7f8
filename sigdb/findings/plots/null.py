"""The chart of scores beside the scores of matched control sets."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sigdb.findings.plots.theme import (
    ATTRIBUTION,
    PALETTE,
    SIGNIFICANT,
    altair_module,
    colour_by_kind,
    describe_groups,
    finish,
    is_number,
    keep_finite,
    keep_highest,
    names_axis,
    number,
    shorten,
    significance,
    small,
    tooltip,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigdb.findings.nulls import Null

__all__ = ["null_scores"]

QUANTILES = ("null_low", "null_median", "null_high")


def null_scores(found: Null, title: str = "Against matched genes", n_groups: int = 50) -> Any:
    """Draw the score of each group (point) beside the scores of its matched control sets, one panel per study.

    Scores of different studies cannot be compared, so each panel has its own axis.

    Parameters
    ----------
    found : Null
        The result of `sigdb.matched_null`.
    title : str
        The title of the chart.
    n_groups : int
        The most groups to show.

    Returns
    -------
    altair.FacetChart
        Points, and bars from the 2.5 % to the 97.5 % quantile of the control sets with a line at their median.

    Examples
    --------
    >>> found = sigdb.matched_null(con, ["CD3D", "CD3E", "CD2"], n_controls=100, groups="study = 'wu2020_tcell'")
    >>> type(sigdb.plots.null_scores(found)).__name__
    'FacetChart'
    """
    alt = altair_module()
    values, lost = keep_finite(null_rows(found), "score", "z")
    values, _, left_out = keep_highest(values, "key", "z", n_groups)
    panels = list(dict.fromkeys(row["panel"] for row in sorted(values, key=lambda row: -row["z"])))
    by_z = alt.EncodingSortField("z", op="max", order="descending")
    base = alt.Chart(width=420, height=alt.Step(20)).encode(
        y=alt.Y("group:N", sort=by_z, title=None, axis=names_axis(300))
    )
    x = alt.X(
        "null_low:Q", title=f"score ({ATTRIBUTION})", axis=alt.Axis(tickCount=6), scale=alt.Scale(nice=False, padding=8)
    )
    bars = base.mark_rule(color="#c4c4c4", strokeWidth=8).encode(x=x, x2="null_high:Q")
    medians = base.mark_tick(color="#444", thickness=2, height=10).encode(x="null_median:Q")
    numbers = [("score", ".3g"), ("z", ".2f"), ("p_value", ".2g"), ("p_two_sided", ".2g"), ("q_value", ".2g")]
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        x="score:Q",
        color=colour_by_kind(values, dict(zip(SIGNIFICANT, PALETTE[1::-1], strict=True))),
        tooltip=["study:N", "group:N", *(tooltip(name, form) for name, form in numbers)],
    )
    text = base.mark_text(align="left", fontSize=11).encode(x=alt.value(430), text="text:N")
    header = alt.Header(labelFontSize=12, labelFontWeight="bold", labelLimit=420, labelExpr=shorten(420))
    facets = alt.layer(bars, medians, points, text, data=alt.Data(values=values)).facet(
        facet=alt.Facet("panel:N", sort=panels, title=None, header=header), columns=1
    )
    facets = facets.resolve_scale(x="independent", y="independent")
    return finish(facets, found, title, legend(values), [*left_out, *lost], drawn=values)


def null_rows(found: Null) -> list[dict[str, Any]]:
    """The rows of the finding with their panel, the name of their group in it, and z and q in words."""
    rows = found.table.to_pylist()
    measured: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for row in rows:
        measured[row["study"]].add((row["n_measured"], row["n_genes"]))
    named = []
    for row, name in zip(rows, describe_groups(rows), strict=True):
        genes = "; ".join(f"{some} of {all_genes}" for some, all_genes in sorted(measured[row["study"]]))
        panel = f"{row['study']}: {genes} genes measured"
        q = row["q_value"]
        text = ",  ".join(
            [f"z {number(row['z'])}" if is_number(row["z"]) else "no z", *([f"q {small(q)}"] if is_number(q) else [])]
        )
        quantiles = {name: row.get(name) for name in QUANTILES}
        named.append(
            {**row, **quantiles, "panel": panel, "group": name, "key": f"{panel}, {name}", "text": text}
            | {"kind": significance(q)}
        )
    return named


def legend(values: Sequence[dict[str, Any]]) -> list[str]:
    """What the marks mean."""
    n = max((row["n_controls"] for row in values), default=0)
    lines = [
        f"Point: the signature. Grey: 95 % of {n:,} sets of matched genes (quantiles 2.5 % and 97.5 %); line: median.",
        "The highest z is on top. In brackets: cells. Each study has its own axis.",
    ]
    if values and all(row["null_low"] is None for row in values):
        lines[0] = "Point: the signature. The macros of this atlas are older than sigdb, and give no quantiles."
    return lines
