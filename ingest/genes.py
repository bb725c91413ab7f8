"""Genes of models and studies: add a model's genes to an atlas, and find them among the columns of a study."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from ingest.names import describe_unknown
from sigdb.atlas.gene_names import load_hgnc, refresh_other_names
from sigdb.atlas.writer import Atlas
from sigdb.errors import GeneSpaceError, listed
from sigdb.statements import run_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    from scipy.sparse import csr_matrix


__all__ = ["GeneMap", "add_genes", "map_genes", "map_to_models"]

# SIGnature's threshold for SCimilarity: with fewer genes, data are of another species or use other names.
MIN_GENES = 500
# What most gene names of a study look like if they are not human genes (a pattern), and the explanation.
CAUSES = {
    r"\d+": "The names are numbers: the gene names are in a column of var, and must be its index.",
    r"ENS[A-Z]{3}G\d+(\.\d+)?": "The names are Ensembl ids of another species; the model has human genes.",
    r"(ENST|NM_|NR_|XM_)\d+(\.\d+)?": "The names are transcripts; the model has genes.",
    r"[A-Z][a-z][A-Za-z0-9.-]*": "They look like symbols of another species, such as mouse; the model has human genes.",
    r"[a-z][a-z0-9.-]*": "The names are in lower case, like genes of another species; symbols of human genes are in "
    "capitals.",
}


def add_genes(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> list[int]:
    """Add a model's genes to the atlas, with all names that HGNC has for them; return the gene_id of each.

    names: symbols (current or previous) or Ensembl ids, without duplicates. A name of a gene that the atlas has
    already, even under another name, gets the id of that gene.
    """
    load_hgnc(con)
    run_statement(con, "ingest/genes.resolve_model_genes", {"names": list(names)})
    run_statement(con, "ingest/genes.add_genes")
    refresh_other_names(con)
    return [gene_id for (gene_id,) in run_statement(con, "ingest/genes.model_gene_ids")]


@dataclass(frozen=True)
class GeneMap:
    """Which columns of a study's counts are which genes of a model.

    selection: (n_columns, n_model_genes) CSR of ones; counts @ selection adds up the columns of each gene. measured:
    (n,) the positions, ascending, of the model's genes that the study has a column for. notes: what a user should know
    about the columns.
    """

    selection: csr_matrix
    measured: np.ndarray[tuple[int], np.dtype[np.intp]]
    notes: tuple[str, ...] = ()

    def __call__(self, counts: csr_matrix) -> csr_matrix:
        """Map counts (n_cells, n_columns) to the model's genes, (n_cells, n_model_genes); other genes are 0."""
        from scipy.sparse import csr_matrix

        aligned = csr_matrix(counts @ self.selection, dtype=np.float32)
        aligned.sort_indices()
        aligned.eliminate_zeros()
        return aligned


def map_genes(
    con: duckdb.DuckDBPyConnection, var_names: Sequence[str], gene_ids: Sequence[int], *, min_genes: int | None = None
) -> GeneMap:
    """Find the genes of a model (atlas gene_ids, in the model's order) among the columns of a study.

    A column matches a gene by its symbol, or else by an approved or previous symbol, an alias or an Ensembl id that
    belongs to this gene only. Case matters, because mouse genes differ from human ones by case. If several columns
    match a gene equally well, they are added up; columns that match it less well are ignored. Raises GeneSpaceError if
    fewer than `min_genes` genes are found; by default, MIN_GENES or half the genes of a smaller model.
    """
    fewest = min_genes or min(MIN_GENES, (len(gene_ids) + 1) // 2)
    position_of = {gene: n for n, gene in enumerate(gene_ids)}
    resolved = run_statement(con, "ingest/genes.resolve_columns", {"names": list(var_names)})
    best: dict[int, int] = {}
    for _, gene, rank in resolved:
        if gene in position_of:
            best[gene] = min(rank, best.get(gene, rank))
    pairs = [(column, position_of[gene]) for column, gene, rank in resolved if gene in best and best[gene] == rank]
    measured = np.unique(np.asarray([position for _, position in pairs], dtype=np.intp))
    if len(measured) < fewest:
        raise GeneSpaceError(
            f"Only {len(measured)} of the model's {len(gene_ids)} genes are among the study's {len(var_names)} "
            f"({listed(var_names, 3)}); at least {fewest} are needed. {find_cause(var_names)} "
            "Lower `min_genes` only if the gene panel is small on purpose."
        )
    from scipy.sparse import csr_matrix  # part of the ingest extra, which the records of an atlas do not need

    columns, positions = zip(*pairs, strict=True)
    ones = np.ones(len(columns), np.float32)
    selection = csr_matrix((ones, (columns, positions)), shape=(len(var_names), len(gene_ids)))
    matched = {column for column, _, _ in resolved}
    notes = describe_unknown([name for n, name in enumerate(var_names) if n not in matched], len(var_names))
    ignored = [var_names[column] for column, gene, rank in resolved if gene in best and best[gene] < rank]
    return GeneMap(selection, measured, (*notes, *describe_columns(var_names, pairs, ignored)))


def map_to_models(
    models: Sequence[Sequence[str]], var_names: Sequence[str], *, min_genes: int | None = None
) -> tuple[list[GeneMap], tuple[tuple[int, ...], ...]]:
    """Find the genes of each model among the columns of a study, without an atlas, as `map_genes` does.

    models: the gene list of each. Returns also one id for each gene of each model; the same gene has the same id.
    """
    with (
        TemporaryDirectory() as folder,
        Atlas.create(Path(folder) / "genes.duckdb") as atlas,
        atlas.transaction() as con,
    ):
        gene_ids = tuple(tuple(add_genes(con, names)) for names in models)
        return [map_genes(con, var_names, ids, min_genes=min_genes) for ids in gene_ids], gene_ids


def describe_columns(var_names: Sequence[str], pairs: Sequence[tuple[int, int]], ignored: Sequence[str]) -> list[str]:
    """Notes on columns that are added up, and on ignored ones. pairs: columns, and the positions of their genes."""
    times = Counter(position for _, position in pairs)
    added = [var_names[column] for column, position in pairs if times[position] > 1]
    notes = []
    if added:
        n_genes = sum(n > 1 for n in times.values())
        notes.append(f"{len(added):,} columns are added up to {n_genes:,} genes: {listed(added, 4)}")
    if ignored:
        notes.append(f"{len(ignored):,} columns are ignored, as their genes have a better name: {listed(ignored, 3)}")
    return notes


def find_cause(names: Sequence[str]) -> str:
    """A guess why the names of a study's columns are not genes of the model."""
    for pattern, cause in CAUSES.items():
        if sum(re.fullmatch(pattern, name) is not None for name in names) > len(names) / 2:
            return cause
    return "Is it another species, or are the names neither symbols nor Ensembl ids?"
