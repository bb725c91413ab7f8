"""sigdb: gene-signature search in single-cell attribution atlases, in SQL.

`connect` opens an atlas and returns a plain DuckDB connection; the macros (`signature_score` and its kin) are in the
file itself. `score` and `score_matrix` compute the scores of all cells in Python, `register` and `register_signature`
bring them into SQL as a function. `hits`, `compare`, `gene_compare`, `matched_null` and `leading_genes` make findings
of scores. `Atlas` opens or makes an atlas for writing. `export_lake` writes one as Parquet,
which `connect` opens as well.
"""

import lazy_loader

# The names are in __init__.pyi, where type checkers read them too. Each is imported when it is first used, so that the
# command line starts fast and a missing extra is only missed where it is needed.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
