"""What runs in the tasks of Spark, in processes on other machines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute

from sigdb.errors import SigdbError, UnreadableError
from sigdb.lake.files import move_into_lake, write_rows
from sigdb.lake.folder import check_no_link
from sigdb.lake.manifest import File, checksum

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pyspark import Broadcast

    from ingest.options import Compute
    from ingest.store.stage import Stage
    from ingest.work.workers import Worker

__all__ = [
    "BATCH_ROWS",
    "CELLS_DONE",
    "FILES_WRITTEN",
    "SCORES",
    "ChunkTasks",
    "Target",
    "attribute_chunks",
    "read_scores",
    "write_files",
]

CELLS_DONE = "n_cells LONG"
FILES_WRITTEN = "file STRING"
SCORES = "gene_id INT, cell_id LONG, score FLOAT"
# Rows to pass between Python and Spark at a time.
BATCH_ROWS = 1 << 17


@dataclass(frozen=True)
class ChunkTasks:
    """Chunks of a study to attribute, one task each.

    name: a unique name, by which a process knows the worker that it has already. job: a pickled `Job`, for all tasks.
    """

    name: str
    job: Broadcast[bytes]
    stage: Stage
    numbers: Sequence[int]
    compute: Compute


# The Worker of this process, by the name of the tasks and the part of the machine that it uses.
_workers: dict[tuple[str, Compute], Worker] = {}


def attribute_chunks(batches: Iterator[pa.RecordBatch], chunks: ChunkTasks) -> Iterator[pa.RecordBatch]:
    """Attribute the chunks at the given indices of `chunks.numbers`; yield the number of cells of each.

    A fault of the file or the method is noted in the stage, and stops all tasks. If this machine cannot read the file,
    only this task fails, and Spark retries it.
    """
    for batch in batches:
        for index in batch.column(0).to_pylist():
            n_cells = 0
            if not chunks.stage.fault():
                try:
                    n_cells = worker_for(chunks).do(chunks.numbers[index])
                except UnreadableError:
                    raise
                except SigdbError as error:
                    chunks.stage.write_fault(error)
            yield pa.RecordBatch.from_pydict({"n_cells": [n_cells]})


def worker_for(chunks: ChunkTasks) -> Worker:
    """The worker of this process for these chunks. A new one replaces the worker for other chunks."""
    from pyspark import TaskContext

    from ingest.work.workers import Worker  # imports torch, which tasks that write files do not need

    context = TaskContext.get()
    assert context is not None, "not in a task of Spark"
    gpus = context.resources()["gpu"].addresses if "gpu" in context.resources() else []
    key = chunks.name, chunks.compute.of_task(gpus, context.cpus())
    if key not in _workers:
        for other in _workers.values():
            other.close()
        _workers.clear()
        _workers[key] = Worker(chunks.job.value, key[1])
    return _workers[key]


def read_scores(
    batches: Iterator[pa.RecordBatch], stage: Stage, numbers: Sequence[int], first_cell: int
) -> Iterator[pa.RecordBatch]:
    """Read the chunks at the given indices of `numbers`; yield their scores, with the columns of SCORES."""
    for batch in batches:
        for index in batch.column(0).to_pylist():
            scores = stage.scores_of_chunk(numbers[index])
            cells = pa.compute.add(scores["rank"].cast(pa.int64()), first_cell)
            rows = {"gene_id": scores["gene_id"].cast(pa.int32()), "cell_id": cells, "score": scores["score"]}
            yield from pa.table(rows).to_batches(max_chunksize=BATCH_ROWS)


@dataclass(frozen=True)
class Target:
    """A table of a lake to write files of. columns: the columns of the files. run_id: the run, for attributions."""

    root: Path
    table: str
    columns: pa.Schema
    run_id: int | None = None

    def folder(self, bucket: int | None) -> str:
        """The folder of a file, relative to the lake."""
        return self.table if bucket is None else f"{self.table}/run_id={self.run_id}/gene_bucket={bucket}"


def write_files(batches: Iterator[pa.RecordBatch], target: Target) -> Iterator[pa.RecordBatch]:
    """Write sorted rows, one file per gene_bucket if they have such a column; yield each `File`, as JSON.

    The name of a file is its checksum, so a task that is retried writes the same file.
    """
    for bucket, parts in groupby(split_by_bucket(batches, target.columns), key=itemgetter(0)):
        rows = pa.RecordBatchReader.from_batches(target.columns, (part for _, part in parts))
        check_no_link(target.root, target.folder(bucket))
        folder = target.root / target.folder(bucket)
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f"{uuid4().hex}.part"
        n_rows = write_rows(rows, unfinished)
        sha256, size = checksum(unfinished), unfinished.stat().st_size
        path = folder / f"{sha256[:32]}.parquet"
        move_into_lake(unfinished, path, target.root)
        name = str(path.relative_to(target.root))
        file = File(target.table, name, path.stem, n_rows, size, sha256, target.run_id, bucket)
        yield pa.RecordBatch.from_pydict({"file": [json.dumps(asdict(file))]})


def split_by_bucket(
    batches: Iterator[pa.RecordBatch], columns: pa.Schema
) -> Iterator[tuple[int | None, pa.RecordBatch]]:
    """Cast rows to the types of the lake, and split batches where the bucket changes; it is None without buckets."""
    for batch in batches:
        (rows,) = pa.Table.from_batches([batch]).select(columns.names).cast(columns).to_batches() or (None,)
        if rows is None:
            continue
        if "gene_bucket" not in batch.schema.names:
            yield None, rows
            continue
        buckets = batch["gene_bucket"].to_numpy()
        for start, stop in pairwise([0, *np.flatnonzero(np.diff(buckets)) + 1, len(buckets)]):
            yield int(buckets[start]), rows[start:stop]
