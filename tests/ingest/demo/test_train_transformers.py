"""The transformers that the training script makes: what it trains is what the adapters read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from ingest.demo.train_transformers import N_GENES, new_geneformer, new_scgpt, save_geneformer, save_scgpt
from ingest.models import load_model

GENES = {f"G{n}": f"ENSG{n:011}" for n in range(N_GENES)}


def new_transformer(name):
    torch.manual_seed(0)
    return new_scgpt(GENES) if name == "scgpt" else new_geneformer(GENES, np.ones(N_GENES))


def few_cells():
    """Counts of three cells, which express 20, 40 and 60 genes."""
    rng = np.random.default_rng(0)
    counts = np.zeros((3, N_GENES), np.float32)
    for cell, n_genes in enumerate((20, 40, 60)):
        counts[cell, rng.permutation(N_GENES)[:n_genes]] = rng.permutation(n_genes) + 1
    return csr_matrix(counts)


@pytest.mark.parametrize("name", ["scgpt", "geneformer"])
def test_a_cell_has_the_same_embedding_alone_and_in_a_batch(name):
    model, counts = new_transformer(name), few_cells()
    together = model.embed(counts).numpy()
    alone = np.concatenate([model.embed(cell).numpy() for cell in counts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-3


@pytest.mark.parametrize("name", ["scgpt", "geneformer"])
def test_what_is_saved_is_read_as_it_was(name, tmp_path):
    """But for the half precision of the files."""
    model = new_transformer(name)
    {"scgpt": save_scgpt, "geneformer": save_geneformer}[name](model, tmp_path)
    read = load_model(name, tmp_path / model.name)
    assert read.gene_ids == model.gene_ids
    np.testing.assert_allclose(read.embed(few_cells()).numpy(), model.embed(few_cells()).numpy(), atol=0.02)
