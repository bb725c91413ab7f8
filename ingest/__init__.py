"""Make atlases: read AnnData, explain a model's embedding of every cell, write the attributions into the atlas.

Importing this package imports neither torch nor anndata; the functions that need them do.
"""
