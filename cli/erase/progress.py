"""How far long work is, with the time that is left, on a terminal; and what to do when it is interrupted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphlab.erase.training.progress import OnProgress, Progress


@contextmanager
def shown(*stages: str) -> Iterator[tuple[OnProgress, ...]]:
    """For every stage a function to call with its Progress; on a terminal one bar, the time left and the losses."""
    stream = sys.stderr
    if not stream.isatty():
        yield tuple(_silent for _ in stages)
        return
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    from graphlab.cli.render import console, literal

    columns = (SpinnerColumn(), BarColumn(bar_width=20), TextColumn("{task.description}", markup=False))
    drawn = Bar(*columns, console=console(stream), transient=True, redirect_stdout=False, redirect_stderr=False)
    with drawn as bar:
        task = bar.add_task(stages[0], total=None)

        def of(stage: str) -> OnProgress:
            def update(now: Progress) -> None:
                bar.update(task, total=now.total, completed=now.done, description=literal(line(stage, now)).plain)

            return update

        yield tuple(map(of, stages))


def _silent(now: Progress) -> None:
    """Nobody is looking."""


def line(what: str, progress: Progress) -> str:
    """ "training 3/250, about 2 min left, erase 0.41, preserve 0.02" """
    losses = "".join(f", {name} {value:.4g}" for name, value in progress.losses.items())
    return f"{what} {progress.done}/{progress.total}, about {duration(progress.seconds_left)} left{losses}"


def duration(seconds: float) -> str:
    """ "40 s", "3 min", "2.5 h" """
    if seconds < 99:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def interruptible(advice: str) -> Iterator[None]:
    """Inside, an interrupt also says how to go on; it goes on to end the command."""
    try:
        yield
    except KeyboardInterrupt:
        print(advice, file=sys.stderr)
        raise
