"""The options with which a model of scvi-tools was constructed: what they mean for its encoder.

Sizes, batch norms and biases show in the tensors. The other options of the encoder do not, so they are read here. An
option that sigdb does not know could change the embedding, so it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingest.models.checkpoint import global_name
from ingest.models.layers import ACTIVATIONS
from sigdb.errors import ModelError, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["EncoderOptions", "read_options"]

CLASSES = ("SCVI", "SCANVI")
# Options of the constructors of CLASSES that the tensors show, or that are for training, the decoder, the variance or
# the classifier of scANVI. The posterior mean is the same with all values.
OTHERS = {
    *("n_hidden", "n_latent", "n_layers", "dropout_rate", "dispersion", "gene_likelihood", "use_batch_norm"),
    *("encode_covariates", "deeply_inject_covariates", "use_size_factor_key", "use_observed_lib_size"),
    *("library_log_means", "library_log_vars", "extra_payload_autotune", "var_activation", "extra_decoder_kwargs"),
    *("batch_embedding_kwargs", "linear_classifier", "classifier_parameters", "labels_groups", "use_labels_groups"),
    *("y_prior", "datamodule"),
}
READ = {"log_variational", "use_layer_norm", "latent_distribution", "batch_representation", "extra_encoder_kwargs"}
ENCODER_OTHERS = {"bias", "var_eps"}
ENCODER_READ = {"activation_fn", "use_activation"}
TORCH = "torch.nn.modules.activation."


@dataclass(frozen=True)
class EncoderOptions:
    """How an encoder works. log1p: of the counts. activation: of each hidden layer, None for a linear encoder.

    embeds_batch: whether the batch is an embedding; if the encoder sees covariates, it sees this embedding.
    """

    log1p: bool
    has_layer_norm: bool
    activation: str | None
    embeds_batch: bool


def read_options(attributes: Mapping[str, Any]) -> EncoderOptions:
    """Read the class and the options of a model. ModelError names a class, an option or a value that is not supported.

    attributes: `attr_dict` of the checkpoint. Raises KeyError, TypeError or AttributeError if it is something else.
    """
    kind = attributes["registry_"]["model_name"]
    if kind not in CLASSES:
        raise ModelError(f"The model is of the class {kind!r} of scvi-tools. sigdb reads {' and '.join(CLASSES)}.")
    given = attributes["init_params_"]
    options = dict(given["non_kwargs"])
    for group in given["kwargs"].values():
        options |= group
    encoder = options.get("extra_encoder_kwargs") or {}
    refuse_unknown(options, OTHERS | READ, "")
    refuse_unknown(encoder, ENCODER_OTHERS | ENCODER_READ, " in extra_encoder_kwargs")
    if choose(options, "latent_distribution", ("normal", "ln")) == "ln":
        raise ModelError(
            "The model has latent_distribution='ln'. Its latent representation is the mean of random samples, which "
            "sigdb cannot explain. Train a model with latent_distribution='normal'."
        )
    is_active = choose(encoder, "use_activation", (True, False))
    return EncoderOptions(
        log1p=choose(options, "log_variational", (True, False)),
        has_layer_norm=choose(options, "use_layer_norm", ("none", "encoder", "decoder", "both")) in ("encoder", "both"),
        activation=find_activation(encoder) if is_active else None,
        embeds_batch=choose(options, "batch_representation", ("one-hot", "embedding")) == "embedding",
    )


def refuse_unknown(options: Mapping[str, Any], known: set[str], where: str) -> None:
    """Raise ModelError if an option is unknown."""
    if unknown := sorted(str(name) for name in options.keys() - known):
        raise ModelError(
            f"The model was made with {len(unknown)} options that sigdb does not know{where}: {listed(unknown)}. They "
            "could change its embedding, so it is not read."
        )


def choose(options: Mapping[str, Any], name: str, known: Sequence[Any]) -> Any:
    """The value of an option; the first of the known values is its default. ModelError for another value."""
    value = options.get(name, known[0])
    if not isinstance(value, type(known[0])) or value not in known:
        raise ModelError(
            f"The model was made with {name}={global_name(value) or repr(value)}. sigdb knows "
            f"{listed(map(repr, known))}."
        )
    return value


def find_activation(encoder: Mapping[str, Any]) -> str:
    """The activation of the hidden layers, as `ingest.models.layers` names it."""
    if "activation_fn" not in encoder:
        return "ReLU"
    value = encoder["activation_fn"]
    name = global_name(value) or repr(value)
    known = (*ACTIVATIONS, "PReLU")
    if not isinstance(value, type) or name.removeprefix(TORCH) not in known:
        raise ModelError(
            f"The model was made with activation_fn={name}. sigdb knows these classes of torch.nn, without "
            f"arguments: {', '.join(known)}."
        )
    return name.removeprefix(TORCH)
