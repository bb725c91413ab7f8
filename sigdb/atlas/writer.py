"""`Atlas`: an atlas file open for writing."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import duckdb
import pyarrow as pa

from sigdb import statements
from sigdb.atlas import materialized, schema, views
from sigdb.atlas.derived import clear_study
from sigdb.atlas.file import (
    SCHEMA_VERSION,
    attach_new,
    check_name,
    log_of,
    open_atlas,
    open_to_write,
    publish,
    remove,
)
from sigdb.errors import AtlasError, SignatureError, listed

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from sigdb.signatures import Signature


__all__ = ["Atlas"]


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
        self.con = open_to_write(open_atlas, path)

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
            statements.run_statement(
                con, "atlas/records.add_signatures", sigdb_incoming=info, sigdb_incoming_members=genes
            )
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
            views.create(con, signatures, missing=missing)

    def drop_views(self, signatures: Sequence[str]) -> None:
        """Drop the views of signatures. Raises SignatureError if one has none; then none is dropped."""
        with self.transaction() as con:
            views.drop(con, signatures)

    def drop_study(self, study: str) -> int:
        """Remove a study, with its cells, scores and sums in all runs; return how many cells it had.

        The cells of other studies keep their ids and their scores, bit for bit. The file does not shrink, but what is
        added later takes the room. Raises AtlasError, with the nearest name, if there is no such study.
        """
        with self.transaction() as con:
            n_cells = clear_study(con, study)
            statements.run_statement(con, "atlas/derived.drop_study", sigdb_dropped=pa.table({"study": [study]}))
        return n_cells


def make_empty(path: Path) -> None:
    """Make a file with the tables, views and macros of an atlas."""
    with duckdb.connect() as con:
        attach_new(con, path)
        con.execute("USE sigdb_new")
        con.execute("BEGIN")
        con.execute(statements.statement("schema"))
        schema.install(con)
        record_versions(con)
        con.execute("COMMIT")
        # When a connection is closed, nobody is told that the disk was full; and the log goes with the name.
        con.execute("CHECKPOINT sigdb_new")


def record_versions(con: duckdb.DuckDBPyConnection) -> None:
    """Write down which sigdb and DuckDB made the file as it is now."""
    statements.run_statement(
        con,
        "atlas/records.record_versions",
        {
            "schema_version": str(SCHEMA_VERSION),
            "sigdb_version": version("sigdb-atlas"),
            "duckdb_version": duckdb.__version__,
            "now": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
