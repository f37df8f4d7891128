"""Moved to graphlab.report.figure."""

from graphlab.report.figure import Column, Figure, Value

__all__ = ["Column", "Figure", "Value"]
