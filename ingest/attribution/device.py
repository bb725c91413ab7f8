"""Where and how attributions are computed: the device, its precision, and as many cells at a time as fit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse import csr_matrix

from ingest.attribution.methods import POINTS, Attributions, attribute, concatenate
from sigdb.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.attribution.methods import Method
    from ingest.models import CellModel

__all__ = ["PRECISIONS", "Compute", "attribute_cells", "place"]

PRECISIONS = ("float32", "tf32", "bf16")
# Cells at a time: on a CPU more cells are no faster, and on a GPU memory decides.
MOST_CELLS = {"cpu": 256, "cuda": 8192, "mps": 2048}
# The part of the free memory that a batch may take, since its size is an estimate.
SHARE = 0.25


@dataclass(frozen=True)
class Compute:
    """Where to compute.

    device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto` for a CUDA GPU where there is one and the CPU elsewhere.
    precision: of the matrix products behind the first layer; `tf32` is for CUDA only. batch_size: cells attributed at a
    time (default: what fits). workers: processes; each takes its turn at the machine's GPUs, or its part of the
    `threads` (default: all cores). is_remote: on other machines, each of which finds out what it has (`of_task`).
    """

    device: str = "auto"
    precision: str = "float32"
    batch_size: int | None = None
    workers: int = 1
    threads: int | None = None
    is_remote: bool = False

    def __post_init__(self) -> None:
        """Check that there is such a device and precision; find out what `auto` is."""
        if self.device == "auto" and not self.is_remote:
            object.__setattr__(self, "device", "cuda" if torch.cuda.is_available() else "cpu")
        kind = self.device.split(":")[0]
        there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if kind not in (*there, "auto"):
            raise DeviceError(f"There is no device {self.device!r}; there are auto, cpu, cuda, cuda:N and mps.")
        if not self.is_remote and not there[kind]:
            raise DeviceError(f"torch {torch.__version__} finds no {kind} device on this machine. Use --device cpu.")
        if self.precision not in PRECISIONS:
            raise DeviceError(f"There is no precision {self.precision!r}; there are {', '.join(PRECISIONS)}.")
        if self.precision == "tf32" and kind not in ("cuda", "auto"):
            raise DeviceError(f"tf32 is a format of CUDA GPUs; on {kind} there are float32 and bf16.")
        for name in ("batch_size", "workers", "threads"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise DeviceError(f"{name} must be at least 1, not {value}.")

    @property
    def threads_each(self) -> int:
        """CPU threads of one worker."""
        return max(1, (self.threads or os.cpu_count() or 1) // self.workers)

    def of_worker(self, number: int) -> Compute:
        """The part of the machine that worker `number`, from 0, has: a GPU in turn, if `cuda` without a number."""
        device = f"cuda:{number % torch.cuda.device_count()}" if self.device == "cuda" else self.device
        return Compute(device, self.precision, self.batch_size, 1, self.threads_each)

    def of_task(self, gpus: Sequence[str], n_cpus: int) -> Compute:
        """The part of a remote machine that a task has, which was given these GPUs, by number, and so many CPUs."""
        own = self.device in ("auto", "cuda") and gpus
        return Compute(f"cuda:{gpus[0]}" if own else self.device, self.precision, self.batch_size, 1, n_cpus)


def place(model: CellModel, compute: Compute) -> tuple[CellModel, int]:
    """Put a model where it shall compute, set up torch for it; return it with the number of cells to take at a time.

    Where there are several workers the model stays as it is: each of them places its own; remote ones also decide on
    the number of cells, which is 0 then.
    """
    if compute.is_remote:
        return model, compute.batch_size or 0
    torch.set_num_threads(compute.threads_each)
    torch.set_float32_matmul_precision("high" if compute.precision == "tf32" else "highest")
    if compute.workers > 1:
        return model, compute.batch_size or fitting_batch(model, compute.device)
    placed = model.placed(compute.device, autocast=torch.bfloat16 if compute.precision == "bf16" else None)
    return placed, compute.batch_size or fitting_batch(placed, compute.device)


def fitting_batch(model: CellModel, device: str) -> int:
    """Cells that fit into a share of the memory that is free now, and make sense on the device."""
    kind = device.split(":")[0]
    # Per cell: its input and its scores, dense at worst, and points of which POINTS at most are under way at a time.
    cell_bytes = 8 * len(model.gene_ids) + 4 * model.row_bytes
    room = SHARE * free_memory(device) - POINTS[kind] * model.row_bytes
    return int(np.clip(room // cell_bytes, 1, MOST_CELLS[kind]))


def free_memory(device: str) -> int:
    """Bytes free on a device."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    if device.startswith("mps"):
        return int(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):  # not on Linux
        return 4 << 30


def attribute_cells(
    model: CellModel,
    counts: csr_matrix,
    method: Method,
    *,
    baseline: csr_matrix | None = None,
    batch_size: int = 256,
    done: Callable[[int], None] = lambda n: None,
) -> Attributions:
    """Attributions of cells from raw counts (n_cells, n_genes), columns in the model's order, some cells at a time.

    A cell without counts gets no attributions, and a delta of NaN. done: told how many cells each batch had. A batch
    for which memory runs out is done in halves. Raises what `attribute` raises.
    """
    parts = []
    for start in range(0, counts.shape[0], batch_size):
        batch = counts[start : start + batch_size]
        cells = np.flatnonzero(np.diff(batch.indptr))
        parts.append(spread(in_halves(model, model.prepare(batch[cells]), method, baseline), cells, batch.shape[0]))
        done(batch.shape[0])
    return concatenate(parts)


def in_halves(model: CellModel, x: csr_matrix, method: Method, baseline: csr_matrix | None) -> Attributions:
    """The attributions of one batch, or of its halves where it is too large for the device."""
    if not x.shape[0]:
        return Attributions(x, np.zeros(0, np.float32))
    try:
        return attribute(model, x, method, baseline)
    except torch.OutOfMemoryError as error:
        if x.shape[0] < 2:
            raise DeviceError("One cell is too large for the device's memory. Use --device cpu.") from error
    middle = x.shape[0] // 2
    return concatenate([in_halves(model, part, method, baseline) for part in (x[:middle], x[middle:])])


def spread(found: Attributions, cells: np.ndarray[tuple[int], np.dtype[np.intp]], n_cells: int) -> Attributions:
    """Attributions of some cells, as rows `cells` of n_cells; the other rows are empty, their delta NaN."""
    lengths = np.zeros(n_cells, np.int64)
    lengths[cells] = np.diff(found.values.indptr)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    delta = np.full(n_cells, np.nan, np.float32)
    delta[cells] = found.delta
    values = csr_matrix((found.values.data, found.values.indices, indptr), shape=(n_cells, found.values.shape[1]))
    return Attributions(values, delta)
