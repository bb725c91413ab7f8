"""Write attributions into an atlas: models, runs, and studies. Needs no torch."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from sqlglot import exp

from ingest.store.records import SAMPLE_FIELDS, StudyInfo, has_run, split_versions
from ingest.store.sort import SCORES, Groups, insert, merged
from sigdb import statements
from sigdb.atlas import materialized, schema, views
from sigdb.atlas.derived import clear_study
from sigdb.atlas.file import little_memory
from sigdb.disk import now
from sigdb.errors import AtlasError, ObsError, StudyExistsError, listed
from sigdb.statements import run_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import duckdb
    from numpy.typing import NDArray

    from ingest.store.chunks import Stage


__all__ = ["STORE_MEMORY", "StudyWriter", "begin_study"]

# What DuckDB may take to store scores. It keeps what it has written for as long as there is room, of a small study as
# of a large one, so this is a part of the peak of every ingest; with less, its threads wait for each other. More
# threads than this, each of which needs some, would wait for the one that merges the chunks.
STORE_MEMORY = "192MB"
STORE_THREADS = 4


def begin_study(
    con: duckdb.DuckDBPyConnection,
    *,
    run_id: int,
    study: StudyInfo,
    obs: pa.Table,
    gene_ids: Sequence[int],
    measured: Sequence[int],
    replace: bool = False,
) -> StudyWriter:
    """Record a study, its samples and the genes it measured; return the writer for its cells.

    obs: as `ingest.obs.obs_table` gives it. gene_ids: of the model, in its order; measured: those the study has. A
    study that the atlas has already, cell for cell, gets the scores of a further run. replace: put it in the place of a
    study of that name. Raises StudyExistsError if the study has that run too, or other cells; ObsError if a sample
    field varies within a sample.
    """
    known = con.execute("SELECT study_id FROM sigdb_data.studies WHERE study = ?", [study.study]).fetchall()
    if replace and (
        others := run_statement(con, "ingest/records.other_runs", {"study": study.study, "run_id": run_id})
    ):
        raise StudyExistsError(
            f"Study {study.study!r} has scores of {len(others)} other runs too ({listed([run for (run,) in others])}), "
            "which would go with its cells. Drop the study (sigdb drop-study) if that is meant, and ingest it anew."
        )
    if known and not replace:
        study_id = int(known[0][0])
        first_cell, ranks = match_cells(con, study, study_id, run_id, obs)
    else:
        check_samples(obs, study.study)
        if known:
            clear_study(con, study.study)
        ((study_id,),) = run_statement(con, "ingest/study.add_study", vars(study))
        run_statement(con, "ingest/study.add_samples", {"study_id": study_id}, sigdb_obs=obs)
        run_statement(con, "ingest/study.drop_other_samples", {"study_id": study_id}, sigdb_obs=obs)
        first_cell = con.execute("SELECT coalesce(max(cell_id) + 1, 0) FROM sigdb_data.cell_data").fetchall()[0][0]
        ranks = by_cell_type(obs)
    genes = pa.table({"gene_id": pa.array(measured, pa.uint32())})
    run_statement(con, "ingest/study.add_study_genes", {"study_id": study_id}, sigdb_incoming=genes)
    has_cells = bool(known) and not replace
    return StudyWriter(con, run_id, study_id, first_cell, obs, np.asarray(gene_ids, np.uint32), ranks, has_cells)


@contextmanager
def storing(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Have DuckDB take STORE_MEMORY and no more than STORE_THREADS for what a block stores."""
    ((n_threads,),) = con.execute("SELECT current_setting('threads')").fetchall()
    with little_memory(con, STORE_MEMORY):
        con.execute("SET threads = " + str(min(n_threads, STORE_THREADS)))
        try:
            yield
        finally:
            con.cursor().execute("SET threads = " + str(n_threads))


def by_cell_type(obs: pa.Table) -> NDArray[np.uint32]:
    """The place of each cell in the atlas: those of a cell type beside each other, so that queries of it read less.

    Cell types, and the cells within them, are in the order in which they occur.
    """
    types = obs["cell_type"].combine_chunks().dictionary_encode("encode").indices.to_numpy()
    return inverse(np.argsort(types, kind="stable"))


def inverse(order: NDArray[np.integer]) -> NDArray[np.uint32]:
    """The permutation that undoes another."""
    found = np.empty(len(order), np.uint32)
    found[order] = np.arange(len(order), dtype=np.uint32)
    return found


def match_cells(
    con: duckdb.DuckDBPyConnection, study: StudyInfo, study_id: int, run_id: int, obs: pa.Table
) -> tuple[int, NDArray[np.uint32]]:
    """The first cell_id of a study that the atlas has, and the place of each of its cells, known by their barcodes."""
    if has_run(con, study.study, run_id):
        raise StudyExistsError(
            f"Study {study.study!r} is in the atlas already, with this model and method. If it is another study, give "
            "it another name: --study NAME; or say what shall become of it: --if-exists skip, or --if-exists replace."
        )
    cells = con.sql(statements.statement("atlas/derived.study_cells"), params={"study_id": study_id}).to_arrow_table()
    places = pa.compute.index_in(obs["barcode"], value_set=cells["barcode"])
    if places.null_count or len(cells) != len(obs):
        raise StudyExistsError(
            f"The atlas has a study {study.study!r} of {len(cells)} cells; these {len(obs)} are others, so they cannot "
            "take a further run. If it is another study, give it another name: --study NAME; or put it in the place of "
            "the one that is there: --if-exists replace."
        )
    return cells["cell_id"][0].as_py(), places.to_numpy().astype(np.uint32)


def check_samples(obs: pa.Table, study: str) -> None:
    """Raise ObsError if a field of the sample has several values within one sample."""
    fields = [name for name in SAMPLE_FIELDS if name != "sample"]
    counted = obs.group_by("sample").aggregate(
        [(name, "count_distinct", pa.compute.CountOptions(mode="all")) for name in fields]
    )
    for name in fields:
        varying = counted.filter(pa.compute.greater(counted[f"{name}_count_distinct"], 1))["sample"].to_pylist()
        if varying:
            raise ObsError(
                f"{name} has several values within {len(varying)} samples of {study} ({listed(sorted(varying), 3)}), "
                "but is a property of the sample. Name a finer sample column (--map sample=COLUMN; --map sample= makes "
                f"samples of donors and all such fields), or leave the field out (--map {name}=): the column is kept."
            )


@dataclass(frozen=True)
class StudyWriter:
    """Writes the cells of one study. The caller's transaction holds all of it.

    ranks: (n_cells,) the place of each row of obs among the study's cells in the atlas.
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
        """Write all cells of a stage with their scores, and what is derived; return what a user should know.

        store_scores: what stores the scores and their sums, once the cells are there (default: `write_scores`).
        """
        cells, entries = stage.cells(), stage.entries()
        if len(cells) != len(self.obs):
            raise AtlasError(f"{len(cells)} of {len(self.obs)} cells of the study were attributed.")
        notes = self._match_counts(cells) if self.has_cells else self._write_cells(cells)
        run = {"run_id": self.run_id}
        place = run | {"first_cell": self.first_cell}
        run_statement(self.con, "ingest/study.add_attributed_cells", place, sigdb_incoming=cells)
        (store_scores or StudyWriter.write_scores)(self, stage)
        for entry in entries:
            versions = split_versions(entry.pop("versions"))
            run_statement(self.con, "ingest/study.add_chunk", run | {"study_id": self.study_id} | entry | versions)
        self._derive()
        ((name, default),) = run_statement(self.con, "ingest/records.run_names", run)
        if name != default:
            notes.append(f"these scores are of run {name!r}; queries mean {default!r} unless they say run := '{name}'")
        return notes

    def _match_counts(self, cells: pa.Table) -> list[str]:
        query = "SELECT n_counts FROM sigdb_data.cell_data WHERE cell_id BETWEEN ? AND ? ORDER BY cell_id"
        known = self.con.sql(query, params=[self.first_cell, self.first_cell + len(cells) - 1]).to_arrow_table()
        # NULL where one of the two is not known.
        if differing := pa.compute.sum(pa.compute.not_equal(known["n_counts"], cells["n_counts"])).as_py():
            raise StudyExistsError(
                f"The atlas has a study of this name with the same cells, but other counts in {differing} of the "
                f"{len(cells)}. If it is another study, give it another name: --study NAME; or put it in the place of "
                "the one that is there: --if-exists replace."
            )
        return ["the atlas had these cells already: their metadata are as they were"]

    def _write_cells(self, cells: pa.Table) -> list[str]:
        ids = pa.array(np.arange(self.first_cell, self.first_cell + len(cells), dtype=np.uint32))
        rows = self.obs.take(np.argsort(self.ranks)).append_column("cell_id", ids)
        rows = rows.append_column("n_counts", cells["n_counts"]).append_column("n_genes", cells["n_genes"])
        extras = [name for name in self.obs.column_names if name not in ("barcode", "cell_type", *SAMPLE_FIELDS)]
        notes = add_columns(self.con, self.obs.select(extras)) if extras else []
        run_statement(self.con, "ingest/study.add_cells", {"study_id": self.study_id}, sigdb_obs=rows)
        return notes

    def write_scores(self, stage: Stage) -> None:
        """Write all scores, by gene, and then the sums of them, which wait in a file beside the chunks meanwhile."""
        run = {"run_id": self.run_id}
        place = run | {"first_cell": self.first_cell}
        groups, waiting = self._groups(), str(stage.folder / "sums")
        with storing(self.con):
            with pa.OSFile(waiting, "wb") as file, pa.ipc.new_stream(file, groups.schema) as sums:
                ranges = merged(stage, lambda found: sums.write_table(groups.sums(found)))
                scores = (found.table() for found in ranges)
                insert(self.con, "ingest/study.add_sorted_scores", place, "sigdb_scores", SCORES, scores)
            with pa.OSFile(waiting) as file, pa.ipc.open_stream(file) as sums:
                tables = (pa.table(batch) for batch in sums)
                insert(self.con, "ingest/study.add_sums", run, "sigdb_sums", sums.schema, tables)

    @property
    def cells(self) -> dict[str, int]:
        """The range of the study's cell ids, as statements take it: first, last."""
        return {"first": self.first_cell, "last": self.first_cell + len(self.obs) - 1}

    def _groups(self) -> Groups:
        """The sample and cell type of each of the study's cells, which are in the atlas."""
        found = self.con.sql(statements.statement("ingest/study.cell_groups"), params=self.cells).to_arrow_table()
        _, firsts = np.unique(found["number"].to_numpy(), return_index=True)
        return Groups(found["number"].to_numpy(), found.select(["sample_id", "cell_type"]).take(firsts))

    def _derive(self) -> None:
        """Fill group sizes and materialised scores for the cells just written; show new obs columns in `cells`."""
        cells = {"run_id": self.run_id, **self.cells}
        run_statement(self.con, "atlas/derived.add_group_sizes", cells)
        materialized.extend(self.con, **cells)
        materialized.refresh(self.con)
        self.con.execute("UPDATE sigdb_data.attribution_runs SET finished = ? WHERE run_id = ?", [now(), self.run_id])
        schema.comment_tables(self.con)
        schema.create(self.con, schema.read_object("views", "cells"))
        views.refresh(self.con)


def add_columns(con: duckdb.DuckDBPyConnection, columns: pa.Table) -> list[str]:
    """Give cell_data the columns it lacks, and widen those of a narrower type, so that it can take these.

    Whole numbers that meet fractions become DOUBLE, unlike things VARCHAR. A column without any value fits everywhere.
    Returns a note on each column that was widened.
    """
    notes = []
    known = {name.lower(): kind for name, kind in run_statement(con, "ingest/study.cell_columns")}
    for name, kind in run_statement(con, "ingest/study.incoming_columns", sigdb_incoming=columns):
        there = known.get(name.lower())
        column = exp.to_identifier(name, quoted=True)
        if there is None:
            action: exp.Expr = exp.ColumnDef(this=column, kind=exp.DataType.build(kind, dialect="duckdb"))
        elif fits(kind, there) or columns[name].null_count == len(columns):
            continue
        else:
            wider = "DOUBLE" if (kind, there) == ("DOUBLE", "BIGINT") else "VARCHAR"
            action = exp.AlterColumn(this=column, dtype=exp.DataType.build(wider, dialect="duckdb"))
            notes.append(f"column {name!r} of the atlas is {wider} now: it was {there}, and is {kind} in this study")
        table = exp.table_("cell_data", db="sigdb_data")
        con.execute(exp.Alter(this=table, kind="TABLE", actions=[action]).sql("duckdb"))
    return notes


def fits(kind: str, column: str) -> bool:
    """Whether a column of cell_data takes values of another type without loss of meaning."""
    return column in (kind, "VARCHAR") or (kind, column) == ("BIGINT", "DOUBLE")
