"""The SQL of Trino."""

from __future__ import annotations

from sqlglot import exp

from sigdb.dialects.engines import aggregates, rules
from sigdb.dialects.engines.base import Dialect
from sigdb.dialects.engines.nodes import call, in_turn, refuse, rename

__all__ = ["Trino"]


def order_texts(node: exp.Expr) -> exp.Expr:
    """LISTAGG must have an order."""
    if not isinstance(node.this, exp.Order):
        key = exp.Ordered(this=aggregates.value_of(node).copy(), nulls_first=False)
        node.set("this", exp.Order(this=node.this, expressions=[key]))
    return node


def split_part(node: exp.Expr) -> exp.Expr:
    """SPLIT_PART is NULL past the last part."""
    return rules.part_or_empty(node, node.this, node.args["part_index"])


def star_exclude(node: exp.Star) -> str | None:
    """`* EXCLUDE`."""
    return "* EXCLUDE: name the columns" if node.args.get("except_") else rules.unusual_star(node)


list_extract, bracket = rules.subscript(lambda elements, number: call("ELEMENT_AT", elements, number))


class Trino(Dialect):
    """Trino 422."""

    name = "trino"
    REWRITES = Dialect.REWRITES | {
        exp.Bracket: bracket,
        exp.Filter: aggregates.filter_texts,
        exp.GenerateSeries: rules.guard_series,
        exp.GroupConcat: order_texts,
        exp.PercentileCont: refuse(aggregates.PERCENTILE),
        exp.Select: in_turn(rules.unnest_rows(first_index=1), rules.number_groups, rules.number_order),
        exp.SplitPart: split_part,
    }
    FUNCTIONS = Dialect.FUNCTIONS | {"error": rename("FAIL"), "list_extract": list_extract}
    REFUSALS = Dialect.REFUSALS | {
        exp.Except: rules.union_by_name,
        exp.Greatest: rules.GREATEST,
        exp.Intersect: rules.union_by_name,
        exp.Least: rules.LEAST,
        exp.Median: aggregates.MEDIAN,
        exp.Star: star_exclude,
        exp.Union: rules.union_by_name,
    }
