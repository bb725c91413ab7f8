"""Charts of findings, in Vega-Lite (extra `plots`). Each function takes a finding and returns an Altair chart.

A chart keeps the SQL of its data in `usermeta`. The colours are the palette of Okabe and Ito, and viridis.
Colour-blind people can tell them apart. `save` writes HTML, PNG, SVG or JSON.
"""

from sigdb.findings.plots.comparisons import contributions, effects, null_scores, volcano
from sigdb.findings.plots.groups import distributions, dots, embedding, heat_map, hit_rates
from sigdb.findings.plots.theme import PALETTE as PALETTE
from sigdb.findings.plots.theme import save

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
