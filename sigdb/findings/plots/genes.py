"""Charts of the genes of a signature by group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigdb.findings.plots.theme import (
    ATTRIBUTION,
    CROSS,
    GREY,
    altair_module,
    describe_groups,
    finish,
    heading,
    keep_finite,
    keep_highest,
    mark_first,
    names_axis,
    tooltip,
    viridis,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigdb.answers import Answer
    from sigdb.findings.leading import LeadingGenes

__all__ = ["contributions", "dots"]


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
    alt = altair_module()
    rows, lost = keep_finite(found.table.to_pylist(), "contribution", "score")
    values = [
        {**row, "group": f"{name}, {row['study']}", "share": row["share"] or 0}
        for row, name in zip(rows, describe_groups(rows), strict=True)
    ]
    values, groups, fewer_groups = keep_highest(values, "group", "score", n_groups)
    values, genes, fewer_genes = keep_largest_genes(values, "share", n_genes)
    values = [{**row, "score_text": f"{row['score']:.3g}".replace("-", "\u2212")} for row in mark_first(values)]
    unmeasured = not_measured_in(values, genes, found)
    y = alt.Y("group:N", sort=groups, title=None, axis=names_axis(400))
    base = alt.Chart(width=alt.Step(22), height=alt.Step(20)).encode(y=y)
    x = gene_axis(genes)
    details = [tooltip("share", ".1%"), tooltip("contribution", ".3g"), tooltip("score_without", ".3g"), "rank:Q"]
    legend = {"format": ".0%", "offset": 60}
    squares = base.mark_rect(stroke="white").encode(
        x=x, color=viridis("share", "share of score", legend=legend), tooltip=["group:N", "gene:N", *details]
    )
    scores = base.transform_filter("datum.is_first").mark_text(align="left", fontSize=11)
    right = alt.expr("width + 8")
    scores = scores.encode(x=alt.value(right), text="score_text:N")
    lines = [
        f"Share of each gene in the mean score of the group. Score: {ATTRIBUTION}, all genes together.",
        f"Blank: not among the leading genes of the group.{about(unmeasured)} In brackets: cells.",
    ]
    layers = [squares, scores, heading("score", right), *crosses(base.encode(x=x), unmeasured)]
    layers = alt.layer(*layers, data=alt.Data(values=values))
    return finish(layers, found, title, lines, [*fewer_groups, *fewer_genes, *lost], drawn=values)


def not_measured_in(
    values: Sequence[dict[str, Any]], genes: Sequence[str], found: LeadingGenes
) -> list[dict[str, str]]:
    """The pairs of a group and one of the genes that the study of the group did not measure."""
    pairs = {(row["study"], row["gene"]) for row in found.not_measured.to_pylist()}
    studies = {row["group"]: row["study"] for row in values}
    return [
        {"group": group, "gene": gene} for group, study in studies.items() for gene in genes if (study, gene) in pairs
    ]


def gene_axis(genes: Sequence[str]) -> Any:
    """Genes from left to right, in this order."""
    return altair_module().X("gene:N", title=None, sort=genes, axis=names_axis(120, labelAngle=-60))


def crosses(base: Any, unmeasured: Sequence[dict[str, Any]]) -> list[Any]:
    """A layer with a cross for each gene and group of `unmeasured`; no layer if there is none."""
    if not unmeasured:
        return []
    alt = altair_module()
    marks = base.properties(data=alt.Data(values=list(unmeasured))).mark_text(text=CROSS, color=GREY, fontSize=12)
    return [marks.encode(tooltip=["group:N", "gene:N"])]


def about(unmeasured: Sequence[dict[str, Any]]) -> str:
    """What a cross means, if there is one."""
    return " Cross: the gene was not measured in the group." if unmeasured else ""


def keep_largest_genes(
    values: list[dict[str, Any]], column: str, n: int
) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """The rows of the n genes of largest sum, their names, and a line if there are more."""
    sums: dict[str, float] = {}
    for row in values:
        sums[row["gene"]] = sums.get(row["gene"], 0) + abs(row[column])
    ranked = [{**row, "sum": sums[row["gene"]]} for row in values]
    return keep_highest(ranked, "gene", "sum", n, "genes")


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
    alt = altair_module()
    rows, lost = keep_finite(found.table.to_pylist(), "score", "fraction_nonzero")
    totals: dict[str | None, float] = {}
    for row in rows:
        totals[row["label"]] = totals.get(row["label"], 0) + row["score"]
    values = [
        {**row, "group": f"{row['label'] or '(none)'}  ({row['n_cells']:,})", "total": totals[row["label"]]}
        for row in rows
    ]
    values, groups, fewer_groups = keep_highest(values, "group", "total", n_groups)
    values, genes, fewer_genes = keep_largest_genes(values, "score", n_genes)
    fractions = alt.Legend(format=".0%", values=[0.1, 0.5, 1], symbolFillColor=GREY, symbolStrokeColor=GREY)
    area = alt.Scale(domain=[0, 1], range=[0, 260])
    base = alt.Chart(width=alt.Step(22), height=alt.Step(20)).encode(
        x=gene_axis(genes),
        y=alt.Y("group:N", title=None, sort=groups, axis=names_axis()),
    )
    circles = base.mark_circle(opacity=1).encode(
        size=alt.Size("fraction_nonzero:Q", title="cells with the gene", scale=area, legend=fractions),
        color=viridis("score", "mean attribution", length=90, type="sqrt"),
        tooltip=["group:N", "gene:N", tooltip("score", ".3g"), tooltip("fraction_nonzero", ".0%")],
    )
    unmeasured = [row for row in values if row["n_cells_measured"] == 0]
    legend = (
        f"Mean attribution in thousandths of a cell, on a square-root scale.{about(unmeasured)} In brackets: cells."
    )
    chart = alt.layer(circles, *crosses(base, unmeasured), data=alt.Data(values=values))
    return finish(chart, found, title, [legend], [*fewer_groups, *fewer_genes, *lost], drawn=values)
