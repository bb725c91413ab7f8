"""Write the cells of a study, their scores and what is derived from them into an atlas. Needs no torch."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlglot
from sqlglot import exp

from ingest.columns import fit
from ingest.store.records import SAMPLE_FIELDS, split_versions
from ingest.store.sort import SCORES, Groups, merge_chunks
from ingest.store.stream import insert_tables
from sigdb.atlas import materialized, views
from sigdb.atlas.file import little_memory
from sigdb.atlas.overlap import overlap_notes
from sigdb.disk import now
from sigdb.errors import AtlasError, StudyExistsError
from sigdb.statements import parse_statement, run_statement, statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import duckdb
    from numpy.typing import NDArray

    from ingest.store.stage import Stage


__all__ = ["OTHER_STUDY", "REPLACE_STUDY", "STORE_MEMORY", "StudyWriter"]

# The memory that DuckDB may use to store scores. DuckDB keeps what it has written for as long as it has room, so this
# is part of the peak memory of every ingest, however small the study. With less, its threads wait for each other.
STORE_MEMORY = "192MB"
# Each thread needs some of that memory, and more threads would only wait for the thread that merges the chunks.
STORE_THREADS = 4

# More new columns than these are added by copying the table of the cells.
MANY_COLUMNS = 50

# The ways out if the atlas has a study of this name.
OTHER_STUDY = "If this is another study, give it another name with `study`."
REPLACE_STUDY = "To replace the study in the atlas, use `if_exists='replace'`."


@dataclass(frozen=True)
class StudyWriter:
    """Writes the cells of one study, in a transaction of the caller.

    gene_ids: (n_model_genes,) of the model. ranks: (n_cells,), the position of each row of obs among the study's cells
    in the atlas. has_cells: whether the atlas has the cells, which then get the scores of a further run.
    """

    con: duckdb.DuckDBPyConnection
    run_id: int
    study_id: int
    first_cell: int
    obs: pa.Table
    gene_ids: NDArray[np.uint32]
    ranks: NDArray[np.uint32]
    has_cells: bool

    def store(self, stage: Stage, store_scores: Callable[[StudyWriter, Stage], None] | None = None) -> list[str]:
        """Write all cells of a stage, their scores and what is derived; return notes for the user.

        store_scores: stores the scores and their sums once the cells are written (default: `write_scores`).
        """
        cells, entries = stage.cells(), stage.entries()
        if len(cells) != len(self.obs):
            raise AtlasError(f"{len(cells)} of {len(self.obs)} cells of the study were attributed.")
        notes = self._check_counts(cells) if self.has_cells else self._write_cells(cells)
        run_statement(self.con, "ingest/study.add_attributed_cells", self._target, sigdb_incoming=cells)
        unread = stage.unread_genes()
        run_statement(self.con, "ingest/study.add_unread_genes", self.run_and_study, sigdb_incoming=unread)
        run = {"run_id": self.run_id}
        run_statement(self.con, "atlas/derived.add_group_sizes", run | self.cell_range)
        run_statement(self.con, "atlas/derived.add_importance_groups", self.run_and_study)
        (store_scores or StudyWriter.write_scores)(self, stage)
        for entry in entries:
            versions = split_versions(entry.pop("versions"))
            run_statement(self.con, "ingest/study.add_chunk", run | {"study_id": self.study_id} | entry | versions)
        self._derive()
        ((name, default),) = run_statement(self.con, "ingest/records.run_names", run)
        if name != default:
            notes.append(f"these scores are of run {name!r}; queries use {default!r} unless they say run := '{name}'")
        return notes

    def _check_counts(self, cells: pa.Table) -> list[str]:
        """Raise StudyExistsError if the cells in the atlas have other counts; NULL is unknown, and equals all."""
        known = self.con.sql(statement("ingest/study.cell_counts"), params=self.cell_range).to_arrow_table()
        if n_other := pc.sum(pc.not_equal(known["n_counts"], cells["n_counts"])).as_py():
            raise StudyExistsError(
                f"The atlas has a study of this name with the same cells, but with other counts in {n_other} of the "
                f"{len(cells)} cells. {OTHER_STUDY} {REPLACE_STUDY}"
            )
        return ["the atlas had these cells already: their metadata are unchanged"]

    def _write_cells(self, cells: pa.Table) -> list[str]:
        """Add the cells and their metadata; return notes on widened columns and on cells of other studies."""
        ids = pa.array(np.arange(self.first_cell, self.first_cell + len(cells), dtype=np.uint32))
        rows = self.obs.take(np.argsort(self.ranks)).append_column("cell_id", ids)
        rows = rows.append_column("n_counts", cells["n_counts"]).append_column("n_genes", cells["n_genes"])
        extras = [name for name in self.obs.column_names if name not in ("barcode", "cell_type", *SAMPLE_FIELDS)]
        fields = rows.drop_columns(extras)
        fitted, notes = add_columns(self.con, rows.select(extras)) if extras else (rows.select([]), [])
        rows = pa.table([*fields.columns, *fitted.columns], names=[*fields.column_names, *fitted.column_names])
        run_statement(self.con, "ingest/study.add_cells", {"study_id": self.study_id}, sigdb_obs=rows)
        return notes + overlap_notes(self.con, **self.cell_range)

    def write_scores(self, stage: Stage) -> None:
        """Write all scores, by gene, and then their sums, which a file beside the chunks holds in the meantime."""
        groups, path = self._groups(), str(stage.folder / "sums")
        with limit_resources(self.con):
            with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, groups.schema) as sums:
                ranges = merge_chunks(stage, lambda scores: sums.write_table(groups.add_up(scores)))
                tables = (scores.to_arrow() for scores in ranges)
                insert_tables(self.con, "ingest/study.add_sorted_scores", self._target, "sigdb_scores", SCORES, tables)
            with pa.OSFile(path) as file, pa.ipc.open_stream(file) as sums:
                tables = (pa.table(batch) for batch in sums)
                run = {"run_id": self.run_id}
                insert_tables(self.con, "ingest/study.add_sums", run, "sigdb_sums", sums.schema, tables)
            run_statement(self.con, "atlas/derived.add_importance_sums", self.run_and_study)

    @property
    def cell_range(self) -> dict[str, int]:
        """The ids of the study's first and last cell, as parameters of statements: first, last."""
        return {"first": self.first_cell, "last": self.first_cell + len(self.obs) - 1}

    @property
    def run_and_study(self) -> dict[str, int]:
        """The ids of the run and the study, as parameters of statements: run_id, study_id."""
        return {"run_id": self.run_id, "study_id": self.study_id}

    @property
    def _target(self) -> dict[str, int]:
        """The run and the study's first cell, as parameters of statements that take ranks."""
        return {"run_id": self.run_id, "first_cell": self.first_cell}

    def cell_groups(self) -> pa.Table:
        """The cells, which are in the atlas: cell_id, sample_id, cell_type, and the number of this group."""
        return self.con.sql(statement("ingest/study.cell_groups"), params=self.cell_range).to_arrow_table()

    def _groups(self) -> Groups:
        cells = self.cell_groups()
        _, firsts = np.unique(cells["number"].to_numpy(), return_index=True)
        return Groups(cells["number"].to_numpy(), cells.select(["sample_id", "cell_type"]).take(firsts))

    def _derive(self) -> None:
        """Fill materialised scores for the new cells; show new obs columns in the view `cells`."""
        materialized.extend(self.con, run_id=self.run_id, **self.cell_range)
        materialized.refresh(self.con)
        run_statement(self.con, "ingest/records.finish_run", {"run_id": self.run_id, "finished": now()})
        views.show_columns(self.con)


@contextmanager
def limit_resources(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Limit DuckDB to STORE_MEMORY and STORE_THREADS while the block stores scores."""
    ((n_threads,),) = run_statement(con, "atlas/inspect.threads")
    with little_memory(con, STORE_MEMORY):
        con.execute("SET threads = ?", [min(n_threads, STORE_THREADS)])
        try:
            yield
        finally:
            # Use another connection: in a failed transaction, this statement would fail too and hide the reason.
            con.cursor().execute("SET threads = ?", [n_threads])


def add_columns(con: duckdb.DuckDBPyConnection, columns: pa.Table) -> tuple[pa.Table, list[str]]:
    """Add the columns that cell_data lacks; return the columns in its types, and a note on each that was widened.

    A column keeps its type if all incoming values fit: 3.0 and '3' are 3 in a column of integers. Otherwise BIGINT
    becomes DOUBLE if it meets fractions, and any other mix of types becomes VARCHAR, with 3 and not 3.0 for numbers.
    """
    notes, new = [], {}
    known = {name.lower(): kind for name, kind in run_statement(con, "ingest/study.cell_columns")}
    for place, (name, kind) in enumerate(run_statement(con, "ingest/study.incoming_columns", sigdb_incoming=columns)):
        known_kind = known.get(name.lower())
        if known_kind is None:
            new[name] = kind
        elif known_kind != kind:
            fitted = fit(columns[name], known_kind)
            if fitted is None:
                wider = "DOUBLE" if (kind, known_kind) == ("DOUBLE", "BIGINT") else "VARCHAR"
                widen(con, name, known_kind, wider)
                fitted = fit(columns[name], wider)
                was = f"it was {known_kind}, and is {kind} in this study"
                notes.append(f"column {name!r} of the atlas is {wider} now: {was}")
            columns = columns.set_column(place, name, fitted)
    add_new_columns(con, new)
    return columns, notes


def add_new_columns(con: duckdb.DuckDBPyConnection, kinds: Mapping[str, str]) -> None:
    """Add columns to cell_data. kinds: name -> type.

    The time of one ALTER TABLE grows with the number of columns, so many columns are added by copying the table.
    """
    types = {kind: data_type(kind) for kind in set(kinds.values())}
    added = [
        exp.ColumnDef(this=exp.to_identifier(name, quoted=True), kind=types[kind].copy())
        for name, kind in kinds.items()
    ]
    definition = run_statement(con, "ingest/study.cell_data_definition") if len(added) > MANY_COLUMNS else []
    if not definition:
        for column in added:
            alter(con, column)
        return
    create = sqlglot.parse_one(definition[0][0], dialect="duckdb")
    create.this.set("this", exp.table_("cell_data_new", db="sigdb_data"))
    create.this.set("expressions", [*create.this.expressions, *added])
    con.execute(create.sql("duckdb"))
    run_statement(con, "ingest/study.replace_cell_data")


def widen(con: duckdb.DuckDBPyConnection, name: str, kind: str, wider: str) -> None:
    """Change the type of a column of cell_data. Numbers and booleans that become text are written as by `label`."""
    using = label_of(name).get(kind) if wider == "VARCHAR" else None
    column = exp.to_identifier(name, quoted=True)
    alter(con, exp.AlterColumn(this=column, dtype=data_type(wider), using=using))


def label_of(name: str) -> dict[str, exp.Expr]:
    """Type of a column -> an expression for the label of its values."""
    query = parse_statement("ingest/study.labels")
    for column in list(query.find_all(exp.Column)):
        column.replace(exp.column(name, quoted=True))
    return {label.alias: label.this for label in query.expressions}


def alter(con: duckdb.DuckDBPyConnection, action: exp.Expr) -> None:
    """Add or change a column of cell_data."""
    table = exp.table_("cell_data", db="sigdb_data")
    con.execute(exp.Alter(this=table, kind="TABLE", actions=[action]).sql("duckdb"))


def data_type(kind: str) -> exp.DataType:
    """A type of DuckDB."""
    return exp.DataType.build(kind, dialect="duckdb")
