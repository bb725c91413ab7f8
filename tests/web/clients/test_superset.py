"""What Apache Superset 6.1 sends to the Postgres door (SQLAlchemy 1.4, psycopg2). `make bi` runs Superset itself."""

from __future__ import annotations

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed; `make test-web` has it")

import psycopg

import sigdb
from tests.web.clients.test_postgres import address

OF_A_CONNECTION = {
    "SELECT t.oid, typarray FROM pg_type t JOIN pg_namespace ns ON typnamespace = ns.oid WHERE typname = 'hstore';": [],
    "select current_schema()": [("main",)],
    "SELECT 1": [(1,)],
}
NUMBER = """
    SELECT c.oid
    FROM pg_catalog.pg_class c
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE (n.nspname = 'main')
    AND c.relname = 'cells' AND c.relkind in
    ('r', 'v', 'm', 'f', 'p')
"""
COLUMNS = """
    SELECT a.attname,
      pg_catalog.format_type(a.atttypid, a.atttypmod),
      (
        SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid)
        FROM pg_catalog.pg_attrdef d
        WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum
        AND a.atthasdef
      ) AS DEFAULT,
      a.attnotnull,
      a.attrelid as table_oid,
      pgd.description as comment,
      a.attgenerated as generated,
      (SELECT json_build_object(
            'always', a.attidentity = 'a',
            'start', s.seqstart,
            'cycle', s.seqcycle)
        FROM pg_catalog.pg_sequence s
        JOIN pg_catalog.pg_class c on s.seqrelid = c."oid"
        WHERE c.relkind = 'S'
        AND a.attidentity != ''
        AND s.seqrelid = pg_catalog.pg_get_serial_sequence(
            a.attrelid::regclass::text, a.attname
        )::regclass::oid
        ) as identity_options
    FROM pg_catalog.pg_attribute a
    LEFT JOIN pg_catalog.pg_description pgd ON (
        pgd.objoid = a.attrelid AND pgd.objsubid = a.attnum)
    WHERE a.attrelid = {}
    AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""
# Of the table with this number. An atlas declares no keys to its clients.
KEYS = [
    """SELECT a.attname FROM pg_attribute a JOIN (
        SELECT unnest(ix.indkey) attnum, generate_subscripts(ix.indkey, 1) ord
        FROM pg_index ix WHERE ix.indrelid = {} AND ix.indisprimary
    ) k ON a.attnum=k.attnum WHERE a.attrelid = {} ORDER BY k.ord""",
    "SELECT conname FROM pg_catalog.pg_constraint r WHERE r.conrelid = {} AND r.contype = 'p' ORDER BY 1",
    """SELECT cons.conname as name, pg_get_constraintdef(cons.oid) as src
    FROM pg_catalog.pg_constraint cons WHERE cons.conrelid = {} AND cons.contype = 'c'""",
]
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_%' ORDER BY nspname"
TABLES = """
    SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'main' AND c.relkind in ('r', 'p')
"""
# SQL Lab writes a list as ARRAY, and names of functions in capitals.
CHART = """
    SELECT study AS study, SUM(score * n_cells) / SUM(n_cells) AS mean_score, SUM(n_cells) AS cells
    FROM (SELECT s.* FROM SIGNATURE_BY_SAMPLE(ARRAY['LYZ', 'CD14']) AS s) AS virtual_table
    WHERE cell_type IN ('NK', 'B') OR study IN ('baron2016_pancreas') GROUP BY study ORDER BY mean_score DESC LIMIT 10
"""


@pytest.fixture
def ask(server):
    """Runs a text without parameters, as psycopg2 does."""
    with psycopg.connect(address(server), cursor_factory=psycopg.ClientCursor) as con:
        yield lambda sql: con.execute(sql).fetchall()


def test_a_connection(ask):
    for sql, rows in OF_A_CONNECTION.items():
        assert ask(sql) == rows
    assert ask("select pg_catalog.version()")[0][0].startswith("PostgreSQL 16")


def test_schemas_tables_and_columns(ask, demo_path):
    assert ("main",) in ask(SCHEMAS)
    assert {("cells",), ("studies",), ("signature_library",)} <= set(ask(TABLES))
    ((number,),) = ask(NUMBER)
    with sigdb.connect(demo_path) as atlas:
        wanted = atlas.sql("FROM cells").columns
    columns = ask(COLUMNS.format(number))
    assert [each[0] for each in columns] == wanted
    assert columns[wanted.index("n_counts")][1] == "double precision"
    assert columns[wanted.index("cell_type")][5] == "Cell type, as named by the study."
    for sql in KEYS:
        assert ask(sql.format(*[number] * sql.count("{}"))) == []


def test_a_chart(ask, demo_path):
    rows = ask(CHART)
    with sigdb.connect(demo_path) as atlas:
        assert rows == [(study, pytest.approx(score), cells) for study, score, cells in atlas.sql(CHART).fetchall()]
    assert rows
