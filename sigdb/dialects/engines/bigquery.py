"""The SQL of BigQuery: GoogleSQL."""

from __future__ import annotations

from sqlglot import exp

from sigdb.dialects.engines import aggregates, rules
from sigdb.dialects.engines.base import Dialect
from sigdb.dialects.engines.nodes import NoEquivalentError, call, in_turn, refuse, rename, when_known

__all__ = ["BigQuery"]


def select_from_one_row(node: exp.Select) -> exp.Expr:
    """BigQuery has no WHERE without FROM."""
    if node.args.get("where") and not node.args.get("from_"):
        node.from_(exp.select("1").subquery("_one"), copy=False)
    return node


def having_max(node: exp.Expr) -> exp.Expr:
    """arg_max and arg_min: ANY_VALUE(... HAVING MAX ...)."""
    aggregates.keyed_extreme(node)
    if node.args.get("count"):
        return node
    extreme = exp.HavingMax(this=node.this, expression=node.expression, max=isinstance(node, exp.ArgMax))
    return exp.AnyValue(this=extreme)


def refuse_filtered_list(node: exp.Expr) -> exp.Expr:
    """ARRAY_AGG has no FILTER, and a NULL in its place would be an element."""
    if isinstance(node.this, exp.ArrayAgg):
        raise NoEquivalentError("list(...) FILTER: choose the rows in WHERE")
    return node


def contains(node: exp.Expr) -> exp.Expr:
    """CONTAINS_SUBSTR ignores the case, STRPOS does not."""
    return exp.GT(this=call("STRPOS", node.this, node.expression), expression=exp.convert(0))


def concat_texts(node: exp.Expr) -> exp.Expr:
    """|| takes texts only."""
    for key in ("this", "expression"):
        part = node.args[key]
        if not isinstance(part, exp.Literal | exp.DPipe):
            node.set(key, exp.cast(part, "TEXT"))
    return node


def array_contains(node: exp.Expr) -> exp.Expr:
    """EXISTS over the elements of a list is false for NULL, where list_contains is NULL."""
    return when_known(node.expression, when_known(node.this, node.copy()))


def in_list(node: exp.Expr) -> exp.Expr:
    """`value IN list`, where the list is an expression."""
    result = rules.in_list(node)
    return node if result is node else array_contains(result)


def split_part(node: exp.Expr) -> exp.Expr:
    """SPLIT gives a list of the parts."""
    text, number = node.this, node.args["part_index"]
    return rules.part_or_empty(safe_ordinal(call("SPLIT", text, node.args["delimiter"]), number), text, number)


def safe_ordinal(elements: exp.Expr, number: exp.Expr) -> exp.Expr:
    """An element of a list, counted from 1; NULL past the end."""
    return exp.Bracket(this=elements, expressions=[call("SAFE_ORDINAL", number)])


list_extract, bracket = rules.subscript(safe_ordinal)


class BigQuery(Dialect):
    """BigQuery."""

    name = "bigquery"
    REWRITES = Dialect.REWRITES | {
        exp.ArgMax: having_max,
        exp.ArgMin: having_max,
        exp.ArrayAgg: aggregates.order_null_last,
        exp.ArrayContains: array_contains,
        exp.Bracket: bracket,
        exp.Contains: contains,
        exp.DPipe: concat_texts,
        exp.Filter: in_turn(refuse_filtered_list, aggregates.filter_extreme, aggregates.filter_texts),
        exp.GroupConcat: aggregates.order_null_last,
        exp.ILike: rules.double_backslashes,
        exp.In: in_list,
        exp.Like: rules.double_backslashes,
        exp.PercentileCont: refuse(aggregates.PERCENTILE),
        exp.Select: in_turn(Dialect.REWRITES[exp.Select], select_from_one_row),
        exp.SplitPart: split_part,
        exp.Window: aggregates.order_null_last,
    }
    FUNCTIONS = Dialect.FUNCTIONS | {"error": rename("ERROR"), "list_extract": list_extract}
    REFUSALS = Dialect.REFUSALS | {
        exp.Escape: "LIKE ... ESCAPE: use contains, starts_with or regexp_matches",
        exp.Greatest: rules.GREATEST,
        exp.Least: rules.LEAST,
        exp.Median: aggregates.MEDIAN,
        exp.Transform: "list_transform: unnest the list",
    }
