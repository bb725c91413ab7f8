"""DuckDB's SQL in words that other engines have: what sqlglot leaves, or would translate into something else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from sigdb.dialects.aggregates import AGGREGATES, SPARK, call, known
from sigdb.dialects.allowed import check
from sigdb.dialects.fold import decided, fold, is_null
from sigdb.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ported"]

INTEGERS = (exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT)
LARGE = (exp.DType.BIGINT, exp.DType.UINT, exp.DType.UBIGINT, exp.DType.INT128)
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
    if number.find(exp.Neg):
        raise QueryError(f"{dialect} has no equivalent of an element counted from the end of a list.")
    if dialect == "trino":
        return call("ELEMENT_AT", elements, number)
    if dialect == "bigquery":
        return exp.Bracket(this=elements, expressions=[call("SAFE_ORDINAL", number)])
    one = exp.Literal.number(1)
    return call(
        "GET", elements, exp.convert(int(number.name) - 1) if number.is_int else exp.Sub(this=number, expression=one)
    )


def bracket(node: exp.Expr, dialect: str) -> exp.Expr:
    """list[number], where sqlglot has counted from 0 if the number is a literal."""
    (number, *more) = node.expressions
    if more or number.is_string or isinstance(number, exp.Slice):
        return node
    if number.is_int:
        number = exp.convert(int(number.to_py()) + 1)
    return element(call("LIST_EXTRACT", node.this, number), dialect)


def part(node: exp.Expr, dialect: str) -> exp.Expr:
    """A part of a text by number: past the last one, an empty text. BigQuery splits into a list, Trino gives NULL."""
    text, number = node.this, node.args["part_index"]
    if dialect == "bigquery":
        words = call("SPLIT", text, node.args["delimiter"])
        node = exp.Bracket(this=words, expressions=[call("SAFE_ORDINAL", number)])
    if dialect in ("bigquery", "trino") and number != exp.Literal.number(1):
        node = exp.Coalesce(this=node.copy(), expressions=[known(text, exp.Literal.string(""))])
    return node


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


def pattern(node: exp.Expr, dialect: str) -> exp.Expr:
    """A flag of a regular expression is part of it. Snowflake's REGEXP_LIKE is of a whole text, REGEXP_INSTR is not."""
    flag, wanted = node.args.get("flag"), node.expression
    flags = flag.name.replace("c", "") if flag is not None else ""
    if set(flags) - {"i", "s"}:
        raise QueryError(f"{dialect} has no equivalent of the flag {flags} of a regular expression.")
    if dialect == "snowflake":
        options = [*map(exp.convert, (1, 1, 0, flags))] if flags else []
        return exp.GT(this=call("REGEXP_INSTR", node.this, wanted, *options), expression=exp.convert(0))
    node.set("flag", None)
    if flags:
        text = f"(?{flags})"
        both = exp.DPipe(this=exp.convert(text), expression=wanted)
        node.set("expression", exp.convert(text + wanted.name) if wanted.is_string else both)
    return node


def like(node: exp.Expr, dialect: str) -> exp.Expr:
    """DuckDB's LIKE has no escape of its own; elsewhere, a backslash is one, unless another is named."""
    wanted, one, two = node.expression, exp.convert("\\"), exp.convert("\\\\")
    if dialect not in (*SPARK, "bigquery") or isinstance(node.parent, exp.Escape):
        return node
    if wanted.is_string:
        node.set("expression", exp.convert(wanted.name.replace(one.name, two.name)))
    else:
        node.set("expression", exp.Replace(this=wanted, expression=one, replacement=two))
    return node


def among(node: exp.Expr, dialect: str) -> exp.Expr:
    """`value IN list`, where the list is not written out."""
    field = node.args.get("field")
    return contained(exp.ArrayContains(this=field, expression=node.this), dialect) if field else node


def contained(node: exp.Expr, dialect: str) -> exp.Expr:
    """Whether a value is in a list: BigQuery asks for a row of it, which there is not for NULL either."""
    return known(node.expression, known(node.this, node.copy())) if dialect == "bigquery" else node


def series(node: exp.Expr, dialect: str) -> exp.Expr:
    """Numbers upwards: none if the first is past the last, from where Spark and Trino count downwards."""
    step = node.args.get("step")
    if isinstance(node.parent, exp.Table):
        raise QueryError(f"{dialect} has no equivalent of generate_series and range as tables: unnest them in SELECT.")
    if step and not (isinstance(step, exp.Literal) and step.is_int and step.name != "0"):
        raise QueryError(f"{dialect} has no equivalent of a series in other steps than a positive number written out.")
    if dialect not in (*SPARK, "trino"):
        return node
    start, end = node.args["start"].copy(), node.args["end"].copy()
    past: exp.Expr = exp.GT(this=start, expression=end)
    if node.args.get("is_end_exclusive"):
        past = exp.GTE(this=start, expression=end)
        node.set("end", end - 1)
        node.set("is_end_exclusive", False)
    return decided(exp.Case(ifs=[exp.If(this=past, true=exp.Array())], default=node.copy()))


def size(node: exp.Expr, dialect: str) -> exp.Expr:
    """DuckDB's len is of a list, too."""
    return exp.ArraySize(this=node.this) if isinstance(node.this, exp.Array) else node


def substring(node: exp.Expr, dialect: str) -> exp.Expr:
    """A part of a text from its first character on, which is number 1; of others each engine makes its own."""
    start, length = node.args["start"], node.args.get("length")
    if start.find(exp.Neg) or start == exp.convert(0) or (length and length.find(exp.Neg)):
        raise QueryError(
            f"{dialect} has no equivalent of a substring that does not start within the text: count from 1."
        )
    return node


def contains(node: exp.Expr, dialect: str) -> exp.Expr:
    """BigQuery's CONTAINS_SUBSTR makes no difference between upper and lower case."""
    if dialect == "bigquery":
        return exp.GT(this=call("STRPOS", node.this, node.expression), expression=exp.convert(0))
    return node


def identifier(node: exp.Expr, dialect: str) -> exp.Expr:
    """Snowflake's names are in upper case unless they are quoted, and SAMPLE is a keyword."""
    if (
        dialect == "snowflake"
        and re.fullmatch(r"\w+", node.name)
        and (node.args.get("quoted") or node.name.upper() == "SAMPLE")
    ):
        return exp.to_identifier(node.name.upper(), quoted=True)
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
        # A BOOLEAN cannot be rounded, a large number not made a DOUBLE.
        number = node.this if kind in LARGE or node.this.is_number else exp.cast(node.this, "DOUBLE")
        node.set("this", call("ROUND", number))
    return node


def attempt(node: exp.Expr, dialect: str) -> exp.Expr:
    """TRY_CAST to an integer, by way of a DOUBLE: only DuckDB and Snowflake round a text with a fraction."""
    to = node.args["to"]
    if to.this not in (*INTEGERS, *TYPES) or dialect == "snowflake":
        return node
    number = exp.TryCast(this=node.this, to=exp.DataType.build("DOUBLE"), safe=True)
    made = conversion(exp.Cast(this=number, to=to), dialect)
    return exp.TryCast(this=made.this, to=made.args["to"], safe=True)


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
    """Spark keeps six decimals of a quotient of decimals, Snowflake of any but DOUBLE."""
    if dialect == "snowflake" or (dialect in SPARK and isinstance(node, exp.Div)):
        node.set("this", exp.cast(node.this, "DOUBLE"))
    return node


def step(node: exp.Expr, dialect: str) -> exp.Expr:
    """Whether a common table expression is kept is for DuckDB alone to be told."""
    node.set("materialized", None)
    return node


def select(node: exp.Select, dialect: str) -> exp.Expr:
    unlisted(node, dialect)
    ungrouped(node)
    if dialect == "bigquery" and node.args.get("where") and not node.args.get("from_"):
        node.from_(exp.select("1").subquery("_one"), copy=False)  # it has no WHERE without FROM
    return ordered(node, dialect)


def ungrouped(node: exp.Expr) -> None:
    """GROUP BY ALL, by the numbers of the columns."""
    group = node.args.get("group")
    if group and group.args.get("all") and not any(each.is_star for each in node.expressions):
        keys = [n for n, each in enumerate(node.expressions, 1) if not aggregates(each, node)]
        node.set("group", exp.Group(expressions=[exp.Literal.number(n) for n in keys]) if keys else None)


def ordered(node: exp.Query, dialect: str) -> exp.Expr:
    """ORDER BY ALL, by the numbers of the columns."""
    order = node.args.get("order")
    if order and len(order.expressions) == 1 and isinstance((only := order.expressions[0]).this, exp.Var):
        if any(each.is_star for each in node.selects):
            raise QueryError(f"{dialect} has no equivalent of ORDER BY ALL of a *: name the columns.")
        numbers = map(exp.Literal.number, range(1, len(node.selects) + 1))
        order.set("expressions", [exp.Ordered(**{**only.args, "this": number}) for number in numbers])
    return node


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
    **AGGREGATES,
    exp.Anonymous: function,
    exp.JarowinklerSimilarity: similarity,
    exp.RegexpLike: pattern,
    exp.Identifier: identifier,
    exp.ArrayContains: contained,
    exp.Bracket: bracket,
    exp.Contains: contains,
    exp.CTE: step,
    exp.Except: ordered,
    exp.GenerateSeries: series,
    exp.ILike: like,
    exp.In: among,
    exp.IntDiv: quotient,
    exp.Intersect: ordered,
    exp.Length: size,
    exp.Like: like,
    exp.Log: logarithm,
    exp.Cast: conversion,
    exp.TryCast: attempt,
    exp.DPipe: joined,
    exp.Div: quotient,
    exp.Select: select,
    exp.SplitPart: part,
    exp.Substring: substring,
    exp.Union: ordered,
}
