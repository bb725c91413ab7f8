"""How far a command is: bars on a terminal, and elsewhere a line now and then."""

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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Task

# Seconds between two lines of progress where no bar can be drawn.
LINE_EVERY = 5.0


class Speed(ProgressColumn):
    """Things done a second, lately."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """The speed, once there is one."""
        return Text(speed(task, self.unit))


def speed(task: Task, unit: str) -> str:
    """Things done a second: lately, or in all while there is one figure only."""
    value = task.speed or (task.completed / task.elapsed if task.elapsed else 0)
    return f"{value:,.0f} {unit}/s" if value else ""


@contextmanager
def progress_bars(unit: str = "cells", *, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Progress per name (a study), on standard error; yields the function to tell (name, done, total).

    Bars on a terminal, and elsewhere a line now and then; nothing if `quiet`.
    """
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TextColumn(unit),
        Speed(unit), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    lines = not errors.is_terminal and not quiet
    with Progress(*columns, console=errors, disable=quiet or lines) as progress:
        tasks: dict[str, Task] = {}
        said: dict[str, float] = {}

        def report(study: str, done: int, total: int) -> None:
            if study not in tasks:
                progress.add_task(study, total=total)
                tasks[study], said[study] = progress.tasks[-1], time.monotonic()
            task = tasks[study]
            progress.update(task.id, completed=done)
            if lines and (done == total or time.monotonic() - said[study] >= LINE_EVERY):
                said[study] = time.monotonic()
                errors.print(line(task, unit), soft_wrap=True)

        yield report


def line(task: Task, unit: str) -> str:
    """Progress in words."""
    parts = [f"{task.description}: {task.completed:,.0f} of {task.total or 0:,.0f} {unit}", speed(task, unit)]
    if task.time_remaining:
        parts.append(f"{timedelta(seconds=int(task.time_remaining))} left")
    return ", ".join(part for part in parts if part)
