"""Cells that are in two studies are told, when the second one is added and by `sigdb info`."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import sigdb
from sigdb.atlas.overlap import overlap_notes
from sigdb.cli import app
from tests.support.toy import TOY_GENES, copy_toy, obs_of, write_study

BASES = ["".join("ACGT"[n // 4**k % 4] for k in range(14)) for n in range(20)]


def add(path, barcodes, study, counts=None):
    """Add a study; return the notes on its cells. Without `counts`, all cells have 10."""
    obs = obs_of(len(barcodes), barcode=barcodes)
    with sigdb.Atlas(path) as atlas:
        write_study(atlas, np.ones((len(barcodes), 3)), TOY_GENES, study=study, obs=obs)
        if counts is not None:
            query = (
                """UPDATE sigdb_data.cell_data SET n_counts = $counts[cell_id - $first + 1] WHERE cell_id >= $first"""
            )
            ((last,),) = atlas.con.execute("SELECT max(cell_id) FROM sigdb_data.cell_data").fetchall()
            atlas.con.execute(query, {"counts": counts, "first": last - len(barcodes) + 1})
        return overlap_notes(atlas.con)


@pytest.fixture
def path(tmp_path):
    return copy_toy(tmp_path / "a.duckdb")


OTHERS = {
    "the same": (BASES, None, 20),
    "with the sample before": ([f"s1_{name}-1" for name in BASES], None, 20),
    "some of them": ([*BASES[:5], *(f"x{n}" for n in range(5))], None, 5),
    "one of many": ([BASES[0], *(f"x{n}" for n in range(19))], None, 0),
    "other counts": (BASES, list(range(100, 120)), 0),
    "unknown counts": (BASES, [None] * 20, 0),
    "other barcodes": ([f"x{n}" for n in range(20)], None, 0),
}


@pytest.mark.parametrize("case", OTHERS)
def test_the_same_cells_have_the_same_barcodes_and_counts(path, case):
    barcodes, counts, n = OTHERS[case]
    assert add(path, BASES, "original") == []
    notes = add(path, barcodes, "integrated", counts)
    assert len(notes) == (n > 0)
    if n:
        assert notes[0].startswith(f"{n} of the {len(barcodes)} cells of integrated seem to be cells of original (same")


def test_barcodes_with_the_same_bases_are_compared_in_bounded_time(path):
    """Compared in pairs, these would be 400 million."""
    barcodes = [f"{'A' * 14}-{n}" for n in range(20_000)]
    add(path, barcodes, "one")
    assert add(path, barcodes, "other")[0].startswith("20,000 of the 20,000 cells of other seem to be cells of one")


def test_info_tells_of_shared_cells(path):
    assert "seem to be cells" not in CliRunner().invoke(app, ["info", str(path)]).stdout
    add(path, BASES, "original")
    add(path, BASES, "integrated")
    done = CliRunner().invoke(app, ["info", str(path)])
    assert done.exit_code == 0
    assert "20 of the 20 cells of integrated seem to be cells of original" in " ".join(done.stdout.split())
