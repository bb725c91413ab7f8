"""Rewrite rules and refusals, except for aggregates, that all or several dialects share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from sigdb.dialects.engines.nodes import NoEquivalentError, Rule, call, when_known
from sigdb.dialects.fold import decide, is_null

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "GREATEST",
    "LARGE_TYPES",
    "LEAST",
    "ROUNDED_TYPES",
    "SIGNED_TYPES",
    "cast_signed",
    "check_series",
    "check_substring",
    "double_backslashes",
    "drop_materialized",
    "get_element",
    "guard_series",
    "in_list",
    "inline_flags",
    "is_finite",
    "join_using",
    "log10",
    "null_similarity",
    "number_groups",
    "number_order",
    "parenthesise",
    "part_or_empty",
    "percentage",
    "regexp_flags",
    "several_rows",
    "size_of_list",
    "subscript",
    "try_cast",
    "union_by_name",
    "unnest_rows",
    "unusual_join",
    "unusual_star",
]

# DuckDB's types that other engines lack, and the smallest signed type that holds their values.
SIGNED_TYPES = {
    exp.DType.UTINYINT: "SMALLINT",
    exp.DType.USMALLINT: "INT",
    exp.DType.UINT: "BIGINT",
    exp.DType.UBIGINT: "DECIMAL(20, 0)",
    exp.DType.INT128: "DECIMAL(38, 0)",
}
# Types to which DuckDB rounds.
ROUNDED_TYPES = {exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT, *SIGNED_TYPES}
# Types with values that a DOUBLE does not hold exactly.
LARGE_TYPES = {exp.DType.BIGINT, exp.DType.UINT, exp.DType.UBIGINT, exp.DType.INT128}

# For engines whose greatest and least are NULL if any argument is NULL.
GREATEST = "greatest, which skips NULL in DuckDB: use CASE"
LEAST = "least, which skips NULL in DuckDB: use CASE"


# Queries


def drop_materialized(node: exp.Expr) -> exp.Expr:
    """AS MATERIALIZED only advises DuckDB's planner."""
    node.set("materialized", None)
    return node


def number_groups(node: exp.Expr) -> exp.Expr:
    """GROUP BY ALL becomes GROUP BY the numbers of the columns."""
    group = node.args.get("group")
    if group and group.args.get("all") and not any(each.is_star for each in node.expressions):
        keys = [n for n, each in enumerate(node.expressions, 1) if not has_aggregate(each, node)]
        node.set("group", exp.Group(expressions=[exp.Literal.number(n) for n in keys]) if keys else None)
    return node


def has_aggregate(node: exp.Expr, query: exp.Expr) -> bool:
    """Whether a column of a query has an aggregate of that same query."""
    return any(
        each.find_ancestor(exp.Query) is query and not isinstance(each.parent, exp.Window)
        for each in node.find_all(exp.AggFunc)
    )


def number_order(node: exp.Query) -> exp.Expr:
    """ORDER BY ALL becomes ORDER BY the numbers of the columns."""
    order = node.args.get("order")
    if order and len(order.expressions) == 1 and isinstance((only := order.expressions[0]).this, exp.Var):
        if any(each.is_star for each in node.selects):
            raise NoEquivalentError("an ORDER BY ALL of a *: name the columns")
        numbers = map(exp.Literal.number, range(1, len(node.selects) + 1))
        order.set("expressions", [exp.Ordered(**{**only.args, "this": number}) for number in numbers])
    return node


def unnest_rows(first_index: int) -> Rule:
    """The rule for `SELECT unnest(list)` without FROM. first_index: the engine's index of the first list element."""

    def rule(node: exp.Select) -> exp.Expr:
        if node.args.get("from_"):
            return node
        found = [each for each in node.find_all(exp.Explode) if each.find_ancestor(exp.Query) is node]
        if len(found) == 1:
            unnest_list(node, found[0], first_index)
        return node

    return rule


def unnest_list(node: exp.Select, unnest: exp.Expr, first_index: int) -> None:
    """Read the elements of a list from FROM: of a constant list as VALUES, of others by UNNEST."""
    elements = unnest.this
    subscripts = [each for each in node.find_all(exp.Anonymous) if each.name.lower() == "generate_subscripts"]
    if is_null(elements) or (isinstance(elements, exp.Array) and not elements.expressions):
        unnest.replace(exp.null())
        for each in subscripts:
            each.replace(exp.cast(exp.null(), "BIGINT"))
        node.limit(0, copy=False)
        return
    index: exp.Expr = exp.column("_i", table="_u")
    if isinstance(elements, exp.Array):
        rows = [exp.Tuple(expressions=[each, exp.Literal.number(n)]) for n, each in enumerate(elements.expressions, 1)]
        node.from_(exp.values(rows, alias="_u", columns=["_v", "_i"]), copy=False)
    elif isinstance(elements, exp.Subquery):
        node.from_(exp.select(exp.alias_(elements, "_list")).subquery("_l"), copy=False)
        alias = exp.TableAlias(this=exp.to_identifier("_u"), columns=[exp.to_identifier("_v")])
        source = exp.Unnest(expressions=[exp.column("_list", table="_l")], alias=alias, offset=exp.to_identifier("_i"))
        node.join(source, join_type="cross", copy=False)
        if first_index == 0:
            index = exp.Add(this=index, expression=exp.Literal.number(1))
    else:
        return
    unnest.replace(exp.column("_v", table="_u"))
    for each in subscripts:
        each.replace(index.copy())


# Numbers and types


def is_finite(node: exp.Expr) -> exp.Expr:
    """isfinite: NaN is either larger than any number, or equal to none."""
    return exp.LTE(this=exp.Abs(this=node.expressions[0]), expression=exp.Literal.number("1.7976931348623157e308"))


def log10(node: exp.Expr) -> exp.Expr:
    """DuckDB's log(x) has the base 10."""
    return node if node.expression else exp.Log(this=exp.Literal.number(10), expression=node.this)


def cast_signed(node: exp.Expr) -> exp.Expr:
    """A cast to a type that other engines lack becomes a cast to a signed one."""
    kind = node.args["to"].this
    if kind in SIGNED_TYPES:
        node.set("to", exp.DataType.build(SIGNED_TYPES[kind]))
    return node


def try_cast(cast: Rule) -> Rule:
    """The rule for TRY_CAST to an integer: by way of a DOUBLE, since DuckDB rounds a text with a fraction."""

    def rule(node: exp.Expr) -> exp.Expr:
        to = node.args["to"]
        if to.this not in ROUNDED_TYPES:
            return node
        number = exp.TryCast(this=node.this, to=exp.DataType.build("DOUBLE"), safe=True)
        made = cast(exp.Cast(this=number, to=to))
        return exp.TryCast(this=made.this, to=made.args["to"], safe=True)

    return rule


# Texts


def null_similarity(node: exp.Expr) -> exp.Expr:
    """No other engine has jaro_winkler_similarity. It suggests names: with NULL, nothing is suggested."""
    return exp.cast(exp.null(), "DOUBLE")


def regexp_flags(node: exp.Expr) -> str:
    """The flags of regexp_matches that every engine has: i and s. The flag c is the default."""
    flag = node.args.get("flag")
    flags = flag.name.replace("c", "") if flag is not None else ""
    if set(flags) - {"i", "s"}:
        raise NoEquivalentError(f"the flag {flags} of a regular expression")
    return flags


def inline_flags(node: exp.Expr) -> exp.Expr:
    """The flags of a regular expression become a part of it: `(?i)...`."""
    flags, pattern = regexp_flags(node), node.expression
    node.set("flag", None)
    if flags:
        text = f"(?{flags})"
        both = exp.DPipe(this=exp.convert(text), expression=pattern)
        node.set("expression", exp.convert(text + pattern.name) if pattern.is_string else both)
    return node


def double_backslashes(node: exp.Expr) -> exp.Expr:
    """In DuckDB's LIKE a backslash is a plain character; here it escapes, unless ESCAPE names another one."""
    pattern, one, two = node.expression, exp.convert("\\"), exp.convert("\\\\")
    if isinstance(node.parent, exp.Escape):
        return node
    if pattern.is_string:
        node.set("expression", exp.convert(pattern.name.replace(one.name, two.name)))
    else:
        node.set("expression", exp.Replace(this=pattern, expression=one, replacement=two))
    return node


def parenthesise(node: exp.Expr) -> exp.Expr:
    """|| binds less tightly than + in DuckDB; elsewhere they may bind equally."""
    for key in ("this", "expression"):
        part = node.args[key]
        if isinstance(part, exp.Binary) and not isinstance(part, exp.DPipe):
            node.set(key, exp.paren(part))
    return node


def check_substring(node: exp.Expr) -> exp.Expr:
    """Engines agree on substrings that start at the first character, which is number 1, or after it."""
    start, length = node.args["start"], node.args.get("length")
    if start.find(exp.Neg) or start == exp.convert(0) or (length and length.find(exp.Neg)):
        raise NoEquivalentError("a substring that does not start within the text: count from 1")
    return node


def part_or_empty(node: exp.Expr, text: exp.Expr, number: exp.Expr) -> exp.Expr:
    """split_part gives an empty text past the last part, where the node gives NULL."""
    if number == exp.Literal.number(1):
        return node
    return exp.Coalesce(this=node.copy(), expressions=[when_known(text, exp.Literal.string(""))])


# Lists


def get_element(elements: exp.Expr, number: exp.Expr) -> exp.Expr:
    """An element by GET, which counts from 0."""
    one = exp.Literal.number(1)
    index = exp.convert(int(number.name) - 1) if number.is_int else exp.Sub(this=number, expression=one)
    return call("GET", elements, index)


def subscript(element: Callable[[exp.Expr, exp.Expr], exp.Expr]) -> tuple[Rule, Rule]:
    """The rules for list_extract(list, number) and list[number], which are NULL past the end of the list.

    element: makes the engine's expression from the list and the number of the element, counted from 1.
    """

    def list_extract(node: exp.Expr) -> exp.Expr:
        elements, number = node.expressions
        if number.find(exp.Neg):
            raise NoEquivalentError("an element counted from the end of a list")
        return element(elements, number)

    def bracket(node: exp.Expr) -> exp.Expr:
        number, *more = node.expressions
        if more or number.is_string or isinstance(number, exp.Slice):
            return node
        if number.is_int:  # sqlglot counts literal numbers from 0
            number = exp.convert(int(number.to_py()) + 1)
        return list_extract(call("LIST_EXTRACT", node.this, number))

    return list_extract, bracket


def in_list(node: exp.Expr) -> exp.Expr:
    """`value IN list`, where the list is an expression."""
    field = node.args.get("field")
    return exp.ArrayContains(this=field, expression=node.this) if field else node


def size_of_list(node: exp.Expr) -> exp.Expr:
    """DuckDB's len is also the size of a list."""
    return exp.ArraySize(this=node.this) if isinstance(node.this, exp.Array) else node


def check_series(node: exp.Expr) -> exp.Expr:
    """Engines agree only on ascending series of numbers, in SELECT."""
    step = node.args.get("step")
    if isinstance(node.parent, exp.Table):
        raise NoEquivalentError("generate_series and range as tables: unnest them in SELECT")
    if step and not (isinstance(step, exp.Literal) and step.is_int and step.name != "0"):
        raise NoEquivalentError("a series with a step other than a positive number written as a literal")
    return node


def guard_series(node: exp.Expr) -> exp.Expr:
    """A series is empty if the first number is past the last, where these engines would count downwards."""
    check_series(node)
    start, end = node.args["start"].copy(), node.args["end"].copy()
    past: exp.Expr = exp.GT(this=start, expression=end)
    if node.args.get("is_end_exclusive"):
        past = exp.GTE(this=start, expression=end)
        node.set("end", end - 1)
        node.set("is_end_exclusive", False)
    return decide(exp.Case(ifs=[exp.If(this=past, true=exp.Array())], default=node.copy()))


# Refusals that depend on the node


def several_rows(node: exp.Expr) -> str | None:
    """arg_max(value, key, n)."""
    return "arg_max and arg_min of several rows" if node.args.get("count") else None


def unusual_join(node: exp.Join) -> str | None:
    """Joins that only DuckDB has."""
    kind = (node.method or node.kind).upper()
    return f"a {kind} join" if kind in ("ASOF", "POSITIONAL") else None


def join_using(node: exp.Join) -> str | None:
    """SEMI and ANTI joins become EXISTS, which needs a condition."""
    if node.kind in ("SEMI", "ANTI") and node.args.get("using"):
        return f"{node.kind} JOIN ... USING: give it a condition, ON"
    return unusual_join(node)


def percentage(node: exp.Limit) -> str | None:
    """LIMIT 10 %."""
    options = node.args.get("limit_options")
    return "LIMIT of a percentage" if options and options.args.get("percent") else None


def unusual_star(node: exp.Star) -> str | None:
    """`*` with changes."""
    return "* REPLACE or RENAME: name the columns" if node.args.get("replace") or node.args.get("rename") else None


def union_by_name(node: exp.SetOperation) -> str | None:
    """UNION BY NAME."""
    return "UNION BY NAME: name the columns" if node.args.get("by_name") else None
