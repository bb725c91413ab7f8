"""Train the demonstration encoder on the bundled studies, without cell-type annotation.

The model is a denoising count autoencoder. The counts of each cell are split at random into two disjoint halves
(binomial thinning). From one half, a random share of the genes is dropped; half of the time, it is also reduced to a
random gene panel or to the panel of another study. From the log-normalised rest, the model predicts the other half as a
multinomial over the genes that the study measured. The decoder starts from the L2-normalised embedding and a bias per
gene and study, so the embedding does not need to encode the average profile of a study. Only the encoder is saved, as
`model.safetensors` and `model.json`. The obs columns of the studies are not used.

Run `python -m ingest.demo.train --out DIR`. The same seed, torch build and thread count give the same weights.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections import Counter
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import anndata as ad
import numpy as np
import scipy.sparse as sp
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from sigdb.signatures import read_signatures

log = logging.getLogger(__name__)

STUDIES = Path(__file__).parent / "studies"
N_GENES = 7000
HIDDEN = 256
LATENT = 64
STEPS = 400
CELLS_PER_STUDY = 48
MAX_DROP = 0.95
PANEL_SHARE = 0.5
MIN_PANEL = 300
LEARNING_RATE = 2e-3
DECODER_SCALE = 10.0
FIRST_WEIGHT_SCALE = 0.1
FREEZE_BATCH_NORM_AT = 0.7
THREADS = 2
TARGET_SUM = 10_000
LAYERS = ["Linear", {"type": "BatchNorm1d", "eps": 1e-05}, "PReLU", "Linear"]
DESCRIPTION = (
    "Demonstration model of sigdb, trained without annotation on 1,757 cells of the five bundled studies "
    "(Wu 2020, Bassez 2021, Baron 2016, Tirosh 2016, Zheng 2017; see ingest/demo/DATA_SOURCES.md). "
    "Not for research."
)


@dataclass(frozen=True)
class Study:
    """Counts of one study over the model's genes, (n_cells, n_genes), and which genes it measured, (n_genes,)."""

    counts: sp.csr_matrix
    measured: np.ndarray


def residual_variance(counts: sp.csr_matrix, theta: float = 100.0, chunk: int = 2000) -> np.ndarray:
    """Variance of the clipped Pearson residuals of each gene under a negative binomial null model."""
    counts = counts.astype(np.float64).tocsc()
    depth = np.asarray(counts.sum(axis=1))
    share = np.asarray(counts.sum(axis=0)).ravel() / counts.sum()
    clip = np.sqrt(counts.shape[0])
    parts = []
    for start in range(0, counts.shape[1], chunk):
        mean = depth * share[None, start : start + chunk]
        residual = counts[:, start : start + chunk].toarray() - mean
        residual /= np.sqrt(mean + mean**2 / theta + 1e-12)
        parts.append(np.clip(residual, -clip, clip).var(axis=0))
    return np.concatenate(parts)


def signature_genes() -> set[str]:
    """Genes of MSigDB Hallmark and of MS1."""
    with as_file(files("sigdb") / "data") as data:
        signatures = [*read_signatures(data / "ms1.txt"), *read_signatures(data / "h.all.v7.5.1.symbols.gmt")]
    return {gene for each in signatures for gene in each.genes}


def select_genes(studies: list[ad.AnnData], n_genes: int, signatures: set[str]) -> list[str]:
    """Choose genes that at least two studies measure: all genes of signatures and small panels, then the most variable.

    Genes are ranked by their best rank of residual variance in any study; ties are ordered by name.
    """
    times = Counter(gene for study in studies for gene in study.var_names)
    required = {gene for gene in signatures if times[gene] >= 2}
    best_rank: dict[str, int] = {}
    for study in studies:
        rank = np.empty(study.n_vars, dtype=int)
        rank[np.argsort(-residual_variance(study.X), kind="stable")] = np.arange(study.n_vars)
        for gene, r in zip(study.var_names, rank.tolist(), strict=True):
            if times[gene] >= 2:
                best_rank[gene] = min(r, best_rank.get(gene, r))
        if study.n_vars < MIN_PANEL * 5:
            required.update(gene for gene in study.var_names if times[gene] >= 2)
    rest = sorted(best_rank.keys() - required, key=lambda gene: (best_rank[gene], gene))
    return sorted(required | set(rest[: max(n_genes - len(required), 0)]))


def align(study: ad.AnnData, genes: list[str]) -> Study:
    """Arrange the counts of a study in the order of the model's genes."""
    index = {gene: j for j, gene in enumerate(genes)}
    target = np.array([index.get(gene, -1) for gene in study.var_names])
    rows = np.flatnonzero(target >= 0)
    shape = (study.n_vars, len(genes))
    selector = sp.csr_matrix((np.ones(len(rows)), (rows, target[rows])), shape=shape)
    measured = np.zeros(len(genes), dtype=bool)
    measured[target[rows]] = True
    return Study(sp.csr_matrix(study.X @ selector).astype(np.int64), measured)


def split_counts(counts: sp.csr_matrix, rng: np.random.Generator) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """Split every count in two at random, with a share between 0.3 and 0.7 that is drawn for each cell."""
    share = np.repeat(rng.uniform(0.3, 0.7, counts.shape[0]), np.diff(counts.indptr))
    first, second = counts.copy(), counts.copy()
    first.data = rng.binomial(counts.data, share)
    second.data = counts.data - first.data
    return first, second


def draw_panel(study: Study, panels: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Draw the genes that the input contains: the measured genes, or the genes of a smaller panel."""
    if rng.random() >= PANEL_SHARE:
        return study.measured
    if rng.random() < 0.5:
        other = panels[rng.integers(len(panels))]
    else:
        other = rng.random(len(study.measured)) < rng.uniform(0.2, 1.0)
    panel = study.measured & other
    return panel if panel.sum() >= MIN_PANEL else study.measured


def corrupt(counts: sp.csr_matrix, panel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Drop genes of each cell at random and log-normalise the rest."""
    n_stored = np.diff(counts.indptr)
    dropped = rng.random(counts.nnz) < np.repeat(rng.uniform(0, MAX_DROP, counts.shape[0]), n_stored)
    kept = counts.astype(np.float32)
    kept.data *= panel[counts.indices] & ~dropped
    x: np.ndarray = kept.toarray()
    x *= TARGET_SUM / np.maximum(x.sum(axis=1, keepdims=True), 1)
    np.log1p(x, out=x)
    return x


class Autoencoder(nn.Module):
    """The encoder to export, with the decoder that training needs."""

    measured: torch.Tensor

    def __init__(self, studies: list[Study]) -> None:
        super().__init__()
        n_genes = len(studies[0].measured)
        first = nn.Linear(n_genes, HIDDEN)
        self.encoder = nn.Sequential(first, nn.BatchNorm1d(HIDDEN), nn.PReLU(), nn.Linear(HIDDEN, LATENT))
        self.decoder = nn.Parameter(torch.randn(n_genes, LATENT) * 0.1)
        profiles = [np.asarray(s.counts.sum(axis=0)).ravel() / s.counts.sum() for s in studies]
        self.bias = nn.Parameter(torch.log(torch.tensor(np.stack(profiles) + 1e-6, dtype=torch.float32)))
        self.register_buffer("measured", torch.tensor(np.stack([s.measured for s in studies])))
        with torch.no_grad():
            first.weight *= FIRST_WEIGHT_SCALE

    def loss(self, x: torch.Tensor, target: torch.Tensor, study: torch.Tensor) -> torch.Tensor:
        """Multinomial negative log-likelihood per count, averaged over cells."""
        z = functional.normalize(self.encoder(x), dim=1)
        logits = functional.linear(z * DECODER_SCALE, self.decoder) + self.bias[study]
        logits = logits.masked_fill(~self.measured[study], -1e4)
        likelihood = (target * functional.log_softmax(logits, dim=1)).sum(dim=1)
        return -(likelihood / target.sum(dim=1).clamp_min(1)).mean()


def make_batch(studies: list[Study], rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    """Draw equally many cells from every study: corrupted halves, the other halves, and the study of each row."""
    panels, inputs, targets, origin = [study.measured for study in studies], [], [], []
    for i, study in enumerate(studies):
        n = min(CELLS_PER_STUDY, study.counts.shape[0])
        cells = study.counts[rng.choice(study.counts.shape[0], n, replace=False)]
        first, second = split_counts(cells, rng)
        for seen, hidden in ((first, second), (second, first)):
            inputs.append(corrupt(seen, draw_panel(study, panels, rng), rng))
            targets.append(hidden.astype(np.float32).toarray())
            origin += [i] * n
    x, target = (torch.from_numpy(np.concatenate(part)) for part in (inputs, targets))
    return x, target, torch.tensor(origin)


def train(studies: list[Study], seed: int, steps: int) -> nn.Sequential:
    """Train the autoencoder; return the encoder in eval mode."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = Autoencoder(studies)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        if step == int(steps * FREEZE_BATCH_NORM_AT):
            model.encoder[1].eval()
        loss = model.loss(*make_batch(studies, rng))
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % 50 == 0:
            log.info("step %d of %d, loss %.4f", step + 1, steps, loss.item())
    return model.encoder.eval()


def save(encoder: nn.Sequential, genes: list[str], out: Path) -> None:
    """Write `model.safetensors` (the first weight in half precision) and `model.json`."""
    out.mkdir(parents=True, exist_ok=True)
    state = {k: v.contiguous() for k, v in encoder.state_dict().items() if v.is_floating_point()}
    state["0.weight"] = state["0.weight"].half()
    save_file(state, out / "model.safetensors")
    meta: dict[str, object] = {"format": "sigdb-mlp", "version": 1, "name": "sigdb-demo"}
    meta |= {"description": DESCRIPTION, "genes": genes}
    meta |= {"normalisation": {"target_sum": TARGET_SUM, "log1p": True}}
    meta |= {"layers": LAYERS, "l2_normalised": True}
    (out / "model.json").write_text(json.dumps(meta) + "\n", encoding="utf-8")


def main() -> None:
    """Parse the command line, train the model and save it."""
    parser = argparse.ArgumentParser(description="Train the sigdb demonstration encoder.")
    parser.add_argument("--out", type=Path, required=True, help="folder for model.safetensors and model.json")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    start = time.perf_counter()
    tables = [ad.read_h5ad(path) for path in sorted(STUDIES.glob("*.h5ad"))]
    genes = select_genes(tables, N_GENES, signature_genes())
    studies = [align(table, genes) for table in tables]
    log.info("%d cells of %d studies, %d genes", sum(t.n_obs for t in tables), len(tables), len(genes))
    save(train(studies, args.seed, args.steps), genes, args.out)
    log.info("done in %.0f s", time.perf_counter() - start)


if __name__ == "__main__":
    main()
