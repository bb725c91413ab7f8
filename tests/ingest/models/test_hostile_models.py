"""Model files that claim more than they hold, or hold what no encoder has: a ModelError, in little memory and time."""

from __future__ import annotations

import copy
import io
import json
import struct
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.models import load_model
from sigdb.errors import ModelError, SigdbError
from tests.ingest.conftest import save_small_model
from tests.support.lakes import examples
from tests.support.zoo import random_scvi, ssl_with_prefix

WHOLE = {"network.0.1.weight": torch.arange(12.0).reshape(4, 3), "network.0.1.bias": torch.ones(4)}


def describe(**changes):
    """Change the description of a model in the MLP format."""

    def change(folder):
        spec = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps(spec | changes))

    return change


def tensors_that_claim(shape):
    header = json.dumps({"0.weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * shape[0] * shape[1]]}})
    return lambda folder: (folder / "model.safetensors").write_bytes(
        struct.pack("<Q", len(header)) + header.encode() + bytes(16)
    )


MLP = {
    "a million layers": (describe(layers=["ReLU"] * 10**6), "has 1000000 layers, and an encoder has 1000 at most"),
    "a layer of any size": (describe(layers=["Linear", {"type": "LayerNorm", "size": 10**30}]), "do not fit"),
    "an option of a strange type": (describe(layers=["Linear", {"type": "BatchNorm1d", "eps": []}]), "cannot be built"),
    "a layer that is no name": (describe(layers=[None]), "is None. Known layers are"),
    "deep lists": (lambda folder: (folder / "model.json").write_bytes(b"[" * 10**6), "maximum recursion depth"),
    "deep objects": (lambda folder: (folder / "model.json").write_bytes(b'{"a":' * 10**5), "maximum recursion depth"),
    "a long number": (lambda folder: (folder / "model.json").write_bytes(b"9" * 10**5), "cannot be read: Exceeds"),
    "large tensors": (tensors_that_claim((10**6, 10**6)), "safetensors cannot be read"),
    "a large header": (
        lambda folder: (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**60)),
        "header too large",
    ),
}


@pytest.mark.parametrize("case", MLP)
def test_the_mlp_format(tmp_path, case):
    change, message = MLP[case]
    folder = save_small_model(tmp_path / "model")
    change(folder)
    with pytest.raises(ModelError, match=message):
        load_model("mlp", folder)


@pytest.fixture
def encoder(tmp_path):
    """A folder of SCimilarity with three genes and no checkpoint yet."""
    (tmp_path / "gene_order.tsv").write_text("A\nB\nC\n")
    return tmp_path


STATES = {
    "one value for all": {"network.0.1.weight": torch.ones(1).expand(10**6, 10**6)},
    "a sparse tensor": {"network.0.1.weight": torch.ones(4, 3).to_sparse()},
    "no values": {"network.0.1.weight": torch.ones(4, 3, device="meta")},
    "complex numbers": {"network.0.1.weight": torch.ones(4, 3, dtype=torch.complex64)},
    "no dimension": {"network.0.1.weight": torch.tensor(1.0)},
    "a layer with a long number": {f"network.{'9' * 5000}.1.weight": torch.ones(4, 3)},
    "no names": {3: torch.ones(4, 3)},
    "thousands of layers": {f"network.{n}.1.weight": torch.ones(1, 1) for n in range(1001)},
}


@pytest.mark.parametrize("case", STATES)
def test_tensors_of_a_checkpoint(encoder, case):
    torch.save({"state_dict": STATES[case]}, encoder / "encoder.ckpt")
    with pytest.raises(ModelError):
        load_model("scimilarity", encoder)


def rewrite(change, method=zipfile.ZIP_STORED):
    """A checkpoint with changed records."""
    with io.BytesIO() as before, io.BytesIO() as after:
        torch.save({"state_dict": WHOLE}, before)
        with zipfile.ZipFile(before) as source, zipfile.ZipFile(after, "w", method) as target:
            for name in source.namelist():
                target.writestr(name, change(name, source.read(name)))
        return after.getvalue()


def in_pickle(old, new):
    return lambda name, content: content.replace(old, new) if name.endswith("data.pkl") else content


RECORDS = {
    "a storage larger than its record": (in_pickle(b"K\x0c", b"J\x00\x00\x00\x70"), "another size than is stored"),
    "a storage smaller than its tensor": (in_pickle(b"K\x0c", b"K\x01"), "not loaded"),
    "a record cut off": (lambda name, content: content[:4] if name.endswith("/0") else content, "another size than"),
    "no opcodes": (lambda name, content: b"\x80\x02h\xff." if name.endswith("data.pkl") else content, "not loaded"),
}


@pytest.mark.parametrize("case", RECORDS)
def test_records_of_a_checkpoint(encoder, case):
    """torch reads beyond the end of a record that is smaller than the pickle says."""
    change, message = RECORDS[case]
    (encoder / "encoder.ckpt").write_bytes(rewrite(change))
    with pytest.raises(ModelError, match=message):
        load_model("scimilarity", encoder)


def test_compressed_records_are_not_taken_for_values(encoder):
    (encoder / "encoder.ckpt").write_bytes(rewrite(lambda name, content: content))
    assert load_model("scimilarity", encoder).latent_dim == 4
    (encoder / "encoder.ckpt").write_bytes(rewrite(lambda name, content: content, zipfile.ZIP_DEFLATED))
    with pytest.raises(ModelError, match="its records are compressed"):
        load_model("scimilarity", encoder)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("as_zip", [True, False])
def test_flipped_bits_of_a_checkpoint(encoder, as_zip):
    """They are refused, or change nothing. Checkpoints of torch before 1.6 have no checksums for their values."""
    torch.save({"state_dict": WHOLE}, encoder / "encoder.ckpt", _use_new_zipfile_serialization=as_zip)
    content, rng = (encoder / "encoder.ckpt").read_bytes(), np.random.default_rng(0)
    for at in rng.choice(len(content), 60, replace=False):
        flipped = content[:at] + bytes([content[at] ^ 1 << rng.integers(8)]) + content[at + 1 :]
        (encoder / "encoder.ckpt").write_bytes(flipped)
        try:
            model = load_model("scimilarity", encoder)
        except SigdbError:
            continue
        if as_zip:
            torch.testing.assert_close(model.first.weight.detach(), WHOLE["network.0.1.weight"])


@pytest.fixture(scope="module")
def scvi(tmp_path_factory):
    folder = random_scvi(tmp_path_factory.mktemp("scvi") / "model")
    return folder, torch.load(folder / "model.pt", weights_only=False)


def places(value, above=()):
    """All places of a nested dictionary."""
    for key in value if isinstance(value, dict) else ():
        yield (*above, key)
        yield from places(value[key], (*above, key))


STRANGE = (None, 3, "x", [], {}, {"a": {}}, torch.ones(2, 2), torch.ones(()), float("nan"), [[]], -1, 10**30)


@settings(max_examples=examples(60), deadline=None)
@given(st.data(), st.sampled_from([*STRANGE, "nothing"]))
def test_any_strange_value_in_a_checkpoint_of_scvi(scvi, data, value):
    folder, whole = scvi
    changed = copy.deepcopy(whole)
    *above, key = data.draw(st.sampled_from(list(places(whole))))
    parent = changed
    for each in above:
        parent = parent[each]
    parent[key] = value
    if isinstance(value, str) and value == "nothing":
        del parent[key]
    torch.save(changed, folder / "model.pt")
    try:
        load_model("scvi", folder)
    except SigdbError:
        return


def test_a_table_of_more_genes_than_there_are(tmp_path):
    folder = ssl_with_prefix(tmp_path / "model", "backbone")
    pq.write_table(pa.table({"feature_id": pa.repeat("x", 1_000_001)}), folder / "var.parquet")
    with pytest.raises(ModelError, match="has 1000001 rows, and a model has 1000000 genes at most"):
        load_model("ssl", folder)
