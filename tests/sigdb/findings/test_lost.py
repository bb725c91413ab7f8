"""A finding without rows, or without the group that was asked for, says why, and which option would keep it."""

from __future__ import annotations

import pytest

import sigdb
from sigdb.errors import QueryError
from sigdb.findings.lost import compared_values, keep_with
from sigdb.statements import parse_condition

GENES = ["CD3D", "CD3E"]
ADJACENT = {"by": "tissue", "reference": "normal adjacent"}


@pytest.fixture(scope="module")
def con(demo_path):
    with sigdb.connect(demo_path) as con:
        yield con


@pytest.mark.parametrize(
    ("sizes", "fewest", "text"),
    [
        ([3, 9, 4, 50], 1, "The largest unit of fewer than 10 cells has 9: `min_cells=9` keeps 1 more."),
        ([3, 9, 4, 50], 2, "The largest unit of fewer than 10 cells has 9: `min_cells=4` keeps 2 more."),
        ([3, 9], 5, "The largest unit of fewer than 10 cells has 9: `min_cells=3` keeps 2 more."),
        ([50], 1, ""),
    ],
)
def test_the_value_that_keeps_units(sizes, fewest, text):
    assert keep_with("unit", sizes, 10, fewest) == text


def test_the_texts_of_a_condition():
    condition = parse_condition("a = 'x' AND ('y' = b OR c IN ('z', 'w')) AND d > 5 AND e <> 'v'")
    assert sorted(compared_values(condition)) == [("a", "x"), ("b", "y"), ("c", "w"), ("c", "z")]


SCORES = ADJACENT | {"of": "score"}  # from the cube, which is faster
FAILS = [
    (sigdb.compare, SCORES, r"All 25 units of tissue 'normal adjacent' .*25 \(fewer than 10 cells\).*`min_cells=7`"),
    (sigdb.compare, SCORES | {"reference": "normal adjacnt"}, "Did you mean 'normal adjacent'"),
    (sigdb.compare, SCORES | {"cells": "cell_type = 'CD4 t'"}, "No cell has cell_type 'CD4 t'.* Did you mean 'CD4 T'"),
    (sigdb.compare, ADJACENT | {"cells": "n_counts < 0"}, "No cell fulfils the condition n_counts < 0"),
    (sigdb.hits, {"cells": "tissue = 'bloood'"}, r"No cell has tissue 'bloood' .* Did you mean 'blood'"),
]
GENE_FAILS = [
    (ADJACENT | {"group": "tumor"}, "No unit has tissue 'tumor'. Did you mean 'tumour'"),
    (ADJACENT | {"study": "wu2020"}, "no study 'wu2020' .*Did you mean 'wu2020_tcell'"),
    (ADJACENT | {"min_cells": 100}, "All 13 units of tissue 'normal adjacent' .* `min_cells=11` keeps 3 more"),
    (ADJACENT | {"cells": "cell_type = 'CD4 t'"}, "No cell has cell_type 'CD4 t'"),
]


@pytest.mark.parametrize(("function", "options", "text"), FAILS)
def test_what_cannot_be_answered(con, function, options, text):
    with pytest.raises(QueryError, match=text):
        function(con, GENES, **options)


@pytest.mark.parametrize(("options", "text"), GENE_FAILS)
def test_genes_that_cannot_be_compared(con, options, text):
    with pytest.raises(QueryError, match=text):
        sigdb.gene_compare(con, **options)


CELLS = {"against": "cells"}  # without controls, which is faster
EMPTY = [
    (
        sigdb.compare,
        {"of": "score"},
        "Nothing was compared: no study has units of 'normal' and of another disease within one",
    ),
    (sigdb.hits, CELLS | {"by": "sex"}, "No group is left: no sample has a value of sex."),
    (
        sigdb.hits,
        CELLS | {"min_samples": 50},
        "No group is left. The largest, normal, has 11 samples: `min_samples=11`",
    ),
    (sigdb.hits, CELLS | {"min_cells": 5000}, "No group is left. The largest sample of fewer than 5,000 cells has 398"),
    (sigdb.leading_genes, {"groups": "cell_type = 'Monocytes'"}, "No group of cells has cell_type 'Monocytes'"),
    (sigdb.leading_genes, {"groups": "n_cells > 40000"}, "No group of cells fulfils the condition n_cells > 40000."),
    (sigdb.leading_genes, {"min_cells": 5000}, "No group is left. The largest group of fewer than 5,000 cells has 240"),
    (sigdb.gene_dots, {"cells": "study = 'wu'"}, "No group of cells has study 'wu'"),
]


@pytest.mark.parametrize(("function", "options", "text"), EMPTY)
def test_an_empty_finding_says_why(con, function, options, text):
    found = function(con, GENES, **options)
    assert found.table.num_rows == 0
    assert any(note.startswith(text) for note in found.notes)
