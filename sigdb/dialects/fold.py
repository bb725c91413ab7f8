"""Constant folding: conditions on constants are decided, and branches that cannot be taken are dropped.

Only the text of macros is folded. A rule may change the type or name of an expression, or the columns of a `*`. Macros
do not rely on these, but the caller's query may (`WHERE 1 = 0` asks for the columns alone), so it stays as it is.
"""

from __future__ import annotations

import operator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "decide",
    "drop_join",
    "fold",
    "fold_node",
    "is_constant",
    "is_empty",
    "is_null",
    "is_of_caller",
    "mark_caller",
]

CALLER = "caller"
# Settings of DuckDB's planner that macros read. This one splits a list of genes into branches; with a value above
# every gene id there is a single branch.
SETTINGS = {"dynamic_or_filter_threshold": 1 << 32}

COMPARE: dict[type[exp.Expr], Callable[[Any, Any], Any]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
}


def mark_caller(tree: exp.Expr) -> None:
    """Mark the nodes of the caller's query. The mark is kept when they are copied into a macro as arguments."""
    for node in tree.walk():
        node.meta[CALLER] = True


def is_of_caller(node: exp.Expr) -> bool:
    """Whether a node is from the caller's query, not from a macro."""
    return node.meta_get(CALLER) is not None


def decide(value: exp.Expr) -> exp.Expr:
    """Fold an argument of a macro, if it has only constants."""
    if is_constant(value) or value.find(exp.Column, exp.Query, exp.AggFunc):
        return value
    for node in value.walk():
        node.meta.pop(CALLER, None)
    return fold(value)


def fold(tree: exp.Expr, nodes: Sequence[exp.Expr] | None = None) -> exp.Expr:
    """Fold a tree in place, from the leaves up, and return its root, which may be a new node.

    nodes: the nodes to fold, parents before children; by default all nodes of the tree.
    """
    for node in reversed(nodes or list(tree.bfs())):
        result = fold_node(node)
        if result is not node:
            if node is tree:
                tree = result
            if node.parent is not None:
                node.replace(result)
    return tree


def fold_node(node: exp.Expr) -> exp.Expr:
    """The node that a folded node becomes; the same node if nothing is decided, or if it is the caller's."""
    rule = RULES.get(type(node))
    return rule(node) if rule and not is_of_caller(node) else node


def is_null(node: exp.Expr | None) -> bool:
    """Whether a node is NULL, of any type."""
    return isinstance(node, exp.Null) or (isinstance(node, exp.Cast | exp.Paren) and is_null(node.this))


def is_constant(node: exp.Expr | None) -> bool:
    """Whether a node is a literal, or a list of literals."""
    if isinstance(node, exp.Array):
        return all(is_constant(each) for each in node.expressions)
    if isinstance(node, exp.Neg | exp.Cast):
        return is_constant(node.this)
    return isinstance(node, exp.Literal | exp.Boolean) or is_null(node)


def value(node: exp.Expr | None) -> str | Decimal | bool | None:
    """The value of a literal in Python; None for a DOUBLE (1e6) and for what is not a literal."""
    if isinstance(node, exp.Literal):
        if node.is_string:
            return node.name
        return Decimal(node.name) if "e" not in node.name.lower() else None
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Neg) and isinstance(number := value(node.this), Decimal):
        return -number
    return None


def fold_comparison(node: exp.Expr) -> exp.Expr:
    left, right = value(node.this), value(node.expression)
    if is_null(node.this) or is_null(node.expression):
        return exp.null()
    same = left is not None and type(left) is type(right)
    return exp.Boolean(this=COMPARE[type(node)](left, right)) if same else node


def fold_null_test(node: exp.Expr) -> exp.Expr:
    known = isinstance(node.expression, exp.Null) and is_constant(node.this)
    return exp.Boolean(this=is_null(node.this)) if known else node


def fold_negation(node: exp.Expr) -> exp.Expr:
    if is_null(node.this):
        return exp.null()
    return exp.Boolean(this=not node.this.this) if isinstance(node.this, exp.Boolean) else node


def fold_connection(node: exp.Expr) -> exp.Expr:
    """AND and OR: a constant side decides the result, or does not matter."""
    decisive = isinstance(node, exp.Or)
    for side, other in ((node.this, node.expression), (node.expression, node.this)):
        if isinstance(side, exp.Boolean):
            return side if side.this is decisive else other
    return node


def fold_membership(node: exp.Expr) -> exp.Expr:
    if not node.expressions:  # IN (SELECT ...), or IN of a column that holds a list
        return node
    wanted, among = value(node.this), [value(each) for each in node.expressions]
    if is_null(node.this):
        return exp.null()
    known = wanted is not None and all(type(each) is type(wanted) for each in among)
    return exp.Boolean(this=wanted in among) if known else node


def fold_between(node: exp.Expr) -> exp.Expr:
    number, low, high = value(node.this), value(node.args["low"]), value(node.args["high"])
    if isinstance(number, Decimal) and isinstance(low, Decimal) and isinstance(high, Decimal):
        return exp.Boolean(this=low <= number <= high)
    return exp.null() if is_null(node.this) else node


def fold_case(node: exp.Expr) -> exp.Expr:
    if node.this is not None:
        return node
    kept: list[exp.Expr] = []
    for branch in node.args["ifs"]:
        if isinstance(branch.this, exp.Boolean) and branch.this.this:
            node.set("default", branch.args["true"])
            break
        if not (is_null(branch.this) or isinstance(branch.this, exp.Boolean)):
            kept.append(branch)
    node.set("ifs", kept)
    return node if kept else node.args.get("default") or exp.null()


def fold_coalesce(node: exp.Expr) -> exp.Expr:
    values: list[exp.Expr] = [each for each in (node.this, *node.expressions) if not is_null(each)]
    if not values:
        return exp.null()
    if len(values) == 1 or is_constant(values[0]):
        return values[0]
    node.set("this", values[0])
    node.set("expressions", values[1:])
    return node


def fold_size(node: exp.Expr) -> exp.Expr:
    if is_null(node.this):
        return exp.null()
    return exp.Literal.number(len(node.this.expressions)) if isinstance(node.this, exp.Array) else node


def fold_null_function(node: exp.Expr) -> exp.Expr:
    """A function of a list, which is NULL for NULL."""
    return exp.null() if is_null(node.this) else node


def fold_arithmetic(node: exp.Expr) -> exp.Expr:
    return exp.null() if is_null(node.this) or is_null(node.expression) else node


def fold_product(node: exp.Expr) -> exp.Expr:
    if fold_arithmetic(node) is not node:
        return exp.null()
    first: exp.Expr = node.this
    second: exp.Expr = node.expression
    for side, other in ((first, second), (second, first)):
        if isinstance(side, exp.Literal) and not side.is_string and side.name == "1":
            return other
    left, right = value(node.this), value(node.expression)
    known = isinstance(left, Decimal) and isinstance(right, Decimal) and left == int(left) and right == int(right)
    return exp.Literal.number(int(left * right)) if known else node  # type: ignore[operator]


def fold_greatest(node: exp.Expr) -> exp.Expr:
    numbers = [value(each) for each in (node.this, *node.expressions)]
    known = all(isinstance(number, Decimal) for number in numbers)
    return exp.Literal.number(max(numbers)) if known else node  # type: ignore[type-var]


def fold_setting(node: exp.Expr) -> exp.Expr:
    """current_setting: other engines do not have DuckDB's settings."""
    name = node.expressions[0].name if node.name.lower() == "current_setting" else ""
    return exp.Literal.number(SETTINGS[name]) if name in SETTINGS else node


def fold_type(node: exp.Expr) -> exp.Expr:
    """typeof, by which macros tell a text from a list: what is no text is a list."""
    if is_null(node.this):
        return exp.Literal.string("NULL")
    is_text = isinstance(node.this, exp.Literal) and node.this.is_string
    return exp.Literal.string("VARCHAR" if is_text else "VARCHAR[]")


def fold_try_cast(node: exp.Expr) -> exp.Expr:
    """A cast of what is a list of names to a list of names is left out."""
    inner: exp.Expr = node.this
    return inner if node.args["to"].is_type("array") and not is_null(inner) else node


def fold_brackets(node: exp.Expr) -> exp.Expr:
    inner: exp.Expr = node.this
    return inner if isinstance(inner, exp.Literal | exp.Boolean | exp.Null | exp.Paren) else node


def fold_union(node: exp.Expr) -> exp.Expr:
    """UNION ALL without its empty branches, unless the union as a whole has an ORDER BY, LIMIT, WITH or similar."""
    left: exp.Expr = node.this
    right: exp.Expr = node.expression
    whole = any(node.args.get(key) for key in ("distinct", "by_name", "order", "limit", "offset", "with_"))
    if whole or not all(isinstance(each, exp.Query) for each in (left, right)):
        return node
    if is_empty(right):
        return left
    return right if is_empty(left) else node


def is_empty(query: exp.Expr) -> bool:
    """Whether a query has no rows for any data. An aggregate without GROUP BY always has one row."""
    if not isinstance(query, exp.Select):
        return False
    grouped = query.args.get("group") or not any(map(is_aggregate, query.expressions))
    inner = [join.args.get("on") for join in query.args.get("joins") or [] if not join.side and join.kind != "ANTI"]
    conditions = [query.args.get("where"), *inner]
    return bool(grouped) and any(is_false(each.this if isinstance(each, exp.Where) else each) for each in conditions)


def is_aggregate(value: exp.Expr) -> bool:
    """Whether a value is aggregated over rows. A window function gives one value for each row."""
    return any(not isinstance(each.parent, exp.Window) for each in value.find_all(exp.AggFunc))


def is_false(condition: exp.Expr | None) -> bool:
    """Whether a condition holds for no row."""
    return is_null(condition) or (isinstance(condition, exp.Boolean) and not condition.this)


def fold_select(node: exp.Expr) -> exp.Expr:
    where = node.args.get("where")
    if where is not None and isinstance(where.this, exp.Boolean) and where.this.this:
        node.set("where", None)
    for join in list(node.args.get("joins") or []):
        if join.side == "LEFT" and isinstance(join.this, exp.Subquery) and is_empty(join.this.this):
            drop_join(node, join)
    return node


def drop_join(query: exp.Expr, join: exp.Expr) -> None:
    """Remove a LEFT JOIN with an empty relation, whose columns are NULL."""
    join.pop()
    for column in list(query.find_all(exp.Column)):
        if column.table == join.alias_or_name and column.find_ancestor(exp.Query) is query:
            column.replace(exp.null())


RULES: dict[type[Any], Callable[[exp.Expr], exp.Expr]] = {
    **dict.fromkeys(COMPARE, fold_comparison),
    exp.Is: fold_null_test,
    exp.Not: fold_negation,
    exp.And: fold_connection,
    exp.Or: fold_connection,
    exp.In: fold_membership,
    exp.Between: fold_between,
    exp.Case: fold_case,
    exp.Coalesce: fold_coalesce,
    exp.Length: fold_size,
    exp.ArraySize: fold_size,
    exp.ArrayContains: fold_null_function,
    exp.Add: fold_arithmetic,
    exp.Sub: fold_arithmetic,
    exp.Mul: fold_product,
    exp.Greatest: fold_greatest,
    exp.Anonymous: fold_setting,
    exp.Paren: fold_brackets,
    exp.Typeof: fold_type,
    exp.TryCast: fold_try_cast,
    exp.Union: fold_union,
    exp.Select: fold_select,
}
