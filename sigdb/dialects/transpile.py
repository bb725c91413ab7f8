"""`transpile`: a query on an atlas in the SQL of another engine, with all macros and views written out."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sqlglot import exp

from sigdb.dialects.engines import DIALECTS
from sigdb.dialects.expand import expand
from sigdb.dialects.macros import SCHEMA
from sigdb.errors import QueryError, listed, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from sigdb.dialects.engines.base import Dialect

__all__ = ["transpile", "write_sql"]

# The clauses of a base table that stay when a table or sub-query of the engine replaces it.
AROUND_TABLE = ("joins", "laterals", "pivots", "sample")


def transpile(sql: str, dialect: str, *, schema: str = SCHEMA) -> str:
    """Translate a query on an atlas into the SQL of another engine that has the same tables.

    All macros and views are written out, down to the base tables (`sql/schema.sql`). Names of your own tables stay as
    they are. docs/dialects.md says which dialects were run on what, and what each of them refuses.

    Parameters
    ----------
    sql
        One query, in the SQL of the installed DuckDB, with values in place of parameters.
    dialect
        `spark`, `databricks`, `trino`, `bigquery` or `snowflake`; `duckdb` for a DuckDB database that has the tables
        but not the macros.
    schema
        Where the engine has the base tables: `schema.attributions` and so on. It may have several parts
        (`catalog.schema`).

    Returns
    -------
    The query as text, without a semicolon at its end.

    Raises
    ------
    QueryError
        The dialect is unknown; `sql` is not one query; DuckDB would refuse a call of a macro; or, by name, the dialect
        has no equivalent of a construct.

    Examples
    --------
    >>> print(sigdb.transpile("SELECT median(n_cells) FROM group_sizes", "snowflake", schema="atlas.public"))
    WITH _group_sizes AS (
      SELECT
        *
      FROM atlas.public.group_sizes AS group_sizes
    )
    SELECT
      MEDIAN(CAST(n_cells AS DOUBLE))
    FROM _group_sizes AS group_sizes

    """

    @cache
    def engine_table(name: str) -> exp.Table:
        return exp.to_table(f"{schema}.{name}", dialect=dialect)

    return write_sql(expand(sql), dialect, lambda table: engine_table(table.name).copy())


def write_sql(tree: exp.Query, dialect: str, relation_of: Callable[[exp.Table], exp.Expr]) -> str:
    """Write a query on base tables in a dialect. relation_of: the engine's table or sub-query for a base table."""
    engine = find_dialect(dialect)
    tree = engine.port(tree)
    for table in list(tree.find_all(exp.Table)):
        if table.db.lower() == SCHEMA and not table.catalog:
            other = relation_of(table)
            other.set("alias", table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name)))
            for key in AROUND_TABLE:
                other.set(key, table.args.get(key))
            table.replace(other)
    return engine.write(tree)


def find_dialect(name: str) -> Dialect:
    """A dialect by its name; QueryError for others."""
    if name not in DIALECTS:
        raise QueryError(f"There is no dialect {name!r}.{nearest(name, DIALECTS)} Choose one of {listed(DIALECTS)}.")
    return DIALECTS[name]
