"""Tensors handed to another process: written one at a time, mapped by whoever reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

_ALIGNMENT = 64


class TensorWriter:
    """Appends tensors to the file `path`, of which no more than one is in memory. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._index: dict[str, Any] = {}
        self._file = path.open("xb")

    def __enter__(self) -> TensorWriter:
        """The writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file and writes its index beside it."""
        self._file.close()
        _index_of(self.path).write_text(json.dumps(self._index))

    def add(self, name: str, value: torch.Tensor) -> None:
        """Appends `value`, of any dtype and shape, under `name`."""
        data = value.detach().cpu().contiguous()
        self._file.write(b"\0" * (-self._file.tell() % _ALIGNMENT))
        dtype = str(data.dtype).removeprefix("torch.")
        self._index[name] = {"dtype": dtype, "shape": list(data.shape), "offset": self._file.tell()}
        if data.numel():
            self._file.write(data.reshape(-1).view(torch.uint8).numpy().data)


class MappedTensors(Mapping[str, torch.Tensor]):
    """{name: tensor} of the file that a TensorWriter wrote at `path`: not to be written into."""

    def __init__(self, path: Path) -> None:
        self._index: dict[str, Any] = json.loads(_index_of(path).read_text())
        size = path.stat().st_size
        self._data = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8) if size else torch.empty(0)

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, name: str) -> torch.Tensor:
        entry = self._index[name]
        dtype, shape = getattr(torch, entry["dtype"]), tuple(entry["shape"])
        count = torch.Size(shape).numel()
        if not count:
            return torch.empty(shape, dtype=dtype)
        start = entry["offset"]
        return self._data[start : start + count * dtype.itemsize].view(dtype).view(shape)


def write_tensors(path: Path, items: Iterable[tuple[str, torch.Tensor]]) -> None:
    """Writes `items` in order to the new file `path`."""
    with TensorWriter(path) as writer:
        for name, value in items:
            writer.add(name, value)


def _index_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
