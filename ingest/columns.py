"""The type of a column of cell metadata, so that a label is the same in every study: 3, 3.0 and '3' are one cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from sigdb.errors import ObsError

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

__all__ = ["fit", "label", "parse", "parse_table", "to_boolean", "to_column", "to_text"]

INTEGER = r"^(0|-?[1-9]\d{0,18})$"
# The number as Python, R and C print it: without spare zeros, and with at most 15 digits before the point.
DECIMAL = r"^-?(0|[1-9]\d{0,14})(\.0|\.\d{0,19}[1-9])?(e[+-]\d{2,3})?$"
# As pandas writes whole numbers in a column that once had missing values.
WHOLE_DECIMAL = r"^(0|-?[1-9]\d{0,14})\.0$"
BOOLEANS = ["true", "false"]
# Whole numbers up to this one are exact as DOUBLE.
EXACT = 2**53
KINDS = {pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN"}
WIDER = {"DOUBLE": pa.float64(), "UBIGINT": pa.uint64()}


def label(value: object) -> str:
    """A value as text. A whole number has no point: 3.0 is '3'."""
    if isinstance(value, float) and abs(value) <= EXACT and value.is_integer():
        return str(int(value))
    return str(value)


def to_text(values: pd.Series[object]) -> pa.Array:
    """A column as text, with NULL for missing values."""
    texts = values.astype(object).where(values.notna(), None).map(label, na_action="ignore")
    return pa.array(texts, pa.string())


def to_boolean(values: pa.Array) -> pa.Array | None:
    """Text such as true, yes, 1 and false, no, 0 as booleans; None if there is anything else."""
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, None: None}
    lowered = pc.utf8_lower(values).to_pylist()
    return pa.array([words[value] for value in lowered], pa.bool_()) if words.keys() >= set(lowered) else None


def to_column(values: pd.Series[object]) -> pa.Array:
    """A column in the type that the atlas stores: text, integer, double, boolean or time; ObsError if it has none.

    Whole numbers become integers, even if they are stored as floating-point numbers. Categories get the type of what
    they name. Text stays text, unless it only says true and false, or only whole numbers that end in .0.
    """
    if getattr(values.dtype, "tz", None) is not None:
        raise ObsError(
            f"obs column {values.name!r} has times with a time zone, which few clients of DuckDB can read. Convert it "
            "to times in UTC (tz_convert('UTC').dt.tz_localize(None)) or to text, or drop it."
        )
    try:
        column = pa.array(values, from_pandas=True)
    except pa.ArrowException as error:
        raise ObsError(
            f"obs column {values.name!r} cannot be stored: {error}. Convert it to one type, or drop it."
        ) from error
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return normalise(column)


def normalise(column: pa.Array) -> pa.Array:
    """A column of Arrow in a type that the atlas stores."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = column.cast(pa.string())
        return parse(column) if says_booleans(column) or matches(column, WHOLE_DECIMAL) else column
    if pa.types.is_integer(kind):
        is_large = pc.max(column).as_py() is not None and pc.max(column).as_py() > 2**63 - 1
        return column.cast(pa.uint64() if is_large else pa.int64())
    if pa.types.is_floating(kind):
        return integers_of(column.cast(pa.float64()))
    return column


def integers_of(column: pa.Array) -> pa.Array:
    """A column of DOUBLE as integers if all values are whole; otherwise as it is."""
    is_whole = pc.and_(pc.equal(column, pc.trunc(column)), pc.less_equal(pc.abs(column), float(EXACT)))
    return column.cast(pa.int64()) if all_true(is_whole) else column


def all_true(values: pa.Array) -> bool:
    """Whether all values are true, apart from missing ones, and there is a value."""
    return bool(pc.all(values, min_count=1).as_py())


def matches(column: pa.Array, pattern: str) -> bool:
    """Whether all texts match a pattern."""
    return all_true(pc.match_substring_regex(column, pattern))


def says_booleans(column: pa.Array) -> bool:
    """Whether all texts are true or false, in upper or lower case."""
    return all_true(pc.if_else(pc.is_valid(column), pc.is_in(pc.utf8_lower(column), pa.array(BOOLEANS)), None))


def parse(column: pa.Array) -> pa.Array:
    """Text as numbers or booleans if every text is that of its number, such as 7 and 0.5; otherwise as it is.

    So 007, +7, 0.50 and numbers that DOUBLE cannot hold stay text, and so does a column with 1 and 1.0.
    """
    if says_booleans(column):
        return pc.equal(pc.utf8_lower(column), "true")
    try:
        if matches(column, INTEGER):
            return column.cast(pa.int64())
    except pa.ArrowInvalid:  # above 2^63
        return column
    if not matches(column, DECIMAL):
        return column
    numbers = column.cast(pa.float64())
    is_same = pc.count_distinct(numbers).as_py() == pc.count_distinct(column).as_py()
    return integers_of(numbers) if is_same else column


def parse_table(table: pa.Table, text: Collection[str]) -> pd.DataFrame:
    """A table of text as a data frame, parsed. text: columns that stay as they are."""
    import pandas as pd  # storing studies, which uses this module too, does not need pandas

    columns = {name: table[name] if name in text else parse(table[name]) for name in table.column_names}
    can_be_missing = {
        pa.int64(): pd.Int64Dtype(),
        pa.float64(): pd.Float64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
        pa.string(): pd.StringDtype(),
    }
    return pa.table(columns).to_pandas(types_mapper=can_be_missing.get)


def fit(column: pa.ChunkedArray, kind: str) -> pa.ChunkedArray | None:
    """A column in another type of DuckDB; None if that would change a value."""
    if column.null_count == len(column):
        return column
    if kind == "VARCHAR":
        return to_labels(column)
    if pa.types.is_string(column.type):
        column = parse(column)
    elif pa.types.is_floating(column.type):
        column = integers_of(column)
    if kind in ("DOUBLE", "UBIGINT") and pa.types.is_int64(column.type):
        limits = (-EXACT, EXACT) if kind == "DOUBLE" else (0, 2**63)
        least, most = pc.min_max(column).as_py().values()
        return column.cast(WIDER[kind]) if limits[0] <= least and most <= limits[1] else None
    return column if KINDS.get(column.type) == kind else None


def to_labels(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers and booleans as text, as `label` writes them; other columns as they are."""
    if pa.types.is_floating(column.type) or pa.types.is_boolean(column.type):
        return pa.chunked_array(
            [[None if value is None else label(value) for value in column.to_pylist()]], pa.string()
        )
    return column.cast(pa.string()) if pa.types.is_integer(column.type) else column
