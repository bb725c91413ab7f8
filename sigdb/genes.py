"""Gene names: what HGNC knows about them, and how they become genes of an atlas."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from sigdb.catalog import run_statement
from sigdb.errors import GeneSpaceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

__all__ = ["add_genes"]

# As many as there are numbers of 16 bits.
MOST_GENES = 1 << 16


def add_genes(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> list[int]:
    """Add a model's genes to the atlas, with all names that HGNC knows for them; return the gene_id of each.

    names: symbols (current or previous) or Ensembl ids, each once. A name that means a gene the atlas has already,
    be it under another name, is that gene. Source of the names: the HGNC complete set of 2026-06-25 (CC0). Raises
    GeneSpaceError if they are more than an atlas can hold.
    """
    with (files("sigdb") / "data" / "hgnc_human.parquet").open("rb") as file:
        run_statement(con, "write/hgnc_names", sigdb_hgnc=pq.read_table(file))
    run_statement(con, "write/incoming_genes", {"names": list(names)})
    ((n_known, n_new),) = run_statement(con, "queries/count_genes")
    if n_known + n_new > MOST_GENES:
        raise GeneSpaceError(
            f"An atlas holds {MOST_GENES:,} genes at the most. This has {n_known:,}; of {len(names):,} more, "
            f"{n_new:,} are others. Use another atlas for this model, or leave out what is no gene."
        )
    run_statement(con, "write/add_genes")
    return [gene_id for (gene_id,) in run_statement(con, "write/incoming_gene_ids")]
