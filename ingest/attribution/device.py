"""Run attributions on a device, with as many cells at a time as fit into its memory."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse import csr_matrix, vstack

from ingest.attribution.methods import Attributions, attribute_batch, concatenate, most_rows
from sigdb.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest.models import CellModel
    from ingest.options import Compute, Method

__all__ = ["attribute_cells", "find_device", "set_up"]

# Most cells in a batch. More cells are no faster on a CPU; on a GPU, memory decides.
MOST_CELLS = {"cpu": 256, "cuda": 8192, "mps": 2048}
# The share of the free memory that a batch may take. Its size is an estimate.
SHARE = 0.25


def find_device(compute: Compute) -> Compute:
    """The same settings with `auto` replaced by a device of this machine; DeviceError if it lacks the device.

    Settings for other machines are returned as they are.
    """
    if compute.is_remote:
        return compute
    if compute.device == "auto":
        compute = replace(compute, device="cuda" if torch.cuda.is_available() else "cpu")
    has_device = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not has_device[compute.kind]:
        raise DeviceError(
            f"torch {torch.__version__} finds no {compute.kind} device on this machine. Use `device='cpu'`."
        )
    return compute


def set_up(model: CellModel, compute: Compute) -> tuple[CellModel, int]:
    """Move a model to its device and configure torch; return the model, and the number of cells in a batch.

    compute: as `find_device` returns it. With several workers, the model stays where it is, and each worker moves its
    own copy. Remote workers also choose the number of cells, which is 0 here.
    """
    if compute.is_remote:
        return model, compute.batch_size or 0
    torch.set_num_threads(compute.threads_each)
    torch.set_float32_matmul_precision("high" if compute.precision == "tf32" else "highest")
    if compute.workers == 1:
        model = model.to(compute.device, autocast=torch.bfloat16 if compute.precision == "bf16" else None)
    return model, compute.batch_size or fitting_batch(model, compute.device)


def fitting_batch(model: CellModel, device: str) -> int:
    """The number of cells whose batch fits into a share of the free memory, within the limit of the device."""
    kind = device.split(":")[0]
    n_rows = most_rows(model, kind)
    # Per cell: its input and its scores, which may be dense, and its own rows.
    cell_bytes = 8 * len(model.gene_ids) + 4 * model.row_bytes * model.cell_rows
    room = SHARE * free_memory(device) - n_rows * model.row_bytes
    return int(np.clip(min(room // cell_bytes, n_rows // model.cell_rows), 1, MOST_CELLS[kind]))


def free_memory(device: str) -> int:
    """Free memory of a device, in bytes."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    if device.startswith("mps"):
        return int(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # not on Linux
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
    """Attributions of cells from raw counts (n_cells, n_genes), columns in the model's order, batch by batch.

    A cell without counts gets no attributions and a delta of NaN. done: called with the number of cells of each batch.
    A batch that does not fit into memory is split in halves. Where cells have one row for each of their genes (see
    `Entry`), a batch has cells of similar lengths, since short cells would be padded. Raises what `attribute_batch`
    raises, and DeviceError if a single cell does not fit.
    """
    if model.cell_rows == 1 or batch_size == 1:
        return attribute_in_order(model, counts, method, baseline, batch_size, done)
    order = np.argsort(np.diff(counts.indptr), kind="stable")
    return attribute_in_order(model, counts[order], method, baseline, batch_size, done).take(np.argsort(order))


def attribute_in_order(
    model: CellModel,
    counts: csr_matrix,
    method: Method,
    baseline: csr_matrix | None,
    batch_size: int,
    done: Callable[[int], None],
) -> Attributions:
    """Attributions of cells, in batches of neighbours."""
    parts, unread = [], []
    for start in range(0, counts.shape[0], batch_size):
        batch = counts[start : start + batch_size]
        x = model.prepare(batch)
        unread.append(model.unread(batch, x))
        cells = np.flatnonzero(np.diff(x.indptr))
        found = attribute_or_split(model, x[cells], method, baseline)
        parts.append(scatter(found, cells, x.shape[0]))
        done(x.shape[0])
    return replace(concatenate(parts), unread=csr_matrix(vstack(unread, format="csr")))


def attribute_or_split(model: CellModel, x: csr_matrix, method: Method, baseline: csr_matrix | None) -> Attributions:
    """The attributions of one batch; of its two halves, one after the other, if the whole does not fit into memory."""
    if not x.shape[0]:
        return Attributions(x, np.zeros(0, np.float32), np.zeros(0, np.float32))
    try:
        return attribute_batch(model, x, method, baseline)
    except torch.OutOfMemoryError as error:
        if x.shape[0] < 2:
            raise DeviceError("One cell is too large for the memory of the device. Use `device='cpu'`.") from error
    middle = x.shape[0] // 2
    return concatenate([attribute_or_split(model, part, method, baseline) for part in (x[:middle], x[middle:])])


def scatter(found: Attributions, cells: np.ndarray[tuple[int], np.dtype[np.intp]], n_cells: int) -> Attributions:
    """Attributions of some cells as the rows `cells` of n_cells rows; others are empty, delta and error NaN."""
    lengths = np.zeros(n_cells, np.int64)
    lengths[cells] = np.diff(found.values.indptr)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    delta, error = np.full((2, n_cells), np.nan, np.float32)
    delta[cells], error[cells] = found.delta, found.error
    values = csr_matrix((found.values.data, found.values.indices, indptr), shape=(n_cells, found.values.shape[1]))
    return Attributions(values, delta, error)
