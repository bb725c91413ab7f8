"""The chart of the genes that matter most to a group of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.findings.plots.spec import About, Limit, draw, keep_first, keep_numbers, specify
from sigdb.findings.plots.theme import (
    ATTRIBUTION,
    Spec,
    by_place,
    column,
    columns,
    names_axis,
    tooltip,
    viridis,
    with_altair,
)

if TYPE_CHECKING:
    from sigdb.answers import Answer

__all__ = ["top_genes", "top_genes_spec"]

LEGEND = (
    "Bar: mean attribution over all cells of the group. Faded: the gene was measured in fewer than half of them; the "
    "others count as 0."
)


@with_altair
def top_genes(found: Answer, title: str = "Top genes", n_genes: int = 40) -> Spec:
    """Draw the mean attribution of the top genes of a group of cells, the highest on top.

    Parameters
    ----------
    found : Answer
        The result of `sigdb.top_genes`.
    title : str
        The title of the chart.
    n_genes : int
        The most genes to show.

    Returns
    -------
    altair.LayerChart
        One bar per gene. The colour is the fraction of cells in which its attribution is not 0; dark means high.

    Examples
    --------
    >>> type(sigdb.plots.top_genes(sigdb.top_genes(con, cell_type="beta"))).__name__
    'LayerChart'
    """
    return draw(top_genes_spec(n_genes), found, title)


def top_genes_spec(n_genes: int = 40) -> Spec:
    """The chart of the statement `findings/top_genes`."""
    shares = viridis("fraction_nonzero", "cells with the gene", legend={"format": ".0%", "offset": 40}, domain=[0, 1])
    numbers = [tooltip("score", ".3g"), tooltip("fraction_nonzero", ".0%")]
    y = column("gene:N", sort=by_place(), title=None, axis=names_axis())
    bars = {
        "mark": {"type": "bar", "height": {"band": 0.8}},
        "encoding": {
            "x": column("score:Q", title=f"mean {ATTRIBUTION}"),
            "y": y,
            "color": shares,
            "opacity": {"condition": {"test": "datum.n_measured < datum.n_cells / 2", "value": 0.4}, "value": 1},
            "tooltip": [column("gene:N"), *numbers, *columns("n_cells:Q", "n_measured:Q", "rank:Q")],
        },
    }
    texts = {
        "mark": {"type": "text", "align": "left", "dx": 4, "fontSize": 10},
        "encoding": {"x": column("score:Q"), "y": y, "text": column("score:Q", format=".3g")},
    }
    about = About([LEGEND], ["score"], [Limit(["gene"], n_genes, "score", what="genes")])
    transform = [*keep_numbers(about), *keep_first("gene", "score", "place", n_genes)]
    return specify({"layer": [bars, texts], "width": 440, "height": {"step": 18}, "transform": transform}, about)
