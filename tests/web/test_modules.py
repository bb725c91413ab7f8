"""The modules of the page that need no browser: signatures as people write them, and the state in the address."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ONCE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
# All text that an address can hold: any character but halves of surrogate pairs.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("text", "genes", "weights"),
    [
        ("CD3E, CD8A;CD4\nLYZ", ["CD3E", "CD8A", "CD4", "LYZ"], None),
        ("CD3E CD8A:2 -FOXP3", ["CD3E", "CD8A", "FOXP3"], [1, 2, -1]),
        ("-FOXP3:0.5 \N{MINUS SIGN}IL2", ["FOXP3", "IL2"], [-0.5, -1]),
        ("gene\tweight\nCD3E\t2.5\nCD8A\t-1e-3", ["CD3E", "CD8A"], [2.5, -0.001]),
        ("MINE\tfrom a paper\tCD3E\tCD8A\tLYZ", ["CD3E", "CD8A", "LYZ"], None),
        ("CD3E CD3E", ["CD3E"], None),
        ('"CD3E", "HLA-A"', ["CD3E", "HLA-A"], None),
        ("", [], None),
    ],
)
def test_signatures_are_read_as_people_write_them(call_node, text, genes, weights):
    found = call_node("signatures.js", "parseSignature", text)
    assert (found["genes"], found["weights"], found["library"]) == (genes, weights, None)


def test_a_signature_has_a_name(call_node):
    assert call_node("signatures.js", "parseSignature", "T cells = CD3E CD8A")["name"] == "T cells"
    assert call_node("signatures.js", "parseSignature", "MINE\tpaper\tCD3E\tCD8A")["name"] == "MINE"
    assert call_node("signatures.js", "parseSignature", "A B C D")["name"] == "A, B, C …"
    assert (
        call_node("signatures.js", "parseSignature", "A:2 -B -C:0.5")["name"]
        == "A:2, \N{MINUS SIGN}B, \N{MINUS SIGN}C:0.5"
    )
    assert call_node("signatures.js", "parseSignature", "@MS1")["library"] == "MS1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("CD3E:much", 'the weight "much" is not a number'),
        ("CD3E:", 'the weight "" is not a number'),
        ("CD3E - CD8A", '"-" is not a gene'),
        ("CD3E:2 CD3E:3", "CD3E has two weights, 2 and 3"),
    ],
)
def test_a_signature_that_cannot_be_read_is_explained(call_node, text, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        call_node("signatures.js", "parseSignature", text)


@ONCE
@given(
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("study", "cell_type", "donor"), st.lists(st.none() | TEXT, min_size=1)),
            "s": st.lists(TEXT, min_size=1),
            **dict.fromkeys(("tab", "sql", "run"), TEXT),
        },
    )
)
def test_the_address_keeps_any_state(call_node, state):
    assert call_node("state.js", "readHash", call_node("state.js", "writeHash", state)) == state
