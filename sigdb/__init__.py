"""sigdb: gene-signature search in single-cell attribution atlases, in SQL.

`connect` opens an atlas and returns a plain DuckDB connection; the macros (`signature_score` and its kin) are in the
file itself. `score` computes the scores of all cells in Python, as a table. `Atlas` opens or makes one for writing.
"""

from sigdb.atlas import Atlas
from sigdb.connection import connect
from sigdb.errors import SigdbError
from sigdb.scores import score
from sigdb.signatures import Signature, read_signatures

__all__ = ["Atlas", "SigdbError", "Signature", "connect", "read_signatures", "score"]
