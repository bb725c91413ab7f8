"""The page of a check: the verdict, charts and tables."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sigdb.findings.page import Section, check_is_page, write_page
from sigdb.findings.plots.theme import GREY, PALETTE, Spec, column, columns, style, tooltip

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import pyarrow as pa

    from ingest.check.check import ModelCheck
    from sigdb.findings.page import Page

__all__ = ["write_check"]

EXPLANATIONS = {
    "recognition": "Each cell's counts are split at random into two halves. A model that knows cells finds the second "
    "half of a cell among those of all cells by the first half. A copy with shuffled weights is the comparison.",
    "deletion": "A cell's expressed genes are deleted from its counts, the first in the order first. Lower is better. "
    "Signed attribution is for information: scores are absolute.",
    "insertion": "A cell's expressed genes are given to an empty cell, the first in the order first. Higher is better.",
    "infidelity": "Genes are deleted at random. Attributions should predict how much f changes. 0: they do. 1: they "
    "say nothing. Each cell's attributions are scaled to predict best (Captum).",
    "shuffled weights": "The weights of layers are permuted, from the embedding to the genes. The explanation "
    "should change.",
    "steps doubled": "Twice the steps should change next to nothing. The L1 distance is 2 at most.",
    "baseline changed": "The baseline is the mean cell of the sample instead of an empty cell. For information.",
    "summation changed": "Another scalar of the embedding is explained. For information.",
    "checkpoints": "Other checkpoints should be explained by the same genes.",
}
COLOURS = {
    "attribution": PALETTE[0],
    "signed attribution": PALETTE[4],
    "attribution with all weights shuffled": PALETTE[3],
    "expression": PALETTE[1],
    "random": GREY,
}


def write_check(found: ModelCheck, path: str | os.PathLike[str]) -> Page:
    """Write a check as one self-contained page."""
    check_is_page(path)
    method = found.method
    about = f"{method.name} with the summation {method.summation}, {'; '.join(found.notes)}, sigdb "
    about += version("sigdb-atlas") + "."
    return write_page(path, f"Explanation of {found.model}", about, list(sections_of(found)), [found.verdict])


def sections_of(found: ModelCheck) -> Iterator[Section]:
    """The verdict, and a section for each test."""
    caution = "The tests ask whether attributions describe the model. They do not ask whether the model is right."
    rows = found.table.to_pylist()
    must_hold = [row["needs"] is not None for row in rows]
    yield Section("Verdict", caution, tables={"Tests that must hold": found.table.filter(must_hold)})
    for test in dict.fromkeys(row["test"] for row in rows):
        own = found.table.filter([row["test"] == test for row in rows]).drop_columns(["test"])
        name = test.capitalize()
        yield Section(name, EXPLANATIONS[test], charts={name: chart_of(found, test, own)}, tables={name: own})


def chart_of(found: ModelCheck, test: str, own: pa.Table) -> Spec:
    """The chart of a test: curves for deletion and insertion, bars for the rest."""
    if test in ("deletion", "insertion"):
        return curve_chart([row for row in found.curves.to_pylist() if row["test"] == test], test)
    return bar_chart([row for row in own.to_pylist() if row["value"] is not None], test)


def curve_chart(values: list[dict[str, Any]], test: str) -> Spec:
    """Draw the mean similarity of cells to themselves by the share of their genes."""
    done = {"deletion": "deleted", "insertion": "inserted"}[test]
    fraction = column("fraction:Q", title=f"share of a cell's expressed genes {done}", axis={"format": "%"})
    colours = {"domain": list(COLOURS), "range": list(COLOURS.values())}
    chart = {
        "data": {"values": values},
        "mark": {"type": "line", "point": True},
        "width": 420,
        "height": 280,
        "encoding": {
            "x": fraction,
            "y": column("similarity:Q", title="cosine similarity to the whole cell", scale={"zero": False}),
            "color": column("order:N", title="genes in the order of", scale=colours, legend={"labelLimit": 300}),
            "tooltip": [column("order:N"), tooltip("fraction", ".0%"), tooltip("similarity", ".3f")],
        },
    }
    return style(chart, test.capitalize(), ["Mean over cells."])


def bar_chart(values: list[dict[str, Any]], test: str) -> Spec:
    """Draw the measures of a test as bars."""
    chart = {
        "data": {"values": values},
        "mark": {"type": "bar", "color": PALETTE[0]},
        "width": 360,
        "height": {"step": 22},
        "encoding": {
            "x": column("value:Q", title=None),
            "y": column("measure:N", title=None, sort=None, axis={"labelLimit": 420}),
            "tooltip": [column("measure:N"), tooltip("value", ".3f"), *columns("needs:N", "holds:N")],
        },
    }
    return style(chart, test.capitalize(), ["Medians over cells, or shares of cells."])
