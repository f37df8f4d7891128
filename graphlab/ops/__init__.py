"""The op table. Importing this package fills it; no torch needed."""

from graphlab.ops import contraction
from graphlab.ops.rule import CATEGORIES, TABLE, OpRule, Work, op, rule_for

__all__ = ["CATEGORIES", "TABLE", "OpRule", "Work", "contraction", "op", "rule_for"]
