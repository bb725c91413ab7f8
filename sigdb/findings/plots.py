"""Pictures of findings, in Vega-Lite (extra `plots`): each function takes an answer and returns an Altair chart.

The chart keeps the SQL of its data in `usermeta`. Colours are those of Okabe and Ito, and viridis: both can be told
apart by colour-blind people. `save` writes HTML, PNG, SVG or JSON.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sigdb.errors import QueryError, needs_extra

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import altair as alt

    from sigdb.findings.compare import Comparison
    from sigdb.findings.gene_compare import GeneComparison
    from sigdb.findings.hits import Hits
    from sigdb.findings.nulls import Null
    from sigdb.statements import Answer

__all__ = [
    "contributions",
    "distributions",
    "dots",
    "effects",
    "embedding",
    "heat_map",
    "hit_rates",
    "null_scores",
    "save",
    "volcano",
]

# Okabe and Ito's palette, black and yellow left out (too faint or too strong beside the others).
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"]
GREY = "#8a8a8a"
VOLCANO = (460, 340)  # pixels
FORMATS = (".html", ".png", ".svg", ".json")
ATTRIBUTION = "attribution, thousandths of a cell"


def altair_module() -> Any:
    """Altair, or MissingDependencyError with what to install."""
    with needs_extra("plots"):
        import altair
    return altair


def save(chart: alt.TopLevelMixin, path: str | os.PathLike[str]) -> None:
    """Write a chart, by the file's ending: .html (self-contained), .png (2 pixels a point), .svg, or .json."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise QueryError(f"A picture is one of {', '.join(FORMATS)}, not {path.name!r}.")
    options: dict[str, Any] = {".html": {"inline": True}, ".png": {"scale_factor": 2}}
    with needs_extra("plots"):
        import vl_convert  # noqa: F401  (what Altair writes these formats with)
    chart.save(str(path), **options.get(path.suffix.lower(), {}))


def finished(chart: Any, answer: Answer, title: str, subtitle: str | Sequence[str] = ()) -> Any:
    """Give a chart its title, the theme, and the SQL of its data."""
    alt = altair_module()
    lines = [subtitle] if isinstance(subtitle, str) else list(subtitle)
    return (
        chart.properties(title=alt.Title(title, subtitle=lines, anchor="start"), usermeta={"sql": answer.sql})
        .configure(font="Helvetica, Arial, sans-serif", background="white")
        .configure_title(fontSize=14, subtitleFontSize=11, subtitleColor="#444", offset=12)
        .configure_axis(
            labelFontSize=11, titleFontSize=11, titleFontWeight="normal", labelLimit=260, gridColor="#e6e6e6"
        )
        .configure_legend(labelFontSize=11, titleFontSize=11, titleFontWeight="normal", labelLimit=220)
        .configure_view(stroke=None)
    )


def hit_rates(found: Hits, title: str = "Hits") -> Any:
    """Hit rates by group: a box and whiskers (1.5 interquartile ranges), and a point a sample; best group on top."""
    alt = altair_module()
    samples, groups = found.samples, found.groups.to_pylist()
    labels = {row["label"]: f"{row['label']}  ({row['n_samples']})" for row in groups}
    values = [{**row, "group": labels[row["label"]]} for row in samples.to_pylist()]
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
        tooltip=["study:N", "sample:N", "n_cells:Q", "n_hits:Q", alt.Tooltip("hit_rate:Q", format=".1%")],
    )
    for number, row in enumerate(values):
        row["jitter"] = (number * 0.618034 % 1) * 2 - 1
    cutoff = f"A hit is {found.rule}" + ("" if found.cutoff is None else f" ({found.cutoff:.3g}).")
    left = ", ".join(f"{n} with {reason}" for reason, n in found.left_out.items())
    lines = [cutoff, f"A point is a sample.{f' Left out: {left}.' if left else ''}"]
    return finished(alt.layer(box, points), found.answer, title, lines)


def heat_map(answer: Answer, title: str = "Score by cell type and disease", n_groups: int = 40) -> Any:
    """Mean score by cell type (rows) and `label` (columns), with the number of samples and cells in each.

    answer: `sigdb.group_scores`: cell_type, label, score, n_cells, n_samples.
    """
    alt = altair_module()
    values = [
        {**row, "cell_type": row["cell_type"] or "(none)", "label": row["label"] or "(none)"}
        for row in answer.table.to_pylist()
    ]
    values, note = highest(values, "cell_type", "score", n_groups)
    middle = (max(row["score"] for row in values) + min(row["score"] for row in values)) / 2 if values else 0
    base = alt.Chart(alt.Data(values=values), width=alt.Step(86), height=alt.Step(30)).encode(
        x=alt.X("label:N", title=None, axis=alt.Axis(orient="top", labelAngle=-30)),
        y=alt.Y("cell_type:N", title=None, sort=alt.EncodingSortField("score", op="max", order="descending")),
    )
    squares = base.mark_rect(stroke="white").encode(
        color=alt.Color(
            "score:Q", title="mean score", scale=alt.Scale(scheme="viridis"), legend=alt.Legend(gradientLength=120)
        ),
        tooltip=["cell_type:N", "label:N", shown("score", ".3g"), "n_samples:Q", "n_cells:Q"],
    )
    text = (
        base.transform_calculate(
            text="format(datum.score, '.2f') + '  (' + datum.n_samples + ' / ' + format(datum.n_cells, ',') + ')'"
        )
        .mark_text(fontSize=9.5)
        .encode(text="text:N", color=alt.condition(alt.datum.score > middle, alt.value("#111"), alt.value("white")))
    )
    legend = f"Mean score ({ATTRIBUTION}); in brackets: samples / cells. Blank: no group of enough cells."
    return finished(alt.layer(squares, text), answer, title, [legend, *note])


def highest(rows: list[dict[str, Any]], key: str, value: str, n: int) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of the n groups of highest value, and a line that says so if there are more groups."""
    best: dict[str, float] = {}
    for row in rows:
        best[row[key]] = max(best.get(row[key], -math.inf), row[value])
    kept = sorted(best, key=lambda name: (-best[name], name))[:n]
    note = [] if len(kept) == len(best) else [f"The {n} highest of {len(best)} groups."]
    return [row for row in rows if row[key] in kept], note


def distributions(answer: Answer, title: str = "Distribution of scores", n_groups: int = 24) -> Any:
    """Distribution of the cells' scores in each group, a ridge each, from counts by bin; highest mean on top.

    answer: `sigdb.score_bins`: label, n_cells, mean, low, high, n (cells of the group in this bin).
    """
    alt = altair_module()
    values = [
        {**row, "label": row["label"] or "(none)", "share": row["n"] / row["n_cells"]}
        for row in answer.table.to_pylist()
    ]
    for row in values:
        row["group"] = f"{row['label']}  ({row['n_cells']:,})"
    values, note = highest(values, "group", "mean", n_groups)
    order = list(dict.fromkeys(row["group"] for row in values))
    tallest = max((row["share"] for row in values), default=1)
    chart = (
        alt.Chart(alt.Data(values=values), width=420, height=44)
        .mark_bar(color=PALETTE[0], opacity=0.8, binSpacing=0)
        .encode(
            x=alt.X("low:Q", title=f"score ({ATTRIBUTION})", bin="binned"),
            x2="high:Q",
            y=alt.Y("share:Q", title=None, axis=None, scale=alt.Scale(domain=[0, tallest])),
            tooltip=["label:N", shown("low", ".3g"), shown("high", ".3g"), "n:Q"],
            row=alt.Row(
                "group:N", sort=order, title=None, spacing=3,
                header=alt.Header(labelAngle=0, labelAlign="left", labelFontSize=11, labelLimit=240),
            ),
        )
    )  # fmt: skip
    legend = "The height is the share of a group's cells (their number in brackets), on one scale. Highest mean on top."
    return finished(chart, answer, title, [legend, *note])


def embedding(answer: Answer, title: str = "Score in the embedding", size: int = 300) -> Any:
    """The score in an embedding, a panel a study: a point a cell, or a square of a grid, with the mean of its cells.

    answer: `sigdb.embedding`: study, is_binned, x_low, x_high, y_low, y_high, n, score; highest scores are drawn last.
    """
    alt = altair_module()
    values = answer.table.to_pylist()
    n_cells: Counter[str] = Counter()
    for row in values:
        n_cells[row["study"]] += row["n"]
    for row in values:
        row["panel"] = f"{row['study']}  ({n_cells[row['study']]:,})"
    scale = alt.Scale(zero=False, nice=False, padding=6)
    bare = alt.Axis(labels=False, ticks=False, grid=False, domain=False)
    base = alt.Chart(width=size, height=size).encode(  # its data are those of the panel
        x=alt.X("x_low:Q", title=None, scale=scale, axis=bare),
        y=alt.Y("y_low:Q", title=None, scale=scale, axis=bare),
        color=alt.Color(
            "score:Q", title="score", scale=alt.Scale(scheme="viridis"), legend=alt.Legend(gradientLength=120)
        ),
        tooltip=["study:N", shown("score", ".3g"), "n:Q"],
    )
    squares = base.transform_filter("datum.is_binned").mark_rect(strokeWidth=0).encode(x2="x_high:Q", y2="y_high:Q")
    points = base.transform_filter("!datum.is_binned").mark_circle(size=14, opacity=0.9)
    header = alt.Header(labelFontSize=11, labelLimit=size)
    panels = alt.layer(squares, points, data=alt.Data(values=values)).facet(
        facet=alt.Facet("panel:N", title=None, header=header), columns=3
    )
    lines = [f"Score ({ATTRIBUTION}). A point is a cell; a square, where a study has many, the mean of its cells."]
    lines.append("Each study has axes of its own; near and far mean little in them. In brackets: cells.")
    return finished(panels.resolve_scale(x="independent", y="independent"), answer, title, lines)


def dots(answer: Answer, title: str = "Genes of the signature", n_groups: int = 40) -> Any:
    """Dot plot, gene by group: area, the fraction of cells in which the gene is not 0; colour, its mean attribution.

    answer: `sigdb.gene_dots`: label, n_cells, gene, score, fraction_nonzero.
    """
    alt = altair_module()
    values = [{**row, "group": f"{row['label'] or '(none)'}  ({row['n_cells']:,})"} for row in answer.table.to_pylist()]
    values, note = highest(values, "group", "score", n_groups)
    most = alt.EncodingSortField("score", op="sum", order="descending")
    chart = alt.Chart(alt.Data(values=values), width=alt.Step(20), height=alt.Step(20)).mark_circle(opacity=1).encode(
        x=alt.X("gene:N", title=None, sort=most, axis=alt.Axis(labelAngle=-60)),
        y=alt.Y("group:N", title=None, sort=most),
        size=alt.Size(
            "fraction_nonzero:Q", title="cells with the gene", scale=alt.Scale(domain=[0, 1], range=[0, 260]),
            legend=alt.Legend(format=".0%", values=[0.1, 0.5, 1], symbolFillColor=GREY, symbolStrokeColor=GREY),
        ),
        color=alt.Color(
            "score:Q", title="mean attribution", scale=alt.Scale(scheme="viridis", type="sqrt", reverse=True),
            legend=alt.Legend(gradientLength=90),
        ),
        tooltip=["group:N", "gene:N", shown("score", ".3g"), shown("fraction_nonzero", ".0%")],
    )  # fmt: skip
    legend = "Mean attribution in thousandths of a cell, on a square-root scale. In brackets: cells."
    return finished(chart, answer, title, [legend, *note])


def contributions(answer: Answer, title: str = "What makes the score") -> Any:
    """What the leading genes add to the mean score of each group, a panel each. answer: `sigdb.leading_genes`."""
    alt = altair_module()
    values = [
        {**row, "group": "\n".join([*group_name({**row, "study": None}), row["study"]])}
        for row in answer.table.to_pylist()
    ]
    groups = list(dict.fromkeys(row["group"] for row in values))
    tooltip = ["gene:N", shown("contribution", ".3g"), shown("share", ".0%"), shown("score_without", ".3g")]
    base = alt.Chart(alt.Data(values=values), width=200, height=alt.Step(17)).mark_bar(color=PALETTE[0])
    bars = base.encode(
        x=alt.X("contribution:Q", title="adds to the score"), y=alt.Y("gene:N", title=None, sort="-x"), tooltip=tooltip
    )
    header = alt.Header(labelFontSize=11, labelLimit=320, labelExpr="split(datum.value, '\\n')", labelLineHeight=14)
    facets = bars.facet(facet=alt.Facet("group:N", sort=groups, title=None, header=header), columns=3)
    note = f"Mean contribution of each gene ({ATTRIBUTION}); those of all genes add up to a group's score."
    return finished(facets.resolve_scale(y="independent"), answer, title, note)


def shown(name: str, form: str) -> Any:
    """A number in a tooltip."""
    return altair_module().Tooltip(f"{name}:Q", format=form)


def group_name(row: dict[str, Any]) -> tuple[str, str]:
    """A group of the cube in words: cell type and number of cells; where they are from."""
    origin = (row["disease"], row["tissue"], row["study"])
    return f"{row['cell_type'] or '(no type)'}  ({row['n_cells']:,})", ", ".join(part for part in origin if part)


def null_scores(found: Null, title: str = "Against matched genes", n_groups: int = 50) -> Any:
    """Each group's score (point) beside that of its matched control sets: mean, and the range of 1.96 deviations."""
    alt = altair_module()
    kinds = ["q < 0.05", "q of 0.05 or more"]
    values = [
        {
            **row, "group": f"{', '.join(group_name(row))}, {row['n_measured']}/{row['n_genes']} genes",
            "low": row["null_mean"] - 1.96 * row["null_sd"], "high": row["null_mean"] + 1.96 * row["null_sd"],
            "kind": kinds[row["q_value"] >= 0.05],
        }
        for row in found.table.to_pylist() if row["z"] is not None
    ]  # fmt: skip
    values, note = highest(values, "group", "z", n_groups)
    base = alt.Chart(alt.Data(values=values), width=400, height=alt.Step(19)).encode(
        y=alt.Y("group:N", sort=[row["group"] for row in values], title=None, axis=alt.Axis(labelLimit=560))
    )
    x = alt.X("low:Q", title=f"score ({ATTRIBUTION})")
    bars = base.mark_rule(color="#c4c4c4", strokeWidth=7).encode(x=x, x2="high:Q")
    means = base.mark_tick(color="#555", thickness=2, height=9).encode(x="null_mean:Q")
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        x="score:Q", color=kind(kinds, PALETTE[1], PALETTE[0]),
        tooltip=["group:N", shown("score", ".3g"), shown("z", ".2f"), shown("p_value", ".2g"), shown("q_value", ".2g")],
    )  # fmt: skip
    n = max((row["n_controls"] for row in values), default=0)
    lines = [
        f"Point: the signature. Grey: {n:,} sets of matched genes, mean and 1.96 standard deviations.",
        "Highest z on top. In brackets: cells; then genes measured / genes that the model knows.",
    ]
    return finished(alt.layer(bars, means, points), found.answer, title, [*lines, *note])


def kind(names: Sequence[str], *colours: str) -> Any:
    """The colour of what a point is, with its legend below."""
    alt = altair_module()
    scale = alt.Scale(domain=list(names), range=list(colours))
    return alt.Color("kind:N", title=None, scale=scale, legend=alt.Legend(orient="bottom"))


def effects(found: Comparison, title: str = "Differences between donors") -> Any:
    """Forest plot of a comparison: Hedges' g with its 95% interval, a row a study, and one for all studies together."""
    alt = altair_module()
    kinds = ["one study", "all studies"]
    values = []
    for row in found.table.to_pylist():
        if row["hedges_g"] is None:
            continue
        where = row["study"] or f"all {row['n_studies']} studies"
        signature = row["signature"] if len(found.answers) > 1 else None
        name = ", ".join(part for part in (signature, row["within"], row["group"], where) if part)
        sizes = f"({row['n_group']} / {row['n_reference']})"
        values.append({**row, "name": f"{name}  {sizes}", "kind": kinds[row["study"] is None]})
    base = alt.Chart(alt.Data(values=values), width=360, height=alt.Step(20)).encode(
        y=alt.Y("name:N", sort=[row["name"] for row in values], title=None, axis=alt.Axis(labelLimit=480)),
        color=kind(kinds, PALETTE[0], PALETTE[1]),
    )
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(strokeDash=[4, 3], color="#777").encode(x="zero:Q")
    x = alt.X("g_low:Q", title="Hedges' g, with 95% interval")
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        x="hedges_g:Q",
        tooltip=[
            "name:N", "test:N", shown("hedges_g", ".2f"), shown("difference", ".3g"), shown("p_value", ".2g"),
            shown("q_value", ".2g"), "n_donors:Q", "n_cells_group:Q", "n_cells_reference:Q",
        ],
    )  # fmt: skip
    chart = alt.layer(zero, base.mark_rule(strokeWidth=2).encode(x=x, x2="g_high:Q"), points)
    note = f"Above 0: higher than in {found.reference}. In brackets: units in the group / in {found.reference}."
    return finished(chart, next(iter(found.answers.values())), title, note)


def volcano(found: GeneComparison, title: str | None = None, n_labels: int = 20) -> Any:
    """Volcano plot of a gene comparison: mean difference and p; q < 0.05 in colour, the smallest p labelled."""
    alt = altair_module()
    kinds = ["q < 0.05", "q of 0.05 or more"]
    values = [
        {
            "gene": row["gene"], "difference": row["difference"], "p": row["p_value"], "q": row["q_value"],
            "height": -math.log10(max(row["p_value"], 1e-300)), "kind": kinds[row["q_value"] >= 0.05],
            "side": "right" if row["difference"] > 0 else "left",
        }
        for row in found.findings.to_pylist() if row["p_value"] is not None
    ]  # fmt: skip
    widest = max((abs(row["difference"]) for row in values), default=1) * 1.15
    label_apart(values, n_labels, per_x=VOLCANO[0] / (2 * widest))
    title_x = f"difference in mean attribution, {found.group} minus {found.reference} (thousandths of a cell)"
    base = alt.Chart(alt.Data(values=values), width=VOLCANO[0], height=VOLCANO[1]).encode(
        x=alt.X("difference:Q", title=title_x, scale=alt.Scale(domain=[-widest, widest])),
        y=alt.Y("height:Q", title="-log10 p"),
    )
    points = base.mark_circle(size=22, opacity=0.65).encode(
        color=kind(kinds, PALETTE[1], GREY),
        tooltip=["gene:N", shown("difference", ".3g"), shown("p", ".2g"), shown("q", ".2g")],
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
    many = len(found.studies) > 1
    made_by = (
        f"{len(found.studies)} studies; random effects"
        if many
        else f"{found.studies[0].study}; {found.studies[0].test}"
    )
    lines = [
        f"{made_by}; units: {n_group} / {n_reference}, {n_cells:,} cells.",
        f"{len(values):,} genes tested; {sum(row['q'] < 0.05 for row in values):,} of q < 0.05.",
    ]
    title = title or f"{found.group} against {found.reference}"
    return finished(alt.layer(points, *labels), found.answer, title, lines)


def label_apart(values: list[dict[str, Any]], n: int, per_x: float) -> None:
    """Label the first n points of a volcano whose labels do not cover another's. per_x: pixels a unit of x."""
    per_y = VOLCANO[1] / max((row["height"] for row in values), default=1)
    taken: list[tuple[float, float, float]] = []
    for row in values[:n]:
        width = 7 * len(row["gene"]) + 8
        left = row["difference"] * per_x - (width if row["side"] == "left" else 0)
        y = row["height"] * per_y
        if all(abs(y - other) > 11 or left > end or left + width < start for start, end, other in taken):
            row["label"] = row["gene"]
            taken.append((left, left + width, y))
