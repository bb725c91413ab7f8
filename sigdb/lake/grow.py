"""A lake that studies are added to where it is, without an atlas file.

For as long as it grows, its tables are an atlas on this machine, so that whatever writes to an atlas can write to it.
The attributions and the sums of them, which are large, stay in the lake, and that atlas shows them.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from sigdb import disk, statements
from sigdb.atlas.file import little_memory
from sigdb.atlas.writer import Atlas
from sigdb.errors import AtlasError
from sigdb.lake import manifest
from sigdb.lake.export import describe, mine, write_parts
from sigdb.lake.files import attribution_parts, table_columns, table_parts
from sigdb.lake.manifest import publish
from sigdb.lake.open import source, usable
from sigdb.lake.restore import fill

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator, Sequence

    import pyarrow as pa

    from sigdb.lake.manifest import File, Manifest

__all__ = ["GENES_PER_BUCKET", "GrowingLake", "growing_lake", "writable"]

# The tables of which the files are made elsewhere.
SHOWN = ("attributions", "attribution_summary")
# Of a new lake, of which nobody knows how large it will be: a hundred buckets of genes, which a cluster shares.
GENES_PER_BUCKET = 256


class GrowingLake:
    """A lake, and the atlas of its tables. `change` and `publish` add to it; until `publish` nobody sees that.

    root: its folder, absolute. files: of each of SHOWN, those that there will be.
    """

    def __init__(self, root: Path, atlas: Atlas, before: Manifest | None, genes_per_bucket: int) -> None:
        self.root = root
        self.atlas = atlas
        self.before = before
        self.genes_per_bucket = genes_per_bucket
        self.columns = table_columns(atlas.con)
        self.files: dict[str, list[File]] = {table: [] for table in SHOWN}
        for table in SHOWN:
            self.change(table, before.of(table) if before else [])

    def arrow_schema(self, table: str) -> pa.Schema:
        """The columns of a table."""
        query = exp.select("*").from_(exp.table_(table, db="sigdb_data")).limit(0)
        return self.atlas.con.sql(query.sql("duckdb")).to_arrow_table().schema

    def change(self, table: str, new: Sequence[File], old: Collection[File] = ()) -> None:
        """Put new files of a table in the place of old ones, or beside the others."""
        files = [file for file in (*self.files[table], *new) if file.rows and file not in old]
        self.files[table] = files
        if not files:
            return
        con, name = self.atlas.con, exp.table_(table, db="sigdb_data")
        if (table,) not in con.execute(statements.statement("atlas/inspect.shows_lake")).fetchall():
            # Parsed, since what a Drop is made of differs between versions of sqlglot.
            drop = sqlglot.parse_one("DROP TABLE attributions", dialect="duckdb")
            for place in list(drop.find_all(exp.Table)):
                place.replace(name.copy())
            con.execute(drop.sql("duckdb"))
        rows = source(self.manifest(files), table)
        con.execute(exp.Create(this=name, kind="VIEW", replace=True, expression=rows).sql("duckdb"))

    def manifest(self, files: list[File]) -> Manifest:
        """The manifest of a lake of these files."""
        columns = table_columns(self.atlas.con) | {table: self.columns[table] for table in SHOWN}
        size = self.genes_per_bucket
        return describe(self.atlas.con, self.root, columns, files, genes_per_bucket=size, atlas_created=None)

    def publish(self) -> None:
        """Write the other tables as far as they have changed, and let everybody see all that was added, in one step."""
        con, none_of = self.atlas.con, [table for table in SHOWN if not self.files[table]]
        columns = {
            table: kinds for table, kinds in table_columns(con).items() if table not in SHOWN or table in none_of
        }
        parts = [*table_parts(con, columns)]
        if "attributions" in none_of:
            parts += attribution_parts(con, self.genes_per_bucket, columns["attributions"])
        written, _ = write_parts(con, self.root, parts, self.before)
        self.before = self.manifest([*written, *(file for files in self.files.values() for file in files)])
        publish(self.before)


@contextmanager
def growing_lake(lake: str | os.PathLike[str], *, genes_per_bucket: int | None = None) -> Iterator[GrowingLake]:
    """Hold a lake, or a new folder, to add to it. genes_per_bucket: of a new one; GENES_PER_BUCKET if None.

    Raises AtlasError if the folder is something else, is held by another process, or if the lake is not whole or has
    other buckets.
    """
    if disk.is_address(str(lake)):
        raise AtlasError(f"{lake} is not a folder. Studies are added to a lake in a folder that all machines share.")
    root = Path(lake).absolute()
    with mine(root, keep=False), TemporaryDirectory(prefix="sigdb-") as folder:
        before = usable(root) if (root / manifest.NAME).exists() else None
        size = before.genes_per_bucket if before else genes_per_bucket or GENES_PER_BUCKET
        if genes_per_bucket not in (None, size):
            raise AtlasError(
                f"The files of the lake {root} hold {size} genes each, which cannot be changed to {genes_per_bucket} "
                "when studies are added. `sigdb import-lake` and `sigdb export` divide it anew."
            )
        with Atlas.create(Path(folder) / "lake.duckdb") as atlas:
            if before:
                with little_memory(atlas.con):
                    fill(atlas, before, before.columns.keys() - set(SHOWN))
            yield GrowingLake(root, atlas, before, size)


@contextmanager
def writable(path: str | os.PathLike[str]) -> Iterator[Atlas]:
    """An atlas file, open for writing; or the atlas of a growing lake, which shows what a block did at the end of it.

    Raises AtlasError for a lake that is an export, and as `Atlas` and `growing_lake` do.
    """
    if not Path(path).is_dir():
        with Atlas(path) as atlas:
            yield atlas
        return
    if manifest.read(str(path)).atlas_created is not None:
        raise AtlasError(f"{path} is an export of an atlas. Write to that, and export it again: sigdb export")
    with growing_lake(path) as grown:
        yield grown.atlas
        grown.publish()
