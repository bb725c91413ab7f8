"""Why a finding has no rows, and which option would keep some."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import duckdb
from sqlglot import exp

from sigdb.answers import Answer
from sigdb.errors import QueryError, listed, nearest
from sigdb.statements import parse_condition, to_sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = [
    "check_chosen",
    "explain_empty",
    "explain_no_cells",
    "nth_largest",
]

# What the macros say about a population without cells.
NO_CELLS = "has no cells that this run has attributed"
Found = TypeVar("Found", bound=Answer)


@contextmanager
def explain_no_cells(con: duckdb.DuckDBPyConnection, condition: str | None) -> Iterator[None]:
    """Say which value of a condition no cell has, if the block fails because the condition chooses no cells."""
    try:
        yield
    except QueryError as error:
        if condition is None or NO_CELLS not in str(error):
            raise
        raise QueryError(no_rows(con, condition, exp.table_("cells"), "cell")) from error


def check_chosen(con: duckdb.DuckDBPyConnection, rows: Sequence[object], condition: str | None) -> None:
    """Raise QueryError if there are no rows because no cell fulfils the condition."""
    if not rows and condition and not fulfilling(con, condition, exp.table_("cells")):
        raise QueryError(no_rows(con, condition, exp.table_("cells"), "cell"))


def explain_empty(
    con: duckdb.DuckDBPyConnection, found: Found, columns: Sequence[str], condition: str | None, min_cells: int
) -> Found:
    """Add a note to a finding without rows: no group fulfils the condition, or all are too small.

    columns: of the view `cells`, which make a group. The condition may name them, or cells.
    """
    if found.table.num_rows:
        return found
    names = [exp.column(name, quoted=True) for name in columns]
    groups = exp.select(*names, "count(*) AS n_cells").from_("cells").group_by(*(each.copy() for each in names))
    tree = parse_condition(condition) if condition else None
    is_on_groups = tree is not None and any(each.name.lower() == "n_cells" for each in tree.find_all(exp.Column))
    relation: exp.Expression = groups.subquery("groups") if is_on_groups else exp.table_("cells")
    if condition and not fulfilling(con, condition, relation):
        note = no_rows(con, condition, relation, "group of cells")
    else:
        chosen = groups.where(tree) if tree and not is_on_groups else groups
        sizes_of = exp.select("n_cells").from_(chosen.subquery("groups")).where(tree if is_on_groups else None)
        largest = max((n for (n,) in con.execute(to_sql(sizes_of)).fetchall() if n < min_cells), default=None)
        note = "No group is left."
        if largest is not None:
            note += f" The largest of fewer than {min_cells:,} cells has {largest:,}: `min_cells={largest}` keeps it."
    return replace(found, notes=(note, *found.notes))


def fulfilling(con: duckdb.DuckDBPyConnection, condition: str | exp.Condition, relation: exp.Expression) -> bool:
    """Whether a row of a relation fulfils a condition."""
    tree = parse_condition(condition) if isinstance(condition, str) else condition.copy()
    query = exp.select("1").from_(relation.copy()).where(tree).limit(1)
    return bool(con.execute(to_sql(query)).fetchall())


def no_rows(con: duckdb.DuckDBPyConnection, condition: str, relation: exp.Expression, what: str) -> str:
    """The sentence for a condition that no row fulfils, with the first of its parts that no row fulfils alone."""
    parts = list(conjuncts(parse_condition(condition)))
    part = next((each for each in parts if is_unfulfilled(con, each, relation)), None)
    named = f"{part.sql('duckdb')} ({condition})" if part and len(parts) > 1 else condition
    column, values = compared_values(part) if part else (None, [])
    if column is None:
        return f"No {what} fulfils the condition {named}."
    query = exp.select(exp.column(column, quoted=True)).distinct().from_(relation.copy())
    there = sorted(str(name) for (name,) in con.execute(to_sql(query)).fetchall() if name is not None)
    texts = " or ".join(map(repr, values))
    hint = nearest(values[0], there)
    return f"No {what} has {column} {texts} ({condition}).{hint} There are: {listed(there) or 'none'}."


def conjuncts(condition: exp.Condition) -> Iterator[exp.Condition]:
    """The parts of a condition that a row has to fulfil, all of them: what AND joins."""
    match condition:
        case exp.Paren():
            yield from conjuncts(condition.this)
        case exp.And():
            yield from conjuncts(condition.this)
            yield from conjuncts(condition.expression)
        case _:
            yield condition


def is_unfulfilled(con: duckdb.DuckDBPyConnection, part: exp.Condition, relation: exp.Expression) -> bool:
    """Whether no row fulfils a part of a condition. A part that fails without the others is not to blame."""
    try:
        return not fulfilling(con, part, relation)
    except duckdb.Error:
        return False


def compared_values(part: exp.Condition) -> tuple[str | None, list[str]]:
    """The column that a part of a condition compares with texts, by = or IN, and these texts; None for other parts."""
    if not isinstance(part, exp.EQ | exp.In):
        return None, []
    sides = [part.this, *(part.args.get("expressions") or [part.args.get("expression")])]
    columns = [side.name for side in sides if isinstance(side, exp.Column)]
    texts = [side.name for side in sides if isinstance(side, exp.Literal) and side.is_string]
    is_simple = len(columns) == 1 and len(texts) == len(sides) - 1
    return (columns[0], texts) if is_simple else (None, [])


def nth_largest(sizes: Iterable[int], n: int) -> int:
    """The n-th largest of some sizes, which is the largest limit that n of them reach; 0 if there are fewer."""
    return next(iter(sorted(sizes, reverse=True)[n - 1 :]), 0)
