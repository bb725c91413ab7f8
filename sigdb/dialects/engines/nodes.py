"""Syntax-tree helpers for the rules of all dialects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from sqlglot import exp

from sigdb.dialects.fold import is_constant, is_null

__all__ = ["NoEquivalentError", "Rule", "call", "in_turn", "is_native", "null_test", "refuse", "rename", "when_known"]

# A rule takes a node and returns the node that replaces it. The same node means: no change, or changed in place.
Rule = Callable[[Any], exp.Expr]


class NoEquivalentError(Exception):
    """A construct that a dialect has no equivalent of. The text names it, and what to use instead."""


def call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    """A call of a function of the engine, which is written as it stands."""
    made = exp.Anonymous(this=name, expressions=[*arguments])
    made.meta["native"] = True
    return made


def is_native(node: exp.Expr) -> bool:
    """Whether a node was made by `call`."""
    return node.meta_get("native") is not None


def rename(name: str) -> Rule:
    """A rule for a function that has another name in the dialect."""
    return lambda node: call(name, *node.expressions)


def in_turn(*rules: Rule) -> Rule:
    """A rule that applies several rules, until one of them returns another node."""

    def rule(node: exp.Expr) -> exp.Expr:
        for each in rules:
            result = each(node)
            if result is not node:
                return result
        return node

    return rule


def refuse(text: str) -> Rule:
    """A rule for a construct that the dialect has no equivalent of."""

    def rule(node: exp.Expr) -> NoReturn:
        raise NoEquivalentError(text)

    return rule


def null_test(value: exp.Expr) -> exp.Expr:
    """`value IS NULL`."""
    return exp.Is(this=value, expression=exp.null())


def when_known(tested: exp.Expr, value: exp.Expr) -> exp.Expr:
    """A value that becomes NULL where another one is NULL."""
    if is_constant(tested) and not is_null(tested):
        return value
    return exp.Case(ifs=[exp.If(this=null_test(tested.copy()).not_(), true=value)])
