"""Top genes: which genes matter most to a group of cells."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sigdb.statements import ask, parse_statement

if TYPE_CHECKING:
    import duckdb

    from sigdb.answers import Answer

__all__ = ["PARTLY_MEASURED", "top_genes"]

PARTLY_MEASURED = (
    "The mean is over all cells of the group. A gene counts as 0 in the cells whose study did not measure it: compare "
    "n_measured with n_cells."
)


def top_genes(
    con: duckdb.DuckDBPyConnection,
    *,
    cell_type: str | None = None,
    disease: str | None = None,
    tissue: str | None = None,
    study: str | None = None,
    n: int = 40,
    run: str | int | None = None,
    signed: bool = False,
) -> Answer:
    """Find the genes of highest mean attribution in a group of cells.

    The macro `gene_importance` gives the same rows in SQL, for every gene.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    cell_type, disease, tissue, study : str, optional
        The group of cells. None stands for any value.
    n : int
        The number of genes. Genes that tie with the last one are there, too.
    run, signed
        See `sigdb.ScoreOptions`.

    Returns
    -------
    Answer
        One row per gene: gene, score (mean attribution over all cells of the group, in thousandths of a cell), n_cells
        of the group, fraction_nonzero (of these cells), n_measured (cells whose study measured the gene), rank.

    Raises
    ------
    QueryError
        If no cell is in the group, or if an option cannot be used.

    Examples
    --------
    >>> sigdb.top_genes(con, cell_type="beta", n=3).table.num_rows
    3
    """
    parameters = {"cell_type": cell_type, "disease": disease, "tissue": tissue, "study": study}
    found = ask(con, parse_statement("findings/top_genes"), {**parameters, "n": n, "run": run, "signed": signed})
    partly = any(row["n_measured"] < row["n_cells"] for row in found.table.to_pylist())
    return replace(found, notes=(PARTLY_MEASURED,) if partly else ())
