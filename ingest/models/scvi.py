"""scVI and scANVI encoders (Lopez et al. 2018, Xu et al. 2021): `model.pt`, as scvi-tools writes it since 0.15.

scvi-tools is not needed. The embedding that is explained is the posterior mean of z, which
`get_latent_representation` returns. The input is log1p of the raw counts, or the counts themselves with
`log_variational=False`. Counts are not scaled to a total. `ingest.models.scvi_options` reads the other options.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ingest.models.checkpoint import fingerprint, read_checkpoint_inert, tensors_of
from ingest.models.core import FeedForward, Normalisation, feed_forward
from ingest.models.layers import MOST_LAYERS
from ingest.models.scvi_options import EncoderOptions, read_options
from sigdb.errors import ModelError, OptionError, SigdbError, listed, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ingest.models.layers import LayerSpec

__all__ = ["load_scvi"]

WEIGHTS = "model.pt"
LEGACY = ("model_params.pt", "attr.pkl", "var_names.csv")
# z_encoder.encoder.fc_layers.Layer <layer>.<position>.<tensor>: linear 0, batch norm 1, activation 3. A layer norm (2)
# and dropout (4) have no tensors.
KEY = re.compile(r"z_encoder\.encoder\.fc_layers\.Layer (\d{1,6})\.([013])\.(\w+)")
HEADS = ("z_encoder.mean_encoder.", "z_encoder.var_encoder.")
CONTENTS = {"model_state_dict", "var_names", "attr_dict"}
BATCH_NORM: LayerSpec = {"type": "BatchNorm1d", "eps": 1e-3}


@dataclass(frozen=True)
class Covariate:
    """An input of an encoder other than genes. values: the categories that it knows, or None for a number."""

    name: str
    values: tuple[str, ...] | None

    @property
    def n_columns(self) -> int:
        """Number of input columns: one for a number, none for a single category, one for each of several categories."""
        return 1 if self.values is None else len(self.values) if len(self.values) > 1 else 0

    def code(self, chosen: str) -> list[float]:
        """The input columns for a value; OptionError if the model does not know it."""
        if self.values is not None and chosen not in self.values:
            raise OptionError(
                f"The model does not know {self.name} {chosen!r} (`covariates`).{nearest(chosen, self.values)} "
                f"It knows {listed(self.values, 20)}."
            )
        if self.values is not None:
            return [float(value == chosen) for value in self.values] if self.n_columns else []
        try:
            return [float(chosen)]
        except ValueError as error:
            raise OptionError(f"The covariate {self.name} must be a number, not {chosen!r}.") from error


def load_scvi(folder: Path, covariates: Mapping[str, str]) -> FeedForward:
    """Read an scVI or scANVI model folder.

    covariates: the value at which to fix each covariate that the encoder has as input. They become constants of the
    model. Raises OptionError for a missing or unknown covariate, and ModelError for a model of another class, for an
    option that sigdb does not know, and for a folder that was written before scvi-tools 0.15.
    """
    if not (folder / WEIGHTS).exists() and (old := [name for name in LEGACY if (folder / name).exists()]):
        raise ModelError(
            f"{folder} has the layout of scvi-tools before 0.15 ({', '.join(old)}). Convert it with scvi-tools: "
            "scvi.model.SCVI.convert_legacy_save(OLD_FOLDER, NEW_FOLDER)."
        )
    checkpoint = read_checkpoint_inert(folder / WEIGHTS)
    try:
        return read_model(checkpoint, folder, covariates)
    except SigdbError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder / WEIGHTS} is not a model of scvi-tools 0.15 or newer: {error!r}") from error


def read_model(checkpoint: Any, folder: Path, covariates: Mapping[str, str]) -> FeedForward:
    """The model in a checkpoint. A checkpoint of another kind raises exceptions of many kinds."""
    weights = checkpoint["model_state_dict"]
    state = tensors_of({key: weights[key] for key in weights if key.startswith("z_encoder.")}, folder / WEIGHTS)
    genes = [str(name) for name in checkpoint["var_names"]]
    attributes = checkpoint["attr_dict"]
    options = read_options(attributes)
    known = find_covariates(attributes["registry_"])
    if unknown := sorted(map(str, checkpoint.keys() - CONTENTS)):
        raise ModelError(f"{folder / WEIGHTS} holds {listed(unknown)}, which no model of scvi-tools has.")
    constants = choose_constants(known, covariates, state, len(genes), embeds_batch=options.embeds_batch)
    layers, tensors = to_sequential(state, options, constants, len(genes), folder / WEIGHTS)
    fixed = ", ".join(f"{name} = {value}" for name, value in sorted(covariates.items()))
    kind = attributes["registry_"]["model_name"]
    return feed_forward(
        layers,
        tensors,
        name=folder.name,
        genes=genes,
        architecture="scvi",
        normalisation=Normalisation(target_sum=None, log1p=options.log1p),
        l2_normalised=False,
        sha256=fingerprint([folder / WEIGHTS, fixed]),
        description=f"{kind}{', covariates fixed: ' if fixed else ''}{fixed}",
    )


def find_covariates(registry: Mapping[str, Any]) -> list[Covariate]:
    """The covariates of a model, in the order of the encoder's columns: numbers, batch, other categories."""
    fields = {name: entry["state_registry"] for name, entry in registry["field_registries"].items()}
    numbers = fields.get("extra_continuous_covs", {}).get("columns", ())
    found = [Covariate(str(name), None) for name in numbers]
    batches = fields["batch"]["categorical_mapping"]
    found.append(Covariate("batch", tuple(map(str, batches))))
    mappings = fields.get("extra_categorical_covs", {}).get("mappings", {})
    return found + [Covariate(str(name), tuple(map(str, values))) for name, values in mappings.items()]


@dataclass(frozen=True)
class Constants:
    """The values of the fixed covariates. first: columns of the first layer. deeper: columns of the other layers."""

    first: Tensor
    deeper: Tensor


def choose_constants(
    known: list[Covariate],
    chosen: Mapping[str, str],
    state: Mapping[str, Tensor],
    n_genes: int,
    *,
    embeds_batch: bool = False,
) -> Constants:
    """The covariates as constants; OptionError unless exactly those that the encoder has as input are chosen."""
    first = state.get("z_encoder.encoder.fc_layers.Layer 0.0.weight")
    n_extra = 0 if first is None or first.ndim != 2 else first.shape[1] - n_genes
    if n_extra and embeds_batch:
        raise ModelError(
            "The encoder has an embedding of the batch as input (batch_representation='embedding'), which sigdb cannot "
            "fix. Train a model with batch_representation='one-hot' or encode_covariates=False."
        )
    needed = [each for each in known if n_extra and each.n_columns]
    n_columns = sum(each.n_columns for each in needed)
    if n_extra != n_columns:
        raise ModelError(
            f"The encoder has {n_genes + n_extra} input columns; the model names {n_genes} genes and {n_columns} "
            f"columns of covariates ({listed(each.name for each in known)})."
        )
    names = [each.name for each in needed]
    if missing := [each for each in needed if each.name not in chosen]:
        choices = "; ".join(
            f"{each.name}: {listed(each.values, 20) if each.values else 'a number'}" for each in missing
        )
        raise OptionError(
            f"This encoder has {listed(names)} as input, in addition to the genes. Fix each with `covariates`. "
            f"The choices are {choices}."
        )
    if unknown := sorted(chosen.keys() - set(names)):
        raise OptionError(
            f"This encoder does not have {listed(unknown)} as input (`covariates`). Its inputs are "
            f"{listed(['genes', *names])}."
        )
    numbers = [value for each in needed if each.values is None for value in each.code(chosen[each.name])]
    categories = [value for each in needed if each.values is not None for value in each.code(chosen[each.name])]
    return Constants(torch.tensor([*numbers, *categories]), torch.tensor(categories))


def to_sequential(
    state: Mapping[str, Tensor], options: EncoderOptions, constants: Constants, n_genes: int, path: Path
) -> tuple[list[LayerSpec], dict[str, Tensor]]:
    """The layers of the encoder up to the posterior mean, and their tensors. Biases include the constants."""
    hidden = tensors_by_layer(state, path)
    layers: list[LayerSpec] = []
    tensors: dict[str, Tensor] = {}

    def add(layer: LayerSpec, own: Mapping[str, Tensor]) -> None:
        tensors.update({f"{len(layers)}.{name}": tensor for name, tensor in own.items()})
        layers.append(layer)

    width = n_genes
    for number, (linear, batch_norm, activation) in enumerate(hidden):
        folded = fold_constants(linear, width, constants.deeper if number else constants.first, path)
        add("Linear", folded)
        width = len(folded["weight"])
        if batch_norm:
            add(BATCH_NORM, batch_norm)
        if options.has_layer_norm:
            add({"type": "LayerNorm", "size": width}, {})
        if options.activation:
            add(options.activation, activation)
        elif activation:
            raise ModelError(f"{path} has weights of activations, but was made with use_activation=False.")
    mean = HEADS[0]
    add("Linear", {key.removeprefix(mean): tensor for key, tensor in state.items() if key.startswith(mean)})
    return layers, tensors


def tensors_by_layer(state: Mapping[str, Tensor], path: Path) -> list[tuple[dict[str, Tensor], ...]]:
    """The tensors of each hidden layer: of its linear layer, its batch norm and its activation."""
    matches = {key: match for key in state if (match := KEY.fullmatch(key))}
    if not matches or f"{HEADS[0]}weight" not in state:
        raise ModelError(f"{path} has no scVI encoder (z_encoder) among its {len(state)} tensors.")
    if unknown := [key for key in state if key not in matches and not key.startswith(HEADS)]:
        raise ModelError(f"{path} has {len(unknown)} tensors that no encoder of scVI has: {listed(unknown)}.")
    hidden: dict[tuple[str, str], dict[str, Tensor]] = {}
    for key, match in matches.items():
        hidden.setdefault((match[1], match[2]), {})[match[3]] = state[key]
    depth = len({layer for layer, _ in hidden})
    if depth > MOST_LAYERS:
        raise ModelError(f"{path} has {depth} layers, and an encoder has {MOST_LAYERS} at most.")
    if missing := [number for number in range(depth) if "weight" not in hidden.get((str(number), "0"), {})]:
        raise ModelError(f"{path} has no weight of the linear layer {missing[0]}, and has {depth} layers.")
    return [tuple(hidden.get((str(number), part), {}) for part in "013") for number in range(depth)]


def fold_constants(linear: Mapping[str, Tensor], width: int, constants: Tensor, path: Path) -> dict[str, Tensor]:
    """Move the columns of the covariates of a linear layer into its bias."""
    weight = linear["weight"]
    n_extra = weight.shape[1] - width if weight.ndim == 2 else -1
    if n_extra not in (0, len(constants)):
        raise ModelError(
            f"A layer of {path} has {n_extra} input columns more than the {width} expected, but the covariates have "
            f"{len(constants)}."
        )
    folded = {**linear, "weight": weight[:, :width].contiguous()}
    if n_extra:
        folded["bias"] = linear.get("bias", 0.0) + weight[:, width:] @ constants
    return folded
