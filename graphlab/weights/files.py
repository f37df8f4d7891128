"""Files of weights, opened without reading them: safetensors, sharded ones, torch.save archives, `.pt2`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from graphlab.errors import SourceError, UnsafeSourceError
from graphlab.sources.archive import load_exported_program
from graphlab.sources.checkpoint import NESTED, load_trusted_module, read_state_dict
from graphlab.sources.headers import read_safetensors
from graphlab.sources.quantized import separate
from graphlab.sources.sniff import SourceKind, sniff
from graphlab.sources.tensors import TensorMeta
from graphlab.sources.zips import mapped
from graphlab.verification.draws import has_values
from graphlab.weights.errors import WeightsError

_MOST_NESTED = 4


class Stored(Protocol):
    """Tensors in files, by the files' names."""

    @property
    def names(self) -> Collection[str]:
        """All of them, in the file's order."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """How the tensors were found."""
        ...

    def read(self, name: str) -> torch.Tensor:
        """The tensor `name` on the CPU, in the dtype it is stored in."""
        ...


def opened(file: Path, *, trust_pickle: bool = False) -> Stored:
    """The tensors of `file`; headers are read and checked, weights are not.

    A `.pt2` and a torch.save file older than torch 1.6 are read whole. WeightsError for quantised weights and files
    that hold none, UnsafeSourceError for pickles that would run code (unless trusted), SourceError for damage.
    """
    kind = sniff(file)
    if kind in (SourceKind.EXPORTED_PROGRAM, SourceKind.EXPORTED_PROGRAM_OLD):
        return _program(file)
    if kind is SourceKind.GGUF:
        raise WeightsError(f"{file} is a GGUF file, whose blocks are not unpacked", hint="use the unquantised weights")
    try:
        index = read_state_dict(file)
    except UnsafeSourceError:
        if not trust_pickle:
            raise
        return Loaded(load_trusted_module(file).state_dict(), ("weights of a pickled module",))
    separated = separate(index)
    if len(separated.tensors) != len(index.tensors):
        raise WeightsError(f"{file} is quantised: {'; '.join(separated.notes)}", hint="use the unquantised weights")
    if kind is SourceKind.SHARD_INDEX:
        return _sharded(file, trust_pickle)
    return _one(file, kind, trust_pickle)


def _one(file: Path, kind: SourceKind, trust_pickle: bool) -> Stored:
    return Safetensors(_places(file)) if kind is SourceKind.SAFETENSORS else _torch(file, kind, trust_pickle)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a safetensors file holds a tensor: `start` is its first byte in the file."""

    file: Path
    start: int
    meta: TensorMeta


@dataclass(frozen=True, slots=True)
class Safetensors:
    """Tensors of one or several safetensors files, read from the file each time they are asked for."""

    places: Mapping[str, Place] = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> Collection[str]:
        """The tensors' names."""
        return self.places.keys()

    def read(self, name: str) -> torch.Tensor:
        """The tensor `name` in memory of its own; SourceError when the file ends before it."""
        place = self.places[name]
        dtype: torch.dtype = getattr(torch, place.meta.dtype)
        tensor = torch.empty(place.meta.shape, dtype=dtype)
        if not tensor.numel():
            return tensor
        array: Any = tensor.view(-1).view(torch.uint8).numpy()
        buffer = memoryview(array)
        try:
            with place.file.open("rb", buffering=0) as stream:
                stream.seek(place.start)
                at = 0
                while at < len(buffer) and (count := stream.readinto(buffer[at:])):
                    at += count
        except OSError as error:
            raise SourceError(f"cannot read {name} of {place.file}: {error}", hint="check the file") from error
        if at < len(buffer):
            raise SourceError(f"{place.file} changed: it ends inside {name}", hint="fetch the file again")
        return tensor


def _places(file: Path) -> dict[str, Place]:
    """{name: place}; the tensors of a sound file lie one behind the other in the order that the header is read in."""
    with mapped(file) as view:
        at = 8 + int.from_bytes(view[:8], "little")
        tensors = read_safetensors(view, str(file)).tensors
    found: dict[str, Place] = {}
    for name, meta in tensors.items():
        found[name] = Place(file, at, meta)
        at += meta.nbytes
    return found


@dataclass(frozen=True, slots=True)
class Loaded:
    """Tensors that torch has loaded; of files since torch 1.6 they are mapped, and read where they are used."""

    tensors: Mapping[str, torch.Tensor] = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> Collection[str]:
        """The tensors' names."""
        return self.tensors.keys()

    def read(self, name: str) -> torch.Tensor:
        """The tensor `name`; it is not to be written into. WeightsError when it was saved without its values."""
        value = self.tensors[name]
        if not has_values(value):
            raise WeightsError(f"{name} was saved without its values", hint="save it from a model with weights")
        return value.detach().cpu()


@dataclass(frozen=True, slots=True)
class Shards:
    """Tensors of several files, by the shard that holds each."""

    shards: Mapping[str, Stored] = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> Collection[str]:
        """The tensors' names."""
        return self.shards.keys()

    def read(self, name: str) -> torch.Tensor:
        """The tensor `name`."""
        return self.shards[name].read(name)


def _sharded(index: Path, trust_pickle: bool) -> Shards:
    """The shards of an index that was found sound: every one is there, in its folder, and holds what it says."""
    weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    files = {name: index.parent / name for name in sorted(set(weight_map.values()))}
    shards = {name: _one(file, sniff(file), trust_pickle) for name, file in files.items()}
    return Shards({key: shards[name] for key, name in weight_map.items()})


def _program(file: Path) -> Loaded:
    exported = load_exported_program(file)
    held = {**exported.constants, **exported.state_dict}
    return Loaded({key: value for key, value in held.items() if isinstance(value, torch.Tensor)})


def _torch(file: Path, kind: SourceKind, trust_pickle: bool) -> Loaded:
    """A torch.save file whose pickles were found to hold a state dict; torch checks them once more as it loads."""
    try:
        value = torch.load(
            file, map_location="cpu", weights_only=not trust_pickle, mmap=kind is SourceKind.TORCH_SAVE or None
        )
    except Exception as error:  # torch raises its own, pickle's, attribute and runtime errors
        detail = " ".join(str(error).split())[:200]
        raise SourceError(
            f"torch cannot load the weights of {file}: {detail}",
            hint="save model.state_dict() alone, or pass --trust-pickle if you trust who wrote the file",
        ) from error
    return _nested(value)


def _nested(value: Any) -> Loaded:
    """The tensors in what a training script saved, under the keys it put them."""
    notes: list[str] = []
    while isinstance(value, Mapping):
        inner = next((key for key in NESTED if _tensors(value.get(key))), None)
        if inner is None or len(_tensors(value)) > len(_tensors(value[inner])):
            break
        notes.append(f"weights read from the entry {inner!r}")
        value = value[inner]
    return Loaded(_tensors(value), tuple(notes))


def _tensors(value: Any, depth: int = 0) -> dict[str, torch.Tensor]:
    """The tensors of a mapping; of one that has none, those of a mapping it nests under a known key."""
    if not isinstance(value, Mapping) or depth > _MOST_NESTED:
        return {}
    own = {str(key): item for key, item in value.items() if isinstance(item, torch.Tensor)}
    return own or next((found for key in NESTED if (found := _tensors(value.get(key), depth + 1))), {})
