"""Gene names: what HGNC knows about them, and how they become genes of an atlas."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix

from sigdb.errors import GeneSpaceError, listed
from sigdb.statements import run_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb


__all__ = ["GeneMap", "add_genes", "map_genes"]


def add_genes(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> list[int]:
    """Add a model's genes to the atlas, with all names that HGNC knows for them; return the gene_id of each.

    names: symbols (current or previous) or Ensembl ids, each once. A name that means a gene the atlas has already,
    be it under another name, is that gene. Source of the names: the HGNC complete set of 2026-06-25 (CC0).
    """
    with (files("sigdb") / "data" / "hgnc_human.parquet").open("rb") as file:
        run_statement(con, "ingest/genes.hgnc_names", sigdb_hgnc=pq.read_table(file))
    run_statement(con, "ingest/genes.incoming_genes", {"names": list(names)})
    run_statement(con, "ingest/genes.add_genes")
    return [gene_id for (gene_id,) in run_statement(con, "ingest/genes.incoming_gene_ids")]


@dataclass(frozen=True)
class GeneMap:
    """Which columns of a study's counts are which genes of a model.

    selection: (n_var, n_model_genes) CSR of ones; counts @ selection adds up the columns of one gene. measured: (n,)
    positions in the model's list of the genes that the study has a column for, ascending.
    """

    selection: csr_matrix
    measured: np.ndarray[tuple[int], np.dtype[np.intp]]

    def __call__(self, counts: csr_matrix) -> csr_matrix:
        """Counts (n_cells, n_var) in the model's gene order, (n_cells, n_model_genes); genes not measured are empty."""
        aligned = csr_matrix(counts @ self.selection, dtype=np.float32)
        aligned.sort_indices()
        aligned.eliminate_zeros()
        return aligned


# What most names of a study look like that are no human genes, and what to do then.
CAUSES = {
    r"\d+": "They are numbers: the names of the genes are in a column of var, and must be its index.",
    r"ENS[A-Z]{3}G\d+(\.\d+)?": "They are Ensembl ids of another species; the model is of human genes.",
    r"(ENST|NM_|NR_|XM_)\d+(\.\d+)?": "They are transcripts; the model is of genes.",
    r"[A-Z][a-z][A-Za-z0-9.-]*": "They look like symbols of another species, such as mouse; the model's are human.",
    r"[a-z][a-z0-9.-]*": "They are in lower case, as those of another species; symbols of human genes are in capitals.",
}


def likely_cause(names: Sequence[str]) -> str:
    """Why the names of a study's columns may be none of the model's."""
    for pattern, cause in CAUSES.items():
        if sum(re.fullmatch(pattern, name) is not None for name in names) > len(names) / 2:
            return cause
    return "Is it another species, or are the names neither symbols nor Ensembl ids?"


def map_genes(
    con: duckdb.DuckDBPyConnection, var_names: Sequence[str], gene_ids: Sequence[int], *, min_genes: int
) -> GeneMap:
    """Find each gene of a model (atlas gene_ids, in the model's order) among a study's columns.

    A column is a gene by its symbol, or else by an approved or previous symbol, an alias or an Ensembl id that means
    this gene alone; case counts, or mouse genes would pass for human ones. Columns that name a gene equally well are
    added up; one that names it less well is not used. Raises GeneSpaceError if fewer than `min_genes` are found.
    """
    position_of = {gene: n for n, gene in enumerate(gene_ids)}
    resolved = run_statement(con, "ingest/genes.resolve_columns", {"names": list(var_names)})
    best: dict[int, int] = {}
    for _, gene, rank in resolved:
        if gene in position_of:
            best[gene] = min(rank, best.get(gene, rank))
    pairs = [(column, position_of[gene]) for column, gene, rank in resolved if gene in best and best[gene] == rank]
    measured = np.unique(np.asarray([gene for _, gene in pairs], dtype=np.intp))
    if len(measured) < min_genes:
        raise GeneSpaceError(
            f"Only {len(measured)} of the model's {len(gene_ids)} genes are among the study's {len(var_names)} "
            f"({listed(var_names, 3)}); at least {min_genes} are needed. {likely_cause(var_names)} "
            "Lower --min-genes only if the panel is small on purpose."
        )
    rows, columns = zip(*pairs, strict=True)
    shape = (len(var_names), len(gene_ids))
    return GeneMap(csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape), measured)
