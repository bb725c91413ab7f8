"""Geneformer (Theodoris et al. 2023), V1 and V2: `config.json`, `model.safetensors`, and the two dictionaries of genes.

A cell is read as its genes in the order of their counts over the median of each gene, the highest first. Only this
order enters the network. So what is explained is the word embedding of each gene at its place, against that of <pad>,
and a gene's attribution is the sum over the dimensions of its embedding. V2 has <cls> before the genes and <eos> behind
them, which are held fixed. The embedding of a cell is the mean over its genes behind the second to last layer.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ingest.models.checkpoint import fingerprint, read_object, read_safetensors
from ingest.models.tokens import (
    TokenBatch,
    TokenModel,
    TokenNetwork,
    Tokens,
    batch_tokens,
    build_encoder,
    fill,
    take_tensor,
)
from sigdb.errors import ModelError, listed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scipy.sparse import csr_matrix

__all__ = ["Geneformer", "load_geneformer", "read_dictionary"]

WEIGHTS, CONFIG = "model.safetensors", "config.json"
TOKENS, MEDIANS = "token_dictionary*.pkl", "gene_median_dictionary*.pkl"
# The tensors of BERT's layers -> those of `nn.TransformerEncoderLayer`. Three of them are stacked to in_proj.
PARTS = {
    "attention.output.dense": "self_attn.out_proj",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "linear1",
    "output.dense": "linear2",
    "output.LayerNorm": "norm2",
}
NUMBERS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings", "vocab_size")


class Network(TokenNetwork):
    """Word embeddings plus those of places, normalised."""

    def __init__(
        self, words: nn.Embedding, places: Tensor, norm: nn.LayerNorm, layers: nn.ModuleList, pad: int
    ) -> None:
        super().__init__()
        self.words, self.norm, self.layers, self.pad = words, norm, layers, pad
        self.places = nn.Parameter(places)

    def begin(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """The word embeddings, against that of <pad> for every gene."""
        point = self.words(batch.ids)
        is_gene = batch.is_gene.unsqueeze(-1)
        return point, torch.where(is_gene, self.words.weight[self.pad], point)

    def enter(self, points: Tensor, batch: TokenBatch) -> Tensor:
        """The first token of a cell has the place 0, wherever padding ends."""
        place = (batch.is_token.cumsum(1) - 1).clamp(min=0)
        found: Tensor = self.norm(points + self.places[place])
        return found

    def pool(self, hidden: Tensor, batch: TokenBatch) -> Tensor:
        """The mean over genes."""
        is_gene = batch.is_gene.unsqueeze(-1)
        return hidden.masked_fill(~is_gene, 0).sum(1) / is_gene.sum(1)


@dataclass(frozen=True)
class Geneformer(TokenModel):
    """The encoder of Geneformer.

    rows: (n_genes,) the row of each gene in the table. medians: (n_genes,). first, last: rows of <cls> and <eos>, if
    the generation has them.
    """

    rows: tuple[int, ...] = ()
    medians: tuple[float, ...] = ()
    first: int | None = None
    last: int | None = None

    def prepare(self, counts: csr_matrix) -> csr_matrix:
        """The place of each gene that is read, counted from the end: the highest has the largest number.

        Genes of equal value are in the order of the table. The total of a cell does not change the order.
        """
        x = counts.astype(np.float64)
        x.sort_indices()
        x.data /= np.asarray(self.medians)[x.indices]
        for start, stop in zip(x.indptr[:-1], x.indptr[1:], strict=True):
            order = np.argsort(-x.data[start:stop], kind="stable")
            n_read = min(len(order), self.n_places)
            x.data[start:stop] = 0
            x.data[start + order[:n_read]] = np.arange(n_read, 0, -1)
        x.eliminate_zeros()
        return x.astype(np.float32)

    @property
    def n_places(self) -> int:
        """Most genes of a cell that are read."""
        return (self.context_limit or 0) - (self.first is not None) - (self.last is not None)

    def tokens(self, x: csr_matrix) -> TokenBatch:
        """<cls> if there is one, genes in the order of their places, <eos> if there is one."""
        return batch_tokens(self.tokens_of(x, cell) for cell in range(x.shape[0]))

    def tokens_of(self, x: csr_matrix, cell: int) -> Tokens:
        """The tokens of one cell."""
        start, stop = x.indptr[cell : cell + 2]
        order = start + np.argsort(-x.data[start:stop], kind="stable")
        head, tail = ([row] if row is not None else [] for row in (self.first, self.last))
        ids = np.concatenate([head, np.asarray(self.rows)[x.indices[order]], tail])
        return Tokens(ids, np.concatenate([[-1] * len(head), order, [-1] * len(tail)]), np.zeros(len(ids)))


def load_geneformer(folder: Path, *, dictionaries: Path | None = None) -> Geneformer:
    """Read a Geneformer folder. dictionaries: the folder of the two dictionaries; default: the folder of the model.

    The dictionaries are pickles. They are read without running code: only numbers and texts are allowed in them.
    """
    config = read_object(folder / CONFIG)
    check_config(config, folder / CONFIG)
    home = dictionaries or folder
    tokens, medians = (read_dictionary(find_dictionary(home, pattern)) for pattern in (TOKENS, MEDIANS))
    check_dictionaries(tokens, medians, config, home)
    tensors = {name.removeprefix("bert."): each for name, each in read_safetensors(folder / WEIGHTS).items()}
    genes = {gene: tokens[gene] for gene in sorted(tokens, key=lambda gene: int(tokens[gene])) if gene in medians}
    specials = [int(tokens[name]) if name in tokens else None for name in ("<cls>", "<eos>")]
    return Geneformer(
        name=folder.name,
        architecture="geneformer",
        gene_ids=tuple(genes),
        network=build_network(tensors, config, int(tokens["<pad>"]), folder / WEIGHTS),
        l2_normalised=False,
        sha256=fingerprint([folder / WEIGHTS, *(json.dumps(each) for each in (config, tokens, medians))]),
        description=f"Geneformer V{1 if specials[0] is None else 2}, second to last layer, mean over genes",
        context_limit=config["max_position_embeddings"],
        rows=tuple(int(row) for row in genes.values()),
        medians=tuple(float(medians[gene]) for gene in genes),
        first=specials[0],
        last=specials[1],
    )


def check_config(config: Mapping[str, Any], path: Path) -> None:
    """Raise ModelError if a configuration is not that of a Geneformer that sigdb knows."""
    if odd := [name for name in NUMBERS if not isinstance(config.get(name), int) or config[name] < 1]:
        raise ModelError(f"{path} lacks {len(odd)} numbers of a BERT model: {listed(odd)}.")
    known = {"model_type": "bert", "hidden_act": "relu", "position_embedding_type": "absolute"}
    if odd := [f"{name}={config[name]!r}" for name, value in known.items() if config.get(name, value) != value]:
        wanted = ", ".join(f"{name}={value!r}" for name, value in known.items())
        raise ModelError(f"{path} has {listed(odd)}. sigdb knows Geneformer as it is published: {wanted}.")
    if config["num_hidden_layers"] < 2:
        raise ModelError(f"{path} has one layer, and the embedding of Geneformer is behind the second to last one.")


def find_dictionary(folder: Path, pattern: str) -> Path:
    """The dictionary of a folder, which has one."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise ModelError(
            f"Geneformer needs one dictionary {pattern} in {folder}, which has {len(found)}. Dictionaries belong to a "
            "generation of Geneformer and are not in the folder of the weights: name their folder with `dictionaries`."
        )
    return found[0]


# What a pickled number of numpy 1 or 2 names.
ALLOWED: dict[str, Any] = {
    "numpy.dtype": np.dtype,
    "numpy.core.multiarray.scalar": np._core.multiarray.scalar,  # type: ignore[attr-defined]
    "numpy._core.multiarray.scalar": np._core.multiarray.scalar,  # type: ignore[attr-defined]
}


class PlainUnpickler(pickle.Unpickler):
    """Reads numbers, texts and containers, and the numbers of numpy; nothing else, so that no code runs."""

    def find_class(self, module: str, name: str) -> Any:
        """A global of numpy; UnpicklingError for any other."""
        found = ALLOWED.get(f"{module}.{name}")
        if found is None:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return found


def read_dictionary(path: Path) -> dict[str, float]:
    """A pickled dictionary from names to numbers."""
    try:
        with path.open("rb") as file:
            found = PlainUnpickler(file).load()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    except Exception as error:  # whatever a damaged pickle raises
        raise ModelError(f"{path} is not a dictionary of Geneformer; not loaded: {error}") from error
    if not isinstance(found, dict) or not found:
        raise ModelError(f"{path} must hold a dictionary, not {type(found).__name__}.")
    kinds = (int, float, np.integer, np.floating)
    if odd := [name for name, value in found.items() if not isinstance(name, str) or not isinstance(value, kinds)]:
        raise ModelError(f"{path} has {len(odd)} entries that are not a name and a number: {listed(map(str, odd))}.")
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in found.items()}


def check_dictionaries(
    tokens: Mapping[str, float], medians: Mapping[str, float], config: Mapping[str, Any], home: Path
) -> None:
    """Raise ModelError unless both dictionaries are of the generation of a model."""
    if "<pad>" not in tokens:
        raise ModelError(f"The token dictionary in {home} has no <pad>. It is not one of Geneformer.")
    rows = sorted(tokens.values())
    if rows != list(range(config["vocab_size"])):
        raise ModelError(
            f"The token dictionary in {home} has {len(tokens):,} tokens up to {rows[-1]:,}, and the model a "
            f"vocabulary of {config['vocab_size']:,}. The dictionary is of another generation of Geneformer: V1 has "
            "25,426 tokens, V2 20,275."
        )
    genes = [name for name in tokens if not name.startswith("<")]
    lacking = [gene for gene in genes if gene not in medians]
    if len(lacking) > len(genes) / 2:
        raise ModelError(
            f"The median dictionary in {home} lacks {len(lacking):,} of the {len(genes):,} genes of the token "
            f"dictionary: {listed(lacking, 3)}. The two are of different generations."
        )
    if odd := [gene for gene in genes if gene in medians and not 0 < medians[gene] < np.inf]:
        raise ModelError(f"{len(odd)} medians in {home} are not positive numbers: {listed(odd)}.")


def build_network(tensors: Mapping[str, Tensor], config: Mapping[str, Any], pad: int, path: Path) -> Network:
    """The network without its last layer, from the tensors of a checkpoint."""
    width, n_layers = config["hidden_size"], config["num_hidden_layers"] - 1
    words = take_tensor(tensors, "embeddings.word_embeddings.weight", (config["vocab_size"], width), path)
    places = take_tensor(
        tensors, "embeddings.position_embeddings.weight", (config["max_position_embeddings"], width), path
    )
    kind = take_tensor(tensors, "embeddings.token_type_embeddings.weight", (None, width), path)[0]
    epsilon = float(config.get("layer_norm_eps", 1e-12))
    norm = nn.LayerNorm(width, eps=epsilon)
    fill(norm, tensors, {name: f"embeddings.LayerNorm.{name}" for name in ("weight", "bias")}, path)
    found = {}
    for n, of in product(range(n_layers), ("weight", "bias")):
        theirs = f"encoder.layer.{n}."
        shape = (width, width) if of == "weight" else (width,)
        names = [f"{theirs}attention.self.{each}.{of}" for each in ("query", "key", "value")]
        found[f"{n}.self_attn.in_proj_{of}"] = torch.cat([take_tensor(tensors, each, shape, path) for each in names])
        for part, mine in PARTS.items():
            any_size = (None,) * (1 if part.endswith("LayerNorm") else len(shape))
            found[f"{n}.{mine}.{of}"] = take_tensor(tensors, f"{theirs}{part}.{of}", any_size, path)
    layers = build_encoder(
        found, width=width, n_heads=config["num_attention_heads"], n_layers=n_layers, epsilon=epsilon, path=path
    )
    return Network(nn.Embedding(len(words), width, _weight=words), places + kind, norm, layers, pad)
