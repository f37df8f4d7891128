"""Errors of exported folders."""

from __future__ import annotations

from graphlab.errors import GraphlabError


class PipelineError(GraphlabError):
    """A folder of models that cannot be written, or cannot be run as it is."""


def reason_of(error: Exception) -> str:
    """What `error` says, in one line, with its kind where that says more: a KeyError names the key alone."""
    said = " ".join(str(error).split())[:400]
    plain = isinstance(error, (ValueError, RuntimeError, OSError)) and said
    return said if plain else f"{type(error).__name__}: {said}".rstrip(": ")
