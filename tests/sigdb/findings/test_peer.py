"""Hit rates equal those of SIGnature's `Meta` (sc-signature 1.0.0) for the same scores: add_hits, samphit_df.

`make .originals/ready` installs that package in a separate folder, without the versions that it pins.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import sigdb
from tests.support import ROOT

ORIGINALS = ROOT / ".originals"
pytestmark = pytest.mark.skipif(
    not (ORIGINALS / "SIGnature").exists(), reason="sc-signature is not there: make .originals/ready"
)

THEIRS = """
import sys
import pandas as pd
from SIGnature import Meta

scores, mode, cutoff, side, cell_min, samp_min = sys.argv[1:]
# As text: otherwise pandas reads the name "NA" as a missing value.
meta = Meta(pd.read_csv(scores, keep_default_na=False))
meta.add_hits("score", mode=mode, cut_val=float(cutoff), hit_type=side)
print(meta.samphit_df(int(cell_min), int(samp_min), hit_col="score__hit", num_dis=None).to_csv(index=False))
"""
CASES = [
    ("percentile", 90, "above", 5, 1),
    ("percentile", 95, "above", 20, 3),
    ("quantile", 0.25, "below", 10, 2),
    ("value", 0.4, "above", 1, 2),
]


def ask_the_package(*arguments):
    """The rows that the package prints, the header first."""
    command = [sys.executable, "-c", THEIRS, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ORIGINALS)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line.split(",") for line in done.stdout.split("\n") if line]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[2]}-{case[3]}")
def test_hit_rates_equal_the_hit_rates_of_the_package(demo_path, tmp_path, case):
    mode, value, side, min_cells, min_samples = case
    with sigdb.connect(demo_path, trusted=True) as con:
        con.sql(
            """SELECT c.study || '/' || c.sample AS sample, c.study, coalesce(c.tissue, 'NA') AS tissue,
            coalesce(c.disease, 'NA') AS disease, s.score
            FROM cells AS c JOIN signature_score(signature_genes('MS1'), missing := 'ignore') AS s USING (cell_id)"""
        ).write_csv(str(tmp_path / "scores.csv"))
        rule = {"cutoff" if mode == "value" else mode: value, "below": side == "below"}
        ours = sigdb.hits(
            con, "MS1", against="cells", missing="ignore", min_cells=min_cells, min_samples=min_samples, **rule
        )
    header, *rows = ask_the_package(tmp_path / "scores.csv", mode, value, side, min_cells, min_samples)
    column = {name: header.index(name) for name in header}
    theirs = {row[column["sample"]]: (row[column["disease"]].lower(), float(row[-1])) for row in rows}
    found = {
        f"{row['study']}/{row['sample']}": (row["disease"].lower(), pytest.approx(row["hit_rate"], rel=1e-12))
        for row in ours.samples.to_pylist()
    }
    assert len(found) > 3
    assert theirs == found
    order = list(dict.fromkeys(row[column["disease"]].lower() for row in rows))
    means = dict(zip(*(ours.table[name].to_pylist() for name in ("label", "mean_rate")), strict=True))
    assert sorted(means.values()) in (
        [means[n] for n in sorted(means, key=order.index)],
        [means[n] for n in sorted(means, key=order.index, reverse=True)],
    )


@pytest.mark.slow
def test_the_package_counts_the_cells_of_samples_of_one_name_together(tmp_path):
    """docs/differences.md says so: two studies have a sample s1 of 3 cells each, and 5 cells are asked for."""
    lines = [f"s1,{study},blood,flu,{score}" for study in ("a", "b") for score in (1, 2, 3)]
    (tmp_path / "scores.csv").write_text("\n".join(["sample,study,tissue,disease,score", *lines]) + "\n")
    header, *rows = ask_the_package(tmp_path / "scores.csv", "value", 2, "above", 5, 1)
    studies = [row[header.index("study")] for row in rows]
    assert sorted(studies) == ["a", "b"]
