"""What all charts share: the theme, colours, tooltips, and how a chart is saved."""

from __future__ import annotations

import math
import re
from functools import wraps
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, ParamSpec

from sigdb.disk import check_picture
from sigdb.errors import needs_extra
from sigdb.findings.comparability import warnings_of
from sigdb.text import printable

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    import altair as alt

    from sigdb.answers import Answer

__all__ = [
    "ATTRIBUTION",
    "CROSS",
    "GREY",
    "PALETTE",
    "SIGNIFICANT",
    "ZERO",
    "Spec",
    "altair_module",
    "by_place",
    "calculate",
    "colour_by_kind",
    "column",
    "columns",
    "configure",
    "finish",
    "heading",
    "is_number",
    "keep",
    "keep_finite",
    "make_safe",
    "names_axis",
    "number",
    "safe_value",
    "save",
    "short",
    "shorten",
    "significance",
    "small",
    "style",
    "tooltip",
    "viridis",
    "with_altair",
]

P = ParamSpec("P")
Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# The fonts and lines of all charts.
CONFIG: Spec = {
    "font": "Helvetica, Arial, sans-serif",
    "background": "white",
    "title": {"fontSize": 14, "subtitleFontSize": 11, "subtitleColor": "#444", "offset": 12},
    "axis": {
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelLimit": 260,
        "labelFlush": False,  # labels at the ends would run into their neighbours
        "gridColor": "#e6e6e6",
    },
    "legend": {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "labelLimit": 220},
    "view": {"stroke": None},
}
# A layer with a line at 0.
ZERO: Spec = {
    "data": {"values": [{"zero": 0}]},
    "mark": {"type": "rule", "strokeDash": [4, 3], "color": "#777"},
    "encoding": {"x": {"field": "zero", "type": "quantitative"}},
}
TYPES = {"N": "nominal", "Q": "quantitative"}
# The palette of Okabe and Ito without black and yellow, which are too strong or too faint beside the others.
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"]
GREY = "#8a8a8a"
CROSS = "\N{MULTIPLICATION SIGN}"
ATTRIBUTION = "attribution, thousandths of a cell"
# Characters of a line below the title.
SUBTITLE_WIDTH = 110
# Pixels of an average character of 11 pixels.
CHARACTER = 6
NOTHING = "There is nothing to draw."
SIGNIFICANT = ("q < 0.05", "q ≥ 0.05")
# What ends a script of HTML, or changes how it is read.
SCRIPT_TAG = re.compile("<(?=/?script|!--)", re.IGNORECASE)


def altair_module() -> Any:
    """Import Altair, or raise MissingDependencyError that says how to install it."""
    with needs_extra("plots"):
        import altair
    return altair


def with_altair(draw: Callable[P, Spec]) -> Callable[P, Any]:
    """Make a chart of Altair of the specification that a function returns. `inspect.unwrap` gives that function."""

    @wraps(draw)
    def chart(*args: P.args, **kwargs: P.kwargs) -> Any:
        alt = altair_module()
        spec = draw(*args, **kwargs)
        datasets = spec.pop("datasets", None)  # to read rows, Altair takes seconds
        made = alt.Chart.from_dict(spec)
        return made.properties(datasets=datasets) if datasets else made

    return chart


def save(chart: alt.TopLevelMixin, path: str | os.PathLike[str]) -> None:
    """Write a chart to a file.

    Parameters
    ----------
    chart : altair.Chart
        A chart of this module, or any other.
    path : str or path-like
        The file. Its ending is the format: .html (self-contained), .png (2 pixels per point), .svg or .json.

    Raises
    ------
    QueryError
        If the ending is another one.
    MissingDependencyError
        If the extra `plots` is not installed.

    Examples
    --------
    >>> found = sigdb.leading_genes(con, ["LYZ", "CD14"], groups="cell_type = 'MDC'")
    >>> sigdb.plots.save(sigdb.plots.contributions(found), "leading.json")
    """
    path = Path(path)
    check_picture(path)
    options: dict[str, Any] = {".html": {"inline": True}, ".png": {"scale_factor": 2}}
    with needs_extra("plots"):
        import vl_convert  # noqa: F401  (Altair needs it to write these formats)
    make_safe(chart).save(str(path), **options.get(path.suffix.lower(), {}))


def finish(
    chart: Spec, found: Answer, title: str, legend: Sequence[str], left_out: Sequence[str] = (), *, drawn: Sequence[Any]
) -> Spec:
    """Give a chart its title with the warnings of the finding, the theme, and the SQL of its data.

    legend: what the marks mean. left_out: lines about what is not drawn. drawn: what is; if that is nothing, the result
    is a chart that says so, with the notes of the finding.
    """
    lines = [*legend, *left_out, *warnings_of(found)]
    if not drawn:
        mark = {"type": "text", "text": NOTHING, "fontSize": 12}
        chart = {"data": {"values": [{}]}, "mark": mark, "width": 400, "height": 30}
        lines = [*left_out, *found.notes]
    return style({**chart, "usermeta": {"sql": found.sql}}, title, list(dict.fromkeys(lines)))


def style(chart: Spec, title: str, subtitle: Sequence[str]) -> Spec:
    """Give a chart its title and the theme, and make it safe."""
    lines = [part for line in subtitle for part in wrap(line, SUBTITLE_WIDTH)]
    styled: Spec = make_safe(configure({**chart, "title": {"text": title, "subtitle": lines, "anchor": "start"}}))
    return styled


def configure(chart: Spec) -> Spec:
    """Give a chart the fonts and lines of all charts."""
    return {"$schema": SCHEMA, "config": CONFIG, **chart}


def make_safe(chart: Any) -> Any:
    """The chart with its texts changed where they would break a file or run as code.

    Charts are written into scripts, in files and in notebooks. The program that draws PNG and SVG ends at control
    characters. A chart of Altair is changed part by part: to read a whole specification again, Altair takes seconds,
    and minutes if there are thousands of rows.
    """
    if isinstance(chart, dict):
        return {make_safe(key): make_safe(each) for key, each in chart.items()}
    if isinstance(chart, list | tuple):
        return [make_safe(each) for each in chart]
    if hasattr(chart, "_kwds"):  # a part of a chart of Altair
        safe = chart.copy(deep=False)
        for name, value in chart._kwds.items():
            is_frame = hasattr(value, "__dataframe__")
            safe._kwds[name] = make_safe(altair_module().to_values(value) if is_frame else value)
        return safe
    return safe_value(chart)


def safe_value(value: Any) -> Any:
    """A value in which control characters are escapes, script tags are no tags, and NaN is null.

    JSON has no NaN and no infinity: a page that holds one shows no chart at all.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return SCRIPT_TAG.sub("\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", printable(value, keep="\t\n"))
    return value


def keep_finite(rows: Sequence[dict[str, Any]], *columns: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows that have a number in each of some columns, and a line about the others if there are any."""
    kept = [row for row in rows if all(is_number(row[column]) for column in columns)]
    n = len(rows) - len(kept)
    return kept, [f"Not drawn, because a value is missing: {n:,} of {len(rows):,}."] if n else []


def is_number(value: Any) -> bool:
    """Whether a value is a number that can be drawn: neither None nor NaN nor infinite."""
    return value is not None and math.isfinite(value)


def column(name: str, **options: Any) -> Spec:
    """A column as Vega-Lite names it, from its name and the letter of its type: 'score:Q' or 'study:N'."""
    name, _, letter = name.rpartition(":")
    return {"field": name, "type": TYPES[letter], **options}


def columns(*names: str) -> list[Spec]:
    """Columns as Vega-Lite names them."""
    return [column(name) for name in names]


def calculate(**expressions: str) -> list[Spec]:
    """Transforms that add columns, each with its expression of Vega."""
    return [{"calculate": expression, "as": name} for name, expression in expressions.items()]


def keep(condition: str) -> list[Spec]:
    """The transform that keeps the rows for which an expression of Vega is true."""
    return [{"filter": condition}]


def names_axis(limit: int = 260, **options: Any) -> Spec:
    """An axis of names. Long names lose their middle, since names often differ at their end."""
    return {"labelLimit": limit, "labelExpr": shorten(limit), **options}


def shorten(limit: int) -> str:
    """An expression of Vega for the label of an axis or header, which has room for `limit` pixels."""
    n = limit // (2 * CHARACTER) - 1
    cut = f"slice(datum.label, 0, {n}) + '\u2026' + slice(datum.label, -{n})"
    return f"length(datum.label) > {2 * n + 1} ? {cut} : datum.label"


def number(value: float) -> str:
    """A number for a chart: two decimals, more digits if it is small, and a true minus sign."""
    text = f"{value:.2f}" if value == 0 or 0.095 <= abs(value) < 10000 else f"{value:.2g}"
    return text.replace("-", "\u2212")


def small(value: float | None) -> str:
    """A p or q value for a chart, always with two digits; nothing if there is none."""
    return f"{value:#.2g}" if is_number(value) else ""


def short(text: str, n: int = 40) -> str:
    """A text without its middle if it is longer than n characters."""
    return text if len(text) <= n else f"{text[: n // 2]}\u2026{text[-(n // 2) + 1 :]}"


def tooltip(name: str, form: str) -> Spec:
    """A number in a tooltip."""
    return column(f"{name}:Q", format=form)


def heading(text: str, x: Any) -> Spec:
    """A layer with the heading of a column of texts, just above a chart; x: pixels from the left."""
    return {
        "data": {"values": [{}]},
        "mark": {"type": "text", "align": "left", "baseline": "bottom", "fontSize": 11, "fontWeight": "bold"},
        "encoding": {"x": {"value": x}, "y": {"value": -3}, "text": {"value": text}},
    }


def by_place(place: str = "place") -> Spec:
    """The order of an axis or of panels: by the column that numbers them."""
    return {"field": place, "op": "min", "order": "ascending"}


def viridis(name: str, title: str, length: int = 120, *, legend: Mapping[str, Any] | None = None, **scale: Any) -> Spec:
    """A colour scale for a number. In every chart, dark means high."""
    shown = {"gradientLength": length, **(legend or {})}
    return column(f"{name}:Q", title=title, scale={"scheme": "viridis", "reverse": True, **scale}, legend=shown)


def colour_by_kind(rows: Sequence[dict[str, Any]], colours: Mapping[str, str]) -> Spec:
    """A colour for each kind of point that there is, with the legend below the chart if there are several."""
    kinds = [kind for kind in colours if any(row["kind"] == kind for row in rows)]
    scale = {"domain": kinds, "range": [colours[kind] for kind in kinds]}
    return column("kind:N", title=None, scale=scale, legend={"orient": "bottom"} if len(kinds) > 1 else None)


def significance(q_value: float | None) -> str:
    """The kind of a point, by its q value."""
    return SIGNIFICANT[not (is_number(q_value) and float(q_value or 0) < 0.05)]
