"""Atlases small enough to compute by hand, written through the same functions as real ones."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from ingest.store.chunks import Chunk
from ingest.store.records import FIELDS, ModelInfo, RunSettings, StudyInfo, add_model, add_run
from ingest.store.stage import Stage
from ingest.store.study import NewStudy, begin_study
from sigdb import Atlas, Signature
from sigdb.connection import connect
from tests.support.prebuilt import copy_prebuilt

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSIONS = {"sigdb-atlas": "0", "torch": "0"}


def settings(**changes: object) -> RunSettings:
    """The settings of a run: integrated gradients with 50 steps, unless changed."""
    usual: dict[str, object] = {"method": "ig", "n_steps": 50, "baseline": "zero", "summation": "published"}
    usual |= {"target_sum": 1000.0, "device": "cpu", "versions": VERSIONS}
    return RunSettings(**{**usual, **changes})


def model_of(genes: Sequence[str], name: str = "toy-model") -> ModelInfo:
    """A model of these genes; models of one name are one checkpoint."""
    return ModelInfo(name, "mlp", f"sha of {name}", genes, 2)


def new_atlas(path: Path | str, genes: Sequence[str] = (), model: str = "toy-model") -> Atlas:
    """`Atlas.create(path)`, in less time: a copy of a prebuilt empty atlas.

    With genes, the atlas already knows the model that `write_study` writes scores of these genes for.
    """

    def build(made: Path) -> None:
        with Atlas.create(made) as atlas:
            if genes:
                with atlas.transaction() as con:
                    add_model(con, model_of(genes, model))

    key = hashlib.sha256(repr((tuple(genes), model)).encode()).hexdigest()[:16] if genes else "empty"
    return Atlas(copy_prebuilt(f"{key}.duckdb", build, Path(path)))


def obs_of(n: int, **columns: Sequence[object]) -> pa.Table:
    """obs of n cells, with barcodes b0, b1, ... and one sample; every field that is not given is NULL."""
    table = {"barcode": [f"b{i}" for i in range(n)]}
    table |= {name: pa.nulls(n, pa.bool_() if name == "in_vivo" else pa.string()) for name in FIELDS}
    table["sample"] = ["sample 1"] * n
    return pa.table({**table, **columns})


def write_study(
    atlas: Atlas,
    scores: np.ndarray,
    genes: Sequence[str],
    *,
    study: str = "toy",
    obs: pa.Table | None = None,
    model: str = "toy-model",
    run: str | None = None,
    run_settings: RunSettings | None = None,
    measured: Sequence[int] | None = None,
    chunks: int = 1,
    unread: np.ndarray | None = None,
) -> None:
    """Store dense scores (n_cells, n_genes) as a study. Zeros are not stored; NaN rows have no attributions.

    unread: (n_cells, n_genes), where a cell expresses a gene that the model did not read. It read the genes that have
    scores. None: it is not recorded what was read.
    """
    obs = obs if obs is not None else obs_of(len(scores))
    with atlas.transaction() as con:
        model_id, gene_ids = add_model(con, model_of(genes, model))
        run_id = add_run(con, model_id, run_settings or settings(), run)
        found = [gene_ids[i] for i in (measured if measured is not None else range(len(genes)))]
        writer = begin_study(con, NewStudy(StudyInfo(study, "X"), run_id, obs, gene_ids, found))
        with TemporaryDirectory() as folder:
            stage = Stage.open(Path(folder) / "stage", study, writer.gene_ids, writer.ranks)
            first = 0
            for number, part in enumerate(np.array_split(scores, chunks)):
                empty = np.isnan(part).all(axis=1)
                chunk = Chunk(
                    n_counts=np.full(len(part), 10.0),
                    n_genes=np.full(len(part), 5),
                    scores=csr_matrix(np.nan_to_num(part)),
                    scale=np.where(empty, np.nan, 0.5),
                    delta=np.where(empty, np.nan, 0.01),
                    error=np.where(empty, np.nan, 0.02),
                    **what_was_read(part, None if unread is None else unread[first : first + len(part)]),
                )
                stage.write_chunk(number, first, chunk, device="cpu", versions=VERSIONS)
                first += len(part)
            writer.store(stage)


def what_was_read(scores: np.ndarray, unread: np.ndarray | None) -> dict[str, np.ndarray]:
    """The fields of a chunk that say which expressed genes the model read."""
    if unread is None:
        unknown = np.full(len(scores), np.nan)
        return {"n_expressed": unknown, "n_read": unknown, "n_unread": np.zeros(scores.shape[1], np.int64)}
    n_read = (np.nan_to_num(scores) != 0).sum(axis=1)
    return {"n_expressed": n_read + unread.sum(axis=1), "n_read": n_read, "n_unread": unread.sum(axis=0)}


TOY_GENES = ("S100A8", "S100A9", "CD3E")


def make_toy(path: Path) -> Path:
    """One run of one study; MYELOID = S100A8, S100A9 (weights 1, 0.5), T_CELL = CD3E.

               S100A8  S100A9  CD3E      '.' = no row stored
    cell 0        6.0    -2.0     .      monocyte
    cell 1         .       .     9.0     T cell
    cell 2         .       .      .      nothing was attributed to this cell
    """
    scores = np.array([[6.0, -2.0, 0.0], [0.0, 0.0, 9.0], [np.nan] * 3])
    obs = obs_of(
        3, sample=["blood 1"] * 3, disease=["normal"] * 3, cell_type=["monocyte", "T cell", None], age=[61, 61, 61]
    )
    with new_atlas(path, TOY_GENES) as atlas:
        write_study(atlas, scores, TOY_GENES, obs=obs)
        atlas.add_signatures(
            [Signature("MYELOID", ("S100A8", "S100A9"), (1.0, 0.5), "by hand"), Signature("T_CELL", ("CD3E",))]
        )
    return path


def copy_toy(path: Path) -> Path:
    """Copy the prebuilt toy atlas to `path`."""
    return copy_prebuilt("toy.duckdb", make_toy, path)


def set_schema_version(path: Path | str, value: object) -> None:
    """Have an atlas file say that it has another schema."""
    with duckdb.connect(path) as con:
        con.execute("UPDATE sigdb_data.atlas_info SET value = ? WHERE key = 'schema_version'", [str(value)])


def make_schema_6(path: Path | str) -> None:
    """Take from an atlas what schema 7 added: which genes were not read."""
    with duckdb.connect(path) as con:
        con.execute("DROP VIEW unread_genes; DROP TABLE sigdb_data.unread_genes")
        for name in ("n_expressed", "n_read"):
            con.execute(f"ALTER TABLE sigdb_data.attributed_cells DROP COLUMN {name}")
    set_schema_version(path, 6)


def make_schema_5(path: Path | str) -> None:
    """Take from an atlas what schemas 6 and 7 added: the sums of gene_importance as well."""
    make_schema_6(path)
    with duckdb.connect(path) as con:
        for name in ("importance_sums", "importance_groups"):
            con.execute(f"DROP VIEW {name}; DROP TABLE sigdb_data.{name}")
    set_schema_version(path, 5)


def make_schema_4(path: Path | str) -> None:
    """Take from an atlas what schemas 5 to 7 added: the estimated errors of cells as well."""
    make_schema_5(path)
    with duckdb.connect(path) as con:
        con.execute("ALTER TABLE sigdb_data.attributed_cells DROP COLUMN integration_error")
    set_schema_version(path, 4)


# The macros of an atlas, without its id.
MACROS = """
    SELECT regexp_replace(m.function_name, 'atlas_[0-9a-f]{16}', 'atlas'), m.parameters,
        regexp_replace(m.macro_definition, 'atlas_[0-9a-f]{16}', 'atlas', 'g'), m.comment
    FROM duckdb_functions() AS m WHERE NOT m.internal ORDER BY ALL
"""


def fingerprint(path: Path | str) -> dict[str, object]:
    """Everything in an atlas file: the rows of each table, in order; columns; the text of views and macros.

    The id of the atlas, which public macros contain, is left out: an atlas that was imported has an id of its own.
    """
    with connect(path) as con:
        query = "SELECT table_name, sql FROM duckdb_tables() WHERE schema_name = 'sigdb_data' ORDER BY ALL"
        tables = con.execute(query).fetchall()
        found: dict[str, object] = {name: con.execute(f"FROM sigdb_data.{name}").fetchall() for name, _ in tables}
        found["tables"] = tables
        columns = "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() ORDER BY ALL"
        found["columns"] = con.execute(columns).fetchall()
        found["macros"] = con.execute(MACROS).fetchall()
    return found
