"""How a folded weight is computed: the calls it was made by, to be repeated in another precision or on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

_DOUBLE = {torch.complex64: torch.complex128, torch.complex32: torch.complex128}


@dataclass(frozen=True, slots=True)
class _Value:
    """Stands for the value of an earlier call, by number, or for a weight, by key."""

    at: int | str


@dataclass(frozen=True, slots=True)
class _Call:
    target: Any
    args: Any
    kwargs: Any


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """A `Make`: `recipe({origin: tensor})` repeats `calls` on other weights and returns what the last one gives.

    Weights given in float64 that were not so in the program switch to `double`.
    """

    calls: tuple[_Call, ...]
    dtypes: Mapping[str, torch.dtype]

    def __call__(self, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The value in the dtypes of the program."""
        wider = {torch.float64, torch.complex128}
        double = any(weights[key].dtype in wider and dtype not in wider for key, dtype in self.dtypes.items())
        return self.double(weights) if double else self._run(weights, double=False)

    def double(self, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The value computed in float64 throughout, floating casts included."""
        old = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            return self._run(weights, double=True)
        finally:
            torch.set_default_dtype(old)

    def _run(self, weights: Mapping[str, torch.Tensor], *, double: bool) -> torch.Tensor:
        device = next((tensor.device for tensor in weights.values()), None)
        values: dict[Any, Any] = dict(weights)
        last = {item.at: number for number, call in enumerate(self.calls) for item in _values_in(call)}
        for number, call in enumerate(self.calls):
            args, kwargs = (_filled(part, values, double, device) for part in (call.args, call.kwargs))
            values[number] = call.target(*args, **kwargs)
            for at in [at for at, use in last.items() if use == number]:
                values.pop(at)
        result: torch.Tensor = values[len(self.calls) - 1]
        return result


def recipe(calls: Sequence[torch.fx.Node], weights: Mapping[torch.fx.Node, str]) -> Recipe:
    """The Recipe of the last of `calls`, which read each other and the placeholders `weights` ({node: key})."""
    numbers: dict[torch.fx.Node, int] = {node: number for number, node in enumerate(calls)}

    def value(node: torch.fx.Node) -> Any:
        return _Value(weights[node] if node in weights else numbers[node])

    made = tuple(_Call(node.target, *_mapped((node.args, node.kwargs), value)) for node in calls)
    return Recipe(made, {key: node.meta["val"].dtype for node, key in weights.items()})


def _mapped(template: Any, value: Any) -> Any:
    if isinstance(template, torch.fx.Node):
        return value(template)
    if isinstance(template, Mapping):
        return {key: _mapped(item, value) for key, item in template.items()}
    if isinstance(template, (list, tuple)):
        items = [_mapped(item, value) for item in template]
        return tuple(items) if isinstance(template, tuple) else items
    return template


def _values_in(template: Any) -> list[_Value]:
    if isinstance(template, _Value):
        return [template]
    if isinstance(template, _Call):
        return _values_in((template.args, template.kwargs))
    items = template.values() if isinstance(template, Mapping) else template
    return [found for item in items for found in _values_in(item)] if isinstance(template, (dict, list, tuple)) else []


def _filled(template: Any, values: Mapping[Any, Any], double: bool, device: torch.device | None) -> Any:
    def leaf(item: Any) -> Any:
        if isinstance(item, _Value):
            return values[item.at]
        if isinstance(item, torch.dtype) and double:
            return torch.float64 if item.is_floating_point else _DOUBLE.get(item, item)
        return device if isinstance(item, torch.device) and device is not None else item

    if isinstance(template, Mapping):
        return {key: _filled(item, values, double, device) for key, item in template.items()}
    if isinstance(template, (list, tuple)):
        items = [_filled(item, values, double, device) for item in template]
        return tuple(items) if isinstance(template, tuple) else items
    return leaf(template)
