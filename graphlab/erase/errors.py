"""Errors of concept erasure."""

from __future__ import annotations

from graphlab.errors import GraphlabError


class EraseError(GraphlabError):
    """A concept cannot be erased as asked; the message says what is wrong."""
