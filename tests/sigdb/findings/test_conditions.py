"""A condition names documented columns only: a statement has others of the same name with another meaning."""

from __future__ import annotations

import pytest

import sigdb
from sigdb.errors import QueryError

GENES = ["S100A8", "CD3E"]
COMPARE = {"by": "cell_type", "reference": "T cell", "unit": "sample", "min_cells": 1}

# Conditions on the cube, and columns that only the statement has.
ON_THE_CUBE = {
    "compare": lambda con, cells: sigdb.compare(con, GENES, of="score", within=None, cells=cells, **COMPARE),
    "gene_compare": lambda con, cells: sigdb.gene_compare(con, cells=cells, **COMPARE),
    "group_scores": lambda con, cells: sigdb.group_scores(con, GENES, calibrated=False, cells=cells),
    "gene_dots": lambda con, cells: sigdb.gene_dots(con, GENES, cells=cells),
}
HIDDEN = [
    "n_genes > 2",
    "n_cells > 2",
    "score > 1",
    "n_measured = 2",
    "median_counts > 1",
    "u.score > 1",
    "u.tissue IS NULL",
    "gene_id = 1",
    "sample_id = 0",
    "n_counts > 1",
    "age > 60",
    "tissue IS NULL OR abs(score) > 1",
    "rowid = 1",
    "COLUMNS('.*') IS NULL",
    "COLUMNS(*) IS NULL",
    "u IS NULL",
]


@pytest.mark.parametrize("finding", ON_THE_CUBE)
@pytest.mark.parametrize("condition", HIDDEN)
def test_a_column_that_the_cube_lacks_is_refused_by_name(toy, finding, condition):
    with pytest.raises(QueryError, match=r"The cube has no column .* It has: study, sample, donor,"):
        ON_THE_CUBE[finding](toy, condition)


# Conditions on the view `cells` see its columns, and not those of the statement.
ON_CELLS = {
    "hits": lambda con, cells: sigdb.hits(con, GENES, min_cells=1, min_samples=1, cells=cells),
    "compare": lambda con, cells: sigdb.compare(con, GENES, within=None, cells=cells, **COMPARE),
    "covariates": lambda con, cells: sigdb.compare(con, GENES, cells=cells, within=None, covariates=["age"], **COMPARE),
    "group_scores": lambda con, cells: sigdb.group_scores(con, GENES, cells=cells),
    "score_bins": lambda con, cells: sigdb.score_bins(con, GENES, min_cells=1, cells=cells),
}


@pytest.mark.parametrize("finding", ON_CELLS)
@pytest.mark.parametrize(
    "condition", ["score > 0", "z > 0", "is_hit", "n_measured > 0", "n_score_genes = 2", "_cell = 0"]
)
def test_a_column_that_cells_lack_is_refused_by_name(toy, finding, condition):
    with pytest.raises(QueryError, match=condition.split()[0]):
        ON_CELLS[finding](toy, condition)


def test_genes_of_a_cell_are_not_genes_of_a_signature(toy):
    """Cells of the toy atlas have 5 detected genes; the signature has two."""
    ((n_groups,),) = toy.execute("SELECT count(DISTINCT (cell_type, disease)) FROM cells").fetchall()
    assert sigdb.group_scores(toy, GENES, min_cells=1, cells="n_genes = 5").table.num_rows == n_groups > 0
    assert sigdb.group_scores(toy, GENES, min_cells=1, cells="n_genes = 2").table.num_rows == 0


ON_GROUPS = {
    "matched_null": lambda con, groups: sigdb.matched_null(con, GENES, n_controls=5, min_cells=1, groups=groups),
    "leading_genes": lambda con, groups: sigdb.leading_genes(con, GENES, min_cells=1, groups=groups),
}


@pytest.mark.parametrize("finding", ON_GROUPS)
@pytest.mark.parametrize("condition", ["n_genes > 2", "z > 1", "rank = 1", "median_detected > 1", "u.study = 'toy'"])
def test_a_column_that_a_group_lacks_is_refused_by_name(toy, finding, condition):
    with pytest.raises(
        QueryError, match=r"A group has no column .* It has: study, tissue, disease, cell_type, n_cells"
    ):
        ON_GROUPS[finding](toy, condition)


@pytest.mark.parametrize("condition", ["cell_type = 'T cell'", "Cell_Type = 'T cell' AND \"disease\" = 'normal'"])
def test_documented_columns_are_seen_in_any_case(toy, condition):
    assert sigdb.gene_dots(toy, GENES, min_cells=1, cells=condition).column("label") == ["T cell", "T cell"]
    assert sigdb.leading_genes(toy, GENES, min_cells=1, groups=condition).column("gene") == ["CD3E"]
    inside = "cell_type IN (SELECT cell_type FROM cells WHERE n_counts > 1 AND cell_type = 'T cell')"
    assert sigdb.gene_dots(toy, GENES, min_cells=1, cells=inside).column("label") == ["T cell", "T cell"]
