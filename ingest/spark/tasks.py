"""What `ingest.spark` has done in the tasks of Spark, by processes on other machines."""

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
from sigdb.lake.files import finish, write_rows
from sigdb.lake.manifest import File, checksum

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pyspark import Broadcast

    from ingest.options import Compute
    from ingest.store.chunks import Stage
    from ingest.work.workers import Worker

__all__ = [
    "BATCH_ROWS",
    "CELLS_DONE",
    "FILES_WRITTEN",
    "SCORES",
    "Chunks",
    "Target",
    "attribute_chunks",
    "read_scores",
    "write_files",
]

CELLS_DONE = "n_cells LONG"
FILES_WRITTEN = "file STRING"
SCORES = "gene_id INT, cell_id LONG, score FLOAT"
# Rows that go from Python to Spark, and back, at a time.
BATCH_ROWS = 1 << 17


@dataclass(frozen=True)
class Chunks:
    """Chunks of a study to attribute.

    name: of nothing else, so that a process knows what it has at hand. job: a `Job`, pickled, for all tasks. numbers:
    of the chunks.
    """

    name: str
    job: Broadcast[bytes]
    stage: Stage
    numbers: Sequence[int]
    compute: Compute


# The Worker of this process, by the name of its chunks and the part of the machine that it has.
_workers: dict[tuple[str, Compute], Worker] = {}


def attribute_chunks(batches: Iterator[pa.RecordBatch], chunks: Chunks) -> Iterator[pa.RecordBatch]:
    """Attribute the chunks at the given places among the numbers; yield how many cells each has.

    What is wrong with the file or the method is noted in the stage, and ends the work of all tasks. A machine that
    cannot read the file fails this task alone, which Spark tries again.
    """
    for batch in batches:
        for place in batch.column(0).to_pylist():
            n_cells = 0
            if not chunks.stage.fault():
                try:
                    n_cells = worker_for(chunks).do(chunks.numbers[place])
                except UnreadableError:
                    raise
                except SigdbError as error:
                    chunks.stage.note_fault(error)
            yield pa.RecordBatch.from_pydict({"n_cells": [n_cells]})


def worker_for(chunks: Chunks) -> Worker:
    """What this process does these chunks with: made once, in the place of that for others."""
    from pyspark import TaskContext

    from ingest.work.workers import Worker  # with torch, which tasks that write files can do without

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
    """Read the chunks at the given places among the numbers; yield their scores, as SCORES says."""
    for batch in batches:
        for place in batch.column(0).to_pylist():
            found = stage.scores(numbers[place])
            cells = pa.compute.add(found["rank"].cast(pa.int64()), first_cell)
            rows = {"gene_id": found["gene_id"].cast(pa.int32()), "cell_id": cells, "score": found["score"]}
            yield from pa.table(rows).to_batches(max_chunksize=BATCH_ROWS)


@dataclass(frozen=True)
class Target:
    """Where rows become files: a table of a lake. run_id: of attributions; columns: what the files have."""

    root: Path
    table: str
    columns: pa.Schema
    run_id: int | None = None

    def folder(self, bucket: int | None) -> str:
        """The folder of a file, below the lake."""
        return self.table if bucket is None else f"{self.table}/run_id={self.run_id}/gene_bucket={bucket}"


def write_files(batches: Iterator[pa.RecordBatch], target: Target) -> Iterator[pa.RecordBatch]:
    """Write sorted rows, a file for each gene_bucket if they have such a column; yield each `File`, as JSON.

    A file is named by its checksum, so that a task which is tried again writes the same one.
    """
    for bucket, parts in groupby(stretches(batches, target.columns), key=itemgetter(0)):
        rows = pa.RecordBatchReader.from_batches(target.columns, (part for _, part in parts))
        folder = target.root / target.folder(bucket)
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f"{uuid4().hex}.part"
        n_rows = write_rows(rows, unfinished)
        sha256, size = checksum(unfinished), unfinished.stat().st_size
        path = folder / f"{sha256[:32]}.parquet"
        finish(unfinished, path, target.root)
        place = str(path.relative_to(target.root))
        file = File(target.table, place, path.stem, n_rows, size, sha256, target.run_id, bucket)
        yield pa.RecordBatch.from_pydict({"file": [json.dumps(asdict(file))]})


def stretches(batches: Iterator[pa.RecordBatch], columns: pa.Schema) -> Iterator[tuple[int | None, pa.RecordBatch]]:
    """Rows with the types of the lake, each batch cut where the bucket changes; with None where there is none."""
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
