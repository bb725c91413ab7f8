"""Charts as specifications: Vega-Lite over the data set `table`, which holds the rows of a finding as they are.

All that a chart computes is in its specification: labels, order, and which groups are kept. So the explorer page, which
has no Python, draws the same charts of the same rows. What a reader should know stands in `usermeta`, see `About`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sigdb.findings.plots.theme import Spec, calculate, finish, is_number, keep, safe_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sigdb.answers import Answer

__all__ = [
    "TABLE",
    "About",
    "Limit",
    "aggregate",
    "are_numbers",
    "draw",
    "keep_first",
    "keep_numbers",
    "name_group",
    "named",
    "named_data",
    "number_rows",
    "number_text",
    "specify",
    "with_brackets",
]

TABLE = "table"
NONE = "(none)"


@dataclass(frozen=True)
class Limit:
    """A chart shows the n groups in which `by` is highest; some columns name a group. what: the word for the groups.

    how: 'max' for the largest value of a group, or 'sum' for the sum of its absolute values.
    """

    columns: Sequence[str]
    n: int
    by: str
    how: str = "max"
    what: str = "groups"


@dataclass(frozen=True)
class About:
    """What a reader of a chart should know.

    legend: what the marks mean. needs: columns without which a row is not drawn. limits: which groups are drawn.
    unless: rows with a value in this column are not part of the chart. whole: the rows of groups that are not drawn
    belong to the chart as well, since the names of groups depend on them.
    """

    legend: Sequence[str]
    needs: Sequence[str] = ()
    limits: Sequence[Limit] = ()
    unless: str | None = None
    whole: bool = False


def specify(chart: Spec, about: About) -> Spec:
    """A chart that reads the data set `table`, with what a reader should know about it."""
    return {**chart, "data": named_data(), "usermeta": asdict(about)}


def named_data(name: str = TABLE) -> Spec:
    """The data set that a chart reads."""
    return {"name": name}


def draw(chart: Spec, found: Answer, title: str, first: Sequence[str] = (), **datasets: Sequence[Any]) -> Spec:
    """The chart of a finding: a specification with rows. `table` is that of the finding if `datasets` has no other.

    first: lines that stand above the legend.
    """
    about = chart["usermeta"]
    rows = list(datasets.pop(TABLE, found.table.to_pylist()))
    drawn, lines = left_out(rows, about)
    sets = {TABLE: rows if about["whole"] else drawn, **datasets}
    chart = finish(chart, found, title, [*first, *about["legend"]], lines, drawn=drawn)
    return {**chart, "datasets": {name: [*map(as_json, each)] for name, each in sets.items()}} if drawn else chart


def left_out(rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], list[str]]:
    """The rows that a chart shows, and lines about those that it does not. `leftOut` of the page does the same."""
    own = [row for row in rows if about["unless"] is None or row[about["unless"]] is None]
    drawn = [row for row in own if all(is_number(row[column]) for column in about["needs"])]
    lost = len(own) - len(drawn)
    lines = []
    for limit in about["limits"]:
        ranked = highest(drawn, limit)
        if len(ranked) > limit["n"]:
            n, rest = limit["n"], len(ranked) - limit["n"]
            lines.append(f"The {n:,} highest of {len(ranked):,} {limit['what']}; {rest:,} are left out.")
            kept = set(ranked[:n])
            drawn = [row for row in drawn if group_of(row, limit) in kept]
    if lost:
        lines.append(f"Not drawn, because a value is missing: {lost:,} of {len(own):,}.")
    return drawn, lines


def highest(rows: Sequence[Mapping[str, Any]], limit: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The groups of some rows, the highest first; ties in the order of their names."""
    values: dict[tuple[str, ...], float] = {}
    for row in rows:
        group, value = group_of(row, limit), row[limit["by"]]
        if limit["how"] == "sum":
            values[group] = values.get(group, 0) + abs(value or 0)
        else:
            values[group] = max(values.get(group, -math.inf), value if is_number(value) else -math.inf)
    return sorted(values, key=lambda group: (-values[group], group))


def group_of(row: Mapping[str, Any], limit: Mapping[str, Any]) -> tuple[str, ...]:
    """The group of a row, as texts."""
    return tuple(str(row[column]) for column in limit["columns"])


def as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with values that JSON has, and that are safe in a page: a decimal number is a number, a date its text."""
    return {name: safe_value(json_value(value)) for name, value in row.items()}


def json_value(value: Any) -> str | float | None:
    """A value as text or number."""
    if isinstance(value, str | int | float | None):
        return value
    return float(value) if isinstance(value, Decimal) else str(value)


def are_numbers(*columns: str) -> str:
    """An expression of Vega: each of some columns has a number that can be drawn."""
    return " && ".join(f"isValid(datum.{column}) && isFinite(datum.{column})" for column in columns)


def keep_numbers(about: About) -> list[Spec]:
    """Leave out the rows that `about` does not count as drawn."""
    wanted = are_numbers(*about.needs)
    return keep(wanted if about.unless is None else f"!isValid(datum.{about.unless}) && {wanted}")


def with_brackets(label: str, number: str) -> str:
    """An expression of Vega: a label with a number in brackets."""
    return f"{named(label)} + '  (' + format(datum.{number}, ',') + ')'"


def named(label: str, none: str = NONE) -> str:
    """An expression of Vega: a label as a text, which says so if there is none."""
    return f"(isValid(datum.{label}) && datum.{label} !== '' ? toString(datum.{label}) : '{none}')"


def aggregate(by: str | None = None, **operations: tuple[str, str]) -> Spec:
    """The transform that gives each row columns for its whole group: an operation over a column."""
    found = [{"op": op, "field": field, "as": name} for name, (op, field) in operations.items()]
    return {"joinaggregate": found, **({} if by is None else {"groupby": [by]})}


def name_group() -> list[Spec]:
    """Give the groups of the cube the column `name`: cell type, cells, and where they vary, disease and tissue."""
    several = [f"(datum.n_{field}s > 1 ? ', ' + datum.{field}_text : '')" for field in ("disease", "tissue")]
    cells = f"{named('cell_type', '(no type)')} + '  (' + format(datum.n_cells, ',') + ')'"
    return [
        *calculate(disease_text=named("disease"), tissue_text=named("tissue")),
        aggregate("study", n_diseases=("distinct", "disease_text"), n_tissues=("distinct", "tissue_text")),
        *calculate(name=" + ".join([cells, *several])),
    ]


def keep_first(key: str, value: str, place: str, n: int, how: str = "max") -> list[Spec]:
    """Keep the n groups of highest value, ties in the order of their names. `place` numbers them from 1."""
    order = [{"field": "best", "order": "descending"}, {"field": key, "order": "ascending"}]
    window = {"window": [{"op": "dense_rank", "as": place}], "sort": order}
    return [aggregate(key, best=(how, value)), window, *keep(f"datum.{place} <= {n}")]


def number_rows(key: str | None = None) -> Spec:
    """Number the rows, or those of each group, from 1 in the column `number`. The first can stand for its group."""
    return {"window": [{"op": "row_number", "as": "number"}], **({} if key is None else {"groupby": [key]})}


def number_text(field: str) -> str:
    """An expression of Vega for a number: two decimals, or two digits if it is small or very large."""
    value = f"datum.{field}"
    is_plain = f"{value} === 0 || (abs({value}) >= 0.095 && abs({value}) < 10000)"
    return f"format({value}, {is_plain} ? '.2f' : '.2~g')"
