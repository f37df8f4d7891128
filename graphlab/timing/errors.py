"""Errors of benchmarks."""

from __future__ import annotations

from graphlab.errors import GraphlabError


class BenchError(GraphlabError):
    """A benchmark that cannot be made as asked: no candidate, a rewrite level there is none of, no room."""


class WorkerError(GraphlabError):
    """What went wrong in a candidate's process, as it said it, or that the process died."""


class WorkerTimeout(WorkerError):
    """A candidate's process that did not answer in the time it had; it was ended."""
