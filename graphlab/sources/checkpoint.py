"""Checkpoints to the shapes of their tensors: .pt .pth .bin .ckpt .safetensors .gguf and sharded indexes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphlab.errors import SourceError, UnsafeSourceError
from graphlab.sources.headers import read_gguf, read_safetensors
from graphlab.sources.inert import Inert, InertTensor, StorageMeta, load_inert
from graphlab.sources.opcodes import scan_one
from graphlab.sources.sniff import STATE_DICTS, SourceKind, sniff_bytes
from graphlab.sources.tensors import ITEM_BITS, StateDictIndex, TensorMeta, common_prefix
from graphlab.sources.zips import Archive, mapped, open_zip

if TYPE_CHECKING:
    import torch

NESTED = ("params_ema", "ema", "ema_state_dict", "state_dict", "model_state_dict", "model", "module", "params", "net")
"""Keys under which training scripts put the weights; of several, the first here is taken and the choice reported."""
WRAPPERS = ("module.", "_orig_mod.")
"""What DistributedDataParallel and torch.compile put in front of every key."""
_MAX_DEPTH = 4


def read_state_dict(path: Path) -> StateDictIndex:
    """The tensors of the checkpoint at `path` with shape, dtype and bytes; no weight is read.

    Nested dictionaries and wrappers' prefixes are taken off and reported in `assumptions`. UnsafeSourceError
    for a whole pickled module, SourceError for what is missing, damaged or not a state dict.
    """
    with mapped(path) as view:
        kind = sniff_bytes(view, str(path))
        if kind is SourceKind.SHARD_INDEX:
            found = _read_sharded(path, bytes(view))
        elif kind in STATE_DICTS:
            found = _read_one(view, kind, str(path))
        else:
            raise SourceError(f"{path} is a {kind.value}, not a state dict")
    if not found.tensors:
        raise SourceError(f"{path} holds no tensors", hint="name a checkpoint of weights")
    return _without_wrappers(found)


def _read_one(view: memoryview, kind: SourceKind, what: str) -> StateDictIndex:
    if kind is SourceKind.SAFETENSORS:
        return read_safetensors(view, what)
    if kind is SourceKind.GGUF:
        return read_gguf(view, what)
    if kind is SourceKind.TORCH_SAVE:
        return _read_torch_zip(open_zip(view, what))
    return _read_torch_legacy(view, what)


def _read_torch_zip(archive: Archive) -> StateDictIndex:
    pickles = [name for name in archive.members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise SourceError(f"{archive.what} holds {len(pickles)} data.pkl, expected one", hint="save the file again")
    root = pickles[0].rpartition("/")[0]
    value, _ = load_inert(archive.stored(pickles[0]), archive.what)
    found = _state_dict(value, archive.what)
    tensors, assumptions = found
    for key, tensor in tensors.items():
        if tensor.storage is not None:
            _check_storage(archive, f"{root}/data/{tensor.storage.key}", tensor.storage, key)
    metas = {key: tensor.meta for key, tensor in tensors.items()}
    return StateDictIndex(archive.what, "torch.save zip", metas, assumptions)


def _check_storage(archive: Archive, name: str, storage: StorageMeta, key: str) -> None:
    member = archive.members.get(name)
    needed = storage.elements * ITEM_BITS[storage.dtype] // 8
    if member is None or member.nbytes < needed:
        got = "no such member" if member is None else f"{member.nbytes} bytes"
        raise SourceError(
            f"{archive.what}: {key} needs {needed} bytes in {name}, which has {got}", hint="fetch the file again"
        )


def _read_torch_legacy(view: memoryview, what: str) -> StateDictIndex:
    """torch.save before 1.6: five pickles (magic, version, system, object, storage keys), then raw storages."""
    at = 0
    for _ in range(3):
        at += scan_one(view[at:], what).end
    value, read = load_inert(view[at:], what)
    tensors, assumptions = _state_dict(value, what)
    at += read
    at += scan_one(view[at:], what).end
    storages = {t.storage.key: t.storage for t in tensors.values() if t.storage is not None}
    needed = sum(storage.elements * ITEM_BITS[storage.dtype] // 8 + 8 for storage in storages.values())
    if at + needed > len(view):
        raise SourceError(f"{what} is truncated: its tensors need {needed} bytes, {len(view) - at} are left")
    return StateDictIndex(what, "torch.save legacy", {key: t.meta for key, t in tensors.items()}, assumptions)


def _state_dict(value: Any, what: str) -> tuple[dict[str, InertTensor], tuple[str, ...]]:
    """The dictionary of tensors in `value`, through the keys that training scripts nest it under."""
    assumptions: list[str] = []
    items: Mapping[Any, Any] = {}
    for _ in range(_MAX_DEPTH):
        _refuse_module(value, what)
        mapping = _mapping(value)
        if mapping is None:
            raise SourceError(f"{what} holds {_in_words(value)}, not a state dict", hint="save model.state_dict()")
        items = mapping
        tensors = {str(key): item for key, item in items.items() if isinstance(item, InertTensor)}
        inner = [key for key in NESTED if _holds_tensors(items.get(key))]
        if not inner:
            break
        others = f", ignoring {', '.join(inner[1:])}" if len(inner) > 1 else ""
        if len(tensors) > len(_mapping(items[inner[0]]) or {}):
            break
        assumptions.append(f"weights read from the entry {inner[0]!r}{others}")
        value = items[inner[0]]
    for key, item in items.items():
        if isinstance(item, Inert):
            _refuse_module(item, what, str(key))
    if not tensors:
        shown = ", ".join(repr(str(key)) for key in list(items)[:5])
        shown = f"its entries are {shown}" if shown else "its dictionary is empty"
        raise SourceError(f"{what} holds no state dict: {shown}", hint="save model.state_dict()")
    skipped = len(items) - len(tensors)
    if skipped:
        assumptions.append(f"{skipped} entries beside the tensors left out")
    return tensors, tuple(assumptions)


def _in_words(value: Any) -> str:
    """What a torch.save file holds instead of a state dict."""
    if isinstance(value, Inert):
        return f"an object of class {value.class_name}"
    if isinstance(value, InertTensor):
        return "a single tensor"
    if isinstance(value, list | tuple | set | frozenset):
        kind = "list" if isinstance(value, list) else "tuple" if isinstance(value, tuple) else "set"
        return f"a {kind} of {len(value)} item{'' if len(value) == 1 else 's'}"
    if value is None:
        return "nothing (None)"
    known = ((bool, "a boolean"), (int | float | complex, "a number"), (str, "a text"), (bytes, "bytes"))
    return next((words for kind, words in known if isinstance(value, kind)), "an object of torch's")


def _mapping(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    return getattr(value, "items", None) or None if isinstance(value, Inert) else None


def _holds_tensors(value: Any, depth: int = 0) -> bool:
    if _is_module(value):
        return True
    items = _mapping(value)
    if items is None or depth > 2:
        return False
    return any(isinstance(item, InertTensor) or _is_module(item) for item in items.values()) or any(
        _holds_tensors(items.get(key), depth + 1) for key in NESTED
    )


def _is_module(value: Any) -> bool:
    state = getattr(value, "state", None) if isinstance(value, Inert) else None
    return isinstance(state, Mapping) and "_parameters" in state and "_modules" in state


def _refuse_module(value: Any, what: str, where: str = "") -> None:
    if _is_module(value):
        place = f" under {where!r}" if where else ""
        raise UnsafeSourceError(
            f"{what} holds a whole pickled module ({value.class_name}){place}: loading it would import and run code",
            hint="save model.state_dict() instead, or pass --trust-pickle if you trust who wrote the file",
        )


def _read_sharded(path: Path, data: bytes) -> StateDictIndex:
    weight_map = json.loads(data)["weight_map"]
    shards = sorted({shard for shard in weight_map.values() if isinstance(shard, str)})
    if any(not isinstance(shard, str) for shard in weight_map.values()) or not shards:
        raise SourceError(f"{path}: its weight_map does not name files", hint="fetch the index again")
    read: dict[str, Mapping[str, TensorMeta]] = {}
    for shard in shards:
        if shard in (".", "..") or any(mark in shard for mark in ("/", "\\", ":", "\0")):
            raise UnsafeSourceError(
                f"{path} names the shard {shard!r}, which is not in its folder", hint="do not use it"
            )
        file = path.parent / shard
        if not file.is_file():
            raise SourceError(f"{path}: the shard {shard} is missing", hint="fetch it into the same folder")
        with mapped(file) as view:
            kind = sniff_bytes(view, str(file))
            if kind not in STATE_DICTS or kind is SourceKind.SHARD_INDEX:
                raise SourceError(f"{file} is a {kind.value}, expected a shard of weights")
            read[shard] = _read_one(view, kind, str(file)).tensors
    tensors = dict(_placed(weight_map, read, path))
    extra = {key for shard in read.values() for key in shard} - set(tensors)
    if extra:
        raise SourceError(f"{path} does not list {min(extra)}, which is in a shard", hint="fetch the index again")
    return StateDictIndex(str(path), f"{len(shards)} shards", tensors)


def _placed(
    weight_map: Mapping[str, str], read: Mapping[str, Mapping[str, TensorMeta]], path: Path
) -> Iterator[tuple[str, TensorMeta]]:
    for key, shard in weight_map.items():
        if key not in read[shard]:
            raise SourceError(f"{path}: {key} is not in its shard {shard}", hint="fetch index and shards again")
        yield key, read[shard][key]


def _without_wrappers(index: StateDictIndex) -> StateDictIndex:
    tensors, assumptions = dict(index.tensors), list(index.assumptions)
    while True:
        prefix = next((wrapper for wrapper in WRAPPERS if common_prefix(tensors, wrapper)), None)
        if prefix is None:
            return StateDictIndex(index.source, index.layout, tensors, tuple(assumptions), index.metadata)
        tensors = {key.removeprefix(prefix): meta for key, meta in tensors.items()}
        assumptions.append(f"prefix {prefix!r} taken off every key")


def load_trusted_module(path: Path) -> torch.nn.Module:
    """The module pickled in `path`, by running its pickle: only for files whose author the user trusts.

    SourceError when torch cannot load it or when it holds something else than a module.
    """
    import torch

    with mapped(path) as view:
        zipped = bytes(view[:4]) == b"PK\x03\x04"
    try:
        value = torch.load(path, map_location="cpu", weights_only=False, mmap=zipped)
    except Exception as error:  # the pickle runs code of its author, which may raise anything
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise SourceError(f"cannot load {path}: {detail}", hint="the classes it uses must be importable") from error
    if isinstance(value, dict):
        value = next((value[key] for key in NESTED if isinstance(value.get(key), torch.nn.Module)), value)
    if not isinstance(value, torch.nn.Module):
        raise SourceError(f"{path} holds a {type(value).__name__}, not a module", hint="leave --trust-pickle out")
    return value.eval()
