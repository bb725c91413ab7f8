"""Scores of several signatures as a data frame beside `adata.obs`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Unpack

import numpy as np
import pyarrow as pa

from sigdb.answers import pandas_module
from sigdb.errors import ObsError, QueryError, listed, nearest
from sigdb.scores.engine import Terms, attributed_mask, open_cursor, resolve_terms, score_vector
from sigdb.scores.options import SignatureOptions, check_list, check_options
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
    **options: Unpack[SignatureOptions],
) -> pd.DataFrame:
    """Score several signatures in every cell, one column per signature.

    With `obs`, the result has the rows of `obs` in its order, ready for ``adata.obs.join(...)`` or ``adata.obsm``. A
    row of `obs` stands for the cell of the atlas that has its barcode and its sample.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    signatures : sequence of str or Signature
        Names of signatures of the atlas's library, or `sigdb.Signature` objects.
    obs : pandas.DataFrame, optional
        ``adata.obs``, with the barcodes as index. Without it, the result has one row for each cell that the run has
        attributed, indexed by cell_id.
    sample : str, optional
        The column of `obs` that holds the sample. None: match by the barcode alone.
    study : str, optional
        Match cells of this study only.
    unmatched : {'error', 'nan'}
        What happens to rows of `obs` that are not in the atlas: an error, or scores that are NaN.
    **options
        agg, missing, run, signed, measured_only: see `sigdb.ScoreOptions`. Weights come with the signatures.

    Returns
    -------
    pandas.DataFrame
        (n_cells, n_signatures) float64, NaN where a cell has no score. Units as for `sigdb.score`.

    Raises
    ------
    ObsError
        If rows of `obs` are not in the atlas, or match several of its cells.
    QueryError
        If a signature or an option cannot be used.
    MissingDependencyError
        If pandas is not installed.

    Examples
    --------
    >>> scores = sigdb.score_matrix(con, ["MS1", sigdb.Signature("T cell", ("CD3D", "CD3E"))], missing="ignore")
    >>> list(scores.columns), scores.index.name
    (['MS1', 'T cell'], 'cell_id')
    """
    pandas = pandas_module()
    check_list("signatures", signatures)
    check_options(score_matrix, options, SignatureOptions)
    names = [each.name if isinstance(each, Signature) else each for each in signatures]
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise QueryError(f"These signatures are given more than once: {listed(repeated)}.")
    if not names:
        raise QueryError("There are no signatures to score. Give at least one.")
    with open_cursor(con) as cursor:
        terms = [terms_of(cursor, each, options) for each in signatures]
        if obs is None:
            cells = np.flatnonzero(attributed_mask(cursor, terms[0].run))
            index = pandas.Index(cells, name="cell_id")
        else:
            cells, index = match_cells(cursor, obs, sample=sample, study=study, unmatched=unmatched), obs.index
        columns = {
            name: gather_scores(score_vector(cursor, each), cells) for name, each in zip(names, terms, strict=True)
        }
    frame: pd.DataFrame = pandas.DataFrame(columns, index=index)
    return frame


def terms_of(cursor: duckdb.DuckDBPyConnection, signature: str | Signature, options: SignatureOptions) -> Terms:
    """The terms of a signature: a name of the library, or a `Signature`."""
    if isinstance(signature, str):
        return resolve_terms(cursor, signature=signature, **options)
    return resolve_terms(cursor, signature.genes, weights=signature.weights, **options)


def match_cells(
    cursor: duckdb.DuckDBPyConnection, obs: pd.DataFrame, *, sample: str | None, study: str | None, unmatched: str
) -> NDArray[np.int64]:
    """The cell_id of each row of obs: (n_rows,), -1 for rows that are not in the atlas."""
    if unmatched not in ("error", "nan"):
        raise QueryError(f"`unmatched` must be 'error' or 'nan', not {unmatched!r}.")
    if sample is not None and sample not in obs:
        raise ObsError(
            f"obs has no column {sample!r}.{nearest(sample, map(str, obs.columns))} `sample` names the column that "
            "holds the sample. With `sample=None`, cells match by the barcode alone, within `study` if it is given."
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
            f"{len(several)} of {len(obs)} rows of obs match several cells of the atlas ({listed(several, 3)}). "
            f"Name their study with `study`{' or their samples with `sample`' if sample is None else ''}."
        )
    unknown = [obs.index[position] for position, _, count in rows if count == 0]
    if unknown and unmatched == "error":
        raise ObsError(
            f"{len(unknown)} of {len(obs)} rows of obs are not cells of the atlas ({listed(unknown, 3)}). Their barcode"
            f"{f' and {sample}' if sample else ''} must be as in the view cells"
            f"{f', in study {study}' if study else ''}. `unmatched='nan'` leaves them without a score."
        )
    return np.array([-1 if cell is None else cell for _, cell, _ in rows], np.int64)


def gather_scores(scores: NDArray[np.float64], cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """The scores of cells; NaN for -1 and for cells beyond the last that has a score."""
    known = (cells >= 0) & (cells < len(scores))
    out = np.full(len(cells), np.nan)
    out[known] = scores[cells[known]]
    return out
