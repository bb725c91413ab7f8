"""The chart of the genes that matter most to a group of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigdb.findings.plots.spec import About, Limit, draw, keep_first, keep_numbers, rank_by, specify
from sigdb.findings.plots.theme import ATTRIBUTION, altair_module, by_place, names_axis, tooltip, viridis

if TYPE_CHECKING:
    from sigdb.answers import Answer

__all__ = ["top_genes", "top_genes_spec"]

LEGEND = (
    "Bar: mean attribution over all cells of the group. Faded: the gene was measured in fewer than half of them; the "
    "others count as 0."
)


def top_genes(found: Answer, title: str = "Top genes", n_genes: int = 40) -> Any:
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


def top_genes_spec(n_genes: int = 40) -> Any:
    """The chart of the statement `findings/top_genes`."""
    alt = altair_module()
    details = [tooltip("score", ".3g"), tooltip("fraction_nonzero", ".0%"), "n_cells:Q", "n_measured:Q", "rank:Q"]
    base = alt.Chart(width=440, height=alt.Step(18)).encode(
        y=alt.Y("gene:N", sort=by_place(), title=None, axis=names_axis())
    )
    legend = {"format": ".0%", "offset": 40}
    bars = base.mark_bar(height={"band": 0.8}).encode(
        x=alt.X("score:Q", title=f"mean {ATTRIBUTION}"),
        color=viridis("fraction_nonzero", "cells with the gene", legend=legend, domain=[0, 1]),
        opacity=alt.condition("datum.n_measured < datum.n_cells / 2", alt.value(0.4), alt.value(1)),
        tooltip=["gene:N", *details],
    )
    numbers = base.mark_text(align="left", dx=4, fontSize=10).encode(
        x="score:Q", text=alt.Text("score:Q", format=".3g")
    )
    about = About([LEGEND], ["score"], [Limit(["gene"], n_genes, "score", what="genes")])
    chart = keep_numbers(alt.layer(bars, numbers), about)
    return specify(keep_first(rank_by(chart, "gene", "score", "place"), "place", n_genes), about)
