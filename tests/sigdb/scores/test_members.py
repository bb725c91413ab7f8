"""What public functions take as genes: a signature in any case, a `Signature`, a gene, or any collection of genes."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

import sigdb
from sigdb import Atlas, Signature
from sigdb.errors import QueryError, SignatureError
from sigdb.scores.members import reusable
from tests.support.toy import fingerprint

BOTH = ["S100A8", "CD3E"]


@pytest.fixture
def copy(toy_path, tmp_path):
    return shutil.copy(toy_path, tmp_path / "copy.duckdb")


@pytest.mark.parametrize("name", ["MYELOID", "myeloid", "Myeloid"])
def test_a_text_is_a_signature_in_any_case(toy, name):
    assert sigdb.score(toy, name).equals(sigdb.score(toy, ["S100A8", "S100A9"], weights=[1, 0.5]))


def test_a_text_that_is_no_signature_is_a_gene(toy):
    assert sigdb.score(toy, "CD3E").equals(sigdb.score(toy, ["CD3E"]))
    assert sigdb.score(toy, "cd3e", weights=[2]).equals(sigdb.score(toy, ["CD3E"]))
    assert sigdb.leading_genes(toy, "CD3E", min_cells=1).column("gene") == ["CD3E"]


COLLECTIONS = {
    "tuple": tuple(BOTH),
    "array": np.array(BOTH),
    "objects": np.array(BOTH, object),
    "column": pd.Series(BOTH),
    "index": pd.Index(BOTH),
    "set": set(BOTH),
    "keys": dict.fromkeys(BOTH).keys(),
    "Signature": Signature("mine", tuple(BOTH)),
}


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_any_collection_of_genes(toy, kind):
    assert sigdb.score(toy, COLLECTIONS[kind]).equals(sigdb.score(toy, BOTH))


def test_a_generator_of_genes_is_read_once(toy):
    assert sigdb.score(toy, (gene for gene in BOTH)).equals(sigdb.score(toy, BOTH))
    assert reusable(iter(BOTH)) == BOTH


REFUSED = {
    "no gene": ([], {}, "list is empty"),
    "nothing": (None, {}, "`genes` must be a list of names, not NoneType: None"),
    "a number": (3, {}, "`genes` must be a list of names, not int: 3"),
    "a mapping": ({"CD3E": 1.0}, {}, "`genes` must be a list of names, not dict"),
    "bytes": (b"CD3E", {}, r"`genes` must be a list of names. 4 of its 4 values are not text: 67, 68, 51 and 1 more"),
    "a value that is missing": (["CD3E", np.nan], {}, "1 of its 2 values is not text: nan"),
    "a list of lists": ([["CD3E"]], {}, r"1 of its 1 values is not text: \['CD3E'\]"),
    "a set with weights": ({"CD3E", "S100A8"}, {"weights": [1, 2]}, "A set has no order"),
    "a Signature with weights": (Signature("A", ("CD3E",)), {"weights": [1]}, "signature A has weights of its own"),
    "a signature with weights": ("t_cell", {"weights": [1]}, "signature T_CELL has weights of its own"),
    "weights that are none": (["CD3E"], {"weights": "high"}, "`weights` must be a list of numbers.* not 'high'"),
    "a weight alone": (["CD3E"], {"weights": 2}, "`weights` must be a list of numbers.* not 2"),
    "neither": ("T_CELS", {}, r"T_CELS is neither .* Did you mean T_CELL \(signature\)\? The library has: MYELOID"),
    "a gene nearly": ("S100A88", {"missing": "ignore"}, r"nor a gene of this atlas\. Did you mean S100A8 \(gene\)\?"),
    "a signature in a list": (
        ["MYELOID"],
        {},
        r"MYELOID is a signature of the library, .*`sigdb.score\(con, 'MYELOID'\)`",
    ),
    "a signature among genes": (
        ["CD3E", "t_cell"],
        {},
        "1 of 2 names is a signature of the library, not a gene: t_cell",
    ),
    "signatures that may be missing": (["MYELOID", "T_CELL"], {"missing": "ignore"}, "2 of 2 names are signatures"),
    "an empty text": ("", {}, "is neither a signature of the library nor a gene"),
    "an ambiguous gene": ("P8", {}, r"P8 \(ambiguous: S100A8\)"),
    "an unknown run": ("CD3E", {"run": "no"}, "There is no run 'no'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(toy, case):
    genes, options, said = REFUSED[case]
    with pytest.raises(QueryError, match=said):
        sigdb.score(toy, genes, **options)


def test_a_name_in_a_list_is_a_gene_first(copy):
    """A signature may have the name of a gene, and a name that may be missing is left out."""
    with Atlas(copy) as atlas:
        atlas.add_signatures([Signature("cd3e", ("S100A8",))])
    with sigdb.connect(copy) as con:
        expected = sigdb.score(con, ["CD3E"])
        assert sigdb.score(con, ["CD3E", "MYELOID"], missing="ignore").equals(expected)
        assert not expected.equals(sigdb.score(con, "cd3e"))


def test_genes_that_are_missing(copy, caplog):
    """A signature leaves them out and says so; a gene that was typed is an error."""
    lacking = ("CD3E", "NOSUCH")
    with Atlas(copy) as atlas:
        atlas.add_signatures([Signature("LACKING", lacking), Signature("NOTHING", ("NOSUCH",))])
    note = "Scored 1 of 2 genes. The model of this run does not know the other: NOSUCH."
    with sigdb.connect(copy) as con:
        for genes in ("LACKING", Signature("mine", lacking)):
            assert note in sigdb.leading_genes(con, genes, min_cells=1).notes
            assert sigdb.score(con, genes).equals(sigdb.score(con, ["CD3E"]))
            with pytest.raises(QueryError, match="1 of 2 genes is not in this atlas"):
                sigdb.score(con, genes, missing="error")
        assert caplog.messages == [note] * 2
        with pytest.raises(QueryError, match=r"1 of 2 genes is not in this atlas.*`missing='ignore'`"):
            sigdb.score(con, list(lacking))
        with pytest.raises(QueryError, match="None of the genes of the list is in this atlas: NOSUCH"):
            sigdb.score(con, "NOTHING")


def test_names_that_differ_in_case_only(copy):
    before = fingerprint(copy)
    for new in ([Signature("t_Cell", ("CD3E",))], [Signature("A", ("CD3E",)), Signature("a", ("CD3E",))]):
        with Atlas(copy) as atlas, pytest.raises(SignatureError, match="must differ in more than case"):
            atlas.add_signatures(new, replace=True)
    assert fingerprint(copy) == before


def test_a_library_of_an_older_sigdb_may_hold_such_names(copy):
    with Atlas(copy) as atlas:
        atlas.add_signatures([Signature("OLD", ("CD3E",))])
        atlas.con.execute("INSERT INTO sigdb_data.signature_info (signature) VALUES ('old')")
        atlas.con.execute("INSERT INTO sigdb_data.signatures VALUES ('old', 0, 'S100A8', 1)")
        atlas.add_signatures([Signature("old", ("S100A9",))], replace=True)
        assert sigdb.score(atlas.con, "old").equals(sigdb.score(atlas.con, ["S100A9"]))
        assert sigdb.score(atlas.con, "OLD").equals(sigdb.score(atlas.con, ["CD3E"]))
        with pytest.raises(QueryError, match="Old can mean several signatures of the library: OLD, old"):
            sigdb.score(atlas.con, "Old")


WORDS = {
    "by a list": (
        sigdb.hits,
        {"by": ["study"]},
        r"A column must be named by a text, such as 'study', not by \['study'\]",
    ),
    "by nothing": (sigdb.score_bins, {"by": None}, "A column must be named by a text"),
    "by two": (sigdb.group_scores, {"by": "study,tissue"}, "The cube has no column study,tissue"),
    "cells that are a list": (
        sigdb.hits,
        {"cells": ["true"]},
        r"A condition must be a text, such as .*, not \['true'\]",
    ),
    "cells that are empty": (sigdb.hits, {"cells": ""}, "This is not one SQL condition"),
    "groups that are a number": (sigdb.leading_genes, {"groups": 3}, "A condition must be a text"),
    "a basis that is none": (sigdb.embedding, {"basis": None}, "`basis` must be the name of an embedding"),
    "signed in words": (sigdb.hits, {"signed": "no"}, "signed must be False or True, not 'no'"),
    "missing that is true": (sigdb.leading_genes, {"missing": True}, "missing must be 'error' or 'ignore', not True"),
}


@pytest.mark.parametrize("case", WORDS)
def test_a_value_of_another_kind_is_refused(toy, case):
    function, options, said = WORDS[case]
    with pytest.raises(QueryError, match=said):
        function(toy, ["CD3E"], **options)


@pytest.mark.parametrize("genes", [{}, {1: ["CD3E"]}], ids=["none", "a number"])
def test_a_mapping_that_names_no_signatures(toy, genes):
    with pytest.raises(QueryError, match=r"must be given as `\{name: genes\}`"):
        sigdb.compare(toy, genes, by="cell_type", reference="T cell", unit="sample", within=None)
