"""An atlas on Apache Spark: its tables as Parquet become views, and a query with our macros a DataFrame.

Nothing is computed here: the macros of `sql/` are written out for Spark (see `sigdb.transpile`).
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
from sigdb.dialects.expand import SCHEMA, base_tables, expand
from sigdb.dialects.transpile import written_for
from sigdb.errors import QueryError, needs_extra
from sigdb.lake import manifest
from sigdb.statements import statement, to_sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import DataFrame, SparkSession

    from sigdb.lake.manifest import Manifest
    from sigdb.scores.options import ScoreOptions

__all__ = ["GENES_PER_BUCKET", "escaped", "register", "signature_score", "sql"]

# The setting of a session in which `register` notes how many gene ids share a file: gene_bucket is gene_id // that.
GENES_PER_BUCKET = "sigdb.genes_per_bucket"
# Steps whose few rows are asked for before the query, so that Spark plans with the genes themselves.
RESOLVED = (
    "run_of", "run_check", "resolve_genes", "signature_terms", "signature_check", "coverage_check", "null_check"
)  # fmt: skip
# Steps that read the attributions of the genes of signature_terms, and no others.
OF_TERMS = ("signature_branch", "gene_attributions")


def register(spark: SparkSession, lake: str) -> None:
    """Make temporary views of a lake, as `sigdb export` writes it, by its folder or an address that Spark can read.

    A base table `t` is called `sigdb_data_t`; the views of an atlas (`cells`, `samples`, `genes`, ...) have their own
    names. All have comments. They show the lake as it is now. Raises QueryError if files are missing, and as
    `sigdb.connect` does for what is no lake, or has another schema.
    """
    with needs_extra("spark"):
        from pyspark.errors import AnalysisException

    found = described(spark, lake)
    spark.conf.set(GENES_PER_BUCKET, found.genes_per_bucket)
    for table in base_tables():
        files = [escaped(found.location(file)) for file in found.files_of(table)]
        try:
            frame = spark.read.option("basePath", f"{lake}/{table}").parquet(*files)
        except AnalysisException as error:
            raise QueryError(f"{lake} lacks files of the table {table}: {raised(error)}") from error
        for column, text in comments().get(table, {}).items():
            frame = frame.withMetadata(column, {"comment": text})
        frame.createOrReplaceTempView(f"{SCHEMA}_{table}")
    for view in (each.name for each in objects() if each.kind == "VIEW"):
        sql(spark, to_sql(exp.select("*").from_(view))).createOrReplaceTempView(view)


def described(spark: SparkSession, lake: str) -> Manifest:
    """The manifest of a lake, read by Spark."""
    from pyspark.errors import AnalysisException

    try:
        ((text,),) = spark.read.text(escaped(f"{lake}/{manifest.NAME}"), wholetext=True).collect()
    except AnalysisException as error:
        raise QueryError(
            f"{lake} has no {manifest.NAME}: it is no lake, or one that is not finished. Make one: sigdb export"
        ) from error
    found = manifest.parse(lake, text)
    check_schema(found.schema_version, lake, found.way_to_upgrade)
    return found


def escaped(path: str) -> str:
    """What Spark finds a file by, and no other: it takes a path for a pattern."""
    return re.sub(r"([\\{}\[\]*?])", r"\\\1", path)


def sql(spark: SparkSession, query: str) -> DataFrame:
    """A query in DuckDB's SQL, with macros, as a DataFrame of the session that `register` was called for.

    What the genes mean is asked first, by small queries, so that Spark reads no file of other genes. Raises QueryError
    as `sigdb.transpile` does, and as the macros do for genes that the atlas does not have.
    """
    tree = expand(query)
    terms: dict[str, Rows] = {}
    for number, step in enumerate(tree.ctes):
        if step.meta.get("macro") in RESOLVED:
            terms[step.alias] = rows_of(spark, tree.ctes[: number + 1], terms)
            step.set("this", terms[step.alias].as_query())
    return spark.sql(written_for(tree, "spark", lambda table: place(spark, table, terms)))


def signature_score(spark: SparkSession, genes: str | Sequence[str], **options: Unpack[ScoreOptions]) -> DataFrame:
    """The score of every cell, as the table macro `signature_score` gives it: cell_id, score.

    genes: a list of genes, or the name of a signature of the library, which brings its weights.
    """
    named = isinstance(genes, str)
    arguments = {"genes": exp.func("signature_genes", exp.convert(genes)) if named else exp.convert(list(genes))}
    if named and options.get("weights") is None:
        arguments["weights"] = exp.func("signature_weights", exp.convert(genes))
    arguments |= {name: exp.convert(value) for name, value in options.items() if name not in arguments}
    words = [exp.PropertyEQ(this=exp.to_identifier(name), expression=value) for name, value in arguments.items()]
    macro = exp.Anonymous(this="signature_score", expressions=words)
    return sql(spark, to_sql(exp.select("*").from_(exp.Table(this=macro))))


def rows_of(spark: SparkSession, steps: Sequence[exp.CTE], known: Mapping[str, Rows]) -> Rows:
    """The rows of the last of some steps; QueryError where it raises one."""
    from pyspark.errors import PySparkException

    query = exp.select("*").from_(steps[-1].alias)
    query.set("with_", exp.With(expressions=[step.copy() for step in steps]))
    frame = spark.sql(written_for(query, "spark", lambda table: place(spark, table, known)))
    try:
        rows = frame.collect()
    except PySparkException as error:
        raise QueryError(raised(error)) from error
    types = {field.name: field.dataType.simpleString().replace("void", "string") for field in frame.schema}
    return Rows(types, [tuple(row) for row in rows])


def place(spark: SparkSession, table: exp.Table, terms: Mapping[str, Rows]) -> exp.Expr:
    """The view of a base table; of the attributions, in a step that reads those of known genes, only these."""
    view = exp.to_table(f"{SCHEMA}_{table.name}")
    step = table.find_ancestor(exp.CTE)
    if table.name != "attributions" or step is None or step.meta.get("macro") not in OF_TERMS:
        return view
    read = [terms[each.name] for each in step.find_all(exp.Table) if each.name in terms]
    wanted = [rows for rows in read if {"_run", "_gene"} <= rows.types.keys()]
    among = {
        "run_id": {run for each in wanted for run in each.column("_run")},
        "gene_id": {gene for each in wanted for gene in each.column("_gene")},
    }
    size = int(spark.conf.get(GENES_PER_BUCKET))
    among["gene_bucket"] = {gene // size for gene in among["gene_id"]}
    conditions = [exp.column(name).isin(*sorted(values)) if values else exp.false() for name, values in among.items()]
    return exp.select("*").from_(view).where(*conditions).subquery()


@dataclass(frozen=True)
class Rows:
    """The few rows of a step: its columns, with their types in Spark, and values."""

    types: dict[str, str]
    values: list[tuple[Any, ...]]

    def column(self, name: str) -> list[Any]:
        """The values of a column."""
        place = list(self.types).index(name)
        return [row[place] for row in self.values]

    def as_query(self) -> exp.Select:
        """The same rows, as a query."""
        rows = exp.values(self.values or [tuple(None for _ in self.types)], alias="_rows", columns=list(self.types))
        columns = [
            exp.alias_(exp.cast(exp.column(name, table="_rows"), kind, dialect="spark"), name)
            for name, kind in self.types.items()
        ]
        query = exp.select(*columns).from_(rows)
        return query if self.values else query.limit(0)


def raised(error: Exception) -> str:
    """What an error of Spark's says: the text of raise_error alone."""
    found = re.search(r"\[USER_RAISED_EXCEPTION\] (.*?)(?: SQLSTATE: \w+)?$", str(error), re.MULTILINE)
    return found[1] if found else str(error).strip().splitlines()[0]


@cache
def comments() -> dict[str, dict[str, str]]:
    """What `sql/comments.sql` says of the columns of each base table."""
    texts: dict[str, dict[str, str]] = {}
    for comment in sqlglot.parse(statement("comments"), dialect="duckdb"):
        if isinstance(comment, exp.Comment) and comment.args["kind"] == "COLUMN":
            texts.setdefault(comment.this.table, {})[comment.this.name] = comment.expression.name
    return texts
