"""`rank_signatures` against numpy, against random signatures, and where it must refuse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, rankdata

import sigdb
from sigdb import Signature
from sigdb.errors import QueryError
from tests.support.toy import new_atlas, obs_of, write_study

N_GENES = 260
GENES = tuple(f"G{n}" for n in range(N_GENES))
TYPES = ["T"] * 30 + ["B"] * 40 + ["M"] * 30
SPECIAL = tuple(GENES[3::26])
SIZES = {3: 200, 10: 200, 40: 200}


def attributions(rng, special):
    """100 cells: levels of genes differ, cells share a hidden factor, and some genes are raised in the T cells."""
    levels = rng.gamma(0.7, 4, N_GENES)
    factor = np.outer(rng.normal(0, 0.4, len(TYPES)), rng.normal(0, 1, N_GENES))
    values = rng.gamma(0.5, levels, (len(TYPES), N_GENES)) * np.exp(factor)
    values[:30, special] *= 3
    values[values < 0.3] = 0
    return (values / values.sum(axis=1, keepdims=True) * 1000).round(3)


def library(rng):
    random = [
        Signature(f"random {size} {number}", tuple(rng.choice(GENES, size, replace=False)))
        for size, count in SIZES.items()
        for number in range(count)
    ]
    by_hand = [
        Signature("special", SPECIAL),
        Signature("weighted", SPECIAL[:3] + GENES[:2], (1.0, 2.0, 0.5, -1.0, -3.0)),
        Signature("partly known", (*SPECIAL[:2], "NOSUCH")),
        Signature("not known", ("NOSUCH",)),
        Signature("of no study", ("G259",)),
        Signature("two weights", ("G1", "g1", "G2"), (1.0, 2.0, 1.0)),
        Signature("twice", ("G1", "g1", "G2")),
    ]
    return random + by_hand


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    """Two studies with T, B and M cells; the second did not measure every fifth gene. A third has T cells only."""
    rng = np.random.default_rng(7)
    special = [GENES.index(gene) for gene in SPECIAL]
    path = tmp_path_factory.mktemp("ranks") / "a.duckdb"
    with new_atlas(path, GENES) as atlas:
        for name, measured in {"one": range(259), "two": [n for n in range(259) if n % 5]}.items():
            scores = attributions(rng, special)
            scores[:, [n for n in range(N_GENES) if n not in measured]] = 0
            obs = obs_of(len(TYPES), cell_type=TYPES, sample=[f"{name} {n % 3}" for n in range(len(TYPES))])
            write_study(atlas, scores, GENES, study=name, obs=obs, measured=measured)
        three = attributions(rng, [])[:30]
        write_study(atlas, three, GENES, study="three", obs=obs_of(30, cell_type=["T"] * 30), measured=range(259))
        atlas.add_signatures(library(rng))
    with sigdb.connect(path) as con:
        yield con


@pytest.fixture(scope="module")
def found(con):
    return sigdb.rank_signatures(con, cells="cell_type = 'T'")


def ranked(found):
    return {row["signature"]: row for row in found.table.to_pylist()}


def mean_attributions(con, study):
    """(n_genes,) for the T cells and for the others of a study, from the long table."""
    rows = con.execute(
        """SELECT c.cell_type = 'T', substr(g.symbol, 2)::INT, abs(a.score) FROM sigdb_data.attributions AS a
        JOIN genes AS g USING (gene_id) JOIN cells AS c USING (cell_id) WHERE c.study = ?""",
        [study],
    ).fetchall()
    sums = np.zeros((2, N_GENES))
    for is_chosen, gene, value in rows:
        sums[int(is_chosen), gene] += value
    return sums[1] / 30, sums[0] / 70


def shares_of(con, study_id, raised):
    """The part of its 51 control genes that each gene exceeds, by scipy; NaN where the study did not measure it."""
    order = [
        int(symbol[1:])
        for (symbol,) in con.execute(
            """SELECT g.symbol FROM sigdb_data.gene_positions(NULL) AS p JOIN genes AS g ON p._gene = g.gene_id
            WHERE p._study = ? ORDER BY p._position""",
            [study_id],
        ).fetchall()
    ]
    shares = np.full(N_GENES, np.nan)
    for place, gene in enumerate(order):
        first = min(max(place - 25, 0), len(order) - 51)
        controls = order[first : first + 51]
        shares[gene] = (rankdata(raised[controls])[controls.index(gene)] - 0.5) / 51
    return shares


def test_against_numpy(con, found):
    means = [mean_attributions(con, study) for study in ("one", "two")]
    shares = np.array([shares_of(con, number, np.round(a - b, 9)) for number, (a, b) in enumerate(means)])
    n_studies = np.isfinite(shares).sum(axis=0)
    share = np.nanmean(np.where(n_studies > 0, shares, 0), axis=0)
    mean, variance = np.zeros(N_GENES), np.zeros(N_GENES)
    for n in (1, 2):
        mean[n_studies == n], variance[n_studies == n] = share[n_studies == n].mean(), share[n_studies == n].var()
    chosen, others = (np.mean([side[i] for side in means], axis=0) for i in (0, 1))
    rows = ranked(found)
    for signature in library(np.random.default_rng(7)):
        if not signature.name.startswith(("special", "weighted", "partly")):
            continue
        known = [
            (GENES.index(gene), w) for gene, w in zip(signature.genes, signature.weights, strict=True) if gene in GENES
        ]
        genes, weights = np.array([gene for gene, _ in known]), np.array([w for _, w in known])
        total = np.abs(weights).sum()
        row = rows[signature.name]
        z = weights @ (share - mean)[genes] / np.sqrt(weights**2 @ variance[genes])
        np.testing.assert_allclose(row["z"], z)
        np.testing.assert_allclose(row["above_controls"], weights @ share[genes] / total)
        np.testing.assert_allclose(
            [row["score"], row["score_others"]], [weights @ side[genes] / total for side in (chosen, others)]
        )
        np.testing.assert_allclose(row["p_value"], norm.sf(z))
        assert (row["n_asked"], row["n_genes"], row["n_measured"]) == (len(signature.genes), *[len(known)] * 2)


def test_the_special_signature_is_first(found):
    assert found.column("signature")[0] == "special"
    assert found.column("q_value")[0] < 0.01
    assert found.column("z") == sorted(found.column("z"), reverse=True)


@pytest.mark.parametrize("size", SIZES)
def test_random_signatures_have_uniform_p(found, size):
    """5 % of random signatures have p below 0.05: between 1 and 11 % of 200, four standard errors."""
    p = np.array([row["p_value"] for name, row in ranked(found).items() if name.startswith(f"random {size} ")])
    assert len(p) > 150
    assert 0.01 <= np.mean(p < 0.05) <= 0.11
    assert 0.35 <= np.mean(p < 0.5) <= 0.65
    assert np.mean(p < 0.001) <= 0.015


def test_what_is_left_out_is_said(found):
    rows = ranked(found)
    assert not {"not known", "of no study", "two weights"} & rows.keys()
    notes = " ".join(found.notes)
    assert "Left out 3 signatures: 2 (none of their genes was measured), 1 (a gene has two weights)." in notes
    assert "Left out 1 study (fewer than 10 others)." in notes
    assert "60 cells of 6 samples, beside 140 other cells of the same studies: one, two." in notes
    assert (rows["twice"]["n_asked"], rows["twice"]["n_genes"]) == (3, 2)
    assert {(row["n_cells"], row["n_samples"], row["n_studies"]) for row in rows.values()} == {(60, 6, 2)}


def test_the_sql_runs_in_any_client(con, found):
    sides, ranks = found.sql.split(";\n\n")
    assert con.sql(sides).fetchall()
    assert con.sql(ranks).fetchall()[0][0] == "special"


REFUSED = {
    "no cells": ({"cells": "cell_type = 'X'"}, "No cell of this run fulfils the condition: cell_type = 'X'"),
    "all cells": ({"cells": "true"}, r"No study has 10 cells .*3 studies \(fewer than 10 others\).*`min_cells`"),
    "few cells": ({"cells": "cell_type = 'T'", "min_cells": 50}, "No study has 50 cells"),
    "another column": ({"cells": "n_counts > 5"}, "The cube has no column n_counts"),
    "no condition": ({"cells": "cell_type ="}, "This is not a SQL condition"),
    "another run": ({"cells": "cell_type = 'T'", "run": "no"}, "There is no run 'no'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(con, case):
    options, said = REFUSED[case]
    with pytest.raises(QueryError, match=said):
        sigdb.rank_signatures(con, **options)


def test_an_empty_library(tmp_path):
    with new_atlas(tmp_path / "a.duckdb", GENES) as atlas:
        write_study(atlas, np.ones((20, N_GENES)), GENES, obs=obs_of(20, cell_type=["T", "B"] * 10))
        with pytest.raises(QueryError, match="has no signature"):
            sigdb.rank_signatures(atlas.con, cells="cell_type = 'T'")
