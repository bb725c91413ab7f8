"""Charts of groups of cells and samples."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sigdb.findings.plots.theme import (
    ATTRIBUTION,
    GREY,
    PALETTE,
    altair_module,
    finish,
    keep_highest,
    tooltip,
    viridis,
)

if TYPE_CHECKING:
    from sigdb.answers import Answer
    from sigdb.findings.hits import Hits

__all__ = ["distributions", "dots", "embedding", "heat_map", "hit_rates"]


def hit_rates(found: Hits, title: str = "Hits") -> Any:
    """Draw hit rates by group: a box plot per group and a point per sample, the best group on top.

    Parameters
    ----------
    found : Hits
        The result of `sigdb.hits`.
    title : str
        The title of the chart.

    Returns
    -------
    altair.LayerChart
        Boxes with whiskers of 1.5 interquartile ranges, and points.

    Examples
    --------
    >>> found = sigdb.hits(con, "MS1", by="study", percentile=80, min_cells=3, min_samples=1, missing="ignore")
    >>> type(sigdb.plots.hit_rates(found)).__name__
    'LayerChart'
    """
    alt = altair_module()
    labels = {row["label"]: f"{row['label']}  ({row['n_samples']})" for row in found.table.to_pylist()}
    values = [
        {**row, "group": labels[row["label"]], "jitter": (number * 0.618034 % 1) * 2 - 1}
        for number, row in enumerate(found.samples.to_pylist())
    ]
    order = list(labels.values())
    y = alt.Y("group:N", sort=order, title=f"{found.by} (samples)", scale=alt.Scale(domain=order))
    x = alt.X("hit_rate:Q", title="hits, % of a sample's cells", axis=alt.Axis(format=".0%"))
    base = alt.Chart(alt.Data(values=values), width=420, height=alt.Step(34))
    box = base.mark_boxplot(
        size=18, outliers=False, color=PALETTE[4], opacity=0.6, median={"color": "#222", "thickness": 2}
    ).encode(x=x, y=y)
    points = base.mark_circle(size=34, color=PALETTE[0], opacity=0.85, stroke="white", strokeWidth=0.5).encode(
        x=x,
        y=y,
        yOffset=alt.YOffset("jitter:Q", scale=alt.Scale(domain=[-1.6, 1.6])),
        tooltip=["study:N", "sample:N", "n_cells:Q", "n_hits:Q", tooltip("hit_rate", ".1%")],
    )
    return finish(alt.layer(box, points), found, title, [*found.notes, "Each point is a sample."])


def heat_map(found: Answer, title: str = "Score by cell type and disease", n_groups: int = 40) -> Any:
    """Draw the mean z by cell type (rows) and label (columns), with the number of samples and cells in each.

    Without calibration, the mean score is drawn.

    Parameters
    ----------
    found : Answer
        The result of `sigdb.group_scores`.
    title : str
        The title of the chart.
    n_groups : int
        The most cell types to show.

    Returns
    -------
    altair.LayerChart
        Coloured squares with text.

    Examples
    --------
    >>> type(sigdb.plots.heat_map(sigdb.group_scores(con, ["LYZ", "CD14"]))).__name__
    'LayerChart'
    """
    alt = altair_module()
    measure, name, legend = "score", "mean score", f"Mean score ({ATTRIBUTION})"
    if "z" in found.table.column_names:
        measure, name, legend = (
            "z",
            "mean z",
            "Mean z: standard deviations above matched control genes at the same depth",
        )
    values = [
        {**row, "cell_type": row["cell_type"] or "(none)", "label": row["label"] or "(none)"}
        for row in found.table.to_pylist()
        if row[measure] is not None
    ]
    values, note = keep_highest(values, "cell_type", measure, n_groups)
    middle = (max(row[measure] for row in values) + min(row[measure] for row in values)) / 2 if values else 0
    base = alt.Chart(alt.Data(values=values), width=alt.Step(86), height=alt.Step(30)).encode(
        x=alt.X("label:N", title=None, axis=alt.Axis(orient="top", labelAngle=-30)),
        y=alt.Y("cell_type:N", title=None, sort=alt.EncodingSortField(measure, op="max", order="descending")),
    )
    details = ["median_counts:Q", "median_detected:Q", "least_measured:Q", "n_genes:Q"]
    squares = base.mark_rect(stroke="white").encode(
        color=viridis(measure, name),
        tooltip=["cell_type:N", "label:N", tooltip(measure, ".3g"), "n_samples:Q", "n_cells:Q", *details],
    )
    text = (
        base.transform_calculate(
            text=f"format(datum.{measure}, '.2f') + '  (' + datum.n_samples + ' / ' + format(datum.n_cells, ',') + ')'"
        )
        .mark_text(fontSize=9.5)
        .encode(text="text:N", color=alt.condition(alt.datum[measure] > middle, alt.value("#111"), alt.value("white")))
    )
    legend += ". In brackets: samples / cells. Blank: no group, or too few cells."
    return finish(alt.layer(squares, text), found, title, [legend, *note])


def distributions(found: Answer, title: str = "Distribution of scores", n_groups: int = 24) -> Any:
    """Draw the distribution of the cells' scores in each group, one below the other, the highest mean on top.

    Parameters
    ----------
    found : Answer
        The result of `sigdb.score_bins`.
    title : str
        The title of the chart.
    n_groups : int
        The most groups to show.

    Returns
    -------
    altair.Chart
        One histogram per group.

    Examples
    --------
    >>> type(sigdb.plots.distributions(sigdb.score_bins(con, ["LYZ", "CD14"], by="study"))).__name__
    'Chart'
    """
    alt = altair_module()
    values = [
        {
            **row,
            "label": row["label"] or "(none)",
            "group": f"{row['label'] or '(none)'}  ({row['n_cells']:,})",
            "share": row["n"] / row["n_cells"],
        }
        for row in found.table.to_pylist()
    ]
    values, note = keep_highest(values, "group", "mean", n_groups)
    order = list(dict.fromkeys(row["group"] for row in values))
    tallest = max((row["share"] for row in values), default=1)
    header = alt.Header(labelAngle=0, labelAlign="left", labelFontSize=11, labelLimit=240)
    chart = alt.Chart(alt.Data(values=values), width=420, height=44).mark_bar(
        color=PALETTE[0], opacity=0.8, binSpacing=0
    )
    chart = chart.encode(
        x=alt.X("low:Q", title=f"score ({ATTRIBUTION})", bin="binned"),
        x2="high:Q",
        y=alt.Y("share:Q", title=None, axis=None, scale=alt.Scale(domain=[0, tallest])),
        tooltip=["label:N", tooltip("low", ".3g"), tooltip("high", ".3g"), "n:Q"],
        row=alt.Row("group:N", sort=order, title=None, spacing=3, header=header),
    )
    legend = "Height: share of the group's cells, on one scale. In brackets: cells. The highest mean is on top."
    return finish(chart, found, title, [legend, *note])


def embedding(found: Answer, title: str = "Score in the embedding", size: int = 300) -> Any:
    """Draw the score in an embedding, one panel per study; the highest scores are drawn last.

    Parameters
    ----------
    found : Answer
        The result of `sigdb.embedding`.
    title : str
        The title of the chart.
    size : int
        The width and height of a panel, in pixels.

    Returns
    -------
    altair.FacetChart
        One point per cell; in studies with many cells, one square per bin, with the mean score of its cells.

    Examples
    --------
    The bundled studies have no embedding. With one, from ``ingest_files(..., obsm=["X_umap"])``:

    >>> chart = sigdb.plots.embedding(sigdb.embedding(con, ["LYZ"]))  # doctest: +SKIP
    """
    alt = altair_module()
    values = found.table.to_pylist()
    n_cells: Counter[str] = Counter()
    for row in values:
        n_cells[row["study"]] += row["n"]
    values = [{**row, "panel": f"{row['study']}  ({n_cells[row['study']]:,})"} for row in values]
    scale = alt.Scale(zero=False, nice=False, padding=6)
    bare = alt.Axis(labels=False, ticks=False, grid=False, domain=False)
    # Without data here, the layers take the data of their panel.
    base = alt.Chart(width=size, height=size).encode(
        x=alt.X("x_low:Q", title=None, scale=scale, axis=bare),
        y=alt.Y("y_low:Q", title=None, scale=scale, axis=bare),
        color=viridis("score", "score"),
        tooltip=["study:N", tooltip("score", ".3g"), "n:Q"],
    )
    squares = base.transform_filter("datum.is_binned").mark_rect(strokeWidth=0).encode(x2="x_high:Q", y2="y_high:Q")
    points = base.transform_filter("!datum.is_binned").mark_circle(size=14, opacity=0.9)
    header = alt.Header(labelFontSize=11, labelLimit=size)
    panels = alt.layer(squares, points, data=alt.Data(values=values)).facet(
        facet=alt.Facet("panel:N", title=None, header=header), columns=3
    )
    lines = [
        f"Score ({ATTRIBUTION}). A point is a cell; in studies with many cells, a square shows the mean of its cells.",
        "Each study has its own axes, and distances mean little. In brackets: cells.",
    ]
    return finish(panels.resolve_scale(x="independent", y="independent"), found, title, lines)


def dots(found: Answer, title: str = "Genes of the signature", n_groups: int = 40) -> Any:
    """Draw a dot plot, gene by group: the area is the fraction of cells with the gene, the colour its attribution.

    Parameters
    ----------
    found : Answer
        The result of `sigdb.gene_dots`.
    title : str
        The title of the chart.
    n_groups : int
        The most groups to show.

    Returns
    -------
    altair.Chart
        One dot per gene and group.

    Examples
    --------
    >>> type(sigdb.plots.dots(sigdb.gene_dots(con, ["LYZ", "CD14"]))).__name__
    'Chart'
    """
    alt = altair_module()
    values = [{**row, "group": f"{row['label'] or '(none)'}  ({row['n_cells']:,})"} for row in found.table.to_pylist()]
    values, note = keep_highest(values, "group", "score", n_groups)
    most = alt.EncodingSortField("score", op="sum", order="descending")
    fractions = alt.Legend(format=".0%", values=[0.1, 0.5, 1], symbolFillColor=GREY, symbolStrokeColor=GREY)
    area = alt.Scale(domain=[0, 1], range=[0, 260])
    chart = alt.Chart(alt.Data(values=values), width=alt.Step(20), height=alt.Step(20)).mark_circle(opacity=1)
    chart = chart.encode(
        x=alt.X("gene:N", title=None, sort=most, axis=alt.Axis(labelAngle=-60)),
        y=alt.Y("group:N", title=None, sort=most),
        size=alt.Size("fraction_nonzero:Q", title="cells with the gene", scale=area, legend=fractions),
        color=viridis("score", "mean attribution", length=90, type="sqrt", reverse=True),
        tooltip=["group:N", "gene:N", tooltip("score", ".3g"), tooltip("fraction_nonzero", ".0%")],
    )
    legend = "Mean attribution in thousandths of a cell, on a square-root scale. In brackets: cells."
    return finish(chart, found, title, [legend, *note])
