"""Scores of all cells, in Python: the sum that `FROM signature_score(genes)` makes, in a dense array instead of SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import sqlglot
from sqlglot import exp

from sigdb.errors import QueryError, listed
from sigdb.statements import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Terms", "attributed", "check", "open_cursor", "resolve", "score", "score_vector"]


@dataclass(frozen=True)
class Terms:
    """What a score is made of: a run, the genes of the atlas, and what each attribution is multiplied with.

    genes: (n,) gene_id. weights: (n,), divided by their absolute sum where the score is a mean. signed: keep the sign
    of attributions. measured: (n_studies, 2) rows of study_id and the factor that turns a mean over all genes into one
    over those the study measured; None: over all genes.
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


def score(
    con: duckdb.DuckDBPyConnection,
    genes: Sequence[str],
    *,
    weights: Sequence[float] | None = None,
    agg: str = "mean",
    missing: str = "error",
    run: str | int | None = None,
    signed: bool = False,
    measured_only: bool = False,
) -> pa.Table:
    """Score a signature in every cell that the run has attributed.

    Options, units and errors are those of the macro `signature_score`, and so are the numbers; errors are QueryError.
    Returns a table (cell_id UINTEGER, score DOUBLE) in the order of cell_id, which can be registered and joined; with
    `measured_only`, the score is null where the cell's study measured none of the genes. The stored terms are streamed
    and added up by cell id, so memory is a few bytes a cell and a few batches of terms.
    """
    with open_cursor(con) as cursor:
        terms = resolve(
            cursor,
            genes,
            weights=weights,
            agg=agg,
            missing=missing,
            run=run,
            signed=signed,
            measured_only=measured_only,
        )
        is_attributed = attributed(cursor, terms.run)
        totals = add_up(cursor, terms, len(is_attributed))
    cells = np.flatnonzero(is_attributed)
    scores = pa.array(totals[cells], pa.float64(), from_pandas=True)
    return pa.table({"cell_id": pa.array(cells, pa.uint32()), "score": scores})


def open_cursor(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A cursor on the atlas of a connection: a second query on `con` itself would end a result that is being read.

    A cursor does not inherit USE, so the atlas is looked for among the attached databases. Raises QueryError unless
    exactly one of them is an atlas, or the one the file was opened with is.
    """
    try:
        cursor = con.cursor()
    except duckdb.Error as error:
        raise QueryError(f"The connection cannot be used: {error}") from error
    found = cursor.execute(statement("atlas/inspect.atlases")).fetchall()
    if len(found) != 1 and not any(is_current for _, is_current in found):
        cursor.close()
        names = [name for name, _ in found]
        raise QueryError(
            f"{len(names)} of the attached databases are atlases ({listed(names)}); connect to one."
            if names
            else "No atlas is attached to this connection; sigdb.connect(path) opens one."
        )
    if not any(is_current for _, is_current in found):
        cursor.execute(exp.Use(this=exp.to_identifier(found[0][0], quoted=True)).sql("duckdb"))
    return cursor


def resolve(
    cursor: duckdb.DuckDBPyConnection,
    genes: Sequence[str] | None = None,
    *,
    signature: str | None = None,
    weights: Sequence[float] | None = None,
    agg: str = "mean",
    missing: str = "error",
    run: str | int | None = None,
    signed: bool = False,
    measured_only: bool = False,
) -> Terms:
    """The terms of a score of `genes`, or of a `signature` of the library; QueryError if it cannot be computed."""
    asked = {
        "genes": None if genes is None else list(genes),
        "weights": None if weights is None else [float(weight) for weight in weights],
        "signatures": None if signature is None else [signature],
        "run": run,
    }
    check(cursor, {**asked, "agg": agg, "missing": missing, "signed": signed})
    terms = arrow(cursor, "scores/engine.score_terms", {**asked, "agg": agg}).read_all()
    measured = (
        arrow(cursor, "scores/engine.score_coverage", asked).read_all() if measured_only and agg == "mean" else None
    )
    return Terms(
        run=terms["run"][0].as_py(),
        genes=terms["gene"].to_numpy().astype(np.int64),
        weights=terms["weight"].to_numpy(),
        signed=signed,
        measured=None if measured is None else np.column_stack([measured["study"], measured["factor"]]),
    )


def check(con: duckdb.DuckDBPyConnection, asked: dict[str, Any]) -> None:
    """Raise QueryError if a score cannot be computed as asked: the parameters of `scores/engine.score_check`."""
    try:
        con.execute(statement("scores/engine.score_check"), asked).fetchall()
    except duckdb.Error as error:
        raise QueryError(str(error).removeprefix("Invalid Input Error: ")) from error


def score_vector(cursor: duckdb.DuckDBPyConnection, terms: Terms) -> NDArray[np.float64]:
    """The score of each cell by its cell_id, from 0 to the last that the run attributed; NaN where a cell has none."""
    is_attributed = attributed(cursor, terms.run)
    totals = add_up(cursor, terms, len(is_attributed))
    totals[~is_attributed] = np.nan
    return totals


def attributed(cursor: duckdb.DuckDBPyConnection, run: int) -> NDArray[np.bool_]:
    """Whether the run has attributed each cell, by cell_id, from 0 to the last that it has."""
    ((last,),) = cursor.execute(statement("scores/engine.last_cell"), {"run": run}).fetchall()
    mask = np.zeros(0 if last is None else last + 1, np.bool_)
    for batch in arrow(cursor, "scores/engine.attributed_cells", {"run": run}):
        mask[batch["cell_id"].to_numpy()] = True
    return mask


def add_up(cursor: duckdb.DuckDBPyConnection, terms: Terms, n_cells: int) -> NDArray[np.float64]:
    """Sum the stored terms by cell_id: (n_cells,). NaN, with `measured`, for cells of studies without such genes."""
    totals = np.zeros(n_cells)
    weights = np.zeros(int(terms.genes.max()) + 1)
    weights[terms.genes] = terms.weights
    for batch in arrow(cursor, "scores/engine.stored_scores", {"run": terms.run}, gene_id=terms.genes):
        scores = batch["score"].to_numpy()
        values = (scores if terms.signed else np.abs(scores)) * weights[batch["gene_id"].to_numpy()]
        # cell_id comes as BIGINT: numpy adds at other integers five times more slowly.
        np.add.at(totals, batch["cell_id"].to_numpy(), values)
    if terms.measured is not None:
        studies = terms.measured[:, 0].astype(int)
        factors = np.zeros(studies.max() + 1)
        factors[studies] = terms.measured[:, 1]
        for batch in arrow(cursor, "scores/engine.cell_studies", {"last": n_cells - 1}):
            totals[batch["cell_id"].to_numpy()] *= factors[batch["study_id"].to_numpy()]
    return totals


def arrow(
    cursor: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any], **members: NDArray[np.int64]
) -> pa.RecordBatchReader:
    """The result of a shipped query as a stream of Arrow batches.

    members: columns and the integers they are to be among, as literals: DuckDB then skips row groups without a join.
    """
    sql = statement(query)
    if members:
        select = sqlglot.parse_one(sql, dialect="duckdb", into=exp.Select)
        for column, integers in members.items():
            select = select.where(exp.column(column).isin(*integers.tolist()))
        sql = select.sql("duckdb")
    return pa.RecordBatchReader.from_stream(cursor.sql(sql, params=parameters))
