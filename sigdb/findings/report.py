"""A report on a signature: what the findings say, their charts, tables and SQL, as one self-contained HTML page."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from inspect import unwrap
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from sigdb.findings import plots, summary
from sigdb.findings.columns import choose_groups, chooses_groups
from sigdb.findings.compare import compare
from sigdb.findings.groups import embedding, embeddings_of, gene_dots, group_scores, score_bins
from sigdb.findings.hits import CutOff, hits
from sigdb.findings.leading import LeadingGenes, leading_genes
from sigdb.findings.nulls import matched_null
from sigdb.findings.page import Page, Section, check_is_page, write_page
from sigdb.scores.members import name_of, reusable
from sigdb.scores.names import gene_notes
from sigdb.scores.options import score_parameters
from sigdb.statements import ask, parse_statement
from sigdb.text import format_value

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from sigdb.answers import Answer
    from sigdb.findings.comparability import Finding
    from sigdb.findings.compare import Comparison
    from sigdb.findings.hits import Hits
    from sigdb.findings.nulls import Null
    from sigdb.scores.members import Genes

__all__ = ["write_report"]

ABOUT = (
    "Scores are attributions: how much the genes moved the model's embedding of a cell, in thousandths of all genes "
    "together. They are not expression. This page describes these cells, samples and donors. It does not show causes."
)
# Leading genes of a group, genes in the chart of genes, and cells of a study that the embedding shows one by one.
LEADING, DOTS, POINTS = 8, 24, 2000


@dataclass(frozen=True)
class Subject:
    """What the page is about, and the smallest groups that it shows."""

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

    @property
    def cut(self) -> dict[str, Any]:
        """The choice of cells, and the size of the smallest groups."""
        return {"cells": self.cells, "min_cells": self.min_cells}

    @property
    def whole_groups(self) -> dict[str, Any]:
        """The same for findings that choose whole groups of cells: all groups, if the condition divides groups."""
        return {
            "groups": self.cells if self.cells and chooses_groups(self.cells) else None,
            "min_cells": self.min_cells,
        }

    @property
    def population(self) -> str:
        """The cells that count in the findings on whole groups."""
        if self.cells is None:
            return "All cells of the atlas count."
        if chooses_groups(self.cells):
            return "The chosen cells count."
        return (
            "All cells of the atlas count, not only the chosen ones: "
            "the condition names other columns than study, tissue, disease and cell_type."
        )

    def settings(self) -> pa.Table:
        """What the page was asked for, as a table."""
        given = {name: value for name, value in asdict(self).items() if name not in ("title", "options")} | self.options
        return two_columns({name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class Findings:
    """All that the page shows, each asked once."""

    hits: Hits
    scores: Answer
    bins: Answer
    comparison: Comparison | None
    null: Null
    leading: LeadingGenes
    dots: Answer | None
    embedding: Answer | None
    coverage: Answer
    missing: Answer
    provenance: Answer


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
    """Write a page about a signature: what was found in a few sentences, then charts, tables, SQL and provenance.

    The page needs no other file and no network. Its tables can be sorted, and downloaded as CSV with all rows.

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
        A SQL condition on the columns of the cube: use these cells only. If it names other columns than study, tissue,
        disease and cell_type, the leading genes and the matched genes are of all cells, and the page says so.
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
    found = find_all(con, subject)
    about = f"{atlas}. Cells: {cells}." if cells else f"{atlas}."
    coverage = summary.coverage_sentence(found.coverage.table, found.missing.table)
    return write_page(
        path,
        f"Signature {name}",
        about,
        list(sections_of(found, subject)),
        answer_of(found, subject),
        [coverage, *summary.cautions_of([found.hits, found.scores]), ABOUT],
    )


def find_all(con: duckdb.DuckDBPyConnection, subject: Subject) -> Findings:
    """Ask for everything that the page shows. The page is not written if one of them fails."""
    genes, options, by, cut = subject.genes, subject.options, subject.by, subject.cut
    parameters = score_parameters(con, genes, **options)
    comparison = compare_groups(con, subject)  # the first, because it has most reasons to fail
    rule: dict[str, Any] = {"against": subject.against, "percentile": subject.percentile}
    leading = leading_genes(con, genes, n=LEADING, **subject.whole_groups, **options)
    leaders = list(dict.fromkeys(leading.column("gene")))[:DOTS]
    basis = next(iter(embeddings_of(con)), None)
    found: dict[str, Any] = {
        "hits": hits(con, genes, by=by, min_samples=subject.min_samples, **rule, **cut, **options),
        "scores": group_scores(con, genes, by=by, **rule, **cut, **options),
        "bins": score_bins(con, genes, **cut, **options),
        "comparison": comparison,
        "null": matched_null(con, genes, **subject.whole_groups, **options),
        "leading": leading,
        "dots": gene_dots(con, leaders, **cut, run=options["run"]) if leaders else None,
        "embedding": embedding(con, genes, basis=basis, cells=subject.cells, max_points=POINTS, **options)
        if basis
        else None,
    }
    coverage, missing, provenance = (
        ask(con, choose_groups(parse_statement(f"findings/{query}"), subject.cells or "true"), parameters)
        for query in ("coverage", "missing_genes", "provenance")
    )
    # What is to know about the genes is said once, beside the coverage.
    names = gene_notes(con, parameters["genes"], run=options["run"])
    rest = {name: each and without_notes(each, names) for name, each in found.items()}
    return Findings(**rest, coverage=replace(coverage, notes=names), missing=missing, provenance=provenance)


def compare_groups(con: duckdb.DuckDBPyConnection, subject: Subject) -> Comparison | None:
    """The comparison with the reference; None without a reference."""
    if subject.reference is None:
        return None
    return compare(
        con,
        subject.genes,
        by=subject.by,
        reference=subject.reference,
        paired_by=subject.paired_by,
        min_units=subject.min_samples,
        **subject.cut,
        **subject.options,
    )


def without_notes(found: Finding, notes: Sequence[str]) -> Finding:
    """A finding without some of its notes."""
    return replace(found, notes=tuple(note for note in found.notes if note not in notes))


def answer_of(found: Findings, subject: Subject) -> list[str]:
    """The sentences that the page opens with."""
    return [
        summary.groups_sentence(found.scores, subject.min_cells, CutOff(subject.against, subject.percentile))
        + " "
        + summary.samples_sentence(found.hits, subject.min_cells, subject.min_samples),
        summary.comparison_sentence(found.comparison, subject.by),
    ]


def sections_of(found: Findings, subject: Subject) -> Iterator[Section]:
    """The sections of the page, in order."""
    yield hit_section(found.hits, subject)
    yield from score_sections(found, subject)
    if found.comparison is not None:
        yield comparison_section(found.comparison, subject)
    yield null_section(found.null, subject)
    yield gene_section(found, subject)
    if found.embedding is not None:
        text = "Each cell, or the mean of the cells of a square, in the embedding that came with its study."
        charts = drawn("Embedding", found.embedding, plots.embedding)
        yield Section("Embedding", text, found.embedding.notes, charts, sql=[found.embedding.sql])
    yield coverage_section(found, subject)
    tables = {"How the attributions were made": two_columns(found.provenance.table.to_pylist()[0])}
    text = "The run that made the attributions, and what this page was asked for. The page was written by "
    text += f"sigdb {version('sigdb-atlas')} with DuckDB {duckdb.__version__}."
    yield Section(
        "Provenance", text, tables=tables | {"Settings of this page": subject.settings()}, sql=[found.provenance.sql]
    )


def drawn(title: str, found: Finding, chart: Callable[[Any, str], Any]) -> dict[str, Any]:
    """The chart of a finding by its title; no chart if there are no rows. The text of the section has the notes.

    The chart is its specification: Altair would take time to read it.
    """
    if not found.table.num_rows:
        return {}
    return {title: unwrap(chart)(without_notes(found, found.notes), title)}


def hit_section(found: Hits, subject: Subject) -> Section:
    """The samples by their hit rates."""
    text = f"Samples of {subject.min_cells} cells or more, and the part of their cells that are hits. A rank is not a "
    text += f"test, and cohorts differ in more than {subject.by}."
    charts = drawn(f"Hits by {subject.by}", found, plots.hit_rates)
    return Section(
        "Hits", text, found.notes, charts, {"Groups": found.table, "Samples": found.all_samples}, [found.sql]
    )


def score_sections(found: Findings, subject: Subject) -> Iterator[Section]:
    """Scores by group, and their distribution."""
    title = f"Score by cell type and {subject.by}"
    compared = "matched control genes at the same depth" if subject.against == "controls" else "all cells of this page"
    text = (
        f"Groups of {subject.min_cells} cells or more. z and hits compare each cell with {compared}; score does not. "
    )
    text += "least_measured: the genes measured by the study of lowest coverage."
    scores = found.scores
    charts = drawn(title, scores, plots.heat_map)
    yield Section(title, text, scores.notes, charts, {title: scores.table}, [scores.sql])
    title = "Distribution of scores"
    text = "The scores of single cells by cell type, not calibrated: shallow cells and small panels score higher."
    notes = [note for note in found.bins.notes if note not in scores.notes]
    yield Section(title, text, notes, drawn(title, found.bins, plots.distributions), sql=[found.bins.sql])


def comparison_section(found: Comparison, subject: Subject) -> Section:
    """Donors of each group beside donors of the reference."""
    title = f"{subject.by} against {subject.reference}"
    tested = any(g is not None for g in found.column("hedges_g"))
    text = "The units are donors. q values are adjusted over these rows (Benjamini and Hochberg)."
    notes = found.notes or ("No unit was left out.",)
    charts = drawn(title, found, plots.effects) if tested else {}
    sql = [each.sql for each in found.units.values()]
    return Section("Donors", text, notes, charts, {title: found.table}, sql)


def null_section(found: Null, subject: Subject) -> Section:
    """The scores beside the scores of random sets of matched genes."""
    title = "Against matched genes"
    text = f"{summary.null_sentence(found)} {subject.population}"
    return Section(title, text, found.notes, drawn(title, found, plots.null_scores), {title: found.table}, [found.sql])


def gene_section(found: Findings, subject: Subject) -> Section:
    """The genes that contribute most."""
    text = "The leading genes of the groups with the highest scores. A gene that a study did not measure counts as 0. "
    text += subject.population
    charts = {} if found.dots is None else drawn("Leading genes by cell type", found.dots, plots.dots)
    sql = [found.leading.sql, *([] if found.dots is None else [found.dots.sql])]
    return Section("Leading genes", text, found.leading.notes, charts, {"Leading genes": found.leading.table}, sql)


def coverage_section(found: Findings, subject: Subject) -> Section:
    """What the studies measured of the signature, and the missing genes by name."""
    text = "n_asked: genes of the signature; n_genes: genes that the model knows; n_measured: genes that the study "
    text += "measured. A gene that was not measured counts as 0, which is not a measurement of 0."
    text += " The studies of the chosen cells, each with all its cells and samples." if subject.cells else ""
    tables = {"Coverage by study": found.coverage.table, "Missing genes": found.missing.table}
    return Section("Coverage", text, found.coverage.notes, tables=tables, sql=[found.coverage.sql, found.missing.sql])


def two_columns(row: dict[str, Any]) -> pa.Table:
    """A table of names and values."""
    return pa.table({"what": list(row), "value": [format_value(value) for value in row.values()]})
