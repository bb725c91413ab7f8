"""What may stand in a query for another engine: functions that mean the same there, and constructs that it has."""

from __future__ import annotations

from sqlglot import exp

from sigdb.dialects.aggregates import SPARK
from sigdb.errors import QueryError

__all__ = ["SAME", "check"]

# Functions that give the same result everywhere, as sqlglot and `sigdb.portable` write them. Others may be called the
# same and count otherwise (kurtosis), so they are refused.
SAME: tuple[type[exp.Func], ...] = (
    # of groups
    exp.AnyValue, exp.ArgMax, exp.ArgMin, exp.ArrayAgg, exp.Avg, exp.Corr, exp.Count, exp.CountIf, exp.CovarPop,
    exp.CovarSamp, exp.GroupConcat, exp.LogicalAnd, exp.LogicalOr, exp.Max, exp.Median, exp.Min, exp.PercentileCont,
    exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Sum, exp.Variance, exp.VariancePop,
    # of windows
    exp.CumeDist, exp.DenseRank, exp.FirstValue, exp.Lag, exp.LastValue, exp.Lead, exp.NthValue, exp.Ntile,
    exp.PercentRank, exp.Rank, exp.RowNumber,
    # of numbers
    exp.Abs, exp.Ceil, exp.Exp, exp.Floor, exp.Greatest, exp.Least, exp.Ln, exp.Log, exp.Pow, exp.Round, exp.Sign,
    exp.Sqrt,
    # of texts
    exp.Contains, exp.EndsWith, exp.Length, exp.Lower, exp.MD5, exp.RegexpLike, exp.Replace, exp.SplitPart,
    exp.StartsWith, exp.Substring, exp.Trim, exp.Upper,
    # of lists
    exp.Array, exp.ArrayContains, exp.ArraySize, exp.Explode, exp.GenerateSeries, exp.Struct, exp.Transform, exp.Unnest,
    # of anything
    exp.And, exp.Case, exp.Cast, exp.Coalesce, exp.Exists, exp.If, exp.Nullif, exp.Or, exp.TryCast,
)  # fmt: skip
CONSTRUCTS: dict[type[exp.Expr], str] = {
    exp.All: "ALL (...): compare with max or min",
    exp.Any: "ANY (...): use IN",
    exp.Columns: "COLUMNS(...): name the columns",
    exp.Comprehension: "a list comprehension: use list_transform, or unnest the list",
    exp.Pivot: "PIVOT: write it as CASE in sums",
    exp.RegexpFullMatch: "a match of a whole text (regexp_full_match, and ~ before DuckDB 2.0): use regexp_matches",
    exp.SimilarTo: "SIMILAR TO: use regexp_matches",
    exp.Slice: "a slice of a list",
    exp.TableSample: "a sample, which is another one on every engine",
    exp.ToMap: "a MAP",
}
# What the named dialects lack.
LACKING: dict[type[exp.Expr], tuple[tuple[str, ...], str]] = {
    exp.Greatest: (("bigquery", "trino"), "greatest, which skips NULL, as DuckDB's does: use CASE"),
    exp.Least: (("bigquery", "trino"), "least, which skips NULL, as DuckDB's does: use CASE"),
    exp.Median: (("bigquery", "trino"), "median of a group"),
    exp.Transform: (("bigquery",), "list_transform: unnest the list"),
}


def check(tree: exp.Query, dialect: str) -> None:
    """Raise QueryError, by name, for what the dialect does not have, or has with another meaning."""
    for node in tree.walk():
        if text := refused(node, dialect):
            raise QueryError(f"{dialect} has no equivalent of {text}.")
        if dialect in SPARK and node.meta.get("of_a_row") and (clause := clause_of(node)):
            raise QueryError(
                f"{dialect} has no equivalent of a score of a cell, a correlated sub-query, in {clause}. "
                "Name the score first, as a column of a sub-query."
            )


def refused(node: exp.Expr, dialect: str) -> str | None:
    """What a node is that the dialect does not have; None for what it has."""
    if isinstance(node, exp.Anonymous):
        return None if node.meta.get("ported") else f"the function {node.name}"
    if type(node) in CONSTRUCTS:
        return CONSTRUCTS[type(node)]
    if isinstance(node, exp.Func) and not isinstance(node, SAME):
        return f"the function {node.sql_name().lower()}"
    if type(node) in LACKING and dialect in LACKING[type(node)][0]:
        return LACKING[type(node)][1]
    if isinstance(node, exp.ArgMax | exp.ArgMin) and node.args.get("count"):
        return "arg_max and arg_min of several rows"
    if isinstance(node, exp.Escape) and dialect == "bigquery":
        return "LIKE ... ESCAPE: use contains, starts_with or regexp_matches"
    if isinstance(node, exp.Join) and (node.method or node.kind).upper() in ("ASOF", "POSITIONAL"):
        return f"a {(node.method or node.kind).upper()} join"
    if isinstance(node, exp.Join) and node.kind in ("SEMI", "ANTI") and node.args.get("using") and dialect not in SPARK:
        return f"{node.kind} JOIN ... USING: give it a condition, ON"
    if isinstance(node, exp.Limit) and (options := node.args.get("limit_options")) and options.args.get("percent"):
        return "LIMIT of a percentage"
    if isinstance(node, exp.SetOperation) and node.args.get("by_name") and dialect in (*SPARK, "trino"):
        return "UNION BY NAME: name the columns"
    if isinstance(node, exp.Star) and (node.args.get("replace") or node.args.get("rename")):
        return "* REPLACE or RENAME: name the columns"
    if isinstance(node, exp.Star) and node.args.get("except_") and dialect == "trino":
        return "* EXCLUDE: name the columns"
    return None


def clause_of(node: exp.Expr) -> str | None:
    """The clause in which Spark takes no such sub-query."""
    while node.parent is not None and not isinstance(node, exp.Select | exp.Window):
        if isinstance(node.parent, exp.Select) and node.arg_key in ("order", "group"):
            return f"{node.arg_key.upper()} BY"
        if isinstance(node.parent, exp.Join) and node.arg_key == "on":
            return "the condition of a join"
        node = node.parent
    return None
