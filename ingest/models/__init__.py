"""Model adapters: one file a family, each a function `folder -> CellModel`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ingest.models.core import CellModel, Entry, FeedForward, Normalisation
from ingest.models.mlp import load_mlp, save_mlp
from ingest.models.scimilarity import load_scimilarity
from ingest.models.scvi import load_scvi
from ingest.models.ssl import load_ssl
from sigdb.errors import ModelError, listed

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

__all__ = ["ADAPTERS", "CellModel", "Entry", "FeedForward", "Normalisation", "load_model", "save_mlp"]


def without_covariates(load: Callable[[Path], CellModel]) -> Callable[[Path, Mapping[str, str]], CellModel]:
    """An adapter of models that see genes only."""

    def load_checked(folder: Path, covariates: Mapping[str, str]) -> CellModel:
        if covariates:
            raise ModelError(f"These models see genes only: there is no covariate {listed(covariates)} to fix.")
        return load(folder)

    return load_checked


ADAPTERS: dict[str, Callable[[Path, Mapping[str, str]], CellModel]] = {
    "mlp": without_covariates(load_mlp),
    "scimilarity": without_covariates(load_scimilarity),
    "scvi": load_scvi,
    "ssl": without_covariates(load_ssl),
}


def load_model(
    architecture: str, path: str | os.PathLike[str], covariates: Mapping[str, str] | None = None
) -> CellModel:
    """Load a model folder (or a checkpoint file, for ssl) with the adapter of that name.

    covariates: where an encoder sees more than genes, the value at which to fix each. Raises ModelError if the
    adapter or the folder is unknown, or the files are not those of such a model.
    """
    if architecture not in ADAPTERS:
        raise ModelError(f"No adapter for {architecture!r} models. There are: {', '.join(sorted(ADAPTERS))}.")
    path = Path(path)
    if not path.exists():
        raise ModelError(f"There is no model folder {path}.")
    return ADAPTERS[architecture](path, covariates or {})
