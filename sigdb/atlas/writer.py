"""`Atlas`: an atlas file open for writing."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import duckdb
import pyarrow as pa

from sigdb.atlas import library, materialized, views
from sigdb.atlas.derived import clear_study
from sigdb.atlas.empty import write_empty
from sigdb.atlas.file import check_name, log_of, open_atlas, open_to_write, put_in_place, remove
from sigdb.errors import AtlasError, SignatureError, listed, message
from sigdb.scores.members import find_signatures
from sigdb.scores.names import warn_of_genes
from sigdb.statements import run_statement

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from sigdb.signatures import Signature


__all__ = ["Atlas"]


class Atlas:
    """An atlas file that is open for writing.

    While it is open, no other process can open the file. Use it in a `with` statement, which closes the file at the
    end. Every method that writes does so in one transaction: all of its changes are in the file, or none.

    Parameters
    ----------
    path
        An existing atlas file. `Atlas.create` makes a new one.

    Attributes
    ----------
    path
        The file.
    con
        The DuckDB connection.
    is_new
        Whether this object created the file.

    Raises
    ------
    AtlasNotFoundError, AtlasError, AtlasLockedError, AtlasVersionError
        As for `sigdb.connect`.

    Examples
    --------
    >>> with sigdb.Atlas("demo.duckdb") as atlas:
    ...     atlas.add_signatures([sigdb.Signature("B_CELL", ("MS4A1", "CD79A"))])
    """

    is_new = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.con = open_to_write(open_atlas, path)

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> Self:
        """Make an empty atlas and open it for writing.

        Parameters
        ----------
        path
            A file that does not exist, in a folder that exists.

        Returns
        -------
        The open atlas.

        Raises
        ------
        AtlasError
            The file, or the log of such a file, exists already, or the folder cannot be written to.
        AtlasLockedError
            Another process opened the new atlas first.

        Examples
        --------
        >>> with sigdb.Atlas.create("new.duckdb") as atlas:
        ...     atlas.con.sql("SELECT count(*) FROM cells").fetchall()
        [(0,)]
        """
        path = Path(path)
        check_name(path)
        if path.exists():
            raise AtlasError(
                f"{path} exists already. Open it with `sigdb.Atlas({str(path)!r})`, or choose another name."
            )
        if (log := log_of(path)).exists():
            # DuckDB would replay it into the new file.
            raise AtlasError(
                f"{log} is the log of an atlas that does not exist. Put the atlas back, or remove the log."
            )
        # The file gets its name when it is complete, so that a killed process leaves no incomplete atlas. The temporary
        # name is unique, because another process may be making the same atlas.
        unfinished = path.with_name(f"{path.name}.{uuid4().hex}.new")
        try:
            try:
                write_empty(unfinished)
                put_in_place(unfinished, path)
            finally:
                remove(unfinished)
        except (duckdb.Error, OSError) as error:
            raise AtlasError(f"{path} cannot be created: {message(error)}") from error
        atlas = cls(path)
        atlas.is_new = True
        return atlas

    @classmethod
    def open_or_create(cls, path: str | os.PathLike[str]) -> Self:
        """Open the atlas at `path`, or make an empty one there.

        Parameters
        ----------
        path
            A file in a folder that exists.

        Returns
        -------
        The open atlas. Its attribute `is_new` says whether it was made.

        Raises
        ------
        AtlasError
            As for `Atlas` and `Atlas.create`.

        Examples
        --------
        >>> with sigdb.Atlas.open_or_create("demo.duckdb") as atlas:
        ...     atlas.is_new
        False
        """
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
        """Close the file, so that other processes can open it.

        Examples
        --------
        >>> sigdb.Atlas("demo.duckdb").close()
        """
        self.con.close()

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Run a block as one transaction: its changes are committed at the end, or undone if it raises an exception.

        Returns
        -------
        A context manager that gives the connection of the atlas.

        Examples
        --------
        >>> with sigdb.Atlas("demo.duckdb") as atlas, atlas.transaction() as con:
        ...     _ = con.execute("CREATE TABLE notes AS SELECT 'checked' AS note")
        """
        self.con.execute("BEGIN")
        try:
            yield self.con
        except BaseException:
            self.con.execute("ROLLBACK")
            raise
        self.con.execute("COMMIT")

    def add_signatures(self, signatures: Sequence[Signature], *, replace: bool = False) -> None:
        """Add signatures to the library, all or none.

        Parameters
        ----------
        signatures
            Signatures with different names.
        replace
            Whether they replace signatures of the same names. Kept scores are then computed again.

        Raises
        ------
        SignatureError
            Two names are the same or differ in case only, or, without `replace`, the library has one of the names.

        Examples
        --------
        >>> with sigdb.Atlas("demo.duckdb") as atlas:
        ...     atlas.add_signatures([sigdb.Signature("T_CELL", ("CD3D", "CD3E"))])
        """
        with self.transaction() as con:
            library.add(con, signatures, replace=replace)

    def remove_signatures(self, signatures: Sequence[str]) -> list[str]:
        """Remove signatures from the library, with their kept scores and their views, all or none.

        Parameters
        ----------
        signatures
            Names of signatures in the library, in any case.

        Returns
        -------
        Their names in the library.

        Raises
        ------
        SignatureError
            One of the names is not in the library; the message suggests a similar one.

        Examples
        --------
        >>> with sigdb.Atlas("demo.duckdb") as atlas:
        ...     atlas.add_signatures([sigdb.Signature("GONE", ("CD3D", "CD3E"))])
        ...     atlas.remove_signatures(["gone"])
        ['GONE']
        """
        with self.transaction() as con:
            return library.remove(con, signatures)

    def materialize(self, signatures: Sequence[str], *, missing: str = "ignore", run: str | int | None = None) -> None:
        """Keep the scores of signatures of the library in the file, all or none, for `signature_scores` to read.

        The kept scores are the unsigned means. They are updated when studies, models or signatures are added. Each
        takes 4 bytes per cell before compression.

        Parameters
        ----------
        signatures
            Names of signatures in the library.
        missing
            'ignore' leaves out genes that the run's model does not know, and warns of it; 'error' refuses them.
        run
            Name or id of the attribution run. Left out, the default run.

        Raises
        ------
        QueryError
            A signature, a gene or the run is unknown.

        Examples
        --------
        >>> with sigdb.Atlas("demo.duckdb") as atlas:
        ...     atlas.materialize(["MS1"])
        """
        with self.transaction() as con:
            names = find_signatures(con, signatures)
            materialized.materialize(con, names, missing=missing, run=run)
            warn_of_genes(con, run=run, signatures=names)

    def unmaterialize(self, signatures: Sequence[str]) -> None:
        """Delete the kept scores of signatures in all runs, all or none.

        Parameters
        ----------
        signatures
            Names of materialised signatures.

        Raises
        ------
        SignatureError
            The atlas keeps no scores of one of them.

        Examples
        --------
        >>> with sigdb.Atlas("demo.duckdb") as atlas:
        ...     atlas.materialize(["MS1"])
        ...     atlas.unmaterialize(["MS1"])
        """
        kept = {name for name, _ in run_statement(self.con, "atlas/materialized.all_materialized")}
        names = find_signatures(self.con, signatures)
        if unknown := [name for name in names if name not in kept]:
            raise SignatureError(
                f"The atlas keeps no scores of {len(unknown)} of {len(names)} signatures: {listed(unknown)}. "
                f"It keeps the scores of: {listed(sorted(kept)) or 'no signature'}."
            )
        with self.transaction() as con:
            materialized.drop(con, names)

    def add_views(self, signatures: Sequence[str], *, missing: str = "ignore") -> None:
        """Make views of signatures of the library, all or none, for clients that attach the atlas without `USE`.

        The view `cell_scores."<name>"` has one row per cell, `sample_scores."<name>"` one row per sample and cell type.
        The views reflect every change to the atlas and to the signature.

        Parameters
        ----------
        signatures
            Names of signatures in the library.
        missing
            'ignore' leaves out genes that the model does not know, and warns of it; 'error' refuses them.

        Raises
        ------
        QueryError
            A signature or a gene is unknown.
        SignatureError
            Two names differ only in case.

        Examples
        --------
        >>> with sigdb.Atlas("demo.duckdb") as atlas:
        ...     atlas.add_views(["MS1"])
        ...     atlas.con.sql('SELECT count(*) FROM cell_scores."MS1"').fetchall()
        [(1757,)]
        """
        with self.transaction() as con:
            names = find_signatures(con, signatures)
            views.create(con, names, missing=missing)
            warn_of_genes(con, signatures=names)

    def drop_views(self, signatures: Sequence[str]) -> None:
        """Drop the views of signatures, all or none.

        Parameters
        ----------
        signatures
            Names of signatures that have views.

        Raises
        ------
        SignatureError
            One of the signatures has no view.

        Examples
        --------
        >>> with sigdb.Atlas("demo.duckdb") as atlas:
        ...     atlas.add_views(["MS1"])
        ...     atlas.drop_views(["MS1"])
        """
        with self.transaction() as con:
            views.drop(con, find_signatures(con, signatures))

    def drop_study(self, study: str) -> int:
        """Remove a study, with its cells, scores and sums in all runs.

        The cells of other studies keep their ids, and their scores do not change. The file does not shrink, but later
        additions use the free space.

        Parameters
        ----------
        study
            Name of the study.

        Returns
        -------
        The number of cells that were removed.

        Raises
        ------
        AtlasError
            There is no such study; the message suggests a similar name.

        Examples
        --------
        >>> with sigdb.Atlas("demo.duckdb") as atlas:
        ...     atlas.drop_study("wu2020_tcell")
        200
        """
        with self.transaction() as con:
            n_cells = clear_study(con, study)
            run_statement(con, "atlas/derived.drop_study", sigdb_dropped=pa.table({"study": [study]}))
        return n_cells
