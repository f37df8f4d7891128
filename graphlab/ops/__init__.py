"""The op table. Importing this package fills it; no torch needed."""

from graphlab.ops import (
    activation,
    attention,
    contraction,
    convolution,
    creation,
    einsum,
    elementwise,
    embedding,
    movement,
    normalization,
    reduction,
    resampling,
    scatter,
    views,
)
from graphlab.ops.rule import CATEGORIES, TABLE, OpRule, Work, op, rule_for

__all__ = [
    "CATEGORIES",
    "TABLE",
    "OpRule",
    "Work",
    "activation",
    "attention",
    "contraction",
    "convolution",
    "creation",
    "einsum",
    "elementwise",
    "embedding",
    "movement",
    "normalization",
    "op",
    "reduction",
    "resampling",
    "rule_for",
    "scatter",
    "views",
]
