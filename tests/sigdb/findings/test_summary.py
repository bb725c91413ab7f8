"""The sentences that open a report, for findings of every kind."""

from __future__ import annotations

import pyarrow as pa
import pytest

from sigdb.answers import Answer
from sigdb.findings.compare import SCHEMA, Comparison
from sigdb.findings.hits import GROUPS, CutOff, Hits
from sigdb.findings.nulls import Null
from sigdb.findings.summary import (
    cautions_of,
    comparison_sentence,
    coverage_sentence,
    groups_sentence,
    null_sentence,
    samples_sentence,
)


def scores(*rows):
    names = ("cell_type", "label", "z", "hit_rate", "n_cells")
    return Answer(pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows]), "")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [("T", "flu", 5.25, 0.72, 1050), ("B", "flu", 1.0, 0.042, 1), ("B", None, -2.0, 0.0, 9)],
            "The genes score highest in T (flu; mean z 5.2, 72% of 1,050 cells are hits) and B (flu; mean z 1, "
            "4.2% of 1 cell are hits); random genes have a mean z of 0, and 1% hits.",
        ),
        (
            [(None, "flu", 0.5, None, 10)],
            "The genes score highest in cells without a type (flu; mean z 0.5); random genes have a mean z of 0, and "
            "1% hits.",
        ),
        (
            [("T", "T", -0.25, 0.0, 20)],
            "In no group of cells do the genes score higher than matched control genes. The highest is T (mean "
            "z -0.25, 0% of 20 cells are hits).",
        ),
        (
            [("T", "flu", None, None, 20)],
            "No group of 10 cells or more has scores that could be compared with control genes.",
        ),
    ],
    ids=["several", "one, without type", "below controls", "nothing to compare with"],
)
def test_groups(rows, sentence):
    assert groups_sentence(scores(*rows), 10, CutOff()) == sentence


@pytest.mark.parametrize(
    ("rule", "end"),
    [
        (CutOff(percentile=80), "(mean z 1, 50% of 8 cells are hits); random genes have a mean z of 0, and 20% hits."),
        (CutOff(percentile=99.9), "random genes have a mean z of 0, and 0.1% hits."),
        (CutOff("cells"), "The genes score highest in T (mean z 1, 50% of 8 cells are hits)."),
    ],
    ids=["percentile", "part of a percent", "cells"],
)
def test_random_genes_have_the_hits_of_the_rule(rule, end):
    assert groups_sentence(scores(("T", "T", 1.0, 0.5, 8)), 10, rule).endswith(end)


def test_controls_are_named_only_where_they_count():
    for rows in ([("T", "T", -1.0, 0.5, 8)], [("T", "T", None, None, 8)]):
        assert "control" not in groups_sentence(scores(*rows), 10, CutOff("cells"))


def ranked(*rows):
    rows = [{"label": label, "mean_rate": rate, "n_samples": n} for label, rate, n in rows]
    table = pa.Table.from_pylist(rows, schema=GROUPS)
    return Hits(table=table, sql="", all_samples=table, by="disease", rule="", against="controls")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "By disease, no group can be ranked: none has 3 samples of 10 cells or more."),
        (
            [("flu", 0.5, 4)],
            "By disease, only one group has enough samples to be ranked: flu (on average, 50% of a sample's cells "
            "are hits; 4 samples).",
        ),
        (
            [("flu", 0.5, 4), ("cold", 0.2, 3), ("normal", 0.004, 1)],
            "By disease, the share of hits is highest in flu (on average, 50% of a sample's cells are hits; 4 samples) "
            "and lowest in normal (0.4% of the cells are hits; 1 sample), of 3 groups.",
        ),
    ],
    ids=["none", "one", "three"],
)
def test_samples(rows, sentence):
    assert samples_sentence(ranked(*rows), 10, 3) == sentence


def compared(*rows):
    names = ("within", "difference", "hedges_g", "q_value", "n_donors", "note")
    filled = [dict(zip(names, row, strict=True)) | {"group": "flu", "is_finding": row[3] is not None} for row in rows]
    table = pa.Table.from_pylist(filled, schema=SCHEMA)
    return Comparison(table=table, sql="", units={}, left_out={}, compared=pa.table({}), reference="normal")


HIGH, LOW, NOT = (
    ("T", 1.0, 1.25, 0.003, 12, None),
    ("B", -1.0, None, 0.2, 6, None),
    ("NK", None, None, None, 4, "too few"),
)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [LOW, HIGH, NOT],
            "1 of 2 comparisons of donors with normal has q < 0.05: flu is higher in T (g = 1.2, q = 0.003, "
            "12 donors).",
        ),
        (
            [LOW],
            "None of 1 comparison of donors with normal has q < 0.05. The smallest q: flu is lower in B (q = 0.2, "
            "6 donors).",
        ),
        ([NOT], "No comparison of disease with normal could be tested: too few."),
        ([], "No comparison of disease with normal could be tested: no units on both sides."),
        (
            [(None, *HIGH[1:])] * 5,
            "5 of 5 comparisons of donors with normal have q < 0.05: "
            + "; ".join(["flu is higher (g = 1.2, q = 0.003, 12 donors)"] * 3)
            + " and 2 more.",
        ),
    ],
    ids=["one passes", "nothing passes", "nothing tested", "nothing compared", "many pass"],
)
def test_comparisons(rows, sentence):
    assert comparison_sentence(compared(*rows), "disease") == sentence


def test_no_comparison():
    assert comparison_sentence(None, "disease").startswith("No groups of donors were tested against each other")


def null(*q_values):
    return Null(pa.table({"q_value": pa.array(q_values, pa.float64())}), "")


@pytest.mark.parametrize(
    ("q_values", "start"),
    [([0.01, 0.5, None], "1 of 2 groups scores"), ([0.5], "None of 1 group score "), ([], "None of 0 groups score ")],
)
def test_nulls(q_values, start):
    assert null_sentence(null(*q_values)).startswith(start)


def coverage(n_asked, n_genes, *measured):
    rows = [{"study": f"s{n}", "n_asked": n_asked, "n_genes": n_genes, "n_measured": m} for n, m in enumerate(measured)]
    return pa.Table.from_pylist(rows)


def missing(*names):
    return pa.table({"gene": pa.array(names, pa.string()), "symbol": pa.nulls(len(names), pa.string())})


@pytest.mark.parametrize(
    ("table", "names", "sentence"),
    [
        (coverage(4, 4, 4, 4), [], "The model knows all 4 genes, and every study measured them all."),
        (
            coverage(9, 2, 0, 2),
            ["A", "B", "C", "D", "E", "F", "G"],
            "The model knows 2 of 9 genes (not A, B, C, D, E and 2 more), and the studies measured 0 to 2 of these. "
            "Fewer than half were measured in s0.",
        ),
        (coverage(4, 4, 3, 3), [], "The model knows all 4 genes, and the studies measured 3 of these."),
        (coverage(1, 1, 1), [], "The model knows the gene, and every study measured it."),
    ],
    ids=["all", "low", "some", "one gene"],
)
def test_coverage(table, names, sentence):
    assert coverage_sentence(table, missing(*names)) == sentence


def test_cautions_come_from_the_first_finding_that_has_any():
    bare, first, second = (
        Answer(None, ""),
        *(Answer(None, "", ("A rule.", f"The groups differ in {what}: x.")) for what in ("depth", "coverage")),
    )
    assert cautions_of([bare, first, second]) == ["The groups differ in depth: x."]
    assert cautions_of([bare]) == []
