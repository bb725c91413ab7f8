"""Search for gene signatures in single-cell attribution atlases, in SQL.

`connect` opens an atlas and returns a plain DuckDB connection. The macros, such as `signature_score`, are in the file
itself. The other names are about

- scores in Python: `score`, `score_matrix` and `annotate`. `register` and `register_signature` make scores a function
  in SQL.
- findings: `hits`, `compare`, `gene_compare`, `matched_null`, `leading_genes`, `top_genes`,
  `rank_signatures`, `against_expression`.
- tables for charts: `group_scores`, `score_bins`, `gene_dots`, `embedding`. `plots` draws charts.
- writing: `Atlas` opens or creates an atlas, `read_signatures` reads signatures for its library. `upgrade`, `optimize`
  and `verify` maintain an atlas.
- lakes, which are atlases as Parquet files: `export_lake`, `attach_lake`, `import_lake`. `connect` opens them as well.
- other engines: `transpile` writes a query in another dialect, `spark` runs it on Apache Spark.

Findings and tables are of the class `Answer`. Errors are of the class `SigdbError`.
"""

import lazy_loader

# The names are in __init__.pyi, where type checkers read them too. Each is imported when it is first used. The command
# line therefore starts fast, and only the functions that use an optional package need it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
