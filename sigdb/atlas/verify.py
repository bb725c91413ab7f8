"""Does an atlas say what it should? Checks, each a query of `sql/checks`, and what can be made anew."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb

from sigdb import statements
from sigdb.atlas import materialized, schema
from sigdb.atlas.derived import cluster, rebuild_summary
from sigdb.atlas.file import open_atlas
from sigdb.atlas.writer import Atlas
from sigdb.errors import message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["CHECKS", "Finding", "fix", "verify"]

# sql/checks, in the order in which they run: what is derived after what it is derived from.
CHECKS = (
    "ledger",
    "cell_ids",
    "orphans",
    "scores",
    "sums",
    "completeness",
    "cube",
    "group_sizes",
    "materialized",
    "sorted",
)
# Scores of a range of genes, of a check that goes by such, so that its memory does not grow with the atlas.
BATCH = 10_000_000


@dataclass(frozen=True)
class Finding:
    """The outcome of a check. claim: what was checked. n: how many violate it; example: one of them."""

    check: str
    claim: str
    n: int
    example: str | None

    @property
    def is_fixable(self) -> bool:
        """Whether `fix` can make it good, since it concerns what is derived from the rest."""
        return self.check in FIXES

    @property
    def is_advice(self) -> bool:
        """Whether it makes queries slower, but no answer wrong."""
        return self.check == "sorted"


def verify(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Check an atlas, one finding after the other; n = 0 in all of them if it is sound.

    Reads everything several times: minutes for a billion scores. Of a lake, of which each file is sorted by itself, the
    order of rows is not checked.
    """
    yield from schema_findings(con)
    shows_lake = bool(con.execute(statements.statement("atlas/inspect.shows_lake")).fetchall())
    for name in CHECKS:
        if shows_lake and name == "sorted":
            continue
        sql = statements.statement(f"checks/{name}")
        claim = sql.splitlines()[0].partition(": ")[2]
        try:
            rows = violations(con, sql)
        except duckdb.BinderException as error:  # a column that it needs is gone
            rows = [(1, f"cannot be checked: {message(error)}")]
        examples = (example for _, example in rows if example is not None)
        yield Finding(name, claim, sum(int(n) for n, _ in rows), next(examples, None))


def violations(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[int, str | None]]:
    """How many violate a check, and one of them: in the whole atlas, or in each range of genes if it asks for one."""
    if "$first" not in sql:
        return con.execute(sql).fetchall()
    ranges = con.execute(statements.statement("atlas/inspect.gene_ranges"), {"batch": BATCH}).fetchall()
    return [row for first, last in ranges for row in con.execute(sql, {"first": first, "last": last}).fetchall()]


def schema_findings(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Whether the tables have the columns, and whether the views, macros and comments are those, of this sigdb.

    Tables, views and macros that are not sigdb's are not looked at, nor are columns of the studies' obs.
    DuckDB shows the text of a macro as the version that stored it understood it, so where that is another one only
    names, parameters and comments are compared.
    """
    query = "SELECT value FROM sigdb_data.atlas_info WHERE key = 'duckdb_version'"
    same_duckdb = con.execute(query).fetchall() == [(duckdb.__version__,)]
    wanted = shipped(with_definition=same_duckdb)
    found = parts(con, with_definition=same_duckdb)
    missing, both = wanted.keys() - found.keys(), wanted.keys() & found.keys()
    tables = {table_of(name) for name in wanted if is_column(name)} - {"column cell_data"}
    unknown = {name for name in found.keys() - wanted.keys() if table_of(name) in tables}
    retyped = {name for name in both if is_column(name) and found[name][1] != wanted[name][1]}
    other = {name for name in both - retyped if found[name] != wanted[name]}
    columns = {"missing": filter(is_column, missing), "unknown": unknown, "another": retyped}
    rest = {"missing": (name for name in missing if not is_column(name)), "another": other}
    yield differences("tables", "the tables have the columns that sigdb gave them.", columns)
    yield differences("schema", "views, macros and comments are those of this sigdb.", rest)


def is_column(name: str) -> bool:
    """Whether a part of an atlas is a column of a table."""
    return name.startswith("column ")


def table_of(column: str) -> str:
    """The table of a column, by the names that `parts` gives them."""
    return column.partition(".")[0]


def differences(check: str, claim: str, found: Mapping[str, Iterable[str]]) -> Finding:
    """A finding on parts of an atlas, by what is wrong with them."""
    examples = [f"{what} {name}" for what, names in found.items() for name in sorted(names)]
    return Finding(check, claim, len(examples), examples[0] if examples else None)


@cache
def shipped(*, with_definition: bool) -> dict[str, tuple[str, str | None]]:
    """The parts of a new atlas."""
    with TemporaryDirectory() as folder:
        # In a file, and opened again: a macro's text changes once more when it is stored.
        Atlas.create(Path(folder) / "new.duckdb").close()
        with open_atlas(Path(folder) / "new.duckdb", read_only=True) as new:
            return parts(new, with_definition=with_definition)


def parts(con: duckdb.DuckDBPyConnection, *, with_definition: bool) -> dict[str, tuple[str, str | None]]:
    """Columns, views and macros of an atlas, by kind and name: comment; type, or definition if wanted."""
    rows = con.execute(statements.statement("atlas/inspect.schema")).fetchall()
    return {
        f"{kind} {name}": (comment, text if with_definition or kind == "column" else None)
        for kind, name, comment, text in rows
    }


def fix(atlas: Atlas, findings: list[Finding]) -> list[str]:
    """Make anew what is derived and was found wrong, all or nothing; return the names of the checks it was for.

    Only what was stored to begin with is believed: do not fix an atlas whose scores, ledger or ids are wrong.
    """
    wrong = [finding.check for finding in findings if finding.n and finding.is_fixable]
    with atlas.transaction() as con:
        for repair in dict.fromkeys(FIXES[check] for check in wrong):
            repair(con)
    return wrong


FIXES: dict[str, Callable[[duckdb.DuckDBPyConnection], None]] = {
    "schema": schema.install,
    "cube": rebuild_summary,
    "group_sizes": rebuild_summary,
    "materialized": materialized.rebuild,
    "sorted": cluster,
}
