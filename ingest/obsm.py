"""Embeddings of a study's cells (obsm), kept as two columns of obs each: umap_1 and umap_2 of X_umap."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
from scipy.sparse import issparse

from sigdb.errors import ObsError, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["with_embeddings"]


def with_embeddings(obs: pd.DataFrame, obsm: Mapping[str, Any], keys: Sequence[str]) -> pd.DataFrame:
    """Add the first two dimensions of each embedding to obs: those of X_umap as umap_1 and umap_2; NaN is no position.

    obsm: arrays (n_cells, 2 or more), or elements of an open file that hold them. Raises ObsError for an embedding that
    is not there, or is not such an array, and for a name that obs has already.
    """
    added: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {}
    for key in keys:
        if key not in obsm:
            near = difflib.get_close_matches(key, list(obsm), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ObsError(f"obsm has no {key!r}.{hint} It has: {listed(sorted(obsm)) or 'nothing'}.")
        values = dense(obsm[key], key)
        if values.ndim != 2 or len(values) != len(obs) or values.shape[1] < 2:
            raise ObsError(f"obsm {key!r} is of shape {values.shape}; an embedding of {len(obs)} cells is two columns.")
        name = key.removeprefix("X_")
        added |= {f"{name}_{number}": values[:, number - 1].astype(np.float64) for number in (1, 2)}
    if taken := [name for name in added if name.lower() in {str(column).lower() for column in obs}]:
        raise ObsError(f"obs has columns called {listed(taken)} already: leave out --obsm, or rename them.")
    return pd.concat([obs, pd.DataFrame(added, index=obs.index)], axis=1)


def dense(element: Any, key: str) -> np.ndarray[Any, np.dtype[Any]]:
    """An element of obsm as an array, read if it is of an open file; ObsError if it holds anything but numbers."""
    values = element if isinstance(element, np.ndarray | pd.DataFrame) else anndata.io.read_elem(element)
    array = np.empty(0) if issparse(values) else np.asarray(values)
    if not np.issubdtype(array.dtype, np.number):
        raise ObsError(f"obsm {key!r} holds {array.dtype}, not numbers.")
    return array
