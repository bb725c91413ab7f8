"""The chart of scores beside the scores of matched control sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigdb.findings.columns import GROUP
from sigdb.findings.plots.spec import (
    About,
    Limit,
    are_numbers,
    draw,
    keep_first,
    keep_numbers,
    name_group,
    named_data,
    number_text,
    rank_by,
    specify,
)
from sigdb.findings.plots.theme import (
    ATTRIBUTION,
    PALETTE,
    SIGNIFICANT,
    altair_module,
    names_axis,
    shorten,
    tooltip,
)

if TYPE_CHECKING:
    from sigdb.findings.nulls import Null

__all__ = ["null_scores", "null_scores_spec"]

LEGEND = [
    "Point: the signature. Grey: 95 % of the sets of matched genes (quantiles 2.5 % and 97.5 %); line: median.",
    "The highest z is on top. In brackets: cells. Each study has its own axis.",
]
OLDER = "The macros of this atlas are older than sigdb, and give no quantiles."


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
    has_quantiles = "null_low" in found.table.column_names
    return draw(null_scores_spec(n_groups), found, title, [] if has_quantiles else [OLDER])


def null_scores_spec(n_groups: int = 50) -> Any:
    """The chart of the statement `findings/null`, with the column q_value (see `sigdb.matched_null`)."""
    alt = altair_module()
    by_z = alt.EncodingSortField("z", op="max", order="descending")
    base = alt.Chart(width=420, height=alt.Step(20)).encode(
        y=alt.Y("name:N", sort=by_z, title=None, axis=names_axis(300))
    )
    x = alt.X(
        "null_low:Q", title=f"score ({ATTRIBUTION})", axis=alt.Axis(tickCount=6), scale=alt.Scale(nice=False, padding=8)
    )
    bars = base.mark_rule(color="#c4c4c4", strokeWidth=8).encode(x=x, x2="null_high:Q")
    medians = base.mark_tick(color="#444", thickness=2, height=10).encode(x="null_median:Q")
    numbers = [("score", ".3g"), ("z", ".2f"), ("p_value", ".2g"), ("p_two_sided", ".2g"), ("q_value", ".2g")]
    colours = alt.Scale(domain=list(SIGNIFICANT), range=PALETTE[1::-1])
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        x="score:Q",
        color=alt.Color("kind:N", title=None, scale=colours, legend=alt.Legend(orient="bottom")),
        tooltip=["study:N", "name:N", *(tooltip(name, form) for name, form in numbers)],
    )
    text = base.mark_text(align="left", fontSize=11).encode(x=alt.value(430), text="text:N")
    header = alt.Header(labelFontSize=12, labelFontWeight="bold", labelLimit=420, labelExpr=shorten(420))
    facet = alt.Facet("panel:N", sort=by_z, title=None, header=header)
    facets = alt.layer(bars, medians, points, text, data=named_data()).facet(facet=facet, columns=1)
    about = About(LEGEND, ["score", "z"], [Limit(GROUP, n_groups, "z")], whole=True)
    facets = name_group(keep_numbers(facets, about)).transform_joinaggregate(
        least="min(n_measured)", most="max(n_measured)", groupby=["study"]
    )
    facets = add_texts(facets).transform_calculate(key="datum.panel + ', ' + datum.name")
    facets = keep_first(rank_by(facets, "key", "z", "place"), "place", n_groups)
    return specify(facets.resolve_scale(x="independent", y="independent"), about)


def add_texts(chart: Any) -> Any:
    """Give each group its panel, z and q in words, and its kind."""
    has_q = are_numbers("q_value")
    measured = "datum.least + (datum.most > datum.least ? ' to ' + datum.most : '') + ' of ' + datum.n_genes"
    return chart.transform_calculate(
        panel=f"datum.study + ': ' + {measured} + ' genes measured'",
        kind=f"{has_q} && datum.q_value < 0.05 ? '{SIGNIFICANT[0]}' : '{SIGNIFICANT[1]}'",
        text=f"'z ' + {number_text('z')} + ({has_q} ? ',  q ' + format(datum.q_value, '.2g') : '')",
    )
