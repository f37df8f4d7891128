"""Approximate: a stage of a denoising loop that takes features of an earlier step in most of its steps."""

from graphlab.reuse.result import ReuseResult
from graphlab.reuse.reuse import reuse_features, reuse_features_of_stage
from graphlab.reuse.runner import ReusedStage, eager
from graphlab.reuse.stages import workload_with

__all__ = ["ReuseResult", "ReusedStage", "eager", "reuse_features", "reuse_features_of_stage", "workload_with"]
