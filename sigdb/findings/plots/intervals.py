"""The chart of mean scores with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.findings.plots.heat import MEASURES
from sigdb.findings.plots.spec import About, Limit, are_numbers, draw, keep_first, keep_numbers, named, specify
from sigdb.findings.plots.theme import (
    PALETTE,
    ZERO,
    Spec,
    by_place,
    calculate,
    column,
    keep,
    names_axis,
    tooltip,
    with_altair,
)

if TYPE_CHECKING:
    from sigdb.answers import Answer

__all__ = ["intervals", "intervals_spec", "t_quantile"]

LEGEND = (
    "Line: 95 % interval over donors, or over samples whose donor has no name. There is none for fewer than two of "
    "them, and for cells of several studies. In brackets: donors / cells."
)
# The 97.5 % quantiles of the t distribution with 1 to 10 degrees of freedom.
QUANTILES = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.306, 2.2622, 2.2281)
NORMAL = 1.959964
DETAILS = (
    "n_cells",
    "n_samples",
    "n_donors",
    "n_units",
    "least_measured",
    "n_genes",
    "median_counts",
    "median_detected",
)

# Only calibrated scores have these.
UNITS = ("n_donors", "n_units")


@with_altair
def intervals(found: Answer, title: str = "Scores of groups", n_groups: int = 40) -> Spec:
    """Draw the mean z of each group with its 95 % interval over donors, the highest on top.

    Without calibration, the mean score is drawn, without intervals.

    Parameters
    ----------
    found : Answer
        The result of `sigdb.group_scores`.
    title : str
        The title of the chart.
    n_groups : int
        The most groups to show.

    Returns
    -------
    altair.LayerChart
        One point per group, with a line for its interval.

    Examples
    --------
    >>> type(sigdb.plots.intervals(sigdb.group_scores(con, ["LYZ", "CD14"], by="study"))).__name__
    'LayerChart'
    """
    measure = "z" if "z" in found.table.column_names else "score"
    return draw(intervals_spec(measure, "cell_type", n_groups), found, title)


def intervals_spec(measure: str = "z", other: str = "study", n_groups: int = 40) -> Spec:
    """The chart of the statement `findings/group_hits`, grouped by the columns label and `other`."""
    name, meaning = MEASURES[measure]
    y = column("group:N", sort=by_place(), title=None, axis=names_axis(360))
    lines = {
        "mark": {"type": "rule", "strokeWidth": 2, "color": PALETTE[0]},
        "encoding": {
            "x": column("low:Q", title=name, scale={"zero": False, "nice": False, "padding": 10}),
            "x2": {"field": "high"},
            "y": y,
        },
        "transform": keep("isValid(datum.low)"),
    }
    details = [*(UNITS if measure == "z" else ()), *DETAILS]
    tips = [column("group:N"), tooltip(measure, ".3g"), column("interval:N", title="95 % interval")]
    points = {
        "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1, "color": PALETTE[0]},
        "encoding": {
            "x": column(f"{measure}:Q"),
            "y": y,
            "tooltip": [*tips, *(column(f"{each}:N") for each in details)],
        },
    }
    about = About([f"{meaning}. {LEGEND}"], [measure], [Limit(["label", other], n_groups, measure)])
    transform = [
        *keep_numbers(about),
        *calculate(group=group_text(other)),
        *add_intervals(measure),
        *keep_first("group", measure, "place", n_groups),
    ]
    return specify(
        {"layer": [ZERO, lines, points], "width": 440, "height": {"step": 22}, "transform": transform}, about
    )


def group_text(other: str) -> str:
    """An expression of Vega: both names of a group, or one if they are equal, with its donors and cells."""
    both = f"{named('label')} + (datum.label === datum.{other} ? '' : ', ' + {named(other)})"
    donors = "isValid(datum.n_donors) ? format(datum.n_donors, ',') + ' / ' : ''"
    return f"{both} + '  (' + ({donors}) + format(datum.n_cells, ',') + ')'"


def add_intervals(measure: str) -> list[Spec]:
    """Give each group the ends of its interval, mean plus and minus t times the standard error, and a text of them."""
    error, free = f"datum.{measure}_se", "(datum.n_units - 1)"
    width = f"{t_quantile(free)} * {error}"
    has_error = are_numbers(f"{measure}_se")
    low, high = (f"{has_error} ? datum.{measure} {sign} {width} : null" for sign in "-+")
    ends = "format(datum.low, '.3g') + ' to ' + format(datum.high, '.3g')"
    return calculate(low=low, high=high, interval=f"isValid(datum.low) ? {ends} : 'none'")


def t_quantile(free: str) -> str:
    """An expression of Vega: the 97.5 % quantile of t with `free` degrees of freedom, to 0.02 %."""
    z = NORMAL
    terms = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    many = " + ".join([str(z), *(f"{term:.6f} / pow({free}, {power})" for power, term in enumerate(terms, 1))])
    return f"({free} <= {len(QUANTILES)} ? {list(QUANTILES)}[{free} - 1] : {many})"
