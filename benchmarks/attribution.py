"""Cells attributed per second, compared with sc-signature 1.0.0 and with Captum on the whole model.

    make .originals/ready
    python -m benchmarks.attribution --out build/attribution.json

Models have random weights and the published sizes. Counts are simulated. The method is Integrated Gradients with 50
steps. Each round runs all sides one after the other, and compares their output on the cells that all sides had. The
slow sides get fewer cells. The fastest round of each side counts, since other work on the machine can only slow a round
down. The JSON has all rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from captum.attr import IntegratedGradients
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_matrix, random_array
from torch import nn

from ingest.attribution.device import attribute_cells, set_up
from ingest.attribution.methods import attribute_batch, scale
from ingest.models import FeedForward, Normalisation
from ingest.models.core import feed_forward
from ingest.options import Compute, Method

if TYPE_CHECKING:
    from collections.abc import Callable

ORIGINALS = Path(__file__).parents[1] / ".originals"


@dataclass(frozen=True)
class Case:
    """A model of published size and cells for it. genes, hidden, latent: widths; density: of the counts."""

    name: str
    genes: int
    hidden: tuple[int, ...]
    latent: int
    density: float
    activation: str
    batch_norm: bool
    normalisation: Normalisation
    l2: bool


CASES = {
    "scimilarity": Case("SCimilarity", 28_231, (1024, 1024), 128, 0.06, "PReLU", True, Normalisation(), True),
    "ssl": Case("SSL-scTab", 19_331, (512, 512, 256, 256), 64, 0.08, "SELU", False, Normalisation(), False),
    "scvi": Case("scVI (census)", 8_000, (128, 128), 50, 0.15, "ReLU", True, Normalisation(None), False),
}


def random_model(case: Case) -> FeedForward:
    """A model with random weights. The statistics of its batch norms are not 0 and 1."""
    torch.manual_seed(0)
    widths, layers, tensors = (case.genes, *case.hidden), [], {}

    def add(kind: str, module: nn.Module) -> None:
        tensors.update({f"{len(layers)}.{key}": tensor for key, tensor in module.state_dict().items()})
        layers.append(kind)

    for n_in, n_out in pairwise(widths):
        add("Linear", nn.Linear(n_in, n_out))
        if case.batch_norm:
            norm = nn.BatchNorm1d(n_out)
            norm.running_mean.normal_(std=0.1)
            norm.running_var.uniform_(0.5, 1.5)
            add("BatchNorm1d", norm)
        add(case.activation, getattr(nn, case.activation)())
    add("Linear", nn.Linear(widths[-1], case.latent))
    return feed_forward(
        layers,
        tensors,
        name=case.name,
        genes=[f"G{n}" for n in range(case.genes)],
        architecture="mlp",
        normalisation=case.normalisation,
        l2_normalised=case.l2,
        sha256="",
    )


def cells(case: Case, n_cells: int) -> csr_matrix:
    """Counts (n_cells, n_genes) with about the density of the case."""
    drawn = random_array((n_cells, case.genes), density=case.density, format="csr", rng=np.random.default_rng(0))
    return csr_matrix((np.ceil(drawn.data**4 * 30).astype(np.float32), drawn.indices, drawn.indptr), drawn.shape)


def captum(model: FeedForward, x: csr_matrix, batch_size: int) -> csr_matrix:
    """Scores by Captum on the whole model, with dense input, as in a program that uses Captum alone."""
    net, device = nn.Sequential(model.first, *model.tail), model.first.weight.device
    gradients = IntegratedGradients(lambda inputs, e: (model.finish(net(inputs)) * e).abs().sum(dim=1))
    parts = []
    for start in range(0, x.shape[0], batch_size):
        dense = torch.from_numpy(x[start : start + batch_size].toarray()).to(device)
        reference = model.finish(net(dense))
        found = gradients.attribute(dense, additional_forward_args=(reference,), n_steps=50)
        parts.append((found / found.abs().sum(dim=1, keepdim=True) * 1000).cpu().numpy())
    return csr_matrix(np.concatenate(parts))


def sc_signature(case: Case, model: FeedForward, folder: Path) -> Callable[[csr_matrix, int], csr_matrix] | None:
    """Scores by the package on the device of the model, from a checkpoint in the original layout.

    Returns None if the package also needs scvi-tools.
    """
    sys.path.insert(0, str(ORIGINALS))
    state = {key: tensor.contiguous() for key, tensor in nn.Sequential(model.first, *model.tail).state_dict().items()}
    if case.name == "SCimilarity":
        from SIGnature.models.scimilarity import SCimilarityWrapper

        blocks = {f"{3 * n + at}.": f"network.{n}.{at + 1}." for n in range(len(case.hidden)) for at in range(3)}
        blocks[f"{3 * len(case.hidden)}."] = f"network.{len(case.hidden)}."
        state = {blocks[key.split(".")[0] + "."] + key.split(".")[1]: tensor for key, tensor in state.items()}
        torch.save({"state_dict": state}, folder / "encoder.ckpt")
        (folder / "gene_order.tsv").write_text("\n".join(model.gene_ids))
        (folder / "layer_sizes.json").write_text(json.dumps({key: list(value.shape) for key, value in state.items()}))
        (folder / "label_ints.csv").write_text("index,0\n0,T cell\n")
        wrapper = SCimilarityWrapper(str(folder))
    elif case.name == "SSL-scTab":
        import pyarrow as pa
        import pyarrow.parquet as pq
        from SIGnature.models.ssl import SSLWrapper

        numbered = {f"encoder.{int(key.split('.')[0]) // 2 * 3}.{key.split('.')[1]}": t for key, t in state.items()}
        torch.save({"state_dict": numbered}, folder / "model.ckpt")
        genes = list(model.gene_ids)
        pq.write_table(pa.table({"feature_id": genes, "feature_name": genes}), folder / "var.parquet")
        wrapper = SSLWrapper(str(folder), "model.ckpt")
    else:
        return None
    wrapper.to(model.first.weight.device)

    def run(x: csr_matrix, batch_size: int) -> csr_matrix:
        with warnings.catch_warnings(action="ignore"):
            return csr_matrix(wrapper.calculate_attributions(x, method="ig", batch_size=batch_size, disable_tqdm=True))

    return run


def per_second(run: Callable[[], Any], n_cells: int) -> tuple[float, Any]:
    """Cells per second, and the result. A CUDA GPU has finished its work at the end."""
    start = time.perf_counter()
    result = run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return n_cells / (time.perf_counter() - start), result


def seconds(run: Callable[[], Any], repeats: int = 7) -> float:
    """The median of the seconds of several runs after a first one."""
    run()
    return median(1 / per_second(run, 1)[0] for _ in range(repeats))


def matrix_rate(device: str, size: int, precision: str = "float32") -> float:
    """TFLOP/s of the product of two square matrices of random numbers."""
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    one, other = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    return 2 * size**3 / seconds(lambda: one @ other) / 1e12


def relative_difference(found: csr_matrix, expected: csr_matrix) -> float:
    """Median over cells of the largest difference of a score, sign aside, as a share of the cell's largest score.

    It is the median because the integrand jumps where a term changes sign. In float32, a point of the integral can fall
    on the other side of a jump, which moves all scores of the cell by about 1e-4.
    """
    found, expected = np.abs(found.toarray()), np.abs(expected.toarray())
    return float(np.median(np.abs(found - expected).max(axis=1) / expected.max(axis=1)))


def measure(case: Case, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All sides of one case."""
    compute = Compute("cpu", threads=options.threads)
    model, batch_size = set_up(random_model(case), compute)
    assert isinstance(model, FeedForward)
    counts = cells(case, options.cells)
    x, few = model.prepare(counts), model.prepare(counts[: options.few])
    peer = sc_signature(case, model, folder)
    peak = peak_memory(model, counts, batch_size)
    rows = []
    for _ in range(options.rounds):
        ours, found = per_second(
            lambda: scale(attribute_cells(model, counts, Method(), batch_size=batch_size))[0], x.shape[0]
        )
        whole, by_captum = per_second(lambda: captum(model, few, options.slow_batch), few.shape[0])
        row = {"ours": ours, "captum": whole, "captum_difference": relative_difference(found[: options.few], by_captum)}
        if peer:
            row["peer"], by_peer = per_second(lambda: peer(few, options.slow_batch), few.shape[0])
            row["peer_difference"] = relative_difference(found[: options.few], by_peer)
        rows.append(row)
    result: dict[str, Any] = {key: max(row[key] for row in rows) for key in rows[0]}
    result |= {f"times_{key}": result["ours"] / result[key] for key in ("captum", "peer") if key in result}
    about = {"case": case.name, "batch_size": batch_size, "peak_mb": peak, "rounds": rows}
    return result | about | {"parts": parts(model, x, batch_size)}


def peak_memory(model: FeedForward, counts: csr_matrix, batch_size: int) -> float:
    """The process's peak memory in MB after attributing all cells, before the slow sides begin."""
    attribute_cells(model, counts, Method(), batch_size=batch_size)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def parts(model: FeedForward, x: csr_matrix, batch_size: int) -> dict[str, float]:
    """Milliseconds per cell in each part: the first layer, the tail forward and backward in 50 steps, the pull-back."""
    batch = x[:batch_size]
    entry = model.enter(batch)
    multipliers = torch.ones_like(entry.point)
    timed = {
        "first layer": lambda: model.enter(batch),
        "pull-back": lambda: entry.pull_back(multipliers),
        "all": lambda: attribute_batch(model, batch),
    }
    spent = {}
    for name, run in timed.items():
        run()
        spent[name] = median(1e3 / per_second(run, batch.shape[0])[0] for _ in range(5))
    return spent | {"tail": spent["all"] - spent["first layer"] - spent["pull-back"]}


def precision(case: Case) -> dict[str, float]:
    """Largest relative difference of scores from those in float64, for float32 and bf16 on the CPU."""
    model = random_model(case)
    x = model.prepare(cells(case, 64))
    exact = replace(model, first=model.first.double(), tail=model.tail.double())
    point, origin = exact.first(torch.from_numpy(x.toarray()).double()), exact.bias
    reference = exact.finish(exact.tail(point))
    gradients = IntegratedGradients(
        lambda h, e: (exact.finish(exact.tail(h)) * e).abs().sum(dim=1), multiply_by_inputs=False
    ).attribute(point, baselines=origin, additional_forward_args=(reference,), n_steps=50)
    values = x.toarray() * (gradients @ exact.first.weight).numpy()
    expected = csr_matrix(values / np.abs(values).sum(axis=1, keepdims=True) * 1000)
    found = {}
    for name, autocast in (("float32", None), ("bf16", torch.bfloat16)):
        placed = random_model(case).to("cpu", autocast=autocast)
        found[name] = relative_difference(scale(attribute_batch(placed, x))[0], expected)
    return found


def show(results: list[dict[str, Any]]) -> None:
    """Print the tables."""
    table = Table("model", "cells/s", "Captum", "x Captum", "sc-signature", "x sc-signature", "difference", "peak MB")
    for r in results:
        peer = (f"{r['peer']:.1f}", f"{r['times_peer']:.1f}") if "peer" in r else ("", "")
        difference = f"{r.get('peer_difference', r['captum_difference']):.1e}"
        table.add_row(
            r["case"],
            f"{r['ours']:.0f}",
            f"{r['captum']:.1f}",
            f"{r['times_captum']:.1f}",
            *peer,
            difference,
            f"{r['peak_mb']:.0f}",
        )
    console = Console(width=120)
    console.print(table)
    spent = Table(
        "milliseconds per cell", "first layer", "tail", "pull-back", "all", "error of bf16", "error of float32"
    )
    for r in results:
        spent.add_row(
            r["case"],
            *(f"{r['parts'][key]:.2f}" for key in ("first layer", "tail", "pull-back", "all")),
            *(f"{r['precision'][key]:.1e}" for key in ("bf16", "float32")),
        )
    console.print(spent)


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--cells", type=int, default=2000)
    parser.add_argument("--few", type=int, default=100, help="cells of the slow sides")
    parser.add_argument("--slow-batch", type=int, default=25, help="batch size of the slow sides")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("build/attribution.json"))
    options = parser.parse_args()
    results = []
    for case in [CASES[name] for name in options.models]:
        with tempfile.TemporaryDirectory() as folder:
            results.append(measure(case, options, Path(folder)) | {"precision": precision(case)})
    show(results)
    about = {"machine": platform.processor(), "cores": os.cpu_count(), "torch": torch.__version__, **vars(options)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"about": about, "results": results}, default=str, indent=1))


if __name__ == "__main__":
    main()
