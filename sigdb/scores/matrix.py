"""Scores of several signatures in the cells of an AnnData object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias, Unpack

import numpy as np
import pyarrow as pa

from sigdb.answers import pandas_module
from sigdb.errors import ObsError, QueryError, listed, nearest
from sigdb.scores.engine import attributed_mask, open_cursor, resolve_terms, score_vector
from sigdb.scores.members import name_of
from sigdb.scores.options import SignatureOptions, check_options
from sigdb.signatures import Signature
from sigdb.statements import run_statement

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from sigdb.scores.members import Genes

__all__ = ["annotate", "score_matrix"]

# What a public function takes as `signatures`.
Signatures: TypeAlias = "Iterable[str | Signature] | Mapping[str, Genes] | str | Signature"


def score_matrix(
    con: duckdb.DuckDBPyConnection,
    signatures: Signatures,
    obs: pd.DataFrame | AnnData | None = None,
    *,
    sample: str | None = "sample",
    study: str | None = None,
    unmatched: str = "error",
    **options: Unpack[SignatureOptions],
) -> pd.DataFrame:
    """Score several signatures in every cell, one column per signature.

    With `obs`, the result has the rows of `obs` in its order. A row stands for the cell of the atlas that has its
    barcode and its sample. `sigdb.annotate` writes the scores into an AnnData object.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    signatures : list of str or Signature, or mapping
        Names of signatures of the library or of genes, or `sigdb.Signature` objects; or ``{name: genes}``, with genes
        as for `sigdb.score`. One name or one `Signature` may stand without a list.
    obs : pandas.DataFrame or anndata.AnnData, optional
        ``adata`` or ``adata.obs``, with the barcodes as index. Without it, the result has one row for each cell that
        the run has attributed, indexed by cell_id.
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
    >>> scores = sigdb.score_matrix(con, ["MS1", sigdb.Signature("T cell", ("CD3D", "CD3E"))])
    >>> list(scores.columns), scores.index.name
    (['MS1', 'T cell'], 'cell_id')
    """
    pandas = pandas_module()
    check_options(score_matrix, options, SignatureOptions)
    named = named_signatures(signatures)
    with open_cursor(con) as cursor:
        terms = {name: resolve_terms(cursor, each, **options) for name, each in named.items()}
        if obs is None:
            run = next(iter(terms.values())).run
            cells = np.flatnonzero(attributed_mask(cursor, run))
            index = pandas.Index(cells, name="cell_id")
        else:
            frame = obs_of(obs)
            cells, index = match_cells(cursor, frame, sample=sample, study=study, unmatched=unmatched), frame.index
        columns = {name: gather_scores(score_vector(cursor, each), cells) for name, each in terms.items()}
    scores: pd.DataFrame = pandas.DataFrame(columns, index=index)
    return scores


def annotate(
    con: duckdb.DuckDBPyConnection,
    adata: AnnData,
    signatures: Signatures,
    *,
    obsm: str | None = None,
    overwrite: bool = False,
    sample: str | None = "sample",
    study: str | None = None,
    unmatched: str = "error",
    **options: Unpack[SignatureOptions],
) -> None:
    """Write scores into an AnnData object, one column of ``adata.obs`` per signature.

    ``sc.pl.umap(adata, color="MS1")`` then shows the score. Cells are matched as by `sigdb.score_matrix`.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    adata : anndata.AnnData
        Its ``obs_names`` are the barcodes. It is changed in place.
    signatures : list of str or Signature, or mapping
        As for `sigdb.score_matrix`. The names become the names of the columns.
    obsm : str, optional
        Write all scores into ``adata.obsm`` under this key, such as 'X_sigdb', as one data frame, instead of ``obs``.
    overwrite : bool
        Replace columns, or the entry of ``obsm``, that exist already.
    sample, study, unmatched
        As for `sigdb.score_matrix`. With ``unmatched='nan'``, cells that are not in the atlas get NaN.
    **options
        agg, missing, run, signed, measured_only: see `sigdb.ScoreOptions`.

    Raises
    ------
    ObsError
        If cells are not in the atlas, or match several of its cells, or if a column exists already. `adata` is then as
        it was.
    QueryError
        If a signature or an option cannot be used.

    Examples
    --------
    >>> import anndata
    >>> cells = con.sql("SELECT barcode, sample, study FROM cells WHERE tissue = 'blood'").df().set_index("barcode")
    >>> adata = anndata.AnnData(obs=cells)
    >>> sigdb.annotate(con, adata, ["MS1", "LYZ"])
    >>> list(adata.obs.columns)
    ['sample', 'study', 'MS1', 'LYZ']
    """
    check_options(annotate, options, SignatureOptions)
    names = named_signatures(signatures)
    if hasattr(adata, "columns"):
        raise ObsError(
            "`adata` must be an AnnData object, not a data frame. `sigdb.score_matrix(con, signatures, adata.obs)` "
            "returns the scores of a data frame of cells."
        )
    obs_of(adata)
    place, known, written = ("obs", adata.obs, names) if obsm is None else ("obsm", adata.obsm, [obsm])
    if not overwrite and (taken := [name for name in written if name in known]):
        raise ObsError(
            f"adata.{place} has {listed(taken)} already. Use `overwrite=True` to replace {len(taken)} of "
            f"{len(written)}, or give the signatures other names: `{{name: signature}}`."
        )
    scores = score_matrix(con, names, adata, sample=sample, study=study, unmatched=unmatched, **options)
    if obsm is not None:
        adata.obsm[obsm] = scores
        return
    for name in names:
        adata.obs[name] = scores[name].to_numpy()


def named_signatures(signatures: Signatures) -> dict[str, Genes]:
    """Signatures by name. QueryError if there is none, if one has no name, or if two have the same."""
    if isinstance(signatures, Mapping):
        named = [(name, genes) for name, genes in signatures.items()]
    elif isinstance(signatures, str | Signature):
        named = [(name_of(signatures), signatures)]
    elif isinstance(signatures, Iterable):
        named = [(name_of(each), each) for each in signatures]
    else:
        named = [(None, signatures)]
    if odd := [each for name, each in named if not isinstance(name, str)]:
        raise QueryError(
            f"`signatures` must be names, Signature objects, or `{{name: genes}}`. {len(odd)} of {len(named)} "
            f"{'is' if len(odd) == 1 else 'are'} something else: {listed((f'{each!r:.60}' for each in odd), 3)}."
        )
    if repeated := [name for name, count in Counter(name for name, _ in named).items() if count > 1]:
        raise QueryError(f"These signatures are given more than once: {listed(repeated)}.")
    if not named:
        raise QueryError("There are no signatures to score. Give at least one.")
    return dict(named)


def obs_of(adata: pd.DataFrame | AnnData) -> pd.DataFrame:
    """The cells of an AnnData object, or of its `obs` itself; ObsError for anything else."""
    frame = adata if hasattr(adata, "columns") else getattr(adata, "obs", None)
    if not hasattr(frame, "columns") or not hasattr(frame, "index"):
        raise ObsError(f"Cells must be given as an AnnData object or as its `obs`, not as {type(adata).__name__}.")
    return frame


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
