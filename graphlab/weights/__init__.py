"""Values for the weights of a program: drawn from a seed, read from files, or the source's own; one at a time."""

from graphlab.weights.errors import MissingWeight, WeightsError
from graphlab.weights.source import WeightSource, weight_source
from graphlab.weights.values import Values

__all__ = ["MissingWeight", "Values", "WeightSource", "WeightsError", "weight_source"]
