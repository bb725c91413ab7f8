"""sigdb: gene-signature search in single-cell attribution atlases, in SQL.

`connect` opens an atlas and returns a plain DuckDB connection. The macros, such as `signature_score`, are in the file
itself. `score` and `score_matrix` compute the scores of all cells in Python. `register` and `register_signature` make
scores available in SQL as a function. `hits`, `compare`, `gene_compare`, `matched_null` and `leading_genes` turn scores
into findings, and `plots` draws them. `Atlas` opens or creates an atlas for writing; `upgrade`, `optimize` and
`verify` maintain it. `export_lake` writes an atlas as a lake, which consists of Parquet files. `connect` opens a lake
too. `transpile` and `spark` bring queries to other engines.
"""

import lazy_loader

# The names are in __init__.pyi, where type checkers read them too. Each is imported when it is first used. The command
# line therefore starts fast, and only the functions that use an optional package need it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
