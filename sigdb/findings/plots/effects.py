"""The forest plot of a comparison, with the pairs that it compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigdb.errors import QueryError, nearest
from sigdb.findings.plots.pairs import PAIRS, compared_pairs, slopes
from sigdb.findings.plots.spec import named_data
from sigdb.findings.plots.theme import (
    GREY,
    PALETTE,
    ZERO,
    Spec,
    by_place,
    colour_by_kind,
    column,
    columns,
    finish,
    heading,
    is_number,
    names_axis,
    number,
    short,
    small,
    tooltip,
    with_altair,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigdb.findings.compare import Comparison

__all__ = ["KINDS", "TESTS", "effects", "forest"]

TESTS = "tests"  # the data set of the forest plot

WIDTH = 320  # pixels of the forest plot; numbers stand at its right
KINDS = {"one study": PALETTE[0], "all studies": PALETTE[1], "random effects": GREY}
COMPARED = {"z": "mean z", "score": "mean scores", "hits": "hit rates"}
# The columns of an effect: its estimate, and its interval.
MEASURES = {
    "hedges_g": ("hedges_g", "g_low", "g_high"),
    "difference": ("difference", "difference_low", "difference_high"),
}
# Columns of text at the right of the plot: the field, its heading, and its place.
COLUMNS = (("units", "units", 10), ("estimate", "", 70), ("p", "p", 245), ("q", "q", 295))
# An interval is drawn up to this many times the largest effect.
FARTHEST = 5


@with_altair
def effects(
    found: Comparison, title: str = "Differences between donors", *, measure: str = "hedges_g", n_rows: int = 40
) -> Spec:
    """Draw a forest plot of a comparison: each effect with its 95% interval, its units, p and q.

    The interval of Hedges' g leaves out 0 exactly if p < 0.05. Rows that were not tested say why. If the comparison is
    paired, panels below the plot join the values of each pair, from the reference to the group.

    Parameters
    ----------
    found : Comparison
        The result of `sigdb.compare`.
    title : str
        The title of the chart.
    measure : {'hedges_g', 'difference'}
        The effect size, or the difference of the means in the unit of what was compared.
    n_rows : int
        The most rows to show: the smallest p first if there are more.

    Returns
    -------
    altair.VConcatChart
        The forest plot, and a panel for each study that was compared in pairs.

    Raises
    ------
    QueryError
        If the measure is another one.

    Examples
    --------
    >>> found = sigdb.compare(
    ...     con, ["CD3D", "CD3E"], by="tissue", reference="normal adjacent", within=None, paired_by="donor", min_cells=1
    ... )
    >>> type(sigdb.plots.effects(found, measure="difference")).__name__
    'VConcatChart'
    """
    if measure not in MEASURES:
        hint = nearest(measure, MEASURES)
        raise QueryError(f"`measure` must be 'hedges_g' or 'difference', not {measure!r}.{hint}")
    rows, left_out = most_telling(found.table.to_pylist(), n_rows)
    values = [{**forest_row(row, found, measure), "place": place} for place, row in enumerate(rows)]
    limits = cut_intervals(values)
    pairs, more_pairs = compared_pairs(found, rows)
    lines = [f"Right of 0: higher than in {short(found.reference)}. Units: in the group / in {short(found.reference)}."]
    if any(row["prediction_low"] is not None for row in values):
        lines.append("Dashed: where the effect in a further study is expected (95%).")
    if any(row["is_cut"] for row in values):
        lines.append("An interval that reaches the frame goes on; the numbers give all of it.")
    charts = [forest([row["kind"] for row in values], measure, found.of, limits)]
    datasets = {TESTS: values}
    if pairs:
        charts.append(slopes(pairs, found))
        datasets[PAIRS] = pairs
    chart = {"vconcat": charts, "spacing": 28, "resolve": {"scale": {"color": "independent"}}, "datasets": datasets}
    return finish(chart, found, title, [*lines, *more_pairs], left_out, drawn=values)


def most_telling(rows: list[dict[str, Any]], n: int) -> tuple[list[dict[str, Any]], list[str]]:
    """The n rows of smallest p in their order, and a line if there are more."""
    ranked = sorted(range(len(rows)), key=lambda i: rows[i]["p_value"] if is_number(rows[i]["p_value"]) else 2)
    note = [f"The {n:,} rows of smallest p; {len(rows) - n:,} of {len(rows):,} are left out."] if len(rows) > n else []
    return [rows[i] for i in sorted(ranked[:n])], note


def forest_row(row: dict[str, Any], found: Comparison, measure: str) -> dict[str, Any]:
    """A row of a comparison with its name, its kind and its numbers in words."""
    kind = "one study"
    if row["study"] is None:
        kind = "all studies" if row["is_finding"] else "random effects"
    study = row["study"] or f"{row['n_studies']} studies, {'one model' if row['is_finding'] else 'random effects'}"
    signature = row["signature"] if len(found.units) > 1 else None
    effect, low, high = (row[name] if is_number(row[name]) else None for name in MEASURES[measure])
    if effect is not None:
        interval = "" if low is None or high is None else f" ({number(low)} to {number(high)})"
        text = number(effect) + interval
    elif row["p_value"] is None:
        text = f"not tested: {row['note'] or 'no p value'}"
    else:
        text = row["note"] or "no effect size"
    predicted = {name: row[name] if measure == "hedges_g" else None for name in ("prediction_low", "prediction_high")}
    kept = ("test", "n_donors", "n_cells_group", "n_cells_reference", "p_value", "q_value")
    return {
        **{name: row[name] for name in kept},
        **predicted,
        "estimate": text,
        "name": ", ".join(part for part in (signature, row["within"], row["group"], study) if part),
        "kind": kind,
        "units": f"{row['n_group']:,} / {row['n_reference']:,}",
        "p": small(row["p_value"]),
        "q": small(row["q_value"]),
        "effect": effect,
        "low": low,
        "high": high,
        "is_cut": False,
    }


def forest(kinds: Sequence[str], measure: str, of: str, limits: Sequence[float] = (-1, 1)) -> Spec:
    """The forest plot of rows that `forest_row` makes, in the order of `place`, with columns of text at its right."""
    name = f"Hedges' g of {COMPARED[of]}" if measure == "hedges_g" else f"difference of {COMPARED[of]}"
    colour = colour_by_kind([{"kind": kind} for kind in kinds], KINDS)
    y = column("name:N", sort=by_place(), title=None, axis=names_axis(360))
    scale = {"domain": list(limits), "nice": False, "clamp": True}
    intervals = {
        "mark": {"type": "rule", "strokeWidth": 2},
        "encoding": {
            "x": column("low:Q", title=f"{name}, with 95% interval", scale=scale),
            "x2": {"field": "high"},
            "y": y,
            "color": colour,
        },
    }
    predictions = {
        "mark": {"type": "rule", "strokeWidth": 1, "strokeDash": [2, 2]},
        "encoding": {
            "x": column("prediction_low:Q"),
            "x2": {"field": "prediction_high"},
            "y": y,
            "color": colour,
        },
    }
    numbers = [tooltip("effect", ".2f"), tooltip("p_value", ".2g"), tooltip("q_value", ".2g")]
    n_units = columns("n_donors:Q", "n_cells_group:Q", "n_cells_reference:Q")
    points = {
        "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
        "encoding": {
            "x": column("effect:Q"),
            "y": y,
            "color": colour,
            "tooltip": [*columns("name:N", "test:N"), *numbers, *n_units],
        },
    }
    layers = [ZERO, predictions, intervals, points, *text_columns(y, measure)]
    return {"layer": layers, "data": named_data(TESTS), "width": WIDTH, "height": {"step": 22}}


def cut_intervals(values: Sequence[dict[str, Any]]) -> list[float]:
    """The ends of the axis. Rows whose interval goes beyond them are marked."""
    largest = max((abs(row["effect"]) for row in values if row["effect"] is not None), default=0) or 1
    ends = [row[name] for row in values for name in ("low", "high", "effect") if row[name] is not None]
    low, high = min([0, *ends]), max([0, *ends])
    room = 0.04 * (high - low) or 1
    limits = [max(low - room, -FARTHEST * largest), min(high + room, FARTHEST * largest)]
    for row in values:
        row["is_cut"] = any(row[n] is not None and not limits[0] <= row[n] <= limits[1] for n in ("low", "high"))
    return limits


def text_columns(y: Spec, measure: str) -> list[Spec]:
    """The columns of text at the right of the plot, with their headings."""
    effect = "g (95% interval)" if measure == "hedges_g" else "difference (95% interval)"
    layers: list[Spec] = []
    for field, name, left in COLUMNS:
        x = WIDTH + left
        layers.append(
            {
                "mark": {"type": "text", "align": "left", "fontSize": 11},
                "encoding": {"x": {"value": x}, "y": y, "text": column(f"{field}:N")},
            }
        )
        layers.append(heading(name or effect, x))
    return layers
