"""An empty atlas, and the record of what made a file."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from sigdb.atlas import schema
from sigdb.atlas.file import SCHEMA_VERSION, attach_new
from sigdb.statements import run_statement

__all__ = ["record_versions", "write_empty"]


def write_empty(path: Path) -> None:
    """Write a file with the tables, views and macros of an atlas, made now by this sigdb."""
    path.write_bytes(empty_file())
    with duckdb.connect() as con:
        attach_new(con, path)
        con.execute("USE sigdb_new")
        con.execute("BEGIN")
        schema.name_atlas(con)
        record_versions(con)
        con.execute("COMMIT")
        # Closing a connection does not report a full disk, and the log would get lost when the file is renamed.
        con.execute("CHECKPOINT sigdb_new")


@cache
def empty_file() -> bytes:
    """The contents of a file with the tables, views and macros of an atlas. Cached, because creating them is slow."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.duckdb"
        with duckdb.connect() as con:
            attach_new(con, path)
            con.execute("USE sigdb_new")
            con.execute("BEGIN")
            run_statement(con, "schema")
            schema.install(con)
            con.execute("COMMIT")
            con.execute("CHECKPOINT sigdb_new")
        return path.read_bytes()


def record_versions(con: duckdb.DuckDBPyConnection) -> None:
    """Record which sigdb and DuckDB made the file as it is now."""
    run_statement(
        con,
        "atlas/records.record_versions",
        {
            "schema_version": str(SCHEMA_VERSION),
            "sigdb_version": version("sigdb-atlas"),
            "duckdb_version": duckdb.__version__,
            "now": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
