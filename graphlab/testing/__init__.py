"""The tests every pass needs, a function a kind of pass, for its author to call from a test of its own."""

from graphlab.testing.analyses import check_analysis
from graphlab.testing.failure import CheckFailed
from graphlab.testing.rewrites import NearMiss, check_rewrite
from graphlab.testing.stages import StageNearMiss, check_stage_rewrite
from graphlab.testing.text import program_text

__all__ = [
    "CheckFailed",
    "NearMiss",
    "StageNearMiss",
    "check_analysis",
    "check_rewrite",
    "check_stage_rewrite",
    "program_text",
]
