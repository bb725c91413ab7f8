"""One class per dialect: how the SQL of an engine differs from DuckDB's. `base` says how to add one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.dialects.engines.bigquery import BigQuery
from sigdb.dialects.engines.duckdb import DuckDB
from sigdb.dialects.engines.snowflake import Snowflake
from sigdb.dialects.engines.spark import Databricks, Spark
from sigdb.dialects.engines.trino import Trino

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sigdb.dialects.engines.base import Dialect

__all__ = ["DIALECTS"]

DIALECTS: Mapping[str, Dialect] = {
    each.name: each for each in (Spark(), Databricks(), Trino(), BigQuery(), Snowflake(), DuckDB())
}
