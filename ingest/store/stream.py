"""Stream Arrow tables into a table of the atlas, one row group of DuckDB at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from sigdb.atlas.file import ROW_GROUP_SIZE
from sigdb.statements import run_statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["insert_tables"]


def insert_tables(
    con: duckdb.DuckDBPyConnection,
    name: str,
    parameters: Mapping[str, object],
    relation: str,
    schema: pa.Schema,
    tables: Iterable[pa.Table],
) -> None:
    """Run the statement `name`, which inserts the rows of `relation`, once for all tables; each is made when needed.

    A statement per table would be slower: each statement closes a row group, and waits for all threads at its end.
    It would also need more memory: DuckDB keeps a table that was registered in a transaction until the end of it.
    Raises what the iterator of tables raises.
    """
    raised: list[BaseException] = []

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from row_groups(tables)
        except BaseException as error:  # DuckDB would pass on the text only
            raised.append(error)
            raise

    try:
        run_statement(con, name, parameters, **{relation: pa.RecordBatchReader.from_batches(schema, batches())})
    except duckdb.Error as error:
        if raised:
            raise raised[0] from error
        raise


def row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
    """The rows of tables in batches of a row group each, so that the threads of DuckDB write full row groups.

    Rows are copied only where a row group spans several tables.
    """
    pending: list[pa.Table] = []
    for table in tables:
        n_missing = (ROW_GROUP_SIZE - sum(map(len, pending))) % ROW_GROUP_SIZE
        pending.append(table[:n_missing])
        if len(table) < n_missing:
            continue
        yield from pa.concat_tables(pending).combine_chunks().to_batches()
        n = (len(table) - n_missing) // ROW_GROUP_SIZE * ROW_GROUP_SIZE
        yield from table[n_missing : n_missing + n].to_batches(max_chunksize=ROW_GROUP_SIZE)
        pending = [table[n_missing + n :]]
    if pending:
        yield from pa.concat_tables(pending).combine_chunks().to_batches()
