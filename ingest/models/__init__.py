"""Models, and the adapters that load them: one module per family of checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ingest.models.core import CellModel, FeedForward, Normalisation
from ingest.models.mlp import load_mlp, save_mlp
from ingest.models.scimilarity import load_scimilarity
from ingest.models.scvi import load_scvi
from ingest.models.ssl import load_ssl
from ingest.options import ARCHITECTURES, check_choice
from sigdb.errors import ModelError, OptionError, listed

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

__all__ = ["ADAPTERS", "CellModel", "FeedForward", "Normalisation", "load_model", "save_mlp"]


def refuse_covariates(load: Callable[[Path], CellModel]) -> Callable[[Path, Mapping[str, str]], CellModel]:
    """The adapter of a family of models that have genes as their only input."""

    def load_checked(folder: Path, covariates: Mapping[str, str]) -> CellModel:
        if covariates:
            raise OptionError(f"These models have only genes as input: leave {listed(covariates)} out of `covariates`.")
        return load(folder)

    return load_checked


ADAPTERS: dict[str, Callable[[Path, Mapping[str, str]], CellModel]] = {
    "mlp": refuse_covariates(load_mlp),
    "scimilarity": refuse_covariates(load_scimilarity),
    "scvi": load_scvi,
    "ssl": refuse_covariates(load_ssl),
}


def load_model(
    architecture: str, path: str | os.PathLike[str], covariates: Mapping[str, str] | None = None
) -> CellModel:
    """Load a model from its folder. Nothing in the files is executed.

    Parameters
    ----------
    architecture
        ``mlp``, ``scimilarity``, ``scvi`` or ``ssl``.
    path
        The folder of the model; for ``ssl``, the checkpoint file or the folder that contains only this checkpoint.
    covariates
        For an encoder of scVI that has covariates as input: the value at which each is fixed, such as
        ``{"batch": "B1"}``. Continuous covariates are numbers in text form.

    Returns
    -------
    CellModel
        The encoder, with its weights frozen, on the CPU.

    Raises
    ------
    OptionError
        If the architecture is unknown, or `covariates` are not exactly those that the encoder has as input.
    ModelError
        If the path does not exist, or the files are not a model of this architecture.

    Examples
    --------
    >>> from importlib.resources import files
    >>> from ingest import load_model
    >>> model = load_model("mlp", files("ingest") / "demo" / "model")
    >>> model.name, len(model.gene_ids), model.latent_dim
    ('sigdb-demo', 7000, 64)
    """
    check_choice("architecture", architecture, tuple(ARCHITECTURES))
    path = Path(path)
    if not path.exists():
        raise ModelError(f"There is no model folder {path}.")
    return ADAPTERS[architecture](path, covariates or {})
