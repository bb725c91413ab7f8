"""Transformers explained: time per token beside the floor, Captum on the whole network, and sc-signature 1.0.0.

    make .originals/ready
    python -m benchmarks.transformers --out build/transformers.json

Models have random weights and the published sizes. The method is Integrated Gradients. The floor is the time of the
matrix products alone, of the tokens that a cell really has, at the rate of one large product on the same machine.
Every side gets the same cells, which express the same number of genes. A token is a gene that the side reads.

sc-signature explains scFoundation only. It needs `load.py` of the repository of scFoundation, which no package has;
here it gets the same weights in the same modules of torch. It always takes 50 points, reads at most 512 genes of a
cell, pads all cells to 512, and leaves out the two tokens of the depth. With 12 layers, its 50 points of 512 tokens
need more than 24 GB, so `--layers` makes the models shallower for all sides.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import resource
import sys
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from captum.attr import IntegratedGradients
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from benchmarks.attribution import ORIGINALS, matrix_rate, per_second
from ingest.attribution.device import attribute_cells, set_up
from ingest.models import load_model
from ingest.models.scfoundation import HEADER, LAYERS
from ingest.models.tokens import TokenModel, new_layers
from ingest.options import Compute, Method

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Row = dict[str, Any]
# What sc-signature does not let its caller choose.
PEER_STEPS, PEER_GENES = 50, 512
N_BINS = 100


@dataclass(frozen=True)
class Size:
    """The size of a published transformer. genes: in its list. inner: width of the feed-forward part."""

    name: str
    genes: int
    width: int
    heads: int
    layers: int
    inner: int


SIZES = {
    "scfoundation": Size("scfoundation", 19_264, 768, 12, 12, 3072),
    "scgpt": Size("scgpt", 60_694, 512, 8, 12, 512),
    "geneformer": Size("geneformer", 20_271, 768, 12, 12, 3072),
}


def random_layers(size: Size, layers: int) -> dict[str, Tensor]:
    """The tensors of some layers with random weights."""
    return new_layers(layers, width=size.width, n_heads=size.heads, inner=size.inner).state_dict()


def renamed(tensors: Mapping[str, Tensor], prefix: str, names: Mapping[str, str] | None = None) -> dict[str, Tensor]:
    """The same tensors, with their names in a checkpoint."""
    return {f"{prefix}{(names or {}).get(name, name)}": tensor for name, tensor in tensors.items()}


def write_scfoundation(size: Size, folder: Path) -> None:
    """A checkpoint and its list of genes."""
    tensors = {
        **renamed(nn.Linear(1, N_BINS).state_dict(), "model.token_emb.mlp."),
        **renamed(nn.Linear(N_BINS, N_BINS).state_dict(), "model.token_emb.mlp2."),
        "model.token_emb.emb.weight": torch.randn(N_BINS, size.width),
        "model.pos_emb.weight": torch.randn(size.genes + 3, size.width),
        **renamed(random_layers(size, size.layers), LAYERS),
        **renamed(nn.LayerNorm(size.width).state_dict(), "model.encoder.norm."),
    }
    encoder = {"heads": size.heads, "module_type": "transformer", "norm_first": False}
    config = {"model_config": {"mae_autobin": {"encoder": encoder, "bin_alpha": 1.0}}}
    torch.save({"cell": {"state_dict": tensors, "config": config}}, folder / "models.ckpt")
    rows = [HEADER, *([f"G{n}", str(n)] for n in range(size.genes))]
    (folder / f"OS_scRNA_gene_index.{size.genes}.tsv").write_text("\n".join("\t".join(row) for row in rows))


def write_scgpt(size: Size, folder: Path) -> None:
    """Weights, settings and vocabulary."""
    names = ["<pad>", "<cls>", "<eoc>", *(f"G{n}" for n in range(size.genes))]
    tensors = {
        "encoder.embedding.weight": torch.randn(len(names), size.width),
        **renamed(nn.LayerNorm(size.width).state_dict(), "encoder.enc_norm."),
        **renamed(nn.Linear(1, size.width).state_dict(), "value_encoder.linear1."),
        **renamed(nn.Linear(size.width, size.width).state_dict(), "value_encoder.linear2."),
        **renamed(nn.LayerNorm(size.width).state_dict(), "value_encoder.norm."),
        **renamed(random_layers(size, size.layers), "transformer_encoder.layers."),
    }
    torch.save(tensors, folder / "best_model.pt")
    settings = {"embsize": size.width, "nheads": size.heads, "nlayers": size.layers, "n_bins": 51, "pad_value": -2}
    (folder / "args.json").write_text(json.dumps(settings))
    (folder / "vocab.json").write_text(json.dumps({name: n for n, name in enumerate(names)}))


def write_geneformer(size: Size, folder: Path) -> None:
    """Weights, configuration, and both dictionaries. The last layer has no part in the embedding, and no weights."""
    names = ["<pad>", "<mask>", "<cls>", "<eos>", *(f"G{n}" for n in range(size.genes))]
    tensors = {
        "embeddings.word_embeddings.weight": torch.randn(len(names), size.width),
        "embeddings.position_embeddings.weight": torch.randn(4096, size.width),
        "embeddings.token_type_embeddings.weight": torch.randn(2, size.width),
        **renamed(nn.LayerNorm(size.width).state_dict(), "embeddings.LayerNorm."),
    }
    parts = {
        "self_attn.out_proj": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm2": "output.LayerNorm",
    }
    for number in range(size.layers):
        own = {name.removeprefix("0."): tensor for name, tensor in random_layers(size, 1).items()}
        for kind in ("weight", "bias"):
            queries = zip(("query", "key", "value"), own[f"self_attn.in_proj_{kind}"].chunk(3), strict=True)
            found = {f"attention.self.{name}.{kind}": part.contiguous() for name, part in queries}
            found |= {f"{theirs}.{kind}": own[f"{mine}.{kind}"] for mine, theirs in parts.items()}
            tensors |= renamed(found, f"encoder.layer.{number}.")
    save_file(tensors, folder / "model.safetensors")
    config = {"hidden_size": size.width, "num_hidden_layers": size.layers + 1, "num_attention_heads": size.heads}
    config |= {"vocab_size": len(names), "max_position_embeddings": 4096}
    (folder / "config.json").write_text(json.dumps(config))
    rows = {name: n for n, name in enumerate(names)}
    (folder / "token_dictionary.pkl").write_bytes(pickle.dumps(rows))
    (folder / "gene_median_dictionary.pkl").write_bytes(pickle.dumps(dict.fromkeys(names[4:], 1.0)))


WRITERS = {"scfoundation": write_scfoundation, "scgpt": write_scgpt, "geneformer": write_geneformer}


def random_transformer(size: Size, folder: Path) -> TokenModel:
    """A model with random weights, read from files as those of a published model."""
    torch.manual_seed(0)
    WRITERS[size.name](size, folder)
    model = load_model(size.name, folder)
    assert isinstance(model, TokenModel)
    return model


def cells(model: TokenModel, n_cells: int, n_genes: int) -> csr_matrix:
    """Counts of cells that express the same number of genes."""
    rng = np.random.default_rng(0)
    indices = np.concatenate([np.sort(rng.permutation(len(model.gene_ids))[:n_genes]) for _ in range(n_cells)])
    counts = 1.0 + rng.poisson(2, n_cells * n_genes)
    shape = (n_cells, len(model.gene_ids))
    return csr_matrix((counts.astype(np.float32), indices, np.arange(n_cells + 1) * n_genes), shape)


def operations(model: TokenModel, n_tokens: int, n_steps: int) -> float:
    """Floating-point operations of the matrix products of one cell: forward, and back to the tokens.

    Back through a product with fixed weights is one product. Back through the two products of attention are four.
    """
    layer = model.network.layers[0]
    inner, width = layer.get_parameter("linear1.weight").shape
    dense = 2 * 2 * n_tokens * (4 * width * width + 2 * width * inner)
    attention = 3 * 2 * 2 * n_tokens * n_tokens * width
    return n_steps * len(model.network.layers) * (dense + attention)


def captum(model: TokenModel, counts: csr_matrix, method: Method, rows: int) -> None:
    """Attributions by Captum on the whole network, cell by cell, as in a program that uses Captum alone."""
    x = model.prepare(counts)
    for cell in range(x.shape[0]):
        entry = model.enter(x[cell])
        own = model.finish(entry.tail(entry.point)).detach()
        explained = IntegratedGradients(partial(summed_embedding, model, entry.tail, own))
        at_a_time = max(1, rows // entry.rows)
        explained.attribute(
            entry.point, baselines=entry.baseline, n_steps=method.n_steps, internal_batch_size=at_a_time
        )


def summed_embedding(model: TokenModel, tail: Callable[[Tensor], Tensor], own: Tensor, points: Tensor) -> Tensor:
    """What is explained: the embedding at points times that of the cell, summed without signs: (n,)."""
    return (model.finish(tail(points)) * own).abs().sum(1)


class Original(nn.Module):
    """The network of scFoundation as its repository builds it: the batch is the first dimension in the layers."""

    def __init__(self, model: TokenModel, size: Size) -> None:
        super().__init__()
        network = model.network
        self.values, self.norm, self.alpha = network.values, network.norm, network.alpha
        self.pos_emb = nn.Embedding(*network.places.shape, _weight=network.places)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(size.width, size.heads, size.inner, batch_first=True) for _ in network.layers
        )
        self.layers.load_state_dict(network.layers.state_dict())

    def token_emb(self, values: Tensor, output_weight: int) -> Tensor:
        """The embeddings of values (n, length, 1)."""
        hidden = nn.functional.leaky_relu(self.values["first"](values), 0.1)
        return (self.values["second"](hidden) + self.alpha * hidden).softmax(-1) @ self.values["bins"].weight

    def encoder(self, hidden: Tensor, padding: Tensor) -> Tensor:
        """The outputs of tokens."""
        for layer in self.layers:
            hidden = layer(hidden, src_key_padding_mask=padding)
        return self.norm(hidden)


def sc_signature(model: TokenModel, size: Size, folder: Path) -> Callable[[csr_matrix], Any]:
    """What explains log-normalised cells by sc-signature."""
    sys.path.insert(0, str(ORIGINALS))
    loaded = (Original(model, size), {"pad_token_id": 103})
    sys.modules["load"] = SimpleNamespace(load_model_frommmf=lambda path, key: loaded)  # type: ignore[assignment]
    from SIGnature.models.scfoundation import SCFoundationWrapper

    (folder / "OS_scRNA_gene_index.19264.tsv").touch()
    wrapper = SCFoundationWrapper(str(folder), use_gpu=model.device.type == "cuda")
    return lambda x: wrapper.calculate_attributions(x, method="ig", batch_size=1, disable_tqdm=True)


def measure(size: Size, options: argparse.Namespace) -> Iterator[Row]:
    """All sides of one model, with cells of several lengths."""
    rate = matrix_rate(options.device, 4096)
    method = Method(n_steps=options.steps)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        model = random_transformer(size, folder)
        for n_genes in options.genes:
            counts = cells(model, options.cells, n_genes)
            for precision in options.precisions:
                placed, batch_size = set_up(model, Compute(options.device, precision, threads=options.threads))
                yield about(
                    f"sigdb, {precision}",
                    placed,
                    counts,
                    method.n_steps,
                    rate,
                    lambda m=placed, n=batch_size, c=counts: attribute_cells(m, c, method, batch_size=n),
                )
            placed, _ = set_up(model, Compute(options.device, threads=options.threads))
            yield about(
                "Captum", placed, counts, method.n_steps, rate, lambda m=placed, c=counts: captum(m, c, method, 2048)
            )
            if size.name == "scfoundation" and (ORIGINALS / "SIGnature").exists() and options.peer:
                peer, few = sc_signature(placed, size, folder), counts[:1]
                row = about("sc-signature", placed, few, PEER_STEPS, rate, lambda p=peer, c=few: p(c.log1p()))
                yield row | {"tokens": min(n_genes, PEER_GENES)}


def about(side: str, model: TokenModel, counts: csr_matrix, n_steps: int, rate: float, run: Callable[[], Any]) -> Row:
    """The seconds of a side, with what they are compared with. share: of the rate of a large product."""
    if model.device.type == "cuda":  # its first call takes longer
        run()
        torch.cuda.reset_peak_memory_stats()
    spent = 1 / per_second(run, counts.shape[0])[0]
    n_genes = int(np.diff(counts.indptr)[0])
    n_tokens = int(model.tokens(model.prepare(counts[0])).is_token.sum())
    found = {"model": model.architecture, "layers": len(model.network.layers), "side": side, "genes": n_genes}
    found |= {"tokens": n_tokens, "steps": n_steps, "seconds": spent, "matrix_tflops": rate}
    found["share"] = operations(model, n_tokens, n_steps) / spent / rate / 1e12
    found["ms_per_token"] = spent / min(n_genes, PEER_GENES if side == "sc-signature" else n_genes) / n_steps * 50e3
    on_card = model.device.type == "cuda"
    peak = torch.cuda.max_memory_allocated() if on_card else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return found | {"peak_mb": peak / 1e6}


def show(rows: list[Row]) -> None:
    """Print the table."""
    names = ("model", "layers", "side", "genes", "tokens", "steps", "seconds", "ms_per_token", "share", "peak_mb")
    table = Table(*names)
    for row in rows:
        table.add_row(*(f"{row[name]:.3g}" if isinstance(row[name], float) else str(row[name]) for name in names))
    Console(width=150).print(table)


def main() -> None:
    """Measure all models; write the JSON after each row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--genes", type=int, nargs="+", default=[200, 500, 1000], help="expressed genes of a cell")
    parser.add_argument("--cells", type=int, default=1)
    parser.add_argument("--steps", type=int, default=4, help="points of the integral; sc-signature always has 50")
    parser.add_argument("--layers", type=int, help="layers of all models; default: as published")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precisions", nargs="+", default=["float32", "bf16"])
    parser.add_argument("--peer", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, default=Path("build/transformers.json"))
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for size in (SIZES[name] for name in options.models):
        for row in measure(replace(size, layers=options.layers or size.layers), options):
            rows.append(row)
            out = {"cores": os.cpu_count(), "torch": torch.__version__, "options": vars(options), "rows": rows}
            options.out.write_text(json.dumps(out, default=str, indent=1))
    show(rows)


if __name__ == "__main__":
    main()
