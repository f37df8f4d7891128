"""Reads mask files: everything is checked before anything is believed; bits are unpacked one weight at a time."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from graphlab.masks.bits import packed_bytes, unpack
from graphlab.masks.errors import MaskError
from graphlab.masks.hashing import base_hash, ordered
from graphlab.masks.writing import FORMAT, VERSION
from graphlab.sources.headers import read_safetensors
from graphlab.sources.sniff import SourceKind, sniff_bytes
from graphlab.sources.tensors import ITEM_BITS, StateDictIndex
from graphlab.sources.zips import mapped

_FIELDS = {"format", "version", "base_sha256", "weights"}
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class MaskedWeight:
    """One weight of the base and how many of its entries the mask sets.

    `shape` and `dtype` (torch's name) are the base weight's, `sha256` its `weight_hash`.
    """

    key: str
    shape: tuple[int, ...]
    dtype: str
    sha256: str
    set_entries: int

    @property
    def entries(self) -> int:
        """Number of elements of the weight."""
        return math.prod(self.shape)

    @property
    def density(self) -> float:
        """Share of the entries that are set, 0 to 1; 0 for a weight without elements."""
        return self.set_entries / self.entries if self.entries else 0.0


@dataclass(frozen=True, slots=True)
class WeightMask:
    """A mask file that has been checked. `weights` are in the order of the file, that of their keys.

    `base_sha256` is the hash of the base, `about` what the maker of the mask wrote down (prompts, seeds, ...).
    """

    path: Path
    base_sha256: str
    weights: Mapping[str, MaskedWeight]
    about: Mapping[str, Any]
    _bits: Mapping[str, memoryview] = field(repr=False)

    def bits(self, key: str) -> torch.Tensor:
        """The boolean mask of the weight `key`, in the weight's shape; unpacked anew at every call."""
        return _unpacked(self._bits[key], self.weights[key].shape)

    def packed(self, key: str) -> bytes:
        """The mask of the weight `key` as it stands in the file."""
        return bytes(self._bits[key])

    @property
    def set_entries(self) -> int:
        """Number of entries set in all weights."""
        return sum(weight.set_entries for weight in self.weights.values())

    @property
    def density(self) -> float:
        """Share of the entries of the masked weights that are set."""
        return self.set_entries / sum(weight.entries for weight in self.weights.values())

    @property
    def empty(self) -> tuple[str, ...]:
        """Keys of the weights without a set entry."""
        return tuple(key for key, weight in self.weights.items() if not weight.set_entries)


def read_mask(path: Path | str) -> WeightMask:
    """The mask in the file `path`; no base is needed to read it.

    SourceError for a file that is missing, truncated or no safetensors file; MaskError for one that is no mask, of
    another version, whose metadata is damaged or missing, with a tensor that is no mask of its weight, and for a mask
    without any entry set.
    """
    path = Path(path)
    with mapped(path) as view:
        kind = sniff_bytes(view, str(path))
        if kind is not SourceKind.SAFETENSORS:
            raise MaskError(f"{path} is a {kind.value}, expected a mask in a safetensors file")
        index = read_safetensors(view, str(path))
        texts = _texts(index)
        described = _described(index, texts["weights"])
        packed = dict(_spans(index, view))
        weights = {key: _weight(key, described[key], packed[key], path) for key in ordered(described)}
    mask = WeightMask(path, texts["base_sha256"], weights, _about(texts, path), packed)
    if base_hash({key: weight.sha256 for key, weight in weights.items()}) != mask.base_sha256:
        raise MaskError(f"{path}: the hash of the base does not follow from the hashes of its weights", hint=_HINT)
    if not mask.set_entries:
        raise MaskError(f"{path}: no entry of the mask is set", hint="a mask that changes nothing is a mistake")
    return mask


_HINT = "write or fetch the mask again"


def _texts(index: StateDictIndex) -> Mapping[str, str]:
    """The metadata of a mask of this version."""
    texts = index.metadata
    if texts.get("format") != FORMAT:
        got = f"format {texts['format']!r}" if "format" in texts else "no format"
        raise MaskError(f"{index.source} is no weight mask: its metadata names {got}, expected {FORMAT!r}")
    version = texts.get("version")
    if version != VERSION:
        got = "no version" if version is None else f"version {version!r}"
        raise MaskError(f"{index.source} is a weight mask of {got}; version {VERSION!r} is read here")
    missing = sorted(_FIELDS - set(texts))
    if missing:
        raise MaskError(f"{index.source}: its metadata lacks {', '.join(missing)}", hint=_HINT)
    unknown = sorted(set(texts) - _FIELDS - {"about"})
    if unknown:
        raise MaskError(f"{index.source}: its metadata holds {unknown[0]!r}, which version {VERSION} does not have")
    return texts


def _described(index: StateDictIndex, text: str) -> Mapping[str, Any]:
    """{key: description} of the weights, the same keys as the tensors'."""
    described = _json(text, f"{index.source}: the list of its weights")
    if not index.tensors:
        raise MaskError(f"{index.source} masks no weight", hint=_HINT)
    for key in ordered({**index.tensors, **described}):
        if key not in described:
            raise MaskError(f"{index.source}: its metadata does not describe {key!r}, which it masks", hint=_HINT)
        if key not in index.tensors:
            raise MaskError(f"{index.source}: its metadata describes {key!r}, which it does not mask", hint=_HINT)
    for key, meta in index.tensors.items():
        if meta.dtype != "uint8" or len(meta.shape) != 1:
            stored = f"{meta.dtype} {meta.shape}"
            raise MaskError(f"{index.source}: the mask of {key} is stored as {stored}, expected uint8 (bytes,)")
    return described


def _json(text: str, what: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise MaskError(f"{what} is no sound JSON ({error})", hint=_HINT) from error
    if not isinstance(found, dict):
        raise MaskError(f"{what} is a JSON {type(found).__name__}, expected an object", hint=_HINT)
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} stands twice in it")
        found[key] = value
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _about(texts: Mapping[str, str], path: Path) -> Mapping[str, Any]:
    return _json(texts["about"], f"{path}: what it says about the mask") if "about" in texts else {}


def _spans(index: StateDictIndex, view: memoryview) -> Iterator[tuple[str, memoryview]]:
    """The bytes of every tensor; the index holds them in their order in the file, without gaps."""
    at = 8 + int.from_bytes(view[:8], "little")
    for key, meta in index.tensors.items():
        yield key, view[at : at + meta.nbytes]
        at += meta.nbytes


def _weight(key: str, described: Any, packed: memoryview, path: Path) -> MaskedWeight:
    """The description of one weight, once it and the bits are found to be sound."""
    if not isinstance(described, dict) or set(described) != {"dtype", "shape", "sha256"}:
        raise MaskError(f"{path}: {key} is not described by dtype, shape and sha256", hint=_HINT)
    dtype, shape, sha256 = described["dtype"], described["shape"], described["sha256"]
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise MaskError(f"{path}: {key} has shape {shape!r}, which is none", hint=_HINT)
    if not isinstance(dtype, str) or dtype not in ITEM_BITS:
        raise MaskError(f"{path}: {key} has dtype {dtype!r}, which is none of torch's", hint=_HINT)
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise MaskError(f"{path}: the hash of {key} is no SHA-256 in hexadecimal", hint=_HINT)
    if len(packed) != packed_bytes(shape):
        raise MaskError(
            f"{path}: the mask of {key} has {len(packed)} bytes; {packed_bytes(shape)} are expected "
            f"for shape {shape}, one bit an element"
        )
    try:
        bits = _unpacked(packed, shape)
    except MaskError as error:
        raise MaskError(f"{path}: the mask of {key}: {error.message}", hint=_HINT) from error
    return MaskedWeight(key, tuple(shape), dtype, sha256, int(torch.count_nonzero(bits)))


def _unpacked(packed: memoryview, shape: list[int] | tuple[int, ...]) -> torch.Tensor:
    data = bytearray(packed)  # torch wants memory it might write into
    return unpack(torch.frombuffer(data, dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8), shape)
