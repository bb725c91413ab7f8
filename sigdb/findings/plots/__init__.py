"""Charts of findings, in Vega-Lite (extra `plots`). Each function takes a finding and returns an Altair chart.

A chart keeps the SQL of its data in `usermeta`. The colours are the palette of Okabe and Ito, and viridis, in which
dark means high. Colour-blind people can tell them apart. `save` writes HTML, PNG, SVG or JSON.
"""

from sigdb.findings.plots.distributions import distributions
from sigdb.findings.plots.effects import effects
from sigdb.findings.plots.embedding import embedding
from sigdb.findings.plots.genes import contributions, dots
from sigdb.findings.plots.heat import heat_map
from sigdb.findings.plots.hits import hit_rates
from sigdb.findings.plots.intervals import intervals
from sigdb.findings.plots.null import null_scores
from sigdb.findings.plots.theme import PALETTE as PALETTE
from sigdb.findings.plots.theme import save
from sigdb.findings.plots.top import top_genes
from sigdb.findings.plots.volcano import volcano

__all__ = [
    "contributions",
    "distributions",
    "dots",
    "effects",
    "embedding",
    "heat_map",
    "hit_rates",
    "intervals",
    "null_scores",
    "save",
    "top_genes",
    "volcano",
]
