"""An atlas on Apache Spark: a lake's tables become views, and a query with macros becomes a DataFrame.

Spark does all the computing. The macros of `sql/` are written out for it (see `sigdb.transpile`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Unpack

import sqlglot
from sqlglot import exp

from sigdb.atlas.file import check_schema
from sigdb.atlas.schema import objects
from sigdb.dialects.expand import expand
from sigdb.dialects.macros import SCHEMA, base_tables
from sigdb.dialects.transpile import write_sql
from sigdb.errors import QueryError, needs_extra
from sigdb.lake import manifest
from sigdb.scores.members import check_weights, text_list
from sigdb.statements import statement, to_sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import DataFrame, SparkSession

    from sigdb.lake.manifest import Manifest
    from sigdb.scores.options import ScoreOptions

__all__ = ["escape_path", "register", "signature_score", "sql"]

# The setting of a session in which `register` keeps the lake's genes_per_bucket. gene_bucket is gene_id divided by it.
GENES_PER_BUCKET = "sigdb.genes_per_bucket"
# Small steps that run before the query. Their rows are written into the query, so that Spark plans with the gene ids.
RESOLVED = {
    "coverage_check",
    "null_check",
    "resolve_genes",
    "run_check",
    "run_of",
    "signature_check",
    "signature_terms",
}
# Steps that read the attributions of the genes in signature_terms, and of no others.
READS_TERMS = {"gene_attributions", "signature_branch"}


def register(spark: SparkSession, lake: str) -> None:
    """Make temporary views of the tables and views of a lake in a Spark session.

    A base table `t` becomes the view `sigdb_data_t`. The views of an atlas (`cells`, `samples`, ...) keep their names.
    All columns have comments. The views show the lake as it is now: after another export, register it again.

    Parameters
    ----------
    spark
        The session in which `sql` and `signature_score` will be called.
    lake
        A folder that `sigdb.export_lake` wrote, or its address for Spark (`s3a://...`).

    Raises
    ------
    QueryError
        The lake has no manifest, or lacks files of a table.
    AtlasError
        The manifest does not belong to a lake, or has another schema version.
    MissingDependencyError
        pyspark is not installed.

    Examples
    --------
    The examples of this module are not run with the others: they need Java and pyspark.

    >>> sigdb.spark.register(spark, "s3a://bucket/lake")  # doctest: +SKIP
    >>> spark.sql("SELECT count(*) FROM cells").show()  # doctest: +SKIP

    """
    with needs_extra("spark"):
        from pyspark.errors import AnalysisException

    found = read_manifest(spark, lake)
    spark.conf.set(GENES_PER_BUCKET, found.genes_per_bucket)
    for table in base_tables():
        files = [escape_path(found.location(file)) for file in found.files_of(table)]
        try:
            frame = spark.read.option("basePath", f"{lake}/{table}").parquet(*files)
        except AnalysisException as error:
            raise QueryError(f"{lake} lacks files of the table {table}: {error_text(error)}") from error
        for column, text in column_comments().get(table, {}).items():
            frame = frame.withMetadata(column, {"comment": text})
        frame.createOrReplaceTempView(f"{SCHEMA}_{table}")
    for view in (each.name for each in objects() if each.kind == "VIEW"):
        sql(spark, to_sql(exp.select("*").from_(view))).createOrReplaceTempView(view)


def read_manifest(spark: SparkSession, lake: str) -> Manifest:
    """Read the manifest of a lake through Spark, which may reach addresses that Python does not."""
    from pyspark.errors import AnalysisException

    try:
        ((text,),) = spark.read.text(escape_path(f"{lake}/{manifest.NAME}"), wholetext=True).collect()
    except AnalysisException as error:
        raise QueryError(
            f"{lake} has no {manifest.NAME}: it is not a lake, or its export did not finish. "
            "`sigdb.export_lake(atlas, lake)` makes one."
        ) from error
    found = manifest.parse(lake, text)
    check_schema(found.schema_version, lake, found.way_to_upgrade)
    return found


def escape_path(path: str) -> str:
    """A path for Spark's readers, which take it for a glob pattern unless its special characters are escaped."""
    return re.sub(r"([\\{}\[\]*?])", r"\\\1", path)


def sql(spark: SparkSession, query: str) -> DataFrame:
    """Run a query in DuckDB's SQL, with macros, on the lake that `register` was called for.

    Small queries first look up the genes and check them. The query itself then reads only the files of these genes.

    Parameters
    ----------
    spark
        A session in which `register` was called.
    query
        One query, in the SQL of the installed DuckDB.

    Returns
    -------
    A DataFrame. The small queries have run; Spark runs the query itself when the rows are asked for.

    Raises
    ------
    QueryError
        As for `sigdb.transpile`; or a check of a macro fails, such as an unknown gene.

    Examples
    --------
    >>> sigdb.spark.sql(spark, "SELECT avg(signature_score(cell_id, ['LYZ'])) FROM cells").show()  # doctest: +SKIP

    """
    tree = expand(query)
    known: dict[str, Rows] = {}
    for number, step in enumerate(tree.ctes):
        if step.meta_get("macro") in RESOLVED:
            known[step.alias] = run_step(spark, tree.ctes[: number + 1], known)
            step.set("this", known[step.alias].as_query())
    return spark.sql(write_sql(tree, "spark", lambda table: view_of(spark, table, known)))


def signature_score(spark: SparkSession, genes: str | Sequence[str], **options: Unpack[ScoreOptions]) -> DataFrame:
    """Score a signature in every cell, as the table macro `signature_score` does.

    Parameters
    ----------
    spark
        A session in which `register` was called.
    genes
        A list of genes, or the name of a signature of the library, which brings its weights.
    **options
        weights, agg, missing, run, signed, measured_only: see `sigdb.ScoreOptions`.

    Returns
    -------
    A DataFrame with the columns `cell_id` and `score`, one row per attributed cell. Scores are in units of attribution:
    1000 per cell in all.

    Raises
    ------
    QueryError
        As for `sql`; and if weights are given for a signature of the library.

    Examples
    --------
    >>> sigdb.spark.signature_score(spark, ["CD3D", "CD3E"], agg="sum").show()  # doctest: +SKIP

    """
    arguments: dict[str, exp.Expr]
    if isinstance(genes, str):
        check_weights(genes, options.get("weights"))
        arguments = {name: exp.func(f"signature_{name}", exp.convert(genes)) for name in ("genes", "weights")}
    else:
        arguments = {"genes": exp.convert(text_list("genes", genes))}
    arguments |= {name: exp.convert(value) for name, value in options.items() if name not in arguments}
    words = [exp.PropertyEQ(this=exp.to_identifier(name), expression=value) for name, value in arguments.items()]
    macro = exp.Anonymous(this="signature_score", expressions=words)
    return sql(spark, to_sql(exp.select("*").from_(exp.Table(this=macro))))


def run_step(spark: SparkSession, steps: Sequence[exp.CTE], known: Mapping[str, Rows]) -> Rows:
    """Run the last of some steps and return its rows. Raises QueryError if a check in it fails."""
    from pyspark.errors import PySparkException

    query = exp.select("*").from_(steps[-1].alias)
    query.set("with_", exp.With(expressions=[step.copy() for step in steps]))
    frame = spark.sql(write_sql(query, "spark", lambda table: view_of(spark, table, known)))
    try:
        rows = frame.collect()
    except PySparkException as error:
        raise QueryError(error_text(error)) from error
    types = {field.name: field.dataType.simpleString().replace("void", "string") for field in frame.schema}
    return Rows(types, [tuple(row) for row in rows])


def view_of(spark: SparkSession, table: exp.Table, known: Mapping[str, Rows]) -> exp.Expr:
    """The view of a base table. In a step that reads attributions of known genes, a sub-query with only these."""
    view = exp.to_table(f"{SCHEMA}_{table.name}")
    step = table.find_ancestor(exp.CTE)
    if table.name != "attributions" or step is None or step.meta_get("macro") not in READS_TERMS:
        return view
    read = [known[each.name] for each in step.find_all(exp.Table) if each.name in known]
    terms = [rows for rows in read if {"_run", "_gene"} <= rows.types.keys()]
    wanted = {
        "run_id": {run for each in terms for run in each.column("_run")},
        "gene_id": {gene for each in terms for gene in each.column("_gene")},
    }
    size = int(spark.conf.get(GENES_PER_BUCKET))
    wanted["gene_bucket"] = {gene // size for gene in wanted["gene_id"]}
    conditions = [exp.column(name).isin(*sorted(values)) if values else exp.false() for name, values in wanted.items()]
    return exp.select("*").from_(view).where(*conditions).subquery()


@dataclass(frozen=True)
class Rows:
    """The rows of a small step. types: the types of its columns, by name, as Spark writes them."""

    types: dict[str, str]
    values: list[tuple[Any, ...]]

    def column(self, name: str) -> list[Any]:
        """The values of a column."""
        index = list(self.types).index(name)
        return [row[index] for row in self.values]

    def as_query(self) -> exp.Select:
        """A query that gives these rows."""
        rows = exp.values(self.values or [tuple(None for _ in self.types)], alias="_rows", columns=list(self.types))
        columns = [
            exp.alias_(exp.cast(exp.column(name, table="_rows"), kind, dialect="spark"), name)
            for name, kind in self.types.items()
        ]
        query = exp.select(*columns).from_(rows)
        return query if self.values else query.limit(0)


def error_text(error: Exception) -> str:
    """The text that a check passed to raise_error, or the first line of another error of Spark."""
    found = re.search(r"\[USER_RAISED_EXCEPTION\] (.*?)(?: SQLSTATE: \w+)?$", str(error), re.MULTILINE)
    return found[1] if found else str(error).strip().splitlines()[0]


@cache
def column_comments() -> dict[str, dict[str, str]]:
    """The comments on the columns of each base table, from `sql/comments.sql`."""
    texts: dict[str, dict[str, str]] = {}
    for comment in sqlglot.parse(statement("comments"), dialect="duckdb"):
        if isinstance(comment, exp.Comment) and comment.args["kind"] == "COLUMN":
            texts.setdefault(comment.this.table, {})[comment.this.name] = comment.expression.name
    return texts
