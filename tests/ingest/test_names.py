"""Columns that match no gene are counted by likely reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.names import describe_unknown, human_names, reason

DOTS, DATES = "with dots, which R writes for dashes", "that a spreadsheet turned into dates or numbers"
COPIES, JOINED = "with a number that tells repeated names apart", "that join several names of a gene"
ANTIBODIES = "of antibodies or hashtags"


@pytest.mark.parametrize(
    ("why", "names"),
    [
        (DOTS, ["HLA.DRA", "HLA.A", "NKX2.1", "MT.CO1"]),
        (DATES, ["1-Mar", "2-Sep", "Mar-01", "1-Dec-21", "2021-03-01", "2021-03-01 00:00:00", "44256", "2.31E+13"]),
        (DATES, ["1. Mrz", "9-Sept", "01/03/2021", "1-Mar.1"]),
        (COPIES, ["CD4-1", "CD4.1", "TMBIM4_2"]),
        (JOINED, ["LYZ|ENSG00000090382", "ENSG00000090382_LYZ", "ENSG00000090382.7_PAR_Y", "LYZ;CD14"]),
        ("with spaces or quotes around them", [" LYZ", '"CD4"', "CD14\r"]),
        ("in other capitals than human genes", ["lyz", "Cd3e", "C1ORF43"]),
        ("of spike-ins", ["ERCC-00002", "SIRV1"]),
        ("missing", ["nan", "", "<NA>"]),
        (ANTIBODIES, ["CD3_TotalSeqB", "Hashtag1", "HTO-1", "ab_CD3x", "prot:CD3x", "CD3x-ADT"]),
        ("of another species", ["ENSMUSG00000000001", "ENSMUSG00000000001.4"]),
        ("with an ending after the Ensembl id", ["ENSG99999999999-x"]),
        ("of transcripts", ["ENST00000000233.10", "NM_001101"]),
        ("for an unknown reason", ["GFP", "Rosa26x"]),
    ],
)
def test_the_likely_reason(why, names):
    assert [reason(name) for name in names] == [why] * len(names)


@given(st.sampled_from(sorted(human_names()[0])))
def test_names_of_genes_are_not_counted(name):
    assert describe_unknown([name], 10) == []


def test_names_that_only_ensembl_or_ncbi_have_are_not_counted():
    names = ["ENSG00000280000", "ENSG00000090382.7", "AL627309.1", "Z97192.2", "RP11-34P13.7", "LOC100505874", "LYZ"]
    assert describe_unknown(names, 10) == []


def test_the_note_counts_and_gives_examples():
    names = ["LYZ", *(f"HLA.{part}" for part in ("A", "B", "C", "DRA")), "1-Mar", "44256"]
    assert describe_unknown(names, 1500) == [
        "6 of 1,500 columns have names that no human gene has: 4 with dots, which R writes for dashes ('HLA.A', "
        "'HLA.B', 'HLA.C' and 1 more); 2 that a spreadsheet turned into dates or numbers ('1-Mar', '44256')"
    ]
