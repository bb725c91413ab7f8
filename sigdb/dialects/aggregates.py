"""DuckDB's aggregates in words that other engines have: of the rows that they pass over, and of their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from sigdb.dialects.fold import is_constant, is_null
from sigdb.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AGGREGATES", "SPARK", "call", "known"]

SPARK = ("spark", "databricks")


def call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    """A function of the engine's."""
    made = exp.Anonymous(this=name, expressions=[*arguments])
    made.meta["ported"] = True
    return made


def null_flag(key: exp.Expr) -> exp.Expr:
    return exp.Is(this=key, expression=exp.null())


def known(tested: exp.Expr, value: exp.Expr) -> exp.Expr:
    """A value where another one is not NULL."""
    if is_constant(tested) and not is_null(tested):
        return value
    return exp.Case(ifs=[exp.If(this=null_flag(tested.copy()).not_(), true=value)])


def any_value(node: exp.Expr, dialect: str) -> exp.Expr:
    """The value of a row in which it is not NULL."""
    if not isinstance(node.this, exp.AnyValue):
        return node
    if isinstance(node.this.this, exp.Order):
        raise QueryError(f"{dialect} has no any_value(... ORDER BY ...). Use arg_min or arg_max.")
    if dialect in SPARK:
        return node
    return exp.Min(this=node.this.this) if dialect == "snowflake" else node.this


def extreme(node: exp.Expr, dialect: str) -> exp.Expr:
    """arg_max and arg_min: only DuckDB's pass over a row whose value is NULL."""
    node.set("expression", known(node.this, node.expression))
    if dialect == "bigquery" and not node.args.get("count"):
        having = exp.HavingMax(this=node.this, expression=node.expression, max=isinstance(node, exp.ArgMax))
        return exp.AnyValue(this=having)
    return node


def fractional(node: exp.Expr, dialect: str) -> exp.Expr:
    """Snowflake keeps six decimals of a mean of integers, and so on."""
    if dialect == "snowflake":
        value = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
        value.replace(exp.cast(value.copy(), "DOUBLE"))
    return node


def percentile(node: exp.Expr, dialect: str) -> exp.Expr:
    """An exact percentile of a group."""
    if dialect in ("trino", "bigquery"):
        raise QueryError(
            f"{dialect} has no exact percentile of a group (quantile_cont). signature_hits and sample_hit_rates can be "
            "asked with cutoff := ... or sd := ... instead."
        )
    if dialect in SPARK:
        return call("PERCENTILE", node.this, node.expression)
    order = exp.Order(expressions=[exp.Ordered(this=exp.cast(node.this, "DOUBLE"), nulls_first=True)])
    return exp.WithinGroup(this=exp.PercentileCont(this=node.expression), expression=order)


def collected(node: exp.Expr, dialect: str) -> exp.Expr:
    """A list of a group's values. Spark's has no order and leaves out NULL, so it is made of structs, and sorted."""
    if dialect == "snowflake":  # no list, rather than an empty one, of no rows
        return call("NULLIF", node.copy(), exp.Array())
    if dialect not in SPARK:
        return null_last(node, dialect)
    order = node.this if isinstance(node.this, exp.Order) else None
    if order and any(each.args.get("desc") for each in order.expressions):
        raise QueryError(f"{dialect} has no list(... ORDER BY ... DESC). Order by a negative number instead.")
    keys = [key for each in order.expressions for key in (null_flag(each.this), each.this)] if order else []
    value = order.this if order else node.this
    once = isinstance(value, exp.Distinct)
    fields = [*keys, value.expressions[0] if once else value]
    names = [f"_{number}" for number in range(len(fields))]
    struct = exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(name), expression=field.copy())
            for name, field in zip(names, fields, strict=True)
        ]
    )
    elements: exp.Expr = exp.ArrayAgg(this=exp.Distinct(expressions=[struct]) if once else struct)
    if order:
        elements = call("ARRAY_SORT", elements)
    one = exp.to_identifier("_x")
    last = exp.Lambda(this=exp.Dot(this=one, expression=exp.to_identifier(names[-1])), expressions=[one.copy()])
    return call("NULLIF", call("TRANSFORM", elements, last), exp.Array())


def null_last(node: exp.Expr, dialect: str) -> exp.Expr:
    """BigQuery has no NULLS LAST inside an aggregate or a window: whether it is NULL is ordered by first."""
    order = node.args.get("order") if isinstance(node, exp.Window) else node.this
    if dialect == "bigquery" and isinstance(order, exp.Order):
        keys = []
        for each in order.expressions:
            if (
                not each.args.get("nulls_first")
                and not each.args.get("desc")
                and not isinstance(order.this, exp.Distinct)
            ):
                keys.append(exp.Ordered(this=null_flag(each.this.copy()), nulls_first=True))
            each.set("nulls_first", not each.args.get("desc"))
            keys.append(each)
        order.set("expressions", keys)
    return node


def joined(node: exp.Expr, dialect: str) -> exp.Expr:
    """Texts in one: Trino's always have an order, Snowflake's are empty rather than NULL if there are none."""
    if dialect == "trino" and not isinstance(node.this, exp.Order):
        value = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
        node.set("this", exp.Order(this=node.this, expressions=[exp.Ordered(this=value.copy(), nulls_first=False)]))
    if dialect == "snowflake" and not isinstance(node.parent, exp.Filter):
        return call("NULLIF", node.copy(), exp.Literal.string(""))
    return null_last(node, dialect)


def filtered(node: exp.Expr, dialect: str) -> exp.Expr:
    """FILTER stands at the aggregate itself. Where there is none, what it leaves out is made NULL."""
    made: exp.Expr = node.this
    if dialect == "bigquery" and isinstance(made, exp.ArrayAgg):
        raise QueryError(f"{dialect} has no equivalent of list(...) FILTER: choose the rows in WHERE.")
    if not isinstance(made, exp.AggFunc) and (elements := made.find(exp.ArrayAgg)):
        elements.replace(exp.Filter(this=elements.copy(), expression=node.expression))
        return made
    if dialect in ("bigquery", "snowflake") and (largest := made.find(exp.ArgMax, exp.ArgMin, exp.HavingMax)):
        largest.set("expression", exp.Case(ifs=[exp.If(this=node.expression.this, true=largest.expression)]))
        return made
    return texts_of(node, made, dialect)


def texts_of(node: exp.Expr, texts: exp.Expr, dialect: str) -> exp.Expr:
    """Only Spark's texts in one have a FILTER, if they are not DISTINCT."""
    if not isinstance(texts, exp.GroupConcat) or (dialect in SPARK and not texts.find(exp.Distinct)):
        return node
    order = texts.this if isinstance(texts.this, exp.Order) else None
    asked = order.this if order else texts.this
    value = asked.expressions[0] if isinstance(asked, exp.Distinct) else asked
    keys = [each.this for each in order.expressions] if order and asked is not value else []
    same = [value, *(key for key in keys if key == value)]
    kept = exp.Case(ifs=[exp.If(this=node.expression.this, true=value.copy())])
    for each in same:
        each.replace(kept.copy())
    return call("NULLIF", texts, exp.Literal.string("")) if dialect == "snowflake" else texts


AGGREGATES: dict[type[exp.Expr], Callable[[Any, str], exp.Expr]] = {
    exp.ArgMax: extreme,
    exp.ArgMin: extreme,
    exp.ArrayAgg: collected,
    exp.Avg: fractional,
    exp.Filter: filtered,
    exp.GroupConcat: joined,
    exp.IgnoreNulls: any_value,
    exp.Median: fractional,
    exp.PercentileCont: percentile,
    exp.Stddev: fractional,
    exp.StddevPop: fractional,
    exp.StddevSamp: fractional,
    exp.Variance: fractional,
    exp.VariancePop: fractional,
    exp.Window: null_last,
}
