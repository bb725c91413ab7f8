"""Scores of all cells, in Python: the sum that `FROM signature_score(genes)` makes, in a dense array instead of SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa

from sigdb.catalog import statement
from sigdb.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["score"]


def score(
    con: duckdb.DuckDBPyConnection,
    genes: Sequence[str],
    *,
    weights: Sequence[float] | None = None,
    agg: str = "mean",
    missing: str = "error",
    run: str | int | None = None,
    signed: bool = False,
) -> pa.Table:
    """Score a signature in every cell that the run has attributed.

    Options, units and errors are those of the macro `signature_score`, and so are the numbers; errors are QueryError.
    Returns a table (cell_id UINTEGER, score DOUBLE) in the order of cell_id, which can be registered and joined. The
    stored terms are streamed and added up by cell id, so memory is 8 bytes a cell and one batch of terms.
    """
    asked = {"genes": list(genes), "weights": None if weights is None else list(weights), "agg": agg}
    # A cursor of its own: a second query on a connection would end a stream that is being read.
    with con.cursor() as cursor:
        try:
            cursor.execute(statement("queries/score_check"), {**asked, "missing": missing, "run": run}).fetchall()
        except duckdb.Error as error:
            raise QueryError(str(error).removeprefix("Invalid Input Error: ")) from error
        cells = arrow(cursor, "attributed_cells", {"run": run}).read_all()["cell_id"]
        totals = np.zeros(int(cells[-1].as_py()) + 1 if len(cells) else 0)
        for batch in arrow(cursor, "score_values", {**asked, "run": run, "signed": signed}):
            np.add.at(totals, batch["cell"].to_numpy(), batch["value"].to_numpy())
    return pa.table({"cell_id": cells, "score": totals[cells.to_numpy()]})


def arrow(con: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any]) -> pa.RecordBatchReader:
    """The result of a shipped query as a stream of Arrow batches."""
    return pa.RecordBatchReader.from_stream(con.sql(statement(f"queries/{query}"), params=parameters))
