"""Types and values between DuckDB's Arrow and the Postgres protocol."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pg_mimic as pg
import pyarrow as pa
import sqlglot
from pg_mimic.arrays import element_oid_of, is_array_oid, parse_array_literal
from pg_mimic.catalog_data import DECLARED_TYPE_OIDS
from sqlglot import exp

from sigdb.values import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["chunks_of", "columns_of", "declared_types", "oid_of", "value_of"]

# Rows that become Python values at a time.
CHUNK = 1000

# Arrow names of types, and the Postgres type that holds all their values.
OIDS = {
    **dict.fromkeys(("int8", "uint8", "int16"), pg.INT2),
    **dict.fromkeys(("uint16", "int32"), pg.INT4),
    **dict.fromkeys(("uint32", "int64"), pg.INT8),
    "uint64": pg.NUMERIC,
    "bool": pg.BOOL,
    "float": pg.FLOAT4,
    "double": pg.FLOAT8,
    **dict.fromkeys(("string", "large_string", "string_view", "null"), pg.TEXT),
    **dict.fromkeys(("binary", "large_binary", "binary_view"), pg.BYTEA),
    "date32[day]": pg.DATE,
    "month_day_nano_interval": pg.TEXT,
}


def oid_of(kind: pa.DataType) -> Any:
    """The Postgres type of an Arrow type: JSON for structs, maps and lists of lists."""
    if pa.types.is_dictionary(kind):
        return oid_of(kind.value_type)
    if pa.types.is_decimal(kind):
        return pg.NUMERIC
    if pa.types.is_time(kind):
        return pg.TIME
    if pa.types.is_timestamp(kind):
        return pg.TIMESTAMPTZ if kind.tz else pg.TIMESTAMP
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pg.ARRAY_OID.get(oid_of(kind.value_type), pg.JSON)
    return OIDS.get(str(kind), pg.JSON)


def columns_of(schema: pa.Schema) -> list[pg.ResultColumn]:
    """The columns of a result as Postgres declares them."""
    return [pg.ResultColumn(field.name, oid_of(field.type)) for field in schema]


def chunks_of(batch: pa.RecordBatch) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a batch as Python values that pg-mimic can send, some at a time."""
    for start in range(0, batch.num_rows, CHUNK):
        columns = [values_of(column) for column in batch.slice(start, CHUNK).columns]
        yield list(zip(*columns, strict=True))


def values_of(column: pa.Array) -> list[Any]:
    """The values of a column. A timestamp has microseconds, as in Postgres."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    if pa.types.is_interval(column.type):
        return [None if each is None else interval(*each) for each in values]
    return [to_json(each) for each in values] if oid_of(column.type) == pg.JSON else values


def interval(months: int, days: int, nanoseconds: int) -> str:
    """An interval as Postgres reads it."""
    return f"{months} mons {days} days {nanoseconds / 1e9:f} secs"


# How the text of a parameter becomes a value, by its Postgres type. All others stay texts.
READERS: dict[int, Callable[[str], Any]] = {
    **dict.fromkeys((pg.INT2, pg.INT4, pg.INT8), int),
    **dict.fromkeys((pg.FLOAT4, pg.FLOAT8), float),
    pg.NUMERIC: Decimal,
    pg.BOOL: lambda text: text.lower() in {"t", "true", "on", "yes", "y", "1"},
    pg.BYTEA: lambda text: bytes.fromhex(text.removeprefix("\\x")),
    pg.DATE: date.fromisoformat,
    pg.TIME: time.fromisoformat,
    pg.TIMESTAMP: datetime.fromisoformat,
    pg.TIMESTAMPTZ: datetime.fromisoformat,
}


def value_of(text: Any, oid: int | None) -> Any:
    """The value of a parameter of a Postgres type. A text of no type that is written as an array is a list."""
    if isinstance(text, list):
        element = element_oid_of(oid) if oid is not None and is_array_oid(oid) else oid
        return [value_of(each, element) for each in text]
    if text is None:
        return None
    if oid is not None and is_array_oid(oid):
        return value_of(parse_array_literal(text), oid)
    if oid is None and text.startswith("{") and text.endswith("}"):
        return parse_array_literal(text)
    return READERS[oid](text) if oid in READERS else text


def declared_types(sql: str, given: Sequence[int | None]) -> list[int | None]:
    """The type of each parameter: what the client said, otherwise what the statement casts it to, otherwise None."""
    casts: dict[int, int | None] = {}
    for number, oid in casts_of(sql) if "$" in sql else []:
        casts[number] = casts.get(number) or oid
    n = max([len(given), *casts])
    known = [*given, *[None] * (n - len(given))]
    return [oid if oid is not None else casts.get(number) for number, oid in enumerate(known, start=1)]


def casts_of(sql: str) -> Iterator[tuple[int, int | None]]:
    """The number of each parameter of a statement, and the type that it is cast to, or None."""
    try:
        tree = sqlglot.parse_one(sql, dialect="duckdb")
    except sqlglot.errors.SqlglotError:
        return
    for each in tree.find_all(exp.Parameter, exp.Placeholder):
        number = str(each.this if isinstance(each, exp.Parameter) else each.name)
        if number.isdigit():
            cast = each.parent
            yield int(number), postgres_type(cast.to) if isinstance(cast, exp.Cast) else None


def postgres_type(kind: exp.DataType) -> int | None:
    """The Postgres type of a type in SQL, or None."""
    if kind.this == exp.DataType.Type.ARRAY and kind.expressions:
        element = postgres_type(kind.expressions[0])
        return pg.ARRAY_OID.get(element) if element is not None else None
    name = kind.sql(dialect="postgres").split("(")[0].lower().replace("decimal", "numeric")
    return getattr(pg, DECLARED_TYPE_OIDS[name]) if name in DECLARED_TYPE_OIDS else None
