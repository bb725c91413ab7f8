"""What scores say about the names of their genes: which were left out, and which are other names."""

from __future__ import annotations

import shutil

import pytest

import sigdb
from sigdb import Atlas, Signature
from sigdb.scores.names import name_notes

# P8 is an alias of several genes.
LEFT_OUT = (
    "Scored 3 of 6 genes. The model of this run does not know the other 3: NOPE1, S100A88 (did you mean S100A8?), "
    "P8 (ambiguous: S100A8)."
)
OTHER = "Names that are not symbols of this atlas: s100a9 is S100A9 (case), ENSG00000198851 is CD3E (ensembl)."
GENES = ["S100A8", "s100a9", "NOPE1", "S100A88", "P8", "ENSG00000198851"]


def test_names_that_are_not_symbols(toy):
    assert name_notes(toy, GENES) == (LEFT_OUT, OTHER)
    assert name_notes(toy, ["S100A8", "CD3E"]) == ()
    assert name_notes(toy, signatures=["T_CELL"]) == ()
    half = "Less than half of the genes are scored, so this is a score of another set of genes."
    assert name_notes(toy, ["NOPE1", "NOPE1"]) == (
        "Scored 0 of 1 gene. The model of this run does not know it: NOPE1.",
        half,
    )
    assert half not in name_notes(toy, ["NOPE1", "CD3E"])
    many = [f"NOPE{n}" for n in range(1000)]
    assert name_notes(toy, many)[0].endswith("NOPE9 and 990 more.")


FINDINGS = {
    "hits": lambda con, genes: sigdb.hits(con, genes, min_cells=1, min_samples=1, missing="ignore"),
    "matched_null": lambda con, genes: sigdb.matched_null(con, genes, n_controls=5, min_cells=1, missing="ignore"),
    "leading_genes": lambda con, genes: sigdb.leading_genes(con, genes, min_cells=1, missing="ignore"),
    "score_bins": lambda con, genes: sigdb.score_bins(con, genes, min_cells=1, missing="ignore"),
    "group_scores": lambda con, genes: sigdb.group_scores(con, genes, calibrated=False, min_cells=1, missing="ignore"),
    "gene_dots": lambda con, genes: sigdb.gene_dots(con, genes, min_cells=1, missing="ignore"),
    "compare": lambda con, genes: sigdb.compare(
        con,
        {"a": genes, "b": genes},
        by="cell_type",
        reference="T cell",
        unit="sample",
        within=None,
        min_cells=1,
        missing="ignore",
    ),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_every_finding_tells_them_once(toy, name):
    notes = FINDINGS[name](toy, GENES).notes
    assert (notes.count(LEFT_OUT), notes.count(OTHER)) == (1, 1)


def test_scores_without_notes_log_them(toy, toy_path, tmp_path, caplog):
    sigdb.score(toy, GENES, missing="ignore")
    assert caplog.messages == [LEFT_OUT, OTHER]
    caplog.clear()
    sigdb.register_signature(toy, "mine", ["S100A8", "NOPE1"], missing="ignore")
    signature = Signature("A", ("NOPE1", "S100A8"))
    sigdb.score_matrix(toy, [signature])
    with Atlas(shutil.copy(toy_path, tmp_path / "copy.duckdb")) as atlas:
        atlas.add_signatures([signature])
        atlas.materialize(["A"])
        atlas.add_views(["A"])
    assert caplog.messages == ["Scored 1 of 2 genes. The model of this run does not know the other: NOPE1."] * 4
