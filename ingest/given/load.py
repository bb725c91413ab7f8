"""Store the scores of a study that were computed elsewhere: check them, keep them in chunks, add them to an atlas.

Needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from ingest.ahead import map_ahead
from ingest.given.scores import check_genes, check_scores, nans, scale_scores
from ingest.obs import describe_fields, obs_table
from ingest.store.chunks import Chunk
from ingest.store.records import ModelInfo, RunSettings, StudyInfo, add_model, add_run
from ingest.store.stage import Stage, digest, mark_stored, stage_folder
from ingest.store.study import NewStudy, StudyReport, keep_or_remove_chunks, open_study
from sigdb.errors import GeneSpaceError, ScoresError, listed
from sigdb.statements import run_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import duckdb
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ingest.given.scores import GivenScores
    from ingest.options import IfExists
    from sigdb.atlas.writer import Atlas

__all__ = ["LoadOptions", "load_study"]

UNKNOWN = "unknown"


@dataclass(frozen=True)
class LoadOptions:
    """What is known of the scores, and how to store them.

    Parameters
    ----------
    model, method
        What computed the scores, in words.
    target_sum
        The sum of the absolute scores of a cell, a positive number.
    rescale
        Rescale the scores of each cell to `target_sum`. If False, scores with other sums are refused.
    measured
        The genes that the study measured, out of its genes. The default is all.
    mapping
        Field of the atlas -> column of obs, where names differ; an empty column name means none.
    divide_samples
        Divide samples in which a field varies, such as disease, into one for each value. If False, they are refused.
    run
        A name for the run. The default is made of the model's name and the method.
    if_exists
        What to do with a study that the atlas has in this run: 'error', 'skip' or 'replace'.
    progress
        Called with (study, cells done, cells in all) at the start, and after each chunk.

    Raises
    ------
    ScoresError
        If `target_sum` is not a positive number.

    Examples
    --------
    >>> from ingest.given.load import LoadOptions
    >>> LoadOptions(model="scFoundation", method="ig, 50 steps", rescale=True).target_sum
    1000.0
    """

    model: str = "precomputed"
    method: str = UNKNOWN
    target_sum: float = 1000.0
    rescale: bool = False
    measured: Sequence[str] | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    divide_samples: bool = False
    run: str | None = None
    if_exists: IfExists = "error"
    progress: Callable[[str, int, int], None] = lambda study, done, total: None

    def __post_init__(self) -> None:
        """Check the target sum."""
        if not 0 < self.target_sum < np.inf:
            raise ScoresError(f"`target_sum` must be a positive number, not {self.target_sum:g}.")


def load_study(atlas: Atlas, info: StudyInfo, scores: GivenScores, options: LoadOptions) -> StudyReport | None:
    """Add the given scores of a study to an atlas, all or nothing.

    As in `ingest.pipeline.ingest_study`, chunks are kept beside the atlas until the study is complete. After an
    interruption, the next call for the same scores continues from these chunks.

    Parameters
    ----------
    atlas
        The atlas, open for writing.
    info
        The record of the study.
    scores
        The scores, (n_cells, n_genes), and the metadata of the cells. They are stored as given: the absolute scores of
        a cell must add up to `options.target_sum`, unless `options.rescale` is set.
    options
        What is known of the scores, and how to store them.

    Returns
    -------
    StudyReport or None
        A summary of the study; None if the atlas has the study already, and it stays as it is.

    Raises
    ------
    ScoresError
        If scores are not finite, have other sums, belong to genes that were not measured, or are signed unlike the
        other studies of the run.
    GeneSpaceError
        If names of genes are repeated, empty or all unknown, or `options.measured` names other genes.
    ObsError
        If metadata cannot be stored.
    StudyExistsError
        If the atlas has the study already, and `options.if_exists` is 'error'.

    Examples
    --------
    >>> import pandas as pd
    >>> from scipy.sparse import csr_matrix
    >>> from ingest.given.load import LoadOptions, load_study
    >>> from ingest.given.scores import GivenScores
    >>> from ingest.store.records import StudyInfo
    >>> matrix = csr_matrix([[600.0, -400.0], [0.0, 1000.0]])
    >>> obs = pd.DataFrame({"cell_type": ["B", "T"]}, index=["cell1", "cell2"])
    >>> scores = GivenScores(
    ...     obs, ["MS4A1", "CD3E"], lambda start, stop: matrix[start:stop], "an example", version=[1], n_chunk=1000
    ... )
    >>> with sigdb.Atlas.create("given.duckdb") as atlas:
    ...     report = load_study(atlas, StudyInfo("example", scores.origin), scores, LoadOptions())
    >>> report.n_cells, report.n_scores
    (2, 3)
    """
    check_genes(scores.genes, options.measured)
    obs, depth = scores.split_obs()
    settings = run_settings(options)
    with atlas.transaction() as con:
        table, notes = obs_table(obs, study=info.study, mapping=options.mapping, divide=options.divide_samples)
        fields = describe_fields(obs, table, options.mapping)
        model_id, gene_ids = add_model(con, model_info(options.model, scores.genes))
        notes += note_unknown_genes(con, model_id, len(gene_ids))
        run_id = add_run(con, model_id, settings, options.run)
        chosen = set(scores.genes if options.measured is None else options.measured)
        measured = [gene for gene, name in zip(gene_ids, scores.genes, strict=True) if name in chosen]
        inputs = chunk_inputs(scores, options, depth)
        folder = stage_folder(atlas.path, info.study, settings, scores.n_chunk, inputs)
        opened = open_study(con, folder, NewStudy(info, run_id, table, gene_ids, measured, options.if_exists))
        if opened is None:
            return None
        writer, stage = opened
        with keep_or_remove_chunks(stage, len(obs)):
            chunks = ChunkWriter(stage, scores, depth, options, settings, np.isin(gene_ids, measured))
            chunks.write_missing(info.study)
            record_signs(con, run_id, info.study, stage)
            if writer.has_cells:
                fields, notes = (), []
            notes += writer.store(stage)
    report = StudyReport(
        study=info.study,
        n_cells=len(obs),
        n_scores=stage.n_scores,
        n_genes_measured=len(measured),
        n_empty_cells=stage.cells()["attribution_scale"].null_count,
        median_delta=None,
        relative_delta=None,
        median_error=None,
        counts_from=info.counts_from,
        notes=tuple(notes),
        fields=fields,
    )
    mark_stored(stage.folder)
    return report


def model_info(name: str, genes: Sequence[str]) -> ModelInfo:
    """The record of a model of which only the name and the genes, in order, are known."""
    checkpoint = digest("\n".join(["precomputed", name, *genes]).encode())
    return ModelInfo(name, "precomputed", checkpoint, genes, 0, "Its scores were computed elsewhere.")


def run_settings(options: LoadOptions) -> RunSettings:
    """The record of a run of given scores."""
    return RunSettings(
        method=options.method,
        n_steps=None,
        baseline=UNKNOWN,
        summation=UNKNOWN,
        target_sum=options.target_sum,
        device=UNKNOWN,
        versions={"sigdb-atlas": version("sigdb-atlas")},
    )


def note_unknown_genes(con: duckdb.DuckDBPyConnection, model_id: int, n_genes: int) -> list[str]:
    """Return a note on the genes that HGNC does not know, if any; GeneSpaceError if it knows no gene at all."""
    names = [name for (name,) in run_statement(con, "ingest/genes.unknown_genes", {"model_id": model_id})]
    if len(names) == n_genes:
        raise GeneSpaceError(
            f"None of the {n_genes} genes is known to HGNC ({listed(names, 3)}). Are they symbols or Ensembl ids of "
            "human genes, one per line?"
        )
    return [f"{len(names)} of {n_genes} genes are kept under names that HGNC does not know"] if names else []


def chunk_inputs(
    scores: GivenScores, options: LoadOptions, depth: Mapping[str, NDArray[np.float64]]
) -> dict[str, object]:
    """What the chunks of a study depend on, besides the settings of the run."""
    return {
        "scores": [scores.origin, *scores.version],
        "model": model_info(options.model, scores.genes).checkpoint_sha256,
        "rescale": options.rescale,
        "measured": options.measured and list(options.measured),
        "depth": [digest(values.tobytes()) for values in depth.values()],
    }


@dataclass(frozen=True)
class ChunkWriter:
    """Checks the scores of a study and writes them to a stage, chunk by chunk.

    depth: as `GivenScores.split_obs` returns it. is_measured: (n_genes,), one per column of the scores.
    """

    stage: Stage
    scores: GivenScores
    depth: Mapping[str, NDArray[np.float64]]
    options: LoadOptions
    settings: RunSettings
    is_measured: NDArray[np.bool_]

    def write_missing(self, study: str) -> None:
        """Write the chunks that the stage does not have."""
        for _ in map_ahead(self._write, self._read_missing(study), self.scores.n_threads):
            pass
        n_cells = len(self.scores.obs)
        self.options.progress(study, n_cells, n_cells)

    def _read_missing(self, study: str) -> Iterator[tuple[int, csr_matrix]]:
        n_cells, n_chunk = len(self.scores.obs), self.scores.n_chunk
        for number, start in enumerate(range(0, n_cells, n_chunk)):
            self.options.progress(study, start, n_cells)
            if not self.stage.has(number):
                yield number, self.scores.rows(start, min(start + n_chunk, n_cells))

    def _write(self, numbered_rows: tuple[int, csr_matrix]) -> None:
        number, rows = numbered_rows
        start = number * self.scores.n_chunk
        checked = check_scores(rows, start, self.scores.genes, self.is_measured)
        scores, scale = scale_scores(checked, start, self.options.target_sum, rescale=self.options.rescale)
        cells = slice(start, start + scores.shape[0])
        chunk = Chunk(
            n_counts=self.depth["n_counts"][cells],
            n_genes=self.depth["n_genes"][cells],
            scores=scores,
            scale=scale,
            delta=nans(scores.shape[0]),
            error=nans(scores.shape[0]),
            n_expressed=self.depth["n_expressed"][cells],
            n_read=self.depth["n_read"][cells],
            n_unread=np.zeros(scores.shape[1], np.int64),
        )
        self.stage.write_chunk(number, start, chunk, device=self.settings.device, versions=self.settings.versions)


def record_signs(con: duckdb.DuckDBPyConnection, run_id: int, study: str, stage: Stage) -> None:
    """Record whether the scores of a run are signed; ScoresError if the other studies of the run differ."""
    is_signed = stage.is_signed()
    ids = {"run_id": run_id, "study": study}
    ((run, run_is_signed, n_others),) = run_statement(con, "ingest/records.run_signs", ids)
    if is_signed is None:
        return
    if n_others and is_signed != run_is_signed:
        kinds = {True: "negative scores", False: "absolute scores only"}
        raise ScoresError(
            f"Study {study!r} has {kinds[is_signed]}, but the {n_others} other studies of run {run!r} have "
            f"{kinds[run_is_signed]}. They cannot be compared: give these scores a run of their own with `run`."
        )
    run_statement(con, "ingest/records.set_signs", {"run_id": run_id, "is_signed": is_signed})
