"""What all charts share: the theme, colours, tooltips, and how a chart is saved."""

from __future__ import annotations

import math
import re
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from sigdb.errors import QueryError, nearest, needs_extra
from sigdb.findings.comparability import warnings_of
from sigdb.text import printable

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import altair as alt

    from sigdb.answers import Answer

__all__ = [
    "ATTRIBUTION",
    "GREY",
    "PALETTE",
    "SIGNIFICANT",
    "altair_module",
    "colour_by_kind",
    "describe_group",
    "finish",
    "keep_highest",
    "save",
    "significance",
    "style",
    "tooltip",
    "viridis",
]

# The palette of Okabe and Ito without black and yellow, which are too strong or too faint beside the others.
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"]
GREY = "#8a8a8a"
FORMATS = (".html", ".png", ".svg", ".json")
ATTRIBUTION = "attribution, thousandths of a cell"
# Characters of a line below the title.
SUBTITLE_WIDTH = 110
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
    if path.suffix.lower() not in FORMATS:
        hint = nearest(path.suffix.lower(), FORMATS)
        raise QueryError(f"A chart is written as one of {', '.join(FORMATS)}, not {path.name!r}.{hint}")
    options: dict[str, Any] = {".html": {"inline": True}, ".png": {"scale_factor": 2}}
    with needs_extra("plots"):
        import vl_convert  # noqa: F401  (Altair needs it to write these formats)
    make_safe(chart).save(str(path), **options.get(path.suffix.lower(), {}))


def finish(chart: Any, found: Answer, title: str, subtitle: Sequence[str]) -> Any:
    """Give a chart its title with the warnings of the finding, the theme, and the SQL of its data."""
    warnings = [note for note in warnings_of(found) if note not in subtitle]
    return style(chart.properties(usermeta={"sql": found.sql}), title, [*subtitle, *warnings])


def style(chart: Any, title: str, subtitle: Sequence[str]) -> Any:
    """Give a chart its title and the theme."""
    alt = altair_module()
    lines = [part for line in subtitle for part in wrap(line, SUBTITLE_WIDTH)]
    return safe_value(
        chart.properties(title=alt.Title(title, subtitle=lines, anchor="start"))
        .configure(font="Helvetica, Arial, sans-serif", background="white")
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
    at control characters. `safe_value` is enough for a chart of ours, whose data are lists: to make a chart of a
    specification takes long.
    """
    return type(chart).from_dict(safe_value(chart.to_dict()), validate=False)


def safe_value(value: Any) -> Any:
    """A chart, or a value of one, in which control characters are escapes, and script tags are no tags."""
    if isinstance(value, str):
        return SCRIPT_TAG.sub("\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", printable(value, keep="\t\n"))
    if isinstance(value, list):
        return [safe_value(each) for each in value]
    if isinstance(value, dict):
        return {safe_value(key): safe_value(each) for key, each in value.items()}
    if isinstance(value, altair_module().SchemaBase):
        with altair_module().utils.schemapi.debug_mode(False):  # it is valid already
            return type(value)(*map(safe_value, value._args), **safe_value(value._kwds))
    return value


def keep_highest(rows: list[dict[str, Any]], key: str, value: str, n: int) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of the n groups of highest value, and a line about the number of groups if there are more."""
    best: dict[str, float] = {}
    for row in rows:
        best[row[key]] = max(best.get(row[key], -math.inf), row[value])
    kept = sorted(best, key=lambda name: (-best[name], name))[:n]
    note = [] if len(kept) == len(best) else [f"The {n} highest of {len(best)} groups."]
    return [row for row in rows if row[key] in kept], note


def tooltip(name: str, form: str) -> Any:
    """A number in a tooltip."""
    return altair_module().Tooltip(f"{name}:Q", format=form)


def viridis(field: str, title: str, length: int = 120, **scale: Any) -> Any:
    """A colour scale for a number."""
    alt = altair_module()
    legend = alt.Legend(gradientLength=length)
    return alt.Color(f"{field}:Q", title=title, scale=alt.Scale(scheme="viridis", **scale), legend=legend)


def colour_by_kind(names: Sequence[str], *colours: str) -> Any:
    """A colour for each kind of point, with the legend below the chart."""
    alt = altair_module()
    scale = alt.Scale(domain=list(names), range=list(colours))
    return alt.Color("kind:N", title=None, scale=scale, legend=alt.Legend(orient="bottom"))


def significance(q_value: float) -> str:
    """The kind of a point, by its q value."""
    return SIGNIFICANT[q_value >= 0.05]


def describe_group(row: dict[str, Any]) -> tuple[str, str]:
    """A group of the cube in words: its cell type and number of cells, and where the cells are from."""
    origin = (row["disease"], row["tissue"], row["study"])
    return f"{row['cell_type'] or '(no type)'}  ({row['n_cells']:,})", ", ".join(part for part in origin if part)
