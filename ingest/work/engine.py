"""The engine that takes a study from counts to stored scores: this machine and an atlas file, or a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ingest.work.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ingest.options import Compute
    from ingest.store.stage import Stage
    from ingest.store.writer import StudyWriter
    from ingest.work.job import Job

__all__ = ["Engine", "ThisMachine"]


class Engine(Protocol):
    """What ingest asks of an engine.

    home: the atlas or lake that is written; chunks are kept beside it. spool: an existing folder for sorted copies of
    matrices that are not stored by cells; None for a temporary folder.
    """

    home: Path
    spool: Path | None

    def attribute(self, job: Job, numbers: Sequence[int], compute: Compute, done: Callable[[int], None]) -> list[str]:
        """Attribute chunks of a job into its stage; return notes for the user.

        done: called with the number of cells of each finished batch or chunk.
        """

    def store_scores(self, writer: StudyWriter, stage: Stage) -> None:
        """Store all scores of a stage and their sums."""

    def publish(self) -> None:
        """Make the stored study visible to others, if the end of the transaction does not."""


class ThisMachine:
    """The engine that computes on this machine and writes an atlas file."""

    spool: Path | None = None

    def __init__(self, home: Path) -> None:
        self.home = home

    def attribute(self, job: Job, numbers: Sequence[int], compute: Compute, done: Callable[[int], None]) -> list[str]:
        """Attribute chunks in this process, or in several workers."""
        if compute.workers == 1:
            with job.source.open() as file:
                job.run(file, numbers, done)
            return []
        with Workers(job, compute) as workers:
            workers.run(numbers, done)
        times = f"{workers.n_deaths} times"
        return [f"worker processes were killed {times}; their cells were attributed again"] if workers.n_deaths else []

    def store_scores(self, writer: StudyWriter, stage: Stage) -> None:
        """Insert the scores into the atlas and add them up."""
        writer.write_scores(stage)

    def publish(self) -> None:
        """Do nothing, because the transaction publishes the study."""
