"""A comparison that lacks units says which smallest size of a unit would keep enough of them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sigdb
from sigdb.errors import QueryError
from sigdb.findings.lost_units import advise_min_cells
from sigdb.findings.units import Design, comparable_units

GENES = ["CD3D", "CD3E"]
SCORES = {"by": "tissue", "reference": "normal adjacent", "of": "score"}  # from the cube, which is faster


@pytest.fixture(scope="module")
def con(demo_path):
    with sigdb.connect(demo_path) as con:
        yield con


SIZES = st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from("gr"), st.sampled_from("123"), st.integers(1, 9)))


@given(SIZES, st.integers(2, 9), st.integers(2, 3))
def test_the_advised_limit_is_the_largest_that_leaves_a_test(sizes, min_cells, min_units):
    """Against all limits, one after the other."""
    rows = [
        {"study": "s", "within": within, "group": group, "unit": donor, "donors": [donor], "n_cells": n}
        for (within, group, donor), n in {each[:3]: each[3] for each in sizes}.items()
    ]
    design = Design("disease", "r", "donor", "cell_type", None, (), min_cells, min_units)
    units, lost = comparable_units(rows, design)

    def can_test(limit):
        kept = Counter((row["within"], row["group"]) for row in rows if row["n_cells"] >= limit)
        return any(kept[within, "g"] >= min_units and kept[within, "r"] >= min_units for within in "AB")

    limits = [limit for limit in range(1, 10) if can_test(limit)]
    advice = advise_min_cells(units, lost, design)
    if not lost:
        assert not advice
    elif limits:
        assert advice.startswith(f"`min_cells={max(limits)}` leaves at least {min_units} donors of 'g' and of 'r' in ")
    else:
        assert advice.startswith(f"No value of `min_cells` leaves {min_units} donors in both groups")


def test_the_advice_of_a_comparison_works(con):
    """With the value of the message something is tested, and with the next larger one nothing is."""
    options = SCORES | {"paired_by": "donor"}
    with pytest.raises(QueryError, match=r"`min_cells=6` leaves at least 3 donors of 'tumour' and .* in CD8 T of wu"):
        sigdb.compare(con, GENES, **options)
    tested = [
        value for value in sigdb.compare(con, GENES, **options, min_cells=6).column("p_value") if value is not None
    ]
    assert tested
    found = sigdb.compare(con, GENES, **options, min_cells=7)
    assert set(found.column("p_value")) == {None}
    assert any(note.startswith("Nothing was tested. `min_cells=6` leaves") for note in found.notes)


def test_samples_of_one_donor_are_no_advice():
    """Two samples of a donor are one replicate, so the limit counts donors."""
    rows = [
        {"study": "s", "group": group, "unit": f"{donor}{n}", "donors": [donor], "n_cells": n}
        for group in "gr"
        for donor, n in [(f"{group}1", 8), (f"{group}1", 7), (f"{group}2", 3)]
    ]
    design = Design("disease", "r", "sample", None, None, (), 9, 2)
    advice = advise_min_cells(*comparable_units(rows, design), design)
    assert advice == "`min_cells=3` leaves at least 2 samples of different donors of 'g' and of 'r' in s."
