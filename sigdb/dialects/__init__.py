"""The SQL of an atlas in the dialects of other engines."""

import lazy_loader

# `sigdb.spark` is this module.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=["spark"])
