"""A self-contained HTML page of sections with charts, tables and SQL. The template escapes all that comes from data."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sigdb.disk import check_page
from sigdb.errors import needs_extra
from sigdb.findings.plots.theme import make_safe
from sigdb.text import format_value, printable

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

__all__ = ["Page", "Section", "check_is_page", "write_page"]

# A table shows this many rows until the reader asks for all, and a longer one than this is closed at first.
ROWS, OPEN = 100, 15


@dataclass(frozen=True)
class Section:
    """A part of the page: text, notes, charts by what they show, tables by their name, and the SQL behind them.

    A chart is a specification of Vega-Lite.
    """

    title: str
    text: str
    notes: Sequence[str] = ()
    charts: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    sql: Sequence[str] = ()

    def for_template(self) -> dict[str, Any]:
        """The section as the template takes it. The name of a chart describes it."""
        return {
            "title": self.title,
            "text": self.text,
            "notes": list(self.notes),
            "charts": {name: make_safe(chart | {"description": name}) for name, chart in self.charts.items()},
            "tables": {name: table_for_template(table) for name, table in self.tables.items() if table.num_rows},
            "sql": list(self.sql),
        }


@dataclass(frozen=True)
class Page:
    """The page that was written.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    n_charts, n_tables : int
        The number of charts and tables on the page.
    """

    path: Path
    n_charts: int
    n_tables: int


def check_is_page(path: str | os.PathLike[str]) -> None:
    """Raise an error if a path does not end in .html or has no folder, or if the extra `plots` is not installed."""
    check_page(Path(path))
    with needs_extra("plots"):
        import jinja2  # noqa: F401


def write_page(
    path: str | os.PathLike[str],
    title: str,
    about: str,
    sections: Sequence[Section],
    answer: Sequence[str],
    cautions: Sequence[str] = (),
) -> Page:
    """Write sections as one self-contained page, which opens with the paragraphs of the answer and with cautions."""
    check_is_page(path)
    from markupsafe import Markup

    filled = [section.for_template() for section in sections]
    scripts = {name: resource(name) for name in ("vega/vega.js", "report/page.js")}
    # A browser runs the scripts that have these hashes, and no other.
    hashes = " ".join(f"'sha256-{script_hash(script)}'" for script in scripts.values())
    page = template().render(
        title=title,
        about=about,
        answer=answer,
        cautions=cautions,
        sections=filled,
        now=datetime.now(UTC),
        rows=ROWS,
        open=OPEN,
        hashes=Markup(hashes),
        style=Markup(resource("report/page.css")),
        vega=Markup(scripts["vega/vega.js"]),
        script=Markup(scripts["report/page.js"]),
    )
    Path(path).write_text(page, encoding="utf-8")
    return Page(Path(path), sum(len(each["charts"]) for each in filled), sum(len(each["tables"]) for each in filled))


def template() -> Any:
    """The template of a page. Texts are escaped, and shown without control characters."""
    import jinja2
    from markupsafe import Markup

    def show(value: Any) -> Any:
        return printable(value, keep="\n\t") if isinstance(value, str) and not isinstance(value, Markup) else value

    options: dict[str, Any] = {"autoescape": True, "finalize": show, "trim_blocks": True, "lstrip_blocks": True}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, **options)
    return environment.from_string(resource("report/page.html"))


@cache
def resource(name: str) -> str:
    """A file of `sigdb/data`."""
    return (files("sigdb") / "data" / name).read_text(encoding="utf-8")


def script_hash(script: str) -> str:
    """The hash by which a policy of HTML allows a script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def table_for_template(table: pa.Table) -> dict[str, Any]:
    """A table as the template takes it: each value as text for people, and exact where that differs."""
    rows = table.to_pylist()
    numeric = {name for name in table.column_names if any(exact(row[name]) is not None for row in rows)}
    return {
        "names": table.column_names,
        "numeric": numeric,
        "rows": [[(shown(value), exact(value)) for value in row.values()] for row in rows],
    }


def shown(value: Any) -> str:
    """A value as text for people. A text keeps its lines, for the CSV; the template escapes its control characters."""
    return value if isinstance(value, str) else format_value(value)


def exact(value: Any) -> str | None:
    """A number as a machine reads it, where a reader gets it rounded; None for any other value."""
    return None if isinstance(value, bool) or not isinstance(value, int | float) else str(value)
