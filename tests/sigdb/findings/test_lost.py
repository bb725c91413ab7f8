"""A finding without rows, or without the group that was asked for, says why, and which option would keep it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sigdb
from sigdb.errors import QueryError
from sigdb.findings.lost import compared_values, conjuncts, nth_largest
from sigdb.statements import parse_condition

GENES = ["CD3D", "CD3E"]
ADJACENT = {"by": "tissue", "reference": "normal adjacent"}


@pytest.fixture(scope="module")
def con(demo_path):
    with sigdb.connect(demo_path) as con:
        yield con


@given(st.lists(st.integers(1, 9), max_size=6), st.integers(1, 4))
def test_the_largest_limit_that_keeps_enough(sizes, n):
    limits = [limit for limit in range(1, 10) if sum(size >= limit for size in sizes) >= n]
    assert nth_largest(sizes, n) == max(limits, default=0)


def test_the_parts_that_a_row_has_to_fulfil():
    condition = parse_condition("(a = 'x' AND ('y' = b AND NOT c IN ('z', 'w'))) AND (d > 5 OR e = 'v')")
    assert [each.sql("duckdb") for each in conjuncts(condition)] == [
        "a = 'x'",
        "'y' = b",
        "NOT c IN ('z', 'w')",
        "d > 5 OR e = 'v'",
    ]


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("a = 'x'", ("a", ["x"])),
        ("'x' = a", ("a", ["x"])),
        ("a IN ('x', 'y')", ("a", ["x", "y"])),
        ("a = b", (None, [])),
        ("a = 5", (None, [])),
        ("NOT a = 'x'", (None, [])),
        ("lower(a) = 'x'", (None, [])),
        ("a IN ('x', lower(b))", (None, [])),
    ],
)
def test_the_texts_of_a_part(part, found):
    assert compared_values(parse_condition(part)) == found


SCORES = ADJACENT | {"of": "score"}  # from the cube, which is faster
FAILS = [
    (
        sigdb.compare,
        SCORES,
        r"All 25 donors of tissue 'normal adjacent', counted in each cell_type, were left out: 25 \(",
    ),
    (
        sigdb.compare,
        SCORES | {"reference": "normal"},
        r"No donor has tissue 'normal' \(`reference`\).* There are: 'blood'",
    ),
    (
        sigdb.compare,
        SCORES | {"min_units": 30},
        r"No value of `min_cells` leaves 30 donors in both groups of one cell_type",
    ),
    (
        sigdb.compare,
        SCORES | {"unit": "sample"},
        "All 25 samples of .*`min_cells=6` leaves at least 3 samples of different",
    ),
    (sigdb.compare, SCORES | {"reference": "normal adjacnt"}, "Did you mean 'normal adjacent'"),
    (sigdb.compare, SCORES | {"cells": "cell_type = 'CD4 t'"}, "No cell has cell_type 'CD4 t'.* Did you mean 'CD4 T'"),
    (sigdb.compare, ADJACENT | {"cells": "n_counts < 0"}, "No cell fulfils the condition n_counts < 0"),
    (sigdb.hits, {"cells": "tissue = 'bloood'"}, r"No cell has tissue 'bloood' .* Did you mean 'blood'"),
]
GENE_FAILS = [
    (ADJACENT | {"group": "tumor"}, r"No donor has tissue 'tumor' \(`group`\). Did you mean 'tumour'"),
    (ADJACENT | {"study": "wu2020"}, "no study 'wu2020' .*Did you mean 'wu2020_tcell'"),
    (
        ADJACENT | {"min_cells": 100},
        "All 13 donors of tissue 'normal adjacent' were .* `min_cells=11` leaves at least 3",
    ),
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
    (sigdb.hits, CELLS | {"min_cells": 5000}, "No group is left. `min_cells=111` leaves at least 3 samples of"),
    (sigdb.hits, CELLS | {"min_cells": 5000, "min_samples": 20}, "No group is left. No value of `min_cells` leaves 20"),
    (sigdb.leading_genes, {"groups": "cell_type = 'Monocytes'"}, "No group of cells has cell_type 'Monocytes'"),
    (sigdb.leading_genes, {"groups": "n_cells > 40000"}, "No group of cells fulfils the condition n_cells > 40000."),
    (sigdb.leading_genes, {"min_cells": 5000}, "No group is left. The largest of fewer than 5,000 cells has 240"),
    (
        sigdb.leading_genes,
        {"groups": "n_cells < 9", "min_cells": 9},
        "No group is left. The largest of fewer than 9 cells has 8",
    ),
    (
        sigdb.leading_genes,
        {"groups": "NOT (cell_type = 'zzz') AND tissue = 'blood' AND n_cells > 5000"},
        "No group of cells fulfils the condition n_cells > 5000 (NOT (cell_type",
    ),
    (
        sigdb.leading_genes,
        {"groups": "(cell_type = 'zzz' OR n_cells > 5000) AND tissue = 'blood'"},
        "No group of cells fulfils the condition cell_type = 'zzz' OR n_cells > 5000 ((",
    ),
    (
        sigdb.leading_genes,
        {"groups": "cell_type IN ('DC', 'zzz') AND n_cells > 5000"},
        "No group of cells fulfils the con",
    ),
    (sigdb.leading_genes, {"groups": "cell_type IN ('zz', 'z')"}, "No group of cells has cell_type 'zz' or 'z'"),
    (sigdb.leading_genes, {"groups": "cell_type = 'n_cells'"}, "No group of cells has cell_type 'n_cells'"),
    (sigdb.gene_dots, {"cells": "study = 'wu'"}, "No group of cells has study 'wu'"),
]


@pytest.mark.parametrize(("function", "options", "text"), EMPTY)
def test_an_empty_finding_says_why(con, function, options, text):
    found = function(con, GENES, **options)
    assert found.table.num_rows == 0
    assert any(note.startswith(text) for note in found.notes)
