"""Attribution on a CUDA GPU: whether the numbers are right, how fast they come, and what limits the speed.

    make .originals/ready
    python -m benchmarks.gpu --out build/gpu.json

Run it from the root of the repository. It takes three and a half minutes with one H200, and needs the extras `ingest`
and `test`. `--quick --device cpu` tries everything on small models in a minute, without a GPU. Without `.originals`,
sc-signature is left out. On a machine without network, install wheels of these packages and what they need: anndata,
captum, duckdb, filelock, h5py, hypothesis, lazy-loader, pandas, platformdirs, pyarrow, pytest, rich, safetensors,
scipy, sqlglot, torch, typer and zarr.

The parts, which `--parts` chooses from:

rates    matrix products and copies on the card, without sigdb.
checks   every adapter and method on the device, compared with Captum on the whole model in float64 on the CPU.
speeds   cells per second, beside Captum on the whole model and sc-signature 1.0.0 on the same device.
stages   where the time of one batch goes.
transformers  the same speeds for transformers, by the number of genes of a cell.
ingest   a study from file to atlas, with one, two and four workers on one card.

Models have random weights, and counts are simulated. Speeds are for Integrated Gradients with 50 steps.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import tempfile
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks import transformers
from benchmarks.attribution import (
    CASES,
    ORIGINALS,
    captum,
    cells,
    matrix_rate,
    per_second,
    random_model,
    relative_difference,
    sc_signature,
    seconds,
)
from benchmarks.exactness import models
from benchmarks.ingesting import N_COUNTS, make_study
from benchmarks.transformers import SIZES
from ingest.attribution.device import attribute_cells, set_up
from ingest.attribution.integration import integrate
from ingest.attribution.methods import Scalar, attribute_batch, gradient, most_rows, scale
from ingest.models.sparse import to_sparse_tensor
from ingest.options import METHODS, Compute, IngestOptions, Method, Source
from ingest.pipeline import CHUNK_CELLS, ingest_files
from tests.support.oracle import captum_on_any_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scipy.sparse import csr_matrix

    from benchmarks.attribution import Case
    from ingest.models import FeedForward

Row = dict[str, Any]
GENE_NAMES = Path(__file__).parents[1] / "sigdb" / "data" / "hgnc_human.parquet"


def precisions(device: str) -> tuple[str, ...]:
    """The precisions that a device has."""
    return ("float32", "tf32", "bf16") if device == "cuda" else ("float32", "bf16")


def measure_rates(options: argparse.Namespace) -> Iterator[Row]:
    """TFLOP/s of a square matrix product in each precision, and GB/s of a copy (bytes read and bytes written)."""
    for precision in precisions(options.device):
        yield {"what": precision, "rate": matrix_rate(options.device, options.size, precision)}
    source = torch.randn(8 * options.size**2, device=options.device)
    target = torch.empty_like(source)
    yield {"what": "copy", "rate": 2 * 4 * source.numel() / seconds(lambda: target.copy_(source)) / 1e9}


def check_numbers(options: argparse.Namespace) -> Iterator[Row]:
    """Errors of the signed scores of each cell, as a share of the cell's largest score: the largest and the median.

    The models are those of the tests, which every adapter reads from files, and feed-forward ones of published size.
    """
    found = models()
    few = {name: replace(CASES["scvi"], genes=len(model.gene_ids), density=0.3) for name, model in found.items()}
    large = {f"{case.name}, published size": case for case in options.cases}
    found |= {name: random_model(case) for name, case in large.items()}
    for name, case in (few | large).items():
        x = found[name].prepare(cells(case, options.checked))
        x = x[np.diff(x.indptr) > 0]
        for method in (Method(each) for each in METHODS if each not in found[name].unsupported):
            values = captum_on_any_model(found[name], x, method)
            exact = values / np.abs(values).sum(axis=1, keepdims=True) * 1000
            for precision in precisions(options.device) if method.name != "deeplift" else ("float32",):
                placed, _ = set_up(found[name], Compute(options.device, precision))
                scores = scale(attribute_batch(placed, x, method))[0].toarray()
                errors = np.abs(scores - exact).max(axis=1) / np.abs(exact).max(axis=1)
                about = {"model": name, "method": method.name, "precision": precision, "cells": len(errors)}
                yield about | {"largest": float(errors.max()), "median": float(np.median(errors))}


def measure_speeds(options: argparse.Namespace) -> Iterator[Row]:
    """Cells per second: sigdb in each precision and with several sizes of a batch, then the others."""
    for case in options.cases:
        counts = cells(case, options.cells)
        for precision in precisions(options.device):
            model, fitting = set_up(random_model(case), Compute(options.device, precision))
            sizes = {min(CHUNK_CELLS, fitting), *((256, fitting) if precision == "float32" else ())}
            for size in sorted(sizes):
                yield about_speed(case, f"sigdb, {precision}", size, counts, options, ours(model, counts, size))
        model, _ = set_up(random_model(case), Compute(options.device))
        expected = scale(attribute_cells(model, counts[: options.few], Method()))[0]
        with tempfile.TemporaryDirectory() as folder:
            for name, side in others(case, model, Path(folder)):
                x = model.prepare(counts[: options.few])
                run = ((lambda side=side, x=x: side(x, options.slow_batch)), x.shape[0])
                row = about_speed(case, name, options.slow_batch, counts, options, run)
                yield row | {"difference": relative_difference(run[0](), expected)}


def ours(model: FeedForward, counts: csr_matrix, size: int) -> tuple[Callable[[], csr_matrix], int]:
    """What `sigdb ingest` does with counts until they are scores, and the number of cells."""
    return (lambda: scale(attribute_cells(model, counts, Method(), batch_size=size))[0]), counts.shape[0]


def others(case: Case, model: FeedForward, folder: Path) -> Iterator[tuple[str, Callable[[csr_matrix, int], Any]]]:
    """The other sides of a case: Captum on the whole model, and sc-signature where it reads such a model."""
    yield "Captum", lambda x, size: captum(model, x, size)
    if (ORIGINALS / "SIGnature").exists() and (peer := sc_signature(case, model, folder)):
        yield "sc-signature", peer


def about_speed(
    case: Case,
    side: str,
    batch_size: int,
    counts: csr_matrix,
    options: argparse.Namespace,
    run: tuple[Callable[[], Any], int],
) -> Row:
    """Cells per second in several rounds, their best, the peak memory of the card, and the work of a cell."""
    call, n_cells = run
    call()
    if options.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    rounds = [per_second(call, n_cells)[0] for _ in range(options.rounds)]
    peak = torch.cuda.max_memory_allocated() / 1e9 if options.device == "cuda" else None
    about = {"model": case.name, "side": side, "batch": batch_size, "cells": n_cells, "peak_gb": peak}
    return about | {"rate": max(rounds), "rounds": rounds, "tail_gflop": tail_operations(case) / 1e9}


def tail_operations(case: Case) -> float:
    """Floating-point operations of one cell's matrix products behind the first layer: 50 points, forward and back."""
    layers = [each for each in random_model(case).tail if isinstance(each, nn.Linear)]
    return 50 * 2 * 2 * sum(each.in_features * each.out_features for each in layers)


def measure_stages(options: argparse.Namespace) -> Iterator[Row]:
    """Microseconds per cell of each step of one batch, each measured alone; "rest" is what remains of the whole.

    share: of the rate of a large matrix product, that the matrix products of the tail reach.
    """
    rates = {
        precision: matrix_rate(options.device, options.size, precision) for precision in precisions(options.device)
    }
    for case, precision in product(options.cases, rates):
        model, fitting = set_up(random_model(case), Compute(options.device, precision))
        counts = cells(case, min(CHUNK_CELLS, fitting, options.cells))
        spent = {name: seconds(run) / counts.shape[0] * 1e6 for name, run in stages(model, counts).items()}
        spent["rest"] = 2 * spent["all"] - sum(spent.values())
        tail = tail_operations(case) / spent["tail"] / 1e6
        about = {"model": case.name, "precision": precision, "cells": counts.shape[0]}
        yield about | spent | {"tail_tflops": tail, "share": tail / rates[precision]}


def measure_transformers(options: argparse.Namespace) -> Iterator[Row]:
    """Transformers of published size beside Captum and sc-signature, as `benchmarks.transformers` measures them."""
    sizes = [replace(size, layers=options.layers or size.layers) for size in SIZES.values()]
    own = argparse.Namespace(**vars(options) | {"cells": options.read, "precisions": precisions(options.device)})
    for size in sizes:
        yield from transformers.measure(size, own)


def stages(model: FeedForward, counts: csr_matrix) -> dict[str, Callable[[], Any]]:
    """The steps of one batch, and all of them together."""
    x, weight, method = model.prepare(counts), model.first.weight.T, Method()
    entry, onto = model.enter(x), to_sparse_tensor(x, weight.device)
    f = Scalar(model, entry, str(method.summation))

    def tail() -> torch.Tensor:
        return integrate(lambda points: gradient(f, points), entry, method, most_rows(model, weight.device.type)).mean

    found, multipliers = attribute_batch(model, x), tail()
    pulled = torch.sparse.sampled_addmm(onto, multipliers, weight.T, beta=0.0)
    return {
        "normalise (CPU)": lambda: model.prepare(counts),
        "copy there": lambda: to_sparse_tensor(x, weight.device),
        "first layer": lambda: torch.sparse.mm(onto, weight),
        "tail": tail,
        "pull-back": lambda: torch.sparse.sampled_addmm(onto, multipliers, weight.T, beta=0.0),
        "copy back": lambda: pulled.values().cpu(),
        "scale (CPU)": lambda: scale(found),
        "all": ours(model, counts, counts.shape[0])[0],
    }


def measure_ingest(options: argparse.Namespace) -> Iterator[Row]:
    """`ingest_files` on a study of one model: cells per second of attribution, and the seconds of all.

    The rate is that after each worker's first chunk, since workers need seconds to start.
    """
    case = options.cases[0]
    names = pq.read_table(GENE_NAMES, columns=["symbol"])["symbol"].to_pylist()[: case.genes]
    model = replace(random_model(case), gene_ids=tuple(names))
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study.h5ad"
        make_study(study, options.ingested, names)
        for workers in options.workers:
            marks: list[tuple[float, int]] = []
            compute = Compute(options.device, workers=workers)
            settings = IngestOptions(compute=compute, progress=lambda _, n, __, to=marks: to.append((now(), n)))
            start = now()
            ingest_files(Path(folder) / f"{workers}.duckdb", [Source(study)], model, settings)
            stored, first, last = now(), marks[workers], marks[-1]
            yield {
                "model": case.name,
                "workers": workers,
                "cells": options.ingested,
                "counts": N_COUNTS,
                "rate": (last[1] - first[1]) / (last[0] - first[0]),
                "until_first_s": first[0] - start,
                "attributed_s": last[0] - start,
                "storing_s": stored - last[0],
            }


now = time.perf_counter

PARTS: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    "rates": measure_rates,
    "checks": check_numbers,
    "speeds": measure_speeds,
    "stages": measure_stages,
    "transformers": measure_transformers,
    "ingest": measure_ingest,
}


def show(part: str, rows: list[Row]) -> None:
    """Print the rows of a part as a table. Lists are in the JSON only."""
    keys = list(dict.fromkeys(key for row in rows for key in row if not isinstance(row[key], list)))
    table = Table(*keys, title=part)
    for row in rows:
        table.add_row(*(f"{row[k]:.4g}" if isinstance(row.get(k), float) else str(row.get(k, "")) for k in keys))
    Console(width=200).print(table)


def parse_options() -> argparse.Namespace:
    """The options, with the cases; smaller ones with --quick."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--cells", type=int, default=8192)
    parser.add_argument("--few", type=int, default=500, help="cells of the slow sides")
    parser.add_argument("--slow-batch", type=int, default=250, help="batch size of the slow sides")
    parser.add_argument("--checked", type=int, default=32, help="cells that are compared with float64")
    parser.add_argument("--ingested", type=int, default=16 * CHUNK_CELLS, help="cells of the study from file to atlas")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="of the study from file to atlas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small models and few cells")
    parser.add_argument("--out", type=Path, default=Path("build/gpu.json"))
    options = parser.parse_args()
    options.cases, options.size = list(CASES.values()), 8192
    options.genes, options.read, options.steps, options.layers, options.threads = [500, 2000], 4, 50, None, None
    options.peer = True
    if options.quick:
        options.cases = [replace(case, genes=2000, hidden=tuple(64 for _ in case.hidden)) for case in options.cases]
        options.cells, options.few, options.slow_batch, options.checked, options.rounds = 200, 20, 10, 8, 1
        options.size = 512
        options.genes, options.read, options.steps, options.layers, options.peer = [50], 1, 2, 1, False
        options.ingested, options.workers = 3 * CHUNK_CELLS, [1, 2]
    return options


def main() -> None:
    """Measure all parts; write the JSON after each, so that an interrupted run leaves what it has measured."""
    options = parse_options()
    card = torch.cuda.get_device_name() if options.device == "cuda" else "none"
    versions = {name: importlib.metadata.version(name) for name in ("torch", "captum", "numpy", "scipy", "duckdb")}
    found: dict[str, Any] = {"card": card, "cores": os.cpu_count(), "versions": versions, "options": vars(options)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for part in options.parts:
        start = now()
        found[part] = list(PARTS[part](options))
        found[f"{part}_s"] = now() - start
        show(f"{part} on {card}, {now() - start:.0f} s", found[part])
        options.out.write_text(json.dumps(found, default=str, indent=1))


if __name__ == "__main__":
    main()
