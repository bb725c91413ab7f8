"""Queries of Postgres clients about the catalogue, as DuckDB runs them. `tests/web` asks them by the clients."""

from __future__ import annotations

import pytest

pytest.importorskip("pg_mimic", reason="the extra serve is not installed")

from sigdb.serve.postgres.catalogue import as_duckdb, catalogue_columns
from sigdb.serve.postgres.values import oid_of

FACTS = {"version": "PostgreSQL 16.0", "current_user": "ada", "pg_backend_pid": "7", "timezone": "UTC"}


def ask(con, sql):
    found = con.sql(as_duckdb(sql, FACTS))
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM signature_score(['S100A8'])",
        "FROM cells",
        "SELECT cell_type AS pg_type FROM cells",
        "SELECT 'pg_class'",
        "SELECT list_filter([1, 2], lambda pg_x : pg_x > 1)",
        "DROP TABLE pg_class",
        "SELECT version FROM cells WHERE version (",
    ],
)
def test_other_queries_stay_as_they_are(sql):
    assert as_duckdb(sql, FACTS) == sql


def test_functions_about_the_connection(toy):
    (row,) = ask(
        toy,
        "SELECT version(), pg_catalog.version() AS v, current_user, session_user AS s, pg_backend_pid(), "
        "current_setting('TimeZone') AS zone, set_config('x', 'y', false) AS set",
    )
    assert row == {
        "version": "PostgreSQL 16.0",
        "v": "PostgreSQL 16.0",
        "current_user": "ada",
        "s": "ada",
        "pg_backend_pid": "7",
        "zone": "UTC",
        "set": "y",
    }


def test_tables_are_the_views_of_the_atlas(toy):
    """As psql's \\dt asks."""
    found = ask(
        toy,
        """
        SELECT n.nspname AS schema, c.relname AS name, pg_catalog.pg_get_userbyid(c.relowner) AS owner
        FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
        WHERE c.relkind IN ('r', 'p', '') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast'
        AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1, 2
        """,
    )
    views = "SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' ORDER BY ALL"
    assert [row["name"] for row in found] == [name for (name,) in toy.sql(views).fetchall()]
    assert {(row["schema"], row["owner"]) for row in found} == {("main", "sigdb")}


def test_types_of_columns_are_those_of_their_values(toy):
    """The oracle is what Arrow says about each view, which is what the door sends."""
    asked = """
        SELECT c.relname, a.attname, a.atttypid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        ORDER BY a.attnum
    """
    found = [tuple(row.values()) for row in ask(toy, asked)]
    expected = [
        (view, field.name, oid_of(field.type))
        for view in sorted({view for view, _, _ in found})
        for field in toy.sql(f"SELECT * FROM {view} LIMIT 0").to_arrow_table().schema
    ]
    assert sorted(found, key=lambda row: row[0]) == expected


def test_a_table_is_found_by_its_name_and_number(toy):
    """As SQLAlchemy and psql do: a literal and a parameter cast to regclass, a comment, the name of a type."""
    ((description, kind),) = [
        tuple(row.values())
        for row in ask(
            toy,
            """
            SELECT col_description(a.attrelid, a.attnum), pg_catalog.format_type(a.atttypid, a.atttypmod)
            FROM pg_attribute a WHERE a.attrelid = '"cells"'::regclass AND a.attname = 'cell_type'
            """,
        )
    ]
    assert (description, kind) == ("Cell type, as named by the study.", "text")
    (row,) = ask(
        toy,
        """
        SELECT d.description FROM pg_class c JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0
        AND d.classoid = 'pg_catalog.pg_class'::regclass WHERE c.oid = 'main.cells'::regclass::oid
        """,
    )
    assert row["description"].startswith("cells -> VIEW")


def test_what_no_atlas_has_is_empty_and_null(toy):
    joined = """
        SELECT c.relname, c.relhasoids, i.indexrelid, conname
        FROM (pg_class c LEFT JOIN pg_index i ON i.indrelid = c.oid) LEFT JOIN pg_constraint x ON x.conrelid = c.oid
        WHERE c.relname = 'cells' AND pg_get_expr(x.conbin, c.oid) IS NULL
    """
    (row,) = ask(toy, joined)
    assert row == {"relname": "cells", "relhasoids": None, "indexrelid": None, "conname": None}
    assert ask(toy, "SELECT extname FROM pg_extension WHERE extname = 'hstore'") == []


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT relname, oid AS number FROM pg_class", ["relname", "number"]),
        ("SELECT pubname, NULL FROM pg_publication UNION SELECT 'a', 'b' FROM pg_class", ["pubname", ""]),
        ("SELECT relname FROM pg_class, cells", None),
        ("SELECT version()", None),
        ("SELECT * FROM cells", None),
    ],
)
def test_only_queries_about_nothing_but_the_catalogue_may_be_answered_with_no_rows(sql, columns):
    assert catalogue_columns(sql) == columns
