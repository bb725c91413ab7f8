"""Comparisons of donors, against direct calls of scipy and statsmodels with the numbers in this file."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests

import sigdb
from sigdb.errors import QueryError
from tests.support.lakes import assert_same
from tests.support.toy import new_atlas, obs_of, write_study

FLU = {"one": [5.0, 7.0, 6.5, 9.0], "two": [4.0, 8.0, 6.0]}
NORMAL = {"one": [2.0, 3.5, 1.0, 4.0, 2.5], "two": [3.0, 5.5, 2.0, 4.5]}
TUMOUR, BESIDE = [5.0, 6.0, 4.0, 9.0], [4.0, 5.5, 3.0, 5.0]
AGE = {"one": [30, 40, 50, 61, 35, 44, 52, 58, 47], "two": [31, 42, 53, 60, 25, 36, 49]}


def study_rows(name):
    """Three cells per donor: two T cells, whose mean is the donor's score, and one B cell that scores 0."""
    for disease, scores in (("flu", FLU[name]), ("normal", NORMAL[name])):
        for number, score in enumerate(scores):
            for cell_type, value in (("T cell", score - 1), ("T cell", score + 1), ("B cell", 0.0)):
                yield {"donor": f"{disease}{number}", "disease": disease, "cell_type": cell_type, "value": value}


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    """Studies one and two: donors with FLU and NORMAL scores. Study pairs: donors with tumour and adjacent tissue."""
    path = tmp_path_factory.mktemp("compare") / "compare.duckdb"
    with new_atlas(path) as atlas:
        for name in ("one", "two"):
            rows = list(study_rows(name))
            columns = {key: [row[key] for row in rows] for key in ("donor", "disease", "cell_type")}
            ages = [age for age in AGE[name] for _ in range(3)]
            obs = obs_of(len(rows), sample=columns["donor"], **columns, age=ages)
            scores = np.column_stack([[row["value"] for row in rows], np.ones(len(rows))])
            write_study(atlas, scores, ["CD3E", "LYZ"], study=name, obs=obs)
        donors = [f"d{n}" for n in range(4)]
        obs = obs_of(
            10,
            sample=[f"{d}{s}" for s in "tn" for d in donors] + ["solo", "nobody"],
            donor=donors * 2 + ["d9", None],
            disease=["cancer"] * 10,
            tissue=["tumour"] * 4 + ["normal adjacent"] * 4 + ["tumour"] * 2,
            cell_type=["T cell"] * 10,
        )
        values = np.array([*TUMOUR, *BESIDE, 3.0, 99.0])
        write_study(atlas, np.column_stack([values, np.ones(10)]), ["CD3E", "LYZ"], study="pairs", obs=obs)
    with sigdb.connect(path) as con:
        yield con


def compare_scores(*arguments, **options):
    """The scores of the donors above are mean scores, not z."""
    return sigdb.compare(*arguments, of="score", **options)


def rows_of(found):
    """Rows by study, within and group; the model of all studies has the study None."""
    rows = [row for row in found.table.to_pylist() if row["study"] or row["is_finding"]]
    return {(row["study"], row["within"], row["group"]): row for row in rows}


def test_each_study_equals_scipy(con):
    found = rows_of(compare_scores(con, ["CD3E"], min_cells=2, cells="cell_type = 'T cell'"))
    for study in ("one", "two"):
        row, group, normal = found[study, "T cell", "flu"], np.array(FLU[study]), np.array(NORMAL[study])
        welch = stats.ttest_ind(group, normal, equal_var=False)
        assert row["p_value"] == pytest.approx(welch.pvalue)
        assert (row["difference_low"], row["difference_high"]) == pytest.approx(welch.confidence_interval())
        assert row["difference"] / row["difference_se"] == pytest.approx(welch.statistic)
        assert row["p_rank"] == pytest.approx(stats.mannwhitneyu(group, normal).pvalue)
        # Delacre et al. 2021: Hedges' g*s and its degrees of freedom; the interval by the noncentral t of Welch's test.
        v, w, n, m = group.var(ddof=1), normal.var(ddof=1), len(group), len(normal)
        free = (n - 1) * (m - 1) * (v + w) ** 2 / ((m - 1) * v**2 + (n - 1) * w**2)
        deviation = np.sqrt((v + w) / 2)
        g = (1 - 3 / (4 * free - 1)) * (group.mean() - normal.mean()) / deviation
        unit = np.sqrt(v / n + w / m) / deviation
        assert (row["hedges_g"], row["g_se"]) == pytest.approx((g, np.sqrt(unit**2 + g**2 / (2 * free))))
        for name, side in (("g_low", 0.975), ("g_high", 0.025)):
            assert stats.nct.cdf(welch.statistic, welch.df, row[name] / unit) == pytest.approx(side, abs=1e-4)
        assert (row["g_low"] > 0) == (row["p_value"] < 0.05)
        assert (row["n_group"], row["n_reference"], row["n_pairs"]) == (len(group), len(normal), 0)
        assert (row["n_donors"], row["n_cells_group"]) == (len(group) + len(normal), 2 * len(group))
        assert (row["mean_group"], row["test"], row["note"]) == (pytest.approx(group.mean()), "Welch t", None)


def combined_rows(found):
    return {row["test"]: row for row in found.table.to_pylist() if row["study"] is None}


def test_all_studies_are_one_model(con):
    found = compare_scores(con, ["CD3E"], min_cells=2, cells="cell_type = 'T cell'")
    whole = combined_rows(found)["one model of all studies"]
    scores = np.concatenate([[*FLU[study], *NORMAL[study]] for study in ("one", "two")])
    group = np.concatenate([[1] * len(FLU[study]) + [0] * len(NORMAL[study]) for study in ("one", "two")])
    model = sm.OLS(scores, np.column_stack([group, [1] * 9 + [0] * 7, [0] * 9 + [1] * 7])).fit(cov_type="HC2")
    assert (whole["difference"], whole["difference_se"]) == pytest.approx((model.params[0], model.bse[0]))
    assert whole["p_value"] < min(row["p_value"] for row in found.table.to_pylist() if row["study"])
    assert (whole["n_studies"], whole["n_group"], whole["n_donors"], whole["mean_group"]) == (2, 7, 16, None)
    assert found.findings.to_pylist() == [whole]
    assert any("One model of all studies: do the groups differ among the donors" in note for note in found.notes)


def test_units_without_a_partner_are_in_the_model_of_all_studies(con):
    found = compare_scores(
        con, ["CD3E"], by="tissue", reference="normal adjacent", paired_by="donor", within=None, min_cells=1
    )
    (row,) = found.table.to_pylist()
    assert (row["test"], row["n_unpaired"], row["is_finding"]) == ("paired t", 1, True)
    assert found.notes[0].startswith("Units without a partner in the other group: 1.")


def test_the_meta_analysis_is_that_of_statsmodels(con):
    answer = compare_scores(con, ["CD3E"], min_cells=2, cells="cell_type = 'T cell'")
    found, whole = rows_of(answer), combined_rows(answer)["random effects"]
    parts = [found[study, "T cell", "flu"] for study in ("one", "two")]
    effects, variances = (np.array([part[name] for part in parts]) for name in ("hedges_g", "g_se"))
    pooled = combine_effects(effects, variances**2, method_re="iterated").summary_frame()
    error = max(pooled.loc["random effect", "sd_eff"], pooled.loc["random effect wls", "sd_eff"])
    assert (whole["hedges_g"], whole["g_se"]) == pytest.approx((pooled.loc["random effect", "eff"], error))
    assert whole["p_value"] == pytest.approx(2 * stats.t.sf(abs(whole["hedges_g"] / error), 1))
    assert (whole["g_low"], whole["g_high"]) == pytest.approx(stats.t.interval(0.95, 1, whole["hedges_g"], error))
    assert (whole["n_studies"], whole["n_group"], whole["n_donors"], whole["test"]) == (2, 7, 16, "random effects")
    assert min(part["difference"] for part in parts) <= whole["difference"] <= max(part["difference"] for part in parts)
    assert (whole["mean_group"], whole["n_genes"]) == (None, None)


def test_donors_on_both_sides_are_paired(con):
    found = compare_scores(con, ["CD3E"], by="tissue", reference="normal adjacent", paired_by="donor", min_cells=1)
    (row,) = found.table.to_pylist()
    expected = stats.ttest_rel(TUMOUR, BESIDE)
    assert (row["test"], row["p_value"]) == ("paired t", pytest.approx(expected.pvalue))
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(expected.confidence_interval())
    assert row["p_rank"] == pytest.approx(stats.wilcoxon(np.subtract(TUMOUR, BESIDE)).pvalue)
    assert (row["n_pairs"], row["n_unpaired"], row["n_donors"], row["n_cells_group"]) == (4, 1, 4, 4)
    # Cousineau 2020, with variances that differ: r is the covariance over the mean variance.
    (v, c), (_, w) = np.cov(TUMOUR, BESIDE)
    free = 2 * 3 / (1 + (c / ((v + w) / 2)) ** 2)
    unit = np.std(np.subtract(TUMOUR, BESIDE), ddof=1) / np.sqrt(4 * (v + w) / 2)
    g = (1 - 3 / (4 * free - 1)) * np.subtract(TUMOUR, BESIDE).mean() / np.sqrt((v + w) / 2)
    assert (row["hedges_g"], row["g_se"]) == pytest.approx((g, np.sqrt(unit**2 + g**2 / (2 * free))))
    assert found.left_out == {"no tissue": 32, "no donor": 1}


def test_covariates_make_a_linear_model(con):
    found = rows_of(compare_scores(con, ["CD3E"], min_cells=2, cells="cell_type = 'T cell'", covariates=["age"]))
    row, scores = found["one", "T cell", "flu"], np.array(FLU["one"] + NORMAL["one"])
    design = sm.add_constant(np.column_stack([[1] * 4 + [0] * 5, AGE["one"]]))
    model = sm.OLS(scores, design).fit(cov_type="HC2")
    assert (row["difference"], row["difference_se"]) == pytest.approx((model.params[1], model.bse[1]))
    assert (row["test"], row["note"]) == ("linear model", None)
    (whole,) = [row for row in found.values() if row["study"] is None and row["is_finding"]]
    assert (whole["test"], whole["n_studies"]) == ("one model of all studies", 2)


def test_q_values_are_over_the_findings_of_all_signatures(con):
    found = compare_scores(con, {"T": ["CD3E"], "both": ["CD3E", "LYZ"]}, within=None, min_cells=3)
    rows = found.table.to_pylist()
    families = {
        "findings": [row for row in rows if row["is_finding"]],
        "studies": [row for row in rows if row["study"]],
        "meta-analyses": [row for row in rows if row["test"] == "random effects"],
    }
    assert {name: len(each) for name, each in families.items()} == {"findings": 2, "studies": 4, "meta-analyses": 2}
    for each in families.values():
        assert {row["signature"] for row in each} == {"T", "both"}
        expected = multipletests([row["p_value"] for row in each], method="fdr_bh")[1]
        assert [row["q_value"] for row in each] == pytest.approx(expected)


def test_groups_that_are_too_small_are_shown_and_not_tested(con):
    found = rows_of(compare_scores(con, ["CD3E"], min_cells=2, min_units=4))
    assert found["two", "T cell", "flu"]["note"] == "fewer than 4 units in a group"
    assert (found["two", "T cell", "flu"]["n_group"], found["two", "T cell", "flu"]["p_value"]) == (3, None)
    assert (None, "T cell", "flu") not in found
    constant = rows_of(compare_scores(con, ["LYZ"], min_cells=2))["one", "T cell", "flu"]
    assert (constant["note"], constant["difference"], constant["p_value"]) == ("the scores do not vary", 0.0, None)


def test_the_statement_it_shows_gives_the_units(con):
    found = compare_scores(con, ["CD3E"], within=None, min_cells=1)
    units = found.units["genes"]
    assert found.sql == units.sql
    assert_same(con.execute(units.sql).fetchall(), [tuple(row.values()) for row in units.table.to_pylist()])


REFUSED = {
    "cells as replicates": ({"unit": "cell"}, "they are not replicates"),
    "donors on both sides": ({"by": "tissue", "reference": "normal adjacent"}, "4 donors of pairs have cells in both"),
    "no reference": ({"reference": "healthy"}, r"No donor has disease 'healthy' \(`reference`\). There are: "),
    "no such column": ({"by": "age"}, "The cube has no column age"),
    "within itself": ({"within": "disease"}, "cannot be compared within disease"),
    "no covariate": ({"covariates": ["height"]}, "cells has no column height"),
    "a covariate of several values": ({"covariates": ["barcode"]}, "barcode has several values within a unit"),
    "a statement": ({"cells": "true; DROP TABLE x"}, "not one SQL condition"),
    "a column of cells": ({"cells": "age > 3"}, "age"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_misleading_comparisons_are_refused(con, case):
    options, message = REFUSED[case]
    with pytest.raises(QueryError, match=message):
        compare_scores(con, ["CD3E"], **{"min_cells": 1, **options})


def test_the_group_cannot_be_a_covariate(con):
    found = compare_scores(con, ["CD3E"], min_cells=2, within=None, covariates=["disease"]).table.to_pylist()
    assert {row["note"] for row in found} == {"the covariates cannot be told apart from the groups"}


def test_cells_are_replicates_on_request(con):
    found = rows_of(compare_scores(con, ["CD3E"], cells="cell_type = 'T cell'", cells_as_replicates=True))
    row = found["two", "T cell", "flu"]
    cells = [[score + side for score in scores["two"] for side in (-1, 1)] for scores in (FLU, NORMAL)]
    assert (row["n_group"], row["p_value"]) == (6, pytest.approx(stats.ttest_ind(*cells, equal_var=False).pvalue))


def test_every_gene_equals_scipy(con):
    found = sigdb.gene_compare(
        con, by="disease", reference="normal", study="one", cells="cell_type = 'T cell'", min_cells=2
    )
    rows = {row["gene"]: row for row in found.table.to_pylist()}
    welch = stats.ttest_ind(FLU["one"], NORMAL["one"], equal_var=False)
    assert rows["CD3E"]["p_value"] == rows["CD3E"]["q_value"] == pytest.approx(welch.pvalue)
    assert (rows["CD3E"]["mean_group"], rows["CD3E"]["n_nonzero"]) == (pytest.approx(np.mean(FLU["one"])), 17)
    assert (rows["LYZ"]["difference"], rows["LYZ"]["p_value"], rows["LYZ"]["q_value"]) == (0, None, None)
    assert found.studies == (sigdb.GeneStudy("one", "Welch t", 4, 5, 0, 18, 0),)
    assert (found.group, [row["gene"] for row in found.findings.to_pylist()]) == ("flu", ["CD3E"])
    paired = sigdb.gene_compare(
        con, by="tissue", reference="normal adjacent", paired_by="donor", min_cells=1, min_nonzero=1
    )
    (row, _) = paired.table.to_pylist()
    (study,) = paired.studies
    assert (study.test, row["p_value"]) == ("paired t", pytest.approx(stats.ttest_rel(TUMOUR, BESIDE).pvalue))


def test_a_gene_of_several_studies_is_combined_like_a_signature_of_that_gene(con):
    design = {"by": "disease", "reference": "normal", "cells": "cell_type = 'T cell'", "min_cells": 2}
    found = sigdb.gene_compare(con, **design, min_nonzero=1)
    assert [(each.study, each.n_group, each.n_reference) for each in found.studies] == [("one", 4, 5), ("two", 3, 4)]
    genes = {(row["study"], row["test"], row["gene"]): row for row in found.table.to_pylist()}
    signature = compare_scores(con, ["CD3E"], within=None, **design).table.to_pylist()
    names = ["difference", "difference_low", "difference_high", "hedges_g", "g_se", "g_low", "p_value", "q_value", "i2"]
    assert len(signature) == 4
    for wanted in signature:
        row = genes[wanted["study"], wanted["test"], "CD3E"]
        assert [row[name] for name in names] == pytest.approx([wanted[name] for name in names], nan_ok=True)
        assert (row["n_studies"], row["is_finding"]) == (wanted["n_studies"], wanted["is_finding"])
    n_nonzero = {test: row["n_nonzero"] for (study, test, gene), row in genes.items() if gene == "CD3E" and not study}
    each = sum(genes[study, "Welch t", "CD3E"]["n_nonzero"] for study in ("one", "two"))
    assert n_nonzero == {"one model of all studies": each, "random effects": each}
    assert {study for study, _, gene in genes if gene == "LYZ"} == {"one", "two"}  # it does not vary
    assert [row["gene"] for row in found.findings.to_pylist()] == ["CD3E"]


def test_a_study_that_is_too_small_for_its_genes_is_counted(con):
    found = sigdb.gene_compare(con, by="disease", reference="normal", min_cells=2, min_units=4)
    assert [each.study for each in found.studies] == ["one"]
    assert found.left_out["in two, which has too few"] == 7
    assert set(found.table["study"].to_pylist()) == {"one"}


GENE_ERRORS = {
    "several groups": (
        {"by": "sample", "reference": "flu0", "study": "two"},
        "6 groups can be compared with flu0: flu1 in two, flu2 in two, .*Choose one with `group`",
    ),
    "all too few": (
        {"by": "disease", "reference": "normal", "min_units": 5},
        "one has 4 units, two has 3 units to compare; 5 are needed",
    ),
    "no group": (
        {"by": "disease", "reference": "normal", "group": "cold"},
        r"No donor has disease 'cold' \(`group`\). There are: ",
    ),
    "not paired": ({"by": "tissue", "reference": "normal adjacent"}, "paired_by='donor'"),
    "too few": (
        {"by": "disease", "reference": "normal", "study": "two", "min_units": 4},
        "two has 3 units to compare; 4",
    ),
}


@pytest.mark.parametrize("case", GENE_ERRORS)
def test_genes_of_unclear_groups_are_not_compared(con, case):
    options, message = GENE_ERRORS[case]
    with pytest.raises(QueryError, match=message):
        sigdb.gene_compare(con, min_cells=1, **options)


def test_z_of_a_donor_is_the_mean_z_of_its_cells(con):
    found = sigdb.compare(con, ["CD3E"], min_cells=1)
    (study, donor, z) = con.execute(
        """SELECT study, donor, avg(z) FROM signature_hits(['CD3E']) JOIN cells USING (cell_id)
        WHERE cell_type = 'T cell' AND donor = 'flu1' AND study = 'one' GROUP BY ALL"""
    ).fetchone()
    units = [row for row in found.units["genes"].table.to_pylist() if row["within"] == "T cell"]
    assert [row["z"] for row in units if (row["study"], row["unit"]) == (study, donor)] == [pytest.approx(z)]
    rows = [row for row in found.table.to_pylist() if (row["study"], row["within"]) == ("one", "T cell")]
    values = {d: [r["z"] for r in units if (r["study"], r["group"]) == ("one", d)] for d in ("flu", "normal")}
    expected = stats.ttest_ind(values["flu"], values["normal"], equal_var=False)
    assert [row["p_value"] for row in rows] == [pytest.approx(expected.pvalue)]
    assert found.of == "z"
    assert found.notes[0].startswith("Means are of z: standard deviations above matched control genes")


def test_a_study_that_measured_no_gene_is_left_out_and_counted(con, tmp_path):
    path = tmp_path / "unmeasured.duckdb"
    donors, disease = ["a", "b", "c", "d", "e", "f"], ["flu"] * 3 + ["normal"] * 3
    with new_atlas(path) as atlas:
        for study, gene in (("with", 0), ("without", 1)):
            scores = np.zeros((6, 2))
            scores[:, gene] = [5, 6, 8, 1, 2, 2.5]
            obs = obs_of(6, sample=donors, donor=donors, disease=disease, cell_type=["T"] * 6)
            write_study(atlas, scores, ["CD3E", "LYZ"], study=study, obs=obs, measured=[gene])
    with sigdb.connect(path) as con:
        found = sigdb.compare(con, ["CD3E"], min_cells=1)
    assert set(found.column("study")) == {"with"}
    assert found.left_out == {"no gene measured": 6}


def test_units_whose_controls_do_not_vary_have_no_z(tmp_path):
    """The only gene has one value in all cells, so the controls have it, too. It was measured."""
    path = tmp_path / "equal.duckdb"
    donors, disease = ["a", "b", "c", "d", "e", "f"], ["flu"] * 3 + ["normal"] * 3
    with new_atlas(path) as atlas:
        obs = obs_of(6, sample=donors, donor=donors, disease=disease, cell_type=["T"] * 6)
        write_study(atlas, np.full((6, 1), 5.0), ["CD3E"], study="equal", obs=obs)
        varied = np.array([[5.0], [6], [8], [1], [2], [2.5]])
        write_study(atlas, varied, ["CD3E"], study="varied", obs=obs)
    with sigdb.connect(path) as con:
        found = sigdb.compare(con, ["CD3E"], min_cells=1)
    assert set(found.column("study")) == {"varied"}
    assert found.left_out == {"the controls do not vary": 6}


def test_differences_in_depth_between_the_groups_are_said(tmp_path):
    """The donors with flu have 50 detected genes a cell, the others 200, in one of two studies."""
    path = tmp_path / "depth.duckdb"
    donors, disease = ["a", "b", "c", "d", "e", "f"], ["flu"] * 3 + ["normal"] * 3
    with new_atlas(path) as atlas:
        for study in ("even", "uneven"):
            scores = np.column_stack([[5, 6, 8, 1, 2, 2.5], np.ones(6)])
            obs = obs_of(6, sample=donors, donor=donors, disease=disease, cell_type=["T"] * 6)
            write_study(atlas, scores, ["CD3E", "LYZ"], study=study, obs=obs)
        atlas.con.execute(
            "UPDATE sigdb_data.cell_data SET n_genes = CASE WHEN cell_id BETWEEN 6 AND 8 THEN 50 ELSE 200 END"
        )
    with sigdb.connect(path) as con:
        found = sigdb.compare(con, ["CD3E"], min_cells=1)
        raw = sigdb.compare(con, ["CD3E"], of="score", min_cells=1)
        even = sigdb.compare(con, ["CD3E"], cells="study = 'even'", min_cells=1)
        population = sigdb.compare(con, ["CD3E"], against="cells", min_cells=1)
        adjusted = sigdb.compare(con, ["CD3E"], covariates=["n_counts"], min_cells=1)
    assert "In 1 of 2 comparisons within a study, the groups differ in depth." in found.notes
    sizes = "the median cell has 50 detected genes in flu (uneven), and 200 in normal (uneven), 4.0 times as many"
    assert any(sizes in note and "`covariates=['n_genes']` adjusts for it" in note for note in found.notes)
    assert any(sizes in note and "A score is a share of what was detected" in note for note in raw.notes)
    assert not any("depth." in note and "differ" in note for note in even.notes)
    assert any(sizes in note and "use `against='controls'`" in note for note in population.notes)
    assert any(sizes in note for note in adjusted.notes)
    assert not any("adjusts for it" in note for note in adjusted.notes)
    (row,) = [row for row in found.table.to_pylist() if row["study"] == "uneven"]
    assert (row["median_detected_group"], row["median_detected_reference"]) == (50, 200)
