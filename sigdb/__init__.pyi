from .answers import Answer
from .atlas.optimize import optimize
from .atlas.upgrade import upgrade
from .atlas.verify import verify
from .atlas.writer import Atlas
from .connection import connect
from .dialects import spark as spark
from .dialects.transpile import transpile
from .errors import SigdbError
from .findings import plots as plots
from .findings.compare import Comparison, compare
from .findings.expression import against_expression
from .findings.gene_compare import GeneComparison, GeneStudy, gene_compare
from .findings.groups import embedding, gene_dots, group_scores, score_bins
from .findings.hits import Hits, hits
from .findings.leading import LeadingGenes, leading_genes
from .findings.nulls import Null, matched_null
from .findings.ranks import rank_signatures
from .findings.top import top_genes
from .lake.export import export_lake
from .lake.open import attach_lake
from .lake.restore import import_lake
from .scores.engine import score
from .scores.matrix import annotate, score_matrix
from .scores.options import ScoreOptions
from .scores.udf import register, register_signature
from .signatures import Signature, read_signatures

__all__ = [
    "Answer",
    "Atlas",
    "Comparison",
    "GeneComparison",
    "GeneStudy",
    "Hits",
    "LeadingGenes",
    "Null",
    "ScoreOptions",
    "SigdbError",
    "Signature",
    "against_expression",
    "annotate",
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
    "optimize",
    "plots",
    "rank_signatures",
    "read_signatures",
    "register",
    "register_signature",
    "score",
    "score_bins",
    "score_matrix",
    "spark",
    "top_genes",
    "transpile",
    "upgrade",
    "verify",
]
