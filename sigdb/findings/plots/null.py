"""The chart of scores beside the scores of matched control sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.findings.columns import GROUP
from sigdb.findings.plots.spec import (
    About,
    Limit,
    aggregate,
    are_numbers,
    draw,
    keep_first,
    keep_numbers,
    name_group,
    number_text,
    specify,
)
from sigdb.findings.plots.theme import (
    ATTRIBUTION,
    PALETTE,
    SIGNIFICANT,
    Spec,
    calculate,
    column,
    columns,
    names_axis,
    shorten,
    tooltip,
    with_altair,
)

if TYPE_CHECKING:
    from sigdb.findings.nulls import Null

__all__ = ["null_scores", "null_scores_spec"]

LEGEND = [
    "Point: the signature. Grey: 95 % of the sets of matched genes (quantiles 2.5 % and 97.5 %); line: median.",
    "The highest z is on top. In brackets: cells. Each study has its own axis.",
]
OLDER = "The macros of this atlas are older than sigdb, and give no quantiles."


@with_altair
def null_scores(found: Null, title: str = "Against matched genes", n_groups: int = 50) -> Spec:
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


def null_scores_spec(n_groups: int = 50) -> Spec:
    """The chart of the statement `findings/null`, with the column q_value (see `sigdb.matched_null`)."""
    by_z = {"field": "z", "op": "max", "order": "descending"}
    header = {"labelFontSize": 12, "labelFontWeight": "bold", "labelLimit": 420, "labelExpr": shorten(420)}
    about = About(LEGEND, ["score", "z"], [Limit(GROUP, n_groups, "z")], whole=True)
    chart = {
        "facet": column("panel:N", sort=by_z, title=None, header=header),
        "columns": 1,
        "spec": {
            "layer": layers(column("name:N", sort=by_z, title=None, axis=names_axis(300))),
            "width": 420,
            "height": {"step": 20},
        },
        "transform": [
            *keep_numbers(about),
            *name_group(),
            aggregate("study", least=("min", "n_measured"), most=("max", "n_measured")),
            *add_texts(),
            *calculate(key="datum.panel + ', ' + datum.name"),
            *keep_first("key", "z", "place", n_groups),
        ],
        "resolve": {"scale": {"x": "independent", "y": "independent"}},
    }
    return specify(chart, about)


def layers(y: Spec) -> list[Spec]:
    """What stands in the row of a group: the bar of the control sets, their median, the score, and z in words."""
    title, scale = f"score ({ATTRIBUTION})", {"nice": False, "padding": 8}
    x = column("null_low:Q", title=title, axis={"tickCount": 6}, scale=scale)
    bars = {
        "mark": {"type": "rule", "color": "#c4c4c4", "strokeWidth": 8},
        "encoding": {"x": x, "x2": {"field": "null_high"}, "y": y},
    }
    medians = {
        "mark": {"type": "tick", "color": "#444", "thickness": 2, "height": 10},
        "encoding": {"x": column("null_median:Q"), "y": y},
    }
    numbers = [("score", ".3g"), ("z", ".2f"), ("p_value", ".2g"), ("p_two_sided", ".2g"), ("q_value", ".2g")]
    colours = {"domain": list(SIGNIFICANT), "range": PALETTE[1::-1]}
    points = {
        "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
        "encoding": {
            "x": column("score:Q"),
            "y": y,
            "color": column("kind:N", title=None, scale=colours, legend={"orient": "bottom"}),
            "tooltip": [*columns("study:N", "name:N"), *(tooltip(name, form) for name, form in numbers)],
        },
    }
    text = {
        "mark": {"type": "text", "align": "left", "fontSize": 11},
        "encoding": {"x": {"value": 430}, "y": y, "text": column("text:N")},
    }
    return [bars, medians, points, text]


def add_texts() -> list[Spec]:
    """Give each group its panel, z and q in words, and its kind."""
    has_q = are_numbers("q_value")
    measured = "datum.least + (datum.most > datum.least ? ' to ' + datum.most : '') + ' of ' + datum.n_genes"
    return calculate(
        panel=f"datum.study + ': ' + {measured} + ' genes measured'",
        kind=f"{has_q} && datum.q_value < 0.05 ? '{SIGNIFICANT[0]}' : '{SIGNIFICANT[1]}'",
        text=f"'z ' + {number_text('z')} + ({has_q} ? ',  q ' + format(datum.q_value, '.2g') : '')",
    )
