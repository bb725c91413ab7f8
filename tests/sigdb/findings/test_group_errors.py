"""The standard errors of groups are over donors, or over samples whose donor is unknown, and never over cells."""

from __future__ import annotations

from collections import defaultdict
from statistics import mean, stdev

import numpy as np
import pytest

import sigdb
from sigdb.errors import QueryError
from tests.support.toy import new_atlas, obs_of, write_study

GENES = tuple(f"G{n}" for n in range(60))
SIGNATURE = ["G3", "G8"]


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    """Two studies of 40 cells. The donors d0 and d1 are in both; the donor of the third sample is unknown."""
    rng = np.random.default_rng(3)
    path = tmp_path_factory.mktemp("errors") / "a.duckdb"
    with new_atlas(path, GENES) as atlas:
        for study in ("one", "two"):
            scores = rng.gamma(1, 1, (40, 60)) * (rng.random((40, 60)) < 0.7)
            samples = rng.choice(["s0", "s1", "s2", "s3"], 40)
            donors = [{"s0": "d0", "s1": "d1", "s2": None, "s3": "d0"}[sample] for sample in samples]
            columns = {"sample": samples, "donor": donors, "cell_type": rng.choice(["A", "B"], 40)}
            columns["disease"] = [{"s0": "x", "s1": "x", "s2": "y", "s3": "y"}[sample] for sample in samples]
            write_study(atlas, scores, GENES, study=study, obs=obs_of(40, **columns))
    with sigdb.connect(path) as con:
        yield con


@pytest.mark.parametrize("cells", [None, "study = 'one'"])
@pytest.mark.parametrize("rule", [{}, {"percentile": 80}, {"against": "cells"}, {"against": "cells", "percentile": 60}])
def test_hits_of_groups_follow_the_rule(con, rule, cells):
    """The hits that `sigdb.hits` calls in samples are the hits of all cells as one group."""
    (group,) = sigdb.group_scores(
        con, SIGNATURE, by="in_vivo", cells=f"cell_type = 'A' AND {cells or True}", **rule
    ).table.to_pylist()
    samples = sigdb.hits(
        con, SIGNATURE, by="study", cells=f"cell_type = 'A' AND {cells or True}", **rule
    ).all_samples.to_pylist()
    n_cells = sum(row["n_cells"] for row in samples)
    assert group["n_cells"] == n_cells
    np.testing.assert_allclose(group["hit_rate"], sum(row["n_hits"] for row in samples) / n_cells)
    np.testing.assert_allclose(group["z"], sum(row["mean_z"] * row["n_cells"] for row in samples) / n_cells, atol=1e-12)


def test_without_calibration_a_rule_of_hits_is_refused(con):
    for rule in ({"percentile": 80}, {"against": "cells"}):
        with pytest.raises(QueryError, match="`calibrated=False` computes no hits"):
            sigdb.group_scores(con, SIGNATURE, calibrated=False, **rule)
    with pytest.raises(QueryError, match="`against` must be 'controls' or 'cells', not 'cell'"):
        sigdb.group_scores(con, SIGNATURE, against="cell")


@pytest.mark.parametrize("by", ["study", "disease"])
def test_by_hand(con, by):
    cells = con.execute(
        f"""SELECT c.cell_type, c.{by}, c.study, coalesce('d' || c.donor, 's' || c.sample), h.score, h.z
        FROM cells AS c JOIN signature_hits(?) AS h USING (cell_id)""",
        [SIGNATURE],
    ).fetchall()
    units = defaultdict(lambda: defaultdict(list))
    for cell_type, label, study, unit, *values in cells:
        units[cell_type, label][study, unit].append(values)
    found = sigdb.group_scores(con, SIGNATURE, by=by, min_cells=1).table.to_pylist()
    assert len(found) == len(units)
    for row in found:
        of_group = units[row["cell_type"], row["label"]].values()
        for number, name in enumerate(("score_se", "z_se")):
            means = [mean(cell[number] for cell in cells) for cells in of_group]
            np.testing.assert_allclose(row[name], stdev(means) / len(means) ** 0.5)
        assert row["n_units"] == len(of_group)
        assert row["n_donors"] == sum(unit.startswith("d") for _, unit in units[row["cell_type"], row["label"]])
