"""Signatures of regions: equal ones compute the same on the same numbers, so one of them is run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from graphlab.graph import Ref
from graphlab.verification.cut import Region, Side, size_of
from graphlab.verification.draws import Weights, generator, has_values
from graphlab.verification.tape import Tape

_SEED = 1


@dataclass
class Signer:
    """Signatures of regions cut from two programs; `weights` knows what the weights are made of."""

    before: Tape
    after: Tape
    weights: Weights
    digests: dict[str, str] = field(default_factory=dict)

    def signature(self, region: Region, mates: Mapping[str, str]) -> tuple[Any, ...]:
        """Operators, literals, how values are wired, and shapes and dtypes of what the region starts from.

        `mates` maps names before to names after. Weights count by shape and role, those with kept values by their
        numbers, new ones by what their recipe makes of numbers that are the same for every region.
        """
        numbers: dict[Any, int] = {}
        keys: dict[str, int] = {}
        entries: list[Any] = []
        for which, part in (("before", region.before), ("after", region.after)):
            for name in part.leaves:
                common = name if which == "after" else mates[name]
                if ("leaf", common) not in numbers:
                    numbers["leaf", common] = len(numbers)
                    entries.append((self._spec(self.after, common), common in self.after.inputs and common))
        for which, tape, part in (("before", self.before, region.before), ("after", self.after, region.after)):
            entries.append(self._side(which, tape, part, mates, numbers, keys, region.templates[which == "after"]))
        return tuple(entries)

    def _side(
        self,
        which: str,
        tape: Tape,
        part: Side,
        mates: Mapping[str, str],
        numbers: dict[Any, int],
        keys: dict[str, int],
        template: Any,
    ) -> tuple[Any, ...]:
        local: dict[str, Any] = {}
        for name in part.leaves:
            local[name] = ("leaf", numbers["leaf", name if which == "after" else mates[name]])
        for call in part.calls:
            local[call.name] = ("call", len(local))
        calls = []
        for call in part.calls:
            for ref in call.refs:
                if ref not in local and size_of(tape, ref) is None:
                    local[ref] = self._weight(tape, ref, keys)
            calls.append((call.op, repr(call.autocast), self._args((call.args, dict(call.kwargs)), tape, local)))
        for name in part.weights:
            if name not in local:
                local[name] = self._weight(tape, name, keys)
        return (tuple(calls), self._args(template, tape, local))

    def _args(self, value: Any, tape: Tape, local: Mapping[str, Any]) -> Any:
        if isinstance(value, Ref):
            size = size_of(tape, value.name)
            return local[value.name] if size is None else ("size", str(size))
        if isinstance(value, (tuple, list)):
            return tuple(self._args(item, tape, local) for item in value)
        if isinstance(value, Mapping):
            return tuple((key, self._args(item, tape, local)) for key, item in sorted(value.items()))
        if isinstance(value, int) and not isinstance(value, bool):
            return ("size", str(value))
        return (type(value).__name__, repr(value))

    def _spec(self, tape: Tape, name: str) -> Any:
        node = tape.program.graph.by_name[name]
        return tuple((spec.shape, spec.dtype) if spec is not None else None for spec in node.outputs)

    def _weight(self, tape: Tape, name: str, keys: dict[str, int]) -> Any:
        key = tape.weights.get(name)
        if key is None:
            return ("constant", self._digest(name, tape.constants[name]), self._spec(tape, name))
        if self._is_new(key):
            return ("made", self._made(key, keys), self._spec(tape, name))
        return self._original(key, keys)

    def _original(self, key: str, keys: dict[str, int]) -> Any:
        number = keys.setdefault(key, len(keys))
        value = self.weights.original(key)
        role = self.weights.role(key)
        kept = "PARAMETER" not in role and role not in ("contracted", "bias", "mean", "variance") and has_values(value)
        alone = key if key in self.weights.made else ""  # changed on purpose: like no other
        return (number, tuple(value.shape), str(value.dtype), role, alone, self._digest(key, value) if kept else "")

    def _is_new(self, key: str) -> bool:
        return key in self.weights.made and key not in self.weights.kinds

    def _made(self, key: str, keys: dict[str, int]) -> Any:
        """The origins, and the numbers the recipe makes of probes that depend on an origin's place alone."""
        recipe = self.weights.made[key]
        places = tuple(
            self._made(origin, keys) if self._is_new(origin) else self._original(origin, keys)
            for origin in recipe.origins
        )
        with torch.no_grad():
            probes = {origin: self._probe(origin, place) for place, origin in enumerate(recipe.origins)}
            return places, _hash(recipe.make(probes))

    def _probe(self, key: str, place: int) -> torch.Tensor:
        if self._is_new(key):
            return self.weights.get(key, double=True)
        value = self.weights.original(key)
        source = generator(_SEED, f"probe {place}", self.weights.device)
        if not value.is_floating_point():
            return torch.zeros(value.shape, dtype=value.dtype, device=source.device)
        return torch.empty(value.shape, device=source.device).normal_(generator=source)

    def _digest(self, key: str, value: torch.Tensor) -> str:
        if key not in self.digests:
            self.digests[key] = _hash(value.detach()) if has_values(value) else key
        return self.digests[key]


def _hash(value: torch.Tensor) -> str:
    raw = value.detach().cpu().contiguous().flatten().view(torch.uint8)
    return hashlib.sha1(raw.numpy().tobytes(), usedforsecurity=False).hexdigest()
