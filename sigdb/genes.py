"""Gene names: what HGNC knows about them, and how they become genes of an atlas."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from sigdb.catalog import run_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

__all__ = ["add_genes"]


def add_genes(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> list[int]:
    """Add a model's genes to the atlas, with all names that HGNC knows for them; return the gene_id of each.

    names: symbols (current or previous) or Ensembl ids, each once. A name that means a gene the atlas has already,
    be it under another name, is that gene. Source of the names: the HGNC complete set of 2026-06-25 (CC0).
    """
    with (files("sigdb") / "data" / "hgnc_human.parquet").open("rb") as file:
        run_statement(con, "write/hgnc_names", sigdb_hgnc=pq.read_table(file))
    run_statement(con, "write/incoming_genes", {"names": list(names)})
    run_statement(con, "write/add_genes")
    return [gene_id for (gene_id,) in run_statement(con, "write/incoming_gene_ids")]
