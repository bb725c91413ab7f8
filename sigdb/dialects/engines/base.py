"""The base class of dialects: what all engines but DuckDB have in common, and the passes that port a query.

To add a dialect, write a subclass of `Dialect` in a module of this folder, and list it in `DIALECTS` (`__init__.py`).
Fill in:

- `name`: the name of the dialect in sqlglot, which writes the SQL.
- `REWRITES`: rules by class of node, for syntax that the engine lacks, or that has another meaning there.
- `FUNCTIONS`: rules by name, for functions that sqlglot has no class for. `error` must raise an error with a text.
- `REFUSALS`: constructs without an equivalent, by class of node. The text says what is missing, and after a colon what
  to use instead. A function may give the text for a node, or None if the node is fine.

Each table extends the table of the base class: `REWRITES = Dialect.REWRITES | {exp.Contains: contains}`. Rules that
several dialects share are in `rules` and `aggregates`; rules of one dialect are in its module. Then test the dialect
with `tests/support/queries.py`, on the engine itself or its grammar, and describe it in docs/dialects.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp

from sigdb.dialects.engines import aggregates, rules
from sigdb.dialects.engines.nodes import NoEquivalentError, Rule, in_turn, is_native, refuse
from sigdb.dialects.fold import fold_node, is_of_caller, mark_caller
from sigdb.errors import QueryError, message

__all__ = ["Dialect"]

Refusal = str | Callable[[Any], str | None]

# sqlglot's classes of functions that give the same result in every engine, as sqlglot and the rules write them. All
# others are refused: a function of the same name may compute something else (kurtosis).
SAME_FUNCTIONS = {
    "aggregates": "AnyValue ArgMax ArgMin ArrayAgg Avg Corr Count CountIf CovarPop CovarSamp GroupConcat LogicalAnd "
    "LogicalOr Max Median Min PercentileCont Stddev StddevPop StddevSamp Sum Variance VariancePop",
    "windows": "CumeDist DenseRank FirstValue Lag LastValue Lead NthValue Ntile PercentRank Rank RowNumber",
    "numbers": "Abs Ceil Exp Floor Greatest Least Ln Log Pow Round Sign Sqrt",
    "texts": "Contains EndsWith Length Lower MD5 RegexpLike Replace SplitPart StartsWith Substring Trim Upper",
    "lists": "Array ArrayContains ArraySize Explode GenerateSeries Struct Transform Unnest",
    "values of any type": "And Case Cast Coalesce Exists If Nullif Or TryCast",
}
ALLOWED = frozenset(" ".join(SAME_FUNCTIONS.values()).split())


class Dialect:
    """The SQL of an engine. The tables say how its SQL differs from DuckDB's; the methods apply them."""

    name: ClassVar[str]
    REWRITES: ClassVar[dict[type[exp.Expr], Rule]] = {
        exp.ArgMax: aggregates.keyed_extreme,
        exp.ArgMin: aggregates.keyed_extreme,
        exp.CTE: rules.drop_materialized,
        exp.Cast: rules.cast_signed,
        exp.DPipe: rules.parenthesise,
        exp.Except: rules.number_order,
        exp.GenerateSeries: rules.check_series,
        exp.IgnoreNulls: aggregates.any_value,
        exp.In: rules.in_list,
        exp.Intersect: rules.number_order,
        exp.JarowinklerSimilarity: rules.null_similarity,
        exp.Length: rules.size_of_list,
        exp.Log: rules.log10,
        exp.RegexpLike: rules.inline_flags,
        exp.Select: in_turn(rules.unnest_rows(first_index=0), rules.number_groups, rules.number_order),
        exp.Substring: rules.check_substring,
        exp.TryCast: rules.try_cast(rules.cast_signed),
        exp.Union: rules.number_order,
    }
    FUNCTIONS: ClassVar[dict[str, Rule]] = {
        "isfinite": rules.is_finite,
        "md5_number": refuse(
            "md5_number, which chooses control genes (signature_null, signature_controls): ask for these on "
            "DuckDB or Spark"
        ),
    }
    REFUSALS: ClassVar[dict[type[exp.Expr], Refusal]] = {
        exp.All: "ALL (...): compare with max or min",
        exp.Any: "ANY (...): use IN",
        exp.ArgMax: rules.several_rows,
        exp.ArgMin: rules.several_rows,
        exp.Columns: "COLUMNS(...): name the columns",
        exp.Comprehension: "a list comprehension: use list_transform, or unnest the list",
        exp.Join: rules.join_using,
        exp.Limit: rules.percentage,
        exp.Pivot: "PIVOT: write it as sums of CASE",
        exp.RegexpFullMatch: "a match of a whole text (regexp_full_match, and ~ before DuckDB 2.0): use regexp_matches",
        exp.SimilarTo: "SIMILAR TO: use regexp_matches",
        exp.Slice: "a slice of a list",
        exp.Star: rules.unusual_star,
        exp.TableSample: "a sample, which differs from engine to engine",
        exp.ToMap: "a MAP",
    }

    def port(self, tree: exp.Query) -> exp.Query:
        """Replace what the dialect lacks, in place. Raises QueryError, which names what has no equivalent."""
        try:
            for node in reversed(list(tree.bfs())):
                result = self.rewrite(node)
                if result is not node and is_of_caller(node):
                    mark_caller(result)
                result = fold_node(result)
                if result is not node and node.parent is not None:
                    node.replace(result)
        except NoEquivalentError as error:
            raise self.refusal_error(str(error)) from error
        for node in tree.walk():
            if text := self.refusal(node):
                raise self.refusal_error(text)
        return tree

    def rewrite(self, node: exp.Expr) -> exp.Expr:
        """The node that replaces a node; the same one if there is no rule for it."""
        by_name = isinstance(node, exp.Anonymous) and not is_native(node)
        rule = self.FUNCTIONS.get(node.name.lower()) if by_name else self.REWRITES.get(type(node))
        return rule(node) if rule else node

    def refusal(self, node: exp.Expr) -> str | None:
        """The name of a node without an equivalent in the dialect, and what to use instead; None for other nodes."""
        if isinstance(node, exp.Anonymous):
            return None if is_native(node) else f"the function {node.name}"
        found = self.REFUSALS.get(type(node))
        text = found(node) if callable(found) else found
        if text is None and isinstance(node, exp.Func) and type(node).__name__ not in ALLOWED:
            return f"the function {node.sql_name().lower()}"
        return text

    def refusal_error(self, text: str) -> QueryError:
        """The error for something without an equivalent."""
        return QueryError(f"{self.name} has no equivalent of {text}.")

    def write(self, tree: exp.Query) -> str:
        """A tree as text; QueryError for what sqlglot cannot write in the dialect."""
        try:
            return tree.sql(
                self.name,
                copy=False,
                pretty=True,
                normalize_functions="upper",
                unsupported_level=sqlglot.ErrorLevel.RAISE,
            )
        except sqlglot.errors.UnsupportedError as error:
            raise QueryError(f"{self.name} cannot express this query: {message(error)}") from error
