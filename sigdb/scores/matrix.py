"""Scores of several signatures as a data frame beside `adata.obs`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sigdb.errors import MissingDependencyError, ObsError, QueryError, listed
from sigdb.scores.engine import Terms, attributed, open_cursor, resolve, score_vector
from sigdb.signatures import Signature
from sigdb.statements import run_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["score_matrix"]


def score_matrix(
    con: duckdb.DuckDBPyConnection,
    signatures: Sequence[str | Signature],
    obs: pd.DataFrame | None = None,
    *,
    sample: str | None = "sample",
    study: str | None = None,
    unmatched: str = "error",
    **options: Any,
) -> pd.DataFrame:
    """Score several signatures in every cell, one column a signature.

    signatures: names of the atlas's library, or `Signature`s. options: agg, missing, run, signed, measured_only, as for
    `score`, whose units and errors hold here too.
    obs: `adata.obs`; the result then has its rows, in its order, ready for `adata.obs.join(...)` or `adata.obsm`. A
    row is the cell of the atlas with its barcode (the index) and its sample (the column `sample` of obs; None: the
    barcode alone decides), within `study` if given. unmatched: 'error', or 'nan' for rows that are not in the atlas.
    Without obs: a row for each cell that the run has attributed, indexed by cell_id.

    Returns float64 (n_cells, n_signatures), NaN where a cell has no score. Needs pandas. Raises ObsError where rows are
    not in the atlas, or mean several cells of it.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingDependencyError(
            "score_matrix returns a pandas data frame, and pandas is not installed: pip install pandas"
        ) from error
    names = [each.name if isinstance(each, Signature) else each for each in signatures]
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise QueryError(f"Asked for more than once: {listed(repeated)}.")
    if not names:
        raise QueryError("There are no signatures to score. Give at least one.")
    with open_cursor(con) as cursor:
        terms = [terms_of(cursor, each, **options) for each in signatures]
        if obs is None:
            cells = np.flatnonzero(attributed(cursor, terms[0].run))
            index = pd.Index(cells, name="cell_id")
        else:
            cells, index = match_cells(cursor, obs, sample=sample, study=study, unmatched=unmatched), obs.index
        columns = {name: take(score_vector(cursor, each), cells) for name, each in zip(names, terms, strict=True)}
    return pd.DataFrame(columns, index=index)


def terms_of(cursor: duckdb.DuckDBPyConnection, signature: str | Signature, **options: Any) -> Terms:
    """The terms of a signature of the library, by name, or of one given."""
    if isinstance(signature, str):
        return resolve(cursor, signature=signature, **options)
    return resolve(cursor, signature.genes, weights=signature.weights, **options)


def match_cells(
    cursor: duckdb.DuckDBPyConnection, obs: pd.DataFrame, *, sample: str | None, study: str | None, unmatched: str
) -> NDArray[np.int64]:
    """The cell_id of each row of obs: (n_rows,), -1 for those that are not in the atlas."""
    if unmatched not in ("error", "nan"):
        raise QueryError(f"unmatched must be 'error' or 'nan', not {unmatched!r}.")
    if sample is not None and sample not in obs:
        raise ObsError(
            f"obs has no column {sample!r}. Name the one that holds the sample (sample=...), or match by the barcode "
            "alone (sample=None), if need be within a study (study=...)."
        )
    keys = {
        "position": np.arange(len(obs)),
        "barcode": pa.array(obs.index.astype(str), pa.string()),
        "sample": pa.nulls(len(obs), pa.string()) if sample is None else pa.array(obs[sample].astype(str), pa.string()),
    }
    rows = run_statement(cursor, "scores/matrix.match_cells", {"study": study}, sigdb_obs=pa.table(keys))
    several = [obs.index[position] for position, _, count in rows if count > 1]
    if several:
        raise ObsError(
            f"{len(several)} of {len(obs)} rows of obs could be several cells of the atlas ({listed(several, 3)}). "
            "Name their study (study=...)" + (" or their sample (sample=...)." if sample is None else ".")
        )
    none = [obs.index[position] for position, _, count in rows if count == 0]
    if none and unmatched == "error":
        raise ObsError(
            f"{len(none)} of {len(obs)} rows of obs are not cells of the atlas ({listed(none, 3)}): barcode"
            + (f" and {sample}" if sample else "")
            + (f" within study {study}" if study else "")
            + " must be as in the view `cells`. unmatched='nan' leaves them without a score."
        )
    return np.array([-1 if cell is None else cell for _, cell, _ in rows], np.int64)


def take(scores: NDArray[np.float64], cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """The scores of cells; NaN for -1 and for cells beyond the last that has a score."""
    known = (cells >= 0) & (cells < len(scores))
    out = np.full(len(cells), np.nan)
    out[known] = scores[cells[known]]
    return out
