"""`transpile()`: a query on an atlas in the SQL of another engine, macros and views written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from sigdb.dialects.expand import SCHEMA, expand
from sigdb.dialects.rewrite import ported
from sigdb.errors import QueryError, listed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DIALECTS", "transpile", "written_for"]

DIALECTS = ("spark", "databricks", "trino", "bigquery", "snowflake", "duckdb")


def transpile(sql: str, dialect: str, *, schema: str = SCHEMA) -> str:
    """A query on an atlas, in DuckDB's SQL, as a query of another engine that has the same tables.

    All macros and views are written out, from the texts in `sql/`, down to the base tables, which the engine has as
    `schema`.attributions and so on (`schema` may have several parts: catalog.schema). Names of your own tables stay as
    they are. dialect: spark, databricks, trino, bigquery or snowflake; duckdb for a DuckDB that has the tables and not
    the macros. What was run where, and what each dialect refuses: docs/dialects.md.
    Raises QueryError for a dialect that is not known, for what is not one query, for a macro call that DuckDB would
    refuse, and, by name, for what the dialect cannot say.
    """

    def place(table: exp.Table) -> exp.Table:
        return exp.to_table(f"{schema}.{table.name}", dialect=dialect)

    return written_for(expand(sql), dialect, place)


def written_for(tree: exp.Query, dialect: str, place: Callable[[exp.Table], exp.Expr]) -> str:
    """A query on base tables as text; `place` gives what stands for a base table."""
    if dialect not in DIALECTS:
        raise QueryError(f"There is no dialect {dialect!r}. It is one of {listed(DIALECTS)}.")
    if dialect != "duckdb":
        tree = ported(tree, dialect)
    for table in list(tree.find_all(exp.Table)):
        if table.db.lower() == SCHEMA and not table.catalog:
            other = place(table)
            other.set("alias", table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name)))
            for key in ("joins", "laterals", "pivots", "sample"):
                other.set(key, table.args.get(key))
            table.replace(other)
    try:
        return tree.sql(dialect, pretty=True, unsupported_level=sqlglot.ErrorLevel.RAISE, normalize_functions="upper")
    except sqlglot.errors.UnsupportedError as error:
        raise QueryError(f"{dialect} cannot say this: {str(error).splitlines()[0]}") from error
