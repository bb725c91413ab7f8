"""Make atlases: read AnnData, explain a model's embedding of every cell, write the attributions into the atlas.

Importing this package imports neither torch nor anndata; the functions that need them do.
"""

import lazy_loader

# The names are in __init__.pyi, where type checkers read them too. Each is imported when it is first used, so that
# parts of this package work without torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
