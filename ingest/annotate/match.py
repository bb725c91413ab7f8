"""Find the cells that the rows of an annotation name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from sqlglot import exp

from sigdb.errors import ObsError, OptionError, listed, nearest
from sigdb.statements import run_statement, statement

if TYPE_CHECKING:
    import duckdb

    from ingest.annotate.read import AnnotateOptions, Annotation

__all__ = ["match_cells"]


def match_cells(
    con: duckdb.DuckDBPyConnection, annotation: Annotation, options: AnnotateOptions
) -> tuple[pa.Table, list[str]]:
    """The cells that rows name (cell_id, position of the row), and notes.

    Raises OptionError for a study or column that does not exist; ObsError if rows name no cell, or a barcode several.
    """
    check_names(con, annotation, options)
    query = statement("ingest/annotate.match_rows").replace("key_columns", key_of(annotation))
    rows = annotation.keys.append_column("position", pa.array(np.arange(len(annotation.keys), dtype=np.uint32)))
    con.register("sigdb_rows", rows)
    matched = con.sql(query, params={"study": options.study}).to_arrow_table()
    con.unregister("sigdb_rows")
    counts = np.bincount(matched["position"].to_numpy(), minlength=len(rows))
    if "barcode" in annotation.keys.column_names and (counts > 1).any():
        raise several_cells(annotation, np.flatnonzero(counts > 1))
    unmatched = np.flatnonzero(counts == 0)
    if len(unmatched) == len(rows) or (len(unmatched) and options.unmatched == "error"):
        raise no_cells(con, annotation, unmatched, options)
    note = f"{len(unmatched):,} of {len(rows):,} rows name no cell ({examples(annotation, unmatched)})"
    return matched, [note] if len(unmatched) else []


def key_of(annotation: Annotation) -> str:
    """The columns of the view `cells` that name cells, as a list of texts in SQL."""
    columns = [exp.column(name, table="q", quoted=True) for name in annotation.keys.column_names]
    return exp.Array(expressions=[exp.cast(column, "VARCHAR") for column in columns]).sql("duckdb")


def check_names(con: duckdb.DuckDBPyConnection, annotation: Annotation, options: AnnotateOptions) -> None:
    """Raise OptionError unless the study and the columns that name cells exist."""
    studies = [study for (study,) in run_statement(con, "ingest/annotate.studies")]
    if options.study is not None and options.study not in studies:
        hint = nearest(options.study, studies)
        raise OptionError(
            f"There is no study {options.study!r} (`study`).{hint} There are: {listed(studies) or 'none'}."
        )
    known = [name for name, _ in run_statement(con, "ingest/annotate.cell_columns")]
    for column in annotation.keys.column_names:
        if column not in known:
            raise OptionError(
                f"The view cells has no column {column!r} (`on`).{nearest(column, known)} It has: {listed(known, 30)}."
            )


def examples(annotation: Annotation, positions: np.ndarray[tuple[int], np.dtype[np.intp]]) -> str:
    """The names of cells in some rows."""
    rows = annotation.keys.take(positions[:3]).to_pylist()
    names = [" / ".join(row.values()) for row in rows]
    return listed([*names, *[""] * (len(positions) - len(names))], len(names))


def several_cells(annotation: Annotation, positions: np.ndarray[tuple[int], np.dtype[np.intp]]) -> ObsError:
    """The error for barcodes that several cells have."""
    return ObsError(
        f"{len(positions)} of {len(annotation.keys)} rows of {annotation.name} name several cells of the atlas "
        f"({examples(annotation, positions)}). Name their study with `study`, or add a column `study` to the file."
    )


def no_cells(
    con: duckdb.DuckDBPyConnection,
    annotation: Annotation,
    positions: np.ndarray[tuple[int], np.dtype[np.intp]],
    options: AnnotateOptions,
) -> ObsError:
    """The error for rows that name no cell, with names that cells of the atlas have."""
    query = statement("ingest/annotate.some_keys").replace("key_columns", key_of(annotation))
    there = [" / ".join(map(str, key)) for (key,) in con.execute(query, {"study": options.study}).fetchall()]
    place = f"of study {options.study} " if options.study else ""
    way_out = "`on` names other columns."
    if len(positions) < len(annotation.keys):
        way_out = "`unmatched='ignore'` leaves these rows out."
    return ObsError(
        f"{len(positions)} of {len(annotation.keys)} rows of {annotation.name} name no cell {place}by "
        f"{' and '.join(annotation.keys.column_names)} ({examples(annotation, positions)}); the atlas has "
        f"{listed(map(repr, there), 3)}. {way_out}"
    )
