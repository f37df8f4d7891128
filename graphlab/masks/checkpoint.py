"""The edited checkpoint: weights by the program's own names, one at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from graphlab.masks.errors import MaskError
from graphlab.names import nearest
from graphlab.sources.checkpoint import read_state_dict
from graphlab.sources.headers import read_safetensors
from graphlab.sources.sniff import SourceKind, sniff
from graphlab.sources.tensors import TensorMeta
from graphlab.sources.zips import mapped

_INDEX = ".safetensors.index.json"


@dataclass(frozen=True, slots=True)
class EditedWeights:
    """The weights of an edited model on disk.

    `prefix` stands before the program's names in the checkpoint ("unet."); "" where they are the same. `tensors`
    describes what is stored, by the checkpoint's own names.
    """

    path: Path
    prefix: str
    tensors: Mapping[str, TensorMeta] = field(repr=False)
    _files: Mapping[str, Any] = field(repr=False)

    @classmethod
    def open(cls, path: Path | str, keys: Iterable[str]) -> EditedWeights:
        """The checkpoint at `path` with the weights `keys`, under these names or with one prefix before all.

        `path` is a safetensors file, the index of a sharded one, or a folder with either. No weight is read yet.
        SourceError for what is missing or damaged; MaskError for another kind of file, a folder with none or several,
        a key that the checkpoint lacks, and keys that several prefixes would fit.
        """
        path = Path(path)
        file = _only_file(path) if path.is_dir() else path
        files, tensors = _sharded(file) if sniff(file) is SourceKind.SHARD_INDEX else _single(file)
        return cls(path, _prefix(list(keys), tensors, file), tensors, _handles(files))

    def get(self, key: str) -> torch.Tensor:
        """The weight the program calls `key`, on the CPU."""
        name = self.prefix + key
        tensor: torch.Tensor = self._files[name].get_tensor(name)
        return tensor

    def meta(self, key: str) -> TensorMeta:
        """Shape and dtype of the weight the program calls `key`."""
        return self.tensors[self.prefix + key]


def _only_file(folder: Path) -> Path:
    """The checkpoint in `folder`: the index of a sharded one if there is any, else the one safetensors file."""
    names = sorted(item.name for item in folder.iterdir())
    for found in ([n for n in names if n.endswith(_INDEX)], [n for n in names if n.endswith(".safetensors")]):
        if len(found) == 1:
            return folder / found[0]
        if found:
            raise MaskError(f"{folder} holds {len(found)} checkpoints: {', '.join(found)}", hint="name one of them")
    raise MaskError(f"{folder} holds no .safetensors file", hint="name the file or folder of the edited weights")


def _single(file: Path) -> tuple[dict[str, Path], Mapping[str, TensorMeta]]:
    kind = sniff(file)
    if kind is not SourceKind.SAFETENSORS:
        raise MaskError(f"{file} is a {kind.value}, expected a safetensors file", hint="save the weights as one")
    with mapped(file) as view:
        tensors = read_safetensors(view, str(file)).tensors
    return dict.fromkeys(tensors, file), tensors


def _sharded(index: Path) -> tuple[dict[str, Path], Mapping[str, TensorMeta]]:
    read_state_dict(index)  # every shard is there, inside the folder, sound, and holds what the index says
    places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    files = {key: index.parent / name for key, name in places.items()}
    tensors: dict[str, TensorMeta] = {}
    for file in sorted(set(files.values())):
        tensors |= {key: meta for key, meta in _single(file)[1].items() if files[key] == file}
    return files, tensors


def _handles(files: Mapping[str, Path]) -> dict[str, Any]:
    """{key: open file}; weights are mapped, not read, until they are asked for."""
    from safetensors import safe_open

    opened = {file: safe_open(str(file), framework="pt") for file in sorted(set(files.values()))}
    return {key: opened[file] for key, file in files.items()}


def _prefix(keys: list[str], tensors: Mapping[str, TensorMeta], file: Path) -> str:
    """What stands before every one of `keys` in the checkpoint."""
    if all(key in tensors for key in keys):
        return ""
    ends = [name.removesuffix(keys[0]) for name in tensors if name.endswith("." + keys[0])]
    fitting = sorted(prefix for prefix in ends if all(prefix + key in tensors for key in keys))
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise MaskError(
            f"{file} holds the masked weights under {len(fitting)} prefixes: {', '.join(fitting)}",
            hint="give a checkpoint of the one model the mask is for",
        )
    missing = next((key for key in keys if key not in tensors and not any(p + key in tensors for p in ends)), keys[0])
    raise MaskError(f"{file} has no weight {missing!r}, which is masked", hint=nearest(missing, tensors) or None)
