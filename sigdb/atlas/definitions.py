"""Whether two definitions of a view or macro are the same, whichever versions of DuckDB stored them.

DuckDB shows a stored definition as text that it makes from its own tree. Versions differ in the tree: one stores
`false`, another CAST('f' AS BOOLEAN), and they put parentheses in different places.
"""

from __future__ import annotations

import re
from functools import cache, reduce
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_same"]

# What versions of DuckDB show in different ways, and one way to write it.
SPELLINGS: Mapping[str, str] = {
    r"CAST\('f' AS BOOLEAN\)": "false",
    r"CAST\('t' AS BOOLEAN\)": "true",
    r"(?<![\w.])main\.list_value\(": "list_value(",
}


def is_same(one: str, other: str) -> bool:
    """Whether two definitions mean the same to every version of DuckDB."""
    if one == other:
        return True
    trees = tree_of(one), tree_of(other)
    return None not in trees and trees[0] == trees[1]


@cache
def tree_of(definition: str) -> exp.Expr | None:
    """The syntax tree of a definition without parentheses, because a tree has the order; None if it is not SQL."""
    for shown, plain in SPELLINGS.items():
        definition = re.sub(shown, plain, definition)
    try:
        tree = exp.Tuple(expressions=[sqlglot.parse_one(definition, dialect="duckdb")])
    except sqlglot.errors.SqlglotError:
        return None
    for node in reversed(list(tree.find_all(exp.Paren, exp.Subquery))):
        if isinstance(node, exp.Paren) or (isinstance(node.parent, exp.Union) and not node.alias):
            node.replace(node.this)
    for union in list(tree.find_all(exp.Union)):
        if is_plain(union) and not is_plain(union.parent):
            union.replace(reduce(unite, branches(union)))
    return tree


def is_plain(query: exp.Expr | None) -> bool:
    """Whether a query is UNION ALL of two queries, without WITH, ORDER BY, LIMIT or BY NAME."""
    others = query.args.items() if isinstance(query, exp.Union) else [("is_union", True)]
    return not any(value for name, value in others if name not in ("this", "expression"))


def branches(query: exp.Expr) -> list[exp.Expr]:
    """The queries that UNION ALL puts together, in order, however they are nested."""
    if is_plain(query):
        return [*branches(query.this), *branches(query.expression)]
    return [query]


def unite(one: exp.Expr, other: exp.Expr) -> exp.Expr:
    """Two queries under UNION ALL."""
    return exp.Union(this=one, expression=other, distinct=False)
