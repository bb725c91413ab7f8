"""DuckDB's SQL in words that other engines have: what sqlglot leaves, or would translate into something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from sigdb.constants import fold, is_null
from sigdb.errors import QueryError
from sigdb.functions import check

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ported"]

SPARK = ("spark", "databricks")
INTEGERS = (exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT)
# DuckDB's types without a namesake elsewhere, and the smallest signed one that holds them.
TYPES = {
    exp.DType.UTINYINT: "SMALLINT",
    exp.DType.USMALLINT: "INT",
    exp.DType.UINT: "BIGINT",
    exp.DType.UBIGINT: "DECIMAL(20, 0)",
    exp.DType.INT128: "DECIMAL(38, 0)",
}


def ported(tree: exp.Query, dialect: str) -> exp.Query:
    """The same query without what only DuckDB has; QueryError, by name, where there is no other word for it."""
    for node in reversed(list(tree.bfs())):
        if rule := RULES.get(type(node)):
            result = rule(node, dialect)
            if result is not node and node.parent is not None:
                node.replace(result)
    fold(tree)
    check(tree, dialect)
    return tree


def call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    """A function of the engine's."""
    made = exp.Anonymous(this=name, expressions=[*arguments])
    made.meta["ported"] = True
    return made


def function(node: exp.Expr, dialect: str) -> exp.Expr:
    """Functions that sqlglot has no node for."""
    rule = FUNCTIONS.get(node.name.lower())
    return rule(node, dialect) if rule else node


def error(node: exp.Expr, dialect: str) -> exp.Expr:
    """Raise an error: Snowflake can only fail to read the text as a number, and shows it then."""
    names = {"trino": "FAIL", "bigquery": "ERROR", "snowflake": "TO_NUMBER"}
    return call(names.get(dialect, "RAISE_ERROR"), *node.expressions)


def is_finite(node: exp.Expr, dialect: str) -> exp.Expr:
    """NaN is larger than any number, or compares with none."""
    return exp.LTE(this=exp.Abs(this=node.expressions[0]), expression=exp.Literal.number("1.7976931348623157e308"))


def element(node: exp.Expr, dialect: str) -> exp.Expr:
    """An element of a list by number, NULL past its end."""
    elements, number = node.expressions
    if dialect == "trino":
        return call("ELEMENT_AT", elements, number)
    if dialect == "bigquery":
        return exp.Bracket(this=elements, expressions=[call("SAFE_ORDINAL", number)])
    return call("GET", elements, exp.Sub(this=number, expression=exp.Literal.number(1)))


def md5_number(node: exp.Expr, dialect: str) -> exp.Expr:
    """The last 8 bytes of an md5, the lowest first, as a number without sign."""
    if dialect not in SPARK:
        raise QueryError(
            f"{dialect} has no md5_number_lower, which chooses control genes (signature_null, signature_controls). "
            "Ask for these on DuckDB or Spark."
        )
    digits: exp.Expr = exp.MD5(this=node.expressions[0])
    pairs = [
        call("SUBSTRING", digits.copy(), exp.Literal.number(at), exp.Literal.number(2)) for at in range(31, 16, -2)
    ]
    sixteen, ten = exp.Literal.number(16), exp.Literal.number(10)
    return exp.cast(call("CONV", call("CONCAT", *pairs), sixteen, ten), TYPES[exp.DType.UBIGINT])


def similarity(node: exp.Expr, dialect: str) -> exp.Expr:
    """None has the function by which names are suggested: there, none is."""
    return exp.cast(exp.null(), "DOUBLE")


def any_value(node: exp.Expr, dialect: str) -> exp.Expr:
    """The value of a row in which it is not NULL."""
    if not isinstance(node.this, exp.AnyValue) or dialect in SPARK:
        return node
    return exp.Min(this=node.this.this) if dialect == "snowflake" else node.this


def pattern(node: exp.Expr, dialect: str) -> exp.Expr:
    """A flag of a regular expression, where it is part of the expression."""
    flag = node.args.get("flag")
    if flag is not None and dialect != "snowflake":
        node.set("flag", None)
        node.set("expression", exp.Literal.string(f"(?{flag.name}){node.expression.name}"))
    elif dialect == "snowflake":  # there, the whole of a text must match
        node.set("expression", exp.Literal.string(f".*({node.expression.name}).*"))
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
    order = exp.Order(expressions=[exp.Ordered(this=node.this, nulls_first=True)])
    return exp.WithinGroup(this=exp.PercentileCont(this=node.expression), expression=order)


def collected(node: exp.Expr, dialect: str) -> exp.Expr:
    """A list of a group's values. Spark's has no order and leaves out NULL, so it is made of structs, and sorted."""
    if dialect not in SPARK:
        return null_last(node, dialect)
    order = node.this if isinstance(node.this, exp.Order) else None
    if order and any(each.args.get("desc") for each in order.expressions):
        raise QueryError(f"{dialect} has no list(... ORDER BY ... DESC). Order by a negative number instead.")
    if isinstance(node.this, exp.Distinct):
        return node
    keys = [key for each in order.expressions for key in (null_flag(each.this), each.this)] if order else []
    fields = [*keys, order.this if order else node.this]
    names = [f"_{number}" for number in range(len(fields))]
    struct = exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(name), expression=field.copy())
            for name, field in zip(names, fields, strict=True)
        ]
    )
    elements: exp.Expr = call("COLLECT_LIST", struct)
    if order:
        elements = call("ARRAY_SORT", elements)
    one = exp.to_identifier("_x")
    value = exp.Lambda(this=exp.Dot(this=one, expression=exp.to_identifier(names[-1])), expressions=[one.copy()])
    return call("NULLIF", call("TRANSFORM", elements, value), exp.Array())


def null_flag(key: exp.Expr) -> exp.Expr:
    return exp.Is(this=key, expression=exp.null())


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


def identifier(node: exp.Expr, dialect: str) -> exp.Expr:
    """SAMPLE is a keyword of Snowflake's."""
    if dialect == "snowflake" and node.name.upper() == "SAMPLE":
        return exp.to_identifier("SAMPLE", quoted=True)
    return node


def logarithm(node: exp.Expr, dialect: str) -> exp.Expr:
    """DuckDB's log(x) is to base 10."""
    return node if node.expression else exp.Log(this=exp.Literal.number(10), expression=node.this)


def conversion(node: exp.Expr, dialect: str) -> exp.Expr:
    """Types that only DuckDB has. Where it rounds to an integer, Spark cuts off."""
    kind = node.args["to"].this
    if kind in TYPES:
        node.set("to", exp.DataType.build(TYPES[kind]))
    if dialect in SPARK and kind in (*INTEGERS, *TYPES) and not is_null(node.this):
        node.set("this", call("ROUND", node.this))
    return node


def joined(node: exp.Expr, dialect: str) -> exp.Expr:
    """BigQuery joins texts only; elsewhere || may bind as tightly as + does."""
    for key in ("this", "expression"):
        part = node.args[key]
        if dialect == "bigquery" and not isinstance(part, exp.Literal | exp.DPipe):
            node.set(key, exp.cast(part, "TEXT"))
        elif isinstance(part, exp.Binary) and not isinstance(part, exp.DPipe):
            node.set(key, exp.paren(part))
    return node


def quotient(node: exp.Expr, dialect: str) -> exp.Expr:
    """Snowflake keeps six decimals of a quotient of integers."""
    if dialect == "snowflake":
        node.set("this", exp.cast(node.this, "DOUBLE"))
    return node


def select(node: exp.Select, dialect: str) -> exp.Expr:
    unlisted(node, dialect)
    ungrouped(node)
    return node


def ungrouped(node: exp.Expr) -> None:
    """GROUP BY ALL and ORDER BY ALL, by the numbers of the columns."""
    group, order = node.args.get("group"), node.args.get("order")
    plain = not any(each.is_star for each in node.expressions)
    if group and group.args.get("all") and plain:
        keys = [n for n, each in enumerate(node.expressions, 1) if not aggregates(each, node)]
        node.set("group", exp.Group(expressions=[exp.Literal.number(n) for n in keys]) if keys else None)
    if order and len(order.expressions) == 1 and isinstance(only := order.expressions[0].this, exp.Var):
        if not plain:
            raise QueryError("ORDER BY ALL of a * cannot be written out: name the columns.")
        node.set(
            "order",
            exp.Order(
                expressions=[
                    exp.Ordered(
                        this=exp.Literal.number(n), desc=only.args.get("desc"), nulls_first=only.args.get("nulls_first")
                    )
                    for n in range(1, len(node.expressions) + 1)
                ]
            ),
        )


def aggregates(node: exp.Expr, query: exp.Expr) -> bool:
    """Whether a column of a query is made by an aggregate of that query."""
    return any(
        each.find_ancestor(exp.Query) is query and not isinstance(each.parent, exp.Window)
        for each in node.find_all(exp.AggFunc)
    )


def unlisted(node: exp.Select, dialect: str) -> None:
    """`SELECT unnest(list)` without FROM, as rows: of a constant list, written out."""
    found = [each for each in node.find_all(exp.Explode) if each.find_ancestor(exp.Query) is node]
    if node.args.get("from_") or len(found) != 1:
        return
    elements = found[0].this
    places = [each for each in node.find_all(exp.Anonymous) if each.name.lower() == "generate_subscripts"]
    if is_null(elements) or (isinstance(elements, exp.Array) and not elements.expressions):
        found[0].replace(exp.null())
        for each in places:
            each.replace(exp.cast(exp.null(), "BIGINT"))
        node.limit(0, copy=False)
    elif isinstance(elements, exp.Array | exp.Subquery):
        constant = isinstance(elements, exp.Array)
        offset = 0 if constant or dialect == "trino" else 1
        number: exp.Expr = exp.column("_i", table="_u")
        number = exp.Add(this=number, expression=exp.Literal.number(offset)) if offset else number
        found[0].replace(exp.column("_v", table="_u"))
        for each in places:
            each.replace(number.copy())
        if constant:
            rows = [
                exp.Tuple(expressions=[each, exp.Literal.number(n)]) for n, each in enumerate(elements.expressions, 1)
            ]
            node.from_(exp.values(rows, alias="_u", columns=["_v", "_i"]), copy=False)
        else:
            node.from_(exp.select(exp.alias_(elements, "_list")).subquery("_l"), copy=False)
            alias = exp.TableAlias(this=exp.to_identifier("_u"), columns=[exp.to_identifier("_v")])
            unnest = exp.Unnest(
                expressions=[exp.column("_list", table="_l")], alias=alias, offset=exp.to_identifier("_i")
            )
            node.join(unnest, join_type="cross", copy=False)


FUNCTIONS: dict[str, Callable[[exp.Expr, str], exp.Expr]] = {
    "error": error,
    "isfinite": is_finite,
    "list_extract": element,
    "md5_number_lower": md5_number,
}
RULES: dict[type[exp.Expr], Callable[[Any, str], exp.Expr]] = {
    exp.Anonymous: function,
    exp.JarowinklerSimilarity: similarity,
    exp.IgnoreNulls: any_value,
    exp.RegexpLike: pattern,
    exp.PercentileCont: percentile,
    exp.ArrayAgg: collected,
    exp.GroupConcat: null_last,
    exp.Window: null_last,
    exp.Identifier: identifier,
    exp.Log: logarithm,
    exp.Cast: conversion,
    exp.DPipe: joined,
    exp.Div: quotient,
    exp.Select: select,
}
