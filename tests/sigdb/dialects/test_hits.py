"""Hits in other dialects: one of the two rules is written out, and its integers are large enough."""

from __future__ import annotations

import pytest
import sqlglot

import sigdb
from sigdb.errors import QueryError
from tests.sigdb.dialects.test_transpile import OTHERS


@pytest.mark.parametrize("dialect", OTHERS)
def test_the_rule_that_is_not_asked_for_is_left_out(dialect):
    by_controls, by_cells = (
        sigdb.transpile(f"FROM signature_hits(['A'], against := '{against}', sd := 2)", dialect)
        for against in ("controls", "cells")
    )
    assert "_score_calibration AS" in by_controls
    assert "_score_calibration" not in by_cells
    assert by_cells.count("STDDEV_SAMP(") == by_controls.count("STDDEV_POP(") == 1
    assert "STDDEV_SAMP(" not in by_controls


@pytest.mark.parametrize("dialect", ["trino", "bigquery"])
def test_hit_rates_are_refused_where_there_is_no_median(dialect):
    with pytest.raises(
        QueryError, match=r"median of a group\. For sample_hit_rates, .* average is_hit of signature_hits"
    ):
        sigdb.transpile("FROM sample_hit_rates(['A'], sd := 2)", dialect)


@pytest.mark.parametrize("dialect", ["spark", "trino", "snowflake", "bigquery"])
def test_the_hash_is_computed_in_64_bits(dialect):
    """Ids are below 2^32, and a control set has a number below 200: the products would overflow 32 bits."""
    written = sigdb.transpile("FROM signature_hits(['A'], sd := 2)", dialect)
    tree = sqlglot.parse_one(written, dialect=dialect)
    large = [each for each in tree.find_all(sqlglot.exp.Mul) if each.expression.name in ("1103515245", "12345679")]
    assert len(large) == 3  # the gene, the control set, the cell
    for each in large:
        assert isinstance(each.this, sqlglot.exp.Cast)
        assert each.this.to.this in (sqlglot.exp.DType.BIGINT, sqlglot.exp.DType.INT)
        assert "CAST(" in each.sql(dialect)
    # `%` and `*` bind alike, from left to right: (hash * hash) % prime % candidates.
    remainders = [each for each in tree.find_all(sqlglot.exp.Mod) if each.expression.find(sqlglot.exp.Case)]
    (pick,) = remainders
    assert isinstance(pick.this.unnest(), sqlglot.exp.Mod)
    assert isinstance(pick.this.unnest().this.unnest(), sqlglot.exp.Mul)
