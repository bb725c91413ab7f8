"""Add studies to a lake directly, without an atlas file.

While a lake grows, its small tables are in an atlas file on this machine, so everything that writes to an atlas can
write to the lake. The large tables, attributions and their sums, stay in the lake, and the atlas has views over them.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sqlglot import exp

from sigdb import disk
from sigdb.atlas.derived import rebuild_importance
from sigdb.atlas.file import little_memory
from sigdb.atlas.writer import Atlas
from sigdb.errors import AtlasError
from sigdb.lake import manifest
from sigdb.lake.export import hold_folder, make_manifest, write_parts
from sigdb.lake.files import attribution_parts, table_columns, table_parts
from sigdb.lake.manifest import publish
from sigdb.lake.older import lacks_importance
from sigdb.lake.open import read_complete, select_rows
from sigdb.lake.restore import load_tables
from sigdb.statements import run_statement

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator, Sequence

    import pyarrow as pa

    from sigdb.lake.manifest import File, Manifest

__all__ = ["GrowingLake", "growing_lake", "open_writable"]

# The large tables. Their files are made elsewhere, and the atlas has views over them.
LARGE_TABLES = ("attributions", "attribution_summary", "importance_sums")
# For a new lake, whose size is not known yet: about a hundred buckets of genes, which a cluster shares.
GENES_PER_BUCKET = 256


class GrowingLake:
    """A lake that grows, and the atlas of its small tables. Changes become visible to others with `publish`.

    root: the absolute path of its folder. before: its manifest, None for a new lake. files: the files of the tables in
    LARGE_TABLES, changes included.
    """

    def __init__(self, root: Path, atlas: Atlas, before: Manifest | None, genes_per_bucket: int) -> None:
        self.root = root
        self.atlas = atlas
        self.before = before
        self.genes_per_bucket = genes_per_bucket
        self.columns = table_columns(atlas.con)
        self.files: dict[str, list[File]] = {table: [] for table in LARGE_TABLES}
        for table in LARGE_TABLES:
            self.change(table, before.files_of(table) if before else [])

    def rows(self, table: str, limit: int | None = None) -> pa.Table:
        """The rows of a table, or the first `limit` of them."""
        query = exp.select("*").from_(exp.table_(table, db="sigdb_data"))
        query = query if limit is None else query.limit(limit)
        return self.atlas.con.sql(query.sql("duckdb")).to_arrow_table()

    def arrow_schema(self, table: str) -> pa.Schema:
        """The Arrow schema of a table."""
        return self.rows(table, limit=0).schema

    def change(self, table: str, new: Sequence[File], old: Collection[File] = ()) -> None:
        """Add new files to a table in LARGE_TABLES, and remove old ones."""
        files = [file for file in (*self.files[table], *new) if file.rows and file not in old]
        self.files[table] = files
        if not files:
            return
        con, view = self.atlas.con, exp.table_(table, db="sigdb_data")
        if (table,) not in run_statement(con, "atlas/inspect.shows_lake"):
            run_statement(con, f"lake/views.drop_{table}")
        rows = select_rows(self.manifest(files), table)
        con.execute(exp.Create(this=view, kind="VIEW", replace=True, expression=rows).sql("duckdb"))

    def add_importance(self) -> None:
        """Write the sums of gene_importance, which a lake of an older schema lacks."""
        rebuild_importance(self.atlas.con)
        parts = table_parts(self.atlas.con, {"importance_sums": self.columns["importance_sums"]})
        files, _ = write_parts(self.atlas.con, self.root, [*parts], None)
        self.change("importance_sums", files)

    def manifest(self, files: list[File]) -> Manifest:
        """The manifest of a lake of these files."""
        columns = table_columns(self.atlas.con) | {table: self.columns[table] for table in LARGE_TABLES}
        size = self.genes_per_bucket
        return make_manifest(self.atlas.con, self.root, columns, files, genes_per_bucket=size, atlas_created=None)

    def publish(self) -> None:
        """Write the small tables that have changed, and make all changes visible in one step."""
        con, empty = self.atlas.con, [table for table in LARGE_TABLES if not self.files[table]]
        columns = {
            table: kinds for table, kinds in table_columns(con).items() if table not in LARGE_TABLES or table in empty
        }
        parts = [*table_parts(con, columns)]
        if "attributions" in empty:
            parts += attribution_parts(con, self.genes_per_bucket, columns["attributions"])
        written, _ = write_parts(con, self.root, parts, self.before)
        self.before = self.manifest([*written, *(file for files in self.files.values() for file in files)])
        publish(self.before)


@contextmanager
def growing_lake(lake: str | os.PathLike[str], *, genes_per_bucket: int | None = None) -> Iterator[GrowingLake]:
    """Lock a lake or a new folder, to add studies to it.

    genes_per_bucket: for a new lake; GENES_PER_BUCKET if None. Raises AtlasError if the folder is not a lake, is locked
    by another process, or if the lake is incomplete or has other buckets.
    """
    if disk.is_address(str(lake)):
        raise AtlasError(
            f"{lake} is not a folder. Studies can be added only to a lake in a folder that all machines share."
        )
    root = Path(lake).absolute()
    with hold_folder(root, keep=False), TemporaryDirectory(prefix="sigdb-") as folder:
        before = read_complete(root) if (root / manifest.NAME).exists() else None
        size = before.genes_per_bucket if before else genes_per_bucket or GENES_PER_BUCKET
        if genes_per_bucket not in (None, size):
            raise AtlasError(
                f"The files of the lake {root} hold {size} genes each. Adding studies cannot change that to "
                f"`genes_per_bucket={genes_per_bucket}`. To divide them again, use `sigdb.import_lake(lake, path)` "
                "and then `sigdb.export_lake(path, lake)`."
            )
        with Atlas.create(Path(folder) / "lake.duckdb") as atlas:
            if before:
                with little_memory(atlas.con):
                    load_tables(atlas, before, before.columns.keys() - set(LARGE_TABLES))
            grown = GrowingLake(root, atlas, before, size)
            if before and lacks_importance(before):
                grown.add_importance()
            yield grown


@contextmanager
def open_writable(path: str | os.PathLike[str]) -> Iterator[Atlas]:
    """Open an atlas file for writing, or a growing lake, whose changes become visible at the end of the block.

    Raises AtlasError for a lake that is an export; other errors as for `Atlas` and `growing_lake`.
    """
    if not Path(path).is_dir():
        with Atlas(path) as atlas:
            yield atlas
        return
    if manifest.read(str(path)).atlas_created is not None:
        raise AtlasError(
            f"{path} is an export of an atlas. Write to the atlas, and export it again with "
            "`sigdb.export_lake(atlas, lake)`."
        )
    with growing_lake(path) as grown:
        yield grown.atlas
        grown.publish()
