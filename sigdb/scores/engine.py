"""Scores of all cells, in Python: the sums of the table macro `signature_score`, in a dense array instead of SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import duckdb
import numpy as np
import pyarrow as pa
from sqlglot import exp

from sigdb.errors import QueryError, listed, macro_message, message
from sigdb.interrupt import can_interrupt
from sigdb.scores.names import warn_of_genes
from sigdb.scores.options import ScoreOptions, check_options, score_parameters
from sigdb.statements import check_connection, parse_statement, statement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sigdb.scores.members import Genes

__all__ = ["Terms", "attributed_mask", "check_score", "open_cursor", "resolve_terms", "score", "score_vector"]


@dataclass(frozen=True)
class Terms:
    """What a score is made of: a run, the genes of the atlas, and the number each attribution is multiplied by.

    genes: (n,) gene_id. weights: (n,), divided by the sum of their absolute values if the score is a mean. signed: keep
    the sign of attributions. measured: (n_studies, 2) study_id and the factor that turns a mean over all genes into the
    mean over the genes that the study measured; None for a mean over all genes.
    """

    run: int
    genes: NDArray[np.int64]
    weights: NDArray[np.float64]
    signed: bool
    measured: NDArray[np.float64] | None

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for two Terms that make equal scores."""
        measured = None if self.measured is None else self.measured.tobytes()
        return self.run, self.genes.tobytes(), self.weights.tobytes(), self.signed, measured


def score(con: duckdb.DuckDBPyConnection, genes: Genes, **options: Unpack[ScoreOptions]) -> pa.Table:
    """Score a signature in every cell that the run has attributed.

    The SQL macro `signature_score` gives the same numbers. The stored attributions are streamed and added up by cell,
    so memory use is a few bytes per cell.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas, from `sigdb.connect` or from duckdb.
    genes : str, Signature or list of str
        The name of a signature of the library, a `sigdb.Signature`, the name of a gene, or a list of genes.
    **options
        weights, agg, missing, run, signed, measured_only: see `sigdb.ScoreOptions`.

    Returns
    -------
    pyarrow.Table
        cell_id (UINTEGER) and score (DOUBLE), in the order of cell_id. The unit of a score is one thousandth of the
        absolute attributions of a cell, which add up to 1000. With `measured_only`, the score is null if the cell's
        study measured none of the genes.

    Raises
    ------
    QueryError
        If the genes or the options cannot be used, as for the macro, or if no single atlas is attached.

    Examples
    --------
    >>> scores = sigdb.score(con, ["CD3D", "CD3E"])
    >>> scores.column_names
    ['cell_id', 'score']
    >>> scores.num_rows == con.execute("SELECT count(*) FROM cells").fetchone()[0]
    True
    """
    check_options(score, options)
    with open_cursor(con) as cursor:
        terms = resolve_terms(cursor, genes, **options)
        is_attributed = attributed_mask(cursor, terms.run)
        totals = add_up(cursor, terms, len(is_attributed))
    cells = np.flatnonzero(is_attributed)
    scores = pa.array(totals[cells], pa.float64(), from_pandas=True)
    return pa.table({"cell_id": pa.array(cells, pa.uint32()), "score": scores})


def open_cursor(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A cursor on the atlas of a connection: a second query on `con` itself would end a result that is being read.

    A cursor does not inherit USE, so the atlas is looked up among the attached databases. Raises QueryError unless one
    of them is an atlas and the others are not, or the current database is one.
    """
    check_connection(con)
    try:
        cursor = can_interrupt(con.cursor())
    except duckdb.Error as error:
        raise QueryError(f"The connection cannot be used: {message(error)}") from error
    found = cursor.execute(statement("atlas/inspect.atlases")).fetchall()
    if len(found) != 1 and not any(is_current for _, is_current in found):
        cursor.close()
        names = [name for name, _ in found]
        raise QueryError(
            f"{len(names)} of the attached databases are atlases ({listed(names)}). Connect to one of them."
            if names
            else "No atlas is attached to this connection. `sigdb.connect(path)` opens one."
        )
    if not any(is_current for _, is_current in found):
        cursor.execute(exp.Use(this=exp.to_identifier(found[0][0], quoted=True)).sql("duckdb"))
    return cursor


def resolve_terms(cursor: duckdb.DuckDBPyConnection, genes: Genes, **options: Unpack[ScoreOptions]) -> Terms:
    """The terms of a score of `genes`; QueryError if it cannot be computed. What their names mean is logged."""
    completed = score_parameters(cursor, genes, **options)
    agg, signed, run = completed["agg"], completed["signed"], completed["run"]
    parameters = {name: completed[name] for name in ("genes", "weights", "run")}
    checked = {"agg": agg, "missing": completed["missing"], "signed": signed, "signatures": None}
    check_score(cursor, parameters | checked)
    warn_of_genes(cursor, completed["genes"], run=run)
    terms = stream(cursor, parse_statement("scores/engine.score_terms"), {**parameters, "agg": agg}).read_all()
    measured = None
    if completed["measured_only"] and agg == "mean":
        coverage = stream(cursor, parse_statement("scores/engine.score_coverage"), parameters).read_all()
        measured = np.column_stack([coverage["study"], coverage["factor"]])
    return Terms(
        run=terms["run"][0].as_py(),
        genes=terms["gene"].to_numpy().astype(np.int64),
        weights=terms["weight"].to_numpy(),
        signed=signed,
        measured=measured,
    )


def check_score(con: duckdb.DuckDBPyConnection, parameters: dict[str, Any]) -> None:
    """Raise QueryError if a score cannot be computed with the parameters of `scores/engine.score_check`."""
    try:
        con.execute(statement("scores/engine.score_check"), parameters).fetchall()
    except duckdb.Error as error:
        raise QueryError(macro_message(message(error))) from error


def score_vector(cursor: duckdb.DuckDBPyConnection, terms: Terms) -> NDArray[np.float64]:
    """The score of each cell by its cell_id, from 0 to the last cell of the run; NaN where a cell has no score."""
    is_attributed = attributed_mask(cursor, terms.run)
    totals = add_up(cursor, terms, len(is_attributed))
    totals[~is_attributed] = np.nan
    return totals


def attributed_mask(cursor: duckdb.DuckDBPyConnection, run: int) -> NDArray[np.bool_]:
    """Whether the run has attributed each cell, by cell_id, from 0 to the last cell of the run."""
    ((last,),) = cursor.execute(statement("scores/engine.last_cell"), {"run": run}).fetchall()
    mask = np.zeros(0 if last is None else last + 1, np.bool_)
    for batch in stream(cursor, parse_statement("scores/engine.attributed_cells"), {"run": run}):
        mask[batch["cell_id"].to_numpy()] = True
    return mask


def add_up(cursor: duckdb.DuckDBPyConnection, terms: Terms, n_cells: int) -> NDArray[np.float64]:
    """Sum the stored terms by cell_id: (n_cells,). With `terms.measured`, NaN in studies that measured no gene."""
    totals = np.zeros(n_cells)
    weights = np.zeros(int(terms.genes.max()) + 1)
    weights[terms.genes] = terms.weights
    # DuckDB skips row groups for a list of literals, but not for a join or a bound list.
    genes = exp.column("gene_id").isin(*terms.genes.tolist())
    for batch in stream(cursor, parse_statement("scores/engine.stored_scores").where(genes), {"run": terms.run}):
        scores = batch["score"].to_numpy()
        values = (scores if terms.signed else np.abs(scores)) * weights[batch["gene_id"].to_numpy()]
        # cell_id is a BIGINT: numpy is five times slower with smaller integers as positions.
        np.add.at(totals, batch["cell_id"].to_numpy(), values)
    if terms.measured is not None:
        studies = terms.measured[:, 0].astype(int)
        factors = np.zeros(studies.max() + 1)
        factors[studies] = terms.measured[:, 1]
        for batch in stream(cursor, parse_statement("scores/engine.cell_studies"), {"last": n_cells - 1}):
            totals[batch["cell_id"].to_numpy()] *= factors[batch["study_id"].to_numpy()]
    return totals


def stream(cursor: duckdb.DuckDBPyConnection, query: exp.Select, parameters: dict[str, Any]) -> pa.RecordBatchReader:
    """The result of a query as a stream of Arrow batches."""
    return pa.RecordBatchReader.from_stream(cursor.sql(query.sql("duckdb"), params=parameters))
