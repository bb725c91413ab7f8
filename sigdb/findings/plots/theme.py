"""What all charts share: the theme, colours, tooltips, and how a chart is saved."""

from __future__ import annotations

import math
import re
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from sigdb.disk import check_picture
from sigdb.errors import needs_extra
from sigdb.findings.comparability import warnings_of
from sigdb.text import printable

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import altair as alt

    from sigdb.answers import Answer

__all__ = [
    "ATTRIBUTION",
    "CROSS",
    "GREY",
    "PALETTE",
    "SIGNIFICANT",
    "altair_module",
    "by_place",
    "colour_by_kind",
    "configure",
    "finish",
    "heading",
    "is_number",
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
]

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
    chart: Any, found: Answer, title: str, legend: Sequence[str], left_out: Sequence[str] = (), *, drawn: Sequence[Any]
) -> Any:
    """Give a chart its title with the warnings of the finding, the theme, and the SQL of its data.

    legend: what the marks mean. left_out: lines about what is not drawn. drawn: what is; if that is nothing, the result
    is a chart that says so, with the notes of the finding.
    """
    lines = [*legend, *left_out, *warnings_of(found)]
    if not drawn:
        alt = altair_module()
        chart = alt.Chart(alt.Data(values=[{}]), width=400, height=30).mark_text(text=NOTHING, fontSize=12)
        lines = [*left_out, *found.notes]
    return style(chart.properties(usermeta={"sql": found.sql}), title, list(dict.fromkeys(lines)))


def style(chart: Any, title: str, subtitle: Sequence[str]) -> Any:
    """Give a chart its title and the theme."""
    alt = altair_module()
    lines = [part for line in subtitle for part in wrap(line, SUBTITLE_WIDTH)]
    return make_safe(configure(chart.properties(title=alt.Title(title, subtitle=lines, anchor="start"))))


def configure(chart: Any) -> Any:
    """Give a chart the fonts and lines of all charts."""
    return (
        chart.configure(font="Helvetica, Arial, sans-serif", background="white")
        .configure_title(fontSize=14, subtitleFontSize=11, subtitleColor="#444", offset=12)
        .configure_axis(
            labelFontSize=11,
            titleFontSize=11,
            titleFontWeight="normal",
            labelLimit=260,
            labelFlush=False,  # labels at the ends would run into their neighbours
            gridColor="#e6e6e6",
        )
        .configure_legend(labelFontSize=11, titleFontSize=11, titleFontWeight="normal", labelLimit=220)
        .configure_view(stroke=None)
    )


def make_safe(chart: Any) -> Any:
    """The chart with its texts changed where they would break a file or run as code.

    Altair writes the texts of a chart into a script, in files and in notebooks. The program that draws PNG and SVG ends
    at control characters. The parts of the chart are changed one by one: to read a whole specification again, Altair
    takes seconds, and minutes if there are thousands of rows.
    """
    alt = altair_module()
    if isinstance(chart, alt.SchemaBase):
        safe = chart.copy(deep=False)
        for name, value in chart._kwds.items():
            safe._kwds[name] = make_safe(alt.to_values(value) if hasattr(value, "__dataframe__") else value)
        return safe
    if isinstance(chart, list):
        return [make_safe(each) for each in chart]
    if isinstance(chart, dict):
        return {make_safe(key): make_safe(each) for key, each in chart.items()}
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


def names_axis(limit: int = 260, **options: Any) -> Any:
    """An axis of names. Long names lose their middle, since names often differ at their end."""
    return altair_module().Axis(labelLimit=limit, labelExpr=shorten(limit), **options)


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


def tooltip(name: str, form: str) -> Any:
    """A number in a tooltip."""
    return altair_module().Tooltip(f"{name}:Q", format=form)


def heading(text: str, x: Any) -> Any:
    """A layer with the heading of a column of texts, just above a chart; x: pixels from the left."""
    alt = altair_module()
    head = alt.Chart(alt.Data(values=[{}])).mark_text(align="left", baseline="bottom", fontSize=11, fontWeight="bold")
    return head.encode(x=alt.value(x), y=alt.value(-3), text=alt.value(text))


def by_place(place: str = "place") -> Any:
    """The order of an axis or of panels: by the column that numbers them."""
    return altair_module().EncodingSortField(place, op="min", order="ascending")


def viridis(field: str, title: str, length: int = 120, *, legend: Mapping[str, Any] | None = None, **scale: Any) -> Any:
    """A colour scale for a number. In every chart, dark means high."""
    alt = altair_module()
    shown = alt.Legend(gradientLength=length, **(legend or {}))
    colours = alt.Scale(scheme="viridis", reverse=True, **scale)
    return alt.Color(f"{field}:Q", title=title, scale=colours, legend=shown)


def colour_by_kind(rows: Sequence[dict[str, Any]], colours: Mapping[str, str]) -> Any:
    """A colour for each kind of point that there is, with the legend below the chart if there are several."""
    alt = altair_module()
    kinds = [kind for kind in colours if any(row["kind"] == kind for row in rows)]
    scale = alt.Scale(domain=kinds, range=[colours[kind] for kind in kinds])
    return alt.Color("kind:N", title=None, scale=scale, legend=alt.Legend(orient="bottom") if len(kinds) > 1 else None)


def significance(q_value: float | None) -> str:
    """The kind of a point, by its q value."""
    return SIGNIFICANT[not (is_number(q_value) and float(q_value or 0) < 0.05)]
