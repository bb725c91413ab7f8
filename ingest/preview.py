"""What `ingest_files` would take from files of raw counts, without attributing cells or writing. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingest.counts.open import open_counts
from ingest.genes import map_to_models
from ingest.obs import add_embeddings, describe_fields, obs_table
from ingest.options import IngestOptions
from ingest.reading import read_notes
from ingest.store.study import check_samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from ingest.counts.open import CountsFile
    from ingest.fields import FieldReport
    from ingest.genes import GeneMap
    from ingest.models import CellModel
    from ingest.options import Source

__all__ = ["StudyPreview", "other_columns", "preview_study"]

# Cells of which a preview finds out how many genes a model reads.
FIRST_CELLS = 1000


@dataclass(frozen=True)
class StudyPreview:
    """What would be taken from a file.

    Parameters
    ----------
    study
        The name of the study.
    n_cells
        Its cells.
    counts_from
        The matrix of raw counts that would be read, or the file of scores.
    n_columns
        The columns of this matrix that are genes.
    n_genes_measured, n_model_genes
        How many genes of the model the study measured, and how many the model has. None without a model.
    fields
        Where each field of the cells would come from.
    columns
        The columns that are no field, and would be kept.
    notes
        What a user should know.

    Examples
    --------
    >>> from importlib.resources import files
    >>> from ingest import Source, preview_study
    >>> study = files("ingest") / "demo" / "studies" / "wu2020_tcell.h5ad"
    >>> found = preview_study(Source(study))
    >>> found.n_cells, found.counts_from
    (200, 'X')
    """

    study: str
    n_cells: int
    counts_from: str
    n_columns: int
    n_genes_measured: int | None
    n_model_genes: int | None
    fields: tuple[FieldReport, ...]
    columns: tuple[str, ...]
    notes: tuple[str, ...]


def preview_study(
    source: Source,
    genes: Sequence[str] | None = None,
    options: IngestOptions | None = None,
    *,
    model: CellModel | None = None,
) -> StudyPreview:
    """Find out what `ingest_files` would take from a file. Nothing is written, and no cell is attributed.

    Parameters
    ----------
    source
        The file.
    genes
        The genes of the model: `gene_ids` of what `load_model` returns. Default: genes are not compared.
    options
        As for `ingest_files`; layer, mapping, obsm and min_genes are used.
    model
        The model, whose genes are compared in place of `genes`. If it reads a limited number of genes of a cell, a note
        says how many it reads of the first cells.

    Returns
    -------
    StudyPreview
        What would be taken.

    Raises
    ------
    CountsError, GeneSpaceError, ObsError, OptionError
        As for `ingest_files`.

    Examples
    --------
    >>> from importlib.resources import files
    >>> from ingest import Source, load_model, preview_study
    >>> demo = files("ingest") / "demo"
    >>> model = load_model("mlp", demo / "model")
    >>> found = preview_study(Source(demo / "studies" / "wu2020_tcell.h5ad"), model=model)
    >>> found.n_model_genes
    7000
    >>> found.fields[1]
    FieldReport(field='donor', column='donor', n_values=14, n_missing=0, candidates=())
    """
    options = options or IngestOptions()
    with open_counts(source.path, layer=options.layer, obs=source.obs, mapping=options.mapping) as file:
        with file.obsm() as obsm:
            obs = add_embeddings(file.take_obs(), obsm, options.obsm)
        table, notes = obs_table(obs, study=source.name, mapping=options.mapping)
        check_samples(table, source.name)
        fields = describe_fields(obs, table, options.mapping)
        n_measured, notes = None, [*file.notes, *notes]
        if model is not None:
            genes = model.gene_ids
        if genes is not None:
            (found,), _ = map_to_models([genes], file.var_names, min_genes=options.min_genes)
            n_measured, notes = len(found.measured), [*notes, *found.notes]
            if model is not None and model.context_limit is not None:
                notes += read_first_cells(file, found, model)
        return StudyPreview(
            study=source.name,
            n_cells=file.n_cells,
            counts_from=file.counts_from,
            n_columns=len(file.var_names),
            n_genes_measured=n_measured,
            n_model_genes=None if genes is None else len(genes),
            fields=fields,
            columns=other_columns(table, fields),
            notes=tuple(notes),
        )


def read_first_cells(file: CountsFile, genes: GeneMap, model: CellModel) -> list[str]:
    """A note on the first cells, if a model does not read all their genes."""
    n_cells = min(FIRST_CELLS, file.n_cells)
    counts = genes(file.reader.read(0, n_cells))
    n_expressed = np.diff(counts.indptr)
    n_unread = np.diff(model.unread(counts, model.prepare(counts)).indptr)
    return read_notes(n_expressed, n_expressed - n_unread, f"the first {n_cells:,} of {file.n_cells:,} cells")


def other_columns(table: pa.Table, fields: Sequence[FieldReport]) -> tuple[str, ...]:
    """The columns of the cells that are neither their barcode nor a field."""
    return tuple(name for name in table.column_names if name not in {"barcode", *(each.field for each in fields)})
