"""Errors of `graphlab diff`."""

from __future__ import annotations

from graphlab.errors import GraphlabError


class DiffError(GraphlabError):
    """Two things that cannot be compared, or not at the settings that were asked for."""


class RuleError(GraphlabError):
    """A rule of `--fail-if` that is misspelled: where, what was expected there, and the nearest name."""


class PlaceError(GraphlabError):
    """A rule about a stage, a group or a quantity that neither side has."""
