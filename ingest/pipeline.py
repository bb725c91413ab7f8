"""From a file of counts to rows in an atlas: the steps in order, and nothing kept in memory beyond a chunk of cells."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ingest.align import GeneMap, map_genes
from ingest.attribution import TARGET_SUM, Method
from ingest.compute import Compute, place
from ingest.obs import obs_table
from ingest.read import CountsFile, open_counts, study_name
from ingest.workers import Job, Workers
from ingest.write import ModelInfo, RunSettings, StudyInfo, add_model, add_run, begin_study, cluster
from sigdb.atlas import Atlas
from sigdb.errors import MethodError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Mapping, Sequence

    import duckdb
    from numpy.typing import NDArray

    from ingest.baseline import Profile, ReferenceCells
    from ingest.models import CellModel
    from ingest.write import Chunk

__all__ = ["IngestOptions", "Source", "StudyReport", "ingest_files", "ingest_study"]

CHUNK_CELLS = 2048
# SIGnature's own threshold for SCimilarity: below it, data are of another species or use other names.
MIN_GENES = 500


@dataclass(frozen=True)
class IngestOptions:
    """How to attribute, and what to take from the files.

    baseline: cells whose mean takes the place of a cell without expression. max_delta: the largest median of
    |completeness delta|, as a share of a cell's attribution, that is stored. layer: the matrix of raw counts (default:
    found). mapping: atlas field -> obs column. run: a name for the run. min_genes: fewest genes that model and study
    must share (default: 500, or half of a smaller model's). progress: told (study, cells done, cells in all), at the
    start and after each batch, or each chunk where there are several workers.
    """

    method: Method = field(default_factory=Method)
    baseline: ReferenceCells | None = None
    compute: Compute = field(default_factory=Compute)
    max_delta: float | None = None
    layer: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    run: str | None = None
    min_genes: int | None = None
    progress: Callable[[str, int, int], None] = lambda study, done, total: None

    def __post_init__(self) -> None:
        """Refuse DeepLIFT in a lower precision."""
        if self.method.name == "deeplift" and self.compute.precision != "float32":
            raise MethodError("deeplift is computed in double precision: leave --precision out.")


@dataclass(frozen=True)
class StudyReport:
    """What came of one study.

    median_delta: of |completeness delta|; relative_delta: the same, each as a share of the cell's summed |attribution|.
    counts_from: the matrix of the file that was read. notes: what a user should know about how its file was read.
    """

    study: str
    n_cells: int
    n_scores: int
    n_genes_measured: int
    n_empty_cells: int
    median_delta: float
    relative_delta: float
    counts_from: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A file to ingest, and what to call and say of it.

    study: its name in the atlas (default: the file's). obs: a table of metadata to join to its cells, by barcode.
    """

    path: Path
    study: str = ""
    title: str | None = None
    organism: str | None = None
    source: str | None = None
    licence: str | None = None
    obs: Path | None = None

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study or study_name(self.path)


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
    """Attribute all cells of a file that `open_counts` can read, and add them to the atlas as a study.

    One transaction: a study is in the atlas whole, or not at all. Raises CountsError, GeneSpaceError, MethodError,
    ObsError or StudyExistsError, each saying what to do.
    """
    options = options or IngestOptions()
    options.method.check(model, has_baseline=options.baseline is not None)
    study = source.name
    with open_counts(source.path, layer=options.layer, obs=source.obs) as file, atlas.transaction() as con:
        obs, notes = obs_table(file.obs, study=study, mapping=options.mapping)
        model_id, gene_ids = add_model(con, model_info(model))
        genes = find_genes(con, file.var_names, gene_ids, options)
        profile: Profile | None = None
        if options.baseline:
            profile = options.baseline.profile(model, lambda names: find_genes(con, names, gene_ids, options))
        settings = run_settings(options, profile)
        run_id = add_run(con, model_id, settings, options.run)
        writer = begin_study(
            con,
            run_id=run_id,
            study=StudyInfo(study, file.counts_from, source.title, source.organism, source.source, source.licence),
            obs=obs,
            gene_ids=gene_ids,
            measured=[gene_ids[n] for n in genes.measured],
        )
        summary = Deltas()
        placed, batch_size = place(model, options.compute)
        job = Job(file.source, genes, placed, options.method, profile and profile.x, batch_size)
        with closing(attributed_chunks(file, study, job, options, writer.notes)) as chunks:
            for chunk in chunks:
                writer.write(chunk, device=settings.device, versions=settings.versions)
                summary.add(chunk)
        summary.check(options.max_delta, study)
        writer.finish()
    return StudyReport(
        study=study,
        n_cells=writer.n_written,
        n_scores=writer.n_scores,
        n_genes_measured=len(genes.measured),
        n_empty_cells=summary.n_empty,
        median_delta=summary.median,
        relative_delta=summary.relative,
        counts_from=file.counts_from,
        notes=(*(() if writer.has_cells else notes), *writer.notes),
    )


def find_genes(
    con: duckdb.DuckDBPyConnection, var_names: Sequence[str], gene_ids: Sequence[int], options: IngestOptions
) -> GeneMap:
    """The model's genes among the columns of a file; GeneSpaceError if they are too few."""
    least = options.min_genes or min(MIN_GENES, (len(gene_ids) + 1) // 2)
    return map_genes(con, var_names, gene_ids, min_genes=least)


def attributed_chunks(
    file: CountsFile, study: str, job: Job, options: IngestOptions, notes: list[str]
) -> Generator[Chunk]:
    """Yield the cells of a study, attributed, a chunk at a time, in their order; note a worker that was lost."""
    n_done = 0

    def done(n_cells: int) -> None:
        nonlocal n_done
        n_done += n_cells
        options.progress(study, n_done, file.n_cells)

    done(0)
    if options.compute.workers == 1:
        for counts in file.chunks(CHUNK_CELLS):
            yield job.chunk(counts, done)
        return
    with Workers(job, options.compute) as workers:
        for chunk in workers.chunks(file.n_cells, CHUNK_CELLS):
            done(len(chunk.scale))
            yield chunk
        if workers.n_deaths:
            notes.append(f"worker processes were killed {workers.n_deaths} times; their cells were attributed again")


class Deltas:
    """How well the attributions of the cells of a study add up."""

    def __init__(self) -> None:
        self.deltas: list[NDArray[np.floating]] = [np.zeros(0)]
        self.shares: list[NDArray[np.floating]] = [np.zeros(0)]

    def add(self, chunk: Chunk) -> None:
        """Take in more cells."""
        self.deltas.append(np.abs(chunk.delta))
        self.shares.append(np.abs(chunk.delta) / (TARGET_SUM * chunk.scale))

    @property
    def n_empty(self) -> int:
        """Cells without attributions."""
        return int(np.isnan(np.concatenate(self.deltas)).sum())

    @property
    def median(self) -> float:
        """Median |delta|; NaN if no cell has one."""
        return median(self.deltas)

    @property
    def relative(self) -> float:
        """Median of |delta| / the cell's summed |attribution|."""
        return median(self.shares)

    def check(self, most: float | None, study: str) -> None:
        """Raise MethodError if the relative median is above `most`."""
        if most is not None and self.relative > most:
            raise MethodError(
                f"The attributions of {study} miss what they explain by {self.relative:.3g} of their sum (median over "
                f"cells), which is above --max-delta {most:g}. Nothing of it was stored. Use more --steps, or deeplift."
            )


def median(parts: list[NDArray[np.floating]]) -> float:
    """The median of all values that are not NaN; NaN if there are none."""
    values = np.concatenate(parts)
    values = values[~np.isnan(values)]
    return float(np.median(values)) if len(values) else float("nan")


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


def run_settings(options: IngestOptions, profile: Profile | None) -> RunSettings:
    """What the atlas records of a run. What is not as usual stands behind the method's name: `ig (riemann_left)`."""
    method, compute = options.method, options.compute
    unusual = [method.quadrature] if method.name == "ig" and method.quadrature != Method().quadrature else []
    unusual += [compute.precision] if compute.precision != Compute(device="cpu").precision else []
    return RunSettings(
        method=method.name + (f" ({', '.join(unusual)})" if unusual else ""),
        n_steps=method.n_steps if method.name == "ig" else None,
        baseline=profile.description if profile else "zero",
        summation=str(method.summation),
        target_sum=TARGET_SUM,
        device=compute.device,
        versions={package: version(package) for package in ("sigdb-atlas", "torch", "captum", "numpy")},
    )
