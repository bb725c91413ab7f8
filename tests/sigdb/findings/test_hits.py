"""Hits: each cut-off rule against numpy, the ranking by hand, and conditions that must not become statements."""

from __future__ import annotations

import numpy as np
import pytest

import sigdb
from sigdb.errors import QueryError
from tests.support.lakes import assert_same
from tests.support.toy import fingerprint, new_atlas, obs_of, write_study

SAMPLES = ["a1"] * 4 + ["a2"] * 4 + ["b1"] * 4 + ["b2"] * 2
DISEASES = ["flu"] * 8 + ["normal"] * 4 + [None] * 2
SCORES = np.array([1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 9, 2, 3, 3], float)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """sample  disease  scores of CD3E
    a1      flu      1 2 3 4
    a2      flu      5 6 7 8
    b1      normal   1 1 9 2
    b2      NULL     3 3
    """
    path = tmp_path_factory.mktemp("hits") / "hits.duckdb"
    obs = obs_of(14, sample=SAMPLES, disease=DISEASES, cell_type=["T cell", "it's odd"] * 7)
    with new_atlas(path, ["CD3E", "LYZ"]) as atlas:
        write_study(atlas, np.column_stack([SCORES, np.ones(14)]), ["CD3E", "LYZ"], obs=obs)
        atlas.add_signatures([sigdb.Signature("T", ("CD3E",)), sigdb.Signature("W", ("CD3E", "LYZ"), (2.0, -1.0))])
    return path


@pytest.fixture
def con(path):
    with sigdb.connect(path) as con:
        yield con


RULES = {
    "default": ({}, np.percentile(SCORES, 95)),
    "percentile": ({"percentile": 70}, np.percentile(SCORES, 70)),
    "quantile": ({"quantile": 0.3}, np.quantile(SCORES, 0.3)),
    "cutoff": ({"cutoff": 3}, 3.0),
    "mean and sd": ({"sd": 1.5}, SCORES.mean() + 1.5 * SCORES.std(ddof=1)),
    "a negative sd": ({"sd": -0.5}, SCORES.mean() - 0.5 * SCORES.std(ddof=1)),
}


@pytest.mark.slow
@pytest.mark.parametrize("below", [False, True], ids=["above", "below"])
@pytest.mark.parametrize("rule", RULES)
def test_cutoffs_equal_numpy(con, rule, below):
    options, cutoff = RULES[rule]
    found = sigdb.hits(con, "T", against="cells", min_cells=1, min_samples=1, below=below, **options)
    assert found.cutoff == pytest.approx(cutoff, rel=1e-12)
    expected = cutoff > SCORES if below else cutoff < SCORES
    rates = {row["sample"]: row["hit_rate"] for row in found.all_samples.to_pylist()}
    assert rates == {name: expected[np.array(SAMPLES) == name].mean() for name in set(SAMPLES)}


def test_the_ranking_by_hand(con):
    found = sigdb.hits(con, ["CD3E"], cutoff=2, min_cells=3, min_samples=1)
    assert [(row["sample"], row["hit_rate"]) for row in found.samples.to_pylist()] == [
        ("a2", 1),
        ("a1", 0.5),
        ("b1", 0.25),
    ]
    sizes = {"n_genes": 1, "least_measured": 1, "median_counts": 10, "median_detected": 5}
    rates = [{name: row[name] for name in row if name != "mean_z"} for row in found.table.to_pylist()]
    assert rates == [
        {"label": "flu", "n_samples": 2, "mean_rate": 0.75, "median_rate": 0.75, **sizes},
        {"label": "normal", "n_samples": 1, "mean_rate": 0.25, "median_rate": 0.25, **sizes},
    ]
    assert found.left_out == {"too few cells": 1}
    assert sigdb.hits(con, "T", cutoff=2, min_cells=1, min_samples=2).left_out == {"no label": 1, "too few samples": 1}


def test_the_cutoff_comes_from_the_population(con):
    odd = SCORES[1::2]
    found = sigdb.hits(
        con,
        "T",
        cells="cell_type = 'it''s odd' AND n_counts > 0",
        against="cells",
        percentile=50,
        min_cells=2,
        min_samples=1,
    )
    assert found.cutoff == np.percentile(odd, 50)
    assert sum(found.all_samples["n_cells"].to_pylist()) == len(odd)


def test_the_statement_it_shows_gives_the_same_rows(con):
    found = sigdb.hits(con, "W", cells="cell_type <> 'it''s odd' OR disease IS NULL", sd=0, min_cells=1, min_samples=1)
    assert "[2.0, -1.0]" in found.sql
    assert_same(con.execute(found.sql).fetchall(), [tuple(row.values()) for row in found.all_samples.to_pylist()])


REFUSED = {
    "two statements": ({"cells": "true; DROP TABLE x"}, "not one SQL condition"),
    "a statement": ({"cells": "DELETE FROM sigdb_data.genes"}, "not one SQL condition"),
    "a query": ({"cells": "SELECT cell_id FROM cells"}, "not one SQL condition"),
    "a closed bracket": ({"cells": "true) OR (true"}, "not a SQL condition"),
    "a parameter": ({"cells": "cell_type = $genes"}, "no parameters"),
    "nothing": ({"cells": " "}, "not one SQL condition"),
    "no such column": ({"cells": "colour = 'red'"}, '"colour" not found'),
    "no cells": ({"cells": "n_counts < 0"}, "No cell fulfils the condition n_counts < 0"),
    "no such group": (
        {"by": "cell_type"},
        "`by` groups samples, and the cells of a sample differ in cell_type.*`sigdb.group_scores",
    ),
    "two rules": ({"sd": 1, "percentile": 90}, "one cut-off, but 2 are given: `percentile`, `sd`"),
    "quantile": ({"quantile": 95}, "`quantile` must be from 0 to 1, not 95"),
    "against": (
        {"against": "control"},
        "`against` must be 'controls' or 'cells', not 'control'. Did you mean 'controls'",
    ),
    "a quantile as percentile": ({"percentile": 0.95}, r"For the quantile 0.95, use `percentile=95\.0+`\.$"),
    "a quantile near 0": ({"quantile": 0.005}, "Nearly every cell scores above the quantile 0.005"),
    "percentile": ({"percentile": 101}, "`percentile` must be from 0 to 100, not 101"),
    "cutoff": ({"cutoff": float("nan")}, "must be finite numbers, not nan"),
    "coverage": ({"min_coverage": 2}, "`min_coverage` must be from 0 to 1"),
    "weights": ({"weights": [1.0]}, "has weights of its own"),
    "a misspelt parameter": ({"min_cell": 3}, "sigdb.hits has no parameter `min_cell`. Did you mean 'min_cells'"),
    "a misspelt option": ({"mising": "ignore"}, "no parameter `mising`. Did you mean 'missing'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_impossible_requests_are_refused(con, path, case):
    options, message = REFUSED[case]
    before = fingerprint(path)
    with pytest.raises(QueryError, match=message):
        sigdb.hits(con, "T", **options)
    assert fingerprint(path) == before


def test_the_error_of_an_unknown_signature_names_the_known_ones(con):
    with pytest.raises(QueryError, match=r"TT is neither .* Did you mean T \(signature\)\? The library has: T, W"):
        sigdb.hits(con, "TT")


def test_both_cutoffs_in_sql(con):
    with pytest.raises(Exception, match="Both cutoff and sd are given"):
        con.execute("FROM signature_hits(['CD3E'], cutoff := 1, sd := 1)").fetchall()
    assert con.execute("SELECT count(*) FROM signature_hits(['CD3E'], cutoff := 8) WHERE is_hit").fetchall() == [(1,)]


def test_hits_against_controls_do_not_depend_on_the_population(con):
    """z and is_hit of a cell are the same in every population. Against cells, they are not."""
    con.execute("CREATE TEMP VIEW few AS FROM cells WHERE cell_id < 4")

    def ask(options):
        query = (
            f"SELECT cell_id, z, is_hit FROM signature_hits(['CD3E'], percentile := 60, {options}) WHERE cell_id < 4"
        )
        return tuple(zip(*con.execute(f"{query} ORDER BY ALL").fetchall(), strict=True))

    cells, z, hits = ask("against := 'controls'")
    assert cells == (0, 1, 2, 3)
    # The last digit of z depends on the order of a sum.
    everyone = (cells, pytest.approx(z, rel=1e-9), hits)
    assert ask("against := 'controls', cells := 'few'") == everyone
    assert ask("against := 'cells', cells := 'few'") != everyone


def test_z_is_the_distance_that_sd_cuts(con):
    for against in ("controls", "cells"):
        rows = con.execute(
            "SELECT z, is_hit FROM signature_hits(['CD3E'], sd := 0.7, against := ?)", [against]
        ).fetchall()
        assert {is_hit for _, is_hit in rows} == {True, False}
        assert all(is_hit == (z > 0.7) for z, is_hit in rows)


def test_notes_say_how_many_cells_are_hits(con):
    found = sigdb.hits(con, "T", cutoff=2, min_cells=1, min_samples=1)
    share = (SCORES > 2).mean()
    assert found.share == pytest.approx(share)
    assert found.notes[0] == f"A hit is above a score of 2 (2). {share:.1%} of 14 cells are hits."


def test_a_note_explains_why_nothing_is_below_a_cutoff(con):
    """LYZ is 1 in every cell, so no cell is below any percentile."""
    found = sigdb.hits(con, ["LYZ"], against="cells", percentile=30, below=True, min_cells=1, min_samples=1)
    assert found.share == 0
    assert "No score is below the cut-off: too many scores equal the lowest one" in found.notes[0]


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Study full: 2 genes, 400 detected genes. Study panel: CD3E only, 100 detected. Study none: LYZ only, 200."""
    path = tmp_path_factory.mktemp("uneven") / "uneven.duckdb"
    obs = {name: obs_of(4, sample=["x"] * 2 + ["y"] * 2, disease=["flu"] * 4) for name in ("full", "panel", "none")}
    with new_atlas(path, ["CD3E", "LYZ"]) as atlas:
        for study, measured in {"full": [0, 1], "panel": [0], "none": [1]}.items():
            scores = np.zeros((4, 2))
            scores[:, measured] = [[1.0], [2.0], [3.0], [4.0]]
            write_study(atlas, scores, ["CD3E", "LYZ"], study=study, obs=obs[study], measured=measured)
        genes = "CASE WHEN sample_id < 2 THEN 400 WHEN sample_id < 4 THEN 100 ELSE 200 END"
        atlas.con.execute(f"UPDATE sigdb_data.cell_data SET n_genes = {genes}")
    return path


def test_differences_in_depth_and_coverage_are_said_in_words(uneven):
    with sigdb.connect(uneven) as con:
        options = {"cells": "study <> 'none'", "by": "study", "min_cells": 1, "min_samples": 1}
        found = sigdb.hits(con, ["CD3E", "LYZ"], **options)
        depth = "the median cell has 100 detected genes in panel, and 400 in full, 4.0 times as many"
        assert any(depth in note and "Scores are compared at equal depth" in note for note in found.notes)
        assert any("of the 2 genes, 1 were measured in panel, and 2 in full" in note for note in found.notes)
        raw = sigdb.hits(con, ["CD3E", "LYZ"], against="cells", **options)
        assert any("shallow cells and small panels score higher for that reason alone" in note for note in raw.notes)
        assert any("use `against='controls'`" in note for note in raw.notes)
        same = sigdb.hits(con, ["CD3E"], cells="study = 'full'", by="sample", min_cells=1, min_samples=1)
        assert len(same.notes) == 1


def test_a_study_that_measured_no_gene_has_no_rate(uneven):
    with sigdb.connect(uneven) as con:
        found = sigdb.hits(con, ["CD3E"], by="study", min_cells=1, min_samples=1)
        assert set(found.table["label"].to_pylist()) == {"full", "panel"}
        assert found.left_out == {"no gene measured": 2}
        assert any("of a study that measured none of the genes" in note for note in found.notes)
        assert "of 8 cells are hits" in found.notes[0], "the 4 cells of the study without the gene are not compared"
        none = [row for row in found.all_samples.to_pylist() if row["study"] == "none"]
        assert [(row["n_hits"], row["hit_rate"], row["mean_z"]) for row in none] == [(None, None, None)] * 2
        assert found.notes[0].endswith(f"{found.share:.1%} of 8 cells are hits.")


def test_a_study_that_measured_no_gene_is_counted_with_measured_only_too(uneven):
    with sigdb.connect(uneven) as con:
        for against in ("controls", "cells"):
            options = {"against": against, "measured_only": True, "min_cells": 1, "min_samples": 1}
            assert sigdb.hits(con, ["CD3E"], by="study", **options).left_out == {"no gene measured": 2}
        query = "SELECT n_hits, hit_rate FROM sample_hit_rates(['CD3E'], {}) WHERE study = 'none'"
        rows = con.execute(query.format("min_cells := 0, measured_only := true, against := 'cells'")).fetchall()
        assert {rate for _, rate in rows} == {None}
