"""From files of raw counts to studies in an atlas: the steps of ingest, in order.

Only a few chunks of cells are in memory at a time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from ingest.attribution.baseline import Profile, mean_profile
from ingest.attribution.device import find_device, set_up
from ingest.attribution.methods import TARGET_SUM, check_method
from ingest.counts.open import CountsFile, open_counts
from ingest.genes import GeneMap, map_genes
from ingest.obs import add_embeddings, describe_fields, obs_table
from ingest.options import Compute, IngestOptions, Method, Source
from ingest.reading import read_notes
from ingest.store.records import ModelInfo, RunSettings, StudyInfo, add_model, add_run
from ingest.store.stage import digest, mark_stored, stage_folder
from ingest.store.study import NewStudy, StudyReport, keep_or_remove_chunks, open_study, study_session
from ingest.work.engine import ThisMachine
from ingest.work.job import Job
from sigdb.errors import MethodError, OptionError, listed
from sigdb.text import percent

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import duckdb
    import pyarrow as pa
    from numpy.typing import NDArray

    from ingest.fields import FieldReport
    from ingest.models import CellModel
    from ingest.store.writer import StudyWriter
    from ingest.work.engine import Engine
    from sigdb.atlas.writer import Atlas

__all__ = ["check_names", "ingest_files", "ingest_study"]

CHUNK_CELLS = 2048
# A CPU attributes tens to hundreds of cells a second, by the default 50 steps. A chunk takes seconds, so that an
# interruption costs no more. More steps make fewer cells of a chunk.
CPU_CHUNK_CELLS = 256
CPU_CHUNK_STEPS = 50 * CPU_CHUNK_CELLS
FEWEST_CHUNK_CELLS = 16
# Barcodes with fewer counts are empty droplets to EmptyDrops (Lun et al. 2019), by default.
FEW_COUNTS = 100
# A method is refused if it attributes nothing to a larger share of a study's cells.
MOST_UNEXPLAINED = 0.5
# More steps are advised if the estimated error of an integral is a larger share of a cell's attribution.
LARGE_ERROR = 0.05


def ingest_files(
    path: str | os.PathLike[str], sources: Sequence[Source], model: CellModel, options: IngestOptions | None = None
) -> list[StudyReport]:
    """Attribute the cells of files of raw counts, and add each file to an atlas as a study.

    A study is in the atlas whole or not at all: an error in the third file leaves the first two. Attributed cells of an
    unfinished study are kept in a folder beside the atlas. After an interruption, the same call continues from there.

    Parameters
    ----------
    path
        The atlas file. It is created if it does not exist.
    sources
        The files. Each becomes a study.
    model
        The model whose embedding is explained, from `load_model`.
    options
        How to attribute, and what to take from the files. Default: `IngestOptions()`.

    Returns
    -------
    list of StudyReport
        One report for each study that was added; none for a study that was left as it is.

    Raises
    ------
    OptionError, StudyExistsError
        If a name is used by two files or by a study in the atlas, or an option names something that does not exist.
    CountsError, GeneSpaceError, ObsError
        If a file has no raw counts, too few genes of the model, or metadata that cannot be stored.
    MethodError, DeviceError
        If the method does not suit the model, `max_error` is exceeded, or this machine lacks the device or memory.

    Examples
    --------
    >>> from importlib.resources import files
    >>> from ingest import IngestOptions, Method, Source, ingest_files, load_model
    >>> demo = files("ingest") / "demo"
    >>> source = Source(demo / "studies" / "tirosh2016_oligodendroglioma.h5ad", study="tirosh2016")
    >>> model, options = load_model("mlp", demo / "model"), IngestOptions(Method(n_steps=2))
    >>> [(report.study, report.n_cells) for report in ingest_files("tirosh.duckdb", [source], model, options)]
    [('tirosh2016', 102)]
    """
    check_names(sources)
    with study_session(Path(path)) as (atlas, reports):
        for source in sources:
            reports += filter(None, [ingest_study(atlas, source, model, options)])
    return reports


def check_names(sources: Sequence[Source]) -> None:
    """Raise OptionError if two files have the same study name."""
    repeated = [name for name, count in Counter(source.name for source in sources).items() if count > 1]
    if repeated:
        raise OptionError(
            f"{len(repeated)} study names are used by more than one of the {len(sources)} files: {listed(repeated)}. A "
            "study is named after its file: ingest the files one after the other, and give each a name with `study`."
        )


def ingest_study(
    atlas: Atlas, source: Source, model: CellModel, options: IngestOptions | None = None, engine: Engine | None = None
) -> StudyReport | None:
    """Attribute all cells of a file that `open_counts` can read, and add them to the atlas as a study.

    Returns None if the atlas has the study and it is left as it is. engine: what does the work; default: this machine.

    Chunks of cells are kept in a folder beside the atlas until one transaction adds the whole study. After an
    interruption, the next call with the same file, model and method attributes only the missing chunks. A note about
    a stored study stays beside the atlas until `remove_stored_notes`. Raises what `ingest_files` raises.
    """
    options = options or IngestOptions()
    options = replace(options, compute=find_device(options.compute))
    engine = ThisMachine(atlas.path) if engine is None else engine
    check_method(options.method, model)
    if options.baseline:
        model.check_baseline()
    with open_counts(
        source.path, layer=options.layer, obs=source.obs, mapping=options.mapping, spool=engine.spool
    ) as file:
        with atlas.transaction() as con:
            prepared = prepare_study(con, engine.home, file, source, model, options)
            if prepared is None:
                return None
            job, writer, fields, notes = prepared
            with keep_or_remove_chunks(job.stage, file.n_cells):
                notes += attribute_study(source.name, job, options, engine)
                cells = job.stage.cells()
                quality = Quality(cells)
                notes = [*describe_depth(cells), *describe_read(cells, model), *notes]
                notes += quality.check(options, source.name, model)
                notes += writer.store(job.stage, engine.store_scores)
                engine.publish()
        report = StudyReport(
            study=source.name,
            n_cells=file.n_cells,
            n_scores=job.stage.n_scores,
            n_genes_measured=len(job.genes.measured),
            n_empty_cells=quality.n_empty,
            median_delta=quality.median_delta,
            relative_delta=quality.relative_delta,
            median_error=quality.median_error,
            counts_from=file.counts_from,
            notes=tuple(notes),
            fields=fields,
        )
        mark_stored(job.stage.folder)
    return report


def prepare_study(
    con: duckdb.DuckDBPyConnection,
    home: Path,
    file: CountsFile,
    source: Source,
    model: CellModel,
    options: IngestOptions,
) -> tuple[Job, StudyWriter, tuple[FieldReport, ...], list[str]] | None:
    """Record model, run and study; return its job, the writer that stores its cells, its fields, and notes.

    Returns None if the study is left as it is.
    """
    with file.obsm() as obsm:
        columns = add_embeddings(file.take_obs(), obsm, options.obsm)
    obs, notes = obs_table(columns, study=source.name, mapping=options.mapping)
    fields = describe_fields(columns, obs, options.mapping)
    model_id, gene_ids = add_model(con, model_info(model))
    find_genes = partial(map_genes, con, gene_ids=gene_ids, min_genes=options.min_genes)
    genes = find_genes(file.var_names)
    notes = [*file.notes, *genes.notes, *notes]
    profile: Profile | None = None
    if options.baseline:
        profile = mean_profile(options.baseline, model, find_genes)
    settings = run_settings(options, profile)
    run_id = add_run(con, model_id, settings, options.run)
    inputs = attribution_inputs(file, genes, model, profile)
    n_chunk = chunk_cells(options.compute, options.method)
    folder = stage_folder(home, source.name, settings, n_chunk, inputs)
    study = StudyInfo(source.name, file.counts_from, source.title, source.organism, source.source, source.licence)
    measured = [gene_ids[n] for n in genes.measured]
    # These can fail, so they come before the folder is made.
    rows, (ready_model, batch_size) = file.source, set_up(model, options.compute)
    opened = open_study(con, folder, NewStudy(study, run_id, obs, gene_ids, measured, options.if_exists))
    if opened is None:
        return None
    writer, stage = opened
    job = Job(
        source=rows,
        genes=genes,
        model=ready_model,
        method=options.method,
        baseline=profile.x if profile else None,
        batch_size=batch_size,
        n_chunk=n_chunk,
        stage=stage,
        device=settings.device,
        versions=settings.versions,
    )
    # A further run of a study keeps the metadata that the atlas has.
    return job, writer, () if writer.has_cells else fields, [] if writer.has_cells else notes


def chunk_cells(compute: Compute, method: Method) -> int:
    """The number of cells in a chunk."""
    if compute.kind != "cpu" or compute.is_remote:
        return CHUNK_CELLS
    n_steps = method.n_steps if method.name == "ig" else 1
    return min(CHUNK_CELLS, CPU_CHUNK_CELLS, max(FEWEST_CHUNK_CELLS, CPU_CHUNK_STEPS // n_steps))


def attribution_inputs(
    file: CountsFile, genes: GeneMap, model: CellModel, profile: Profile | None
) -> dict[str, object]:
    """What the attributions of a file depend on, beside the run. Chunks with other inputs are not used."""
    matrices = {"genes": genes.selection, "baseline": profile.x if profile else csr_matrix((1, 1))}
    return {
        "files": sorted((str(part), part.stat().st_size, part.stat().st_mtime_ns) for part in files_of(file.path)),
        "counts": file.counts_from,
        "model": model.sha256,
        **{name: [digest(part.tobytes()) for part in (m.data, m.indices, m.indptr)] for name, m in matrices.items()},
    }


def files_of(path: Path) -> list[Path]:
    """A file, or all files in a folder and its subfolders."""
    return [part for part in path.rglob("*") if part.is_file()] if path.is_dir() else [path]


def attribute_study(study: str, job: Job, options: IngestOptions, engine: Engine) -> list[str]:
    """Attribute the cells of a study that are not in its stage yet; return notes for the user."""
    n_cells = job.source.shape[0]
    missing = [number for number in range(-(-n_cells // job.n_chunk)) if not job.stage.has(number)]
    n_done = job.stage.n_cells

    def done(n_more: int) -> None:
        nonlocal n_done
        n_done += n_more
        options.progress(study, n_done, n_cells)

    done(0)
    return engine.attribute(job, missing, options.compute, done)


class Quality:
    """How well a method explained the cells of a study (a table from `Stage.cells`).

    n_empty: cells without counts of the model's genes. n_unexplained: other cells to which nothing was attributed.
    median_delta: of |completeness delta|. relative_delta: median of |completeness delta| as a share of the cell's
    summed |attribution|. median_error: of the integration error, None if it was not estimated. Medians are over cells
    with attributions, and NaN if there are none.
    """

    def __init__(self, cells: pa.Table) -> None:
        delta, scale, error = (
            cells[name].to_numpy() for name in ("completeness_delta", "attribution_scale", "integration_error")
        )
        self.n_cells = len(delta)
        self.n_empty = int(np.isnan(delta).sum())
        self.n_unexplained = int(np.isnan(scale).sum()) - self.n_empty
        self.median_delta = finite_median(np.abs(delta)[~np.isnan(scale)])
        self.relative_delta = finite_median(np.abs(delta) / (TARGET_SUM * scale))
        self.median_error = None if np.isnan(error).all() else finite_median(error)

    def check(self, options: IngestOptions, study: str, model: CellModel) -> list[str]:
        """Raise MethodError if the method fails for the model, or if `max_error` is exceeded; return notes."""
        share = self.n_unexplained / max(1, self.n_cells - self.n_empty)
        of = f"{self.n_unexplained:,} of {self.n_cells - self.n_empty:,} cells of {study} that have counts"
        if share > MOST_UNEXPLAINED:
            raise MethodError(
                f"`method={options.method.name!r}` attributes nothing to {of}: their gradient is 0, or only rounding "
                f"error. Nothing was stored. Explain model {model.name} with another `method` or `summation`."
            )
        if options.max_error is not None and self.median_error is not None and self.median_error > options.max_error:
            raise MethodError(
                f"The attributions of {study} have an estimated error of {self.median_error:.3g} of their sum (median "
                f"over cells), which is above `max_error={options.max_error:g}`. Nothing of it was stored. "
                f"{more_exact(model)}."
            )
        notes = [f"nothing was attributed to {of}, because their gradient is 0; they have no scores"]
        return notes * bool(self.n_unexplained) + self.advise_steps(model)

    def advise_steps(self, model: CellModel) -> list[str]:
        """A note if the integrals are coarse."""
        if self.median_error is None or not self.median_error > LARGE_ERROR:
            return []
        return [
            f"the integrals are coarse: their estimated error is {percent(self.median_error)} of a cell's attribution "
            f"(median over cells). {more_exact(model)}"
        ]


def more_exact(model: CellModel) -> str:
    """The ways to explain a model with a smaller error."""
    return "Use more `n_steps`" + (", or `method='deeplift'`" if "deeplift" not in model.unsupported else "")


def describe_depth(cells: pa.Table) -> list[str]:
    """Notes on the counts of cells (a table from `Stage.cells`): all 1, or as few as in an empty droplet."""
    n_counts, n_genes = (cells[name].to_numpy() for name in ("n_counts", "n_genes"))
    n_shallow = int(((n_counts > 0) & (n_counts < FEW_COUNTS)).sum())
    notes = [
        f"{n_shallow:,} of {len(n_counts):,} cells have fewer than {FEW_COUNTS} counts: empty droplets have that few"
    ] * bool(n_shallow)
    if n_counts.any() and np.array_equal(n_counts, n_genes):
        notes.append("every count of every cell is 1: was the matrix made binary?")
    return notes


def describe_read(cells: pa.Table, model: CellModel) -> list[str]:
    """A note on cells (a table from `Stage.cells`) that express more genes than the model reads."""
    if model.context_limit is None:
        return []
    return read_notes(cells["n_expressed"].to_numpy(), cells["n_read"].to_numpy(), f"{len(cells):,} cells")


def finite_median(values: NDArray[np.floating]) -> float:
    """The median of the values that are not NaN; NaN if there are none."""
    values = values[~np.isnan(values)]
    return float(np.median(values)) if len(values) else float("nan")


def model_info(model: CellModel) -> ModelInfo:
    """What the atlas records about a model."""
    return ModelInfo(
        name=model.name,
        architecture=model.architecture,
        checkpoint_sha256=model.sha256,
        genes=model.gene_ids,
        latent_dim=model.latent_dim,
        description=model.description,
    )


def run_settings(options: IngestOptions, profile: Profile | None) -> RunSettings:
    """What the atlas records about a run. Settings that are not the defaults follow the method: `ig (riemann_left)`."""
    method, compute = options.method, options.compute
    unusual = [method.quadrature] if method.name == "ig" and method.quadrature != Method().quadrature else []
    unusual += [compute.precision] if compute.precision != Compute().precision else []
    return RunSettings(
        method=method.name + (f" ({', '.join(unusual)})" if unusual else ""),
        n_steps=method.n_steps if method.name == "ig" else None,
        baseline=profile.description if profile else "zero",
        summation=str(method.summation),
        target_sum=TARGET_SUM,
        device=compute.device,
        versions={package: version(package) for package in ("sigdb-atlas", "torch", "captum", "numpy")},
    )
