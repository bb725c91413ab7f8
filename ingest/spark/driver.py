"""Add studies to a lake with Apache Spark: the machines of a cluster attribute cells, and sort and add up scores.

The steps are the steps of `ingest.pipeline`, with the same code. This module says where each step runs. All machines
must have sigdb installed, and see the files and the lake under the same paths.
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

from ingest.options import IngestOptions
from ingest.pipeline import check_names, ingest_study
from ingest.spark.tasks import (
    BATCH_ROWS,
    CELLS_DONE,
    FILES_WRITTEN,
    SCORES,
    ChunkTasks,
    Target,
    attribute_chunks,
    read_scores,
    write_files,
)
from ingest.store.stage import remove_stage, remove_stored_notes, stages_folder
from sigdb.dialects.expand import expand
from sigdb.dialects.spark import escape_path
from sigdb.dialects.transpile import write_sql
from sigdb.errors import AtlasError, SparkError, needs_extra
from sigdb.lake.files import FILE_ROWS
from sigdb.lake.grow import growing_lake
from sigdb.lake.manifest import File
from sigdb.statements import run_statement, statement, to_sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    from ingest.models import CellModel
    from ingest.options import Compute, Source
    from ingest.store.stage import Stage
    from ingest.store.study import StudyReport
    from ingest.store.writer import StudyWriter
    from ingest.work.job import Job
    from sigdb.lake.grow import GrowingLake

__all__ = ["SparkEngine", "ingest_into_lake", "spark_session"]

# The most files of similar size that a bucket can have. The next one is merged with them.
MOST_SIMILAR_FILES = 8
# One task per chunk, up to the number of tasks that Spark handles well.
MOST_TASKS = 10_000
# Seconds between two checks of which chunks are done.
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
    """Attribute the cells of files with Apache Spark, and add them to a lake as studies, each all or nothing.

    After an interruption, the next call for the same files, model and method computes only what is missing. A lake that
    was exported from an atlas is independent of that atlas from then on.

    Parameters
    ----------
    spark
        A session. It should retry tasks, in case a machine is lost: `local[2]` does not, `local[2,4]` does.
    lake
        A folder that all machines share; made if it does not exist.
    sources
        The files, which all machines must see under the same paths.
    model
        The model, as `ingest.load_model` returns it.
    options
        How to attribute, and what to take from the files.
    genes_per_bucket
        The number of gene ids that share a file, for a new lake. The default is 256.

    Returns
    -------
    list of StudyReport
        One per study that was added.

    Raises
    ------
    AtlasError
        If the folder is not a lake, another process holds it, or its files have another `genes_per_bucket`. Also for
        `if_exists='replace'`: nothing can be removed from a lake.
    SparkError
        If Spark gives up. Chunks that were attributed are kept.
    CountsError, GeneSpaceError, MethodError, ObsError, StudyExistsError
        As for `ingest.ingest_files`.

    Examples
    --------
    >>> from ingest import Source, load_model
    >>> from ingest.spark.driver import ingest_into_lake, spark_session
    >>> model = load_model("mlp", "model")  # doctest: +SKIP
    >>> spark = spark_session("local[2,4]")  # doctest: +SKIP
    >>> ingest_into_lake(spark, "big.lake", [Source(Path("study1.h5ad"))], model)  # doctest: +SKIP
    """
    options = options or IngestOptions()
    if options.if_exists == "replace":
        raise AtlasError(
            "A study of a lake cannot be replaced. Leave it as it is with `if_exists='skip'`, or give the new study "
            "another name with `study`."
        )
    check_names(sources)
    reports: list[StudyReport] = []
    with growing_lake(lake, genes_per_bucket=genes_per_bucket) as grown, shared_spool(grown.root) as spool:
        engine = SparkEngine(spark, grown, spool)
        for source in sources:
            absolute = replace(source, path=source.path.absolute())
            reports += filter(None, [ingest_study(grown.atlas, absolute, model, options, engine)])
        remove_stored_notes(grown.root)
    return reports


def spark_session(master: str | None = None, settings: Mapping[str, str] | None = None) -> SparkSession:
    """Return the current session of Spark, or start one. master: `local[2,4]`, `spark://...` or `yarn`.

    The workers use the Python of this process, unless PYSPARK_PYTHON names another one. Raises SparkError if Spark
    does not start.
    """
    with needs_extra("spark"):
        from py4j.protocol import Py4JJavaError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # sigdb shows its own progress.
    builder = SparkSession.builder.appName("sigdb").config("spark.ui.showConsoleProgress", "false")
    if master:
        builder = builder.master(master)
    for name, value in (settings or {}).items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except (PySparkException, Py4JJavaError, OSError) as error:
        has_java = "JAVA_HOME" in os.environ or shutil.which("java")
        why = f"The master was {master or 'set by the configuration'}." if has_java else "It needs Java 17 or newer."
        raise SparkError(f"Spark does not start: {find_reason(error)}. {why}") from error


@contextmanager
def shared_spool(lake: Path) -> Iterator[Path]:
    """A temporary folder that all machines see, for matrices that are not stored by cells."""
    folder = stages_folder(lake) / "spool"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        remove_stage(folder)


class SparkEngine:
    """An engine (see `ingest.work.engine`) that runs on a cluster of Spark, and writes to a lake."""

    def __init__(self, spark: SparkSession, lake: GrowingLake, spool: Path) -> None:
        self.spark = spark.newSession()
        self.spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", BATCH_ROWS)
        self.lake = lake
        self.home = lake.root
        self.spool: Path | None = spool

    def attribute(self, job: Job, numbers: Sequence[int], compute: Compute, done: Callable[[int], None]) -> list[str]:
        """Attribute chunks in tasks of Spark, and report progress as they appear in the stage."""
        if not numbers:
            return []
        missing = set(numbers)

        def look() -> None:
            if found := missing & job.stage.numbers():
                missing.difference_update(found)
                done(sum(map(job.cells_of, found)))

        payload = self.spark.sparkContext.broadcast(pickle.dumps(job))
        chunks = ChunkTasks(uuid4().hex, payload, job.stage, list(numbers), compute)
        tasks = self.chunk_indices(len(numbers)).mapInArrow(partial(attribute_chunks, chunks=chunks), CELLS_DONE)
        with explain_errors():
            self.run_watched(tasks.collect, look)
        payload.destroy()
        if fault := job.stage.fault():
            raise fault
        return []

    def chunk_indices(self, n: int) -> DataFrame:
        """The numbers from 0 to before n, one task each, up to MOST_TASKS."""
        return self.spark.range(0, n, 1, min(n, MOST_TASKS))

    def run_watched(self, action: Callable[[], object], look: Callable[[], None]) -> None:
        """Run an action of Spark, and call `look` every LOOK_EVERY seconds. An exception cancels this action only."""
        context, group = self.spark.sparkContext, uuid4().hex

        def run() -> None:
            context.setJobGroup(group, "Attribute and store studies")  # a setting of this thread
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
        scores = self.chunk_indices(len(numbers)).mapInArrow(read, SCORES)
        with explain_errors():
            self.add_attributions(writer.run_id, scores)
            self.add_sums(writer, stage, scores)

    def add_attributions(self, run_id: int, scores: DataFrame) -> None:
        """Add the scores (gene_id, cell_id, score) of a run, sorted, one file per bucket of genes."""
        from pyspark.sql.functions import col, floor

        by_bucket: dict[int | None, list[File]] = defaultdict(list)
        for file in self.lake.files["attributions"]:
            if file.run_id == run_id:
                by_bucket[file.gene_bucket].append(file)
        old = [file for files in by_bucket.values() for file in files_to_merge(files)]
        size = self.lake.genes_per_bucket
        ((n_genes,),) = run_statement(self.lake.atlas.con, "ingest/study.n_gene_ids")
        rows = (
            self.union_files(scores, old)
            .select(floor(col("gene_id") / size).alias("gene_bucket"), "gene_id", "cell_id", "score")
            .repartition(-(-n_genes // size), "gene_bucket")
            .sortWithinPartitions("gene_bucket", "gene_id", "cell_id")
        )
        self.write_table("attributions", rows, old, run_id)

    def add_sums(self, writer: StudyWriter, stage: Stage, scores: DataFrame) -> None:
        """Add the sums of scores, with the statement that computes them in an atlas."""
        from pyspark.sql.functions import lit

        path = stage.folder / "groups.parquet"
        cells = writer.cell_groups()
        pq.write_table(cells.select(["cell_id", "sample_id", "cell_type"]), path)
        self.spark.read.parquet(file_url(path)).createOrReplaceTempView("new_cell_data")
        scores.withColumn("run_id", lit(writer.run_id)).createOrReplaceTempView("new_attributions")
        old = files_to_merge(self.lake.files["attribution_summary"])
        n_groups = len(cells["number"].unique())
        n_sums = min(stage.n_scores, n_groups * len(stage.gene_ids))
        n_files = 1 + (n_sums + sum(file.rows for file in old)) // FILE_ROWS
        parameters = {"run_id": writer.run_id, **writer.cell_range}
        sums = self.spark.sql(select_in_spark("atlas/derived.add_summary", parameters))
        rows = (
            self.union_files(sums, old)
            .repartitionByRange(n_files, "gene_id")
            .sortWithinPartitions("gene_id", "run_id", "sample_id", "cell_type")
        )
        self.add_importance(writer, stage, self.write_table("attribution_summary", rows, old))

    def add_importance(self, writer: StudyWriter, stage: Stage, sums: Sequence[File]) -> None:
        """Add up files of sums for gene_importance, with the statement that does so in an atlas."""
        for table in ("importance_groups", "group_sizes", "samples"):
            path = stage.folder / f"{table}.parquet"
            pq.write_table(self.lake.rows(table), path)
            self.spark.read.parquet(file_url(path)).createOrReplaceTempView(f"new_{table}")
        self.read_files(sums).createOrReplaceTempView("new_attribution_summary")
        old = files_to_merge(self.lake.files["importance_sums"])
        added = self.spark.sql(select_in_spark("atlas/derived.add_importance_sums", writer.run_and_study))
        rows = self.union_files(added, old)
        n_files = 1 + sum(file.rows for file in (*sums, *old)) // FILE_ROWS
        sorted_rows = rows.repartitionByRange(n_files, "group_id").sortWithinPartitions("group_id", "gene_id")
        self.write_table("importance_sums", sorted_rows, old)

    def union_files(self, rows: DataFrame, files: Sequence[File]) -> DataFrame:
        """Rows, together with the rows of files of the lake."""
        if not files:
            return rows
        return rows.unionByName(self.read_files(files).select(rows.columns))

    def read_files(self, files: Sequence[File]) -> DataFrame:
        """The rows of files of the lake."""
        return self.spark.read.parquet(*(file_url(self.lake.root / file.path) for file in files))

    def write_table(self, table: str, rows: DataFrame, old: Sequence[File], run_id: int | None = None) -> list[File]:
        """Write sorted rows as files of a table that replace old ones; return the new files.

        run_id: the run, if all rows are of one.
        """
        columns = self.lake.arrow_schema(table)
        if run_id is not None:  # the name of the folder holds the run
            columns = columns.remove(columns.get_field_index("run_id"))
        target = Target(self.lake.root, table, columns, run_id)
        files = rows.mapInArrow(partial(write_files, target=target), FILES_WRITTEN).collect()
        new = [File(**json.loads(text)) for (text,) in files]
        self.lake.change(table, new, old)
        return new

    def publish(self) -> None:
        """Let others see the study."""
        self.lake.publish()


def files_to_merge(files: Iterable[File]) -> list[File]:
    """The files of a bucket to merge with a new one: small files, if many have a similar size.

    Sizes are similar if they have the same number of digits in base 8. A merged file has more digits than any of
    its parts. So a row is rewritten at most once per digit, no matter how many files are added.
    """
    similar: dict[int, list[File]] = defaultdict(list)
    for file in files:
        if file.rows < FILE_ROWS:
            similar[len(f"{file.rows:o}")].append(file)
    return [file for group in similar.values() if len(group) >= MOST_SIMILAR_FILES for file in group]


def select_in_spark(name: str, parameters: Mapping[str, int]) -> str:
    """The SELECT of an INSERT statement in the SQL of Spark, with its macros written out.

    It reads views named `new_` and the name of the table.
    """
    insert = sqlglot.parse_one(statement(name), dialect="duckdb")
    query = insert.expression
    query.set("order", None)
    for parameter in list(query.find_all(exp.Placeholder)):
        parameter.replace(exp.convert(parameters[parameter.name]))
    columns = [column.name for column in insert.this.expressions]
    query.set("expressions", [exp.alias_(e, c) for e, c in zip(query.expressions, columns, strict=True)])
    return write_sql(expand(to_sql(query)), "spark", lambda table: exp.to_table(f"new_{table.name}"))


def file_url(path: Path) -> str:
    """The URL of a local file or folder, since Spark may have another default file system; patterns are escaped."""
    return "file://" + escape_path(str(path))


@contextmanager
def explain_errors() -> Iterator[None]:
    """Raise errors of Spark as SparkError."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        raise SparkError(
            f"Spark gave up: {find_reason(error)}. The lake is as it was, and attributed chunks are kept: "
            "the same command continues from there."
        ) from error


def find_reason(error: Exception) -> str:
    """The line of a Spark error that says what happened: the last error of Python, if any, or else the first line."""
    lines = [line.strip().removeprefix(": ") for line in str(error).splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Interrupt)\b: ", line)]
    return (raised or lines)[-1 if raised else 0].rstrip(".")
