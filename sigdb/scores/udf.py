"""The SQL function `signature_score_py(cell_id, signature)`: it scores the whole atlas once, then looks cells up."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Unpack

import duckdb
import numpy as np
import pyarrow as pa

from sigdb.errors import AtlasError, QueryError, SignatureError
from sigdb.scores.engine import Terms, open_cursor, resolve_terms, score_vector
from sigdb.scores.members import find_signature, text_list
from sigdb.scores.options import SignatureOptions, check_options
from sigdb.statements import run_statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["register", "register_signature"]

# The most memory for score vectors, at 4 bytes per cell: enough for 12 signatures of 22 million cells.
CACHE_BYTES = 1 << 30
NAME = "signature_score_py"


class Scorer:
    """The function in one DuckDB instance: its connections, the signatures it knows by name, and score vectors."""

    def __init__(self) -> None:
        """Start without a connection, a signature or a vector."""
        self.lock = Lock()
        self.connections: list[weakref.ref[duckdb.DuckDBPyConnection]] = []
        self.signatures: dict[str, Terms] = {}
        self.vectors: OrderedDict[tuple[object, ...], NDArray[np.float32]] = OrderedDict()

    def __call__(self, cell_id: pa.ChunkedArray, signature: pa.ChunkedArray) -> pa.Array:
        """The scores of a batch of rows; null if the cell or the signature is null, or if the cell has no score."""
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
        """The scores of a signature in every cell, by cell_id; NaN where a cell has no score."""
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
        """The terms of a signature of the library, or of a gene, with default options."""
        with self.cursor() as cursor:
            try:
                return resolve_terms(cursor, name)
            except QueryError as error:
                raise QueryError(f"{error} `sigdb.register_signature(con, name, genes)` adds one to {NAME}.") from error

    def release(self, reference: weakref.ref[duckdb.DuckDBPyConnection]) -> None:
        """Forget a closed connection, and all scores if it was the last."""
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
        raise QueryError(f"{NAME} needs an open connection. Every connection that `sigdb.register(con)` saw is closed.")


# The scorers of each atlas file, the newest last. They are never removed: DuckDB keeps the function until the database
# is closed, but it keeps a reference to the Python object only until the connection that registered it is closed.
scorers: dict[str, list[Scorer]] = {}


def register(con: duckdb.DuckDBPyConnection) -> None:
    """Add ``signature_score_py(cell_id BIGINT, signature VARCHAR) -> FLOAT`` to the SQL of a read-only connection.

    The function scores a signature in the whole atlas when it first meets its name, and then looks each cell up. It
    suits queries with many rows, and repeated use of the same signatures. The score is NULL for a cell that the run
    has not attributed. `sigdb.connect` registers the function on the read-only connections that it returns.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A read-only connection to an atlas. Other connections to the same database in this process get the function
        too.

    Raises
    ------
    AtlasError
        If the connection is open for writing: scores could change without the function's knowledge.
    QueryError
        If the connection has no atlas.

    Notes
    -----
    Units are as for `sigdb.score`. Scores are rounded to FLOAT. Up to 1 GiB of scores stay in memory, for the most
    recently used signatures.

    Examples
    --------
    >>> sigdb.register(con)
    >>> query = "SELECT count(signature_score_py(cell_id, 'HALLMARK_HYPOXIA')) > 0 FROM cells"
    >>> con.execute(query).fetchone()
    (True,)
    """
    with open_cursor(con) as cursor:
        ((path, read_only),) = run_statement(cursor, "atlas/inspect.current_file")
    if not read_only:
        raise AtlasError(
            f"{NAME} needs a read-only connection, because it would not notice that scores have changed. "
            "`sigdb.connect(path)` opens one."
        )
    scorer = Scorer()
    try:
        # Strings, because the enumerations are in different modules in DuckDB 1.4 and 2.0.
        con.create_function(  # type: ignore[call-overload]
            NAME, scorer, ["BIGINT", "VARCHAR"], "FLOAT", type="arrow", null_handling="special"
        )
        scorers.setdefault(path, []).append(scorer)
    except (duckdb.CatalogException, duckdb.NotImplementedException):
        # Another connection has registered the function in this instance. Its scorer serves this connection too.
        scorer = scorers[path][-1]
    scorer.connections.append(weakref.ref(con, scorer.release))


def register_signature(
    con: duckdb.DuckDBPyConnection,
    name: str,
    genes: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
    **options: Unpack[SignatureOptions],
) -> None:
    """Give ``signature_score_py`` a signature by name, for this process.

    A second signature of the same name replaces the first.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection that has the function, from `sigdb.connect` or after `sigdb.register`.
    name : str
        The name by which SQL calls the signature.
    genes : sequence of str, optional
        Its genes. Without them, `name` is a signature of the atlas's library, to be scored with these options.
    weights : sequence of float, optional
        One weight per gene.
    **options
        agg, missing, run, signed, measured_only: see `sigdb.ScoreOptions`.

    Raises
    ------
    SignatureError
        If genes are given and the library has a signature of this name.
    QueryError
        If the function is not registered, or if the genes or the options cannot be used.

    Examples
    --------
    >>> sigdb.register_signature(con, "T cell", ["CD3D", "CD3E"], [2, 1])
    >>> con.execute("SELECT signature_score_py(0, 'T cell') = signature_score_py(0, 'T cell')").fetchone()
    (True,)
    """
    check_options(register_signature, options, SignatureOptions)
    with open_cursor(con) as cursor:
        ((path, _),) = run_statement(cursor, "atlas/inspect.current_file")
        if path not in scorers:
            raise QueryError(f"This connection has no {NAME}. `sigdb.connect(path)` or `sigdb.register(con)` adds it.")
        if genes is not None and (taken := find_signature(cursor, name)):
            raise SignatureError(f"The library of this atlas has a signature {taken!r}. Choose another name.")
        members = name if genes is None else text_list("genes", genes)
        terms = resolve_terms(cursor, members, weights=weights, **options)
    scorer = scorers[path][-1]
    with scorer.lock:
        scorer.signatures[name] = terms
