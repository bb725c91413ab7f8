"""Which statements the check itself refuses, whatever DuckDB would do with them."""

from __future__ import annotations

import duckdb
import pytest

from sigdb.serve.limits import Refused
from sigdb.serve.reading import check_reads

PIVOT = "PIVOT cells ON study USING count(*)"


@pytest.mark.parametrize(
    "sql",
    [
        f"{PIVOT}; CREATE TEMP VIEW cells AS SELECT 1",
        f"{PIVOT}; CREATE TEMP TABLE t AS SELECT 1",
        f"{PIVOT}; CREATE TEMP MACRO one() AS 1",
        f"{PIVOT}; SET VARIABLE v = 1",
        f"{PIVOT}; PRAGMA version",
        f"{PIVOT}; SELECT 1",
        f"{PIVOT}; {PIVOT}",
        f"SELECT 1; {PIVOT}",
        "CREATE TEMP TABLE t AS PIVOT cells ON study",
        "INSERT INTO sigdb_data.studies PIVOT cells ON study",
        "COPY (PIVOT cells ON study) TO '/tmp/x'",
    ],
)
def test_a_pivot_hides_no_other_statement(toy, sql):
    """The check refuses it, and not only DuckDB."""
    with pytest.raises(Refused) as caught:
        check_reads(toy, sql)
    assert caught.value.kind in ("forbidden", "bad_query")


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (INSERT INTO sigdb_data.genes FROM sigdb_data.genes RETURNING 1) FROM a",
        "WITH a AS MATERIALIZED (/* é */ Delete FROM sigdb_data.genes RETURNING 1) FROM a",
        "WITH a AS (UPDATE sigdb_data.genes SET gene_id = 1 RETURNING 1) FROM a",
        "WITH a AS (TRUNCATE sigdb_data.genes) FROM a",
        "WITH a AS (WITH b AS (SELECT 1) INSERT INTO sigdb_data.genes FROM b RETURNING 1) FROM a",
        "WITH a AS (COPY cells TO '/tmp/x') SELECT 1",
        "WITH a AS (PIVOT cells ON study) INSERT INTO sigdb_data.genes FROM a",
        "EXPLAIN ANALYZE WITH a AS (COPY cells TO '/tmp/x') SELECT 1",
    ],
)
def test_a_cte_that_writes_is_refused_by_the_check(toy, sql):
    """DuckDB 1.4 knows no such CTE."""
    with pytest.raises((Refused, duckdb.NotImplementedException, duckdb.ParserException)) as caught:
        check_reads(toy, sql)
    if int(duckdb.__version__[0]) >= 2:
        assert (caught.value.kind, "in a CTE" in str(caught.value)) == ("forbidden", True)


def test_words_about_writing_are_no_statements(toy):
    check_reads(toy, """SELECT '(INSERT' AS "update", ("delete") -- (COPY\n FROM (SELECT 'é' AS "delete")""")
