"""What is wrong with the values asked for a program's weights."""

from __future__ import annotations

from graphlab.errors import GraphlabError


class WeightsError(GraphlabError):
    """A source without weights, a file that does not fit the program, or a spelling of `--weights` there is none of."""


class MissingWeight(WeightsError):
    """A weight that the source does not hold; a weight tied to it may be there under another key."""
