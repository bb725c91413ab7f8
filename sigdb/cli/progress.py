"""The progress of a command: bars on a terminal, and a line now and then elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.text import Text

from sigdb.cli.output import errors
from sigdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Task

# Seconds between two lines of progress where no bar can be drawn.
LINE_EVERY = 5.0


class Count(ProgressColumn):
    """A column that shows how many things are done, how fast, since when, and for how long still."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """The same words as in a line of progress."""
        return Text(count(task, self.unit))


def count(task: Task, unit: str) -> str:
    """Progress in words: 512 of 8,568 cells, 382 cells/s, 0:00:02 elapsed, 0:00:21 left."""
    if not task.total:
        return f"{duration(task.elapsed)} elapsed"
    parts = [
        f"{task.completed:,.0f} of {task.total:,.0f} {unit}",
        speed(task, unit),
        f"{duration(task.elapsed)} elapsed",
    ]
    if task.time_remaining:
        parts.append(f"{duration(task.time_remaining)} left")
    return ", ".join(part for part in parts if part)


def duration(seconds: float | None) -> timedelta:
    """Whole seconds, which are printed as 0:00:21."""
    return timedelta(seconds=int(seconds or 0))


def speed(task: Task, unit: str) -> str:
    """Things done per second: recently, or since the start while only one figure is known."""
    value = task.speed or (task.completed / task.elapsed if task.elapsed else 0)
    return f"{value:,.0f} {unit}/s" if value else ""


@contextmanager
def progress_bars(
    unit: str = "cells", *, quiet: bool = False, first: str = "", last: str = ""
) -> Iterator[Callable[[str, int, int], None]]:
    """Show progress per name (a study) on standard error; yields a function of (name, done, total).

    A terminal shows bars, and a log a line now and then. `quiet` shows nothing. first, last: what is done before
    anything can be counted, and after all of a name was counted.
    """
    lines = not errors.is_terminal and not quiet
    columns = [TextColumn("{task.description}", markup=False), BarColumn(), Count(unit)]
    with Progress(*columns, console=errors, disable=quiet or lines) as progress:
        tasks: dict[str, Task] = {}
        printed: dict[str, float] = {}
        waiting: list[Task] = []

        def wait(what: str) -> None:
            """Show that something is done that has no count, until the next report."""
            if what:
                progress.add_task(what, total=None)
                waiting.append(progress.tasks[-1])

        def report(study: str, done: int, total: int) -> None:
            while waiting:
                progress.remove_task(waiting.pop().id)
            if study not in tasks:
                progress.add_task(printable(study), total=total)
                tasks[study], printed[study] = progress.tasks[-1], time.monotonic()
            task = tasks[study]
            progress.update(task.id, completed=done)
            if lines and (done == total or time.monotonic() - printed[study] >= LINE_EVERY):
                printed[study] = time.monotonic()
                errors.print(f"{task.description}: {count(task, unit)}", soft_wrap=True, markup=False)
            if done == total:
                wait(last and f"{task.description}: {last}")

        wait(first)
        yield report
        while waiting:
            progress.remove_task(waiting.pop().id)
