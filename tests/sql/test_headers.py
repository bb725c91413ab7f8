"""Every .sql file of a view or macro: the example in its header gives the stated result, and its signature is right."""

from __future__ import annotations

import re

import pytest
import sqlglot
from sqlglot import exp

from sigdb import statements
from sigdb.atlas import schema

OBJECTS = {each.sql: each for each in schema.objects()}.values()
MACROS = [each for each in OBJECTS if each.kind != "VIEW"]


def as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("each", OBJECTS, ids=lambda each: f"{each.kind}-{each.name}")
def test_example_gives_what_the_header_says(toy, each):
    ((value,), *rest) = toy.execute(each.example).fetchall()
    assert rest == []
    assert as_text(value) == each.expected


def relation(each):
    """A view, the call of a table macro in its example, or the example of another macro, for DESCRIBE."""
    if each.kind == "MACRO":
        return each.example
    calls = sqlglot.parse_one(each.example, dialect="duckdb").find_all(exp.Anonymous)
    return f"FROM {each.name if each.kind == 'VIEW' else next(c for c in calls if c.name == each.name).sql('duckdb')}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "each", [each for each in OBJECTS if each.schema == "main"], ids=lambda e: f"{e.kind}-{e.name}"
)
def test_numbers_fit_into_64_bits(toy, each):
    """A HUGEINT is an object in JavaScript, and a decimal in Arrow."""
    kinds = {name: kind for name, kind, *_ in toy.execute(f"DESCRIBE {relation(each)}").fetchall()}
    assert kinds
    assert {name: kind for name, kind in kinds.items() if re.search("HUGEINT|DECIMAL", kind)} == {}


@pytest.mark.parametrize("each", MACROS, ids=lambda each: f"{each.kind}-{each.name}")
def test_signature_equals_the_signature_of_the_macro(toy, each):
    kind = "table_macro" if each.kind == "MACRO TABLE" else "macro"
    ((parameters,),) = toy.execute(
        "SELECT parameters FROM duckdb_functions() WHERE function_name = ? AND function_type = ? AND NOT internal",
        [each.name, kind],
    ).fetchall()
    written = re.search(r"\((.*?)\) ->", each.signature)[1]
    assert [part.split(":=")[0].strip() for part in written.split(",") if part] == parameters


def test_macros_come_after_those_they_call():
    """DuckDB looks up what a macro calls when the macro is created."""
    made = set()
    for each in schema.objects():
        body = re.sub(r"^--.*$", "", each.sql, flags=re.MULTILINE)
        assert set(re.findall(r"sigdb_data\.(\w+)\(", body)) - {each.name} <= made, each.name
        made.add(each.name)
    files = [path for folder in ("views", "macros") for path in (statements.sql_root() / folder).rglob("*.sql")]
    assert len(schema.objects()) == len(files)


def test_comments_are_in_the_file(toy):
    views = "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal AND schema_name <> 'sigdb_data'"
    comments = dict(toy.execute(views).fetchall())
    comments |= dict(
        toy.execute(
            "SELECT function_name || ' ' || function_type, comment FROM duckdb_functions() WHERE NOT internal"
        ).fetchall()
    )
    assert len(comments) == len(OBJECTS) + 2, "and two macros with the id of the atlas"
    assert comments["signature_score macro"].startswith("signature_score(cell_id, genes, weights := NULL")
    assert all(comments.values())


def test_every_table_and_column_has_a_comment(toy):
    tables = """
        SELECT table_name FROM duckdb_tables() WHERE comment IS NULL
        UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL
    """
    columns = "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL"
    assert toy.execute(tables).fetchall() == []
    assert toy.execute(columns).fetchall() == []
    obs = "SELECT comment FROM duckdb_columns() WHERE column_name = 'age' AND table_name = 'cells'"
    assert toy.execute(obs).fetchall() == [("Column of the studies' obs, unchanged.",)]


@pytest.mark.parametrize("each", [each for each in OBJECTS if each.columns], ids=lambda each: each.name)
def test_columns_that_a_header_describes_are_there(toy, each):
    columns = {name for name, *_ in toy.execute(f"DESCRIBE {each.name}").fetchall()}
    assert set(each.columns) <= columns


@pytest.mark.parametrize("each", MACROS, ids=lambda each: f"{each.kind}-{each.name}")
def test_macro_bodies_keep_the_rules_that_make_them_portable(each):
    body = "\n".join(line for line in each.sql.splitlines() if not line.startswith("--"))
    body = re.sub(r"'(?:[^']|'')*'", "''", body)
    assert not re.search(r"\bWITH\b", body), "DuckDB 1.4.2 scores wrongly with a WITH in a macro"
    sources = re.findall(r"(?<!DISTINCT )\b(?:FROM|JOIN)\s+([\w.]+)", body)
    unqualified = [name for name in sources if not name.startswith("sigdb_data.") and name != "query_table"]
    assert unqualified == [], "an unqualified relation can be captured by the caller's"
