"""`Values`: everything a program holds, made when it is asked for and then let go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch.export import ExportedProgram

from graphlab.errors import GraphlabError
from graphlab.program import Program
from graphlab.rewriting.new_tensor import NewTensor
from graphlab.verification.draws import has_values
from graphlab.weights.casting import cast, described
from graphlab.weights.errors import MissingWeight, WeightsError
from graphlab.weights.recipes import by_recipe
from graphlab.weights.source import WeightSource


class Values(Mapping[str, torch.Tensor]):
    """{state-dict key or constant name: CPU tensor} of everything `program` holds.

    A tensor that has values in the program keeps them. Others are read from `source`; weights that are one memory in
    the program (tied ones) have the values of the first of their keys that the source has. What a rewrite made is
    made again by its recipe in `new_tensors`, of origins that `base`, the program before the rewrite, describes
    (`program` itself where None). Nothing is kept: a weight asked for twice is read twice, and of a new one its
    origins are in memory while it is made. The tensors are not to be written into: some are the program's own.

    Give every part of a split the same `base`: weights that were tied are then so across the parts.
    """

    def __init__(
        self,
        program: Program,
        source: WeightSource,
        new_tensors: Sequence[NewTensor] = (),
        base: Program | None = None,
    ) -> None:
        self.source = source
        self._held = _tensors(_exported(program))
        self._before = self._held if base is None else _tensors(_exported(base))
        self._recipes = {made.key: made for made in new_tensors}
        self._tied = _tied({**self._before, **self._held})

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: object) -> bool:
        return key in self._held

    def __getitem__(self, key: str) -> torch.Tensor:
        held = self._held[key]
        if not held.numel():
            return torch.empty(held.shape, dtype=held.dtype)
        if has_values(held):
            return held.detach().cpu()
        with torch.no_grad():
            value = by_recipe(key, self._recipes, self._original)
        if value.shape != held.shape:
            raise WeightsError(
                f"{key} was made {described(value)}, the program has {described(held)}",
                hint="give the new tensors of the rewrite that made this program",
            )
        return cast(value, held.dtype, key)

    def _original(self, key: str, asking: tuple[str, ...]) -> torch.Tensor:
        """What the program before holds for `key`: its own values, or the source's."""
        like = self._before.get(key, self._held.get(key))
        if like is None:
            what = f"{asking[-1]} is made of {key}" if asking else key
            raise WeightsError(
                f"{what}, which no program given holds", hint="give the program before the rewrite as base"
            )
        if has_values(like):
            return like.detach().cpu()
        missing: MissingWeight | None = None
        for name in self._tied.get(key, (key,)):
            try:
                return self.source.read(name, like)
            except MissingWeight as error:
                missing = missing or error
        assert missing is not None
        raise missing


def _exported(program: Program) -> ExportedProgram:
    if program.exported is None:
        raise GraphlabError(f"{program.name} has no exported program: it came from the cache of captures")
    return program.exported


def _tensors(exported: ExportedProgram) -> dict[str, torch.Tensor]:
    """Everything `exported` holds: first what its graph takes, in order, then the rest. WeightsError for an object."""
    targets = [spec.target for spec in exported.graph_signature.input_specs if spec.target is not None]
    found: dict[str, torch.Tensor] = {}
    for key in dict.fromkeys((*targets, *exported.state_dict, *exported.constants)):
        value = exported.state_dict.get(key, exported.constants.get(key))
        if isinstance(value, torch.Tensor):
            found[key] = value
        elif key in targets:
            raise WeightsError(f"{key} is a {type(value).__name__}, only programs of tensors have values")
    return found


def _tied(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[str, ...]]:
    """{key: the keys of its memory, in the program's order} of weights that are the same view of one memory."""
    places: dict[tuple[object, ...], list[str]] = {}
    for key, value in tensors.items():
        if value.numel():
            storage = value.untyped_storage()._cdata
            place = (storage, value.storage_offset(), tuple(value.shape), value.stride(), value.dtype)
            places.setdefault(place, []).append(key)
    return {key: tuple(keys) for keys in places.values() if len(keys) > 1 for key in keys}
