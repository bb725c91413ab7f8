"""Encoders of SSL-scTab: embeddings equal those of the original code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ingest.models import load_model
from sigdb.errors import ModelError
from tests.ingest.conftest import DATA
from tests.ingest.models.conftest import reference_counts
from tests.support.zoo import ssl_with_prefix


def test_ssl_embeddings_equal_those_of_the_original_code():
    """The prefix tells the activation: SELU, or ReLU for the classifier, whose embedding comes after it."""
    reference = np.load(DATA / "ssl" / "ref.npz")
    for kind in ("autoencoder", "classifier"):
        model = load_model("ssl", DATA / "ssl" / f"{kind}.ckpt")
        np.testing.assert_allclose(model.prepare(reference_counts()).toarray(), reference["X"], atol=1e-6)
        np.testing.assert_allclose(
            model.embed(reference_counts()), reference[kind], atol=1e-6 * np.abs(reference[kind]).max()
        )


@pytest.mark.parametrize(("prefix", "lightning"), [("inner_model", True), ("backbone", False)])
def test_byol_and_barlow_twins_are_networks_like_the_autoencoder(tmp_path, prefix, lightning):
    model = load_model("ssl", ssl_with_prefix(tmp_path / "model", prefix, lightning=lightning))
    expected = np.load(DATA / "ssl" / "ref.npz")["autoencoder"]
    np.testing.assert_allclose(model.embed(reference_counts()), expected, atol=1e-6 * np.abs(expected).max())


def test_ssl_folders_without_one_clear_checkpoint(tmp_path):
    with pytest.raises(ModelError, match=r"2 checkpoints: autoencoder\.ckpt, classifier\.ckpt\. Name the file"):
        load_model("ssl", DATA / "ssl")
    folder = ssl_with_prefix(tmp_path / "model", "backbone")
    torch.save({"decoder.0.weight": torch.ones(2, 2)}, folder / "model.ckpt")
    with pytest.raises(ModelError, match=r"must begin with one of encoder, inner_model, backbone, classifier.*decoder"):
        load_model("ssl", folder)
    (folder / "var.parquet").unlink()
    with pytest.raises(ModelError, match=r"var\.parquet, the gene table of scTab.*cannot be read"):
        load_model("ssl", folder)


def change(folder, **changes):
    """Change the contents of a checkpoint."""
    checkpoint = torch.load(folder / "model.ckpt", weights_only=False)
    torch.save({**checkpoint, **changes}, folder / "model.ckpt")
    return folder


@pytest.mark.parametrize("value", [nn.ReLU, "relu", nn.ReLU()])
def test_hyperparameters_with_another_activation_are_refused(tmp_path, value):
    folder = ssl_with_prefix(tmp_path / "model", "inner_model")
    assert load_model("ssl", change(folder, hyper_parameters={"lr": 0.1, "activation": nn.SELU})).latent_dim
    change(folder, hyper_parameters={"lr": 0.1, "mlp": {"activation": value}})
    with pytest.raises(ModelError, match=r"made with activation=\w+\. sigdb reads this kind of network with SELU"):
        load_model("ssl", folder)


def test_tensors_of_a_batch_norm_are_refused_by_name(tmp_path):
    folder = ssl_with_prefix(tmp_path / "model", "inner_model")
    state = torch.load(folder / "model.ckpt", weights_only=True)["state_dict"]
    change(folder, state_dict={**state, "inner_model.1.running_mean": torch.zeros(32)})
    with pytest.raises(
        ModelError, match=r"1 tensors that are not of a chain of linear layers: inner_model\.1\.running"
    ):
        load_model("ssl", folder)
