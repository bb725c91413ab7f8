"""What findings return: a table, the SQL behind it, and notes."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from sigdb.errors import MissingDependencyError
from sigdb.text import count, format_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import pyarrow as pa


__all__ = ["Answer", "join_sql", "left_out_note", "pandas_module"]

# Rows that a notebook shows.
SHOWN = 50


@dataclass(frozen=True)
class Answer:
    """A table, the SQL behind it, and what a reader of the table should know.

    Every finding is an `Answer`. In a notebook it is shown as a table with its notes.

    Attributes
    ----------
    table : pyarrow.Table
        The rows of the finding.
    sql : str
        The SQL of the data behind the table, with all values written out. It runs in any client of the atlas. Several
        statements are separated by ``;`` and an empty line.
    notes : tuple of str
        Sentences to read with the table: the rule that was applied, what was left out and why, and what to be
        careful about.

    Examples
    --------
    >>> means = sigdb.group_scores(con, ["LYZ", "CD14"], by="study")
    >>> means.table.column_names[:5]
    ['cell_type', 'label', 'score', 'z', 'hit_rate']
    >>> means.sql.startswith("SELECT")
    True
    """

    table: pa.Table
    sql: str = field(repr=False)
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> list[Any]:
        """Return one column of the table.

        Parameters
        ----------
        name : str
            The name of the column.

        Returns
        -------
        list
            Its values, None for NULL.
        """
        values: list[Any] = self.table[name].to_pylist()
        return values

    def df(self) -> pd.DataFrame:
        """Return the table as a pandas data frame.

        Returns
        -------
        pandas.DataFrame
            The same rows and columns.

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.

        Examples
        --------
        >>> sigdb.leading_genes(con, ["LYZ", "CD14"], n=1).df().shape[1]
        12
        """
        pandas_module()
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    def _repr_html_(self) -> str:
        """The first rows and the notes, for a notebook."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self.table.column_names)
        body = "".join(html_row(row) for row in self.table.slice(0, SHOWN).to_pylist())
        n_rows = self.table.num_rows
        hidden = (f"The first {SHOWN} of {n_rows:,} rows.",) if n_rows > SHOWN else ()
        notes = "".join(f"<p>{escape(note)}</p>" for note in (*hidden, *self.notes))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"


def html_row(row: Mapping[str, Any]) -> str:
    """A row of a table in HTML; numbers are aligned to the right."""
    cells = []
    for value in row.values():
        style = ' style="text-align: right"' if isinstance(value, int | float) else ""
        cells.append(f"<td{style}>{escape(format_value(value))}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def left_out_note(what: str, reasons: Mapping[str, int]) -> tuple[str, ...]:
    """A note that says how many samples or units were left out, and why, the commonest reason first; or no note."""
    if not reasons:
        return ()
    total = sum(reasons.values())
    commonest = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    counts = ", ".join(f"{n:,} ({reason})" for reason, n in commonest)
    only = f" ({commonest[0][0]})"
    return (f"Left out {count(total, what)}{only if len(reasons) == 1 else f': {counts}'}.",)


def join_sql(statements: Sequence[str]) -> str:
    """Several statements as one text."""
    return ";\n\n".join(statements)


def pandas_module() -> Any:
    """Import pandas, or raise MissingDependencyError that says how to install it."""
    try:
        import pandas
    except ImportError as error:
        raise MissingDependencyError(
            "This returns a pandas data frame, and pandas is not installed. Install it: pip install pandas"
        ) from error
    return pandas
