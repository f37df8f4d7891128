"""Built-in workloads: each module of this package lists the models it makes. Importing it imports no torch."""

from graphlab.models.registry import Model, built_in_names, find_model, model_names, models

__all__ = ["Model", "built_in_names", "find_model", "model_names", "models"]
