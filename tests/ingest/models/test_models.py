"""Model adapters: embeddings equal those of the original code, and no code in a checkpoint is executed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.sparse import csr_matrix
from torch import nn

from ingest.attribution.methods import attribute_batch
from ingest.models import ADAPTERS, Normalisation, load_model, save_mlp
from ingest.models.core import feed_forward
from ingest.options import Method
from sigdb.errors import ModelError, OptionError
from tests.ingest.conftest import DATA, save_small_model, small_counts
from tests.support.zoo import ZOO, random_scvi


def test_scimilarity_embeddings_equal_those_of_the_original_package():
    """scimilarity 0.4.1 wrote the checkpoint and the embeddings. The model does not have 80 of the 400 genes."""
    reference = np.load(DATA / "scimilarity" / "ref.npz")
    model = load_model("scimilarity", DATA / "scimilarity")
    columns = {gene: n for n, gene in enumerate(reference["genes"])}
    aligned = np.zeros((32, len(model.gene_ids)), np.float32)
    for position, gene in enumerate(model.gene_ids):
        if gene in columns:
            aligned[:, position] = reference["counts"][:, columns[gene]]
    np.testing.assert_allclose(model.normalisation(csr_matrix(aligned)).toarray(), reference["X"], atol=1e-6)
    np.testing.assert_allclose(model.embed(csr_matrix(aligned)).numpy(), reference["emb"], atol=1e-6)
    assert model.l2_normalised
    assert model.latent_dim == 16


def test_generic_mlp_embeds_like_its_torch_modules(small_model):
    model = load_model("mlp", small_model)
    net = nn.Sequential(
        nn.Linear(24, 16), nn.BatchNorm1d(16), nn.PReLU(), nn.Linear(16, 16), nn.PReLU(), nn.Linear(16, 6)
    )
    net.load_state_dict(load_file(small_model / "model.safetensors"))
    counts = small_counts()[:, :24].toarray()
    totals = counts.sum(axis=1, keepdims=True)
    x = np.log1p(np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0) * 1e4)
    with torch.no_grad():
        expected = nn.functional.normalize(net.eval()(torch.from_numpy(x)), dim=1)
    np.testing.assert_allclose(model.embed(csr_matrix(counts)).numpy(), expected.numpy(), atol=1e-6)


def test_weights_stored_as_float16_are_used_as_float32(small_model, tmp_path):
    half = shutil.copytree(small_model, tmp_path / "half")
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in load_file(half / "model.safetensors").items()}
    save_file(tensors, half / "model.safetensors")
    model = load_model("mlp", half)
    assert model.first.weight.dtype == torch.float32
    np.testing.assert_allclose(model.first.weight, tensors["0.weight"].float())


def test_normalisation_keeps_counts_and_leaves_empty_cells_empty():
    counts = small_counts()
    before = counts.copy()
    x = Normalisation(target_sum=100, log1p=False)(counts)
    assert (counts != before).nnz == 0
    totals = np.ravel(x.sum(axis=1))
    np.testing.assert_allclose(np.delete(totals, 3), 100, rtol=1e-5)
    assert totals[3] == 0
    np.testing.assert_allclose(Normalisation(target_sum=None)(counts).data, np.log1p(counts.data), rtol=1e-6)


class Malicious:
    """An object that, when unpickled, calls a function that creates a path."""

    def __init__(self, function, path):
        self.function, self.path = function, str(path)

    def __reduce__(self):
        return self.function, (self.path,)


FUNCTIONS = {"os": os.mkdir, "os.system": None, "pathlib": Path.touch, "shutil": shutil.copytree, "builtins": eval}


def malicious(name, trap):
    if name == "os.system":
        return Malicious(os.system, f"mkdir {trap}")
    if name == "builtins":
        return Malicious(eval, f"__import__('os').mkdir({str(trap)!r})")
    return Malicious(FUNCTIONS[name], trap)


WITH_WEIGHTS = {
    "scimilarity": ("encoder.ckpt", lambda evil: {"state_dict": {"network.0.1.weight": evil}}),
    "ssl": ("model.ckpt", lambda evil: {"state_dict": {"encoder.0.weight": evil}}),
    "scvi": (
        "model.pt",
        lambda evil: {"model_state_dict": {"z_encoder.x": evil}, "var_names": evil, "attr_dict": evil},
    ),
    "mlp": ("model.safetensors", lambda evil: evil),
    "scfoundation": ("models.ckpt", lambda evil: {"cell": {"config": {}, "state_dict": {"model.x": evil}}}),
    "scgpt": ("best_model.pt", lambda evil: {"encoder.embedding.weight": evil}),
    "geneformer": ("model.safetensors", lambda evil: evil),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("architecture", ADAPTERS)
def test_a_checkpoint_with_code_is_refused_and_not_executed(tmp_path, architecture, function):
    trap = tmp_path / "trap"
    folder = tmp_path / "evil"
    source = DATA / ("scvi_census_like" if architecture == "scvi" else architecture)
    shutil.copytree(source if source.exists() else save_small_model(tmp_path / "model"), folder)
    for checkpoint in folder.glob("*.ckpt"):
        checkpoint.unlink()
    name, holding = WITH_WEIGHTS[architecture]
    torch.save(holding(malicious(function, trap)), folder / name)
    with pytest.raises(ModelError, match=r"not loaded|not tensors|cannot be read"):
        load_model(architecture, folder)
    assert not trap.exists()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_code_beside_the_weights_is_not_executed_either(tmp_path, function):
    """Objects of other packages in an scVI file are read as `Opaque`; torch refuses some of them."""
    folder = random_scvi(tmp_path / "scvi")
    checkpoint = torch.load(folder / "model.pt", weights_only=False)
    trap = tmp_path / "trap"
    checkpoint["attr_dict"]["history_"] = malicious(function, trap)
    torch.save(checkpoint, folder / "model.pt")
    if function in ("os", "os.system", "pathlib"):  # torch always refuses os and pathlib
        with pytest.raises(ModelError, match="not loaded"):
            load_model("scvi", folder)
    else:
        assert load_model("scvi", folder).latent_dim == 5
    assert not trap.exists()


def edit_description(folder, **changes):
    spec = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({k: v for k, v in {**spec, **changes}.items() if v is not ...}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, 'must say "format"'),
        ({"genes": ...}, "lacks genes"),
        ({"gene": ["A"]}, "has the unknown keys gene"),
        ({"normalisation": {"target_sum": 0, "log1p": True}}, "normalisation must be"),
        ({"normalisation": {"log1p": True}}, "normalisation must be"),
        ({"normalisation": {"target_sum": 1e4, "log1p": "false"}}, "normalisation must be"),
        ({"normalisation": {"target_sum": True, "log1p": True}}, "normalisation must be"),
        ({"normalisation": {"target_sum": float("inf"), "log1p": True}}, "normalisation must be"),
        ({"normalisation": None}, "normalisation must be"),
        ({"l2_normalised": "false"}, "l2_normalised must be true or false"),
        ({"genes": [1, 2]}, "genes must be a list of names"),
        ({"genes": None}, "genes must be a list of names"),
        ({"layers": None}, "layers must be a list"),
        ({"layers": [["Linear"]]}, "is .'Linear'.. Known layers"),
        ({"layers": ["Linear", {"type": "BatchNorm1d", "eps": "x"}]}, "eps must be a number"),
        ({"genes": ["A", "B"]}, "takes 24 genes; its gene list has 2"),
        ({"genes": ["A"] * 24}, "repeats 1 genes: A"),
        ({"layers": ["Linear", "Dropout", "Linear"]}, r"Layer 1 of model .* is 'Dropout'. Known layers are Linear"),
        ({"layers": ["PReLU"]}, r"do not fit|cannot be built"),
        ({"layers": ["Linear", {"type": "BatchNorm1d", "epsilon": 1}]}, r"Layer 1 \(BatchNorm1d\) .* cannot be built"),
        ({"layers": ["Linear", "BatchNorm1d", "PReLU"]}, "do not fit"),
        ({"layers": ["Linear", "BatchNorm1d", {"type": "LeakyReLU", "negative_slope": "a"}, "Linear"]}, "do not fit"),
        (
            {"layers": ["Linear", "BatchNorm1d", {"type": "ELU", "alpha": float("nan")}, "Linear"]},
            "not a finite number",
        ),
        ({"layers": ["Linear", "BatchNorm1d", {"type": "ReLU", "slope": 1}, "Linear"]}, "cannot be built"),
    ],
)
def test_a_description_that_does_not_fit_says_where(tmp_path, changes, message):
    folder = save_small_model(tmp_path / "model")
    edit_description(folder, **changes)
    with pytest.raises(ModelError, match=message):
        load_model("mlp", folder)


@pytest.mark.parametrize(
    ("key", "tensor", "message"),
    [
        ("0.weight", torch.full((16, 24), torch.nan), r"Weights of model .* are NaN or infinite: weight"),
        ("1.running_var", torch.full((16,), -1.0), "running_var is negative"),
        ("3.weight", torch.ones(16, 7), "do not fit together"),
        ("0.weight", torch.ones(16), "cannot be built"),
    ],
)
def test_weights_that_cannot_be_right(tmp_path, key, tensor, message):
    folder = save_small_model(tmp_path / "model")
    save_file({**load_file(folder / "model.safetensors"), key: tensor}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=message):
        load_model("mlp", folder)


def test_a_description_with_repeated_or_endless_keys(tmp_path):
    folder = save_small_model(tmp_path / "model")
    text = (folder / "model.json").read_text()
    (folder / "model.json").write_text(text.replace('"l2_normalised"', '"l2_normalised": true, "l2_normalised"'))
    with pytest.raises(ModelError, match="keys are repeated"):
        load_model("mlp", folder)
    (folder / "model.json").write_text("[" * 200_000)
    with pytest.raises(ModelError, match="cannot be read"):
        load_model("mlp", folder)


def test_an_activation_in_place_does_not_change_the_bias_before_it():
    tensors = {"0.weight": torch.ones(2, 3), "0.bias": torch.tensor([-0.5, 0.5]), "2.weight": torch.ones(1, 2)}
    about = {"architecture": "mlp", "normalisation": Normalisation(), "l2_normalised": False, "sha256": "x"}
    model = feed_forward(
        ["Linear", {"type": "ReLU", "inplace": True}, "Linear"], tensors, name="m", genes=["A", "B", "C"], **about
    )
    assert model.bias.tolist() == [[-0.5, 0.5]]


def test_first_layer_must_be_linear(tmp_path):
    folder = save_small_model(tmp_path / "model")
    edit_description(folder, layers=["PReLU"])
    save_file({"0.weight": torch.ones(1)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match="first layer of model model must be Linear over genes"):
        load_model("mlp", folder)


@pytest.mark.parametrize("architecture", ADAPTERS)
def test_missing_and_broken_folders(tmp_path, architecture):
    with pytest.raises(ModelError, match="no model folder"):
        load_model(architecture, tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"cannot be read|is not a|0 checkpoints|needs its list of genes"):
        load_model(architecture, tmp_path)
    for name in ("model.json", "model.safetensors", "encoder.ckpt", "gene_order.tsv", "model.pt", "var.parquet"):
        (tmp_path / name).write_bytes(b"{broken")
    for name in ("OS_scRNA_gene_index.19264.tsv", "args.json", "vocab.json", "config.json"):
        (tmp_path / name).write_bytes(b"{broken")
    with pytest.raises(ModelError, match=r"cannot be read|not loaded|2 checkpoints|must have the columns"):
        load_model(architecture, tmp_path)


def test_unknown_architecture(tmp_path):
    with pytest.raises(OptionError, match=r"no architecture 'scbert'\. .* one of mlp, scimilarity, scvi, ssl"):
        load_model("scbert", tmp_path)


def test_scimilarity_with_other_tensors_is_refused(tmp_path):
    folder = shutil.copytree(DATA / "scimilarity", tmp_path / "other")
    torch.save({"state_dict": {"decoder.weight": torch.ones(2)}}, folder / "encoder.ckpt")
    with pytest.raises(ModelError, match=r"not tensors of a SCimilarity encoder: decoder\.weight"):
        load_model("scimilarity", folder)
    torch.save({"state_dict": {}}, folder / "encoder.ckpt")
    with pytest.raises(ModelError, match="holds no state_dict"):
        load_model("scimilarity", folder)


def test_scimilarity_with_other_blocks_or_contents_is_refused(tmp_path):
    """Without its PReLU, the tensors of a block would still fit together."""
    folder = shutil.copytree(DATA / "scimilarity", tmp_path / "other")
    state = torch.load(folder / "encoder.ckpt", weights_only=True)["state_dict"]
    torch.save({"state_dict": {k: v for k, v in state.items() if k != "network.1.3.weight"}}, folder / "encoder.ckpt")
    with pytest.raises(ModelError, match=r"1 differ, as block and position \(1, 3\)"):
        load_model("scimilarity", folder)
    torch.save({"state_dict": state, "residual": True}, folder / "encoder.ckpt")
    with pytest.raises(ModelError, match=r"nothing else.*: state_dict, residual"):
        load_model("scimilarity", folder)


@pytest.mark.parametrize("name", ZOO)
def test_an_exported_model_is_the_same_model(tmp_path, name):
    model = ZOO[name](tmp_path)
    save_mlp(model, tmp_path / "out")
    copy = load_model("mlp", tmp_path / "out")
    counts = csr_matrix(np.random.default_rng(0).poisson(0.7, size=(8, len(model.gene_ids))).astype(np.float32))
    np.testing.assert_array_equal(copy.embed(counts), model.embed(counts))
    assert (copy.gene_ids, copy.unsupported) == (model.gene_ids, model.unsupported)
    one, other = (attribute_batch(each, each.prepare(counts), Method("ig", n_steps=5)).values for each in (copy, model))
    np.testing.assert_array_equal(one.toarray(), other.toarray())
    with pytest.raises(ModelError, match="exists already"):
        save_mlp(model, tmp_path / "out")


def test_a_model_that_is_not_a_chain_of_layers_cannot_be_exported(tmp_path):
    """The model is a transformer."""

    class Tokens:
        name, architecture = "tokens", "transformer"

    with pytest.raises(ModelError, match=r"tokens \(transformer\) is not a chain of layers over genes.*sigdb reads"):
        save_mlp(Tokens(), tmp_path / "out")
    assert not (tmp_path / "out").exists()
