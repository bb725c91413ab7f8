"""sigdb: gene-signature search in single-cell attribution atlases, in SQL.

`connect` opens an atlas and returns a plain DuckDB connection; the macros (`signature_score` and its kin) are in the
file itself. `score` and `score_matrix` compute the scores of all cells in Python, `register` and `register_signature`
bring them into SQL as a function. `Atlas` opens or makes an atlas for writing.
"""

from sigdb.atlas import Atlas
from sigdb.connection import connect
from sigdb.errors import SigdbError
from sigdb.matrix import score_matrix
from sigdb.scores import score
from sigdb.signatures import Signature, read_signatures
from sigdb.udf import register, register_signature

__all__ = [
    "Atlas",
    "SigdbError",
    "Signature",
    "connect",
    "read_signatures",
    "register",
    "register_signature",
    "score",
    "score_matrix",
]
