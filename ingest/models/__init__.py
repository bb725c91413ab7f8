"""Models, and the adapters that load them: one module per family of checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ingest.models.core import CellModel, FeedForward, Normalisation
from ingest.models.geneformer import load_geneformer
from ingest.models.mlp import load_mlp, save_mlp
from ingest.models.scfoundation import load_scfoundation
from ingest.models.scgpt import load_scgpt
from ingest.models.scimilarity import load_scimilarity
from ingest.models.scvi import load_scvi
from ingest.models.ssl import load_ssl
from ingest.options import ARCHITECTURES, check_choice
from sigdb.errors import ModelError, OptionError, listed

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

__all__ = ["ADAPTERS", "CellModel", "FeedForward", "Normalisation", "load_model", "save_mlp"]


class Adapter(NamedTuple):
    """How one family of models is loaded. options: the parameters of `load_model` that it takes."""

    load: Callable[..., CellModel]
    options: tuple[str, ...] = ()


ADAPTERS = {
    "mlp": Adapter(load_mlp),
    "scimilarity": Adapter(load_scimilarity),
    "scvi": Adapter(load_scvi, ("covariates",)),
    "ssl": Adapter(load_ssl),
    "scfoundation": Adapter(load_scfoundation, ("depth", "pool")),
    "scgpt": Adapter(load_scgpt, ("max_length",)),
    "geneformer": Adapter(load_geneformer, ("dictionaries",)),
}


def load_model(
    architecture: str,
    path: str | os.PathLike[str],
    covariates: Mapping[str, str] | None = None,
    *,
    depth: str | None = None,
    pool: str | None = None,
    max_length: int | None = None,
    dictionaries: str | os.PathLike[str] | None = None,
) -> CellModel:
    """Load a model from its folder. Nothing in the files is executed.

    Parameters
    ----------
    architecture
        ``mlp``, ``scimilarity``, ``scvi``, ``ssl``, ``scfoundation``, ``scgpt`` or ``geneformer``.
    path
        The folder of the model; for ``ssl``, the checkpoint file or the folder that contains only this checkpoint; for
        ``scfoundation``, ``models.ckpt`` or its folder, with the list of genes beside it.
    covariates
        For an encoder of scVI that has covariates as input: the value at which each is fixed, such as
        ``{"batch": "B1"}``. Continuous covariates are numbers in text form.
    depth
        For scFoundation: the depth at which the model is asked to see each cell (its token T), in the notation of its
        authors. ``t4``: a total of 10^4 (the default); ``a5``: 10^5 times the total of the cell; ``f1``: once the
        total.
    pool
        For scFoundation: ``all`` (the default) or ``max``, how the outputs of tokens become an embedding.
    max_length
        For scGPT: most tokens of a cell. Default: that of the model, usually 1,200.
    dictionaries
        For Geneformer: the folder of the token and median dictionaries. Default: the folder of the model.

    Returns
    -------
    CellModel
        The encoder, with its weights frozen, on the CPU.

    Raises
    ------
    OptionError
        If the architecture is unknown, an option is for models of another one, or `covariates` are not exactly those
        that the encoder has as input.
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
    adapter = ADAPTERS[architecture]
    options = {
        "covariates": covariates or None,
        "depth": depth,
        "pool": pool,
        "max_length": max_length,
        "dictionaries": None if dictionaries is None else Path(dictionaries),
    }
    given = {name: value for name, value in options.items() if value is not None}
    check_options(architecture, given)
    if "covariates" in adapter.options:
        given.setdefault("covariates", {})
    return adapter.load(path, **given)


def check_options(architecture: str, given: Mapping[str, object]) -> None:
    """Raise OptionError if an option is for models of another architecture."""
    odd = [name for name in given if name not in ADAPTERS[architecture].options]
    if "covariates" in odd:
        names = listed(given["covariates"])  # type: ignore[arg-type]
        raise OptionError(f"These models have only genes as input: leave {names} out of `covariates`.")
    if odd:
        kind = next(name for name, adapter in ADAPTERS.items() if odd[0] in adapter.options)
        raise OptionError(f"`{odd[0]}` is for {kind} models, not for {architecture}: leave it out.")
