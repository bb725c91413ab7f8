"""The progress of a command: bars on a terminal, and a line now and then elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from sigdb.cli.output import errors
from sigdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Task

# Seconds between two lines of progress where no bar can be drawn.
LINE_EVERY = 5.0


class Speed(ProgressColumn):
    """A column that shows how many things are done per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """The speed, once it is known."""
        return Text(speed(task, self.unit))


def speed(task: Task, unit: str) -> str:
    """Things done per second: recently, or since the start while only one figure is known."""
    value = task.speed or (task.completed / task.elapsed if task.elapsed else 0)
    return f"{value:,.0f} {unit}/s" if value else ""


@contextmanager
def progress_bars(unit: str = "cells", *, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Show progress per name (a study) on standard error; yields a function of (name, done, total).

    A terminal shows bars, and a log a line now and then. `quiet` shows nothing.
    """
    lines = not errors.is_terminal and not quiet
    with Progress(*bar_columns(unit), console=errors, disable=quiet or lines) as progress:
        tasks: dict[str, Task] = {}
        printed: dict[str, float] = {}

        def report(study: str, done: int, total: int) -> None:
            if study not in tasks:
                progress.add_task(printable(study), total=total)
                tasks[study], printed[study] = progress.tasks[-1], time.monotonic()
            task = tasks[study]
            progress.update(task.id, completed=done)
            if lines and (done == total or time.monotonic() - printed[study] >= LINE_EVERY):
                printed[study] = time.monotonic()
                errors.print(progress_line(task, unit), soft_wrap=True)

        yield report


def bar_columns(unit: str) -> list[ProgressColumn]:
    """The columns of a progress bar."""
    return [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        Speed(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]


def progress_line(task: Task, unit: str) -> str:
    """Progress in words."""
    parts = [f"{task.description}: {task.completed:,.0f} of {task.total or 0:,.0f} {unit}", speed(task, unit)]
    if task.time_remaining:
        parts.append(f"{timedelta(seconds=int(task.time_remaining))} left")
    return ", ".join(part for part in parts if part)
