"""Studies into a lake, by Apache Spark: cells are attributed, scores sorted and added up by the machines of a cluster.

The steps, and the code of each, are those of `ingest.pipeline`; what differs is who does them, which is here. All
machines must have sigdb installed, and see the files and the lake under the same names.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow.parquet as pq
import sqlglot
from sqlglot import exp

from ingest.pipeline import IngestOptions, check_names, ingest_study
from ingest.spark.tasks import (
    BATCH_ROWS,
    CELLS_DONE,
    FILES_WRITTEN,
    SCORES,
    Chunks,
    Target,
    attribute_chunks,
    read_scores,
    write_files,
)
from ingest.store.chunks import forget_stored, remove_stage, stages_of
from sigdb.dialects.spark import escape_path
from sigdb.dialects.transpile import write_sql
from sigdb.errors import AtlasError, SparkError, needs_extra
from sigdb.lake.files import FILE_ROWS
from sigdb.lake.grow import growing_lake
from sigdb.lake.manifest import File
from sigdb.statements import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    from ingest.attribution.device import Compute
    from ingest.models import CellModel
    from ingest.pipeline import Source, StudyReport
    from ingest.store.chunks import Stage
    from ingest.store.writer import StudyWriter
    from ingest.work.job import Job
    from sigdb.lake.grow import GrowingLake

__all__ = ["OnSpark", "ingest_into_lake", "spark_session"]

# So many files of like size may lie beside each other in a bucket; one more, and they become one.
MOST_LIKE_FILES = 8
# A task a chunk, but not more tasks than Spark handles well.
MOST_TASKS = 10_000
# Seconds between two looks at which chunks are there.
LOOK_EVERY = 1.0


def ingest_into_lake(
    spark: SparkSession,
    lake: str | os.PathLike[str],
    sources: Sequence[Source],
    model: CellModel,
    options: IngestOptions | None = None,
    *,
    genes_per_bucket: int | None = None,
) -> list[StudyReport]:
    """Add studies to a lake, which is made if there is none; a report for each study that was added.

    Each study is in the lake whole, or not at all, from one moment to the next. Where this was interrupted, the next
    call for the same files, model and method does only what is missing. A lake that was an export is none from then on.
    spark: a session whose tasks are tried again when a machine is lost (`local[2]` does not, `local[2,4]` does).
    genes_per_bucket: of a new lake. Errors as for `ingest_study` and `growing_lake`; SparkError if Spark gives up, and
    AtlasError for `if_exists='replace'`, since nothing is removed from a lake.
    """
    options = options or IngestOptions()
    if options.if_exists == "replace":
        raise AtlasError(
            "A study of a lake cannot be replaced. Leave it as it is (--if-exists skip), or give the new one another "
            "name (--study)."
        )
    check_names(sources)
    reports: list[StudyReport] = []
    with growing_lake(lake, genes_per_bucket=genes_per_bucket) as grown, spool_of(grown.root) as spool:
        engine = OnSpark(spark, grown, spool)
        for source in sources:
            absolute = replace(source, path=source.path.absolute())
            reports += filter(None, [ingest_study(grown.atlas, absolute, model, options, engine)])
        forget_stored(grown.root)
    return reports


def spark_session(master: str | None = None, settings: Mapping[str, str] | None = None) -> SparkSession:
    """A session of Spark: the one that there is, or a new one, with settings. master: `local[2,4]`, spark://..., yarn.

    Python's processes on the workers are those of the same environment as this one, unless PYSPARK_PYTHON says
    otherwise. Raises SparkError if Spark does not start.
    """
    with needs_extra("spark"):
        from py4j.protocol import Py4JJavaError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # Ours is the better progress.
    builder = SparkSession.builder.appName("sigdb ingest").config("spark.ui.showConsoleProgress", "false")
    if master:
        builder = builder.master(master)
    for name, value in (settings or {}).items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except (PySparkException, Py4JJavaError, OSError) as error:
        has_java = "JAVA_HOME" in os.environ or shutil.which("java")
        why = f"The master was {master or 'that of the settings'}." if has_java else "It needs Java 17 or newer."
        raise SparkError(f"Spark does not start: {reason(error)}. {why}") from error


@contextmanager
def spool_of(lake: Path) -> Iterator[Path]:
    """A folder that all machines share, for matrices that are not stored by cells; it goes with the block."""
    folder = stages_of(lake) / "spool"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        remove_stage(folder)


class OnSpark:
    """An engine (`ingest.engine`): a cluster of Spark that writes to a lake."""

    def __init__(self, spark: SparkSession, lake: GrowingLake, spool: Path) -> None:
        self.spark = spark.newSession()
        self.spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", BATCH_ROWS)
        self.lake = lake
        self.home = lake.root
        self.spool: Path | None = spool

    def attribute(self, job: Job, numbers: Sequence[int], compute: Compute, done: Callable[[int], None]) -> list[str]:
        """Attribute chunks in tasks of Spark, and look now and then which are there."""
        if not numbers:
            return []
        waiting = set(numbers)

        def look() -> None:
            if there := waiting & job.stage.numbers():
                waiting.difference_update(there)
                done(sum(map(job.cells_of, there)))

        payload = self.spark.sparkContext.broadcast(pickle.dumps(job))
        chunks = Chunks(uuid4().hex, payload, job.stage, list(numbers), compute)
        tasks = self.places(numbers).mapInArrow(partial(attribute_chunks, chunks=chunks), CELLS_DONE)
        with explained():
            self.watch(tasks.collect, look)
        payload.destroy()
        if fault := job.stage.fault():
            raise fault
        return []

    def places(self, numbers: Sequence[int]) -> DataFrame:
        """The place of each of some numbers, for a task of its own while there are not too many."""
        return self.spark.range(0, len(numbers), 1, min(len(numbers), MOST_TASKS))

    def watch(self, action: Callable[[], object], look: Callable[[], None]) -> None:
        """Run an action of Spark, and look at what it does; end it, and nothing else, if that is interrupted."""
        context, group = self.spark.sparkContext, uuid4().hex

        def run() -> None:
            context.setJobGroup(group, "sigdb ingest")  # which is that of this thread
            action()

        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(run)
            try:
                while not wait([running], LOOK_EVERY).done:
                    look()
            except BaseException:
                context.cancelJobGroup(group)
                raise
            running.result()
        look()

    def store_scores(self, writer: StudyWriter, stage: Stage) -> None:
        """Sort the scores of a stage into the buckets of the lake, and add them up by sample, cell type and gene."""
        numbers = sorted(stage.numbers())
        read = partial(read_scores, stage=stage, numbers=numbers, first_cell=writer.first_cell)
        scores = self.places(numbers).mapInArrow(read, SCORES)
        with explained():
            self.add_attributions(writer.run_id, scores)
            self.add_sums(writer, stage, scores)

    def add_attributions(self, run_id: int, scores: DataFrame) -> None:
        """Add scores (gene_id, cell_id, score) of a run, sorted, a file a bucket of genes."""
        by_bucket: dict[int | None, list[File]] = defaultdict(list)
        for file in self.lake.files["attributions"]:
            if file.run_id == run_id:
                by_bucket[file.gene_bucket].append(file)
        old = [file for files in by_bucket.values() for file in to_merge(files)]
        size = self.lake.genes_per_bucket
        ((n_genes,),) = self.lake.atlas.con.execute("SELECT max(gene_id) + 1 FROM sigdb_data.genes").fetchall()
        rows = (
            self.with_rows_of(old, scores)
            .selectExpr(f"gene_id DIV {size} AS gene_bucket", "gene_id", "cell_id", "score")
            .repartition(-(-n_genes // size), "gene_bucket")
            .sortWithinPartitions("gene_bucket", "gene_id", "cell_id")
        )
        self.write("attributions", rows, old, run_id)

    def add_sums(self, writer: StudyWriter, stage: Stage, scores: DataFrame) -> None:
        """Add the sums of scores, as the statement that makes them in an atlas says."""
        groups = stage.folder / "groups.parquet"
        query = "SELECT cell_id, sample_id, cell_type FROM sigdb_data.cell_data WHERE cell_id BETWEEN $first AND $last"
        cells = writer.con.sql(query, params=writer.cells).to_arrow_table()
        pq.write_table(cells, groups)
        self.spark.read.parquet(located(groups)).createOrReplaceTempView("new_cell_data")
        scores.selectExpr(f"{writer.run_id} AS run_id", "*").createOrReplaceTempView("new_attributions")
        old = to_merge(self.lake.files["attribution_summary"])
        n_groups = cells.group_by(["sample_id", "cell_type"]).aggregate([]).num_rows
        n_sums = min(stage.n_scores, n_groups * len(stage.gene_ids))
        n_files = 1 + (n_sums + sum(file.rows for file in old)) // FILE_ROWS
        sums = self.spark.sql(selected("atlas/derived.add_summary", {"run_id": writer.run_id, **writer.cells}))
        rows = (
            self.with_rows_of(old, sums)
            .repartitionByRange(n_files, "gene_id")
            .sortWithinPartitions("gene_id", "run_id", "sample_id", "cell_type")
        )
        self.write("attribution_summary", rows, old)

    def with_rows_of(self, files: Sequence[File], rows: DataFrame) -> DataFrame:
        """Rows, and those of files of the lake with them."""
        if not files:
            return rows
        there = self.spark.read.parquet(*(located(self.lake.root / file.path) for file in files))
        return rows.unionByName(there.select(rows.columns))

    def write(self, table: str, rows: DataFrame, old: Sequence[File], run_id: int | None = None) -> None:
        """Write sorted rows, of one run if it is named, as files of a table, which take the place of old ones."""
        columns = self.lake.arrow_schema(table)
        if run_id is not None:  # it is in the name of the folder
            columns = columns.remove(columns.get_field_index("run_id"))
        target = Target(self.lake.root, table, columns, run_id)
        told = rows.mapInArrow(partial(write_files, target=target), FILES_WRITTEN).collect()
        self.lake.change(table, [File(**json.loads(text)) for (text,) in told], old)

    def publish(self) -> None:
        """Let others see the study."""
        self.lake.publish()


def to_merge(files: Iterable[File]) -> list[File]:
    """Those of the files of a bucket that are to be one with what comes: small ones, where many are of like size.

    Like are those that have as many digits to the base of 8, so what they become is larger than any of them by one
    digit at least: a row is written again once a digit, however many files come.
    """
    alike: dict[int, list[File]] = defaultdict(list)
    for file in files:
        if file.rows < FILE_ROWS:
            alike[len(f"{file.rows:o}")].append(file)
    return [file for like in alike.values() if len(like) >= MOST_LIKE_FILES for file in like]


def selected(name: str, parameters: Mapping[str, int]) -> str:
    """What a statement inserts, in Spark's SQL, from views of the new rows: `new_` and the name of the table."""
    insert = sqlglot.parse_one(statement(name), dialect="duckdb")
    query = insert.expression
    query.set("order", None)
    for parameter in list(query.find_all(exp.Placeholder)):
        parameter.replace(exp.convert(parameters[parameter.name]))
    columns = [column.name for column in insert.this.expressions]
    query.set("expressions", [exp.alias_(e, c) for e, c in zip(query.expressions, columns, strict=True)])
    return write_sql(query, "spark", lambda table: exp.to_table(f"new_{table.name}"))


def located(path: Path) -> str:
    """A file or folder for Spark: of the file system, whatever its default is, and no pattern."""
    return "file://" + escape_path(str(path))


@contextmanager
def explained() -> Iterator[None]:
    """Turn an error of Spark's into a SparkError."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        raise SparkError(
            f"Spark gave up: {reason(error)}. The lake is as it was; what was attributed is kept, and the same command "
            "goes on from there."
        ) from error


def reason(error: Exception) -> str:
    """The line of an error of Spark's that says what happened: the last of Python's, if there is one."""
    lines = [line.strip().removeprefix(": ") for line in str(error).splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Interrupt)\b: ", line)]
    return (raised or lines)[-1 if raised else 0].rstrip(".")
