"""Errors of backends."""

from __future__ import annotations

from graphlab.errors import GraphlabError


class BackendError(GraphlabError):
    """A backend that cannot run here, or that cannot compile or run this program; says which and why."""
