"""Weights that are one memory: tied ones, and others whose bytes lie beside those of a masked weight."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from graphlab.masks.errors import MaskError


def by_storage(weights: Mapping[str, torch.Tensor]) -> dict[str, tuple[str, ...]]:
    """{key: keys of all weights in its storage, itself among them}; weights without elements lie nowhere."""
    storages: dict[tuple[str, int], list[str]] = {}
    for key, tensor in weights.items():
        if tensor.numel():
            storages.setdefault((str(tensor.device), tensor.untyped_storage().data_ptr()), []).append(key)
    return {key: tuple(keys) for keys in storages.values() for key in keys}


def tied(key: str, weights: Mapping[str, torch.Tensor], together: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Keys of the weights that are the very entries of `key`, itself first; `together` is `by_storage` of `weights`.

    MaskError when a weight shares some entries with it and is not the same view of them: it would keep old values.
    """
    own = weights[key]
    same = [key]
    for other in together[key]:
        if other == key:
            continue
        if _view(own) == _view(weights[other]):
            same.append(other)
        elif _overlap(own, weights[other]):
            raise MaskError(
                f"{other} is another view of the memory of {key}: it would keep the old values",
                hint="give each weight memory of its own before the program is captured",
            )
    return tuple(same)


def neighbours(keys: set[str], together: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Keys outside `keys` whose storage holds bytes of one of them.

    torch saves whole storages: left alone, such a weight would carry the old values into a saved program.
    """
    return tuple(key for key, others in together.items() if key not in keys and not keys.isdisjoint(others))


def _view(tensor: torch.Tensor) -> tuple[object, ...]:
    """Where its elements lie; strides of axes of one element say nothing."""
    axes = tuple((size, stride if size > 1 else 0) for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.dtype, tensor.storage_offset(), axes


def _overlap(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether any byte belongs to both."""
    taken = torch.zeros(a.untyped_storage().nbytes(), dtype=torch.bool)
    _bytes(taken, a).fill_(True)
    return bool(_bytes(taken, b).any())


def _bytes(taken: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """The places in `taken`, one for each byte of the storage, that `tensor` lies in."""
    item = tensor.element_size()
    strides = [stride * item for stride in tensor.stride()]
    return taken.as_strided((*tensor.shape, item), (*strides, 1), tensor.storage_offset() * item)
