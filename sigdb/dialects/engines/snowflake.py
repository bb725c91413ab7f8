"""The SQL of Snowflake."""

from __future__ import annotations

import re

from sqlglot import exp

from sigdb.dialects.engines import aggregates, rules
from sigdb.dialects.engines.base import Dialect
from sigdb.dialects.engines.nodes import call, in_turn, rename

__all__ = ["Snowflake"]


def upper_case_name(node: exp.Expr) -> exp.Expr:
    """Names are in upper case unless they are quoted, and SAMPLE is a keyword."""
    is_word = re.fullmatch(r"\w+", node.name)
    if is_word and (node.args.get("quoted") or node.name.upper() == "SAMPLE"):
        return exp.to_identifier(node.name.upper(), quoted=True)
    return node


def any_value_min(node: exp.Expr) -> exp.Expr:
    """ANY_VALUE may give NULL where there is a value; MIN does not."""
    result = aggregates.any_value(node)
    return node if result is node else exp.Min(this=result.this)


def mean_of_double(node: exp.Expr) -> exp.Expr:
    """A mean of integers, and the like, has only six decimal places."""
    value = aggregates.value_of(node)
    value.replace(exp.cast(value.copy(), "DOUBLE"))
    return node


def divide_double(node: exp.Expr) -> exp.Expr:
    """A quotient has only six decimal places, unless it is of a DOUBLE."""
    node.set("this", exp.cast(node.this, "DOUBLE"))
    return node


def percentile(node: exp.Expr) -> exp.Expr:
    """PERCENTILE_CONT(...) WITHIN GROUP (ORDER BY ...)."""
    order = exp.Order(expressions=[exp.Ordered(this=exp.cast(node.this, "DOUBLE"), nulls_first=True)])
    return exp.WithinGroup(this=exp.PercentileCont(this=node.expression), expression=order)


def null_if_no_elements(node: exp.Expr) -> exp.Expr:
    """list(...) is NULL for no rows, where ARRAY_AGG gives an empty list."""
    return call("NULLIF", node.copy(), exp.Array())


def null_if_no_texts(node: exp.Expr) -> exp.Expr:
    """LISTAGG is empty for no rows. Under FILTER, `filter_texts` does this."""
    return node if isinstance(node.parent, exp.Filter) else aggregates.null_if_no_texts(node)


def filter_texts(node: exp.Expr) -> exp.Expr:
    """FILTER of string_agg."""
    result = aggregates.filter_texts(node)
    return node if result is node else aggregates.null_if_no_texts(result)


def regexp_instr(node: exp.Expr) -> exp.Expr:
    """REGEXP_LIKE matches a whole text, REGEXP_INSTR a part of it."""
    flags = rules.regexp_flags(node)
    options = [*map(exp.convert, (1, 1, 0, flags))] if flags else []
    return exp.GT(this=call("REGEXP_INSTR", node.this, node.expression, *options), expression=exp.convert(0))


def keep_try_cast(node: exp.Expr) -> exp.Expr:
    """TRY_CAST rounds a text with a fraction, as DuckDB does."""
    return node


list_extract, bracket = rules.subscript(rules.get_element)


class Snowflake(Dialect):
    """Snowflake."""

    name = "snowflake"
    REWRITES = Dialect.REWRITES | {
        exp.ArrayAgg: null_if_no_elements,
        exp.Avg: mean_of_double,
        exp.Bracket: bracket,
        exp.Div: divide_double,
        exp.Filter: in_turn(aggregates.filter_inner_list, aggregates.filter_extreme, filter_texts),
        exp.GroupConcat: null_if_no_texts,
        exp.Identifier: upper_case_name,
        exp.IgnoreNulls: any_value_min,
        exp.IntDiv: divide_double,
        exp.Median: mean_of_double,
        exp.PercentileCont: percentile,
        exp.RegexpLike: regexp_instr,
        exp.Stddev: mean_of_double,
        exp.StddevPop: mean_of_double,
        exp.StddevSamp: mean_of_double,
        exp.TryCast: keep_try_cast,
        exp.Variance: mean_of_double,
        exp.VariancePop: mean_of_double,
    }
    # No function raises an error. TO_NUMBER fails to read the text as a number, and its error shows the text.
    FUNCTIONS = Dialect.FUNCTIONS | {"error": rename("TO_NUMBER"), "list_extract": list_extract}
