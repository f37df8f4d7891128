"""Where the reports of a command go, and its tables: files first, standard output for one report alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any, TextIO

from graphlab.cli.output import STDOUT, check_apart, check_outputs, write_output

Writers = Mapping[str, Callable[[Any], str]]


class Destinations:
    """`paths` maps the options that were given ("--json") to where they write, and `tables` is where tables go.

    Tables go to standard output, to standard error where a report has that.
    """

    def __init__(self, paths: Mapping[str, str], tables: TextIO) -> None:
        self.paths = paths
        self.tables = tables
        self.kept = ""

    def write(self, texts: Mapping[str, str]) -> None:
        """Writes {option: text}, files at once and all of them whole; standard output gets its text at the end.

        Every text is there before the first is written.
        """
        for option, text in texts.items():
            if self.paths[option] == STDOUT:
                self.kept = text
            else:
                write_output(self.paths[option], text)

    def write_each(self, report: Any, writers: Writers) -> None:
        """`write` of what each of `writers` ({option: function}) that was asked for makes of `report`."""
        self.write({option: make(report) for option, make in writers.items() if option in self.paths})

    def show(self, draw: Callable[[TextIO], None]) -> None:
        """Has `draw` put its tables where they go. A reader that has closed it (`head`, a pager) has what it wanted."""
        try:
            draw(self.tables)
            self.tables.flush()
        except BrokenPipeError:
            forget_reader(self.tables)


def forget_reader(stream: TextIO) -> None:
    """What is left for the closed `stream` goes nowhere, so that nothing of it fails when the process ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def destinations(
    asked: Mapping[str, str | None],
    files: Mapping[str, str] | None = None,
    *,
    reads: Iterable[str | Path | None] = (),
    writes: Iterable[Path] = (),
) -> Iterator[Destinations]:
    """The Destinations of {option: path, None where not given}; errors as of `check_outputs`, before the long work.

    `files` are others that the command writes, by option. No report takes the place of a file that the command `reads`
    (None is none, and a name that is no file neither) or `writes` by itself: BadParameter. A report on standard output
    has it alone: what anybody else prints there meanwhile goes to standard error.
    """
    paths = {option: path for option, path in asked.items() if path is not None}
    check_apart(paths, [path for path in reads if path is not None and os.path.exists(path)], writes)
    check_outputs({**paths, **(files or {})})
    if STDOUT not in paths.values():
        yield Destinations(paths, sys.stdout)
        return
    with _standard_output_alone() as stream:
        made = Destinations(paths, sys.stderr)
        try:
            yield made
        finally:
            with suppress(BrokenPipeError):  # as of `show`
                stream.write(made.kept)
                stream.flush()


@contextmanager
def _standard_output_alone() -> Iterator[TextIO]:
    """Standard output, which inside is known to nobody else, the process's children and its libraries included."""
    real = sys.stdout
    if _number(real) != 1:  # somebody has put another stream in its place
        with redirect_stdout(sys.stderr):
            yield real
        return
    real.flush()
    stream = os.fdopen(os.dup(1), "w", encoding=real.encoding, errors="backslashreplace")
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield stream
    finally:
        os.dup2(stream.fileno(), 1)
        with suppress(BrokenPipeError):
            stream.close()


def _number(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):  # a stream in memory has none
        return None
