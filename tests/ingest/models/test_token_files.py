"""Files of transformers that do not belong together, or that hold code."""

from __future__ import annotations

import json
import pickle
import shutil

import numpy as np
import pytest
import torch

from ingest.models import load_model
from sigdb.errors import ModelError, OptionError
from tests.ingest.conftest import DATA
from tests.ingest.models.conftest import change_json, copy_model


def change_pickle(path, change):
    found = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps(change(found)))


def change_checkpoint(path, change):
    found = torch.load(path, weights_only=True)
    change(found)
    torch.save(found, path)


BROKEN = {
    "no gene list": (
        "scfoundation",
        lambda folder: (folder / "OS_scRNA_gene_index.tsv").unlink(),
        "needs its list of genes beside models.ckpt: one file OS_scRNA_gene_index.*has 0",
    ),
    "another gene list": (
        "scfoundation",
        lambda folder: (folder / "OS_scRNA_gene_index.tsv").write_text("gene_name\tindex\nA\t0\nB\t1\n"),
        "has 1,137 genes .* and the gene list beside it 2",
    ),
    "heads of scFoundation": (
        "scfoundation",
        lambda folder: change_checkpoint(
            folder / "models.ckpt",
            lambda found: found["cell"]["config"]["model_config"]["mae_autobin"]["encoder"].update(heads=5),
        ),
        "5 heads, which do not divide its width of 16",
    ),
    "no encoder of cells": (
        "scfoundation",
        lambda folder: change_checkpoint(folder / "models.ckpt", lambda found: found.update(gene=found.pop("cell"))),
        "must have the part 'cell', and has gene",
    ),
    "a layer that is missing": (
        "scfoundation",
        lambda folder: change_checkpoint(
            folder / "models.ckpt",
            lambda found: found["cell"]["state_dict"].pop("model.encoder.transformer_encoder.1.norm1.weight"),
        ),
        "has no tensor 1.norm1.weight",
    ),
    "vocabulary of another model": (
        "scgpt",
        lambda folder: (folder / "vocab.json").write_text(json.dumps({"<pad>": 0, "<cls>": 1, "LYZ": 2})),
        "has 3 tokens, and the table of best_model.pt has 363 rows",
    ),
    "no <cls>": ("scgpt", lambda folder: (folder / "vocab.json").write_text('{"LYZ": 0}'), "has no token <cls>"),
    "another width": (
        "scgpt",
        lambda folder: change_json(folder / "args.json", embsize=64),
        "encoder.embedding.weight of .* is 363 x 32; it must be any x 64",
    ),
    "too few layers": (
        "scgpt",
        lambda folder: change_json(folder / "args.json", nlayers=2),
        "has 12 tensors that its 2 layers do not have",
    ),
    "another style": (
        "scgpt",
        lambda folder: change_json(folder / "args.json", input_emb_style="category"),
        "has input_emb_style 'category'. sigdb knows 'continuous'",
    ),
    "no settings": ("scgpt", lambda folder: (folder / "args.json").unlink(), "args.json cannot be read"),
    "dictionary of another generation": (
        "geneformer",
        lambda folder: change_pickle(folder / "token_dictionary.pkl", lambda found: dict(list(found.items())[:-9])),
        "has 345 tokens up to 344, and the model a vocabulary of 354. .*another generation",
    ),
    "medians of another generation": (
        "geneformer",
        lambda folder: change_pickle(folder / "gene_median_dictionary.pkl", lambda found: {"ENSG1": 1.0}),
        "lacks 350 of the 350 genes",
    ),
    "no dictionary": (
        "geneformer",
        lambda folder: (folder / "token_dictionary.pkl").unlink(),
        r"needs one dictionary token_dictionary\*.pkl in .*has 0.*name their folder with `dictionaries`",
    ),
    "places of another model": (
        "geneformer",
        lambda folder: change_json(folder / "config.json", max_position_embeddings=2048),
        "position_embeddings.weight of .* is 256 x 32; it must be 2048 x 32",
    ),
    "another activation": (
        "geneformer",
        lambda folder: change_json(folder / "config.json", hidden_act="gelu"),
        "has hidden_act='gelu'. sigdb knows Geneformer as it is published",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_files_that_do_not_belong_together(case, tmp_path):
    name, change, message = BROKEN[case]
    folder = copy_model(name, tmp_path)
    change(folder)
    with pytest.raises(ModelError, match=f"(?s){message}"):
        load_model(name, folder)


class Attack:
    def __reduce__(self):
        return (open, ("owned", "w"))


def test_a_dictionary_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = copy_model("geneformer", tmp_path)
    (folder / "token_dictionary.pkl").write_bytes(pickle.dumps({"<pad>": Attack()}))
    with pytest.raises(ModelError, match=r"not loaded: it names _?io\.open"):
        load_model("geneformer", folder)
    assert not (tmp_path / "owned").exists()


def test_dictionaries_with_numbers_of_numpy(tmp_path):
    """As those of the first generation."""
    folder, home = copy_model("geneformer", tmp_path), tmp_path / "dictionaries"
    home.mkdir()
    for name in ("token_dictionary", "gene_median_dictionary"):
        shutil.move(folder / f"{name}.pkl", home / f"{name}_gc95M.pkl")
    change_pickle(home / "gene_median_dictionary_gc95M.pkl", lambda found: {k: np.float64(v) for k, v in found.items()})
    found = load_model("geneformer", folder, dictionaries=home)
    assert found.medians == load_model("geneformer", DATA / "geneformer").medians


def test_options_are_those_of_the_model():
    with pytest.raises(OptionError, match="`depth` is for scfoundation models, not for scgpt"):
        load_model("scgpt", DATA / "scgpt", depth="t4")
    with pytest.raises(OptionError, match="There is no depth 'x4'"):
        load_model("scfoundation", DATA / "scfoundation", depth="x4")
    with pytest.raises(OptionError, match=r"There is no pool 'mean'\. `pool` is all or max"):
        load_model("scfoundation", DATA / "scfoundation", pool="mean")
    with pytest.raises(OptionError, match="`max_length` must be at least 2"):
        load_model("scgpt", DATA / "scgpt", max_length=1)
