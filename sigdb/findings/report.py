"""`sigdb report`: one self-contained page about a signature. Whatever comes from data is escaped by the template."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from sigdb.errors import QueryError, needs_extra
from sigdb.findings import plots
from sigdb.findings.compare import compare
from sigdb.findings.groups import gene_dots, group_scores, score_bins
from sigdb.findings.hits import hits
from sigdb.findings.leading import leading_genes
from sigdb.findings.nulls import matched_null
from sigdb.scores.options import score_parameters
from sigdb.statements import ask, parse_statement

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

__all__ = ["Page", "write_report"]

ROWS = 200
# Vega, Vega-Lite and Vega-Embed, of the versions that Altair writes for.
BUNDLE = "window.vegaEmbed = vegaEmbed;"
ABOUT = (
    "Scores are attributions: how much the genes moved the model's embedding of a cell, in thousandths of all genes "
    "together. They are not expression. This page describes these cells, samples and donors; nothing in it is a cause."
)


@dataclass(frozen=True)
class Section:
    """A part of the page: what it says, a chart, a table, the SQL behind them."""

    title: str
    text: str
    table: pa.Table | None = None
    chart: Any = None
    sql: Sequence[str] = ()

    def shown(self) -> dict[str, Any]:
        """The section as the template takes it."""
        rows = [] if self.table is None else self.table.slice(0, ROWS).to_pylist()
        names = [] if self.table is None else self.table.column_names
        numbers = {name for name in names if any(isinstance(row[name], int | float) for row in rows)}
        return {
            "title": self.title, "text": self.text, "names": names, "numbers": numbers, "sql": list(self.sql),
            "chart": None if self.chart is None else self.chart.to_dict(),
            "rows": [[cell(row[name]) for name in names] for row in rows],
            "n_rows": 0 if self.table is None else self.table.num_rows,
        }  # fmt: skip


@dataclass(frozen=True)
class Page:
    """What was written."""

    path: Path
    n_charts: int
    n_tables: int


@dataclass(frozen=True)
class Subject:
    """What the page is about, and how it is cut."""

    genes: str | Sequence[str]
    title: str
    cells: str | None
    by: str
    reference: str | None
    paired_by: str | None
    percentile: float
    min_cells: int
    min_samples: int
    options: dict[str, Any] = field(default_factory=dict)


def write_report(
    con: duckdb.DuckDBPyConnection,
    genes: str | Sequence[str],
    path: str | os.PathLike[str],
    *,
    atlas: str = "the atlas",
    title: str | None = None,
    cells: str | None = None,
    by: str = "disease",
    reference: str | None = None,
    paired_by: str | None = None,
    percentile: float = 95,
    min_cells: int = 10,
    min_samples: int = 3,
    missing: str = "error",
    run: str | int | None = None,
) -> Page:
    """Write a page about a signature to `path` (.html), which needs no other file and no network.

    cells: a SQL condition on columns of the cube. reference: with it, groups of `by` are compared with it by donor.
    Other options are those of `hits`, `compare` and `matched_null`. Raises QueryError as they do, before it writes.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise QueryError(f"A report is an .html file, not {path.name!r}.")
    with needs_extra("plots"):
        import jinja2
        import vl_convert
        from markupsafe import Markup
    options = {"missing": missing, "run": run}
    name = title or (genes if isinstance(genes, str) else ", ".join(genes))
    subject = Subject(
        genes, name, cells, by, reference, paired_by, percentile, min_cells, min_samples, options
    )  # fmt: skip
    sections = [section.shown() for section in sections_of(con, subject)]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.globals["zip"] = zip
    template = environment.from_string((files("sigdb") / "data" / "report.html").read_text(encoding="utf-8"))
    chosen = f" Cells: {cells}." if cells else ""
    about = f"{atlas}, sigdb {version('sigdb-atlas')}, DuckDB {duckdb.__version__}.{chosen} {ABOUT}"
    # The bundle is vl-convert's own code, not data; a closing tag in it would end the script.
    javascript = Markup(vl_convert.javascript_bundle(BUNDLE).replace("</script", "<\\/script"))
    path.write_text(
        template.render(title=f"Signature {name}", about=about, sections=sections, javascript=javascript),
        encoding="utf-8",
    )
    return Page(path, sum(s["chart"] is not None for s in sections), sum(bool(s["rows"]) for s in sections))


def sections_of(con: duckdb.DuckDBPyConnection, subject: Subject) -> Iterator[Section]:
    """The sections of the page, in order."""
    parameters = score_parameters(con, subject.genes, **subject.options)
    coverage = ask(con, parse_statement("findings/coverage"), parameters)
    yield Section(
        "Coverage",
        "Not measured is not zero. Of the genes asked for, the model knows n_genes, and the study measured n_measured.",
        coverage.table, sql=[coverage.sql],
    )  # fmt: skip
    yield from scores(con, subject)
    yield from findings(con, subject)
    made = ask(con, parse_statement("findings/provenance"), parameters)
    yield Section("Provenance", "How the attributions were made.", upright(made.table), sql=[made.sql])


def scores(con: duckdb.DuckDBPyConnection, subject: Subject) -> Iterator[Section]:
    """Scores by group, their distribution, and the genes."""
    cut: dict[str, Any] = {"cells": subject.cells, "min_cells": subject.min_cells}
    means = group_scores(con, subject.genes, by=subject.by, **cut, **subject.options)
    title = f"Score by cell type and {subject.by}"
    text = (
        f"Groups of {subject.min_cells} cells or more. least_measured: genes measured by the study of least coverage."
    )
    yield Section(title, text, means.table, plots.heat_map(means, title), [means.sql])
    bins = score_bins(con, subject.genes, **cut, **subject.options)
    text = "The scores of single cells by cell type."
    yield Section("Distribution", text, None, plots.distributions(bins), [bins.sql])
    leading = leading_genes(con, subject.genes, n=8, min_cells=subject.min_cells, **subject.options)
    names = list(dict.fromkeys(leading.column("gene")))[:24]
    dots = gene_dots(con, names, **cut, run=subject.options["run"])
    text = "The genes that lead the score of the highest groups. A gene that a study did not measure counts as 0."
    yield Section("Genes", text, leading.table, plots.dots(dots), [leading.sql, dots.sql])


def findings(con: duckdb.DuckDBPyConnection, subject: Subject) -> Iterator[Section]:
    """Hits, the comparison of donors if a reference is given, and the null."""
    found = hits(
        con, subject.genes, cells=subject.cells, by=subject.by, percentile=subject.percentile,
        min_cells=subject.min_cells, min_samples=subject.min_samples, **subject.options,
    )  # fmt: skip
    chart = plots.hit_rates(found, f"Hits by {subject.by}") if found.samples.num_rows else None
    text = f"A hit is {found.rule}. Ranks are no test, and cohorts differ in more than {subject.by}."
    yield Section("Hits", text, found.answer.table, chart, [found.answer.sql])
    if subject.reference is not None:
        compared = compare(
            con, subject.genes, by=subject.by, reference=subject.reference, paired_by=subject.paired_by,
            cells=subject.cells, min_cells=subject.min_cells, min_units=subject.min_samples, **subject.options,
        )  # fmt: skip
        tested = any(row is not None for row in compared.table["hedges_g"].to_pylist())
        text = "Units are donors. q: Benjamini and Hochberg's, over these rows. " + left_out(compared.left_out)
        chart = plots.effects(compared, f"{subject.by} against {subject.reference}") if tested else None
        yield Section("Donors", text, compared.table, chart, [answer.sql for answer in compared.answers.values()])
    null = matched_null(con, subject.genes, min_cells=subject.min_cells, **subject.options)
    text = (
        "Is the score unusual for genes that matter about as much in that study? Over all cells of the atlas. Genes "
        "are what is random here: p says nothing about how sure cells or donors are."
    )
    yield Section("Against matched genes", text, null.table, plots.null_scores(null), [null.answer.sql])


def left_out(reasons: dict[str, int]) -> str:
    """Units that were not used, in words."""
    listed = ", ".join(f"{n} ({reason})" for reason, n in reasons.items())
    return f"Units left out: {listed}." if listed else "No unit was left out."


def upright(table: pa.Table) -> pa.Table:
    """A table of one row as one of two columns."""
    import pyarrow as pa

    row = table.to_pylist()[0]
    return pa.table({"what": list(row), "value": [cell(value) for value in row.values()]})


def cell(value: Any) -> str:
    """A value as the page shows it: four significant digits, thousands set apart."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        pairs = all(isinstance(each, tuple) for each in value)
        return ", ".join(" ".join(map(str, each)) if pairs else str(each) for each in value)
    return str(value)
