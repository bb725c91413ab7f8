"""The heat map of scores by cell type and label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigdb.findings.plots.theme import (
    ATTRIBUTION,
    CROSS,
    altair_module,
    finish,
    is_number,
    keep_highest,
    names_axis,
    number,
    tooltip,
    viridis,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigdb.answers import Answer

__all__ = ["heat_map"]

# Groups whose study of lowest coverage measured a smaller part of the genes are faded.
LOW_COVERAGE = 0.5
# The most columns that are wide enough for the numbers of samples and cells.
WIDE_COLUMNS = 8
# What is drawn: the column, its short name, and what it means.
MEASURES = {
    "z": ("mean z", "Mean z: in standard deviations of the scores that each cell is compared with"),
    "score": ("mean score", f"Mean score ({ATTRIBUTION})"),
}


def heat_map(
    found: Answer, title: str = "Score by cell type and disease", n_groups: int = 40, n_labels: int = 20
) -> Any:
    """Draw the mean z by cell type (rows) and label (columns), with the number of samples and cells in each.

    Without calibration, the mean score is drawn. Groups in which fewer than half of the genes were measured are faded,
    with a dashed border. A cross is a group without a value, because no gene was measured or the controls do not vary.

    Parameters
    ----------
    found : Answer
        The result of `sigdb.group_scores`.
    title : str
        The title of the chart.
    n_groups, n_labels : int
        The most cell types and the most labels to show.

    Returns
    -------
    altair.LayerChart
        Coloured squares with text. Dark means high.

    Examples
    --------
    >>> type(sigdb.plots.heat_map(sigdb.group_scores(con, ["LYZ", "CD14"]))).__name__
    'LayerChart'
    """
    alt = altair_module()
    measure = "z" if "z" in found.table.column_names else "score"
    name, meaning = MEASURES[measure]
    values = [square(row, measure) for row in found.table.to_pylist()]
    values, labels, fewer_labels = keep_highest(values, "label", measure, n_labels, "columns")
    values, types, fewer_types = keep_highest(values, "cell_type", measure, n_groups, "cell types")
    is_wide = len(labels) <= WIDE_COLUMNS
    add_texts(values, measure, is_wide=is_wide)
    base = alt.Chart(alt.Data(values=values), width=alt.Step(96 if is_wide else 46), height=alt.Step(30)).encode(
        x=alt.X("label:N", title=None, sort=labels, axis=names_axis(200, orient="top", labelAngle=-30)),
        y=alt.Y("cell_type:N", title=None, sort=types, axis=names_axis()),
        tooltip=["cell_type:N", "label:N", tooltip(measure, ".3g"), *(f"{each}:Q" for each in DETAILS)],
    )
    has_values = any(row[measure] is not None for row in values)
    known = base.transform_filter(f"isValid(datum.{measure})")
    squares = known.mark_rect(stroke="white").encode(
        color=viridis(measure, name) if has_values else alt.Undefined,
        opacity=alt.condition("datum.is_faint", alt.value(0.4), alt.value(1)),
    )
    border = known.transform_filter("datum.is_faint").mark_rect(filled=False, stroke="#333", strokeDash=[3, 2])
    ink = alt.condition("datum.is_dark", alt.value("white"), alt.value("#111"))
    text = base.mark_text(fontSize=10).encode(text="text:N", color=ink)
    lines = [f"{meaning}. {legend(values, is_wide=is_wide)}"]
    return finish(alt.layer(squares, border, text), found, title, lines, [*fewer_types, *fewer_labels], drawn=values)


DETAILS = ("n_samples", "n_cells", "least_measured", "n_genes", "median_counts", "median_detected")


def square(row: dict[str, Any], measure: str) -> dict[str, Any]:
    """A group of cells as a square. The value is None if there is none, or if it is that of no measured gene."""
    n_genes, n_measured = row.get("n_genes"), row.get("least_measured")
    is_unmeasured = n_measured == 0 and not row[measure]
    return {
        **{name: row.get(name) for name in DETAILS},
        "cell_type": row["cell_type"] or "(none)",
        "label": row["label"] or "(none)",
        measure: row[measure] if is_number(row[measure]) and not is_unmeasured else None,
        "is_faint": bool(n_genes and n_measured is not None and n_measured < LOW_COVERAGE * n_genes),
    }


def add_texts(values: Sequence[dict[str, Any]], measure: str, *, is_wide: bool) -> None:
    """Give each square its text, and a colour for it that can be read on the square."""
    known = [row[measure] for row in values if row[measure] is not None]
    middle = (min(known) + max(known)) / 2 if known else 0
    for row in values:
        value = row[measure]
        if value is None:
            row["text"] = CROSS
        else:
            sizes = f"  ({row['n_samples']:,} / {row['n_cells']:,})" if is_wide else ""
            row["text"] = f"{number(value)}{sizes}"
        row["is_dark"] = value is not None and value > middle and not row["is_faint"]


def legend(values: Sequence[dict[str, Any]], *, is_wide: bool) -> str:
    """What the marks of a heat map mean, of the marks that it has."""
    parts = ["In brackets: samples / cells."] if is_wide else []
    parts.append("Blank: no group, or too few cells.")
    if any(row["text"] == CROSS for row in values):
        parts.append("Cross: no value, because no gene was measured or the controls do not vary.")
    if any(row["is_faint"] and row["text"] != CROSS for row in values):
        parts.append("Faded, with a dashed border: a study measured fewer than half of the genes.")
    return " ".join(parts)
