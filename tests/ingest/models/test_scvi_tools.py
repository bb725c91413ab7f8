"""Compare with scvi-tools, which trains, saves and embeds: `make test-scvi`."""

from __future__ import annotations

import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from torch import nn

from ingest.models import load_model
from sigdb.errors import ModelError

pytest.importorskip("scvi", reason="scvi-tools is not installed here: make test-scvi")

pytestmark = pytest.mark.filterwarnings("ignore")

VARIANTS = {
    "as trained by the census": {"encode_covariates": False, "gene_likelihood": "nb"},
    "covariates": {"encode_covariates": True},
    "covariates in the first layer": {"encode_covariates": True, "deeply_inject_covariates": False},
    "layer norm": {"use_layer_norm": "both", "use_batch_norm": "none"},
    "both norms": {"use_layer_norm": "encoder", "use_batch_norm": "both"},
    "counts, not logged": {"log_variational": False},
    "three layers": {"n_layers": 3, "n_hidden": 24},
    "another activation": {"extra_encoder_kwargs": {"activation_fn": nn.Softplus}},
    "an activation with weights": {"extra_encoder_kwargs": {"activation_fn": nn.PReLU}},
    "no activation": {"extra_encoder_kwargs": {"use_activation": False}},
    "no bias": {"extra_encoder_kwargs": {"bias": False}, "encode_covariates": True},
    "another decoder": {"extra_decoder_kwargs": {"activation_fn": nn.Tanh}, "batch_representation": "embedding"},
    "another variance": {"var_activation": nn.functional.softplus, "extra_encoder_kwargs": {"var_eps": 1e-3}},
    "another likelihood": {"gene_likelihood": "poisson", "dispersion": "gene-batch", "use_observed_lib_size": False},
}
# Options with which the embedding would be another one.
REFUSED = {
    "logistic normal": {"latent_distribution": "ln"},
    "unknown activation": {"extra_encoder_kwargs": {"activation_fn": nn.Mish}},
    "embedding of the batch": {"batch_representation": "embedding", "encode_covariates": True},
}


def data():
    rng = np.random.default_rng(0)
    counts = csr_matrix(rng.poisson(rng.gamma(0.5, 3.0, size=(120, 60))).astype(np.float32))
    obs = pd.DataFrame(
        {
            "lane": [f"l{n % 3}" for n in range(120)],
            "donor": [f"d{n % 2}" for n in range(120)],
            "mito": rng.uniform(size=120),
            "type": [["T", "B", "unknown"][n % 3] for n in range(120)],
        },
        index=[f"c{n}" for n in range(120)],
    )
    return anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"ENSG{n:011}" for n in range(60)]))


def train(adata, folder, kind, **options):
    import scvi

    scvi.settings.seed = 0
    with warnings.catch_warnings(action="ignore"):
        model = kind(adata, n_latent=7, **{"n_layers": 2, **options})
        model.train(max_epochs=2, accelerator="cpu", enable_progress_bar=False, logger=False)
    model.save(str(folder), overwrite=True)
    return model


@pytest.mark.parametrize("case", VARIANTS)
def test_latent_space_of_scvi(tmp_path, case):
    from scvi.model import SCVI

    adata, options = data(), VARIANTS[case]
    SCVI.setup_anndata(adata, batch_key="lane")
    expected = train(adata, tmp_path / "scvi", SCVI, **options).get_latent_representation()
    for lane in ("l0", "l1", "l2"):
        cells = (adata.obs["lane"] == lane).to_numpy()
        model = load_model("scvi", tmp_path / "scvi", {"batch": lane} if options.get("encode_covariates") else {})
        np.testing.assert_allclose(model.embed(csr_matrix(adata.X[cells])), expected[cells], atol=1e-5)


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_cannot_be_honoured(tmp_path, case):
    from scvi.model import SCVI

    adata, options = data(), REFUSED[case]
    SCVI.setup_anndata(adata, batch_key="lane")
    train(adata, tmp_path / "scvi", SCVI, **options)
    covariates = {"batch": "l0"} if options.get("encode_covariates") else {}
    with pytest.raises(ModelError, match=r"latent_distribution='ln'|activation_fn=|embedding of the batch"):
        load_model("scvi", tmp_path / "scvi", covariates)


def test_another_class(tmp_path):
    from scvi.model import LinearSCVI

    adata = data()
    LinearSCVI.setup_anndata(adata)
    train(adata, tmp_path / "linear", LinearSCVI)
    with pytest.raises(ModelError, match="class 'LinearSCVI'"):
        load_model("scvi", tmp_path / "linear")


def test_further_covariates(tmp_path):
    """A fixed number is a constant, so all cells have the same number here."""
    from scvi.model import SCVI

    adata = data()
    adata.obs["mito"] = 0.25
    keys = {"categorical_covariate_keys": ["donor"], "continuous_covariate_keys": ["mito"]}
    SCVI.setup_anndata(adata, batch_key="lane", **keys)
    expected = train(adata, tmp_path / "scvi", SCVI, encode_covariates=True).get_latent_representation()
    cells = ((adata.obs["lane"] == "l1") & (adata.obs["donor"] == "d0")).to_numpy()
    model = load_model("scvi", tmp_path / "scvi", {"batch": "l1", "donor": "d0", "mito": "0.25"})
    np.testing.assert_allclose(model.embed(csr_matrix(adata.X[cells])), expected[cells], atol=1e-5)


def test_scanvi(tmp_path):
    from scvi.model import SCANVI

    adata = data()
    SCANVI.setup_anndata(adata, labels_key="type", unlabeled_category="unknown", batch_key="lane")
    expected = train(adata, tmp_path / "scanvi", SCANVI).get_latent_representation()
    model = load_model("scvi", tmp_path / "scanvi")
    np.testing.assert_allclose(model.embed(csr_matrix(adata.X)), expected, atol=1e-5)
    assert model.description == "SCANVI"
