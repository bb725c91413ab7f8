"""`Atlas`: an atlas file open for writing."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import duckdb
import pyarrow as pa

from sigdb import catalog, materialized, signature_views
from sigdb.connection import SCHEMA_VERSION, check_name, check_tables, connect, explained, open_file, schema_version
from sigdb.errors import AtlasError, AtlasVersionError, SignatureError, listed, message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from sigdb.signatures import Signature

__all__ = ["Atlas", "clear_study", "cluster", "little_memory", "rebuild_summary", "upgrade"]

# The oldest format that holds what we need. Files written so open in DuckDB 1.4.2 to 2.0, its shell,
# Node, WebAssembly; of those that DuckDB 2.0 writes, older ones cannot find the metadata of some.
STORAGE_VERSION = "v1.2.0"
# Rows of a row group. Scores compress to 3.3 to 3.6 bytes, so that as many fill a block of 262,136 bytes and half of a
# second one, which cell ids share; as many as DuckDB would take, 122,880, leave a third of a second one empty. Smaller
# ones cost memory, since DuckDB holds some of each until a transaction ends.
ROW_GROUP_SIZE = 114_688
# Of what DuckDB sorts: twice as many as it hands on at a time, or there would be small ones between large ones.
SORTED_ROW_GROUP_SIZE = 245_760
# Held while a file is attached anew, when for a moment it is nobody's: another thread would find no atlas.
opening = Lock()
# What DuckDB may take to sort an atlas; what does not fit waits on disk.
MEMORY = "512MB"
# sql/upgrades holds the way from here to SCHEMA_VERSION.
OLDEST_SCHEMA = 1


class Atlas:
    """An atlas, open for writing; a context manager that closes it.

    `Atlas(path)` opens an atlas, `Atlas.create(path)` makes an empty one. `con` is the DuckDB connection. `is_new`:
    whether this object has made the file. Writers go through `transaction()`: either all that a block wrote is in the
    file, or nothing.
    """

    is_new = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open an existing atlas; errors as for `sigdb.connect`."""
        self.path = Path(path)
        self.con = open_to_write(connect, path)

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> Self:
        """Make an empty atlas.

        Raises AtlasError if there is a file already, or the log of one, or the folder cannot be written to;
        AtlasLockedError if another process opens the new atlas first.
        """
        path = Path(path)
        check_name(path)
        if path.exists():
            raise AtlasError(f"{path} exists already. Open it with Atlas({str(path)!r}), or choose another name.")
        if (log := log_of(path)).exists():
            # DuckDB would add its rows to the new file.
            raise AtlasError(f"{log} is the log of an atlas that is not there. Put the atlas back, or remove the log.")
        # Made aside: a process that is killed leaves nothing behind that is called an atlas and is none. By a name of
        # its own: another process may be making the same atlas.
        unfinished = path.with_name(f"{path.name}.{uuid4().hex}.new")
        try:
            try:
                make_empty(unfinished)
                publish(unfinished, path)
            finally:
                remove(unfinished)
        except (duckdb.Error, OSError) as error:
            raise AtlasError(f"{path} cannot be created: {str(error).splitlines()[0]}") from error
        atlas = cls(path)
        atlas.is_new = True
        return atlas

    @classmethod
    def open_or_create(cls, path: str | os.PathLike[str]) -> Self:
        """Open the atlas at `path`, or make an empty one there."""
        return cls(path) if Path(path).exists() else cls.create(path)

    def __enter__(self) -> Self:
        """Return the atlas itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; another process can open it from now on."""
        self.con.close()

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Run a block as one transaction: committed at its end, undone if it raises."""
        self.con.execute("BEGIN")
        try:
            yield self.con
        except BaseException:
            self.con.execute("ROLLBACK")
            raise
        self.con.execute("COMMIT")

    def add_signatures(self, signatures: Sequence[Signature], *, replace: bool = False) -> None:
        """Add signatures to the library, all or none.

        Raises SignatureError if two bear one name, or if one of that name is there already, unless `replace`.
        """
        names = [each.name for each in signatures]
        if repeated := [name for name, count in Counter(names).items() if count > 1]:
            raise SignatureError(f"{len(repeated)} names are given to more than one signature: {listed(repeated)}.")
        known = {name for (name,) in self.con.execute("SELECT signature FROM sigdb_data.signature_info").fetchall()}
        if not replace and (taken := [name for name in names if name in known]):
            raise SignatureError(
                f"{len(taken)} of {len(names)} signatures are in the library already: {listed(taken)}. "
                "Replace them (--replace), or give the new ones other names."
            )
        info = pa.table(
            {
                "signature": pa.array(names, pa.string()),
                "source": pa.array([each.source for each in signatures], pa.string()),
                "description": pa.array([each.description for each in signatures], pa.string()),
            }
        )
        genes = pa.table(
            {
                "signature": [each.name for each in signatures for _ in each.genes],
                "position": pa.array([n for each in signatures for n, _ in enumerate(each.genes)], pa.uint32()),
                "gene": [gene for each in signatures for gene in each.genes],
                "weight": [weight for each in signatures for weight in each.weights],
            }
        )
        with self.transaction() as con:
            catalog.run_statement(con, "write/add_signatures", sigdb_incoming=info, sigdb_incoming_members=genes)
            materialized.refresh(con)

    def materialize(self, signatures: Sequence[str], *, missing: str = "error", run: str | int | None = None) -> None:
        """Keep the scores of signatures of the library in the file, all or none, for `signature_scores` to read.

        They are the unsigned means (4 bytes a cell, and compressed), kept up to date when studies, models or signatures
        are added. Raises QueryError as a score would, also for genes that the run does not know, unless missing is
        'ignore'.
        """
        with self.transaction() as con:
            materialized.materialize(con, signatures, missing=missing, run=run)

    def unmaterialize(self, signatures: Sequence[str]) -> None:
        """Forget the kept scores of signatures, in all runs. Raises SignatureError if one has none; then none is."""
        query = "SELECT DISTINCT signature FROM sigdb_data.materialized_signatures"
        kept = {name for (name,) in self.con.execute(query).fetchall()}
        if absent := [name for name in signatures if name not in kept]:
            raise SignatureError(
                f"No scores are kept of {listed(absent)}; they are of: {listed(sorted(kept)) or 'no signature'}."
            )
        with self.transaction() as con:
            materialized.drop(con, signatures)

    def add_views(self, signatures: Sequence[str], *, missing: str = "error") -> None:
        """Make views of signatures of the library, all or none, for clients that attach the atlas and do not USE it.

        `cell_scores."<name>"` has a row a cell, `sample_scores."<name>"` one a sample and cell type; they follow the
        atlas, and the signature if it is replaced. Raises QueryError as a score would, also for genes that the model
        does not know unless missing is 'ignore', and SignatureError for names that differ in case alone.
        """
        with self.transaction() as con:
            signature_views.create(con, signatures, missing=missing)

    def drop_views(self, signatures: Sequence[str]) -> None:
        """Drop the views of signatures. Raises SignatureError if one has none; then none is dropped."""
        with self.transaction() as con:
            signature_views.drop(con, signatures)

    def drop_study(self, study: str) -> int:
        """Remove a study, with its cells, scores and sums in all runs; return how many cells it had.

        The cells of other studies keep their ids and their scores, bit for bit. The file does not shrink, but what is
        added later takes the room. Raises AtlasError, with the nearest name, if there is no such study.
        """
        with self.transaction() as con:
            n_cells = clear_study(con, study)
            catalog.run_statement(con, "write/drop_study", sigdb_dropped=pa.table({"study": [study]}))
        return n_cells


def clear_study(con: duckdb.DuckDBPyConnection, study: str) -> int:
    """Remove all cells of a study, in the caller's transaction; return how many. Errors as for `Atlas.drop_study`."""
    samples = con.sql(catalog.statement("queries/study_samples"), params={"study": study}).to_arrow_table()
    if not len(samples):
        known = [name for (name,) in con.execute("SELECT study FROM sigdb_data.studies").fetchall()]
        near = difflib.get_close_matches(study, known, n=1, cutoff=0)
        raise AtlasError(
            f"There is no study {study!r} in this atlas of {len(known)} studies."
            + (f" Did you mean {near[0]!r}?" if near else "")
        )
    found = {"study_id": samples["study_id"][0].as_py()}
    cells = con.sql(catalog.statement("queries/study_cells"), params=found).to_arrow_table()
    catalog.run_statement(con, "write/clear_study", sigdb_dropped_samples=samples, sigdb_dropped_cells=cells)
    return len(cells)


def cluster(con: duckdb.DuckDBPyConnection) -> None:
    """Sort all attributions by (run, gene, cell), so that a query reads only the row groups of its genes."""
    catalog.run_statement(con, "write/cluster")
    # The sorted table is a new one, without comments.
    catalog.comment_tables(con)


def rebuild_summary(con: duckdb.DuckDBPyConnection) -> None:
    """Compute the cube and the group sizes anew."""
    catalog.run_statement(con, "write/clear_summary")
    for (run_id,) in con.execute("SELECT run_id FROM sigdb_data.attribution_runs ORDER BY run_id").fetchall():
        first, last = materialized.ALL_CELLS
        cells = {"run_id": run_id, "first": first, "last": last}
        catalog.run_statement(con, "write/add_summary", cells)
        catalog.run_statement(con, "write/add_group_sizes", cells)


@contextmanager
def little_memory(con: duckdb.DuckDBPyConnection, limit: str = MEMORY) -> Iterator[None]:
    """Have DuckDB keep no more than `limit` of what a block writes and sorts in memory, however much that is."""
    con.execute("SET memory_limit = '" + limit + "'")
    try:
        yield
    finally:
        # By another connection: where the block has failed, so would this in its transaction, and hide the reason.
        con.cursor().execute("RESET memory_limit")


def make_empty(path: Path) -> None:
    """Make a file with the tables, views and macros of an atlas."""
    with duckdb.connect() as con:
        attach_new(con, path)
        con.execute("USE sigdb_new")
        con.execute("BEGIN")
        con.execute(catalog.statement("schema"))
        catalog.install(con)
        record_versions(con)
        con.execute("COMMIT")
        # When a connection is closed, nobody is told that the disk was full; and the log goes with the name.
        con.execute("CHECKPOINT sigdb_new")


def publish(made: Path, path: Path) -> None:
    """Give a file its name in one step. Raises AtlasError if another process was faster."""
    try:
        os.link(made, path)
    except OSError:
        # There is one of that name, or the file system has no hard links.
        if path.exists():
            raise AtlasError(
                f"{path} has been made by another process meanwhile. Try again when that is done, to add to it."
            ) from None
        made.rename(path)


def log_of(path: Path) -> Path:
    """Where DuckDB keeps what is committed and not yet in the file."""
    return path.with_name(f"{path.name}.wal")


def remove(path: Path) -> None:
    """Remove a DuckDB file and its log, if there are any."""
    path.unlink(missing_ok=True)
    log_of(path).unlink(missing_ok=True)


def attach_new(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Attach a file as sigdb_new, to sort rows into; a new one is of a format that old DuckDB reads."""
    attach(con, path, "sigdb_new", f"ROW_GROUP_SIZE {SORTED_ROW_GROUP_SIZE}, STORAGE_VERSION '{STORAGE_VERSION}'")


def open_to_write(
    opener: Callable[..., duckdb.DuckDBPyConnection], path: str | os.PathLike[str]
) -> duckdb.DuckDBPyConnection:
    """Open a file with `connect` or `open_file`, so that what is written to it has row groups of ROW_GROUP_SIZE."""
    with opening:
        con = opener(path, read_only=False)
        try:
            set_row_group_size(con, Path(path))
        except BaseException:
            con.close()
            raise
    return con


def set_row_group_size(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Attach the file of a connection anew, so that what is written to it has row groups of ROW_GROUP_SIZE.

    DuckDB takes that as an option of ATTACH and of nothing else. Where others have the file in this process, who would
    lose it, row groups are of DuckDB's own size, and take more room. None may open it meanwhile.
    """
    ((n_connections,),) = con.execute("FROM duckdb_connection_count()").fetchall()
    if n_connections > 1:
        return
    quoted = catalog.current_database(con)
    with explained(path):
        # The database that a connection uses cannot be detached, so it uses another one meanwhile.
        con.execute("ATTACH ':memory:' AS sigdb_new")
        con.execute("USE sigdb_new")
        try:
            con.execute("DETACH " + quoted)
        except duckdb.FatalException as error:
            raise AtlasError(
                f"{path} cannot be written to: the changes in its log, {log_of(path).name}, do not fit into the file. "
                f"Make room on the disk and try again; nothing is lost, and it can be read. ({error})"
            ) from error
        attach(con, path, quoted, f"ROW_GROUP_SIZE {ROW_GROUP_SIZE}")
        con.execute("USE " + quoted)
        con.execute("DETACH sigdb_new")


def attach(con: duckdb.DuckDBPyConnection, path: Path, name: str, options: str) -> None:
    """Attach a file. name: quoted."""
    # ATTACH takes its path as a literal only; sqlglot quotes it. Absolute, or `sqlite:x` would mean an extension.
    con.execute("ATTACH " + catalog.literal(str(path.absolute())) + " AS " + name + " (" + options + ")")


def record_versions(con: duckdb.DuckDBPyConnection) -> None:
    """Write down which sigdb and DuckDB made the file as it is now."""
    catalog.run_statement(
        con,
        "write/record_versions",
        {
            "schema_version": str(SCHEMA_VERSION),
            "sigdb_version": version("sigdb-atlas"),
            "duckdb_version": duckdb.__version__,
            "now": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


def upgrade(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Bring an atlas to the schema, views and macros of this sigdb, in one transaction; return (from, to) schema.

    Run it too when only sigdb is newer: the macros in the file are then replaced by the current ones. Raises
    AtlasVersionError if the atlas is newer than this sigdb; AtlasError if something that is not sigdb's is in the way.
    """
    con = open_to_write(open_file, path)
    try:
        found = schema_version(con, path)
        check_tables(con, path)
        if found > SCHEMA_VERSION:
            raise AtlasVersionError(f"{path} has atlas schema {found}, newer than this sigdb's {SCHEMA_VERSION}.")
        if found < OLDEST_SCHEMA:
            raise AtlasVersionError(f"{path} has atlas schema {found}; this sigdb can upgrade from {OLDEST_SCHEMA} on.")
        with little_memory(con):
            con.execute("BEGIN")
            for number in range(found, SCHEMA_VERSION):
                con.execute(catalog.statement(f"upgrades/{number:03}"))
            catalog.install(con)
            signature_views.refresh(con)
            record_versions(con)
            con.execute("COMMIT")
    except duckdb.Error as error:
        raise AtlasError(
            f"{path} cannot be upgraded, and is as it was: {message(error)} If that is about an index or a column of "
            "your own on a table of sigdb's, drop it first."
        ) from error
    finally:
        con.close()
    return found, SCHEMA_VERSION
