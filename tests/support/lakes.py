"""Lakes of the atlases that tests use: split into more files, or opened by tests in place of the atlases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sigdb import Signature, attach_lake, export_lake
from sigdb.atlas.optimize import optimize
from sigdb.connection import connect
from sigdb.lake import manifest
from sigdb.lake.files import write_rows
from sigdb.lake.grow import growing_lake
from tests.support.prebuilt import copy_prebuilt
from tests.support.toy import copy_toy, new_atlas, obs_of, settings, write_study

if TYPE_CHECKING:
    import duckdb

    from sigdb.lake.manifest import File


GENES = [f"GENE{i:02}" for i in range(40)]
QUERIES = {
    "scores": "FROM signature_score(['GENE00', 'gene17', 'GENE39'], weights := [1, 2, -1]) ORDER BY ALL",
    "another run": "FROM signature_score(['GENE00', 'GENE17'], run := 'r7', signed := true) ORDER BY ALL",
    "all genes": "FROM signature_score((SELECT list(symbol) FROM genes), agg := 'sum') ORDER BY ALL",
    "scalar": "SELECT cell_id, signature_score(cell_id, ['GENE08']) FROM cells WHERE age > 250 ORDER BY ALL",
    "kept": "FROM signature_scores(['S']) ORDER BY ALL",
    "cube": "FROM signature_by_sample(['GENE01', 'GENE02']) ORDER BY ALL",
    "hits": "FROM sample_hit_rates(['GENE01', 'GENE02'], percentile := 90, min_cells := 1) ORDER BY ALL",
    "hits in cells": "FROM sample_hit_rates(['GENE01', 'GENE02'], min_cells := 1, against := 'cells') ORDER BY ALL",
    "null": "FROM signature_null(['GENE01', 'GENE02'], n_controls := 5) ORDER BY ALL",
    "importance": "FROM gene_importance(study := 'one') ORDER BY ALL",
    "attributions": "FROM gene_attributions(['GENE01', 'GENE30']) ORDER BY ALL",
    "views": 'FROM cell_scores."S" ORDER BY ALL',
    "whole": "FROM attributions ORDER BY ALL",
    "cells": "FROM cells ORDER BY ALL",
    "read": "SELECT *, (SELECT count(*) FROM unread_genes) AS n_unread FROM attributed_cells ORDER BY ALL",
}


def copy_two_runs(path: Path) -> Path:
    """Copy a prebuilt atlas to `path`: two runs, two studies, 40 genes, 600 cells; see `make_two_runs`."""
    return copy_prebuilt("two-runs.duckdb", make_two_runs, path)


def copy_two_runs_lake(path: Path) -> Path:
    """Copy the prebuilt lake of that atlas, in files of 8 genes, to `path`."""

    def build(folder: Path) -> None:
        atlas = copy_two_runs(folder.with_name("two-runs.duckdb"))
        export_lake(atlas, folder, genes_per_bucket=8)

    return copy_prebuilt("two-runs-lake", build, path)


def copy_grown_lake(path: Path) -> Path:
    """Copy a prebuilt lake to `path`: the lake of two runs, after a growth that added nothing."""

    def build(folder: Path) -> None:
        with growing_lake(copy_two_runs_lake(folder)) as grown:
            grown.publish()

    return copy_prebuilt("grown-lake", build, path)


def copy_toy_lake(path: Path) -> Path:
    """Copy the prebuilt lake of the toy atlas to `path`."""

    def build(folder: Path) -> None:
        export_lake(copy_toy(folder.with_name("toy.duckdb")), folder)

    return copy_prebuilt("toy-lake", build, path)


def make_two_runs(path: Path) -> Path:
    """Two runs of two studies, 40 genes, 600 cells, an obs column, a kept signature with views; sorted."""
    rng = np.random.default_rng(0)
    with new_atlas(path, GENES) as atlas:
        for study, steps in (("one", 5), ("two", 5), ("one", 7)):
            scores = np.where(rng.random((300, 40)) < 0.7, rng.normal(size=(300, 40)), 0)
            obs = obs_of(300, age=list(range(300)), sample=[f"s{i % 3}" for i in range(300)])
            run = {"run_settings": settings(n_steps=steps), "run": f"r{steps}"}
            write_study(atlas, scores, GENES, study=study, obs=obs, **run)
        atlas.add_signatures([Signature("S", ("GENE00", "GENE31"), (1.0, 0.5))])
        atlas.materialize(["S"])
        atlas.add_views(["S"])
    optimize(path)
    return path


def assert_same(found: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> None:
    """There are rows, and they are the same, except for the last digits of sums, which parallel scans change."""
    assert len(found) == len(expected) > 0
    for got, want in zip(found, expected, strict=True):
        for value, other in zip(got, want, strict=True):
            assert value == (pytest.approx(other, rel=1e-12) if isinstance(other, float) else other)


def split(folder: Path) -> None:
    """Move every other row of each file of a lake to a second file; both keep the order of the rows."""
    found = manifest.read(str(folder))
    files = []
    for file in found.files:
        rows = pq.read_table(folder / file.path, partitioning=None)
        parts = [rows.take(list(range(first, len(rows), 2))) for first in (0, 1)] if len(rows) > 1 else [rows]
        for number, part in enumerate(parts):
            path = (folder / file.path).with_name(f"{file.digest}-{number}.parquet")
            write_rows(part.to_reader(), path)
            described = {"path": str(path.relative_to(folder)), "rows": len(part), "bytes": path.stat().st_size}
            files.append(replace(file, **described, sha256=manifest.checksum(path)))
    manifest.publish(replace(found, files=files))


def make_older(folder: Path, schema: int) -> None:
    """Make a lake one of schema 5, which has no sums of gene_importance, or 6, which does not say what was read."""
    found = manifest.read(str(folder))
    added = {"unread_genes", *(("importance_groups", "importance_sums") if schema == 5 else ())}

    def change(file: File, rows: pa.Table) -> File:
        """The file with other rows. Its name is another, too, since it is made of the columns and the rows."""
        path = folder / file.path
        path.unlink()
        path = path.with_stem(path.stem[::-1])
        write_rows(rows.to_reader(), path)
        changed = {"path": str(path.relative_to(folder)), "bytes": path.stat().st_size}
        return replace(file, **changed, sha256=manifest.checksum(path))

    def older(file: File) -> File:
        if file.table == "atlas_info":
            facts = pq.read_table(folder / file.path).to_pylist()
            version = {"value": str(schema)}
            return change(
                file, pa.Table.from_pylist([row | version if row["key"] == "schema_version" else row for row in facts])
            )
        if file.table == "attributed_cells":
            return change(file, pq.read_table(folder / file.path).drop_columns(["n_expressed", "n_read"]))
        return file

    files = [older(file) for file in found.files if file.table not in added]
    columns = {
        table: {name: kind for name, kind in kinds.items() if name not in ("n_expressed", "n_read")}
        for table, kinds in found.columns.items()
        if table not in added
    }
    manifest.publish(replace(found, schema_version=schema, columns=columns, files=files))


# Not empty if this test run was started with --thorough.
thorough: list[bool] = []
# Holds the stand-ins of this test run, if it was started with --atlas-as=lake.
stand_ins: list[StandIns] = []


def examples(wanted: int) -> int:
    """How many examples hypothesis tries: all with --thorough, an eighth without, a tenth if each atlas is exported."""
    if stand_ins:
        return max(wanted // 10, 2)
    return wanted if thorough else max(wanted // 8, 1)


def path_to_read(path: Path | str) -> Path | str:
    """The file that tests attach for reading: the atlas, or a file that shows its lake."""
    return stand_ins[0].lake_view(path) if stand_ins else path


class StandIns:
    """Lakes that `pytest --atlas-as=lake` opens in place of atlases where tests only read them."""

    def __init__(self) -> None:
        self.root = Path(mkdtemp())
        self.made: dict[tuple[Path, int, int], Path] = {}

    def lake_view(self, path: Path | str) -> Path:
        """A file that shows the lake of an atlas; a new one whenever the atlas has changed."""
        with connect(path):
            state = Path(path).stat()
        key = (Path(path).absolute(), state.st_mtime_ns, state.st_size)
        if key not in self.made:
            folder = self.root / str(len(self.made))
            export_lake(path, folder / "lake")
            split(folder / "lake")
            attach_lake(folder / "lake", folder / Path(path).name)
            self.made[key] = folder / Path(path).name
        return self.made[key]

    def connect(self, path: Path | str, **options: Any) -> duckdb.DuckDBPyConnection:
        """`sigdb.connect`, which opens the lake instead if the atlas is opened for reading and not locked."""
        if options.get("locked") or not options.get("read_only", True) or Path(path).is_dir():
            return connect(path, **options)
        return connect(self.lake_view(path), **options | {"trusted": True})
