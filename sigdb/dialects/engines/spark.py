"""The SQL of Apache Spark, and of Databricks."""

from __future__ import annotations

from sqlglot import exp

from sigdb.dialects.engines import aggregates, rules
from sigdb.dialects.engines.base import Dialect
from sigdb.dialects.engines.nodes import NoEquivalentError, call, in_turn, null_test, rename
from sigdb.dialects.fold import is_null

__all__ = ["Databricks", "Spark"]


def keep_ignore_nulls(node: exp.Expr) -> exp.Expr:
    """Spark has any_value(...) IGNORE NULLS."""
    aggregates.any_value(node)
    return node


def percentile(node: exp.Expr) -> exp.Expr:
    """PERCENTILE interpolates, as quantile_cont does."""
    return call("PERCENTILE", node.this, node.expression)


def collect_list(node: exp.Expr) -> exp.Expr:
    """COLLECT_LIST has no order and skips NULL, so it collects structs of order keys and value, and sorts them."""
    order = node.this if isinstance(node.this, exp.Order) else None
    if order and any(each.args.get("desc") for each in order.expressions):
        raise NoEquivalentError("list(... ORDER BY ... DESC): order by a negative number instead")
    keys = [key for each in order.expressions for key in (null_test(each.this), each.this)] if order else []
    struct = struct_of([*keys, aggregates.value_of(node)])
    is_distinct = isinstance(order.this if order else node.this, exp.Distinct)
    elements: exp.Expr = exp.ArrayAgg(this=exp.Distinct(expressions=[struct]) if is_distinct else struct)
    if order:
        elements = call("ARRAY_SORT", elements)
    one, last = exp.to_identifier("_x"), exp.to_identifier(f"_{len(keys)}")
    value = exp.Lambda(this=exp.Dot(this=one, expression=last), expressions=[one.copy()])
    return call("NULLIF", call("TRANSFORM", elements, value), exp.Array())


def struct_of(fields: list[exp.Expr]) -> exp.Expr:
    """A struct with the fields _0, _1, ..."""
    return exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(f"_{number}"), expression=field.copy())
            for number, field in enumerate(fields)
        ]
    )


def filter_distinct_texts(node: exp.Expr) -> exp.Expr:
    """LISTAGG takes FILTER, but not together with DISTINCT."""
    return aggregates.filter_texts(node) if node.this.find(exp.Distinct) else node


def cast_rounded(node: exp.Expr) -> exp.Expr:
    """A cast to an integer rounds in DuckDB and truncates in Spark."""
    kind = node.args["to"].this
    rules.cast_signed(node)
    if kind in rules.ROUNDED_TYPES and not is_null(node.this):
        # ROUND takes no BOOLEAN, so it gets a DOUBLE; a large number would lose digits by that.
        is_number = kind in rules.LARGE_TYPES or node.this.is_number
        node.set("this", call("ROUND", node.this if is_number else exp.cast(node.this, "DOUBLE")))
    return node


def divide_double(node: exp.Expr) -> exp.Expr:
    """A quotient of decimals has only six decimal places in Spark."""
    node.set("this", exp.cast(node.this, "DOUBLE"))
    return node


def md5_order(node: exp.Expr) -> exp.Expr:
    """md5_number in ORDER BY: the 16 bytes of an md5, the last one first, as digits. They have the order of the number.

    Spark has no number of 128 bits.
    """
    if not isinstance(node.parent, exp.Ordered):
        raise NoEquivalentError("md5_number as a value, a number of 128 bits: use it in ORDER BY only")
    digits: exp.Expr = exp.MD5(this=node.expressions[0])
    pairs = [call("SUBSTRING", digits.copy(), exp.Literal.number(at), exp.Literal.number(2)) for at in range(31, 0, -2)]
    return call("CONCAT", *pairs)


def clause_without_subquery(node: exp.Expr) -> str | None:
    """The clause around a node in which Spark refuses a correlated sub-query; None if there is no such clause."""
    while node.parent is not None and not isinstance(node, exp.Select | exp.Window):
        if isinstance(node.parent, exp.Select) and node.arg_key in ("order", "group"):
            return f"{node.arg_key.upper()} BY"
        if isinstance(node.parent, exp.Join) and node.arg_key == "on":
            return "the condition of a join"
        node = node.parent
    return None


list_extract, bracket = rules.subscript(rules.get_element)


class Spark(Dialect):
    """Apache Spark 4."""

    name = "spark"
    REWRITES = Dialect.REWRITES | {
        exp.ArrayAgg: collect_list,
        exp.Bracket: bracket,
        exp.Cast: cast_rounded,
        exp.Div: divide_double,
        exp.Filter: in_turn(aggregates.filter_inner_list, filter_distinct_texts),
        exp.GenerateSeries: rules.guard_series,
        exp.ILike: rules.double_backslashes,
        exp.IgnoreNulls: keep_ignore_nulls,
        exp.Like: rules.double_backslashes,
        exp.PercentileCont: percentile,
        exp.TryCast: rules.try_cast(cast_rounded),
    }
    FUNCTIONS = Dialect.FUNCTIONS | {
        "error": rename("RAISE_ERROR"),
        "list_extract": list_extract,
        "md5_number": md5_order,
    }
    REFUSALS = Dialect.REFUSALS | {
        exp.Except: rules.union_by_name,
        exp.Intersect: rules.union_by_name,
        exp.Join: rules.unusual_join,
        exp.Union: rules.union_by_name,
    }

    def refusal(self, node: exp.Expr) -> str | None:
        """As for other dialects. Also the score of a cell, where Spark refuses a correlated sub-query."""
        if text := super().refusal(node):
            return text
        if node.meta_get("correlated") and (clause := clause_without_subquery(node)):
            return (
                f"a score of a cell, a correlated sub-query, in {clause}. Name the score first, as a column of a "
                "sub-query"
            )
        return None


class Databricks(Spark):
    """Databricks SQL: Spark's, written by another class of sqlglot."""

    name = "databricks"
