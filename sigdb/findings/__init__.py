"""From scores to findings: hits, comparisons, nulls, leading genes, charts, reports."""

import lazy_loader

# `sigdb.plots` is this module.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=["plots"])
