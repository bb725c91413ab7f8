"""Encoders of scVI and scANVI: embeddings equal those of scvi-tools, with and without covariates."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from torch import nn

from ingest.models import Normalisation, load_model
from ingest.models.checkpoint import read_checkpoint_inert
from sigdb.errors import ModelError, OptionError
from tests.ingest.conftest import DATA
from tests.ingest.models.conftest import reference_counts
from tests.support.zoo import N_GENES, random_scvi


def test_scvi_embeddings_equal_those_of_the_original_package():
    """scvi-tools 1.4.2, `get_latent_representation`. The model has all 400 genes of the fixture."""
    reference = np.load(DATA / "scvi_census_like" / "ref.npz")
    model = load_model("scvi", DATA / "scvi_census_like")
    np.testing.assert_allclose(model.embed(reference_counts()), reference["latent"], atol=1e-6)
    assert (model.latent_dim, model.l2_normalised, model.normalisation) == (20, False, Normalisation(None))


@pytest.mark.parametrize("batch", ["b0", "b1", "b2", "b3"])
def test_scvi_with_a_fixed_batch_embeds_cells_of_that_batch_like_the_original(batch):
    reference = np.load(DATA / "scvi_encode_covariates" / "ref.npz")
    model = load_model("scvi", DATA / "scvi_encode_covariates", {"batch": batch})
    cells = reference["batch"] == int(batch[1])
    assert cells.sum() == 8
    counts = csr_matrix(reference["counts"][cells].astype(np.float32))
    np.testing.assert_allclose(model.embed(counts), reference["latent"][cells], atol=1e-6)
    assert batch in model.description


def scvi_by_hand(folder, counts, codes, deeper, activation=torch.relu):
    """The forward pass of scVI's encoder, step by step: (n, 5)."""
    checkpoint = read_checkpoint_inert(folder / "model.pt")
    state = checkpoint["model_state_dict"]
    options = checkpoint["attr_dict"]["init_params_"]["kwargs"]["kwargs"]
    h = torch.log1p(counts) if options.get("log_variational", True) else counts
    for layer, extra in enumerate((codes, deeper)):
        key = f"z_encoder.encoder.fc_layers.Layer {layer}"
        h = torch.cat([h, torch.tensor(extra).expand(len(h), -1)], dim=1) if extra else h
        h = h @ state[f"{key}.0.weight"].T + state.get(f"{key}.0.bias", 0)
        if f"{key}.1.running_mean" in state:
            h = (h - state[f"{key}.1.running_mean"]) / (state[f"{key}.1.running_var"] + 1e-3).sqrt()
            h = h * state[f"{key}.1.weight"] + state[f"{key}.1.bias"]
        if options.get("use_layer_norm") == "both":
            h = (h - h.mean(dim=1, keepdim=True)) / (h.var(dim=1, keepdim=True, unbiased=False) + 1e-5).sqrt()
        h = activation(h)
    return h @ state["z_encoder.mean_encoder.weight"].T + state["z_encoder.mean_encoder.bias"]


COVARIATES = {"batches": ("b0", "b1", "b2"), "categories": {"donor": ("x", "y"), "site": ("s",)}, "numbers": ("mito",)}
SCVI = {
    "batch norm": ({}, {}, [], []),
    "layer norm": ({"norm": "layer"}, {}, [], []),
    "no norm": ({"norm": "none"}, {}, [], []),
    "counts, not logged": ({"options": {"log_variational": False}}, {}, [], []),
    "covariates not encoded": (COVARIATES, {}, [], []),
    "covariates": (
        {**COVARIATES, "covariates": True},
        {"batch": "b1", "donor": "y", "mito": "0.25"},
        [0.25, 0.0, 1.0, 0.0, 0.0, 1.0],
        [0.0, 1.0, 0.0, 0.0, 1.0],
    ),
    "covariates in the first layer only": (
        {**COVARIATES, "covariates": True, "deep": False},
        {"batch": "b2", "donor": "x", "mito": "-1"},
        [-1.0, 0.0, 0.0, 1.0, 1.0, 0.0],
        [],
    ),
    "one batch": ({"batches": ("only",), "covariates": True}, {}, [], []),
}


@pytest.mark.parametrize("case", SCVI)
def test_every_variant_of_an_scvi_encoder(tmp_path, case):
    layout, fixed, codes, deeper = SCVI[case]
    folder = random_scvi(tmp_path / "scvi", **layout)
    model = load_model("scvi", folder, fixed)
    counts = np.random.default_rng(0).poisson(1.5, size=(9, N_GENES)).astype(np.float32)
    expected = scvi_by_hand(folder, torch.from_numpy(counts), codes, deeper)
    np.testing.assert_allclose(model.embed(csr_matrix(counts)), expected, atol=1e-5)
    assert model.gene_ids[:2] == ("ENSG00000000000", "ENSG00000000001")


@pytest.mark.parametrize(
    ("covariates", "message"),
    [
        ({}, r"has mito, batch, donor as input, in addition.*mito: a number; batch: b0, b1, b2; donor: x, y"),
        ({"batch": "b0", "donor": "x"}, "Fix each with `covariates`.*mito"),
        (
            {"batch": "b7", "donor": "x", "mito": "1"},
            r"does not know batch 'b7' \(`covariates`\)\. It knows b0, b1, b2",
        ),
        ({"batch": "b0", "donor": "x", "mito": "much"}, "mito must be a number, not 'much'"),
        (
            {"batch": "b0", "donor": "x", "mito": "1", "site": "s"},
            r"does not have site as input \(`covariates`\)\. Its inputs are genes, mito, batch, donor",
        ),
    ],
)
def test_covariates_must_be_inputs_of_the_encoder(tmp_path, covariates, message):
    folder = random_scvi(tmp_path / "scvi", **COVARIATES, covariates=True)
    with pytest.raises(OptionError, match=message):
        load_model("scvi", folder, covariates)


def test_covariates_of_models_with_only_genes_as_input(tmp_path):
    with pytest.raises(OptionError, match=r"does not have batch as input .* Its inputs are genes"):
        load_model("scvi", random_scvi(tmp_path / "scvi"), {"batch": "b0"})
    with pytest.raises(OptionError, match="have only genes as input: leave batch out of `covariates`"):
        load_model("scimilarity", DATA / "scimilarity", {"batch": "b0"})


def test_another_choice_of_covariates_is_another_model():
    one, other = (load_model("scvi", DATA / "scvi_encode_covariates", {"batch": name}) for name in ("b0", "b1"))
    assert one.sha256 != other.sha256


def test_scvi_folders_of_old_versions_are_refused_with_advice(tmp_path):
    for name in ("model_params.pt", "attr.pkl", "var_names.csv"):
        (tmp_path / name).touch()
    with pytest.raises(ModelError, match=r"before 0\.15 \(model_params\.pt, attr\.pkl.*convert_legacy_save"):
        load_model("scvi", tmp_path)
    torch.save({"state": torch.ones(2)}, tmp_path / "model.pt")
    with pytest.raises(ModelError, match=r"not a model of scvi-tools 0\.15 or newer: KeyError"):
        load_model("scvi", tmp_path)


def made_with(folder, counts, options, extra=None, activation=torch.relu):
    """The embeddings by sigdb, and by hand, of a model that was made with these options."""
    random_scvi(folder, options=options, extra=extra)
    expected = scvi_by_hand(folder, torch.from_numpy(counts), [], [], activation)
    return load_model("scvi", folder).embed(csr_matrix(counts)), expected


COUNTS = np.random.default_rng(1).poisson(1.5, size=(9, N_GENES)).astype(np.float32)
ENCODER = "extra_encoder_kwargs"
HONOURED = {
    "another activation": ({ENCODER: {"activation_fn": nn.Softplus}}, nn.functional.softplus),
    "another activation, by default values": ({ENCODER: {"activation_fn": nn.LeakyReLU}}, nn.functional.leaky_relu),
    "no activation": ({ENCODER: {"use_activation": False, "activation_fn": nn.Tanh}}, lambda h: h),
    "the decoder's activation": (
        {"extra_decoder_kwargs": {"activation_fn": nn.Tanh, "log_variational": 0}},
        torch.relu,
    ),
    "the variance": ({"var_activation": nn.functional.softplus, ENCODER: {"var_eps": 0.1}}, torch.relu),
    "an embedding for the decoder": ({"batch_representation": "embedding"}, torch.relu),
}


@pytest.mark.parametrize("case", HONOURED)
def test_options_that_shape_the_encoder_are_honoured(tmp_path, case):
    options, activation = HONOURED[case]
    found, expected = made_with(tmp_path / "scvi", COUNTS, options, activation=activation)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_activations_and_linear_layers_with_other_tensors(tmp_path):
    slope = torch.tensor([0.3])
    found, expected = made_with(
        tmp_path / "prelu",
        COUNTS,
        {ENCODER: {"activation_fn": nn.PReLU}},
        {"3.weight": slope},
        lambda h: nn.functional.prelu(h, slope),
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
    found, expected = made_with(tmp_path / "no_bias", COUNTS, {ENCODER: {"bias": False}}, {"0.bias": None})
    np.testing.assert_allclose(found, expected, atol=1e-5)


REFUSED = {
    "an unknown activation": (
        {ENCODER: {"activation_fn": nn.Mish}},
        r"activation_fn=torch\.nn\.\S+\.Mish.*ReLU, Leaky",
    ),
    "an activation with arguments": (
        {ENCODER: {"activation_fn": functools.partial(nn.LeakyReLU, 0.3)}},
        r"activation_fn=functools\.partial",
    ),
    "a function": ({ENCODER: {"activation_fn": nn.functional.silu}}, r"activation_fn=torch\.nn\.functional\.silu"),
    "a word": ({ENCODER: {"activation_fn": "relu"}}, r"activation_fn='relu'"),
    "an unknown option": ({"use_attention": True}, r"1 options that sigdb does not know: use_attention"),
    "an unknown option of the encoder": ({ENCODER: {"n_cont": 2}}, r"in extra_encoder_kwargs: n_cont"),
    "a logistic normal": ({"latent_distribution": "ln"}, r"latent_distribution='ln'"),
    "an unknown value": ({"use_layer_norm": "first"}, r"use_layer_norm='first'. sigdb knows 'none', 'encoder'"),
    "no truth value": ({"log_variational": "no"}, r"log_variational='no'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_could_change_the_embedding_are_refused_by_name(tmp_path, case):
    options, message = REFUSED[case]
    with pytest.raises(ModelError, match=message):
        load_model("scvi", random_scvi(tmp_path / "scvi", options=options))


def test_an_embedding_of_the_batch_is_no_code_of_the_batch(tmp_path):
    """The embedding has as many columns as there are batches, so the sizes fit."""
    folder = random_scvi(tmp_path / "scvi", options={"batch_representation": "embedding"}, covariates=True, deep=False)
    with pytest.raises(ModelError, match=r"an embedding of the batch as input"):
        load_model("scvi", folder, {"batch": "b1"})


@pytest.mark.parametrize("kind", ["TOTALVI", "LinearSCVI", "MyModel"])
def test_other_classes_of_models_are_refused_by_name(tmp_path, kind):
    with pytest.raises(ModelError, match=f"class '{kind}' of scvi-tools. sigdb reads SCVI and SCANVI"):
        load_model("scvi", random_scvi(tmp_path / "scvi", kind=kind))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"2.weight": torch.ones(16)}, r"2 tensors that no encoder of scVI has: .*Layer 0\.2\.weight"),
        ({"0.weight": None}, "no scVI encoder|no weight of the linear layer"),
        ({"0.weight": torch.ones(16)}, "input columns"),
        ({"3.weight": torch.ones(1)}, "do not fit"),
    ],
)
def test_tensors_that_are_not_of_this_encoder(tmp_path, extra, message):
    with pytest.raises(ModelError, match=message):
        load_model("scvi", random_scvi(tmp_path / "scvi", extra=extra))


def test_other_contents_of_the_file_are_refused(tmp_path):
    folder = random_scvi(tmp_path / "scvi")
    checkpoint = torch.load(folder / "model.pt", weights_only=False)
    torch.save({**checkpoint, "adapter": torch.ones(2)}, folder / "model.pt")
    with pytest.raises(ModelError, match="holds adapter, which no model of scvi-tools has"):
        load_model("scvi", folder)
