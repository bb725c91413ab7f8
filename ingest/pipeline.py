"""From a file of counts to rows in an atlas: the steps in order, and no more in memory than some chunks of cells."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from ingest.attribution.device import Compute, place
from ingest.attribution.methods import TARGET_SUM, Method
from ingest.counts.open import CountsFile, open_counts, study_name
from ingest.genes import GeneMap, map_genes
from ingest.obs import obs_table, with_embeddings
from ingest.store.records import ModelInfo, RunSettings, StudyInfo, add_model, add_run
from ingest.store.stage import digest, mark_stored, stage_folder
from ingest.store.study import IfExists, NewStudy, StudyReport, keep_or_remove_chunks, open_study, study_session
from ingest.work.engine import ThisMachine
from ingest.work.job import Job
from sigdb.errors import MethodError, StudyExistsError, listed

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    import duckdb
    import pyarrow as pa
    from numpy.typing import NDArray

    from ingest.attribution.baseline import Profile, ReferenceCells
    from ingest.models import CellModel
    from ingest.store.writer import StudyWriter
    from ingest.work.engine import Engine
    from sigdb.atlas.writer import Atlas

__all__ = ["IngestOptions", "Source", "StudyReport", "check_names", "ingest_files", "ingest_study"]

CHUNK_CELLS = 2048
# SIGnature's own threshold for SCimilarity: below it, data are of another species or use other names.
MIN_GENES = 500


@dataclass(frozen=True)
class IngestOptions:
    """How to attribute, and what to take from the files.

    baseline: cells whose mean takes the place of a cell without expression. max_delta: the largest median of
    |completeness delta|, as a share of a cell's attribution, that is stored. layer: the matrix of raw counts (default:
    found). mapping: atlas field -> obs column. obsm: embeddings to keep two dimensions of. run: a name for the run.
    if_exists: what to do with a study of which the atlas has this run, `error`, `skip` or `replace`. min_genes: fewest
    genes that model and study must share (default: 500, or half of a smaller model's). progress: told (study, cells
    done, cells in all), at the start and after each batch, or each chunk where there are several workers.
    """

    method: Method = field(default_factory=Method)
    baseline: ReferenceCells | None = None
    compute: Compute = field(default_factory=Compute)
    max_delta: float | None = None
    layer: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    obsm: Sequence[str] = ()
    run: str | None = None
    if_exists: IfExists = "error"
    min_genes: int | None = None
    progress: Callable[[str, int, int], None] = lambda study, done, total: None

    def __post_init__(self) -> None:
        """Refuse DeepLIFT in a lower precision."""
        if self.method.name == "deeplift" and self.compute.precision != "float32":
            raise MethodError("deeplift is computed in double precision: leave --precision out.")


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
    """Add studies to the atlas at `path`, which is made if there is none; a report for each study that was added.

    Each study is in the atlas whole, or not at all: an error in the third file leaves the first two. An atlas that was
    made for nothing is removed. A small atlas is sorted at the end. Errors as for `ingest_study`.
    """
    check_names(sources)
    with study_session(Path(path)) as (atlas, reports):
        for source in sources:
            reports += filter(None, [ingest_study(atlas, source, model, options)])
    return reports


def check_names(sources: Sequence[Source]) -> None:
    """Raise StudyExistsError if two files are to be studies of one name."""
    repeated = [name for name, count in Counter(source.name for source in sources).items() if count > 1]
    if repeated:
        raise StudyExistsError(
            f"{len(repeated)} names are those of more than one of the {len(sources)} files: {listed(repeated)}. A "
            "study is called as its file; ingest one after the other, and give each another name: --study NAME."
        )


def ingest_study(
    atlas: Atlas, source: Source, model: CellModel, options: IngestOptions | None = None, engine: Engine | None = None
) -> StudyReport | None:
    """Attribute all cells of a file that `open_counts` can read, and add them to the atlas as a study.

    None if the study was there, and is left as it is. engine: what does the work (default: this machine). A note of
    what was stored stays beside the atlas until `remove_stored_notes`.

    Chunks of cells are kept in a folder beside the atlas until the study is whole. Then one transaction adds it: it is
    in the atlas whole, or not at all. Where this was interrupted, the next call for the same file, model and method
    attributes only what is missing. Raises CountsError, GeneSpaceError, MethodError, ObsError or StudyExistsError, each
    saying what to do.
    """
    options = options or IngestOptions()
    engine = ThisMachine(atlas.path) if engine is None else engine
    options.method.check(model, has_baseline=options.baseline is not None)
    with open_counts(source.path, layer=options.layer, obs=source.obs, spool=engine.spool) as file:
        with atlas.transaction() as con:
            begun = begin(con, engine.home, file, source, model, options)
            if begun is None:
                return None
            job, writer, notes = begun
            with keep_or_remove_chunks(job.stage, file.n_cells):
                notes += attribute_study(source.name, job, options, engine)
                deltas = Deltas(job.stage.cells())
                deltas.check(options.max_delta, source.name)
                notes += writer.store(job.stage, engine.store_scores)
                engine.publish()
        report = StudyReport(
            study=source.name,
            n_cells=file.n_cells,
            n_scores=job.stage.n_scores,
            n_genes_measured=len(job.genes.measured),
            n_empty_cells=deltas.n_empty,
            median_delta=deltas.median,
            relative_delta=deltas.relative,
            counts_from=file.counts_from,
            notes=tuple(notes),
        )
        mark_stored(job.stage.folder)
    return report


def begin(
    con: duckdb.DuckDBPyConnection,
    home: Path,
    file: CountsFile,
    source: Source,
    model: CellModel,
    options: IngestOptions,
) -> tuple[Job, StudyWriter, list[str]] | None:
    """Record model, run and study; return what attributes its cells, what stores them, and notes on its metadata.

    None if the study is to be left as it is.
    """
    with file.obsm() as obsm:
        columns = with_embeddings(file.take_obs(), obsm, options.obsm)
    obs, notes = obs_table(columns, study=source.name, mapping=options.mapping)
    model_id, gene_ids = add_model(con, model_info(model))
    genes = find_genes(con, file.var_names, gene_ids, options)
    profile: Profile | None = None
    if options.baseline:
        profile = options.baseline.profile(model, lambda names: find_genes(con, names, gene_ids, options))
    settings = run_settings(options, profile)
    run_id = add_run(con, model_id, settings, options.run)
    inputs = chunks_depend_on(file, genes, model, profile)
    folder = stage_folder(home, source.name, settings, CHUNK_CELLS, inputs)
    study = StudyInfo(source.name, file.counts_from, source.title, source.organism, source.source, source.licence)
    measured = [gene_ids[n] for n in genes.measured]
    # What may fail comes first, lest a folder without chunks is left.
    counts, (placed, batch_size) = file.source, place(model, options.compute)
    opened = open_study(con, folder, NewStudy(study, run_id, obs, gene_ids, measured, options.if_exists))
    if opened is None:
        return None
    writer, stage = opened
    job = Job(
        counts, genes, placed, options.method, profile and profile.x, batch_size, CHUNK_CELLS, stage,
        settings.device, settings.versions,
    )  # fmt: skip
    return job, writer, [] if writer.has_cells else notes


def chunks_depend_on(file: CountsFile, genes: GeneMap, model: CellModel, profile: Profile | None) -> dict[str, object]:
    """What makes the attributions of a file what they are: chunks made with another of these are of no use."""
    matrices = {"genes": genes.selection, "baseline": profile.x if profile else csr_matrix((1, 1))}
    return {
        "files": sorted((str(part), part.stat().st_size, part.stat().st_mtime_ns) for part in parts_of(file.path)),
        "counts": file.counts_from,
        "model": model.sha256,
        **{name: [digest(part.tobytes()) for part in (m.data, m.indices, m.indptr)] for name, m in matrices.items()},
    }


def parts_of(path: Path) -> list[Path]:
    """A file, or all files of a folder."""
    return [part for part in path.rglob("*") if part.is_file()] if path.is_dir() else [path]


def find_genes(
    con: duckdb.DuckDBPyConnection, var_names: Sequence[str], gene_ids: Sequence[int], options: IngestOptions
) -> GeneMap:
    """The model's genes among the columns of a file; GeneSpaceError if they are too few."""
    least = options.min_genes or min(MIN_GENES, (len(gene_ids) + 1) // 2)
    return map_genes(con, var_names, gene_ids, min_genes=least)


def attribute_study(study: str, job: Job, options: IngestOptions, engine: Engine) -> list[str]:
    """Attribute the cells of a study that are not staged yet; return what a user should know."""
    n_cells = job.source.shape[0]
    missing = [number for number in range(-(-n_cells // job.n_chunk)) if not job.stage.has(number)]
    n_done = job.stage.n_cells

    def done(n_more: int) -> None:
        nonlocal n_done
        n_done += n_more
        options.progress(study, n_done, n_cells)

    done(0)
    return engine.attribute(job, missing, options.compute, done)


class Deltas:
    """How well the attributions of the cells of a study (as `Stage.cells` gives them) add up.

    n_empty: cells without attributions. median: of |completeness delta|; relative: of its share of the cell's summed
    |attribution|. NaN if no cell has one.
    """

    def __init__(self, cells: pa.Table) -> None:
        delta = np.abs(cells["completeness_delta"].to_numpy())
        self.n_empty = int(np.isnan(delta).sum())
        self.median = median(delta)
        self.relative = median(delta / (TARGET_SUM * cells["attribution_scale"].to_numpy()))

    def check(self, most: float | None, study: str) -> None:
        """Raise MethodError if the relative median is above `most`."""
        if most is not None and self.relative > most:
            raise MethodError(
                f"The attributions of {study} miss what they explain by {self.relative:.3g} of their sum (median over "
                f"cells), which is above --max-delta {most:g}. Nothing of it was stored. Use more --steps, or deeplift."
            )


def median(values: NDArray[np.floating]) -> float:
    """The median of all values that are not NaN; NaN if there are none."""
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
