"""Annotations change metadata and what is derived from them; cells keep their ids and scores."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal

import numpy as np
import pandas as pd
import pytest

import sigdb
from ingest import (
    AnnotateOptions,
    IngestOptions,
    Method,
    Source,
    annotate_cells,
    drop_columns,
    ingest_files,
    load_model,
)
from ingest.annotate import annotate as annotating
from sigdb.errors import AtlasError, ObsError, OptionError
from tests.ingest.conftest import scores_of, small_adata
from tests.support.prebuilt import copy_prebuilt
from tests.support.toy import fingerprint

OPTIONS = IngestOptions(Method(n_steps=2))
LABELS = ["cell_type", "sample", "donor", "disease", "tissue"]


@pytest.fixture(scope="module")
def built(tmp_path_factory, small_model):
    """An atlas of two studies of 40 cells with the same barcodes, and a materialised signature."""
    folder = tmp_path_factory.mktemp("annotate")

    def build(path):
        sources = []
        for name in ("one", "two"):
            study = folder / f"{name}.h5ad"
            small_adata(40, seed=len(sources)).write_h5ad(study)
            sources.append(Source(study))
        ingest_files(path, sources, load_model("mlp", small_model), OPTIONS)
        with sigdb.Atlas(path) as atlas:
            atlas.add_signatures([sigdb.Signature("T", ("CD3D", "CD3E"))])
            atlas.materialize(["T"])

    return copy_prebuilt("annotate.duckdb", build, folder / "built.duckdb")


@pytest.fixture
def atlas(built, tmp_path):
    path = tmp_path / "a.duckdb"
    shutil.copy(built, path)
    return path


def cells(path, columns="*"):
    with sigdb.connect(path) as con:
        return con.execute(f"SELECT {columns} FROM cells ORDER BY cell_id").df()


def check_sound(path):
    with sigdb.connect(path) as con:
        assert [each.check for each in sigdb.verify(con) if each.n and not each.is_advice] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_random_annotations_change_what_pandas_changes(atlas, seed):
    """The oracle is a data frame. Names of divided samples begin with the name of the sample."""
    rng = np.random.default_rng(seed)
    before, scores = cells(atlas), scores_of(atlas)
    rows = before.sample(frac=rng.uniform(0.2, 1), random_state=seed)[["barcode", "study"]].reset_index(drop=True)
    for name in rng.choice([*LABELS, "cluster", "new"], size=3, replace=False):
        values = rng.choice([None, "a", "b", "c"] if name != "cluster" else [None, 1, 2], size=len(rows))
        rows[name] = pd.Series(values, dtype=object)
    clear = bool(seed % 2) and "sample" not in rows
    annotate_cells(atlas, rows, AnnotateOptions(clear=clear))
    found, expected = cells(atlas), before.assign(new=before.get("new")).astype(object)
    named = before.merge(rows.reset_index(), on=["study", "barcode"], how="left", suffixes=("", "_new"))["index"]
    for name in set(rows) - {"study", "barcode"}:
        for cell, row in named.dropna().items():
            value = rows[name][int(row)]
            if value is not None or clear:
                expected.loc[cell, name] = value
    for name in {"cell_id", "barcode", "study", *LABELS, "cluster", *rows} - {"sample"}:
        assert [None if pd.isna(x) else x for x in found[name]] == [None if pd.isna(x) else x for x in expected[name]]
    assert all(
        new == old or new.startswith(f"{old} | ") for new, old in zip(found["sample"], expected["sample"], strict=True)
    )
    assert scores_of(atlas) == scores
    check_sound(atlas)


def test_an_annotation_equals_an_ingest_with_these_metadata(tmp_path, small_model):
    """The cube, the group sizes and the samples are those of a study that was ingested with the metadata."""
    poor, rich = small_adata(40), small_adata(40)
    poor.obs = poor.obs[["sample"]]
    rich.obsm["X_umap"] = np.arange(80.0).reshape(40, 2)
    for name, adata in (("poor", poor), ("rich", rich)):
        adata.write_h5ad(tmp_path / f"{name}.h5ad")
    model = load_model("mlp", small_model)
    ingest_files(tmp_path / "a.duckdb", [Source(tmp_path / "poor.h5ad", study="s")], model, OPTIONS)
    with_umap = IngestOptions(Method(n_steps=2), obsm=["X_umap"])
    ingest_files(tmp_path / "b.duckdb", [Source(tmp_path / "rich.h5ad", study="s")], model, with_umap)
    options = AnnotateOptions(columns=["donor_id", "disease", "cell_type", "cluster", "doublet_score"], obsm=["X_umap"])
    report = annotate_cells(tmp_path / "a.duckdb", tmp_path / "rich.h5ad", options)
    assert (report.n_rows, report.n_named, report.n_others, report.studies) == (40, 40, 0, ("s",))
    queries = (
        """SELECT sample, cell_type, symbol, n_nonzero, round(sum_abs, 6), round(sum_signed, 6), round(sum_sq, 6)
        FROM attribution_summary JOIN samples USING (sample_id) JOIN genes USING (gene_id) ORDER BY ALL""",
        "SELECT sample, cell_type, g.n_cells FROM group_sizes AS g JOIN samples USING (sample_id) ORDER BY ALL",
        """SELECT * EXCLUDE (group_id) REPLACE (round(sum_abs, 6) AS sum_abs, round(sum_signed, 6) AS sum_signed)
        FROM importance_groups JOIN importance_sums USING (group_id) ORDER BY ALL""",
        "SELECT * EXCLUDE (sample_id) FROM samples ORDER BY ALL",
        """SELECT barcode, sample, donor, disease, cell_type, cluster, doublet_score, umap_1, umap_2
        FROM cells ORDER BY ALL""",
    )
    for query in queries:
        with sigdb.connect(tmp_path / "a.duckdb") as con, sigdb.connect(tmp_path / "b.duckdb") as other:
            assert con.execute(query).fetchall() == other.execute(query).fetchall() != []
    check_sound(tmp_path / "a.duckdb")


def test_a_new_disease_moves_no_cell_but_changes_what_matters_to_it(atlas):
    query = "SELECT count(*) FROM gene_importance(disease := 'other', study := 'one')"
    annotate_cells(atlas, pd.DataFrame({"sample": ["s0"], "disease": ["other"]}), AnnotateOptions(study="one"))
    with sigdb.connect(atlas) as con:
        assert con.execute(query).fetchone()[0] > 0
    check_sound(atlas)


def test_rows_by_sample_study_or_label(atlas):
    table = pd.DataFrame({"sample": ["s0", "s1"], "stage": ["III", "IV"]})
    report = annotate_cells(atlas, table, AnnotateOptions(study="one"))
    assert (report.n_named, report.n_others) == (20, 20)
    assert report.notes == (
        "the data frame has no column 'barcode': its first column, 'sample', names the cells",
        "development_stage: none; candidates: stage. To take the first: `mapping={'development_stage': 'stage'}`",
    )
    assert set(cells(atlas, "study, sample, stage").dropna().itertuples(index=False, name=None)) == {
        ("one", "s0", "III"),
        ("one", "s1", "IV"),
    }
    annotate_cells(atlas, pd.DataFrame({"study": ["two"], "tissue": ["lung"]}))
    assert set(cells(atlas, "study, tissue").itertuples(index=False, name=None)) == {("one", None), ("two", "lung")}
    names = pd.DataFrame({"old": ["monocyte"], "new": ["Mono"]})
    annotate_cells(atlas, names, AnnotateOptions(on={"cell_type": "old"}, mapping={"cell_type": "new"}))
    assert set(cells(atlas, "cell_type")["cell_type"].dropna()) == {"Mono", "T cell"}
    check_sound(atlas)


def test_samples_are_divided_where_their_cells_differ(atlas):
    table = pd.DataFrame({"barcode": ["cell0", "cell4"], "study": "one", "tissue": ["lung", "blood"]})
    report = annotate_cells(atlas, table)
    assert report.notes == (
        "one: tissue varies within 1 sample, which is divided: 's0 | blood' is one of the new samples",
    )
    samples = cells(atlas, "study, sample, tissue").value_counts(dropna=False).to_dict()
    assert samples["one", "s0 | lung", "lung"] == samples["one", "s0 | blood", "blood"] == 1
    assert {name for study, name, _ in samples if study == "one"} == {
        *("s0 | blood", "s0 | lung", "s0 | unknown", "s1", "s2", "s3"),
    }
    check_sound(atlas)


def test_empty_values_change_nothing_unless_they_clear(atlas):
    table = pd.DataFrame({"barcode": ["cell1"], "study": "one", "cell_type": [None], "disease": ["flu"]})
    before = fingerprint(atlas)
    assert annotate_cells(atlas, table).n_changed == 0
    assert fingerprint(atlas) == before
    (change,) = annotate_cells(atlas, table, AnnotateOptions(clear=True)).changes
    assert change == annotating.ColumnChange("cell_type", 1, 1, (("T cell", None, 1),))
    assert pd.isna(cells(atlas, "barcode, study, cell_type").set_index(["study", "barcode"]).cell_type["one", "cell1"])
    check_sound(atlas)


def test_donors_that_name_nobody_are_empty(atlas):
    table = pd.DataFrame({"donor": ["d0"], "new": ["not given"]})
    options = AnnotateOptions(on={"donor": "donor"}, mapping={"donor": "new"})
    report = annotate_cells(atlas, table, options)
    assert report.notes == ("donor: 1 of 1 rows have 'not given', which names no donor; they count as missing",)
    assert report.n_changed == 0
    assert set(cells(atlas)["donor"]) == {"d0", "d1"}


def test_a_column_keeps_or_widens_its_type(atlas):
    table = pd.DataFrame({"cluster": [0, 1], "size": [1.5, 2.5], "named": ["x", "1"]})
    annotate_cells(atlas, table, AnnotateOptions(on={"cluster": "cluster"}))
    options = AnnotateOptions(on={"size": "size"}, mapping={"cell_type": "type"}, columns=["cluster"])
    report = annotate_cells(atlas, pd.DataFrame({"size": [1.5], "cluster": ["none"], "type": "B"}), options)
    assert report.notes == (
        "column 'cluster' of the atlas is VARCHAR now: it was BIGINT, and is VARCHAR in this study",
    )
    found = cells(atlas, "cluster, size, named, cell_type")
    assert set(found.cluster) == {"none", "1", "2", "3", "4"}
    assert set(found.cell_type[found["size"] == 1.5]) == {"B"}


@pytest.mark.parametrize(
    ("table", "options", "error", "text"),
    [
        (
            {"barcode": ["cell0", "no"], "x": 1},
            {"study": "one"},
            ObsError,
            r"1 of 2 rows .* study one by barcode \(no\)",
        ),
        ({"barcode": ["cell0"], "x": 1}, {}, ObsError, r"1 of 1 rows of the data frame name several cells .*\(cell0\)"),
        ({"barcode": ["a", "a"], "x": 1}, {}, ObsError, r"1 of 1 names of cells occur more than once .*: a\. Give"),
        ({"sample": ["s0", None], "x": 1}, {}, ObsError, "1 of 2 rows of the data frame have no sample"),
        ({"sample": ["s9"], "x": 1}, {}, ObsError, r"by sample \(s9\); the atlas has 's0', 's1', 's2'"),
        ({"s": ["s0"], "x": 1}, {"on": {"smaple": "s"}}, OptionError, "no column 'smaple' .* Did you mean 'sample'"),
        ({"s": ["s0"], "x": 1}, {"on": {"sample": "t"}}, OptionError, r"no column 't' \(`on`\)"),
        ({"sample": ["s0"], "x": 1}, {"study": "on"}, OptionError, "no study 'on' .* Did you mean 'one'"),
        ({"sample": ["s0"], "x": 1}, {"columns": ["y"]}, OptionError, r"no column 'y' \(`columns`\)"),
        (
            {"sample": ["s0"], "x": 1},
            {"mapping": {"donr": "x"}},
            OptionError,
            "no field 'donr' .* Did you mean 'donor'",
        ),
        ({"sample": ["s0"], "x": 1}, {"mapping": {"donor": "y"}}, OptionError, "no column 'y' for the field donor"),
        (
            {"sample": ["s0"], "Donor": ["d7"], "Cell_Type": "T"},
            {},
            OptionError,
            r"no column 'donor', but 'Donor'. `mapping={'donor': 'Donor'}` takes .* field, `columns=\['Donor'\]`",
        ),
        ({"sample": ["s0"], "CellType": "T"}, {}, OptionError, "no column 'cell_type', but 'CellType'"),
        ({"sample": ["s0"]}, {}, OptionError, "no column to take beside .*: sample"),
        ({"sample": ["s0"], "in_vivo": "maybe"}, {}, ObsError, "in_vivo must be true or false, not maybe"),
    ],
)
def test_what_cannot_be_annotated(built, table, options, error, text):
    with pytest.raises(error, match=text):
        annotate_cells(built, pd.DataFrame(table), AnnotateOptions(**options), dry_run=True)


def test_a_field_in_other_letters_is_taken_if_a_user_says_how(built):
    table = pd.DataFrame({"sample": ["s0"], "Donor": ["d7"], "CELL_ID": [1]})
    mapped = annotate_cells(built, table, AnnotateOptions(mapping={"donor": "Donor"}), dry_run=True)
    named = annotate_cells(built, table, AnnotateOptions(columns=["Donor"]), dry_run=True)
    assert [[change.column for change in each.changes] for each in (mapped, named)] == [["donor"], ["obs_Donor"]]
    ids = annotate_cells(built, table.drop(columns="Donor").assign(x=1), dry_run=True)
    assert [change.column for change in ids.changes] == ["x"]
    assert "not taken, because no annotation changes them: CELL_ID" in ids.notes


def test_a_column_that_may_be_a_field_is_taken_with_a_note(built):
    report = annotate_cells(built, pd.DataFrame({"sample": ["s0"], "patient": ["d7"]}), dry_run=True)
    assert [change.column for change in report.changes] == ["patient"]
    assert "donor: none; candidates: patient. To take the first: `mapping={'donor': 'patient'}`" in report.notes


def test_a_column_that_differs_in_case_changes_the_one_that_exists_and_says_so(atlas):
    annotate_cells(atlas, pd.DataFrame({"sample": ["s0"], "Grade": ["III"]}))
    report = annotate_cells(atlas, pd.DataFrame({"sample": ["s0"], "grade": ["IV"]}))
    assert (
        "column 'grade' is taken as the column 'Grade' of the atlas: SQL knows no upper and lower case" in report.notes
    )
    assert set(cells(atlas, "Grade").Grade.dropna()) == {"IV"}


@pytest.mark.parametrize(("name", "separator"), [("t.csv", ";"), ("t.csv", "\t"), ("t.tsv", ",")])
def test_a_file_with_another_separator_is_refused(built, tmp_path, name, separator):
    (tmp_path / name).write_text(f"sample{separator}grade\ns0{separator}III\n")
    with pytest.raises(ObsError, match=f"its only column is .*, so {re.escape(repr(separator))} seems to separate"):
        annotate_cells(built, tmp_path / name, dry_run=True)


def test_rows_without_a_cell_may_be_ignored(atlas):
    table = pd.DataFrame({"barcode": ["cell0", "no", "nor"], "x": 1})
    report = annotate_cells(atlas, table, AnnotateOptions(study="one", unmatched="ignore"))
    assert report.notes == ("2 of 3 rows name no cell (no, nor)",)
    assert cells(atlas)["x"].notna().sum() == 1
    with pytest.raises(ObsError, match="2 of 2 rows"):
        annotate_cells(atlas, table[1:], AnnotateOptions(study="one", unmatched="ignore"))


def test_a_dry_run_reports_the_same_and_changes_nothing(atlas, tmp_path):
    file = tmp_path / "labels.tsv"
    file.write_text("barcode\tstudy\tcell_type\tbatch\tn_counts\ncell0\tone\tB cell\t07\t5\ncell2\ttwo\tB cell\t\t6\n")
    before = fingerprint(atlas)
    planned = annotate_cells(atlas, file, dry_run=True)
    assert fingerprint(atlas) == before
    assert planned == annotate_cells(atlas, file)
    assert [(each.column, each.n_cells) for each in planned.changes] == [("cell_type", 2), ("batch", 1)]
    assert planned.notes == ("not taken, because no annotation changes them: n_counts",)
    assert sorted(cells(atlas, "batch")["batch"].dropna()) == ["07"]


def test_a_table_of_all_cells_changes_nothing(atlas, tmp_path):
    """What the atlas wrote can be read back."""
    with sigdb.connect(atlas, trusted=True) as con:
        con.sql("SELECT * FROM cells").write_parquet(str(tmp_path / "cells.parquet"))
    report = annotate_cells(atlas, tmp_path / "cells.parquet")
    assert (report.n_named, report.n_changed) == (80, 0)
    check_sound(atlas)


def test_a_failure_at_the_end_changes_nothing(atlas, monkeypatch):
    before = fingerprint(atlas)
    monkeypatch.setattr(annotating, "drop_samples", lambda *_: 1 / 0)
    table = pd.DataFrame({"sample": ["s0"], "donor": ["d7"], "new": [1]})
    with pytest.raises(ZeroDivisionError):
        annotate_cells(atlas, table)
    assert fingerprint(atlas) == before


def annotate_and_die(path):
    """The body of a process that is killed when everything is changed, and nothing is committed."""
    annotating.drop_samples = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    annotate_cells(path, pd.DataFrame({"sample": ["s0"], "donor": ["d7"], "new": [1]}))


@pytest.mark.slow
def test_a_killed_process_changes_nothing(atlas):
    before = fingerprint(atlas)
    process = multiprocessing.get_context("spawn").Process(target=annotate_and_die, args=(atlas,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert fingerprint(atlas) == before


def test_an_added_column_can_be_dropped_and_the_views_follow(atlas):
    before = fingerprint(atlas)
    with sigdb.Atlas(atlas) as opened:
        opened.add_views(["T"])
    annotate_cells(atlas, pd.DataFrame({"sample": ["s0"], "grade": ["III"], "Odd name": ["x"]}))
    drop_columns(atlas, ["grade", "Odd name"], dry_run=True)
    assert {"grade", "Odd name"} < set(cells(atlas).columns)
    drop_columns(atlas, ["grade", "Odd name", "grade"])
    with sigdb.connect(atlas) as con:
        names = con.sql("FROM cell_scores.T").columns
    assert not {"grade", "Odd name"} & {*cells(atlas).columns, *names}
    with sigdb.Atlas(atlas) as opened:
        opened.drop_views(["T"])
    assert fingerprint(atlas) == before
    check_sound(atlas)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (["size", "siez"], "no column 'siez'. Did you mean 'size'"),
        (["size", "donor"], "Every atlas has the column 'donor'"),
        (["size", "n_counts"], "Every atlas has the column 'n_counts'"),
    ],
)
def test_columns_that_cannot_be_dropped_leave_the_atlas_as_it_was(atlas, columns, text):
    annotate_cells(atlas, pd.DataFrame({"sample": ["s0"], "size": [1.5]}))
    before = fingerprint(atlas)
    with pytest.raises(OptionError, match=text):
        drop_columns(atlas, columns)
    assert fingerprint(atlas) == before


def test_a_lake_is_not_annotated(tmp_path):
    (tmp_path / "a.lake").mkdir()
    with pytest.raises(AtlasError, match=r"a folder, not an atlas file. .*import_lake"):
        annotate_cells(tmp_path / "a.lake", pd.DataFrame({"sample": ["s0"], "x": [1]}))
