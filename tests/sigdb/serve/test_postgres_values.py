"""Types and values between Arrow and the Postgres protocol."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pg_mimic", reason="the extra serve is not installed")

import pg_mimic as pg
from pg_mimic.results import encode_row

from sigdb.serve.postgres.values import chunks_of, columns_of, declared_types, value_of

# What stands for a quotation mark and a backslash within quotation marks.
ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\"})


@pytest.mark.parametrize(
    ("text", "oid", "value"),
    [
        ("7", pg.INT4, 7),
        ("0.5", pg.FLOAT8, 0.5),
        ("1.10", pg.NUMERIC, Decimal("1.10")),
        ("t", pg.BOOL, True),
        ("f", pg.BOOL, False),
        ("\\x00ff", pg.BYTEA, b"\x00\xff"),
        ("2026-01-02", pg.DATE, date(2026, 1, 2)),
        ("10:00:01", pg.TIME, time(10, 0, 1)),
        ("2026-01-02 10:00:00+00:00", pg.TIMESTAMPTZ, datetime(2026, 1, 2, 10, tzinfo=UTC)),
        ("{1,NULL}", pg.ARRAY_OID[pg.INT8], [1, None]),
        (["1", "2"], pg.ARRAY_OID[pg.INT8], [1, 2]),
        ("7", None, "7"),
        ("{LYZ,CD14}", None, ["LYZ", "CD14"]),
        ("{LYZ,CD14}", pg.TEXT, "{LYZ,CD14}"),
        (None, pg.INT4, None),
    ],
)
def test_parameters(text, oid, value):
    assert value_of(text, oid) == value


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.none()))
def test_a_list_of_any_texts_arrives_as_it_was_sent(texts):
    quoted = ["NULL" if each is None else f'"{each.translate(ESCAPES)}"' for each in texts]
    sent = f"{{{','.join(quoted)}}}"
    assert value_of(sent, None) == texts
    assert value_of(sent, pg.ARRAY_OID[pg.TEXT]) == texts


@pytest.mark.parametrize(
    ("sql", "given", "types"),
    [
        ("SELECT * FROM f($1, $2)", [], [None, None]),
        ("SELECT * FROM f($1::VARCHAR[])", [], [pg.ARRAY_OID[pg.TEXT]]),
        ("SELECT $1, CAST($1 AS INT), $2::DECIMAL(5, 2)", [], [pg.INT4, pg.NUMERIC]),
        ("SELECT $1::INT", [pg.TEXT], [pg.TEXT]),
        ("SELECT $2::INT", [None], [None, pg.INT4]),
        ("SELECT 1", [], []),
        ("not SQL $1", [pg.INT4], [pg.INT4]),
    ],
)
def test_types_of_parameters_are_what_the_client_says_or_the_statement(sql, given, types):
    assert declared_types(sql, given) == types


def test_values_of_every_type(toy):
    """As text, which every client reads the same way."""
    found = toy.sql("""
        SELECT 1::UTINYINT AS a, 2::UBIGINT AS b, 3::HUGEINT AS c, 0.5::FLOAT AS d, true AS e, 'x' AS f, 'y'::BLOB AS g,
            DATE '2026-01-02' AS h, TIMESTAMP_NS '2026-01-02 03:04:05.123456789' AS i, [1, NULL] AS j, [[1], []] AS k,
            {'a': 'nan'::DOUBLE} AS l, map(['m'], [1]) AS m, INTERVAL '1 month 2 days' AS n, 'o'::ENUM ('o') AS o,
            NULL AS p, 1.50::DECIMAL(5, 2) AS q
    """).to_arrow_table()
    columns = columns_of(found.schema)
    (rows,) = chunks_of(found.to_batches()[0])
    assert dict(zip([each.name for each in columns], encode_row(rows[0], columns), strict=True)) == {
        "a": b"1",
        "b": b"2",
        "c": b"3",
        "d": b"0.5",
        "e": b"t",
        "f": b"x",
        "g": b"\\x79",
        "h": b"2026-01-02",
        "i": b"2026-01-02 03:04:05.123456",
        "j": b"{1,NULL}",
        "k": b"[[1], []]",
        "l": b'{"a": null}',
        "m": b'[["m", 1]]',
        "n": b"1 mons 2 days 0.000000 secs",
        "o": b"o",
        "p": None,
        "q": b"1.50",
    }
