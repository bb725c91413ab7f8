"""Queries on Apache Spark, over Parquet: their results equal DuckDB's, and their plans read few files."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import numpy as np
import pytest

import sigdb
from sigdb.errors import QueryError
from tests.sigdb.dialects.test_transpile import OBJECTS, multiset
from tests.support.queries import MEANINGS, QUERIES

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-dialects")
pytestmark = [
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java 17 or newer, and there is none"),
    pytest.mark.filterwarnings("default"),
]
# For small tables, Spark is fastest with one task per query, without code generation and without a history of queries.
SETTINGS = {
    "spark.buffer.pageSize": "1m",
    "spark.driver.memory": "2g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    "spark.ui.enabled": "false",
    "spark.ui.retainedJobs": "1",
    "spark.ui.retainedStages": "1",
    "spark.ui.retainedTasks": "1",
    "spark.sql.ui.retainedExecutions": "1",
    "spark.sql.ui.explainMode": "simple",
    "spark.sql.maxPlanStringLength": "100000",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "1",
}


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").appName("sigdb")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    session = builder.config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse"))).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def lakes(toy_path, two_runs_path, tmp_path_factory):
    """Lakes of the toy atlas and of the atlas of two runs: `toy` and `two`."""
    folders = {}
    for name, path in (("toy", toy_path), ("two", two_runs_path)):
        folders[name] = tmp_path_factory.mktemp(name) / "lake"
        sigdb.export_lake(path, folders[name], genes_per_bucket=256)
    return folders


@pytest.fixture(scope="module")
def databases(spark, lakes):
    """The tables of the lakes in databases of Spark's catalog, as in a warehouse."""
    for name, folder in lakes.items():
        spark.sql(f"CREATE DATABASE {name}")
        for table in filter(Path.is_dir, folder.iterdir()):
            spark.sql(f"CREATE VIEW {name}.{table.name} AS SELECT /*+ COALESCE(1) */ * FROM parquet.`file://{table}`")
    return lakes


@pytest.fixture(scope="module")
def answers(spark, databases):
    """Spark's rows, or its exception, for each example of a header and each query. Two queries run at a time."""
    queries = {("toy", each.name, each.kind): each.example for each in OBJECTS}
    queries |= {("two", name, ""): query for name, query in QUERIES.items()}

    def answer(item):
        (database, *_), query = item
        try:
            return [tuple(row) for row in spark.sql(sigdb.transpile(query, "spark", schema=database)).collect()]
        except Exception as error:  # noqa: BLE001 - raised in the test of this query
            return error

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(queries, pool.map(answer, queries.items()), strict=True))


def rows_of(answers, *key):
    if isinstance(answers[key], Exception):
        raise answers[key]
    return answers[key]


@pytest.mark.parametrize("each", OBJECTS, ids=lambda each: f"{each.kind}-{each.name}")
def test_example_on_spark_gives_what_the_header_says(answers, each):
    ((value,),) = rows_of(answers, "toy", each.name, each.kind)
    assert str(value).lower() == each.expected.lower()


@pytest.mark.parametrize("name", QUERIES)
def test_query_on_spark_gives_what_duckdb_gives(answers, two_runs_path, name):
    with sigdb.connect(two_runs_path) as con:
        expected = con.execute(QUERIES[name]).fetchall()
    assert multiset(rows_of(answers, "two", name, "")) == multiset(expected)


@pytest.mark.parametrize("dialect", ["spark", "databricks"])
@pytest.mark.parametrize("name", MEANINGS)
def test_query_has_the_same_meaning_on_spark(spark, name, dialect):
    expected = duckdb.sql(MEANINGS[name]).fetchall()
    rows = spark.sql(sigdb.transpile(MEANINGS[name], dialect)).collect()
    assert multiset(tuple(row) for row in rows) == multiset(expected)


@pytest.fixture(scope="module")
def registered(spark, lakes):
    """A session with the demo atlas of two runs registered, and `sigdb.spark`."""
    session = spark.newSession()
    session.conf.set("spark.sql.autoBroadcastJoinThreshold", "10MB")
    sigdb.spark.register(session, str(lakes["two"]))
    return session, sigdb.spark


@pytest.mark.parametrize(
    ("genes", "options"),
    [
        (["CD3D", "CD3E"], {}),
        (["CD3D", "MS4A1"], {"weights": [2.0, -0.5], "signed": True, "agg": "sum"}),
        (["LYZ"], {"run": "half"}),
        ("MS1", {"missing": "ignore"}),
    ],
)
def test_signature_score_equals_that_of_duckdb(registered, two_runs_path, genes, options):
    session, spark = registered
    with sigdb.connect(two_runs_path) as con:
        if isinstance(genes, str):
            query = "SELECT signature_genes($name), signature_weights($name)"
            ((members, weights),) = con.execute(query, {"name": genes}).fetchall()
            expected = sigdb.score(con, members, weights=weights, **options)
        else:
            expected = sigdb.score(con, genes, **options)
    rows = dict(spark.signature_score(session, genes, **options).collect())
    scores = [rows[cell] for cell in expected["cell_id"].to_pylist()]
    assert len(rows) == len(scores)
    np.testing.assert_allclose(scores, expected["score"].to_numpy(), rtol=1e-9)


def test_a_library_signature_has_its_own_weights(registered):
    session, spark = registered
    with pytest.raises(QueryError, match="The signature MS1 has weights of its own"):
        spark.signature_score(session, "MS1", weights=[1.0])


@pytest.mark.parametrize(
    "name", ["scalar by group", "hits of a CTE", "genes of a CTE", "several signatures", "two runs"]
)
def test_sql_gives_what_duckdb_gives(registered, two_runs_path, name):
    session, spark = registered
    with sigdb.connect(two_runs_path) as con:
        expected = con.execute(QUERIES[name]).fetchall()
    assert multiset(tuple(row) for row in spark.sql(session, QUERIES[name]).collect()) == multiset(expected)


def test_only_the_buckets_of_the_genes_are_read(registered, two_runs_path):
    session, spark = registered
    with sigdb.connect(two_runs_path) as con:
        ids = [i for (i,) in con.execute("SELECT gene_id FROM check_genes(['CD3D', 'LYZ']) ORDER BY 1").fetchall()]
    plan = spark.signature_score(session, ["CD3D", "LYZ"])._jdf.queryExecution().toString()
    physical = plan.partition("== Physical Plan ==")[2]
    (scan,) = [line for line in physical.splitlines() if "FileScan parquet" in line and "score#" in line]
    buckets = ",".join(str(i // 256) for i in ids)
    partitions = re.search(r"PartitionFilters: \[(.*?), PushedFilters", scan)[1]  # Spark shortens the list at its end
    assert re.search(r"run_id#\d+ = 0|run_id#\d+ IN \(0\)", partitions)
    assert re.search(rf"gene_bucket#\d+ IN \({buckets}\)", partitions)
    pushed = re.search(r"In\(gene_id, \[([\d,]+)\]\)", scan.partition("PushedFilters")[2])[1]
    assert sorted(map(int, pushed.split(","))) == ids
    assert "CartesianProduct" not in physical
    assert "BroadcastNestedLoopJoin" not in physical


def test_views_have_their_names_and_comments(registered):
    session, _ = registered
    comments = {row["col_name"]: row["comment"] for row in session.sql("DESCRIBE cells").collect()}
    assert comments["cell_type"]
    assert session.sql("SELECT count(*) FROM cells").collect() == [(1757,)]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("FROM signature_score(['CD3D', 'XYZ'])", "1 of 2 genes is not in this atlas: XYZ. Use missing := 'ignore'"),
        ("SELECT signature_score(cell_id, ['CD3D'], run := 'other') FROM cells", "There is no run 'other'"),
        ("FROM signature_by_sample(['CD3D'], min_coverage := 2)", "min_coverage must be from 0 to 1, not 2"),
    ],
)
def test_what_duckdb_refuses_is_refused_at_once(registered, two_runs_path, query, text):
    session, spark = registered
    with sigdb.connect(two_runs_path) as con, pytest.raises(duckdb.Error) as error:
        con.execute(query).fetchall()
    assert text in str(error.value)
    with pytest.raises(QueryError) as error:
        spark.sql(session, query)
    assert str(error.value).startswith(text)


def test_a_check_raises_in_plain_spark_too(spark, databases):
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    with pytest.raises((PySparkException, Py4JJavaError), match="1 of 1 gene is not in this atlas: XYZ"):
        spark.sql(sigdb.transpile("SELECT count(*) FROM signature_score(['XYZ'])", "spark", schema="toy")).collect()


def test_a_lake_without_a_table_is_refused(spark, lakes, tmp_path):
    with pytest.raises(QueryError, match=r"has no manifest\.json: it is not a lake"):
        sigdb.spark.register(spark.newSession(), str(tmp_path))
    shutil.copytree(lakes["toy"], tmp_path / "lake")
    shutil.rmtree(tmp_path / "lake" / "models")
    with pytest.raises(QueryError, match="lacks files of the table models"):
        sigdb.spark.register(spark.newSession(), str(tmp_path / "lake"))


def test_a_lake_whose_path_is_a_glob_pattern(spark, lakes, tmp_path):
    """Other folders match the pattern. Their rows must not be read."""
    for name in ("any*", "anything", "{a,b}[c]?"):
        shutil.copytree(lakes["toy"], tmp_path / name / "lake")
    for name in ("any*", "{a,b}[c]?"):
        session = spark.newSession()
        sigdb.spark.register(session, str(tmp_path / name / "lake"))
        query = "SELECT run_id, count(*) FROM attributions GROUP BY run_id"
        assert [tuple(row) for row in sigdb.spark.sql(session, query).collect()] == [(0, 3)]
