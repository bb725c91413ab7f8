"""Lakes of the tests' atlases: in several files a table, and in the place of the atlases themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from sigdb import Atlas, Signature, attach_lake, export_lake
from sigdb.atlas.optimize import optimize
from sigdb.connection import connect
from sigdb.lake import manifest
from sigdb.lake.files import write_rows
from tests.support.toy import obs_of, settings, write_study

if TYPE_CHECKING:
    import duckdb


GENES = [f"GENE{i:02}" for i in range(40)]
QUERIES = {
    "scores": "FROM signature_score(['GENE00', 'gene17', 'GENE39'], weights := [1, 2, -1]) ORDER BY ALL",
    "another run": "FROM signature_score(['GENE00', 'GENE17'], run := 'r7', signed := true) ORDER BY ALL",
    "all genes": "FROM signature_score((SELECT list(symbol) FROM genes), agg := 'sum') ORDER BY ALL",
    "scalar": "SELECT cell_id, signature_score(cell_id, ['GENE08']) FROM cells WHERE age > 250 ORDER BY ALL",
    "kept": "FROM signature_scores(['S']) ORDER BY ALL",
    "cube": "FROM signature_by_sample(['GENE01', 'GENE02']) ORDER BY ALL",
    "hits": "FROM sample_hit_rates(['GENE01', 'GENE02'], percentile := 90, min_cells := 1) ORDER BY ALL",
    "null": "FROM signature_null(['GENE01', 'GENE02'], n_controls := 5) ORDER BY ALL",
    "attributions": "FROM gene_attributions(['GENE01', 'GENE30']) ORDER BY ALL",
    "views": 'FROM cell_scores."S" ORDER BY ALL',
    "whole": "FROM attributions ORDER BY ALL",
    "cells": "FROM cells ORDER BY ALL",
}


def make_two_runs(path: Path) -> Path:
    """Two runs of two studies, 40 genes, 600 cells, an obs column, a kept signature with views; sorted."""
    rng = np.random.default_rng(0)
    with Atlas.create(path) as atlas:
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
    """That rows are the same, and that there are any; sums of parallel scans differ in the last digits."""
    assert len(found) == len(expected) > 0
    for got, want in zip(found, expected, strict=True):
        for value, other in zip(got, want, strict=True):
            assert value == (pytest.approx(other, rel=1e-12) if isinstance(other, float) else other)


def split(folder: Path) -> None:
    """Put every other row of a file of a lake into a second one; each is sorted if the file was."""
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


# The one of this run of the tests, if there is one.
stand_ins: list[StandIns] = []


def examples(wanted: int) -> int:
    """How many examples hypothesis tries: where each is exported, a few."""
    return max(wanted // 10, 2) if stand_ins else wanted


def asked(path: Path | str) -> Path | str:
    """What tests attach for reading: the atlas file, or a file that shows its lake."""
    return stand_ins[0].shown(path) if stand_ins else path


class StandIns:
    """The lakes that stand in for atlases where tests open them for reading, by `pytest --atlas-as=lake`."""

    def __init__(self) -> None:
        self.root = Path(mkdtemp())
        self.made: dict[tuple[Path, int, int], Path] = {}

    def shown(self, path: Path | str) -> Path:
        """A file that shows the lake of an atlas; another one when the atlas has changed."""
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

    def connect(self, path: Path | str, *, read_only: bool = True, locked: bool = False) -> duckdb.DuckDBPyConnection:
        """`sigdb.connect`, but for what is opened for reading and not locked."""
        is_asked = read_only and not locked and not Path(path).is_dir()
        return connect(self.shown(path) if is_asked else path, read_only=read_only, locked=locked)
