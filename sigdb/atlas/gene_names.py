"""The names of genes that HGNC knows, and what the atlas keeps of them."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from sigdb.statements import run_statement

if TYPE_CHECKING:
    import duckdb

__all__ = ["load_hgnc", "refresh_other_names"]


def load_hgnc(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table sigdb_hgnc_names. Source: the HGNC complete set of 2026-06-25 (CC0)."""
    with (files("sigdb") / "data" / "hgnc_human.parquet").open("rb") as file:
        run_statement(con, "atlas/gene_names.make_hgnc_names", sigdb_hgnc=pq.read_table(file))


def refresh_other_names(con: duckdb.DuckDBPyConnection) -> None:
    """Keep the names of genes that the atlas lacks, where they differ only in case from a name that it has.

    `load_hgnc` must have made its table.
    """
    run_statement(con, "atlas/gene_names.delete_other_names")
    run_statement(con, "atlas/gene_names.add_other_names")
