"""sigdb: gene-signature search in single-cell attribution atlases, in SQL.

`connect` opens an atlas and returns a plain DuckDB connection; the macros (`signature_score` and its kin) are in the
file itself. `score` and `score_matrix` compute the scores of all cells in Python, `register` and `register_signature`
bring them into SQL as a function. `hits`, `compare`, `gene_compare`, `matched_null` and `leading_genes` make findings
of scores. `Atlas` opens or makes an atlas for writing. `export_lake` writes one as Parquet,
which `connect` opens as well.
"""

from sigdb.atlas import Atlas
from sigdb.compare import Comparison, compare
from sigdb.connection import connect
from sigdb.errors import SigdbError
from sigdb.expression import against_expression
from sigdb.gene_compare import GeneComparison, GeneStudy, gene_compare
from sigdb.groups import embedding, gene_dots, group_scores, score_bins
from sigdb.hits import Hits, hits
from sigdb.lake import attach_lake, export_lake, import_lake
from sigdb.matrix import score_matrix
from sigdb.nulls import Null, leading_genes, matched_null
from sigdb.scores import score
from sigdb.signatures import Signature, read_signatures
from sigdb.transpile import transpile
from sigdb.udf import register, register_signature

__all__ = [
    "Atlas",
    "Comparison",
    "GeneComparison",
    "GeneStudy",
    "Hits",
    "Null",
    "SigdbError",
    "Signature",
    "against_expression",
    "attach_lake",
    "compare",
    "connect",
    "embedding",
    "export_lake",
    "gene_compare",
    "gene_dots",
    "group_scores",
    "hits",
    "import_lake",
    "leading_genes",
    "matched_null",
    "read_signatures",
    "register",
    "register_signature",
    "score",
    "score_bins",
    "score_matrix",
    "transpile",
]
