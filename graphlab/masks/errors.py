"""What is wrong with a mask, its base or the edited checkpoint."""

from __future__ import annotations

from graphlab.errors import GraphlabError


class MaskError(GraphlabError):
    """A mask that is damaged, empty, or of another base; an edited checkpoint that does not fit it."""
