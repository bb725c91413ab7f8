"""Types of metadata columns: text becomes numbers only if nothing is lost, and labels are the same in every study."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.columns import fit, label, parse, to_column, to_text
from ingest.store.writer import add_columns, label_of

KEPT = {
    "leading zeros": ["007", "7", "12"],
    "a plus": ["+1", "2"],
    "spare zeros": ["1.10", "1.2"],
    "two ways to write one": ["1", "1.0"],
    "an exponent without sign": ["1e5", "2e4"],
    "more digits than DOUBLE has": ["12345678901234567890", "1"],
    "blanks": [" 1", "2"],
    "underscores": ["1_000", "2"],
    "other digits": ["\u0661", "\u0662"],
    "hexadecimal": ["0x10", "0x11"],
    "a date": ["2024-01-01"],
    "one word": ["1", "2", "unknown"],
    "NaN in capitals": ["NAN", "1"],
    "a bare point": [".5", "1."],
    "true and 1": ["true", "1"],
}
READ = {
    "integers": (["1", "-2", None, "0"], [1, -2, None, 0]),
    "the largest integer": ([str(2**63 - 1)], [2**63 - 1]),
    "fractions": (["0.5", "-1.25", "1e-05", "3"], [0.5, -1.25, 1e-05, 3.0]),
    "numbers as R writes them": (["1e+05", "123456"], [100000, 123456]),
    "whole numbers with a point": (["3.0", None, "1.0"], [3, None, 1]),
    "booleans": (["TRUE", "FALSE", None], [True, False, None]),
    "nothing": ([None, None], [None, None]),
}


@pytest.mark.parametrize("case", KEPT)
def test_text_that_is_not_how_its_number_is_written_stays_text(case):
    column = pa.array(KEPT[case], pa.string())
    assert parse(column).equals(column)


@pytest.mark.parametrize("case", READ)
def test_text_of_numbers_and_booleans_is_read(case):
    texts, values = READ[case]
    assert parse(pa.array(texts, pa.string())).to_pylist() == values


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.one_of(st.integers(-(2**63), 2**63 - 1).map(str), NUMBERS.map(repr), st.text("0123.-+eE ", max_size=6))


@given(st.lists(TEXTS, max_size=4))
def test_distinct_texts_stay_distinct(texts):
    texts = [text for text in texts if not text.startswith("-0")]  # 0 and -0 are one number
    column = pa.array(texts, pa.string())
    found = parse(column)
    assert len(set(found.to_pylist())) == len(set(texts))
    assert len(found) == len(texts)


@given(st.lists(NUMBERS, min_size=1))
def test_numbers_that_python_prints_are_the_same_numbers(numbers):
    found = parse(pa.array([repr(number) for number in numbers], pa.string()))
    if not pa.types.is_string(found.type):
        assert found.to_pylist() == numbers


def test_a_column_has_the_type_of_what_it_means():
    columns = {
        "int64": [pd.Series([3.0, np.nan]), pd.Series(pd.Categorical([3.0, None])), pd.Series(["3.0", None])],
        "string": [pd.Series(["3", "1"]), pd.Series(pd.Categorical(["3", "1"])), pd.Series(["3.0", "3.5"])],
        "bool": [pd.Series(["True", None, "False"]), pd.Series(pd.Categorical([True, False])), pd.Series(["FALSE"])],
        "double": [pd.Series([3.0, 0.5]), pd.Series([1e300]), pd.Series([np.inf, 1.0]), pd.Series(["a"]).map(len) / 2],
        "uint64": [pd.Series([2**63, 1], dtype=np.uint64)],
    }
    for kind, examples in columns.items():
        assert [str(to_column(values).type) for values in examples] == [kind] * len(examples)


def test_fields_are_text_without_the_point_of_whole_numbers():
    assert to_text(pd.Series([7.0, np.nan, 0.5])).to_pylist() == ["7", None, "0.5"]
    assert to_text(pd.Series(pd.Categorical([7.0, None, 12.0]))).to_pylist() == ["7", None, "12"]
    assert to_text(pd.Series(["007", "7"])).to_pylist() == ["007", "7"]


def test_a_column_fits_another_type_if_no_value_changes():
    def fitted(values, kind):
        found = fit(pa.chunked_array([pa.array(values)]), kind)
        return None if found is None else found.to_pylist()

    assert fitted([3.0, None], "BIGINT") == [3, None]
    assert fitted(["3", "1"], "BIGINT") == fitted(["3.0", "1.0"], "BIGINT") == [3, 1]
    assert fitted([3, 1], "DOUBLE") == fitted(["3.0", "1.0"], "DOUBLE") == [3.0, 1.0]
    assert fitted([3.0, 0.5], "VARCHAR") == ["3", "0.5"]
    assert fitted([True, None], "VARCHAR") == ["True", None]
    assert fitted(["True"], "BOOLEAN") == [True]
    for values, kind in (
        ([0.5], "BIGINT"),
        (["007"], "BIGINT"),
        ([2**53 + 1], "DOUBLE"),
        ([1], "BOOLEAN"),
        (["1"], "BOOLEAN"),
        ([-1], "UBIGINT"),
        ([True], "BIGINT"),
    ):
        assert fitted(values, kind) is None


@given(st.lists(NUMBERS, min_size=1))
def test_python_and_sql_write_the_same_labels(values):
    """A column that becomes text in the atlas has the labels that incoming numbers get."""
    sql = label_of("v")["DOUBLE"].sql("duckdb")
    rows = duckdb.execute(f"SELECT {sql} FROM (SELECT unnest($1::DOUBLE[]) AS v)", [values]).fetchall()
    assert [text for (text,) in rows] == [label(value) for value in values]


LABELS = {
    "integers": ([3, 1], [True, False]),
    "numbers with gaps": ([3.0, np.nan, 1.0], [True, None, False]),
    "text": (pd.Categorical(["3", "1"]), pd.Categorical(["True", "False"])),
    "text of numbers": (["3.0", "1.0"], ["TRUE", "FALSE"]),
    "categories": (pd.Categorical([3.0, 1.0]), pd.Categorical([True, False])),
    "fractions": ([3.0, 0.5], [None, True]),
    "words": (pd.Categorical(["3", "T cell"]), pd.Categorical(["True", "unknown"])),
}


def store(con, leiden, flag):
    """Store the columns of a study as the writer does."""
    columns = {"leiden": to_column(pd.Series(leiden)), "flag": to_column(pd.Series(flag))}
    fitted, _ = add_columns(con, pa.table(columns))
    con.register("fitted", fitted)
    con.execute("INSERT INTO sigdb_data.cell_data BY NAME FROM fitted")


@settings(max_examples=15, deadline=None)
@given(st.permutations(list(LABELS)))
def test_a_label_is_the_same_in_studies_of_other_types(order):
    """Cluster 3 is one label, in whatever order the studies come."""
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA sigdb_data; CREATE TABLE sigdb_data.cell_data (cell_id INT)")
        for n, study in enumerate(order):
            store(con, *LABELS[study])
            for name, others in (("leiden", {"0.5": "fractions", "T cell": "words"}), ("flag", {"unknown": "words"})):
                query = f"SELECT DISTINCT {name} FROM sigdb_data.cell_data WHERE {name} IS NOT NULL"
                found = {label(value) for (value,) in con.execute(query).fetchall()}
                new = {text for text, other in others.items() if other in order[: n + 1]}
                assert found - {"1", "False"} == {"3" if name == "leiden" else "True"} | new
