"""Make atlases: read raw counts, explain a model's embedding of every cell, and store the attributions.

`ingest_files` adds files to an atlas as studies (`Source`), with a model from `load_model` and `IngestOptions`.
Importing this package imports neither torch nor anndata; the functions that need them do.
"""

import lazy_loader

# The names are in __init__.pyi, where type checkers read them too. Each name is imported when it is first used, so that
# parts of this package work without torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
