"""From an .h5ad file to rows in an atlas: the steps in order, and nothing kept in memory beyond a chunk of cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ingest.align import GeneMap, map_genes
from ingest.attribution import TARGET_SUM, concatenate, integrated_gradients, scale
from ingest.obs import obs_table
from ingest.read import CountsFile, open_h5ad
from ingest.write import Chunk, ModelInfo, RunSettings, StudyInfo, add_model, add_run, begin_study, cluster
from sigdb.atlas import Atlas

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from ingest.models import CellModel

__all__ = ["IngestOptions", "Source", "StudyReport", "ingest_files", "ingest_study"]

CHUNK_CELLS = 2048
# SIGnature's own threshold for SCimilarity: below it, data are of another species or use other names.
MIN_GENES = 500


@dataclass(frozen=True)
class IngestOptions:
    """How to attribute, and what to take from the files.

    layer: the matrix of raw counts (default: found). mapping: atlas field -> obs column. run: a name for the run.
    min_genes: fewest genes that model and study must share (default: 500, or half of a smaller model's). batch_size:
    cells attributed at a time. progress: told (study, cells done, cells in all), at the start and after each batch.
    """

    n_steps: int = 50
    layer: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    run: str | None = None
    min_genes: int | None = None
    batch_size: int = 64
    progress: Callable[[str, int, int], None] = lambda study, done, total: None


@dataclass(frozen=True)
class StudyReport:
    """What came of one study. notes: what a user should know about how its file was read."""

    study: str
    n_cells: int
    n_scores: int
    n_genes_measured: int
    n_empty_cells: int
    median_delta: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A file to ingest, and what to call and say of it. study: its name in the atlas (default: the file's)."""

    path: Path
    study: str = ""
    title: str | None = None
    organism: str | None = None
    source: str | None = None
    licence: str | None = None

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study or self.path.name.removesuffix(".h5ad")


def ingest_files(
    path: str | os.PathLike[str], sources: Sequence[Source], model: CellModel, options: IngestOptions | None = None
) -> list[StudyReport]:
    """Add studies to the atlas at `path`, which is made if there is none, and cluster it; a report for each study.

    Each study is in the atlas whole, or not at all: an error in the third file leaves the first two. An atlas that was
    made for nothing is removed. Errors as for `ingest_study`.
    """
    path = Path(path)
    is_new = not path.exists()
    reports: list[StudyReport] = []
    try:
        with Atlas.open_or_create(path) as atlas:
            try:
                reports.extend(ingest_study(atlas, source, model, options) for source in sources)
            finally:
                if reports:
                    with atlas.transaction() as con:
                        cluster(con)
    except BaseException:
        if is_new and not reports:
            path.unlink(missing_ok=True)
        raise
    return reports


def ingest_study(atlas: Atlas, source: Source, model: CellModel, options: IngestOptions | None = None) -> StudyReport:
    """Attribute all cells of an .h5ad file by Integrated Gradients and add them to the atlas as a study.

    One transaction: a study is in the atlas whole, or not at all. Raises CountsError, GeneSpaceError, ObsError or
    StudyExistsError, each saying what to do.
    """
    options = options or IngestOptions()
    study = source.name
    with open_h5ad(source.path, layer=options.layer) as file, atlas.transaction() as con:
        obs, notes = obs_table(file.obs, study=study, mapping=options.mapping)
        model_id, gene_ids = add_model(con, model_info(model))
        settings = run_settings(options.n_steps)
        run_id = add_run(con, model_id, settings, options.run)
        least = options.min_genes or min(MIN_GENES, (len(gene_ids) + 1) // 2)
        genes = map_genes(con, file.var_names, gene_ids, min_genes=least)
        writer = begin_study(
            con,
            run_id=run_id,
            study=StudyInfo(study, file.counts_from, source.title, source.organism, source.source, source.licence),
            obs=obs,
            gene_ids=gene_ids,
            measured=[gene_ids[n] for n in genes.measured],
        )
        deltas: list[NDArray[np.floating]] = [np.zeros(0)]
        for chunk in attributed_chunks(file, study, genes, model, options):
            writer.write(chunk, device=settings.device, versions=settings.versions)
            deltas.append(chunk.delta)
        writer.finish()
    delta = np.abs(np.concatenate(deltas))
    n_empty = int(np.isnan(delta).sum())
    return StudyReport(
        study=study,
        n_cells=writer.n_written,
        n_scores=writer.n_scores,
        n_genes_measured=len(genes.measured),
        n_empty_cells=n_empty,
        median_delta=float(np.nanmedian(delta)) if n_empty < len(delta) else float("nan"),
        notes=(*(() if writer.has_cells else notes), *writer.notes),
    )


def attributed_chunks(
    file: CountsFile, study: str, genes: GeneMap, model: CellModel, options: IngestOptions
) -> Iterator[Chunk]:
    """Yield the cells of a study, attributed, a chunk at a time."""
    done = 0
    options.progress(study, done, file.n_cells)
    for counts in file.chunks(CHUNK_CELLS):
        blocks = []
        for start in range(0, counts.shape[0], options.batch_size):
            x = model.normalisation(genes(counts[start : start + options.batch_size]))
            blocks.append(integrated_gradients(model, x, n_steps=options.n_steps))
            done += x.shape[0]
            options.progress(study, done, file.n_cells)
        attributions = concatenate(blocks)
        scores, scales = scale(attributions)
        yield Chunk(
            n_counts=np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel(),
            n_genes=np.diff(counts.indptr),
            scores=scores,
            scale=scales,
            delta=np.where(np.isnan(scales), np.nan, attributions.delta),
        )


def model_info(model: CellModel) -> ModelInfo:
    """What the atlas records of a model."""
    return ModelInfo(
        name=model.name,
        architecture=model.architecture,
        checkpoint_sha256=model.sha256,
        genes=model.gene_ids,
        latent_dim=model.latent_dim,
        description=model.description,
    )


def run_settings(n_steps: int) -> RunSettings:
    """What the atlas records of a run: the summation is that of SIGnature's published atlases."""
    return RunSettings(
        method="ig",
        n_steps=n_steps,
        baseline="zero",
        summation="published",
        target_sum=TARGET_SUM,
        device="cpu",
        versions={package: version(package) for package in ("sigdb-atlas", "torch", "captum", "numpy")},
    )
