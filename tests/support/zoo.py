"""One small model of every kind that the adapters read."""

from __future__ import annotations

import shutil

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import nn

from ingest.models import FeedForward, Normalisation, load_model
from ingest.models.core import feed_forward
from tests.ingest.conftest import DATA, GENES, save_small_model

N_GENES = 40


def random_scvi(
    folder,
    *,
    options=None,
    batches=("b0", "b1", "b2"),
    categories=None,
    numbers=(),
    covariates=False,
    norm="batch",
    deep=True,
    seed=0,
    kind="SCVI",
    extra=None,
):
    """Write an scVI folder as scvi-tools does, with random weights; `norm` is "batch", "layer" or "none".

    extra: tensors of each hidden layer beside these; None for a tensor leaves it out.
    """
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(*shape, generator=generator) * 0.3

    categories = categories or {}
    n_codes = sum(n for n in (len(batches), *map(len, categories.values())) if n > 1) if covariates else 0
    state, width = {}, N_GENES + (len(numbers) if covariates else 0)
    for layer in range(2):
        prefix = f"z_encoder.encoder.fc_layers.Layer {layer}"
        state[f"{prefix}.0.weight"] = random(16, width + (n_codes if deep or not layer else 0))
        state[f"{prefix}.0.bias"] = random(16)
        if norm == "batch":
            state[f"{prefix}.1.weight"], state[f"{prefix}.1.bias"] = 1 + random(16), random(16)
            state[f"{prefix}.1.running_mean"], state[f"{prefix}.1.running_var"] = random(16), 0.5 + random(16) ** 2
            state[f"{prefix}.1.num_batches_tracked"] = torch.tensor(3)
        state |= {f"{prefix}.{name}": tensor for name, tensor in (extra or {}).items()}
        width = 16
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    for name in ("mean_encoder", "var_encoder"):
        state[f"z_encoder.{name}.weight"], state[f"z_encoder.{name}.bias"] = random(5, 16), random(5)
    state["px_r"], state["pyro_param_store"] = random(3), {"params": {}}
    layer_norm = {"use_layer_norm": "both"} if norm == "layer" else {}
    registry = {
        "model_name": kind,
        "field_registries": {
            "batch": {"state_registry": {"categorical_mapping": np.array(batches, dtype=object)}},
            "extra_categorical_covs": {
                "state_registry": {"mappings": {k: np.array(v, dtype=object) for k, v in categories.items()}}
                if categories
                else {}
            },
            "extra_continuous_covs": {
                "state_registry": {"columns": np.array(numbers, dtype=object)} if numbers else {}
            },
        },
    }
    attributes = {
        "init_params_": {"non_kwargs": {"n_layers": 2}, "kwargs": {"kwargs": {**layer_norm, **(options or {})}}},
        "registry_": registry,
    }
    folder.mkdir(parents=True, exist_ok=True)
    genes = np.array([f"ENSG{n:011}" for n in range(N_GENES)], dtype=object)
    torch.save({"model_state_dict": state, "var_names": genes, "attr_dict": attributes}, folder / "model.pt")
    return folder


def ssl_with_prefix(folder, prefix, lightning=True):
    """Write the autoencoder of the test data with the key prefix of BYOL or of Barlow Twins."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(DATA / "ssl" / "var.parquet", folder)
    state = torch.load(DATA / "ssl" / "autoencoder.ckpt", weights_only=True)["state_dict"]
    renamed = {
        key.replace("encoder", prefix): tensor.clone() for key, tensor in state.items() if key.startswith("encoder")
    }
    also = (
        {f"byol.net.{key.split('.', 1)[1]}": tensor for key, tensor in renamed.items()} if prefix != "backbone" else {}
    )
    state = {**renamed, **also, "projector.0.weight": torch.ones(2, 2)}
    torch.save({"state_dict": state, "epoch": 1} if lightning else state, folder / "model.ckpt")
    return folder


def nearly_normalised():
    """A model that ends in a layer norm, so that its gradient at a cell is only rounding error."""
    torch.manual_seed(0)
    tail = nn.Sequential(nn.ReLU(), nn.Linear(16, 8), nn.LayerNorm(8, elementwise_affine=False))
    return FeedForward("nearly", "mlp", tuple(GENES[:24]), Normalisation(), nn.Linear(24, 16), tail, False, "x")


def with_dead_cell():
    """A model with ReLU, and three cells; the second leaves every unit dead."""
    tensors = {"0.weight": [[1, 0.5, -1], [0.3, 1, -1]], "0.bias": [-0.1, -0.1]}
    tensors |= {"2.weight": [[1, -1], [0.5, 1]], "2.bias": [0.3, 0.2]}
    tensors = {name: torch.tensor(values, dtype=torch.float32) for name, values in tensors.items()}
    about = {"architecture": "mlp", "normalisation": Normalisation(), "l2_normalised": False, "sha256": "x"}
    model = feed_forward(["Linear", "ReLU", "Linear"], tensors, name="dead", genes=["CD14", "LYZ", "CD3E"], **about)
    return model, model.prepare(csr_matrix(np.array([[3, 1, 0], [0, 0, 2], [2, 2, 1]], np.float32)))


def random_cells(model, seed=0, n_cells=6):
    """Prepared cells of random counts, about a third of them not 0: (n_cells, n_genes)."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(0.3, 3.0, size=(n_cells, len(model.gene_ids))))
    return model.prepare(csr_matrix(counts.astype(np.float32)))


def mlp(kind, l2):
    return lambda tmp: load_model("mlp", save_small_model(tmp / f"{kind}-{l2}", activation=kind, l2=l2))


ZOO = {
    "scimilarity": lambda tmp: load_model("scimilarity", DATA / "scimilarity"),
    "scvi": lambda tmp: load_model("scvi", DATA / "scvi_census_like"),
    "scvi covariates": lambda tmp: load_model("scvi", DATA / "scvi_encode_covariates", {"batch": "b2"}),
    "scvi layer norm": lambda tmp: load_model("scvi", random_scvi(tmp / "ln", norm="layer")),
    "scvi no log": lambda tmp: load_model("scvi", random_scvi(tmp / "counts", options={"log_variational": False})),
    "ssl autoencoder": lambda tmp: load_model("ssl", DATA / "ssl" / "autoencoder.ckpt"),
    "ssl classifier": lambda tmp: load_model("ssl", DATA / "ssl" / "classifier.ckpt"),
    "mlp PReLU, l2": mlp("PReLU", True),
    "mlp SELU, l2": mlp("SELU", True),
    **{
        f"mlp {kind}": mlp(kind, False) for kind in ("PReLU", "ReLU", "SELU", "ELU", "GELU", "SiLU", "Tanh", "Softplus")
    },
}

TRANSFORMERS = ("scfoundation", "scgpt", "geneformer")
