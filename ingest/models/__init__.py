"""Model adapters: one file a family, each a function `folder -> CellModel`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ingest.models.core import CellModel, Normalisation
from ingest.models.mlp import load_mlp
from ingest.models.scimilarity import load_scimilarity
from sigdb.errors import ModelError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

__all__ = ["ADAPTERS", "CellModel", "Normalisation", "load_model"]

ADAPTERS: dict[str, Callable[[Path], CellModel]] = {"mlp": load_mlp, "scimilarity": load_scimilarity}


def load_model(architecture: str, folder: str | os.PathLike[str]) -> CellModel:
    """Load a model folder with the adapter of that name; ModelError if either is unknown."""
    if architecture not in ADAPTERS:
        raise ModelError(f"No adapter for {architecture!r} models. There are: {', '.join(sorted(ADAPTERS))}.")
    folder = Path(folder)
    if not folder.is_dir():
        raise ModelError(f"There is no model folder {folder}.")
    return ADAPTERS[architecture](folder)
