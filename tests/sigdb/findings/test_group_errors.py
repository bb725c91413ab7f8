"""The standard errors of groups are over donors, or over samples whose donor is unknown, and never over cells."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain

import numpy as np
import pytest
from scipy.stats import t

import sigdb
from sigdb.atlas.fields import NAMES_NONE, names_none
from sigdb.errors import QueryError
from tests.support.toy import new_atlas, obs_of, write_study

GENES = tuple(f"G{n}" for n in range(60))
SIGNATURE = ["G3", "G8"]


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    """Three studies of 40 cells. The donors d0 and d1 are in all; the donors of three samples have no name.

    The third study has a sample without a name, too, of cells of type B.
    """
    rng = np.random.default_rng(3)
    path = tmp_path_factory.mktemp("errors") / "a.duckdb"
    donors = {"s0": "d0", "s1": "d1", "s2": None, "s3": "d0", "s4": "Not_given", "s5": "pooled", "unknown": None}
    with new_atlas(path, GENES) as atlas:
        for study in ("one", "two", "three"):
            scores = rng.gamma(1, 1, (40, 60)) * (rng.random((40, 60)) < 0.7)
            samples = rng.choice(list(donors)[:-1], 40).astype(object)
            types = rng.choice(["A", "B"], 40)
            if study == "three":
                samples[np.flatnonzero(types == "B")[:3]] = "unknown"
            columns = {"sample": samples, "donor": [donors[sample] for sample in samples], "cell_type": types}
            columns["disease"] = [study if study == "three" else "x" if sample < "s3" else "y" for sample in samples]
            write_study(atlas, scores, GENES, study=study, obs=obs_of(40, **columns))
    with sigdb.connect(path) as con:
        yield con


@pytest.mark.parametrize("rule", [{"percentile": 80}, {"against": "cells"}, {"against": "cells", "percentile": 60}])
def test_hits_of_groups_follow_the_rule(con, rule):
    """The hits that `sigdb.hits` calls in samples are the hits of all cells as one group."""
    cells = "cell_type = 'A' AND study <> 'two'"
    (group,) = sigdb.group_scores(con, SIGNATURE, by="in_vivo", cells=cells, **rule).table.to_pylist()
    samples = sigdb.hits(con, SIGNATURE, by="study", cells=cells, **rule).all_samples.to_pylist()
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


def unit_of(study, donor, sample):
    """The unit of a cell: its donor, or its sample if the donor has no name; None without a name of either."""
    if donor is not None and not names_none("donor", donor):
        return study, "donor", donor
    return None if names_none("sample", sample) else (study, "sample", sample)


def clustered_error(values, units):
    """The cluster-robust standard error of a mean; NaN if it is not known."""
    values, names = np.asarray(values, float), [None if unit is None else repr(unit) for unit in units]
    if None in names or len({unit[0] for unit in units}) > 1 or len({*names}) < 2:
        return np.nan
    _, numbers = np.unique(names, return_inverse=True)
    sums = np.bincount(numbers, values - values.mean())
    return np.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()) / len(values)


@pytest.mark.parametrize("by", ["study", "disease", "donor"])
def test_by_hand(con, by):
    cells = con.execute(
        f"""SELECT c.cell_type, c.{by}, c.study, c.donor, c.sample, h.score, h.z
        FROM cells AS c JOIN signature_hits(?) AS h USING (cell_id)""",
        [SIGNATURE],
    ).fetchall()
    groups = defaultdict(list)
    for cell_type, label, *names, score, z in cells:
        groups[cell_type, label].append((unit_of(*names), score, z))
    found = sigdb.group_scores(con, SIGNATURE, by=by, min_cells=1).table.to_pylist()
    assert len(found) == len(groups)
    for row in found:
        units, *values = zip(*groups[row["cell_type"], row["label"]], strict=True)
        for name, of_cells in zip(("score", "z"), values, strict=True):
            error = np.nan if row[f"{name}_se"] is None else row[f"{name}_se"]
            np.testing.assert_allclose(error, clustered_error(of_cells, units), rtol=1e-9)
            np.testing.assert_allclose(row[name], np.mean(of_cells), rtol=1e-9)
        named = {unit for unit in units if unit is not None}
        assert row["n_units"] == len(named)
        assert row["n_donors"] == len([kind for _, kind, _ in named if kind == "donor"])
    known = [row["score_se"] is not None for row in found]
    assert any(known) is (by != "donor")
    assert not all(known)


def test_names_of_nobody_are_found_as_when_a_study_is_added(tmp_path):
    """Each donor, and each sample, is one cell, so the group has as many donors and units as there are names."""
    words = sorted({*chain(*NAMES_NONE.values())})
    names = [f"{start}{word}{end}" for word in words for start, end in (("", ""), (" \t", "\n"), ("_", ""), ("x", ""))]
    names += [word.upper().replace(" ", "_") for word in words]
    n = len(names)
    obs = obs_of(
        2 * n, donor=[*names, *[None] * n], sample=[*[f"s{i}" for i in range(n)], *names], cell_type=["A"] * 2 * n
    )
    with new_atlas(tmp_path / "a.duckdb", GENES) as atlas:
        write_study(atlas, np.random.default_rng(0).gamma(1, 1, (2 * n, 60)), GENES, obs=obs)
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        (row,) = sigdb.group_scores(con, SIGNATURE, by="study", min_cells=1).table.to_pylist()
    donors = {name for name in names if not names_none("donor", name)}
    samples = {name for name in names if not names_none("sample", name)}
    n_unnamed = sum(names_none("donor", name) for name in names)
    assert row["n_donors"] == len(donors) < n
    assert row["n_units"] == len(donors) + n_unnamed + len(samples) < 2 * n
    assert row["score_se"] is None


@pytest.mark.slow
def test_intervals_of_the_mean_hold_the_true_mean():
    """Of 16 donors with 10 to 80 cells; donors differ as much as the cells of one donor do."""
    rng = np.random.default_rng(7)
    inside = []
    for _ in range(4000):
        sizes = rng.integers(10, 81, 16)
        donors = np.repeat(np.arange(16), sizes)
        values = rng.normal(size=16)[donors] + rng.normal(size=len(donors))
        error = clustered_error(values, [("study", donor) for donor in donors])
        inside.append(abs(values.mean()) < t.ppf(0.975, 15) * error)
    assert 0.92 < np.mean(inside) < 0.97
