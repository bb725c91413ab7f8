"""Rewrite rules for aggregates. Engines differ in skipped rows, in the order of rows, and in the result for no rows."""

from __future__ import annotations

from sqlglot import exp

from sigdb.dialects.engines.nodes import NoEquivalentError, call, null_test, when_known

__all__ = [
    "MEDIAN",
    "PERCENTILE",
    "any_value",
    "filter_extreme",
    "filter_inner_list",
    "filter_texts",
    "keyed_extreme",
    "null_if_no_texts",
    "order_null_last",
    "value_of",
]

# For engines without exact percentiles.
MEDIAN = "median of a group. For sample_hit_rates, which needs one, average is_hit of signature_hits by sample"
PERCENTILE = "quantile_cont, an exact percentile of a group: give signature_hits sd := ... or cutoff := ..."


def value_of(node: exp.Expr) -> exp.Expr:
    """The argument of an aggregate, without DISTINCT."""
    argument: exp.Expr = node.this.this if isinstance(node.this, exp.Order) else node.this
    return argument.expressions[0] if isinstance(argument, exp.Distinct) else argument


def any_value(node: exp.Expr) -> exp.Expr:
    """any_value skips NULL in DuckDB, which sqlglot reads as IGNORE NULLS. Most engines skip NULL anyway."""
    if isinstance(node.this, exp.AnyValue) and isinstance(node.this.this, exp.Order):
        raise NoEquivalentError("any_value(... ORDER BY ...): use arg_min or arg_max")
    return node.this if isinstance(node.this, exp.AnyValue) else node


def keyed_extreme(node: exp.Expr) -> exp.Expr:
    """arg_max and arg_min skip rows whose value is NULL only in DuckDB: here, their keys become NULL."""
    node.set("expression", when_known(node.this, node.expression))
    return node


def order_null_last(node: exp.Expr) -> exp.Expr:
    """For an engine without NULLS LAST in an aggregate or a window: order by IS NULL first."""
    order = node.args.get("order") if isinstance(node, exp.Window) else node.this
    if isinstance(order, exp.Order):
        keys = []
        for each in order.expressions:
            is_last = not each.args.get("nulls_first") and not each.args.get("desc")
            if is_last and not isinstance(order.this, exp.Distinct):
                keys.append(exp.Ordered(this=null_test(each.this.copy()), nulls_first=True))
            each.set("nulls_first", not each.args.get("desc"))
            keys.append(each)
        order.set("expressions", keys)
    return node


def null_if_no_texts(texts: exp.Expr) -> exp.Expr:
    """string_agg is NULL for no rows, where the engine's function gives an empty text."""
    return call("NULLIF", texts.copy(), exp.Literal.string(""))


# FILTER. Engines without it get NULL for the rows that it leaves out.


def filter_inner_list(node: exp.Expr) -> exp.Expr:
    """FILTER of an expression around ARRAY_AGG moves to ARRAY_AGG itself."""
    inner: exp.Expr = node.this
    if isinstance(inner, exp.AggFunc) or not (elements := inner.find(exp.ArrayAgg)):
        return node
    elements.replace(exp.Filter(this=elements.copy(), expression=node.expression))
    return inner


def filter_extreme(node: exp.Expr) -> exp.Expr:
    """FILTER of arg_max and arg_min: the key becomes NULL."""
    inner: exp.Expr = node.this
    if not (extreme := inner.find(exp.ArgMax, exp.ArgMin, exp.HavingMax)):
        return node
    extreme.set("expression", exp.Case(ifs=[exp.If(this=node.expression.this, true=extreme.expression)]))
    return inner


def filter_texts(node: exp.Expr) -> exp.Expr:
    """FILTER of string_agg: the text becomes NULL. With DISTINCT, so do the keys of the order that equal the text."""
    texts = node.this
    if not isinstance(texts, exp.GroupConcat):
        return node
    order = texts.this if isinstance(texts.this, exp.Order) else None
    value = value_of(texts)
    is_distinct = value is not (order.this if order else texts.this)
    keys = [each.this for each in order.expressions] if order and is_distinct else []
    kept = exp.Case(ifs=[exp.If(this=node.expression.this, true=value.copy())])
    for each in [value, *(key for key in keys if key == value)]:
        each.replace(kept.copy())
    return texts
