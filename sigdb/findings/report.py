"""A report on a signature: one self-contained HTML page. The template escapes everything that comes from data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from sigdb.answers import format_value
from sigdb.errors import QueryError, needs_extra
from sigdb.findings import plots
from sigdb.findings.compare import compare
from sigdb.findings.groups import gene_dots, group_scores, score_bins
from sigdb.findings.hits import hits
from sigdb.findings.leading import leading_genes
from sigdb.findings.nulls import matched_null
from sigdb.scores.members import name_of, reusable
from sigdb.scores.options import score_parameters
from sigdb.statements import ask, parse_statement

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from sigdb.findings.comparability import Finding
    from sigdb.scores.members import Genes

__all__ = ["Page", "Section", "check_is_page", "write_page", "write_report"]

ROWS = 200
# Vega, Vega-Lite and Vega-Embed, in the versions that Altair writes for.
BUNDLE = "window.vegaEmbed = vegaEmbed;"
ABOUT = (
    "Scores are attributions: how much the genes moved the model's embedding of a cell, in thousandths of all genes "
    "together. They are not expression. This page describes these cells, samples and donors. It does not show causes."
)


@dataclass(frozen=True)
class Section:
    """A part of the page: text, a chart, a table, and the SQL behind them."""

    title: str
    text: str
    table: pa.Table | None = None
    chart: Any = None
    sql: Sequence[str] = ()

    def for_template(self) -> dict[str, Any]:
        """The section as the template takes it."""
        rows = [] if self.table is None else self.table.slice(0, ROWS).to_pylist()
        names = [] if self.table is None else self.table.column_names
        return {
            "title": self.title,
            "text": self.text,
            "names": names,
            "numbers": {name for name in names if any(isinstance(row[name], int | float) for row in rows)},
            "sql": list(self.sql),
            "chart": None if self.chart is None else self.chart.to_dict(),
            "rows": [[format_value(row[name]) for name in names] for row in rows],
            "n_rows": 0 if self.table is None else self.table.num_rows,
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


@dataclass(frozen=True)
class Subject:
    """What the page is about, and the smallest groups it shows."""

    genes: Genes
    title: str
    cells: str | None
    by: str
    reference: str | None
    paired_by: str | None
    against: str
    percentile: float | None
    min_cells: int
    min_samples: int
    options: dict[str, Any] = field(default_factory=dict)


def write_report(
    con: duckdb.DuckDBPyConnection,
    genes: Genes,
    path: str | os.PathLike[str],
    *,
    atlas: str = "the atlas",
    title: str | None = None,
    cells: str | None = None,
    by: str = "disease",
    reference: str | None = None,
    paired_by: str | None = None,
    against: str = "controls",
    percentile: float | None = None,
    min_cells: int = 10,
    min_samples: int = 3,
    missing: str | None = None,
    run: str | int | None = None,
) -> Page:
    """Write a page about a signature: coverage, scores, hits, comparisons, nulls, SQL and provenance.

    The page needs no other file and no network.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    genes : str, Signature or list of str
        The name of a signature of the library, a `sigdb.Signature`, the name of a gene, or a list of genes.
    path : str or path-like
        The file to write, ending in .html.
    atlas : str
        The name of the atlas on the page.
    title : str, optional
        The name of the signature on the page. Default: its name, or its genes.
    cells : str, optional
        A SQL condition on the columns of the cube: use these cells only.
    by : str
        The column of the cube that groups the cells.
    reference : str, optional
        A value of `by`. If it is given, the other groups are compared with it, donor by donor.
    paired_by, against, percentile, min_cells, min_samples
        As for `sigdb.hits` and `sigdb.compare`.
    missing, run
        See `sigdb.ScoreOptions`.

    Returns
    -------
    Page
        The file, and how many charts and tables it has.

    Raises
    ------
    QueryError
        If the findings cannot be made. In that case, the file is not written.
    MissingDependencyError
        If the extras `plots` and `stats` are not installed.

    Examples
    --------
    >>> from sigdb.findings.report import write_report
    >>> page = write_report(con, "MS1", "ms1.html", by="study")
    >>> page.n_charts
    5
    """
    check_is_page(path)
    genes = reusable(genes)
    name = title or (", ".join(genes) if isinstance(genes, list) else str(name_of(genes)))
    options = {"missing": missing, "run": run}
    subject = Subject(
        genes, name, cells, by, reference, paired_by, against, percentile, min_cells, min_samples, options
    )
    chosen = f" Cells: {cells}." if cells else ""
    about = f"{atlas}, sigdb {version('sigdb-atlas')}, DuckDB {duckdb.__version__}.{chosen} {ABOUT}"
    return write_page(path, f"Signature {name}", about, sections_of(con, subject))


def check_is_page(path: str | os.PathLike[str]) -> None:
    """Raise an error if a path does not end in .html or has no folder, or if the extra `plots` is not installed."""
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise QueryError(f"A report is an .html file, not {Path(path).name!r}.")
    if not Path(path).parent.is_dir():
        raise QueryError(f"There is no folder {Path(path).parent} to write {Path(path).name} into.")
    with needs_extra("plots"):
        import jinja2  # noqa: F401
        import vl_convert  # noqa: F401


def write_page(path: str | os.PathLike[str], title: str, about: str, sections: Iterable[Section]) -> Page:
    """Write sections as one self-contained page."""
    check_is_page(path)
    import jinja2
    import vl_convert
    from markupsafe import Markup

    filled = [section.for_template() for section in sections]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.globals["zip"] = zip
    template = environment.from_string((files("sigdb") / "data" / "report.html").read_text(encoding="utf-8"))
    # The bundle is code of vl-convert, not data. A closing tag in it would end the script.
    javascript = Markup(vl_convert.javascript_bundle(BUNDLE).replace("</script", "<\\/script"))
    page = template.render(title=title, about=about, sections=filled, javascript=javascript)
    Path(path).write_text(page, encoding="utf-8")
    return Page(Path(path), sum(s["chart"] is not None for s in filled), sum(bool(s["rows"]) for s in filled))


def sections_of(con: duckdb.DuckDBPyConnection, subject: Subject) -> Iterator[Section]:
    """The sections of the page, in order."""
    parameters = score_parameters(con, subject.genes, **subject.options)
    coverage = ask(con, parse_statement("findings/coverage"), parameters)
    text = "n_asked: genes of the signature; n_genes: genes that the model knows; n_measured: genes that the study "
    text += "measured. A gene that was not measured counts as 0, which is not a measurement of 0."
    yield Section("Coverage", text, coverage.table, sql=[coverage.sql])
    yield from score_sections(con, subject)
    yield hit_section(con, subject)
    if subject.reference is not None:
        yield comparison_section(con, subject)
    yield null_section(con, subject)
    made = ask(con, parse_statement("findings/provenance"), parameters)
    yield Section("Provenance", "How the attributions were made.", transpose(made.table), sql=[made.sql])


def score_sections(con: duckdb.DuckDBPyConnection, subject: Subject) -> Iterator[Section]:
    """Scores by group, their distribution, and the genes."""
    cut: dict[str, Any] = {"cells": subject.cells, "min_cells": subject.min_cells}
    means = group_scores(con, subject.genes, by=subject.by, **cut, **subject.options)
    title = f"Score by cell type and {subject.by}"
    text = f"Groups of {subject.min_cells} cells or more. z compares each cell with matched control genes at the same "
    text += "depth; score does not. least_measured: the genes measured by the study of lowest coverage."
    yield Section(title, " ".join([text, *means.notes]), means.table, plots.heat_map(bare(means), title), [means.sql])
    bins = score_bins(con, subject.genes, **cut, **subject.options)
    text = "The scores of single cells by cell type, not calibrated: shallow cells and small panels score higher."
    yield Section("Distribution", text, None, plots.distributions(bare(bins)), [bins.sql])
    leading = leading_genes(con, subject.genes, n=8, min_cells=subject.min_cells, **subject.options)
    names = list(dict.fromkeys(leading.column("gene")))[:24]
    dots = gene_dots(con, names, **cut, run=subject.options["run"])
    text = "The leading genes of the groups with the highest scores. A gene that a study did not measure counts as 0."
    yield Section(
        "Genes", " ".join([text, *leading.notes]), leading.table, plots.dots(bare(dots)), [leading.sql, dots.sql]
    )


def hit_section(con: duckdb.DuckDBPyConnection, subject: Subject) -> Section:
    """The samples by their hit rates."""
    found = hits(
        con,
        subject.genes,
        cells=subject.cells,
        by=subject.by,
        against=subject.against,
        percentile=subject.percentile,
        min_cells=subject.min_cells,
        min_samples=subject.min_samples,
        **subject.options,
    )
    chart = plots.hit_rates(bare(found), f"Hits by {subject.by}") if found.samples.num_rows else None
    caution = f"Ranks are not a test, and cohorts differ in more than {subject.by}."
    return Section("Hits", " ".join([*found.notes, caution]), found.all_samples, chart, [found.sql])


def comparison_section(con: duckdb.DuckDBPyConnection, subject: Subject) -> Section:
    """Donors of each group beside donors of the reference."""
    found = compare(
        con,
        subject.genes,
        by=subject.by,
        reference=str(subject.reference),
        paired_by=subject.paired_by,
        cells=subject.cells,
        min_cells=subject.min_cells,
        min_units=subject.min_samples,
        **subject.options,
    )
    tested = any(g is not None for g in found.column("hedges_g"))
    chart = plots.effects(bare(found), f"{subject.by} against {subject.reference}") if tested else None
    text = "The units are donors. q values are adjusted over these rows (Benjamini and Hochberg)."
    left_out = found.notes or ("No unit was left out.",)
    sql = [each.sql for each in found.units.values()]
    return Section("Donors", " ".join([text, *left_out]), found.table, chart, sql)


def null_section(con: duckdb.DuckDBPyConnection, subject: Subject) -> Section:
    """The scores beside the scores of random sets of matched genes."""
    found = matched_null(con, subject.genes, min_cells=subject.min_cells, **subject.options)
    text = "Is the score higher than for random genes with similar attributions in that study? All cells of the atlas "
    text += "count."
    text = " ".join([text, *found.notes])
    return Section("Against matched genes", text, found.table, plots.null_scores(bare(found)), [found.sql])


def bare(found: Finding) -> Finding:
    """A finding without notes, for its chart: the text of the section has them."""
    return replace(found, notes=())


def transpose(table: pa.Table) -> pa.Table:
    """A table of one row as a table of two columns."""
    row = table.to_pylist()[0]
    return pa.table({"what": list(row), "value": [format_value(value) for value in row.values()]})
