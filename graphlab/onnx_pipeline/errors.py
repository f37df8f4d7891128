"""Errors of exported folders."""

from __future__ import annotations

from graphlab.errors import GraphlabError


class PipelineError(GraphlabError):
    """A folder of models that cannot be written, or cannot be run as it is."""
