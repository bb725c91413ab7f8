"""Ingest says what it took as each field, which columns look like the rest, and which donors name nobody."""

from __future__ import annotations

import pytest

from ingest import IngestOptions, Method, Source, ingest_files, load_model, preview_study
from ingest.fields import FieldReport, find_candidates, notes_on_missing
from ingest.obs import describe_fields, obs_table
from sigdb.atlas.fields import names_none
from sigdb.errors import ObsError
from tests.ingest.conftest import small_adata

OBS = small_adata(6).obs


@pytest.mark.parametrize(
    ("field", "columns", "found"),
    [
        ("donor", ["n", "Patient_ID"], ["Patient_ID"]),
        ("donor", ["donor age", "subject.id", "SUBJECT"], ["subject.id", "SUBJECT", "donor age"]),
        ("sample", ["orig.ident", "libraryID", "batch"], ["orig.ident", "libraryID"]),
        ("cell_type", ["celltype_major", "CellType", "louvain"], ["CellType", "celltype_major"]),
        ("disease", ["disease_state", "Diagnosis"], ["Diagnosis", "disease_state"]),
        ("tissue", ["TissueType", "organ", "percent"], ["organ", "TissueType"]),
        ("sex", ["Gender", "sextant"], ["Gender", "sextant"]),
    ],
)
def test_columns_that_look_like_a_field(field, columns, found):
    assert find_candidates(field, columns) == tuple(found)


def test_fields_with_their_columns_and_candidates():
    obs = OBS.assign(Patient=["p1", None] * 3, empty_donor=None).drop(columns="donor_id")
    table, _ = obs_table(obs, study="s", mapping={"tissue": "cluster"})
    fields = {each.field: each for each in describe_fields(obs, table, {"tissue": "cluster"})}
    assert fields["sample"] == FieldReport("sample", "sample", 4, 0)
    assert fields["donor"] == FieldReport("donor", None, 0, 6, ("Patient",))
    assert fields["tissue"] == FieldReport("tissue", "cluster", 5, 0)
    assert fields["cell_type"] == FieldReport("cell_type", "cell_type", 2, 2)
    notes = notes_on_missing(list(fields.values()))
    assert "donor: none; candidates: Patient. To take the first: `mapping={'donor': 'Patient'}`" in notes
    assert notes[-1].startswith("no column looks like assay, ")
    # A field that the user left empty has no candidates.
    table, _ = obs_table(obs, study="s", mapping={"donor": ""})
    assert describe_fields(obs, table, {"donor": ""})[1].candidates == ()


def test_a_field_that_lacks_values_has_candidates_too():
    obs = OBS.assign(donor_id=["d0", None] * 3, patient="p")
    table, _ = obs_table(obs, study="s", mapping={})
    notes = notes_on_missing(describe_fields(obs, table, {}))
    assert notes[0].startswith("donor: 3 cells without; candidates: patient. ")


@pytest.mark.parametrize("name", ["not given", "Unknown", " n/a ", "NA", "none", "-", "not_provided", "pooled", ""])
def test_such_donors_name_nobody(name):
    assert names_none("donor", name)
    assert not names_none("cell_type", name)


@pytest.mark.parametrize("name", ["d1", "007", "Nathan", "Na", "unknown 1", None, 5])
def test_such_donors_are_somebody(name):
    assert names_none("donor", name) == (name == "Na")


def test_a_pool_is_a_sample_but_no_donor():
    assert names_none("donor", "pooled")
    assert not names_none("sample", "pooled")
    assert names_none("sample", "unassigned")


def test_donors_that_name_nobody_are_not_stored():
    obs = OBS.assign(donor_id=["d0", "not given", "NA", "not given", "d0", "not given"], cell_type="unknown")
    table, notes = obs_table(obs, study="s", mapping={})
    assert table["donor"].to_pylist() == ["d0", None, None, None, "d0", None]
    assert table["cell_type"].to_pylist() == ["unknown"] * 6
    assert notes[0] == ("donor: 4 of 6 cells have 'not given', 'NA', which names no donor; they count as missing")
    table, notes = obs_table(OBS.assign(sample=["unknown"] * 5 + ["s"]), study="s", mapping={})
    assert table["sample"].to_pylist() == ["unknown"] * 5 + ["s"]
    assert notes[0].endswith("have 'unknown', which names no sample; they stay one sample, which no comparison counts")


def test_a_preview_says_what_ingest_takes(tmp_path, small_model):
    path = tmp_path / "small.h5ad"
    small_adata(40).write_h5ad(path)
    model = load_model("mlp", small_model)
    found = preview_study(Source(path), model.gene_ids)
    assert list(tmp_path.iterdir()) == [path]
    (report,) = ingest_files(tmp_path / "atlas.duckdb", [Source(path)], model, IngestOptions(Method(n_steps=2)))
    assert found.fields == report.fields
    assert (found.n_cells, found.counts_from) == (report.n_cells, report.counts_from)
    assert (found.n_genes_measured, found.n_model_genes) == (report.n_genes_measured, len(model.gene_ids))
    assert preview_study(Source(path)).n_genes_measured is None


def test_a_preview_finds_samples_that_vary(tmp_path):
    adata = small_adata(40)
    adata.obs["sample"] = "one"
    adata.write_h5ad(tmp_path / "small.h5ad")
    with pytest.raises(ObsError, match="donor has several values within 1 samples"):
        preview_study(Source(tmp_path / "small.h5ad"))


def test_a_dry_run_of_the_command_writes_nothing(sigdb_ingest, tmp_path):
    adata = small_adata(40)
    adata.obs = adata.obs.rename(columns={"donor_id": "Patient"})
    adata.write_h5ad(tmp_path / "small.h5ad")
    before = sorted(tmp_path.iterdir())
    code, out, err = sigdb_ingest(tmp_path / "small.h5ad", "--dry-run")
    assert (code, err) == (0, "")
    assert "small: donor: none; candidates: Patient. To take the first: --map donor=Patient" in out
    assert out.endswith("Nothing was computed or written.\n")
    assert sorted(tmp_path.iterdir()) == before
    code, out, _ = sigdb_ingest(tmp_path / "small.h5ad", "--map", "donor=Patient")
    assert code == 0
    assert "donor: none" not in out
