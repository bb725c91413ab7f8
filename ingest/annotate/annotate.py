"""`annotate_cells`: change the metadata of cells, and what is derived from them, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
from sqlglot import exp

from ingest.annotate.match import match_cells
from ingest.annotate.read import AnnotateOptions, read_annotation
from ingest.annotate.samples import divide_placed, drop_samples, place_cells, store_samples
from ingest.columns import fit, to_labels
from ingest.obs import CELLS
from ingest.store.writer import add_columns
from sigdb.atlas import views
from sigdb.atlas.derived import add_importance
from sigdb.atlas.fields import FIELDS, SAMPLE_FIELDS
from sigdb.atlas.file import little_memory, open_atlas
from sigdb.atlas.writer import Atlas
from sigdb.errors import OptionError, listed, nearest
from sigdb.statements import run_statement, statement

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    import duckdb

__all__ = ["AnnotateReport", "ColumnChange", "annotate_cells", "drop_columns"]


@dataclass(frozen=True)
class ColumnChange:
    """How an annotation changes a column of `cells`.

    n_cells: cells whose value changes. n_changes: different pairs of old and new value. commonest: some of them, with
    the number of cells of each.
    """

    column: str
    n_cells: int
    n_changes: int
    commonest: tuple[tuple[str | None, str | None, int], ...]


@dataclass(frozen=True)
class AnnotateReport:
    """What an annotation changed.

    Parameters
    ----------
    n_rows
        Rows of the file.
    n_named
        Cells that they name.
    n_others
        Other cells of the same studies. They keep what they have.
    studies
        The studies of the named cells.
    changes
        How each column changed, by column.
    notes
        What a user should know.

    Examples
    --------
    >>> import pandas as pd
    >>> from ingest import AnnotateOptions, annotate_cells
    >>> stages = pd.DataFrame({"tissue": ["tumour"], "stage": ["III"]})
    >>> options = AnnotateOptions(on={"tissue": "tissue"}, study="wu2020_tcell")
    >>> report = annotate_cells("demo.duckdb", stages, options, dry_run=True)
    >>> report.changes[0].commonest
    ((None, 'III', 95),)
    """

    n_rows: int
    n_named: int
    n_others: int
    studies: tuple[str, ...]
    changes: tuple[ColumnChange, ...]
    notes: tuple[str, ...]

    @property
    def n_changed(self) -> int:
        """The values that change."""
        return sum(change.n_cells for change in self.changes)


def annotate_cells(
    path: str | os.PathLike[str],
    file: str | os.PathLike[str] | pd.DataFrame,
    options: AnnotateOptions | None = None,
    *,
    dry_run: bool = False,
) -> AnnotateReport:
    """Change or add metadata of cells that an atlas has, without attributing them again.

    Cells keep their ids and scores. Samples, the cube and the group sizes follow. Everything happens in one
    transaction: after an error or a crash, the atlas is as before.

    Parameters
    ----------
    path
        The atlas file.
    file
        A table (``.csv``, ``.tsv``, either also ``.gz``; ``.parquet``), AnnData (``.h5ad``, zarr), or a data frame such
        as ``adata.obs``, whose index holds the barcodes.
    options
        Which cells the rows name, and what is taken. Default: `AnnotateOptions()`.
    dry_run
        Report what would change, and change nothing.

    Returns
    -------
    AnnotateReport
        What changed.

    Raises
    ------
    ObsError
        If rows name no cell, or several cells by one barcode, or metadata cannot be stored.
    OptionError
        If a column, field or study does not exist.
    AtlasError, AtlasNotFoundError, AtlasLockedError
        As for `sigdb.Atlas`; a lake cannot be annotated.

    Examples
    --------
    >>> import pandas as pd
    >>> from ingest import AnnotateOptions, annotate_cells
    >>> labels = pd.DataFrame({"cell_type": ["DC", "MDC"], "coarse": ["myeloid", "myeloid"]})
    >>> report = annotate_cells("demo.duckdb", labels, AnnotateOptions(on={"cell_type": "cell_type"}))
    >>> report.n_named, [change.column for change in report.changes]
    (69, ['coarse'])
    """
    options = options or AnnotateOptions()
    source = file if isinstance(file, pd.DataFrame) else Path(file)
    if dry_run:
        with open_atlas(path, read_only=True, sorts=True) as con, little_memory(con):
            return Plan.of(con, source, options).report
    with Atlas(path) as atlas, little_memory(atlas.con), atlas.transaction() as con:
        plan = Plan.of(con, source, options)
        return plan.apply(con)


def drop_columns(path: str | os.PathLike[str], columns: Sequence[str], *, dry_run: bool = False) -> None:
    """Remove columns of cells that came with the metadata of studies or with annotations, in one transaction.

    Parameters
    ----------
    path
        The atlas file.
    columns
        Columns of the view `cells`. Fields, ids and counts stay.
    dry_run
        Check the columns, and remove nothing.

    Raises
    ------
    OptionError
        If a column does not exist, or is one that every atlas has.
    AtlasError, AtlasNotFoundError, AtlasLockedError
        As for `sigdb.Atlas`; columns of a lake cannot be removed.

    Examples
    --------
    >>> from ingest import drop_columns
    >>> drop_columns("demo.duckdb", ["cell_subtype"], dry_run=True)
    """
    if dry_run:
        with open_atlas(path, read_only=True) as con:
            check_others(con, columns)
        return
    with Atlas(path) as atlas, atlas.transaction() as con:
        check_others(con, columns)
        for column in dict.fromkeys(columns):
            con.execute(for_column("drop_column", column))
        views.show_columns(con)


def check_others(con: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> None:
    """Raise OptionError unless each name is a column of `cells` that not every atlas has."""
    known = [name for name, _ in run_statement(con, "ingest/annotate.cell_columns")]
    others = [name for name in known if name not in (*FIELDS, *CELLS)]
    for column in columns:
        if column not in known:
            raise OptionError(
                f"The view cells has no column {column!r}.{nearest(column, others)} "
                f"Columns that can be removed: {listed(others) or 'none'}."
            )
        if column not in others:
            raise OptionError(f"Every atlas has the column {column!r}, so it cannot be removed.")


@dataclass(frozen=True)
class Plan:
    """What an annotation changes in an atlas.

    values: cell_id, and the values of the named cells. studies: name by id. placed: the samples of these studies after
    the change, as `divide_placed` returns them; None if no field of samples is taken.
    """

    values: pa.Table
    studies: dict[int, str]
    placed: pa.Table | None
    clear: bool
    report: AnnotateReport

    @classmethod
    def of(cls, con: duckdb.DuckDBPyConnection, source: Path | pd.DataFrame, options: AnnotateOptions) -> Plan:
        """Read a source, find its cells, and find out what changes. Writes nothing to the atlas."""
        annotation = read_annotation(source, options)
        matched, notes = match_cells(con, annotation, options)
        values = annotation.values.take(matched["position"]).append_column("cell_id", matched["cell_id"])
        touched = run_statement(con, "ingest/annotate.touched_studies", sigdb_annotation=values.select(["cell_id"]))
        studies = {study_id: study for study_id, study, *_ in touched}
        placed = None
        if set(SAMPLE_FIELDS) & set(values.column_names):
            placed = place_cells(con, values, list(studies), clear=options.clear)
            placed, more = divide_placed(placed, studies)
            notes += more
        report = AnnotateReport(
            n_rows=len(annotation.keys),
            n_named=len(matched),
            n_others=sum(n_cells - n_named for *_, n_cells, n_named in touched),
            studies=tuple(studies.values()),
            changes=tuple(find_changes(con, values, clear=options.clear)),
            notes=(*annotation.notes, *notes, *notes_on_case(con, values)),
        )
        return cls(values, studies, placed, options.clear, report)

    def apply(self, con: duckdb.DuckDBPyConnection) -> AnnotateReport:
        """Change the atlas, in a transaction of the caller."""
        notes = self.set_columns(con)
        is_moved = self.placed is not None and store_samples(con, self.placed)
        changed = {change.column for change in self.report.changes}
        is_regrouped = is_moved or "cell_type" in changed
        if is_regrouped:
            self.add_up(con)
        if is_regrouped or changed & {"disease", "tissue"}:
            self.add_importance(con)
        if self.placed is not None:
            drop_samples(con, self.placed)
        return replace(self.report, notes=(*self.report.notes, *notes))

    def set_columns(self, con: duckdb.DuckDBPyConnection) -> list[str]:
        """Change and add the columns that are no field of samples; return notes on columns of another type."""
        extras = [name for name in self.values.column_names if name not in (*FIELDS, "cell_id")]
        fitted, notes = add_columns(con, self.values.select(extras)) if extras else (self.values.select([]), [])
        columns = {name: fitted[name] for name in fitted.column_names}
        columns |= {name: self.values[name] for name in ("cell_type",) if name in self.values.column_names}
        for name, values in columns.items():
            incoming = pa.table({"cell_id": self.values["cell_id"], name: values})
            con.register("sigdb_annotation", incoming)
            con.execute(for_column("set_column", name), {"clear": self.clear})
            con.unregister("sigdb_annotation")
        if extras:
            views.show_columns(con)
        return notes

    def add_up(self, con: duckdb.DuckDBPyConnection) -> None:
        """Compute the cube and the group sizes of the studies again."""
        samples = con.sql(
            statement("ingest/annotate.samples_of"), params={"study_ids": list(self.studies)}
        ).to_arrow_table()
        run_statement(con, "atlas/derived.clear_sums", sigdb_samples=samples)
        for study_id in self.studies:
            for run_id, first, last in run_statement(con, "ingest/annotate.runs_of", {"study_id": study_id}):
                cells = {"run_id": run_id, "first": first, "last": last}
                run_statement(con, "atlas/derived.add_summary", cells)
                run_statement(con, "atlas/derived.add_group_sizes", cells)

    def add_importance(self, con: duckdb.DuckDBPyConnection) -> None:
        """Add up the cube of the studies for gene_importance again: by cell type, disease and tissue."""
        summed = pa.table({"study_id": pa.array(self.studies, pa.uint16())})
        run_statement(con, "atlas/derived.clear_study_importance", sigdb_summed=summed)
        for study_id in self.studies:
            for run_id, *_ in run_statement(con, "ingest/annotate.runs_of", {"study_id": study_id}):
                add_importance(con, run_id, study_id)


def notes_on_case(con: duckdb.DuckDBPyConnection, values: pa.Table) -> Iterator[str]:
    """A note on each column whose name differs from that of a column of the atlas in upper and lower case only."""
    known = [name for name, _ in run_statement(con, "ingest/annotate.cell_columns")]
    by_lower = {name.lower(): name for name in known}
    for name in values.column_names:
        there = by_lower.get(name.lower(), name)
        if there != name:
            yield f"column {name!r} is taken as the column {there!r} of the atlas: SQL knows no upper and lower case"


def for_column(name: str, column: str) -> str:
    """A statement about `value_column`, with a column in its place."""
    quoted = exp.to_identifier(column, quoted=True).sql("duckdb")
    return statement(f"ingest/annotate.{name}").replace("value_column", quoted)


def find_changes(con: duckdb.DuckDBPyConnection, values: pa.Table, *, clear: bool) -> Iterator[ColumnChange]:
    """How each column changes, if it does."""
    kinds = {name.lower(): kind for name, kind in run_statement(con, "ingest/annotate.cell_columns")}
    for column in (name for name in values.column_names if name != "cell_id"):
        kind, new = kinds.get(column.lower()), values[column]
        if kind is not None and column not in FIELDS:
            fitted = fit(new, kind)
            new = to_labels(new) if fitted is None else fitted
        con.register("sigdb_annotation", pa.table({"cell_id": values["cell_id"], column: new}))
        if kind is None:
            rows = con.execute(for_column("new_values", column)).fetchall()
        else:
            rows = con.execute(for_column("changes", column), {"clear": clear}).fetchall()
        con.unregister("sigdb_annotation")
        if rows:
            yield ColumnChange(column, rows[0][3], rows[0][4], tuple(row[:3] for row in rows))
