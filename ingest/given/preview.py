"""What `load_file` would take from a file of scores, without writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ingest.given.files import open_scores
from ingest.given.scores import check_genes, check_scores, scale_scores
from ingest.obs import describe_fields, obs_table
from ingest.preview import StudyPreview, other_columns
from ingest.store.study import check_samples

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.given.load import LoadOptions
    from ingest.given.scores import GivenScores

__all__ = ["preview_file"]


def preview_file(
    matrix: Path,
    options: LoadOptions,
    *,
    study: str = "",
    obs: Path | None = None,
    genes: Path | None = None,
    layer: str | None = None,
) -> StudyPreview:
    """Find out what `load_file` would take from a file, and check the scores of the first cells; nothing is written.

    Parameters and errors as for `load_file`. What needs the atlas is not checked: whether it has the study, and the
    signs of the other studies of the run.
    """
    with open_scores(matrix, obs=obs, genes=genes, layer=layer, mapping=options.mapping) as scores:
        return preview_scores(scores, study or matrix.stem, options)


def preview_scores(scores: GivenScores, study: str, options: LoadOptions) -> StudyPreview:
    """What `load_study` would take of scores that are open for reading."""
    check_genes(scores.genes, options.measured)
    cells, _ = scores.split_obs()
    table, notes = obs_table(cells, study=study, mapping=options.mapping, divide=options.divide_samples)
    check_samples(table, study)
    measured = scores.genes if options.measured is None else options.measured
    first = scores.rows(0, min(scores.n_chunk, len(cells)))
    checked = check_scores(first, 0, scores.genes, np.isin(scores.genes, measured))
    scale_scores(checked, 0, options.target_sum, rescale=options.rescale)
    if first.shape[0] < len(cells):
        notes = [*notes, f"the scores of the first {first.shape[0]:,} of {len(cells):,} cells were checked"]
    fields = describe_fields(cells, table, options.mapping)
    return StudyPreview(
        study=study,
        n_cells=len(cells),
        counts_from=scores.origin,
        n_columns=len(scores.genes),
        n_genes_measured=len(set(measured)),
        n_model_genes=len(scores.genes),
        fields=fields,
        columns=other_columns(table, fields),
        notes=tuple(notes),
    )
