"""Hit rates of donors, donors behind samples, and genes of one study: comparisons beyond one score per donor."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

import sigdb
from sigdb.errors import QueryError
from sigdb.findings.statistics import independent_columns
from tests.support.lakes import assert_same
from tests.support.toy import new_atlas, obs_of, write_study

# Cells of each donor: their scores. The cut-off of the tests is 5.
FLU = {"f0": [9, 9, 1, 1], "f1": [9, 9, 9, 1, 1], "f2": [9, 1, 1, 1], "f3": [6, 6, 1, 1, 1, 1]}
NORMAL = {"n0": [1, 1, 1, 1], "n1": [6, 1, 1, 1, 1, 1, 1, 1], "n2": [1, 1, 1, 1, 1], "n3": [9, 1, 1, 1, 1]}
RULE = {"of": "hits", "cutoff": 5, "within": None, "min_cells": 1}


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    """Study rates: the donors above, each one sample. Study samples: two donors, six samples each."""
    path = tmp_path_factory.mktemp("hits") / "hits.duckdb"
    with new_atlas(path) as atlas:
        cells = [
            (donor, disease, x) for disease, of in (("flu", FLU), ("normal", NORMAL)) for donor in of for x in of[donor]
        ]
        donors, diseases, scores = (list(each) for each in zip(*cells, strict=True))
        obs = obs_of(len(cells), sample=donors, donor=donors, disease=diseases, cell_type=["T cell"] * len(cells))
        write_study(atlas, np.column_stack([scores, np.ones(len(cells))]), ["CD3E", "LYZ"], study="rates", obs=obs)
        rng = np.random.default_rng(0)
        samples = [f"s{number}" for number in range(24)]
        donors = [f"d{number // 3}" for number in range(24)]
        for study, names in (("samples", ["one"] * 12 + ["two"] * 12), ("repeats", donors)):
            person = {name: rng.normal() for name in names}
            scores = np.array([9 + person[name] + rng.normal() * 0.3 for name in names])
            obs = obs_of(24, sample=samples, donor=names, tissue=["blood"] * 12 + ["skin"] * 12, cell_type=["T"] * 24)
            write_study(atlas, np.column_stack([scores, np.ones(24)]), ["CD3E", "LYZ"], study=study, obs=obs)
    with sigdb.connect(path) as con:
        yield con


def rates(of):
    return [float(np.mean(np.array(scores) > 5)) for scores in of.values()]


def test_hit_rates_of_donors_are_compared_by_welch_s_test(con):
    found = sigdb.compare(con, ["CD3E"], **RULE)
    (row,) = found.table.to_pylist()
    expected = stats.ttest_ind(rates(FLU), rates(NORMAL), equal_var=False)
    assert (row["test"], row["p_value"]) == ("Welch t", pytest.approx(expected.pvalue))
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(expected.confidence_interval())
    assert (row["mean_group"], row["mean_reference"]) == pytest.approx((np.mean(rates(FLU)), np.mean(rates(NORMAL))))
    units = {row["unit"]: row for row in found.units["genes"].table.to_pylist() if row["study"] == "rates"}
    assert {name: (row["n_hits"], row["n_cells"]) for name, row in units.items()} == {
        "f0": (2, 4),
        "f1": (3, 5),
        "f2": (1, 4),
        "f3": (2, 6),
        "n0": (0, 4),
        "n1": (1, 8),
        "n2": (0, 5),
        "n3": (1, 5),
    }
    assert [row["hit_rate"] for row in units.values()] == pytest.approx(rates(FLU) + rates(NORMAL))
    table = found.units["genes"].table
    assert_same(con.execute(found.sql).fetchall(), [tuple(row.values()) for row in table.to_pylist()])
    assert found.notes[0] == "A hit is above a score of 5."
    low, high = (100 * each for each in expected.confidence_interval())
    assert found.notes[1] == (
        "rates: the mean donor of flu has 42.1% hits, of normal 8.1%: a difference of +34.0 points "
        f"(95 % interval {low:+.1f} to {high:+.1f})."
    )


def test_a_condition_on_detected_genes_is_not_one_on_the_genes_of_a_score(con):
    """The cube has no detected genes of cells, so mean scores refuse the condition."""
    with pytest.raises(QueryError):
        sigdb.compare(con, ["CD3E"], of="score", within=None, min_cells=1, cells="n_genes < 5000")
    with pytest.raises(QueryError):
        sigdb.group_scores(con, ["CD3E"], calibrated=False, cells="n_genes < 5000")
    assert sigdb.group_scores(con, ["CD3E"], cells="n_genes < 5000").table.num_rows > 0


def test_the_notes_name_the_unit(con):
    found = sigdb.compare(con, ["CD3E"], **{**RULE, "unit": "sample"})
    assert found.notes[1].startswith("rates: the mean sample of flu has 42.1% hits, of normal 8.1%")


RULES = {
    "quantile": {"quantile": 0.6},
    "sd": {"sd": 0.5},
    "below": {"cutoff": 5, "below": True},
}


@pytest.mark.parametrize("name", RULES)
def test_a_hit_is_what_it_is_for_hits(con, name):
    """One sample a donor, so the rates of samples are those of donors. The cut-off comes from the same population."""
    population = {"cells": "study = 'rates' AND n_counts > 0", "min_cells": 1}
    samples = sigdb.hits(con, ["CD3E"], **population, **RULES[name])
    found = sigdb.compare(con, ["CD3E"], of="hits", within=None, **population, **RULES[name])
    units = found.units["genes"].table.to_pylist()
    expected = {row["sample"]: row["hit_rate"] for row in samples.all_samples.to_pylist()}
    assert {row["unit"]: row["hit_rate"] for row in units} == expected
    assert found.notes[0] == f"A hit is {samples.rule}."


REFUSED = {
    "another measure": ({"of": "hit"}, r"`of` must be 'z', 'score' or 'hits', not 'hit'. Did you mean 'hits'\?"),
    "a cut-off of scores": ({"percentile": 90}, "`percentile` says what a hit is. Use it with `of='hits'`"),
    "below of scores": ({"below": True}, "`below` says what a hit is"),
    "controls of scores": ({"of": "score", "against": "cells"}, "`against` says what z and hits compare a cell with"),
    "two cut-offs": ({"of": "hits", "sd": 1, "cutoff": 2}, "A hit has one cut-off, but 2 are given: `cutoff`, `sd`"),
    "hits of cells": ({"of": "hits", "cells_as_replicates": True}, "A cell has no hit rate"),
    "no population": ({"of": "hits", "cells": "donor = 'nobody'"}, "No cell has donor 'nobody'"),
    "no percentile": ({"of": "hits", "percentile": 150}, "`percentile` must be from 0 to 100, not 150"),
    "no such column": ({"of": "hits", "cells": "donr = 'f0'"}, "donr"),
    "coverage": ({"of": "hits", "min_coverage": 7}, "min_coverage"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_hit_rates_that_make_no_sense_are_refused(con, case):
    options, message = REFUSED[case]
    with pytest.raises(QueryError, match=message):
        sigdb.compare(con, ["CD3E"], **options)


def overdispersed(rng, n, mean_cells, rate, correlation, columns=4000):
    """Hit rates of n donors: beta-binomial, with numbers of cells that differ from donor to donor."""
    cells = np.maximum(10, rng.lognormal(np.log(mean_cells), 0.8, (n, columns))).astype(int)
    spread = 1 / correlation - 1
    return rng.binomial(cells, rng.beta(rate * spread, (1 - rate) * spread, (n, columns))) / cells


@pytest.mark.parametrize("mean_cells", [(100, 100), (25, 600)])
@pytest.mark.parametrize("correlation", [0.02, 0.1])
def test_rates_keep_their_error_rate_if_one_group_has_fewer_cells(mean_cells, correlation):
    """The empirical logit, tried as well, rejected in 22 % to 26 % of cases with 25 and 600 cells a donor."""
    rng = np.random.default_rng(1)
    group, reference = (overdispersed(rng, 10, cells, 0.05, correlation) for cells in mean_cells)
    assert np.mean(independent_columns(group, reference)["p_value"] < 0.05) < 0.07


def test_rates_have_power():
    rng = np.random.default_rng(2)
    group, reference = (overdispersed(rng, 10, 100, rate, 0.05) for rate in (0.15, 0.05))
    assert np.mean(independent_columns(group, reference)["p_value"] < 0.05) > 0.75


def test_samples_of_one_donor_are_not_replicates(con):
    design = {"by": "tissue", "reference": "skin", "unit": "sample", "within": None, "min_cells": 1}
    found = sigdb.compare(con, ["CD3E"], cells="study = 'samples'", **design)
    (row,) = found.table.to_pylist()
    assert (row["p_value"], row["n_group"], row["n_donors"]) == (None, 12, 2)
    assert row["note"] == "fewer than 3 donors in a group; samples of one donor are not replicates"
    assert any(note.startswith("Comparisons of more samples than donors: 1.") for note in found.notes)
    with pytest.raises(QueryError, match="samples has 1 donors to compare; 3 are needed"):
        sigdb.gene_compare(con, by="tissue", reference="skin", unit="sample", study="samples", min_cells=1)


def test_samples_of_unknown_donors_count_as_donors_of_their_own(tmp_path):
    obs = obs_of(4, sample=["s0", "s1", "s2", "s3"], tissue=["blood"] * 2 + ["skin"] * 2, cell_type=["T"] * 4)
    with new_atlas(tmp_path / "a.duckdb") as atlas:
        write_study(atlas, np.ones((4, 2)), ["CD3E", "LYZ"], study="few", obs=obs)
    with sigdb.connect(tmp_path / "a.duckdb") as con, pytest.raises(QueryError, match="few has 2 units to compare"):
        sigdb.gene_compare(con, by="tissue", reference="skin", unit="sample", min_cells=1)


def test_samples_of_enough_donors_are_clusters(con):
    """As many samples of every donor: the model of samples equals the means of donors."""
    design = {"by": "tissue", "reference": "skin", "within": None, "min_cells": 1, "cells": "study = 'repeats'"}
    (samples,) = sigdb.compare(con, ["CD3E"], unit="sample", **design).table.to_pylist()
    (donors,) = sigdb.compare(con, ["CD3E"], **design).table.to_pylist()
    assert (samples["test"], samples["n_group"], samples["n_donors"]) == ("linear model", 12, 8)
    assert (samples["difference"], samples["difference_se"]) == pytest.approx(
        (donors["difference"], donors["difference_se"])
    )


@pytest.fixture(scope="module")
def genes(tmp_path_factory):
    """Three studies of 6 and 6 donors. Genes 0 to 4 differ; the last study did not measure genes 0, 1, 5 and 6."""
    rng, path = np.random.default_rng(3), tmp_path_factory.mktemp("genes") / "genes.duckdb"
    names = [f"TOYGENE{number}" for number in range(40)]
    with new_atlas(path, names) as atlas:
        for study in ("a", "b", "c"):
            scores = np.abs(5 + rng.normal(size=(12, 40)))
            scores[:6, :5] += 4
            if study != "a":
                scores[:, [0, 5]] = 0
            if study == "c":
                scores[:, [1, 6]] = 0
            donors = [f"d{number}" for number in range(12)]
            obs = obs_of(12, sample=donors, donor=donors, disease=["flu"] * 6 + ["normal"] * 6, cell_type=["T"] * 12)
            write_study(atlas, scores, names, study=study, obs=obs)
    with sigdb.connect(path) as con:
        yield con


def test_genes_of_one_study_are_findings_with_the_others(genes):
    found = sigdb.gene_compare(genes, by="disease", reference="normal", min_cells=1)
    findings = {row["gene"]: row for row in found.findings.to_pylist()}
    assert len(findings) == 40
    assert {gene: row["n_studies"] for gene, row in findings.items() if row["n_studies"] < 3} == {
        "TOYGENE0": 1,
        "TOYGENE5": 1,
        "TOYGENE1": 2,
        "TOYGENE6": 2,
    }
    assert (findings["TOYGENE0"]["study"], findings["TOYGENE0"]["test"]) == ("a", "Welch t")
    assert (findings["TOYGENE2"]["study"], findings["TOYGENE2"]["test"]) == (None, "one model of all studies")
    expected = multipletests([row["p_value"] for row in findings.values()], method="fdr_bh")[1]
    assert [row["q_value"] for row in findings.values()] == pytest.approx(expected)
    assert {gene for gene, row in findings.items() if row["q_value"] < 0.05} >= {f"TOYGENE{n}" for n in range(5)}
    assert [row["p_value"] for row in findings.values()] == sorted(row["p_value"] for row in findings.values())


def test_genes_equal_the_comparison_of_each_gene(genes):
    found = sigdb.gene_compare(genes, by="disease", reference="normal", min_cells=1)
    for gene in ("TOYGENE1", "TOYGENE7"):
        rows = [row for row in found.table.to_pylist() if row["gene"] == gene]
        alone = sigdb.compare(genes, [gene], of="score", within=None, min_cells=1).table.to_pylist()
        expected = {(row["study"], row["test"]): row["p_value"] for row in alone if row["p_value"] is not None}
        assert {(row["study"], row["test"]): row["p_value"] for row in rows} == pytest.approx(expected)


def test_rates_of_several_studies_are_put_into_words(genes):
    found = sigdb.compare(genes, ["TOYGENE2"], of="hits", percentile=60, within=None, min_cells=1)
    (row,) = found.findings.to_pylist()
    points = [f"{100 * row[name]:+.1f}" for name in ("difference", "difference_low", "difference_high")]
    interval = f"{points[0]} points (95 % interval {points[1]} to {points[2]})"
    assert found.notes[1] == f"within {row['n_studies']} studies, flu against normal: a difference of {interval}."
    assert row["n_studies"] > 1
    assert points[1].startswith("+")
