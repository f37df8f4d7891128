"""Errors of exporting."""

from __future__ import annotations

from graphlab.errors import GraphlabError


class ExportError(GraphlabError):
    """A program that cannot be written as the ONNX model that was asked for; nothing was written."""
