"""The values a source has itself: of a live module, a `.pt2`, a checkpoint, a folder with weight files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import torch

from graphlab.sources.build import module_of
from graphlab.sources.sniff import STATE_DICTS, sniff
from graphlab.verification.draws import has_values
from graphlab.weights.casting import described
from graphlab.weights.errors import MissingWeight, WeightsError
from graphlab.weights.folder import holds_weights
from graphlab.weights.stored import StoredWeights, stored_weights
from graphlab.workload import Stage, Workload

_HINT = "give some with --weights PATH, or draw them with --weights random:SEED"
SOURCE = "source"
"""The `spec` of the source's own values."""


class HeldWeights:
    """The values a program or module has in memory; `made` gives {key: tensor}."""

    spec, is_random, notes = SOURCE, False, ()

    def __init__(self, made: Callable[[], Mapping[str, torch.Tensor]], what: str) -> None:
        self._made, self._what = made, what

    def read(self, key: str, like: torch.Tensor) -> torch.Tensor:
        """The weight `key` on the CPU, not to be written into; WeightsError when it has none, or of another shape."""
        value = self._made().get(key)
        if value is None:
            raise MissingWeight(f"{self._what} has no weight {key}", hint=_HINT)
        if not has_values(value):
            raise WeightsError(f"{self._what} has no values for {key}", hint=_HINT)
        if value.shape != like.shape or value.dtype != like.dtype:
            raise WeightsError(
                f"{key} of {self._what} is {described(value)}, expected {described(like)}",
                hint="capture the program again: the source has changed",
            )
        return value.detach().cpu()


def own_weights(workload: Workload, stage: Stage, *, trust_pickle: bool = False) -> HeldWeights | StoredWeights:
    """The values that the source of `workload` has for `stage`.

    WeightsError, naming the option that gives some, where it has none: built-in models, folders of configurations,
    programs exported on the meta device.
    """
    what = workload.source or workload.name
    if stage.program is not None:
        return _of_program(stage, what)
    path = Path(workload.source) if workload.source else None
    if path is not None and path.is_dir() and holds_weights(path, stage.name):
        return stored_weights(path, SOURCE, stage, trust_pickle=trust_pickle)
    if path is not None and _is_checkpoint(path):
        return stored_weights(path, SOURCE, stage, trust_pickle=trust_pickle)
    if stage.identity or stage.build is None:  # what a component builds lies on the meta device
        raise _none(what)
    state = _built_state(stage)
    if not any(has_values(tensor) for tensor in state().values()):
        raise _none(what)
    return HeldWeights(state, what)


def _of_program(stage: Stage, what: str) -> HeldWeights:
    exported = stage.program.exported if stage.program is not None else None
    if exported is None:
        raise _none(what)
    held = {**exported.constants, **exported.state_dict}
    tensors = {key: value for key, value in held.items() if isinstance(value, torch.Tensor)}
    if tensors and not any(has_values(value) for value in tensors.values()):
        raise _none(what)
    return HeldWeights(lambda: tensors, what)


def _built_state(stage: Stage) -> Callable[[], Mapping[str, torch.Tensor]]:
    """The state of the module a user's own function makes, which is made once."""

    @cache
    def state() -> Mapping[str, torch.Tensor]:
        with torch.no_grad():
            module = module_of(stage)
        buffers = dict(module.named_buffers(remove_duplicate=False))
        return {**buffers, **dict(module.named_parameters(remove_duplicate=False))}

    return state


def kept(stage: Stage) -> tuple[str, ...]:
    """A note on the weights that the program of `stage` has values for: whatever else is given, they are kept."""
    exported = stage.program.exported if stage.program is not None else None
    if exported is None:
        return ()
    count = sum(has_values(tensor) for tensor in exported.state_dict.values())
    total = len(exported.state_dict)
    return (f"{count} of {total} weights have values in the source, which are kept",) if count else ()


def built_with_values(stage: Stage) -> bool:
    """Whether `stage` is built with trained values, as a base of graphlab.erase is."""
    return stage.holds_values and stage.program is None


def _is_checkpoint(path: Path) -> bool:
    return path.is_file() and sniff(path) in STATE_DICTS


def _none(what: str) -> WeightsError:
    return WeightsError(f"{what} has no weights", hint=_HINT)
