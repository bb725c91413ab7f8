"""Studies whose scores were computed elsewhere: checked, kept chunk by chunk, stored as any other. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, diags

from ingest.ahead import ahead
from ingest.obs import obs_table
from ingest.store.chunks import Chunk, Stage, digest, settle, stage_folder
from ingest.store.records import ModelInfo, RunSettings, StudyInfo, add_model, add_run
from ingest.store.study import NewStudy, StudyReport, kept_for_later, open_study
from sigdb.errors import GeneSpaceError, ObsError, ScoresError, listed
from sigdb.statements import run_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import duckdb
    from numpy.typing import NDArray

    from ingest.options import IfExists
    from sigdb.atlas.writer import Atlas

__all__ = ["GivenScores", "LoadOptions", "load_study"]

# How far the sum of a cell may be from what it should be; `sigdb verify` allows as much.
TOLERANCE = 0.001
UNKNOWN = "unknown"


@dataclass(frozen=True)
class LoadOptions:
    """What is known of the scores, and how to store them.

    model, method: what computed them, in words. target_sum: what the |scores| of a cell add up to; rescale: make them.
    measured: those of the genes that the studies measured (default: all). mapping, run, if_exists, progress: as for
    `IngestOptions`.
    """

    model: str = "precomputed"
    method: str = UNKNOWN
    target_sum: float = 1000.0
    rescale: bool = False
    measured: Sequence[str] | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    run: str | None = None
    if_exists: IfExists = "error"
    progress: Callable[[str, int, int], None] = lambda study, done, total: None

    def __post_init__(self) -> None:
        """Refuse a sum that no cell can have."""
        if not 0 < self.target_sum < np.inf:
            raise ScoresError(f"--target-sum must be a positive number, not {self.target_sum:g}.")


@dataclass(frozen=True)
class GivenScores:
    """The scores of a study's cells.

    obs: the metadata, indexed by barcode; its columns n_counts and n_genes, if any, are the cells'. genes: (n_genes,)
    names of the columns. rows: of (start, stop), those cells' scores (n, n_genes), each once. origin: the matrix, in
    words; version: changes if it does. n_chunk: cells that are read at a time. n_threads: that check and keep what was
    read while the next cells are.
    """

    obs: pd.DataFrame
    genes: Sequence[str]
    rows: Callable[[int, int], csr_matrix]
    origin: str
    version: Sequence[object]
    n_chunk: int
    n_threads: int = 1


def load_study(atlas: Atlas, info: StudyInfo, scores: GivenScores, options: LoadOptions) -> StudyReport | None:
    """Add a study of given scores to an atlas, whole or not at all; None if it was there, and is left as it is.

    As with `ingest_study`, chunks are kept beside the atlas until the study is whole, and an interrupted call is taken
    up by the next. Raises ScoresError, GeneSpaceError, ObsError or StudyExistsError, each saying what to do.
    """
    check_genes(scores.genes, options.measured)
    obs = scores.obs.copy(deep=False)
    depth = {
        name: numbers(obs.pop(name), name) if name in obs else unknown(len(obs)) for name in ("n_counts", "n_genes")
    }
    settings = RunSettings(
        method=options.method, n_steps=None, baseline=UNKNOWN, summation=UNKNOWN, target_sum=options.target_sum,
        device=UNKNOWN, versions={"sigdb-atlas": version("sigdb-atlas")},
    )  # fmt: skip
    with atlas.transaction() as con:
        table, notes = obs_table(obs, study=info.study, mapping=options.mapping)
        model_id, gene_ids = add_model(con, model_of(options.model, scores.genes))
        notes += note_unknown_genes(con, model_id, len(gene_ids))
        run_id = add_run(con, model_id, settings, options.run)
        chosen = set(scores.genes if options.measured is None else options.measured)
        measured = [gene for gene, name in zip(gene_ids, scores.genes, strict=True) if name in chosen]
        folder = stage_folder(atlas.path, info.study, chunks_depend_on(scores, options, depth, settings))
        opened = open_study(con, folder, NewStudy(info, run_id, table, gene_ids, measured, options.if_exists))
        if opened is None:
            return None
        writer, stage = opened
        with kept_for_later(stage, len(obs)):
            write_chunks(stage, scores, depth, options, settings, info.study, np.isin(gene_ids, measured))
            record_signs(con, run_id, info.study, stage)
            notes = [*(() if writer.has_cells else notes), *writer.store(stage)]
    report = StudyReport(
        study=info.study,
        n_cells=len(obs),
        n_scores=stage.n_scores,
        n_genes_measured=len(measured),
        n_empty_cells=stage.cells()["attribution_scale"].null_count,
        median_delta=None,
        relative_delta=None,
        counts_from=info.counts_from,
        notes=tuple(notes),
    )
    settle(stage.folder)
    return report


def check_genes(genes: Sequence[str], measured: Sequence[str] | None) -> None:
    """Raise GeneSpaceError unless a list of genes names each once, and has all that were measured."""
    names = pd.Index(genes)
    if blank := sum(not name.strip() for name in genes):
        raise GeneSpaceError(f"{blank} of {len(genes)} names of genes are empty.")
    if names.has_duplicates:
        repeated = names[names.duplicated()].unique()
        raise GeneSpaceError(
            f"{len(repeated)} of {len(genes)} genes occur more than once: {listed(repeated, 5)}. Their scores cannot "
            "be told apart: add them up, or name them differently."
        )
    if measured is not None and (strange := [name for name in measured if name not in names]):
        raise GeneSpaceError(f"{len(strange)} of {len(measured)} measured genes have no column: {listed(strange, 5)}.")


def model_of(name: str, genes: Sequence[str]) -> ModelInfo:
    """What is known of a model of which there are scores alone: its name, and its genes in their order."""
    known = digest("\n".join(["precomputed", name, *genes]).encode())
    return ModelInfo(name, "precomputed", known, genes, 0, "Its scores were computed elsewhere.")


def note_unknown_genes(con: duckdb.DuckDBPyConnection, model_id: int, n_genes: int) -> list[str]:
    """A note on genes that nobody knows; GeneSpaceError if there is no other."""
    names = [name for (name,) in run_statement(con, "ingest/genes.unknown_genes", {"model_id": model_id})]
    if len(names) == n_genes:
        raise GeneSpaceError(
            f"None of the {n_genes} genes is known to HGNC ({listed(names, 3)}). Are they the symbols or Ensembl ids "
            "of human genes, one a line?"
        )
    return [f"{len(names)} of {n_genes} genes are kept under names that HGNC does not know"] if names else []


def chunks_depend_on(
    scores: GivenScores, options: LoadOptions, depth: Mapping[str, NDArray[np.float64]], settings: RunSettings
) -> dict[str, object]:
    """What makes the chunks of a study what they are."""
    return {
        "scores": [scores.origin, *scores.version],
        "model": model_of(options.model, scores.genes).checkpoint_sha256,
        "settings": [settings.method, settings.target_sum, options.rescale],
        "measured": options.measured and list(options.measured),
        "depth": [digest(values.tobytes()) for values in depth.values()],
        "n_chunk": scores.n_chunk,
        "sigdb": settings.versions["sigdb-atlas"],
    }


def unknown(n: int) -> NDArray[np.float64]:
    """Numbers that are not known."""
    return np.full(n, np.nan)


def numbers(values: pd.Series[float], name: str) -> NDArray[np.float64]:
    """A column of counts, NaN where there is none; ObsError if it holds anything else."""
    try:
        found: NDArray[np.float64] = pd.to_numeric(values).to_numpy(np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise ObsError(f"obs column {name!r} must hold numbers: {error}. Rename it if it is something else.") from error
    if wrong := int((found < 0).sum() + np.isinf(found).sum() + (name == "n_genes") * (found % 1 > 0).sum()):
        raise ObsError(f"obs column {name!r} must hold counts; {wrong} of {len(found)} values are none. Rename it.")
    return found


def write_chunks(
    stage: Stage, scores: GivenScores, depth: Mapping[str, NDArray[np.float64]], options: LoadOptions,
    settings: RunSettings, study: str, is_measured: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Write the chunks of a study that are not there yet."""
    n_cells = len(scores.obs)

    def to_do() -> Iterator[tuple[int, csr_matrix]]:
        for number, start in enumerate(range(0, n_cells, scores.n_chunk)):
            options.progress(study, start, n_cells)
            if not stage.has(number):
                yield number, scores.rows(start, min(start + scores.n_chunk, n_cells))

    def keep(given: tuple[int, csr_matrix]) -> None:
        number, rows = given
        start = number * scores.n_chunk
        stored, scale = scaled(checked(rows, start, scores.genes, is_measured), start, options)
        cells = slice(start, start + stored.shape[0])
        chunk = Chunk(
            n_counts=depth["n_counts"][cells],
            n_genes=depth["n_genes"][cells],
            scores=stored,
            scale=scale,
            delta=unknown(stored.shape[0]),
        )
        stage.write(number, start, chunk, device=settings.device, versions=settings.versions)

    for _ in ahead(keep, to_do(), scores.n_threads):
        pass
    options.progress(study, n_cells, n_cells)


def checked(given: csr_matrix, start: int, genes: Sequence[str], is_measured: NDArray[np.bool_]) -> csr_matrix:
    """Scores as they can be stored: float32, no zeros; ScoresError if they are no numbers, or of unmeasured genes."""
    with np.errstate(over="ignore"):
        scores = csr_matrix(given, dtype=np.float32)
    scores.eliminate_zeros()
    if wrong := int((~np.isfinite(scores.data)).sum()):
        n_nan = int(np.isnan(scores.data).sum())
        raise ScoresError(
            f"{n_nan} scores are NaN and {wrong - n_nan} are infinite, or too large, among {scores.nnz} of the cells "
            f"{start} to {start + scores.shape[0] - 1}. Nothing of the study was stored."
        )
    if strange := np.unique(scores.indices[~is_measured[scores.indices]]).tolist():
        raise ScoresError(
            f"{len(strange)} genes have scores, but are said not to have been measured: "
            f"{listed([genes[gene] for gene in strange], 5)}."
        )
    return scores


def scaled(scores: csr_matrix, start: int, options: LoadOptions) -> tuple[csr_matrix, NDArray[np.float64]]:
    """Scores that add up to the target sum, and what each is to be multiplied with to give the one that was given.

    NaN for a cell without scores. Raises ScoresError if they add up to something else, and are not to be rescaled.
    """
    sums = np.asarray(abs(scores).sum(axis=1, dtype=np.float64)).ravel()
    scale = np.where(sums > 0, sums / options.target_sum, np.nan)
    if options.rescale:
        rescaled = csr_matrix(diags(np.nan_to_num(1 / scale)) @ scores, dtype=np.float32)
        rescaled.eliminate_zeros()
        return rescaled, scale
    if wrong := int((np.abs(scale - 1) > TOLERANCE).sum()):
        some = sums[sums > 0]
        advice = "--rescale makes those of each cell add up to it"
        if some.max() / some.min() < 1 + TOLERANCE:
            advice = f"If that is what they shall add up to, say --target-sum {some.mean():.6g}; {advice}"
        raise ScoresError(
            f"The absolute scores of {wrong} of {len(some)} cells (of those {start} to {start + len(sums) - 1}) do not "
            f"add up to {options.target_sum:g}: they add up to {some.min():.6g} to {some.max():.6g}. {advice}."
        )
    return scores, np.where(sums > 0, 1.0, np.nan)


def record_signs(con: duckdb.DuckDBPyConnection, run_id: int, study: str, stage: Stage) -> None:
    """Record whether a run has signs; ScoresError if that of the scores of a study is not that of its other studies."""
    is_signed = stage.is_signed()
    ((run, run_is_signed, n_others),) = run_statement(
        con, "ingest/records.run_signs", {"run_id": run_id, "study": study}
    )
    if is_signed is None:
        return
    if n_others and is_signed != run_is_signed:
        kinds = {True: "negative scores", False: "absolute scores only"}
        raise ScoresError(
            f"Study {study!r} has {kinds[is_signed]}, the {n_others} other studies of run {run!r} have "
            f"{kinds[run_is_signed]}. They cannot be compared: give these a run of their own, --run NAME."
        )
    run_statement(con, "ingest/records.set_signs", {"run_id": run_id, "is_signed": is_signed})
