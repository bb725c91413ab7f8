"""The base tables of an atlas as Parquet, for other engines: one folder a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.catalog import literal
from sigdb.expand import base_tables
from sigdb.spark import GENES_PER_BUCKET

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb


def write_lake(con: duckdb.DuckDBPyConnection, folder: Path) -> Path:
    """Write every base table; attributions in a folder of its own for each run and bucket of genes."""
    for table in base_tables():
        (folder / table).mkdir(parents=True)
        if table == "attributions":
            con.execute(
                f"COPY (SELECT run_id, gene_id // {GENES_PER_BUCKET} AS gene_bucket, gene_id, cell_id, score "
                f"FROM sigdb_data.attributions ORDER BY ALL) TO {literal(str(folder / table))} "
                "(FORMAT parquet, PARTITION_BY (run_id, gene_bucket), OVERWRITE_OR_IGNORE)"
            )
        else:
            con.execute(
                f"COPY sigdb_data.{table} TO {literal(str(folder / table / 'part-0.parquet'))} (FORMAT parquet)"
            )
    return folder
