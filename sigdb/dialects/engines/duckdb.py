"""The SQL of DuckDB, for a database that has the tables but not the macros."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.dialects.engines.base import Dialect

if TYPE_CHECKING:
    from sqlglot import exp

__all__ = ["DuckDB"]


class DuckDB(Dialect):
    """DuckDB: nothing to replace, nothing to refuse."""

    name = "duckdb"

    def port(self, tree: exp.Query) -> exp.Query:
        """The query as it is."""
        return tree
