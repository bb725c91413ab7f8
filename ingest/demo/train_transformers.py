"""Train two small transformers on the bundled studies, in the file formats of scGPT and of Geneformer.

They show what an atlas with transformers looks like. They are not the published models: each has about 1,500 genes, a
width of 32 and two layers, and learned the cell types of 1,757 cells. Training uses the network and the tokens of the
adapter that reads the files. A linear map from the embedding to the cell types of each study is trained with it and
thrown away. Cells are thinned at random, so that cells of other depths are met too.

Run `python -m ingest.demo.train_transformers --out DIR`. The same seed and torch build give the
same weights.
"""

from __future__ import annotations

import argparse
import json
import logging
import pickle
import time
from dataclasses import dataclass
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file
from scipy.sparse import csr_matrix, vstack
from torch import nn
from torch.nn import functional

from ingest.demo.train import STUDIES, align, select_genes
from ingest.models import geneformer, scgpt
from ingest.models.tokens import new_layers
from sigdb.signatures import read_signatures

if TYPE_CHECKING:
    from torch import Tensor

    from ingest.models.tokens import TokenModel

log = logging.getLogger(__name__)

N_GENES = 1500
WIDTH, HEADS, INNER, LAYERS = 32, 2, 64, 2
SIZES = {"width": WIDTH, "n_heads": HEADS, "inner": INNER}
# Most tokens of a cell. Some of the bundled cells express more of the genes, so that one sees what is not read.
CONTEXT = 160
STEPS, CELLS_PER_STUDY, LEARNING_RATE = 300, 13, 3e-3
# The smallest share of a cell's counts that is kept in training.
THINNED_TO = 0.5
# One cell in so many is not trained on, but used to measure how well cell types are recognised.
HELD_OUT = 5
# How far apart the logits of cell types can be.
SHARPNESS = 10.0
SPECIALS = ["<pad>", "<mask>", "<cls>", "<eos>"]
BERT = {
    "architectures": ["BertForMaskedLM"],
    "model_type": "bert",
    "hidden_act": "relu",
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS + 1,
    "max_position_embeddings": CONTEXT,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "vocab_size": len(SPECIALS) + N_GENES,
}
SETTINGS = {
    "embsize": WIDTH,
    "nheads": HEADS,
    "d_hid": INNER,
    "nlayers": LAYERS,
    "n_bins": 51,
    "pad_token": "<pad>",
    "pad_value": -2,
    "input_emb_style": "continuous",
    "max_seq_len": CONTEXT,
}
# The parts of scGPT's files -> those of the adapter's network.
SCGPT_PARTS = {
    "encoder.embedding": "genes",
    "encoder.enc_norm": "norm",
    "value_encoder.linear1": "values.first",
    "value_encoder.linear2": "values.second",
    "value_encoder.norm": "values.norm",
    "transformer_encoder.layers": "layers",
}


@dataclass(frozen=True)
class Cells:
    """Cells of several studies.

    counts: (n, n_genes). label: (n,) the number of a cell's type; types of two studies are never the same one. study:
    (n,). types_of: (n_studies, n_types) which types a study has.
    """

    counts: csr_matrix
    label: Tensor
    study: np.ndarray
    types_of: Tensor


def choose_genes(studies: list[ad.AnnData]) -> dict[str, str]:
    """The symbols of genes that at least two studies measure -> their Ensembl ids."""
    with as_file(files("sigdb") / "data") as data:
        wanted = {gene for each in read_signatures(data / "ms1.txt") for gene in each.genes}
        table = pq.read_table(data / "hgnc_human.parquet", columns=["symbol", "ensembl_id"]).to_pylist()
    ids = {row["symbol"]: row["ensembl_id"] for row in table if row["ensembl_id"]}
    known = [study[:, study.var_names.isin(ids)] for study in studies]
    return {symbol: ids[symbol] for symbol in select_genes(known, N_GENES, wanted)}


def medians_of(counts: csr_matrix) -> np.ndarray:
    """The median of each gene over the cells that express it, at a total of 10,000: (n_genes,). 1 for other genes."""
    scaled = counts.multiply(1e4 / np.maximum(counts.sum(axis=1), 1)).tocsc()
    parts = np.split(scaled.data, scaled.indptr[1:-1])
    return np.array([np.median(part) if len(part) else 1.0 for part in parts])


def read_cells(studies: list[ad.AnnData], genes: list[str]) -> Cells:
    """The cells of the studies, in the order of these genes."""
    types = [sorted(set(study.obs["cell_type"])) for study in studies]
    first = np.cumsum([0, *map(len, types)])
    label = [
        first[i] + names.index(name)
        for i, (study, names) in enumerate(zip(studies, types, strict=True))
        for name in study.obs["cell_type"]
    ]
    types_of = torch.zeros(len(studies), int(first[-1]), dtype=torch.bool)
    for i, (start, stop) in enumerate(pairwise(first)):
        types_of[i, start:stop] = True
    counts = csr_matrix(vstack([align(study, genes).counts for study in studies]))
    return Cells(counts, torch.tensor(label), np.repeat(np.arange(len(studies)), [s.n_obs for s in studies]), types_of)


def new_scgpt(genes: dict[str, str]) -> scgpt.ScGPT:
    """An scGPT of symbols with random weights."""
    values = {"first": nn.Linear(1, WIDTH), "second": nn.Linear(WIDTH, WIDTH), "norm": nn.LayerNorm(WIDTH)}
    table = nn.Embedding(len(genes) + len(SPECIALS), WIDTH)
    return scgpt.ScGPT(
        name="scgpt-demo",
        architecture="scgpt",
        gene_ids=tuple(genes),
        network=scgpt.Network(table, nn.LayerNorm(WIDTH), nn.ModuleDict(values), new_layers(LAYERS, **SIZES)),
        l2_normalised=True,
        sha256="",
        context_limit=CONTEXT,
        rows=tuple(range(len(SPECIALS), len(table.weight))),
        cls=(SPECIALS.index("<cls>"), float(SETTINGS["pad_value"])),  # type: ignore[arg-type]
    )


def new_geneformer(genes: dict[str, str], medians: np.ndarray) -> geneformer.Geneformer:
    """A Geneformer V2 of Ensembl ids with random weights, without its last layer."""
    words, norm = nn.Embedding(len(genes) + len(SPECIALS), WIDTH), nn.LayerNorm(WIDTH, eps=1e-12)
    places = torch.randn(CONTEXT, WIDTH) * 0.1
    return geneformer.Geneformer(
        name="geneformer-demo",
        architecture="geneformer",
        gene_ids=tuple(genes.values()),
        network=geneformer.Network(words, places, norm, new_layers(LAYERS, **SIZES), SPECIALS.index("<pad>")),
        l2_normalised=False,
        sha256="",
        context_limit=CONTEXT,
        rows=tuple(range(len(SPECIALS), len(words.weight))),
        medians=tuple(medians.tolist()),
        first=SPECIALS.index("<cls>"),
        last=SPECIALS.index("<eos>"),
    )


def thin(counts: csr_matrix, rng: np.random.Generator) -> csr_matrix:
    """Keep a random share of the counts of each cell."""
    share = np.repeat(rng.uniform(THINNED_TO, 1, counts.shape[0]), np.diff(counts.indptr))
    thinned = csr_matrix((rng.binomial(counts.data, share), counts.indices, counts.indptr), shape=counts.shape)
    thinned.eliminate_zeros()
    return thinned


def logits_of(model: TokenModel, head: nn.Linear, cells: Cells, counts: csr_matrix, chosen: np.ndarray) -> Tensor:
    """The logits of the types that the study of each chosen cell has: (n, n_types)."""
    batch = model.tokens(model.prepare(counts))
    z = model.network(model.network.begin(batch)[0], batch)
    logits: Tensor = head(functional.normalize(z, dim=1) * SHARPNESS)
    return logits.masked_fill(~cells.types_of[cells.study[chosen]], -torch.inf)


def train(model: TokenModel, cells: Cells, seed: int, steps: int) -> None:
    """Train the network of a model to tell cell types apart within each study."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(cells.counts.shape[0])
    held_out, trained = order[::HELD_OUT], np.delete(order, np.s_[::HELD_OUT])
    pools = [trained[cells.study[trained] == study] for study in range(len(cells.types_of))]
    head = nn.Linear(model.latent_dim, cells.types_of.shape[1])
    weights = [*model.network.requires_grad_(True).train().parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        chosen = np.concatenate([rng.choice(pool, CELLS_PER_STUDY, replace=False) for pool in pools])
        logits = logits_of(model, head, cells, thin(cells.counts[chosen], rng), chosen)
        loss = functional.cross_entropy(logits, cells.label[chosen])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % 50 == 0:
            log.info("step %d of %d, loss %.3f", step + 1, steps, loss.item())
    model.freeze(model.network)
    with torch.no_grad():
        found = logits_of(model, head, cells, cells.counts[held_out], held_out).argmax(1)
    is_right = (found == cells.label[held_out]).double().mean()
    log.info("%s: %.1f %% of %d cells that were held out", model.name, 100 * is_right, len(held_out))


def save_scgpt(model: scgpt.ScGPT, out: Path) -> None:
    """Write the folder that `load_scgpt` reads, in half precision."""
    folder = out / model.name
    folder.mkdir(parents=True, exist_ok=True)
    parts = {theirs: model.network.get_submodule(mine) for theirs, mine in SCGPT_PARTS.items()}
    state = {f"{name}.{key}": each for name, part in parts.items() for key, each in part.state_dict().items()}
    torch.save({name: tensor.half() for name, tensor in state.items()}, folder / "best_model.pt")
    vocabulary = {name: row for row, name in enumerate([*SPECIALS, *model.gene_ids])}
    for name, content in (("args.json", SETTINGS), ("vocab.json", vocabulary)):
        (folder / name).write_text(json.dumps(content) + "\n", encoding="utf-8")


def save_geneformer(model: geneformer.Geneformer, out: Path) -> None:
    """Write the folder that `load_geneformer` reads, in half precision.

    The last layer is random: the embedding lies before it.
    """
    folder = out / model.name
    folder.mkdir(parents=True, exist_ok=True)
    network = model.network
    state = {
        "embeddings.word_embeddings.weight": network.get_submodule("words").weight,
        "embeddings.position_embeddings.weight": network.get_parameter("places"),
        "embeddings.token_type_embeddings.weight": torch.zeros(2, WIDTH),
        **{f"embeddings.LayerNorm.{key}": each for key, each in network.get_submodule("norm").state_dict().items()},
    }
    for number, layer in enumerate([*network.layers, *new_layers(1, **SIZES)]):
        state |= {f"encoder.layer.{number}.{name}": tensor for name, tensor in bert_layer(layer).items()}
    halves = {f"bert.{name}": tensor.detach().half().contiguous() for name, tensor in state.items()}
    save_file(halves, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(BERT, indent=1) + "\n", encoding="utf-8")
    tokens = {name: row for row, name in enumerate([*SPECIALS, *model.gene_ids])}
    medians = dict(zip(model.gene_ids, model.medians, strict=True))
    for name, content in (("token_dictionary.pkl", tokens), ("gene_median_dictionary.pkl", medians)):
        (folder / name).write_bytes(pickle.dumps(content))


def bert_layer(layer: nn.Module) -> dict[str, Tensor]:
    """The tensors of an encoder layer by the names of BERT."""
    tensors: dict[str, Tensor] = {}
    for of in ("weight", "bias"):
        stacked = layer.get_parameter(f"self_attn.in_proj_{of}").chunk(3)
        names = [f"attention.self.{each}.{of}" for each in ("query", "key", "value")]
        tensors |= dict(zip(names, stacked, strict=True))
        for theirs, mine in geneformer.PARTS.items():
            tensors[f"{theirs}.{of}"] = layer.get_parameter(f"{mine}.{of}")
    return tensors


def main() -> None:
    """Parse the command line, train both models and save them."""
    parser = argparse.ArgumentParser(description="Train the two demonstration transformers of sigdb.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the folders of the two models")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(args.seed)
    start = time.perf_counter()
    studies = [ad.read_h5ad(path) for path in sorted(STUDIES.glob("*.h5ad"))]
    genes = choose_genes(studies)
    cells = read_cells(studies, list(genes))
    first, second = new_scgpt(genes), new_geneformer(genes, medians_of(cells.counts))
    for model in (first, second):
        train(model, cells, args.seed, args.steps)
    save_scgpt(first, args.out)
    save_geneformer(second, args.out)
    log.info("done in %.0f s", time.perf_counter() - start)


if __name__ == "__main__":
    main()
