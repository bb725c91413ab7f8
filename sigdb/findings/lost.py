"""Why a finding has no rows, or lacks the group that was asked for, and which option would keep it."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb
from sqlglot import exp

from sigdb.answers import Answer
from sigdb.errors import QueryError, listed, nearest
from sigdb.statements import parse_condition, to_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sigdb.findings.units import Design, Unit

__all__ = [
    "check_chosen",
    "check_group",
    "check_groups",
    "explain_empty",
    "explain_no_cells",
    "keep_with",
    "nothing_compared",
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
    is_on_groups = condition is not None and "n_cells" in condition
    relation: exp.Expression = groups.subquery("groups") if is_on_groups else exp.table_("cells")
    if condition and not fulfilling(con, condition, relation):
        note = no_rows(con, condition, relation, "group of cells")
    else:
        chosen = groups.where(parse_condition(condition)) if condition and not is_on_groups else groups
        sizes = [row[-1] for row in con.execute(to_sql(chosen)).fetchall()]
        note = f"No group is left. {keep_with('group', sizes, min_cells, 1)}"
    return replace(found, notes=(note.strip(), *found.notes))


def fulfilling(con: duckdb.DuckDBPyConnection, condition: str, relation: exp.Expression) -> bool:
    """Whether a row of a relation fulfils a condition."""
    query = exp.select("1").from_(relation.copy()).where(parse_condition(condition)).limit(1)
    return bool(con.execute(to_sql(query)).fetchall())


def no_rows(con: duckdb.DuckDBPyConnection, condition: str, relation: exp.Expression, what: str) -> str:
    """The sentence for a condition that no row fulfils, with the first value that its column does not have."""
    for column, value in compared_values(parse_condition(condition)):
        query = exp.select(exp.column(column, quoted=True)).distinct().from_(relation.copy())
        try:
            there = sorted(str(name) for (name,) in con.execute(to_sql(query)).fetchall() if name is not None)
        except duckdb.Error:  # a column of a sub-query
            continue
        if value not in there:
            hint = nearest(value, there)
            return f"No {what} has {column} {value!r} ({condition}).{hint} There are: {listed(there) or 'none'}."
    return f"No {what} fulfils the condition {condition}."


def compared_values(condition: exp.Condition) -> Iterator[tuple[str, str]]:
    """The columns that a condition compares with texts, and these texts."""
    for node in condition.find_all(exp.EQ, exp.In):
        sides = [node.this, *(node.args.get("expressions") or [node.args.get("expression")])]
        columns = [side.name for side in sides if isinstance(side, exp.Column)]
        texts = [side.name for side in sides if isinstance(side, exp.Literal) and side.is_string]
        yield from ((column, text) for column in columns for text in texts)


def keep_with(what: str, sizes: Sequence[int], min_cells: int, fewest: int) -> str:
    """The value of `min_cells` that would keep some of the units that are too small; '' if none is."""
    lost = sorted((size for size in sizes if size < min_cells), reverse=True)
    if not lost:
        return ""
    value = lost[min(fewest, len(lost)) - 1]
    kept = sum(size >= value for size in lost)
    return (
        f"The largest {what} of fewer than {min_cells:,} cells has {lost[0]:,}: `min_cells={value}` keeps {kept} more."
    )


def check_group(
    units: Sequence[Unit], lost: Sequence[tuple[Mapping[str, Any], str]], design: Design, group: str
) -> None:
    """Raise QueryError if no unit is in a group, with the filter that lost its units.

    lost: the rows of units that were left out, with the reasons.
    """
    if any(unit.group == group for unit in units):
        return
    rows = [(row, reason) for row, reason in lost if str(row["group"]) == group]
    if not rows:
        there = sorted({*(unit.group for unit in units), *(str(row["group"]) for row, _ in lost if row["group"])})
        raise QueryError(
            f"No unit has {design.by} {group!r}.{nearest(group, there)} There are: {listed(there) or 'none'}."
        )
    reasons = Counter(reason for _, reason in rows).most_common()
    sizes = [row["n_cells"] for row, reason in rows if reason == f"fewer than {design.min_cells} cells"]
    counts = ", ".join(f"{n} ({reason})" for reason, n in reasons)
    raise QueryError(
        f"All {len(rows)} units of {design.by} {group!r} were left out: {counts}. "
        + keep_with("unit", sizes, design.min_cells, design.fewest)
    )


def check_groups(
    units: Sequence[Unit],
    lost: Sequence[tuple[Mapping[str, Any], str]],
    design: Design,
    study: str | None,
    groups: Sequence[str],
) -> None:
    """Raise QueryError if no unit is of a study, or in one of the groups; lost: as for `check_group`."""
    studies = sorted({*(unit.study for unit in units), *(row["study"] for row, _ in lost)})
    if study is not None and study not in studies:
        hint = nearest(study, studies)
        raise QueryError(f"There is no study {study!r} (`study`).{hint} There are: {listed(studies)}.")
    for group in groups:
        check_group(units, lost, design, group)


def nothing_compared(units: Sequence[Unit], design: Design) -> str:
    """The note on a comparison without rows: no study has units of the reference and of another group."""
    sides = {True: set[str](), False: set[str]()}
    for unit in units:
        sides[unit.group == str(design.reference)].add(unit.study)
    place = f" within one {design.within}" if design.within else ""
    note = f"Nothing was compared: no study has units of {design.reference!r} and of another {design.by}{place}. "
    note += f"Studies with {design.reference!r}: {listed(sorted(sides[True])) or 'none'}; with another: "
    note += f"{listed(sorted(sides[False])) or 'none'}."
    if design.within and sides[True] & sides[False]:
        note += " `within=None` compares all cells of a unit together."
    return note
