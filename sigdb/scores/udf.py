"""`signature_score_py(cell_id, signature)`: scores of the whole atlas computed once, then gathered, inside SQL."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa

from sigdb.errors import AtlasError, QueryError, SignatureError
from sigdb.scores.engine import Terms, open_cursor, resolve, score_vector
from sigdb.statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["CACHE_BYTES", "register", "register_signature"]

# At most this much memory holds vectors of scores, 4 bytes a cell each: 12 signatures of 22 million cells.
CACHE_BYTES = 1 << 30
NAME = "signature_score_py"


class Scorer:
    """What stands behind the function in one DuckDB instance: its connections, named signatures and score vectors."""

    def __init__(self) -> None:
        """Start without a connection, a signature or a vector."""
        self.lock = Lock()
        self.connections: list[weakref.ref[duckdb.DuckDBPyConnection]] = []
        self.signatures: dict[str, Terms] = {}
        self.vectors: OrderedDict[tuple[object, ...], NDArray[np.float32]] = OrderedDict()

    def __call__(self, cell_id: pa.ChunkedArray, signature: pa.ChunkedArray) -> pa.Array:
        """The scores of a batch of rows; null where the cell or the signature is, or the cell has no score."""
        names = signature.combine_chunks().dictionary_encode()
        cells = cell_id.combine_chunks().fill_null(-1).to_numpy(zero_copy_only=False)
        which = names.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        out = np.full(len(cells), np.nan, np.float32)
        for index, name in enumerate(names.dictionary.to_pylist()):
            vector = self.vector(name)
            rows = (which == index) & (cells >= 0) & (cells < len(vector))
            out[rows] = vector[cells[rows]]
        return pa.array(out, pa.float32(), from_pandas=True)

    def vector(self, name: str) -> NDArray[np.float32]:
        """The scores of a signature in every cell, by cell_id; NaN where a cell has none."""
        with self.lock:
            terms = self.signatures.get(name)
            if terms is None:
                terms = self.signatures[name] = self.library_terms(name)
            if terms.key not in self.vectors:
                with self.cursor() as cursor:
                    self.vectors[terms.key] = score_vector(cursor, terms).astype(np.float32)
            self.vectors.move_to_end(terms.key)
            while len(self.vectors) > 1 and sum(each.nbytes for each in self.vectors.values()) > CACHE_BYTES:
                self.vectors.popitem(last=False)
            return self.vectors[terms.key]

    def library_terms(self, name: str) -> Terms:
        """The terms of a signature of the library, with the options that a score has if none are given."""
        with self.cursor() as cursor:
            try:
                return resolve(cursor, signature=name)
            except QueryError as error:
                raise QueryError(
                    f"{error} sigdb.register_signature(con, name, ...) gives {NAME} another signature, or options "
                    "such as missing='ignore' for one of the library."
                ) from error

    def release(self, reference: weakref.ref[duckdb.DuckDBPyConnection]) -> None:
        """Forget a connection that is gone, and with the last one all scores."""
        self.connections.remove(reference)
        if not self.connections:
            self.vectors.clear()

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of any connection that is still open."""
        for reference in self.connections:
            con = reference()
            if con is None:
                continue
            try:
                cursor = open_cursor(con)
            except QueryError:
                continue
            with cursor:
                yield cursor
            return
        raise QueryError(f"{NAME} needs a connection that sigdb.register has seen and that is still open.")


# By atlas file, the latest last. None is ever let go: DuckDB keeps the function until the database is closed, but a
# reference to the Python object only until the connection is that registered it.
scorers: dict[str, list[Scorer]] = {}


def register(con: duckdb.DuckDBPyConnection) -> None:
    """Add `signature_score_py(cell_id BIGINT, signature VARCHAR) -> FLOAT` to the SQL of a connection to an atlas.

    It scores a signature of the library, or one that `register_signature` has named, in the whole atlas when it first
    meets it, and then looks each cell up: for many rows, and for the same signature again. NULL for a cell that the
    run has not attributed. Units as for `score`, rounded to FLOAT. At most CACHE_BYTES of scores are kept, those used
    last. The function belongs to the open database: other connections to it in this process see it too. `connect` has
    registered it already on the read-only connections that it returns.

    Raises AtlasError if the connection is open for writing (scores could change behind the function's back), and
    QueryError if it is to no atlas.
    """
    with open_cursor(con) as cursor:
        ((path, read_only),) = cursor.execute(statement("atlas/inspect.current_file")).fetchall()
    if not read_only:
        raise AtlasError(f"{NAME} is for read-only connections: on this one the scores could change behind it.")
    scorer = Scorer()
    try:
        # Words, not enumerations: those are in another module of DuckDB 1.4 than of 2.0.
        con.create_function(  # type: ignore[call-overload]
            NAME, scorer, ["BIGINT", "VARCHAR"], "FLOAT", type="arrow", null_handling="special"
        )
        scorers.setdefault(path, []).append(scorer)
    except (duckdb.CatalogException, duckdb.NotImplementedException):
        # The instance has it from another connection: that one's scorer serves this one too.
        scorer = scorers[path][-1]
    scorer.connections.append(weakref.ref(con, scorer.release))


def register_signature(
    con: duckdb.DuckDBPyConnection,
    name: str,
    genes: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
    *,
    agg: str = "mean",
    missing: str = "error",
    run: str | int | None = None,
    signed: bool = False,
    measured_only: bool = False,
) -> None:
    """Give `signature_score_py` a signature by name, for this process; a name given before is replaced.

    Without genes: the signature of that name of the atlas's library, to be scored with these options. Options and
    errors as for `score`. Raises SignatureError if genes are given for a name that the library has, and QueryError if
    the function is not registered (`register`).
    """
    with open_cursor(con) as cursor:
        ((path, _),) = cursor.execute(statement("atlas/inspect.current_file")).fetchall()
        if path not in scorers:
            raise QueryError(f"This connection has no {NAME}. sigdb.connect(path) or sigdb.register(con) adds it.")
        known = cursor.execute(statement("scores/udf.signature_names")).fetchall()
        if genes is not None and (name,) in known:
            raise SignatureError(f"The library of this atlas has a signature {name!r}. Choose another name.")
        terms = resolve(
            cursor,
            genes,
            signature=name if genes is None else None,
            weights=weights,
            agg=agg,
            missing=missing,
            run=run,
            signed=signed,
            measured_only=measured_only,
        )
    scorer = scorers[path][-1]
    with scorer.lock:
        scorer.signatures[name] = terms
