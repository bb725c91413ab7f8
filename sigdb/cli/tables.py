"""Tables for people: aligned columns that fit the terminal."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, chop_cells
from rich.text import Text

from sigdb.cli.added import is_wide
from sigdb.errors import listed
from sigdb.text import format_value, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

__all__ = ["Column", "fit", "make_columns", "table_lines", "write_table"]

# The blanks between two columns.
GAP = 3
# To how many characters texts are cut if a table is too wide for the terminal, and if that is not enough. In a table
# without important columns, the second number is not for the first column, which names the rows. The third one makes
# room for important columns.
LONGEST, SHORTER, SHORTEST = 40, 24, 16
# Columns with numbers that name or date something. Their thousands are not separated.
LABELS = re.compile(r"(^|[_ ])(id|year|seed)$", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column of a table as text."""

    name: str
    cells: list[str]
    is_number: bool = False

    @property
    def width(self) -> int:
        """The width on a terminal, where some characters take two places."""
        return max(map(cell_len, (self.name, *self.cells)))


def make_columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Column]:
    """The columns of a table. Numbers of a column have their points below each other."""
    return [make_column(name, [row[index] for row in rows]) for index, name in enumerate(names)]


def make_column(name: str, values: Sequence[Any]) -> Column:
    """One column of a table."""
    numeric = [isinstance(each, int | float | Decimal) for each in values if each is not None]
    grouped = not LABELS.search(name)
    cells = [format_value(each, grouped=grouped) for each in values]
    return Column(printable(name), align(cells) if all(numeric) else cells, is_number=any(numeric))


def align(cells: list[str]) -> list[str]:
    """Numbers with blanks behind them, so that their points are below each other if they end at the same place."""
    places = [len(cell) - cell.find(".") if "." in cell else 0 for cell in cells]
    most = max(places, default=0)
    return [cell + " " * (most - n) if cell else "" for cell, n in zip(cells, places, strict=True)]


def write_table(
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    out: Console,
    width: int | None,
    important: Sequence[str] = (),
) -> None:
    """Write a table to a console; width: what it should fit into, if it can, or None; important: see `fit`."""
    table = make_columns(names, rows)
    above, below = "", ""
    if width is not None and not is_wide():
        table, above, below = fit(table, width, important)
    if above:
        out.print(above)
    line, dots = ("-", "...") if out.options.ascii_only else ("─", "…")
    header, *body = (text.replace("…", dots) for text in table_lines(table))
    out.print(Text(header, style="bold"), soft_wrap=True)
    out.print(line * width_of(table), soft_wrap=True)
    out.file.writelines(f"{text}\n" for text in body)
    if below:
        out.print(below)


def table_lines(table: Sequence[Column], widths: Sequence[int] = ()) -> Iterator[str]:
    """The names and the rows of a table as lines; widths: the least width of each column."""
    widths = [max(each) for each in zip((column.width for column in table), widths or [0] * len(table), strict=True)]
    for row in zip(*([column.name, *column.cells] for column in table), strict=True):
        cells = [pad(cell, widths[i], right=table[i].is_number) for i, cell in enumerate(row)]
        yield (" " * GAP).join(cells).rstrip()


def pad(text: str, width: int, *, right: bool) -> str:
    """A cell with blanks before it (`right`) or behind it."""
    blanks = " " * (width - cell_len(text))
    return f"{blanks}{text}" if right else f"{text}{blanks}"


def fit(table: list[Column], width: int, important: Sequence[str] = ()) -> tuple[list[Column], str, str]:
    """A table that fits into a width if that is possible, with what should be said above and below it.

    If it is too wide, columns with one value in all rows are named above it. Then long texts are cut, and then columns
    are hidden: those in the middle, or the last ones that are not important. The most important columns come first in
    `important`.
    """
    above, below = "", []
    if width_of(table) > width:
        table, above = without_constants(table)
    whole = table
    if width_of(table) > width:
        table = [cut_column(column, LONGEST) for column in table]
    if width_of(table) > width:
        whole_first = 0 if important else 1
        table = [*table[:whole_first], *(cut_column(column, SHORTER) for column in table[whole_first:])]
    hidden: list[str] = []
    if width_of(table) > width and len(table) > 1:
        cut_table = table
        table, hidden = elide(table, width, important)
        if set(hidden) & set(important):
            table, hidden = elide([cut_column(column, SHORTEST) for column in cut_table], width, important)
    if any(column not in whole for column in table if column.name != "…"):
        below.append("Long texts are cut.")
    if hidden:
        below.append(f"{len(hidden)} {'column is' if len(hidden) == 1 else 'columns are'} hidden: {listed(hidden, 8)}.")
    return table, above, " ".join([*below, "--wide shows everything."] if below else [])


def width_of(table: Sequence[Column]) -> int:
    """The width of a table on a terminal."""
    return sum(column.width + GAP for column in table) - GAP


def without_constants(table: list[Column]) -> tuple[list[Column], str]:
    """A table of two rows or more without the columns that have one value, and a sentence that names them."""
    constant = [column for column in table if len(column.cells) > 1 and len(set(column.cells)) == 1]
    if not constant or len(constant) == len(table):
        return table, ""
    facts = ", ".join(f"{column.name} {cut(column.cells[0].strip(), LONGEST) or '(empty)'}" for column in constant)
    return [column for column in table if column not in constant], f"In every row: {facts}."


def cut_column(column: Column, longest: int) -> Column:
    """A column whose long texts are cut."""
    return replace(column, cells=[cut(cell, longest) for cell in column.cells])


def cut(text: str, longest: int) -> str:
    """A text that ends with … if it is long."""
    return text if cell_len(text) <= longest else f"{chop_cells(text, longest - 1)[0]}…"


def elide(table: list[Column], width: int, important: Sequence[str]) -> tuple[list[Column], list[str]]:
    """A table that fits, with … in the place of hidden columns, and the names of these. The first one always stays.

    A column stays if there is room for it. Important columns are tried first, then the others from the left. Without
    important ones, the order is from the outside to the inside: two on the left, then one on the right.
    """
    n, kept = len(table), {0}
    ranks = {name: rank for rank, name in enumerate(important, start=-len(important))}

    def rank(index: int) -> float:
        return ranks.get(table[index].name, index if ranks else min(index / 2, n - index))

    for index in sorted(range(n), key=rank):
        if width_of(with_dots(table, kept | {index})) <= width:
            kept.add(index)
    return with_dots(table, kept), [column.name for index, column in enumerate(table) if index not in kept]


def with_dots(table: list[Column], kept: set[int]) -> list[Column]:
    """The columns of a table that are kept, with a column of … in each place where some are not."""
    dots = Column("…", ["…"] * len(table[0].cells))
    shown: list[Column] = []
    for index, column in enumerate(table):
        if index in kept:
            shown.append(column)
        elif shown[-1] is not dots:
            shown.append(dots)
    return shown
