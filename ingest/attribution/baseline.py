"""A baseline other than a cell without expression: the mean profile of reference cells."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from ingest.counts.open import open_counts
from ingest.obs import obs_table
from sigdb.errors import ObsError, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ingest.genes import GeneMap
    from ingest.models import CellModel

__all__ = ["Profile", "ReferenceCells"]

CHUNK_CELLS = 2048


@dataclass(frozen=True)
class Profile:
    """A point to explain cells against. x: (1, n_genes), as the model takes it. description: what a run records."""

    x: csr_matrix
    description: str


@dataclass
class ReferenceCells:
    """The cells of a file whose mean is the baseline.

    condition: SQL, true for the cells that count, on the columns that the view `cells` has of them. path, layer,
    mapping, obs: as of a study that is ingested. An atlas holds no counts, so the cells are read from their file.
    """

    path: Path
    condition: str
    layer: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    obs: Path | None = None
    _profile: Profile | None = None

    def profile(self, model: CellModel, map_genes: Callable[[tuple[str, ...]], GeneMap]) -> Profile:
        """The mean of the cells' inputs to the model; read once. map_genes: var_names -> the model's genes among them.

        Raises ObsError if the condition is no SQL on the cells' columns, or no cell with counts fulfils it.
        """
        if self._profile is None:
            with open_counts(self.path, layer=self.layer, obs=self.obs) as file:
                obs, _ = obs_table(file.take_obs(), study=self.path.name, mapping=self.mapping)
                chosen = self.choose(obs)
                genes = map_genes(file.var_names)
                total, n_cells = np.zeros(len(model.gene_ids)), 0
                for start in range(0, file.n_cells, CHUNK_CELLS):
                    rows = chosen[(chosen >= start) & (chosen < start + CHUNK_CELLS)] - start
                    if len(rows):
                        x = model.prepare(genes(file.rows(start, start + CHUNK_CELLS)[rows]))
                        total += np.asarray(x.sum(axis=0, dtype=np.float64)).ravel()
                        n_cells += int((np.diff(x.indptr) > 0).sum())
            if not n_cells:
                raise ObsError(f"No cell of {self.path.name} with counts fulfils {self.condition!r}: there is no mean.")
            mean = csr_matrix((total / n_cells).astype(np.float32).reshape(1, -1))
            digest = hashlib.sha256(mean.toarray().tobytes()).hexdigest()[:12]
            where = f"mean of {n_cells} cells of {self.path.name} where {self.condition} (sha256 {digest})"
            self._profile = Profile(mean, where)
        return self._profile

    def choose(self, obs: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Numbers of the cells that fulfil the condition, ascending."""
        numbered = obs.append_column("_number", pa.array(range(len(obs)), pa.int64()))
        with duckdb.connect(config={"enable_external_access": "false"}) as con:
            try:
                chosen = con.from_arrow(numbered).filter(self.condition).project("_number").fetchnumpy()
            except duckdb.Error as error:
                reason = str(error).splitlines()[0]
                raise ObsError(
                    f"{self.condition!r} is no condition on the cells of {self.path.name}: {reason} "
                    f"Columns are {listed(obs.column_names, 20)}."
                ) from error
        return np.sort(chosen["_number"])
