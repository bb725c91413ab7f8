"""Does an atlas say what it should? Checks, each a query of `sql/checks`, and what can be made anew."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb

from sigdb import catalog, materialized
from sigdb.atlas import Atlas, cluster, rebuild_summary
from sigdb.connection import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
    yield schema(con)
    shows_lake = bool(con.execute(catalog.statement("queries/shows_lake")).fetchall())
    for name in CHECKS:
        if shows_lake and name == "sorted":
            continue
        sql = catalog.statement(f"checks/{name}")
        claim = sql.splitlines()[0].partition(": ")[2]
        ((n, example),) = con.execute(sql).fetchall()
        yield Finding(name, claim, int(n), example)


def schema(con: duckdb.DuckDBPyConnection) -> Finding:
    """Whether tables, views and macros are those of this sigdb.

    Tables, views and macros that are not sigdb's are not looked at, nor are columns of the studies' obs.
    DuckDB shows the text of a macro as the version that stored it understood it, so where that is another one only
    names, parameters and comments are compared.
    """
    query = "SELECT value FROM sigdb_data.atlas_info WHERE key = 'duckdb_version'"
    same_duckdb = con.execute(query).fetchall() == [(duckdb.__version__,)]
    wanted = shipped(with_definition=same_duckdb)
    found = parts(con, with_definition=same_duckdb)
    tables = {name.partition(".")[0] for name in wanted if name.startswith("column ")} - {"column cell_data"}
    unknown = [name for name in found.keys() - wanted.keys() if name.partition(".")[0] in tables]
    missing = wanted.keys() - found.keys()
    other = [name for name in found.keys() & wanted.keys() if found[name] != wanted[name]]
    examples = [
        *(f"missing {name}" for name in sorted(missing)),
        *(f"unknown {name}" for name in sorted(unknown)),
        *(f"another {name}" for name in sorted(other)),
    ]
    return Finding(
        "schema", "tables, views and macros are those of this sigdb.", len(examples), examples[0] if examples else None
    )


@cache
def shipped(*, with_definition: bool) -> dict[str, tuple[str, str | None]]:
    """The parts of a new atlas."""
    with TemporaryDirectory() as folder:
        # In a file, and opened again: a macro's text changes once more when it is stored.
        Atlas.create(Path(folder) / "new.duckdb").close()
        with connect(Path(folder) / "new.duckdb") as new:
            return parts(new, with_definition=with_definition)


def parts(con: duckdb.DuckDBPyConnection, *, with_definition: bool) -> dict[str, tuple[str, str | None]]:
    """Columns, views and macros of an atlas by kind and name: comment, and definition if wanted."""
    rows = con.execute(catalog.statement("queries/schema")).fetchall()
    return {f"{kind} {name}": (comment, text if with_definition else None) for kind, name, comment, text in rows}


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
    "schema": catalog.install,
    "cube": rebuild_summary,
    "group_sizes": rebuild_summary,
    "materialized": materialized.rebuild,
    "sorted": cluster,
}
