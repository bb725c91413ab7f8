"""sigdb: gene-signature search in single-cell attribution atlases, in SQL.

`connect` opens an atlas and returns a plain DuckDB connection; the macros (`signature_score` and its kin) are in the
file itself. `Atlas` opens or makes one for writing.
"""

from sigdb.atlas import Atlas
from sigdb.connection import connect
from sigdb.errors import SigdbError
from sigdb.signatures import Signature, read_signatures

__all__ = ["Atlas", "SigdbError", "Signature", "connect", "read_signatures"]
