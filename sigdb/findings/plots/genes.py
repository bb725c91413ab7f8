"""Charts of the genes of a signature by group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigdb.findings.columns import GROUP
from sigdb.findings.plots.spec import (
    About,
    Limit,
    draw,
    keep_first,
    keep_numbers,
    name_group,
    named_data,
    number_rows,
    specify,
    with_brackets,
)
from sigdb.findings.plots.theme import (
    ATTRIBUTION,
    CROSS,
    GREY,
    Spec,
    by_place,
    calculate,
    column,
    columns,
    heading,
    keep,
    names_axis,
    tooltip,
    viridis,
    with_altair,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sigdb.answers import Answer
    from sigdb.findings.leading import LeadingGenes

__all__ = ["contributions", "contributions_spec", "dots", "dots_spec"]

LEADING = [
    f"Share of each gene in the mean score of the group. Score: {ATTRIBUTION}, all genes together.",
    "Blank: not among the leading genes of the group. Cross: the gene was not measured in the group. "
    "Colours end at 100 %. "
    "In brackets: cells.",
]
DOTS = [
    "Mean attribution in thousandths of a cell, on a square-root scale. Cross: the gene was not measured in the group. "
    "In brackets: cells."
]


@with_altair
def contributions(
    found: LeadingGenes, title: str = "Contributions to the score", n_groups: int = 30, n_genes: int = 40
) -> Spec:
    """Draw which genes make the score of each group: a heat map of genes by groups, the highest score on top.

    The colour is a gene's share of the score of its group. Scores stand at the right. A cross is a gene that the study
    of the group did not measure.

    Parameters
    ----------
    found : LeadingGenes
        The result of `sigdb.leading_genes`.
    title : str
        The title of the chart.
    n_groups, n_genes : int
        The most groups, and the most genes, to show.

    Returns
    -------
    altair.LayerChart
        One square per gene and group.

    Examples
    --------
    >>> type(sigdb.plots.contributions(sigdb.leading_genes(con, ["LYZ", "CD14"]))).__name__
    'LayerChart'
    """
    unmeasured = [{**row, "pair": pair_of(row)} for row in found.not_measured.to_pylist()]
    return draw(contributions_spec(n_groups, n_genes), found, title, not_measured=unmeasured)


def pair_of(row: Mapping[str, Any]) -> str:
    """A study and a gene as one key, as the specification makes it."""
    return f"{row['study']}\n{row['gene']}"


def contributions_spec(n_groups: int = 30, n_genes: int = 40) -> Spec:
    """The chart of the statement `findings/leading_genes`.

    The data set `not_measured` has the rows of `findings/not_measured`, and `pair`: study and gene with a new line
    between them.
    """
    y = column("group:N", sort=by_place(), title=None, axis=names_axis(400))
    numbers = [tooltip("share", ".1%"), tooltip("contribution", ".3g"), tooltip("score_without", ".3g")]
    squares = {
        "mark": {"type": "rect", "stroke": "white"},
        "encoding": {
            "x": gene_axis(),
            "y": y,
            "color": viridis("colour", "share of score", legend={"format": ".0%", "orient": "top"}),
            "tooltip": [*columns("group:N", "gene:N"), *numbers, column("rank:Q")],
        },
    }
    right = {"expr": "width + 8"}
    scores = {
        "mark": {"type": "text", "align": "left", "fontSize": 11},
        "encoding": {"x": {"value": right}, "y": y, "text": column("score_text:N")},
        "transform": keep("datum.number === 1"),
    }
    limits = [Limit(GROUP, n_groups, "score"), Limit(["gene"], n_genes, "share", "sum", "genes")]
    about = About(LEADING, ["contribution", "score"], limits, whole=True)
    transform = [
        *keep_numbers(about),
        *name_group(),
        *calculate(
            group="datum.name + ', ' + datum.study",
            share="isValid(datum.share) ? datum.share : 0",
            colour="clamp(datum.share, -1, 1)",  # positive and negative terms may leave a score of nearly 0
            score_text="format(datum.score, '.3~g')",
        ),
        *keep_first("group", "score", "place", n_groups),
        *keep_largest_genes("colour", n_genes),
        number_rows("group"),
    ]
    layers = [squares, scores, heading("score", right), crosses(y, look_up_unmeasured())]
    return specify({"layer": layers, "width": {"step": 22}, "height": {"step": 20}, "transform": transform}, about)


def look_up_unmeasured() -> list[Spec]:
    """Keep the pairs of a group and one of the genes in the chart that the study of the group did not measure."""
    measured = {"data": named_data("not_measured"), "key": "pair", "fields": ["gene"]}
    return [
        {"impute": "share", "key": "gene", "groupby": ["group", "study", "place"], "value": None},
        *calculate(pair="datum.study + '\\n' + datum.gene"),
        {"lookup": "pair", "from": measured, "as": ["unmeasured"]},
        *keep("isValid(datum.unmeasured)"),
    ]


def gene_axis() -> Spec:
    """Genes from left to right, those of the largest sum first."""
    return column("gene:N", title=None, sort=by_place("gene_place"), axis=names_axis(120, labelAngle=-60))


def crosses(y: Spec, unmeasured: list[Spec]) -> Spec:
    """A layer with a cross for each gene and group that was not measured."""
    return {
        "mark": {"type": "text", "text": CROSS, "color": GREY, "fontSize": 12},
        "encoding": {"x": gene_axis(), "y": y, "tooltip": columns("group:N", "gene:N")},
        "transform": unmeasured,
    }


def keep_largest_genes(name: str, n: int) -> list[Spec]:
    """Keep the rows of the n genes whose sum of a column is largest, with the place of the gene."""
    return [*calculate(size=f"abs(datum.{name})"), *keep_first("gene", "size", "gene_place", n, "sum")]


@with_altair
def dots(found: Answer, title: str = "Genes of the signature", n_groups: int = 40, n_genes: int = 60) -> Spec:
    """Draw a dot plot, gene by group: the area is the fraction of cells with the gene, the colour its attribution.

    A cross is a gene that was measured in no cell of the group.

    Parameters
    ----------
    found : Answer
        The result of `sigdb.gene_dots`.
    title : str
        The title of the chart.
    n_groups, n_genes : int
        The most groups, and the most genes, to show.

    Returns
    -------
    altair.LayerChart
        One dot per gene and group. Dark means high.

    Examples
    --------
    >>> type(sigdb.plots.dots(sigdb.gene_dots(con, ["LYZ", "CD14"]))).__name__
    'LayerChart'
    """
    return draw(dots_spec(n_groups, n_genes), found, title)


def dots_spec(n_groups: int = 40, n_genes: int = 60) -> Spec:
    """The chart of the statement `findings/gene_dots`."""
    y = column("group:N", title=None, sort=by_place(), axis=names_axis())
    fractions = {"format": ".0%", "values": [0.1, 0.5, 1], "orient": "top"}
    fractions |= {"symbolFillColor": GREY, "symbolStrokeColor": GREY}
    area = {"domain": [0, 1], "range": [0, 260]}
    numbers = [tooltip("score", ".3g"), tooltip("fraction_nonzero", ".0%")]
    circles = {
        "mark": {"type": "circle", "opacity": 1},
        "encoding": {
            "x": gene_axis(),
            "y": y,
            "size": column("fraction_nonzero:Q", title="cells with the gene", scale=area, legend=fractions),
            "color": viridis("score", "mean attribution", length=90, legend={"orient": "top"}, type="sqrt"),
            "tooltip": [*columns("group:N", "gene:N"), *numbers],
        },
    }
    limits = [Limit(["label"], n_groups, "score", "sum"), Limit(["gene"], n_genes, "score", "sum", "genes")]
    about = About(DOTS, ["score", "fraction_nonzero"], limits)
    transform = [
        *keep_numbers(about),
        *calculate(group=with_brackets("label", "n_cells")),
        *keep_first("group", "score", "place", n_groups, "sum"),
        *keep_largest_genes("score", n_genes),
    ]
    layers = [circles, crosses(y, keep("datum.n_cells_measured === 0"))]
    return specify({"layer": layers, "width": {"step": 22}, "height": {"step": 20}, "transform": transform}, about)
