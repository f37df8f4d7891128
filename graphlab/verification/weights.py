"""Whether the weights a rewritten program carries are the ones it was given, or made of them as the rewrite says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from graphlab.verification.compare import gap
from graphlab.verification.draws import has_values
from graphlab.verification.result import Broken, VerificationError
from graphlab.verification.tape import Tape

if TYPE_CHECKING:
    from graphlab.rewriting.new_tensor import NewTensor

_NAME = "weight "


def check_weights(before: Tape, after: Tape, made: Sequence[NewTensor]) -> Broken | None:
    """The first weight of `after` that is neither that of `before` nor what its recipe makes of them; None if all are.

    Bits are compared, memory that is the same is not read. Weights without values are compared in shape and dtype.
    """
    recipes = {tensor.key: tensor for tensor in made}
    for key in dict.fromkeys(after.weights.values()):
        found = _held(after, key)
        assert found is not None
        old = _held(before, key)
        if old is None:
            old = _made(before, key, recipes)
            if old is None:
                return Broken("", "", _NAME + key, "model", float("inf"), 0.0, "nothing says what it is made of")
        elif key in recipes:
            old = _changed(key, old, recipes)
        error = _difference(old, found)
        if error:
            return Broken("", _NAME + key, _NAME + key, "model", error, 0.0, "the program holds another tensor")
    return None


def _held(tape: Tape, key: str) -> torch.Tensor | None:
    value = tape.exported.state_dict.get(key, tape.exported.constants.get(key))
    return value if isinstance(value, torch.Tensor) else None


def _changed(key: str, old: torch.Tensor, recipes: Mapping[str, NewTensor]) -> torch.Tensor:
    """What the rewrite says the weight `key`, which it keeps, becomes."""
    with torch.no_grad():
        return recipes[key].make({key: _plain(old)})


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach() if has_values(tensor) else torch.empty_like(tensor, device="meta")


def _made(before: Tape, key: str, recipes: Mapping[str, NewTensor]) -> torch.Tensor | None:
    recipe = recipes.get(key)
    if recipe is None:
        return None
    origins: dict[str, torch.Tensor] = {}
    for origin in recipe.origins:
        value = _held(before, origin)
        if value is None:
            value = _made(before, origin, recipes)
        elif origin in recipes:
            value = _changed(origin, value, recipes)
        if value is None:
            raise VerificationError(f"the weight {key} is made of {origin}, which no program holds")
        origins[origin] = _plain(value)
    with torch.no_grad():
        return recipe.make(origins)


def _difference(old: torch.Tensor, new: torch.Tensor) -> float:
    if old.shape != new.shape or old.dtype != new.dtype:
        return float("inf")
    if not (has_values(old) and has_values(new)):
        return 0.0
    same = old.data_ptr() == new.data_ptr() and old.stride() == new.stride() and old.device == new.device
    return 0.0 if same or torch.equal(old, new) else gap(new.detach(), old.detach().to(new.device), old.detach()).worst
