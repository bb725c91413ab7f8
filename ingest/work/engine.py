"""Where the cells of a study are attributed and its scores stored: by this machine in an atlas file, or elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ingest.work.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ingest.attribution.device import Compute
    from ingest.store.stage import Stage
    from ingest.store.writer import StudyWriter
    from ingest.work.job import Job

__all__ = ["Engine", "ThisMachine"]


class Engine(Protocol):
    """What takes the cells of a study from counts to stored scores.

    home: what is written to, beside which chunks are kept. spool: a folder for a copy of a matrix that is not stored by
    cells; None for a temporary one.
    """

    home: Path
    spool: Path | None

    def attribute(self, job: Job, numbers: Sequence[int], compute: Compute, done: Callable[[int], None]) -> list[str]:
        """Do these chunks of a job, so that its stage has them; return what a user should know.

        done: told how many more cells are done.
        """

    def store_scores(self, writer: StudyWriter, stage: Stage) -> None:
        """Store all scores of a stage, and the sums of them."""

    def publish(self) -> None:
        """Let others see what was stored, if the end of the transaction does not."""


class ThisMachine:
    """An engine: this machine, and an atlas file."""

    spool: Path | None = None

    def __init__(self, home: Path) -> None:
        self.home = home

    def attribute(self, job: Job, numbers: Sequence[int], compute: Compute, done: Callable[[int], None]) -> list[str]:
        """Do chunks in this process, or in several."""
        if compute.workers == 1:
            with job.source.open() as file:
                job.run(file, numbers, done)
            return []
        with Workers(job, compute) as workers:
            workers.run(numbers, done)
        times = f"{workers.n_deaths} times"
        return [f"worker processes were killed {times}; their cells were attributed again"] if workers.n_deaths else []

    def store_scores(self, writer: StudyWriter, stage: Stage) -> None:
        """Insert the scores, and add them up."""
        writer.write_scores(stage)

    def publish(self) -> None:
        """Do nothing: the transaction does."""
