"""A baseline from reference cells: their mean profile."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import duckdb
import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from ingest.counts.open import open_counts
from ingest.obs import obs_table
from sigdb.errors import ObsError, QueryError, listed, message

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest.genes import GeneMap
    from ingest.models import CellModel
    from ingest.options import ReferenceCells

__all__ = ["Profile", "mean_profile"]

CHUNK_CELLS = 2048


@dataclass(frozen=True)
class Profile:
    """The point that cells are explained against.

    x: (1, n_genes), as `CellModel.prepare` returns it. description: what the atlas records as the baseline of the run.
    """

    x: csr_matrix
    description: str


# Profiles by reference cells and model, so that a file is read once for all studies.
_profiles: WeakKeyDictionary[ReferenceCells, dict[str, Profile]] = WeakKeyDictionary()


def mean_profile(cells: ReferenceCells, model: CellModel, map_genes: Callable[[tuple[str, ...]], GeneMap]) -> Profile:
    """The mean of the model's input over the reference cells that have counts.

    map_genes: names of columns -> the model's genes among them. Raises QueryError if the condition is not SQL on the
    columns of the cells, ObsError if it is true for no cell with counts, and what `open_counts` raises.
    """
    known = _profiles.setdefault(cells, {})
    if model.sha256 not in known:
        known[model.sha256] = read_profile(cells, model, map_genes)
    return known[model.sha256]


def read_profile(cells: ReferenceCells, model: CellModel, map_genes: Callable[[tuple[str, ...]], GeneMap]) -> Profile:
    """Read the file of the reference cells and compute their mean."""
    with open_counts(cells.path, layer=cells.layer, obs=cells.obs, mapping=cells.mapping) as file:
        obs, _ = obs_table(file.take_obs(), study=cells.path.name, mapping=cells.mapping)
        chosen = choose_cells(obs, cells)
        genes = map_genes(file.var_names)
        total, n_cells = np.zeros(len(model.gene_ids)), 0
        for start in range(0, file.n_cells, CHUNK_CELLS):
            inside = chosen[(chosen >= start) & (chosen < start + CHUNK_CELLS)] - start
            if len(inside):
                x = model.prepare(genes(file.read(start, start + CHUNK_CELLS)[inside]))
                total += np.asarray(x.sum(axis=0, dtype=np.float64)).ravel()
                n_cells += int((np.diff(x.indptr) > 0).sum())
    if not n_cells:
        raise ObsError(f"No cell with counts in {cells.path.name} fulfils {cells.condition!r}, so there is no mean.")
    mean = csr_matrix((total / n_cells).astype(np.float32).reshape(1, -1))
    digest = hashlib.sha256(mean.toarray().tobytes()).hexdigest()[:12]
    return Profile(mean, f"mean of {n_cells} cells of {cells.path.name} where {cells.condition} (sha256 {digest})")


def choose_cells(obs: pa.Table, cells: ReferenceCells) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Row numbers, ascending, of the cells for which the condition is true."""
    numbered = obs.append_column("_number", pa.array(range(len(obs)), pa.int64()))
    with duckdb.connect(config={"enable_external_access": "false"}) as con:
        try:
            chosen = con.from_arrow(numbered).filter(cells.condition).project("_number").fetchnumpy()
        except duckdb.Error as error:
            raise QueryError(
                f"{cells.condition!r} is not a SQL condition on the cells of {cells.path.name}: {message(error)} "
                f"Columns are {listed(obs.column_names, 20)}."
            ) from error
    return np.sort(chosen["_number"])
