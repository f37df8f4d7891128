"""Hashes that say which base a mask was made for: over name, dtype, shape and bytes of every masked weight."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch

from graphlab.masks.bits import check_plain, raw
from graphlab.masks.errors import MaskError


def dtype_name(dtype: torch.dtype) -> str:
    """torch's name of `dtype` without the module, as mask files spell it: "float32"."""
    return str(dtype).removeprefix("torch.")


def weight_hash(key: str, tensor: torch.Tensor) -> str:
    """SHA-256, in hexadecimal, of `tensor` under the name `key`.

    Hashed are the name, the dtype and the shape (sizes in decimal, joined by commas), each as UTF-8 with a zero byte
    behind it, then the elements in row-major order, little-endian. Strides and device do not matter.
    """
    check_plain(key, tensor)
    if "\0" in key:
        raise MaskError(f"{key!r} holds a zero byte, which no name of a weight may")
    digest = hashlib.sha256()
    shape = ",".join(map(str, tensor.shape))
    digest.update(f"{key}\0{dtype_name(tensor.dtype)}\0{shape}\0".encode())
    digest.update(raw(tensor).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def base_hash(hashes: Mapping[str, str]) -> str:
    """SHA-256, in hexadecimal, of the hashes {key: hexadecimal} of the masked weights.

    Hashed are their 32 bytes each, in the order of the keys' UTF-8.
    """
    digest = hashlib.sha256()
    for key in ordered(hashes):
        digest.update(bytes.fromhex(hashes[key]))
    return digest.hexdigest()


def ordered(keys: Mapping[str, object]) -> list[str]:
    """`keys` in the order of a mask file: by their UTF-8; MaskError for one that has none."""
    try:
        return sorted(keys, key=str.encode)
    except UnicodeEncodeError as error:
        raise MaskError(f"{error.object!r} is no name of a weight: it cannot be written as UTF-8") from error
