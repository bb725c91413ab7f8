"""Compare with the original packages: checkpoints of scimilarity and attributions of sc-signature.

`make .originals/ready` installs both packages into their own folder, without their dependencies.
"""

from __future__ import annotations

import json
import sys
import warnings

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix, random_array
from torch import nn

from ingest.attribution.methods import attribute_batch, scale
from ingest.models import load_model
from ingest.options import Method
from tests.ingest.conftest import DATA
from tests.ingest.models.conftest import reference_counts
from tests.support import ROOT
from tests.support.oracle import captum_on_the_whole_model

ORIGINALS = ROOT / ".originals"

pytestmark = pytest.mark.skipif(
    not (ORIGINALS / "SIGnature").exists(),
    reason="scimilarity and sc-signature are not installed: make .originals/ready",
)


@pytest.fixture(scope="module", autouse=True)
def _originals_on_the_path():
    sys.path.insert(0, str(ORIGINALS))
    yield
    sys.path.remove(str(ORIGINALS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A SCimilarity model with random weights, written by the package. Its batch norms have non-default statistics."""
    from scimilarity.nn_models import Encoder

    path = tmp_path_factory.mktemp("scimilarity")
    torch.manual_seed(0)
    encoder = Encoder(900, latent_dim=16, hidden_dim=[64, 64, 64])
    encoder.train()
    with torch.no_grad():
        for _ in range(5):
            encoder(torch.rand(64, 900) * 3)
    encoder.eval()
    encoder.save_state(str(path / "encoder.ckpt"))
    (path / "gene_order.tsv").write_text("\n".join(f"G{n}" for n in range(900)))
    shapes = {key: list(tensor.shape) for key, tensor in encoder.state_dict().items()}
    (path / "layer_sizes.json").write_text(json.dumps(shapes))
    (path / "label_ints.csv").write_text("index,0\n0,T cell\n")
    return path


@pytest.fixture(scope="module")
def counts():
    drawn = random_array((24, 900), density=0.1, format="csr", rng=np.random.default_rng(0))
    return csr_matrix((np.ceil(drawn.data * 20).astype(np.float32), drawn.indices, drawn.indptr), shape=drawn.shape)


def peer_attributions(wrapper, x, method):
    """Absolute values, each row scaled to a sum of 1000: (n, n_genes)."""
    with warnings.catch_warnings(action="ignore"):
        return wrapper.calculate_attributions(x, method=method, batch_size=8, disable_tqdm=True).toarray()


def test_embeddings_equal_those_of_scimilarity(folder, counts):
    from scimilarity.nn_models import Encoder

    encoder = Encoder(900, latent_dim=16, hidden_dim=[64, 64, 64])
    encoder.load_state(str(folder / "encoder.ckpt"))
    model = load_model("scimilarity", folder)
    with torch.no_grad():
        expected = encoder.eval()(torch.from_numpy(model.prepare(counts).toarray()))
    np.testing.assert_allclose(model.embed(counts), expected, atol=1e-6)


def test_integrated_gradients_equal_those_of_sc_signature(folder, counts):
    from SIGnature.models.scimilarity import SCimilarityWrapper

    model = load_model("scimilarity", folder)
    x = model.prepare(counts)
    expected = peer_attributions(SCimilarityWrapper(str(folder)), x, "ig")
    assert expected.min() == 0  # it stores no sign
    found = np.abs(scale(attribute_batch(model, x))[0].toarray())
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_local_methods_of_sc_signature_are_rounding_error_for_embeddings_of_unit_length(folder, counts):
    """docs/differences.md, 1. Its gradient before scaling is almost 0. Ours is the gradient of the dot product."""
    from SIGnature.models.scimilarity import SCimilarityWrapper

    model, wrapper = load_model("scimilarity", folder), SCimilarityWrapper(str(folder))
    x = model.prepare(counts)
    dense = torch.from_numpy(x.toarray()).requires_grad_()
    with torch.no_grad():
        reference = wrapper.model(dense)
    (gradient,) = torch.autograd.grad(wrapper(dense, reference)[:, 0].sum(), dense)
    assert (gradient * dense).abs().sum(dim=1).max() < 1e-5
    for name, theirs in (("ixg", "ixg"), ("deeplift", "dl")):
        expected, _ = captum_on_the_whole_model(model, x, Method(name))
        found = attribute_batch(model, x, Method(name)).values.toarray()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
        assert peer_attributions(wrapper, x, theirs).shape == found.shape


def test_deeplift_of_sc_signature_is_gradient_times_input_for_selu(tmp_path):
    """docs/differences.md, 2: the autoencoder of SSL-scTab. Ours is complete, and equals Captum with the added rule."""
    from SIGnature.models.ssl import SSLWrapper

    wrapper = ssl_wrapper(SSLWrapper, tmp_path, "autoencoder")
    model = load_model("ssl", DATA / "ssl" / "autoencoder.ckpt")
    x = model.prepare(reference_counts())
    np.testing.assert_allclose(
        peer_attributions(wrapper, x, "dl"), peer_attributions(wrapper, x, "ixg"), rtol=1e-3, atol=1e-2
    )
    method = Method("deeplift", "published")
    found = attribute_batch(model, x, method)
    expected, _ = captum_on_the_whole_model(model, x, method)
    np.testing.assert_allclose(found.values.toarray(), expected, atol=1e-5 * np.abs(expected).max())
    assert (np.abs(found.delta) / np.abs(expected).sum(axis=1)).max() < 1e-5


def test_sc_signature_has_another_embedding_of_the_classifier(tmp_path):
    """docs/differences.md, 3: SELU instead of ReLU, and the layer before the last activation."""
    from SIGnature.models.ssl import SSLWrapper

    wrapper = ssl_wrapper(SSLWrapper, tmp_path, "classifier")
    model = load_model("ssl", DATA / "ssl" / "classifier.ckpt")
    original = np.load(DATA / "ssl" / "ref.npz")["classifier"]
    x = torch.from_numpy(model.prepare(reference_counts()).toarray())
    with torch.no_grad():
        theirs = wrapper.model(x).numpy()
    assert np.linalg.norm(theirs - original) > 0.5 * np.linalg.norm(original)
    np.testing.assert_allclose(model.embed(reference_counts()), original, atol=1e-6 * np.abs(original).max())


def ssl_wrapper(kind, tmp_path, name):
    """The package's wrapper around one of the fixtures."""
    state = torch.load(DATA / "ssl" / f"{name}.ckpt", weights_only=True)
    torch.save(state, tmp_path / f"{name}.ckpt")
    (tmp_path / "var.parquet").write_bytes((DATA / "ssl" / "var.parquet").read_bytes())
    wrapper = kind(str(tmp_path), f"{name}.ckpt")
    assert isinstance(wrapper, nn.Module)
    return wrapper
