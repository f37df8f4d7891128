"""The tests every pass needs, for its author to call from a test of its own: `check_rewrite` and `check_analysis`."""

from graphlab.testing.analyses import check_analysis
from graphlab.testing.failure import CheckFailed
from graphlab.testing.rewrites import NearMiss, check_rewrite
from graphlab.testing.text import program_text

__all__ = ["CheckFailed", "NearMiss", "check_analysis", "check_rewrite", "program_text"]
