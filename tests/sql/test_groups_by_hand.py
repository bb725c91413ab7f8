"""Macros over groups of cells: results by hand, populations, errors, and two studies that measured different genes."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

import sigdb
from tests.support.toy import new_atlas, obs_of, write_study


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    """CD3E  LYZ     study "panel" has no probe for LYZ
    full   0   4.0   2.0   normal, T cell
    full   1    .    6.0   normal, monocyte
    panel  2   8.0    -    flu, T cell
    panel  3    .     -    flu, T cell
    """
    path = tmp_path_factory.mktemp("two") / "two.duckdb"
    genes = ("CD3E", "LYZ")
    full = obs_of(2, sample=["f", "f"], disease=["normal"] * 2, cell_type=["T cell", "monocyte"])
    panel = obs_of(2, sample=["p", "p"], disease=["flu"] * 2, cell_type=["T cell"] * 2)
    with new_atlas(path, genes) as atlas:
        write_study(atlas, np.array([[4.0, 2.0], [0.0, 6.0]]), genes, study="full", obs=full)
        write_study(atlas, np.array([[8.0, 0.0], [0.0, 0.0]]), genes, study="panel", obs=panel, measured=[0])
    with sigdb.connect(path) as con:
        con.execute("CREATE TEMP VIEW t_cells AS FROM cells WHERE cell_type = 'T cell'")
        con.execute("CREATE TEMP VIEW nobody AS FROM cells WHERE cell_type = 'B cell'")
        yield con


BOTH = "['CD3E', 'LYZ']"
QUERIES = [
    (f"score FROM signature_score({BOTH}) ORDER BY cell_id", [3.0, 3.0, 4.0, 0.0]),
    (f"score FROM signature_score({BOTH}, measured_only := true) ORDER BY cell_id", [3.0, 3.0, 8.0, 0.0]),
    ("score FROM signature_score(['LYZ'], measured_only := true) ORDER BY cell_id", [2.0, 6.0, None, None]),
    (f"score FROM signature_score({BOTH}, agg := 'sum', measured_only := true) ORDER BY 1", [0.0, 6.0, 6.0, 8.0]),
    (
        f"score FROM signature_score({BOTH}, weights := [1, 3], measured_only := true) ORDER BY cell_id",
        [2.5, 4.5, 8, 0],
    ),
    (f"score FROM signature_by_sample({BOTH}) ORDER BY study, cell_type", [3.0, 3.0, 2.0]),
    (f"score FROM signature_by_sample({BOTH}, measured_only := true) ORDER BY study, cell_type", [3.0, 3.0, 4.0]),
    (f"study FROM signature_by_sample({BOTH}, min_coverage := 0.6)", ["full", "full"]),
    (f"n_measured FROM signature_by_sample({BOTH}) ORDER BY study", [2, 2, 1]),
    ("cell_id FROM signature_hits(['CD3E'], percentile := 50, against := 'cells') WHERE is_hit ORDER BY 1", [0, 2]),
    (
        "cell_id FROM signature_hits(['CD3E'], percentile := 50, cells := 't_cells', against := 'cells') WHERE is_hit",
        [2],
    ),
    ("count(*) FROM signature_hits(['CD3E'], cells := 'temp.main.t_cells')", [3]),
    (
        "hit_rate FROM sample_hit_rates(['CD3E'], percentile := 50, min_cells := 2, against := 'cells') ORDER BY study",
        [0.5, 0.5],
    ),
    (
        "study FROM sample_hit_rates(['CD3E'], 50, min_cells := 2, cells := 't_cells', against := 'cells')",
        ["panel"],
    ),
    ("study FROM sample_hit_rates(['CD3E'])", []),
    ("gene FROM gene_importance(study := 'full') ORDER BY rank", ["LYZ", "CD3E"]),
    ("score FROM gene_importance(cell_type := 'T cell') ORDER BY rank", [4.0, pytest.approx(2 / 3)]),
    ("n_measured FROM gene_importance(cell_type := 'T cell') ORDER BY rank", [3, 1]),
    (f"contribution FROM signature_contributions({BOTH}) WHERE cell_type = 'T cell' ORDER BY study, gene", [2, 1, 2]),
    (f"share FROM signature_contributions({BOTH}) WHERE cell_type = 'monocyte'", [1.0]),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES, ids=[query for query, _ in QUERIES])
def test_by_hand(con, query, expected):
    assert [value for (value,) in con.execute(f"SELECT {query}").fetchall()] == expected


ERRORS = [
    ("FROM signature_hits(['CD3E'], percentile := 101)", "percentile must be from 0 to 100, not 101"),
    (
        "FROM signature_hits(['CD3E'], cells := 'nobody')",
        "The population nobody has no cells",
    ),
    ("FROM signature_hits(['CD3E'], cells := 'nowhere')", "nowhere does not exist"),
    ("FROM signature_hits(['CD3E'], cells := 'genes')", "cell_id"),
    ("FROM signature_hits(['CD3E'], cells := 't_cells; DROP TABLE x')", "does not exist"),
    ("FROM signature_hits(['FOO'])", "1 of 1 gene is not in this atlas: FOO"),
    ("FROM sample_hit_rates(['CD3E'], min_coverage := 2)", "min_coverage must be from 0 to 1, not 2"),
    ("FROM sample_hit_rates(['CD3E'], percentile := -1)", "percentile must be from 0 to 100, not -1"),
    ("FROM signature_by_sample(['CD3E'], min_coverage := NULL)", "min_coverage must be from 0 to 1, not NULL"),
    ("FROM signature_by_sample(['FOO'])", "FOO"),
    ("FROM signature_by_sample(['CD3E'], run := 'v2')", "There is no run 'v2'"),
    ("FROM signature_contributions([])", "empty"),
    ("FROM gene_importance(cell_type := 'B cell')", r"No cells of this run have cell_type B cell, disease .any."),
    ("FROM gene_importance(run := 'v2')", "There is no run 'v2'"),
]


@pytest.mark.parametrize(("query", "message"), ERRORS, ids=[query for query, _ in ERRORS])
def test_errors(con, query, message):
    with pytest.raises(duckdb.Error, match=message):
        con.execute(query).fetchall()
    with pytest.raises(duckdb.Error, match=message):
        con.execute(f"SELECT count(*) FROM ({query})").fetchall()
