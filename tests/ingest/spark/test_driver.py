"""Which files of a lake are merged as it grows. Needs no Spark."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.spark.driver import files_to_merge
from sigdb.lake.files import FILE_ROWS
from sigdb.lake.manifest import File

SIZES = {
    "all alike": lambda rng: 30_000,
    "of all sizes": lambda rng: int(10 ** rng.uniform(1, 6)),
    "mostly small": lambda rng: 10_000_000 if rng.random() < 0.02 else 1_000,
    "large": lambda rng: FILE_ROWS + 1,
}


def file(name, rows):
    return File("attributions", str(name), str(name), rows, rows, "")


@pytest.mark.parametrize("sizes", SIZES)
def test_a_row_is_rewritten_few_times_no_matter_how_many_studies_are_added(sizes):
    """For a thousand studies: once, and once more each time its file becomes eight times as large."""
    rng = np.random.default_rng(0)
    files, written, total = [], 0, 0
    for study in range(1000):
        new = SIZES[sizes](rng)
        old = files_to_merge(files)
        files = [each for each in files if each not in old] + [file(study, new + sum(each.rows for each in old))]
        written += files[-1].rows
        total += new
        small = [len(f"{each.rows:o}") for each in files if each.rows < FILE_ROWS]
        assert max(map(small.count, small), default=0) <= 8
    assert sum(each.rows for each in files) == total
    assert written / total <= 1 + np.log(1000) / np.log(8)
