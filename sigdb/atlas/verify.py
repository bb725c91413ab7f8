"""Check that an atlas is consistent, with the queries of `sql/checks`, and rebuild what is derived."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb
import sqlglot
from sqlglot import exp

from sigdb.atlas import materialized, schema, views
from sigdb.atlas.definitions import is_same
from sigdb.atlas.derived import cluster, rebuild_importance, rebuild_summary
from sigdb.atlas.file import open_atlas
from sigdb.atlas.identity import atlas_id
from sigdb.atlas.writer import Atlas
from sigdb.errors import message
from sigdb.statements import run_statement, statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["CHECKS", "Finding", "fix", "verify"]

# The queries of sql/checks in the order in which they run. Derived data come after the data that they derive from.
CHECKS = (
    "readable",
    "ledger",
    "cell_ids",
    "orphans",
    "scores",
    "sums",
    "completeness",
    "unread",
    "cube",
    "group_sizes",
    "importance_groups",
    "importance_sums",
    "materialized",
    "sorted",
)
# Scores per range of genes. Checks of the scores run range by range, so that their memory does not grow with the atlas.
BATCH = 10_000_000


@dataclass(frozen=True)
class Finding:
    """The outcome of a check.

    check: its name. claim: the rule. n: the number of violations. example: one of them, or None.
    """

    check: str
    claim: str
    n: int
    example: str | None

    @property
    def is_fixable(self) -> bool:
        """Whether `fix` can rebuild the data, because they are derived from the rest."""
        return self.check in FIXES

    @property
    def is_advice(self) -> bool:
        """Whether a violation only makes queries slower; all answers stay right."""
        return self.check == "sorted"


def verify(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Check that an atlas is consistent.

    The checks compare the scores with the ledger, the cube with the scores, the tables and macros with this version of
    sigdb, and more. They read all data several times, which takes minutes for a billion scores. The order of rows is
    not checked in a lake, where each file is sorted by itself.

    Parameters
    ----------
    con
        A connection to an atlas or a lake, from `sigdb.connect`.

    Returns
    -------
    An iterator over the findings, one per check, each computed when it is reached. A finding has the attributes
    `check` (name), `claim` (rule), `n` (number of violations) and `example` (one violation). In a consistent atlas, `n`
    is 0 in all findings.

    Examples
    --------
    >>> with sigdb.connect("demo.duckdb") as con:
    ...     [finding.check for finding in sigdb.verify(con) if finding.n]
    []
    """
    yield from schema_findings(con)
    shows_lake = bool(run_statement(con, "atlas/inspect.shows_lake"))
    for name in CHECKS:
        if shows_lake and name == "sorted":
            continue
        sql = statement(f"checks/{name}")
        claim = sql.splitlines()[0].partition(": ")[2]
        try:
            rows = unreadable(con, sql) if name == "readable" else violations(con, sql)
        except duckdb.InterruptException:
            raise
        except duckdb.Error as error:  # a column is missing, or a block is damaged
            rows = [(1, f"cannot be checked: {message(error)}")]
        examples = (example for _, example in rows if example is not None)
        yield Finding(name, claim, sum(int(n) for n, _ in rows), next(examples, None))


def violations(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[int, str | None]]:
    """The violations of a check as rows of (number, example): one row, or one per range of genes if it has $first."""
    if "$first" not in sql:
        return con.execute(sql).fetchall()
    ranges = run_statement(con, "atlas/inspect.gene_ranges", {"batch": BATCH})
    return [row for first, last in ranges for row in con.execute(sql, {"first": first, "last": last}).fetchall()]


def unreadable(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[int, str | None]]:
    """A violation for each table that cannot be read. sql: reads all columns of atlas_info."""
    rows: list[tuple[int, str | None]] = []
    for name, db, catalog in run_statement(con, "atlas/inspect.all_tables"):
        table = exp.table_(name, db=db, catalog=catalog, quoted=True)
        query = sqlglot.parse_one(sql, dialect="duckdb")
        (placed,) = query.find_all(exp.Table)
        placed.replace(exp.alias_(table, placed.alias, table=True))
        try:
            con.execute(query.sql("duckdb", comments=False)).fetchall()
        except duckdb.InterruptException:
            raise
        except duckdb.Error as error:
            rows.append((1, f"{db}.{name}: {message(error)}"))
    return rows


def schema_findings(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Compare the columns of tables, the views, the macros and the comments with a new atlas.

    Tables, views and macros that are not part of sigdb are ignored, unless they have names of ours or of functions of
    DuckDB. So are columns of the studies' obs.
    """
    wanted, found = new_atlas_parts(), atlas_parts(con)
    missing, both = wanted.keys() - found.keys(), wanted.keys() & found.keys()
    tables = {table_of(name) for name in wanted if is_column(name)} - {"column cell_data"}
    unknown = {name for name in found.keys() - wanted.keys() if table_of(name) in tables}
    retyped = {name for name in both if is_column(name) and found[name][1] != wanted[name][1]}
    other = {name for name in both - retyped if not is_same_part(found[name], wanted[name])}
    own = {macro_of(name) for name in wanted} - {None}
    captured = {
        f"macro {name} (a function of DuckDB)" for (name,) in run_statement(con, "atlas/inspect.captured_functions")
    }
    unwanted = captured | {name for name in found.keys() - wanted.keys() if macro_of(name) in own}
    columns = {"missing": filter(is_column, missing), "unknown": unknown, "another": retyped}
    rest = {"missing": (name for name in missing if not is_column(name)), "another": other, "unknown": unwanted}
    yield compare_parts("tables", "the tables have the columns that sigdb gave them.", columns)
    yield compare_parts("schema", "views, macros and comments match this version of sigdb.", rest)


def is_column(name: str) -> bool:
    """Whether a part of an atlas is a column of a table."""
    return name.startswith("column ")


def table_of(column: str) -> str:
    """The table of a column, both named as in `atlas_parts`."""
    return column.partition(".")[0]


def macro_of(part: str) -> str | None:
    """The name of a macro without its parameters; None for another part of an atlas."""
    return part.partition("(")[0] if part.startswith("macro ") else None


def is_same_part(found: tuple[str, str], wanted: tuple[str, str]) -> bool:
    """Whether a part of an atlas has the comment and the definition that sigdb gives it."""
    return found[0] == wanted[0] and is_same(found[1], wanted[1])


def compare_parts(check: str, claim: str, differences: Mapping[str, Iterable[str]]) -> Finding:
    """A finding about parts of an atlas. differences: the kind of a difference -> the parts that have it."""
    examples = [f"{kind} {name}" for kind, names in differences.items() for name in sorted(names)]
    return Finding(check, claim, len(examples), examples[0] if examples else None)


@cache
def new_atlas_parts() -> dict[str, tuple[str, str]]:
    """The parts of a new atlas, as this DuckDB shows them."""
    with TemporaryDirectory() as folder:
        # The atlas is closed and opened again, because the text of a macro changes when the macro is stored.
        Atlas.create(Path(folder) / "new.duckdb").close()
        with open_atlas(Path(folder) / "new.duckdb", read_only=True) as new:
            return atlas_parts(new)


def atlas_parts(con: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, str]]:
    """Columns, views and macros of an atlas: kind and name -> comment, and type or definition."""
    rows, atlas = run_statement(con, "atlas/inspect.schema"), atlas_id(con) or ""
    parts = {f"{kind} {name}": (comment, text) for kind, name, comment, text in rows}
    # The id differs between atlases.
    return {name.replace(atlas, ""): (comment, text.replace(atlas, "")) for name, (comment, text) in parts.items()}


def fix(atlas: Atlas, findings: list[Finding]) -> list[str]:
    """Rebuild the derived data with violations, in one transaction; return the names of their checks.

    The data are rebuilt from scores, ledger and ids. Do not fix an atlas in which these are wrong.
    """
    wrong = [finding.check for finding in findings if finding.n and finding.is_fixable]
    with atlas.transaction() as con:
        for repair in dict.fromkeys(FIXES[check] for check in wrong):
            repair(con)
    return wrong


def reinstall(con: duckdb.DuckDBPyConnection) -> None:
    """Replace all views and macros of the file by those of this sigdb."""
    schema.install(con)
    views.refresh(con)


FIXES: dict[str, Callable[[duckdb.DuckDBPyConnection], None]] = {
    "schema": reinstall,
    "cube": rebuild_summary,
    "group_sizes": rebuild_summary,
    "importance_groups": rebuild_importance,
    "importance_sums": rebuild_importance,
    "materialized": materialized.rebuild,
    "sorted": cluster,
}
