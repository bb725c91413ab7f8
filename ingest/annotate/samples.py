"""The samples of a study after an annotation: a sample has one value of each field, so some are divided."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ingest.obs import divide_samples
from ingest.store.study import check_samples
from sigdb.atlas.fields import SAMPLE_FIELDS
from sigdb.statements import run_statement, statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb

__all__ = ["divide_placed", "drop_samples", "place_cells", "store_samples"]


def place_cells(con: duckdb.DuckDBPyConnection, values: pa.Table, study_ids: Sequence[int], *, clear: bool) -> pa.Table:
    """Note the fields that samples of all cells of some studies get, and return the different ones.

    values: cell_id, and the fields that change.
    """
    given = [name for name in SAMPLE_FIELDS if name in values.column_names]
    for name in (name for name in SAMPLE_FIELDS if name not in given):
        kind = pa.bool_() if name == "in_vivo" else pa.string()
        values = values.append_column(name, pa.nulls(len(values), kind))
    parameters = {"study_ids": list(study_ids), "cleared": given if clear else []}
    run_statement(con, "ingest/annotate.place_cells", parameters, sigdb_annotation=values)
    return con.sql(statement("ingest/annotate.placed_samples")).to_arrow_table()


def divide_placed(placed: pa.Table, studies: Mapping[int, str]) -> tuple[pa.Table, list[str]]:
    """Add `new_sample`, the name of each sample, and return notes on samples that are divided.

    Raises ObsError if a divided sample would have the name of another one.
    """
    parts, notes = [], []
    for study_id, study in studies.items():
        part = placed.filter(pc.equal(placed["study_id"], study_id))
        names, more = divide_samples({name: part[name].combine_chunks() for name in SAMPLE_FIELDS}, study)
        check_samples(part.set_column(part.column_names.index("sample"), "sample", names), study)
        parts.append(part.append_column("new_sample", names))
        notes += [f"{study}: {note}" for note in more]
    return pa.concat_tables(parts), notes


def store_samples(con: duckdb.DuckDBPyConnection, placed: pa.Table) -> bool:
    """Record the samples, and move the placed cells to them; return whether a cell moved. Empty samples stay."""
    for study_id, named in by_study(placed):
        run_statement(con, "ingest/study.add_samples", {"study_id": study_id}, sigdb_obs=named)
    ((n_moved,),) = run_statement(con, "ingest/annotate.move_cells", sigdb_samples=placed)
    run_statement(con, "ingest/annotate.drop_placed")
    return bool(n_moved)


def drop_samples(con: duckdb.DuckDBPyConnection, placed: pa.Table) -> None:
    """Remove the samples that have no cells any more."""
    for study_id, named in by_study(placed):
        run_statement(con, "ingest/study.drop_other_samples", {"study_id": study_id}, sigdb_obs=named)


def by_study(placed: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """The samples of each study under their new names."""
    renamed = placed.drop_columns(["sample"]).rename_columns({"new_sample": "sample"})
    for study_id in placed["study_id"].unique().to_pylist():
        yield study_id, renamed.filter(pc.equal(renamed["study_id"], study_id))
