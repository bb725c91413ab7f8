"""Charts of genes and of comparisons."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sigdb.findings.plots.theme import (
    ATTRIBUTION,
    GREY,
    PALETTE,
    SIGNIFICANT,
    altair_module,
    colour_by_kind,
    describe_group,
    finish,
    keep_highest,
    significance,
    tooltip,
)

if TYPE_CHECKING:
    from sigdb.answers import Answer
    from sigdb.findings.compare import Comparison
    from sigdb.findings.gene_compare import GeneComparison
    from sigdb.findings.nulls import Null

__all__ = ["contributions", "effects", "null_scores", "volcano"]

VOLCANO = (460, 340)  # pixels
FOREST_COLOURS = {"one study": PALETTE[0], "all studies": PALETTE[1], "random effects": GREY}
COMPARED = {"z": "mean z", "score": "mean scores", "hits": "hit rates"}


def contributions(found: Answer, title: str = "Contributions to the score") -> Any:
    """Draw what the leading genes contribute to the mean score of each group, one panel per group.

    Parameters
    ----------
    found : Answer
        The result of `sigdb.leading_genes`.
    title : str
        The title of the chart.

    Returns
    -------
    altair.FacetChart
        One bar per gene.

    Examples
    --------
    >>> type(sigdb.plots.contributions(sigdb.leading_genes(con, ["LYZ", "CD14"]))).__name__
    'FacetChart'
    """
    alt = altair_module()
    values = [
        {**row, "group": "\n".join([*describe_group({**row, "study": None}), row["study"]])}
        for row in found.table.to_pylist()
    ]
    groups = list(dict.fromkeys(row["group"] for row in values))
    base = alt.Chart(alt.Data(values=values), width=200, height=alt.Step(17)).mark_bar(color=PALETTE[0])
    bars = base.encode(
        x=alt.X("contribution:Q", title="contribution to the score"),
        y=alt.Y("gene:N", title=None, sort="-x"),
        tooltip=["gene:N", tooltip("contribution", ".3g"), tooltip("share", ".0%"), tooltip("score_without", ".3g")],
    )
    header = alt.Header(labelFontSize=11, labelLimit=320, labelExpr="split(datum.value, '\\n')", labelLineHeight=14)
    facets = bars.facet(facet=alt.Facet("group:N", sort=groups, title=None, header=header), columns=3)
    legend = f"Mean contribution of each gene ({ATTRIBUTION}). All genes together add up to the score of the group."
    return finish(facets.resolve_scale(y="independent"), found, title, [legend])


def null_scores(found: Null, title: str = "Against matched genes", n_groups: int = 50) -> Any:
    """Draw the score of each group (point) beside the scores of its matched control sets (mean and spread).

    Parameters
    ----------
    found : Null
        The result of `sigdb.matched_null`.
    title : str
        The title of the chart.
    n_groups : int
        The most groups to show.

    Returns
    -------
    altair.LayerChart
        Points, and bars of 1.96 standard deviations to either side of the mean.

    Examples
    --------
    >>> found = sigdb.matched_null(con, ["CD3D", "CD3E", "CD2"], n_controls=100, groups="study = 'wu2020_tcell'")
    >>> type(sigdb.plots.null_scores(found)).__name__
    'LayerChart'
    """
    alt = altair_module()
    values = [
        {
            **row,
            "group": f"{', '.join(describe_group(row))}, {row['n_measured']}/{row['n_genes']} genes",
            "low": row["null_mean"] - 1.96 * row["null_sd"],
            "high": row["null_mean"] + 1.96 * row["null_sd"],
            "kind": significance(row["q_value"]),
        }
        for row in found.table.to_pylist()
        if row["z"] is not None
    ]
    values, note = keep_highest(values, "group", "z", n_groups)
    base = alt.Chart(alt.Data(values=values), width=400, height=alt.Step(19)).encode(
        y=alt.Y("group:N", sort=[row["group"] for row in values], title=None, axis=alt.Axis(labelLimit=560))
    )
    x = alt.X("low:Q", title=f"score ({ATTRIBUTION})")
    bars = base.mark_rule(color="#c4c4c4", strokeWidth=7).encode(x=x, x2="high:Q")
    means = base.mark_tick(color="#555", thickness=2, height=9).encode(x="null_mean:Q")
    numbers = [("score", ".3g"), ("z", ".2f"), ("p_value", ".2g"), ("p_two_sided", ".2g"), ("q_value", ".2g")]
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        x="score:Q",
        color=colour_by_kind(SIGNIFICANT, PALETTE[1], PALETTE[0]),
        tooltip=["group:N", *(tooltip(name, form) for name, form in numbers)],
    )
    n = max((row["n_controls"] for row in values), default=0)
    lines = [
        f"Point: the signature. Grey: {n:,} sets of matched genes, mean and 1.96 standard deviations.",
        "The highest z is on top. In brackets: cells. Then: genes measured / genes that the model knows.",
    ]
    return finish(alt.layer(bars, means, points), found, title, [*lines, *note])


def effects(found: Comparison, title: str = "Differences between donors") -> Any:
    """Draw a forest plot of a comparison: Hedges' g with its 95% interval, per study and for all studies together.

    The interval leaves out 0 exactly if p < 0.05. Rows without an effect size are not drawn; the chart counts them.

    Parameters
    ----------
    found : Comparison
        The result of `sigdb.compare`.
    title : str
        The title of the chart.

    Returns
    -------
    altair.LayerChart
        One point with an interval per row that was tested.

    Examples
    --------
    >>> found = sigdb.compare(
    ...     con, ["CD3D", "CD3E"], by="tissue", reference="normal adjacent", within=None, paired_by="donor", min_cells=1
    ... )
    >>> type(sigdb.plots.effects(found)).__name__
    'LayerChart'
    """
    alt = altair_module()
    values = [forest_row(row, found) for row in found.table.to_pylist() if row["hedges_g"] is not None]
    kinds = [kind for kind in FOREST_COLOURS if any(row["kind"] == kind for row in values)]
    base = alt.Chart(alt.Data(values=values), width=360, height=alt.Step(20)).encode(
        y=alt.Y("name:N", sort=[row["name"] for row in values], title=None, axis=alt.Axis(labelLimit=480)),
        color=colour_by_kind(kinds, *(FOREST_COLOURS[kind] for kind in kinds)),
    )
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(strokeDash=[4, 3], color="#777").encode(x="zero:Q")
    predictions = base.mark_rule(strokeWidth=1, strokeDash=[2, 2]).encode(x="prediction_low:Q", x2="prediction_high:Q")
    intervals = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("g_low:Q", title=f"Hedges' g of {COMPARED[found.of]}, with 95% interval"), x2="g_high:Q"
    )
    numbers = [("hedges_g", ".2f"), ("difference", ".3g"), ("p_value", ".2g"), ("q_value", ".2g")]
    n_units = ["n_donors:Q", "n_cells_group:Q", "n_cells_reference:Q"]
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        x="hedges_g:Q", tooltip=["name:N", "test:N", *(tooltip(name, form) for name, form in numbers), *n_units]
    )
    layers = [zero, intervals, points]
    notes = [f"Above 0: higher than in {found.reference}. In brackets: units in the group / in {found.reference}."]
    if any(row["prediction_low"] is not None for row in values):
        layers.insert(1, predictions)
        notes.append("Dashed: where the effect in a further study is expected (95%).")
    if hidden := sum(row["p_value"] is not None and row["hedges_g"] is None for row in found.table.to_pylist()):
        notes.append(f"Tested on too few units for an effect size, and not drawn: {hidden}.")
    return finish(alt.layer(*layers), found, title, notes)


def forest_row(row: dict[str, Any], found: Comparison) -> dict[str, Any]:
    """A row of a comparison with its name and kind in a forest plot."""
    kind = "one study"
    if row["study"] is None:
        kind = "all studies" if row["is_finding"] else "random effects"
    study = row["study"] or f"{row['n_studies']} studies, {'one model' if row['is_finding'] else 'random effects'}"
    signature = row["signature"] if len(found.units) > 1 else None
    name = ", ".join(part for part in (signature, row["within"], row["group"], study) if part)
    return {**row, "name": f"{name}  ({row['n_group']} / {row['n_reference']})", "kind": kind}


def volcano(found: GeneComparison, title: str | None = None, n_labels: int = 20) -> Any:
    """Draw a volcano plot of a gene comparison: the mean difference and p of each gene, q < 0.05 in colour.

    Parameters
    ----------
    found : GeneComparison
        The result of `sigdb.gene_compare`.
    title : str, optional
        The title of the chart. Default: the two groups.
    n_labels : int
        The most genes to label, the smallest p first. Labels that would overlap are left out.

    Returns
    -------
    altair.LayerChart
        One point per gene that was tested.

    Examples
    --------
    >>> found = sigdb.gene_compare(
    ...     con, by="tissue", reference="normal adjacent", group="tumour", paired_by="donor", min_cells=3
    ... )
    >>> type(sigdb.plots.volcano(found)).__name__
    'LayerChart'
    """
    alt = altair_module()
    values = volcano_points(found)
    widest = max((abs(row["difference"]) for row in values), default=1) * 1.15
    label_points(values, n_labels, per_x=VOLCANO[0] / (2 * widest))
    title_x = f"difference in mean attribution, {found.group} minus {found.reference} (thousandths of a cell)"
    base = alt.Chart(alt.Data(values=values), width=VOLCANO[0], height=VOLCANO[1]).encode(
        x=alt.X("difference:Q", title=title_x, scale=alt.Scale(domain=[-widest, widest])),
        y=alt.Y("height:Q", title="-log10 p"),
    )
    points = base.mark_circle(size=22, opacity=0.65).encode(
        color=colour_by_kind(SIGNIFICANT, PALETTE[1], GREY),
        tooltip=["gene:N", tooltip("difference", ".3g"), tooltip("p", ".2g"), tooltip("q", ".2g")],
    )
    labels = [
        base.transform_filter(f"datum.label && datum.side == '{side}'")
        .mark_text(align=align, dx=dx, fontSize=10)
        .encode(text="label:N")
        for side, align, dx in (("right", "left", 6), ("left", "right", -6))
    ]
    n_group, n_reference, n_cells = (
        sum(getattr(each, n) for each in found.studies) for n in ("n_group", "n_reference", "n_cells")
    )
    made_by = f"{found.studies[0].study}; {found.studies[0].test}"
    if len(found.studies) > 1:
        made_by = f"{len(found.studies)} studies; one model"
    lines = [
        f"{made_by}; units: {n_group} / {n_reference}, {n_cells:,} cells.",
        f"{len(values):,} genes tested; {sum(row['q'] < 0.05 for row in values):,} with q < 0.05.",
    ]
    return finish(alt.layer(points, *labels), found, title or f"{found.group} against {found.reference}", lines)


def volcano_points(found: GeneComparison) -> list[dict[str, Any]]:
    """The genes that were tested, as points of a volcano plot."""
    return [
        {
            "gene": row["gene"],
            "difference": row["difference"],
            "p": row["p_value"],
            "q": row["q_value"],
            "height": -math.log10(max(row["p_value"], 1e-300)),
            "kind": significance(row["q_value"]),
            "side": "right" if row["difference"] > 0 else "left",
        }
        for row in found.findings.to_pylist()
        if row["p_value"] is not None
    ]


def label_points(values: list[dict[str, Any]], n: int, per_x: float) -> None:
    """Label the first n points of a volcano plot, except where labels would overlap. per_x: pixels per unit of x."""
    per_y = VOLCANO[1] / max((row["height"] for row in values), default=1)
    used: list[tuple[float, float, float]] = []
    for row in values[:n]:
        width = 7 * len(row["gene"]) + 8
        left = row["difference"] * per_x - (width if row["side"] == "left" else 0)
        y = row["height"] * per_y
        if all(abs(y - other) > 11 or left > end or left + width < start for start, end, other in used):
            row["label"] = row["gene"]
            used.append((left, left + width, y))
