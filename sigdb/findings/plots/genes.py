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
    rank_by,
    specify,
    with_brackets,
)
from sigdb.findings.plots.theme import (
    ATTRIBUTION,
    CROSS,
    GREY,
    altair_module,
    by_place,
    heading,
    names_axis,
    tooltip,
    viridis,
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


def contributions(
    found: LeadingGenes, title: str = "Contributions to the score", n_groups: int = 30, n_genes: int = 40
) -> Any:
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


def contributions_spec(n_groups: int = 30, n_genes: int = 40) -> Any:
    """The chart of the statement `findings/leading_genes`.

    The data set `not_measured` has the rows of `findings/not_measured`, and `pair`: study and gene with a new line
    between them.
    """
    alt = altair_module()
    base = alt.Chart(width=alt.Step(22), height=alt.Step(20)).encode(
        y=alt.Y("group:N", sort=by_place(), title=None, axis=names_axis(400))
    )
    details = [tooltip("share", ".1%"), tooltip("contribution", ".3g"), tooltip("score_without", ".3g"), "rank:Q"]
    legend = {"format": ".0%", "orient": "top"}
    squares = base.mark_rect(stroke="white").encode(
        x=gene_axis(), color=viridis("colour", "share of score", legend=legend), tooltip=["group:N", "gene:N", *details]
    )
    right = alt.expr("width + 8")
    scores = base.transform_filter("datum.number === 1").mark_text(align="left", fontSize=11)
    scores = scores.encode(x=alt.value(right), text="score_text:N")
    limits = [Limit(GROUP, n_groups, "score"), Limit(["gene"], n_genes, "share", "sum", "genes")]
    about = About(LEADING, ["contribution", "score"], limits, whole=True)
    chart = alt.layer(squares, scores, heading("score", right), crosses(look_up_unmeasured(base)))
    chart = name_group(keep_numbers(chart, about)).transform_calculate(
        group="datum.name + ', ' + datum.study",
        share="isValid(datum.share) ? datum.share : 0",
        colour="clamp(datum.share, -1, 1)",  # positive and negative terms may leave a score of nearly 0
        score_text="format(datum.score, '.3~g')",
    )
    chart = keep_first(rank_by(chart, "group", "score", "place"), "place", n_groups)
    return specify(number_rows(keep_largest_genes(chart, "colour", n_genes), "group"), about)


def look_up_unmeasured(chart: Any) -> Any:
    """The pairs of a group and one of the genes in the chart that the study of the group did not measure."""
    alt = altair_module()
    measured = alt.LookupData(data=named_data("not_measured"), key="pair", fields=["gene"])
    pairs = chart.transform_impute("share", key="gene", groupby=["group", "study", "place"], value=None)
    pairs = pairs.transform_calculate(pair="datum.study + '\\n' + datum.gene")
    pairs = pairs.transform_lookup("pair", from_=measured, **{"as": ["unmeasured"]})
    return pairs.transform_filter("isValid(datum.unmeasured)")


def gene_axis() -> Any:
    """Genes from left to right, those of the largest sum first."""
    return altair_module().X("gene:N", title=None, sort=by_place("gene_place"), axis=names_axis(120, labelAngle=-60))


def crosses(chart: Any) -> Any:
    """A layer with a cross for each gene and group that was not measured."""
    return chart.mark_text(text=CROSS, color=GREY, fontSize=12).encode(x=gene_axis(), tooltip=["group:N", "gene:N"])


def keep_largest_genes(chart: Any, column: str, n: int) -> Any:
    """The rows of the n genes of largest sum, with the place of the gene."""
    chart = chart.transform_calculate(size=f"abs(datum.{column})")
    return keep_first(rank_by(chart, "gene", "size", "gene_place", "sum"), "gene_place", n)


def dots(found: Answer, title: str = "Genes of the signature", n_groups: int = 40, n_genes: int = 60) -> Any:
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


def dots_spec(n_groups: int = 40, n_genes: int = 60) -> Any:
    """The chart of the statement `findings/gene_dots`."""
    alt = altair_module()
    fractions = alt.Legend(
        format=".0%", values=[0.1, 0.5, 1], orient="top", symbolFillColor=GREY, symbolStrokeColor=GREY
    )
    area = alt.Scale(domain=[0, 1], range=[0, 260])
    base = alt.Chart(width=alt.Step(22), height=alt.Step(20)).encode(
        y=alt.Y("group:N", title=None, sort=by_place(), axis=names_axis())
    )
    circles = base.mark_circle(opacity=1).encode(
        x=gene_axis(),
        size=alt.Size("fraction_nonzero:Q", title="cells with the gene", scale=area, legend=fractions),
        color=viridis("score", "mean attribution", length=90, legend={"orient": "top"}, type="sqrt"),
        tooltip=["group:N", "gene:N", tooltip("score", ".3g"), tooltip("fraction_nonzero", ".0%")],
    )
    unmeasured = base.transform_filter("datum.n_cells_measured === 0")
    limits = [Limit(["label"], n_groups, "score", "sum"), Limit(["gene"], n_genes, "score", "sum", "genes")]
    about = About(DOTS, ["score", "fraction_nonzero"], limits)
    chart = keep_numbers(alt.layer(circles, crosses(unmeasured)), about)
    chart = chart.transform_calculate(group=with_brackets("label", "n_cells"))
    chart = keep_first(rank_by(chart, "group", "score", "place", "sum"), "place", n_groups)
    return specify(keep_largest_genes(chart, "score", n_genes), about)
