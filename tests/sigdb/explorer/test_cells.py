"""The statements of the tab of cells, filled as the page fills them, against findings of sigdb and against numpy."""

from __future__ import annotations

import re

import numpy as np
import pytest

import sigdb
from sigdb import Signature
from sigdb.explorer.catalog import catalog
from tests.support.toy import new_atlas, obs_of, write_study

GENES = tuple(f"G{n}" for n in range(120))
SIGNATURE = list(GENES[:4])
N = 90
TYPES = ["T"] * 30 + ["B"] * 40 + ["M'x"] * 20
STUDY = "it's"
STATEMENTS = catalog()["statements"]


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    """Two studies of 90 cells. In the first, the cell 0 has no place in the embedding, and the cell 1 has no type."""
    path = tmp_path_factory.mktemp("cells") / "cells.duckdb"
    rng = np.random.default_rng(0)
    with new_atlas(path) as atlas:
        for study in (STUDY, "two"):
            values = rng.gamma(0.5, rng.gamma(0.7, 4, len(GENES)), (N, len(GENES)))
            values[:30, 3::12] *= 3
            values[values < 0.3] = 0
            values = (values / values.sum(axis=1, keepdims=True) * 1000).round(3)
            obs = obs_of(
                N,
                cell_type=[TYPES[0], None, *TYPES[2:]],
                sample=[f"s{n % 3}" for n in range(N)],
                donor=[f"d{n % 3}" for n in range(N)],
                umap_1=[None, *rng.normal(size=N - 1)],
                umap_2=[*rng.normal(size=N)],
                leiden_1=["a"] * N,
                leiden_2=["b"] * N,
            )
            write_study(atlas, values, GENES, study=study, obs=obs)
        atlas.add_signatures([Signature("special", GENES[3::12]), Signature("others", GENES[1::12])])
    with sigdb.connect(path) as con:
        yield con


def ask(con, name, *, lasso="FALSE", kept="TRUE", label="cell_type", **values):
    """The answer to a statement of the catalog, with the words that the page fills in."""
    words = {
        "is_lassoed": f"({lasso})",
        "is_chosen": kept,
        "x_column": "umap_1",
        "y_column": "umap_2",
        "label_column": f'"{label}"',
    }
    found = STATEMENTS[name]
    sql = re.sub(r"\b(" + "|".join(words) + r")\b", lambda match: words[match[0]], found["sql"])
    defaults = {"genes": SIGNATURE, "weights": None, "agg": "mean", "missing": "error", "run": None, "signed": False}
    defaults |= {"measured_only": False, "study": STUDY, "min_cells": 10, "n": 500, "n_bins": 7, "labels": ["B", "T"]}
    values = {each: (defaults | values)[each] for each in found["parameters"]}
    return con.sql(sql, params=values or None).to_arrow_table().to_pylist()


def rounded(rows, *names):
    return sorted(tuple(np.float32(row[name]) for name in names) for row in rows)


def test_the_embeddings_are_pairs_of_columns_of_numbers(con):
    assert ask(con, "findings/columns.embeddings") == [{"embedding": "umap"}]


def test_the_points_are_those_of_sigdb(con):
    found = ask(con, "explorer/cells.points")
    expected = sigdb.embedding(
        con, SIGNATURE, cells=f"study = '{STUDY.replace(chr(39), chr(39) * 2)}'"
    ).table.to_pylist()
    assert len(found) == N - 1
    renamed = [{"x": row["x_low"], "y": row["y_low"], "score": row["score"]} for row in expected]
    assert rounded(found, "x", "y", "score") == rounded(renamed, "x", "y", "score")
    assert [row["score"] for row in found] == sorted(row["score"] for row in found)
    types = dict(con.execute("SELECT cell_id, cell_type FROM cells").fetchall())
    assert all(row["group"] == {"B": 1, "T": 2}.get(types[row["cell_id"]], 0) for row in found)


def test_squares_hold_the_same_cells(con):
    points, squares = ask(con, "explorer/cells.points"), ask(con, "explorer/cells.squares")
    assert sum(row["n"] for row in squares) == len(points)
    mean = sum(row["n"] * row["score"] for row in squares) / len(points)
    assert mean == pytest.approx(np.mean([row["score"] for row in points]), rel=1e-5)
    x = np.array([row["x"] for row in points])
    edges = np.linspace(x.min(), x.max(), 8)
    counts = {round(float(edges[i] + edges[i + 1]) / 2, 4): n for i, n in enumerate(np.histogram(x, edges)[0])}
    assert {round(row["x"], 4) for row in squares} == {middle for middle, n in counts.items() if n}


def test_the_table_counts_the_cells_in_the_lasso(con):
    found = ask(con, "explorer/cells.groups", lasso="c.umap_1::FLOAT::DOUBLE > 0.5")
    points = ask(con, "explorer/cells.points", labels=["B", "M'x", "T"])
    for place, label in enumerate([None, "B", "M'x", "T"]):
        (row,) = (row for row in found if row["label"] == label)
        inside = [each["score"] for each in points if each["group"] == place and each["x"] > 0.5]
        assert (row["n_cells"], row["n_lassoed"]) == (sum(p["group"] == place for p in points), len(inside))
        assert row["score_lassoed"] == (pytest.approx(np.mean(inside), rel=1e-5) if inside else None)


def test_a_lasso_of_all_cells_of_a_type_is_ranked_as_the_type(con):
    """The ranking of a lasso is that of `sigdb.rank_signatures`."""
    found = ask(con, "explorer/cells.signatures", lasso="c.cell_type = 'T'")
    expected = sigdb.rank_signatures(con, cells="study = 'it''s' AND cell_type = 'T'").table.to_pylist()
    assert [row["signature"] for row in found] == ["special", "others"]
    for row, other in zip(found, expected, strict=True):
        for name in (
            "signature",
            "z",
            "above_controls",
            "difference",
            "score",
            "score_others",
            "n_measured",
            "n_asked",
        ):
            assert row[name] == (
                pytest.approx(other[name], rel=1e-6) if isinstance(other[name], float) else other[name]
            )


@pytest.mark.parametrize("kept", ["TRUE", "c.cell_type IN ('T', 'B')"])
def test_genes_are_compared_with_the_other_cells_that_the_filters_keep(con, kept):
    lasso = "c.umap_1 > 0"
    found = {row["gene"]: row for row in ask(con, "explorer/cells.genes", lasso=lasso, kept=kept)}
    cells = con.execute(
        f"SELECT c.cell_id, coalesce({lasso}, false) FROM cells AS c WHERE c.study = ? AND {kept}", [STUDY]
    ).fetchall()
    inside = {cell for cell, is_inside in cells if is_inside}
    outside = {cell for cell, is_inside in cells if not is_inside}
    values = con.execute("SELECT gene, cell_id, score FROM gene_attributions(?)", [list(GENES)]).fetchall()
    assert len(found) > 100
    for gene, row in found.items():
        own = [(cell, score) for name, cell, score in values if name == gene]
        means = [sum(score for cell, score in own if cell in side) / len(side) for side in (inside, outside)]
        parts = [sum(cell in side for cell, _ in own) / len(side) for side in (inside, outside)]
        assert [row["score"], row["score_others"]] == pytest.approx(means, rel=1e-5, abs=1e-9)
        assert [row["fraction_nonzero"], row["fraction_nonzero_others"]] == pytest.approx(parts)
        assert row["difference"] == pytest.approx(means[0] - means[1], rel=1e-4, abs=1e-6)
        assert (row["n_cells"], row["n_cells_others"]) == (len(inside), len(outside))


def test_a_lasso_of_few_cells_is_not_compared(con):
    few = "c.cell_id IN (FROM (SELECT min(cell_id) FROM cells WHERE study = 'it''s'))"
    assert ask(con, "explorer/cells.genes", lasso=few) == []
    assert all(row["z"] is None for row in ask(con, "explorer/cells.signatures", lasso=few))
    assert ask(con, "explorer/cells.genes", lasso="TRUE") == []


@pytest.mark.parametrize("name", ["genes", "top_genes"])
def test_an_unknown_run_is_an_error(con, name):
    with pytest.raises(Exception, match="no run 'nope'"):
        ask(con, f"explorer/cells.{name}", lasso="c.umap_1 > 0", run="nope")


@pytest.mark.parametrize("signed", [False, True])
def test_the_top_genes_of_a_lasso_of_a_whole_group_are_those_of_sigdb(con, signed):
    found = ask(con, "explorer/cells.top_genes", kept="c.cell_type = 'T'", n=15, signed=signed)
    expected = sigdb.top_genes(con, cell_type="T", n=15, signed=signed).table.to_pylist()
    assert len(found) == len(expected) >= 15
    for row, other in zip(found, expected, strict=True):
        assert row == {name: pytest.approx(value) if name == "score" else value for name, value in other.items()}


def test_the_top_genes_of_a_lasso_are_means_over_its_cells(con):
    kept = "c.umap_1 > 0 AND c.cell_type IN ('T', 'B')"
    found = ask(con, "explorer/cells.top_genes", kept=kept, n=len(GENES))
    cells = {cell for (cell,) in con.execute(f"SELECT cell_id FROM cells AS c WHERE {kept}").fetchall()}
    values = con.execute("SELECT gene, cell_id, score FROM gene_attributions(?)", [list(GENES)]).fetchall()
    sums = dict.fromkeys(GENES, 0.0)
    for gene, cell, score in values:
        sums[gene] += abs(score) * (cell in cells)
    assert {row["gene"]: row["score"] for row in found} == {
        gene: pytest.approx(total / len(cells), rel=1e-5) for gene, total in sums.items() if total
    }
    assert [row["score"] for row in found] == sorted((row["score"] for row in found), reverse=True)
    assert {row["n_cells"] for row in found} == {len(cells)}


def test_no_cells_have_no_top_genes(con):
    assert ask(con, "explorer/cells.top_genes", kept="FALSE") == []
