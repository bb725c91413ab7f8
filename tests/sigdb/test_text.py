"""Values as people write them."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigdb.text import count, format_number, format_value

VALUES = [
    (None, ""),
    (True, "true"),
    (12345, "12,345"),
    ("a\x1b[2J", r"a\x1b[2J"),
    ([("a", 1), ("b", 2)], "a 1, b 2"),
    (["a", "b"], "a, b"),
    (22_410.4, "22,410"),
    (2241.0, "2,241"),
    (1.5, "1.5"),
    (0.000123456, "0.0001235"),
    (1.23e-7, "1.23e-07"),
    (2.5e17, "2.5e+17"),
    (-1234.5, "-1,234"),
    (math.nan, "nan"),
    (-math.inf, "-inf"),
    (Decimal("1.50"), "1.5"),
]


@pytest.mark.parametrize(("value", "text"), VALUES, ids=lambda each: repr(each))
def test_values_are_short(value, text):
    assert format_value(value) == text


def test_ids_are_not_grouped():
    assert format_value(12345, grouped=False) == "12345"


@given(st.floats(-1e300, 1e300))
def test_a_number_keeps_four_digits_and_all_before_the_point(value):
    text = format_number(value).replace(",", "")
    assert float(text) == pytest.approx(value, rel=5.001e-4)
    if 1e-4 < abs(value) < 1e15:
        assert "e" not in text
        assert abs(float(text) - value) <= 0.5


@pytest.mark.parametrize(
    ("n", "noun", "text"),
    [
        (0, "row", "0 rows"),
        (1, "row", "1 row"),
        (1234, "row", "1,234 rows"),
        (2, "study", "2 studies"),
        (1, "study", "1 study"),
    ],
)
def test_counts(n, noun, text):
    assert count(n, noun) == text
