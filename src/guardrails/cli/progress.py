"""A bar on standard error for what takes long, where a person watches; nothing anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from guardrails.cli.terminal import errors_console, is_terminal

__all__ = ["progress", "progress_of_output"]


@contextmanager
def progress(doing: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """What is told how far it has come, of `total` (None: nobody knows)."""
    columns = (TextColumn(doing), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(compact=True))
    console = errors_console()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda so_far: bar.update(task, completed=so_far)


@contextmanager
def progress_of_output(doing: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """As `progress`, of what writes as it goes: where that is on the screen itself, a bar would stand between it."""
    if is_terminal():
        yield lambda _: None
    else:
        with progress(doing, total) as advance:
            yield advance
