"""Weights made of other weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from graphlab.rewriting.new_tensor import NewTensor

Original = Callable[[str, tuple[str, ...]], torch.Tensor]
"""The weight of a key as it was before any recipe; the second argument says which weights are being made of it."""


def by_recipe(
    key: str, recipes: Mapping[str, NewTensor], original: Original, asking: tuple[str, ...] = ()
) -> torch.Tensor:
    """The weight `key`: made by its recipe, whose origins may have recipes too, else the original.

    A weight that was given new values has itself as origin: the second time the original is meant.
    """
    recipe = recipes.get(key)
    if recipe is None or key in asking:
        return original(key, asking)
    return recipe.make({origin: by_recipe(origin, recipes, original, (*asking, key)) for origin in recipe.origins})
