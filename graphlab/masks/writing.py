"""Writes mask files: header first, then one weight's bits after the other."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from graphlab.masks.bits import pack, packed_bytes
from graphlab.masks.errors import MaskError
from graphlab.masks.hashing import base_hash, dtype_name, ordered, weight_hash
from graphlab.names import nearest

FORMAT = "graphlab.weight-mask"
VERSION = "1"


def write_mask(
    path: Path | str,
    masks: Mapping[str, torch.Tensor],
    base_state: Mapping[str, torch.Tensor],
    about: Mapping[str, Any] | None = None,
) -> None:
    """Writes `masks` {key: boolean tensor of the weight's shape} for the weights `base_state` to the file `path`.

    `masks` is asked for one tensor at a time, once each, so a mapping that makes them on the way needs the memory of
    one. `about` is anything JSON can hold: how the mask was made. The file appears only when it is whole. MaskError
    for a key the base does not have, another shape or dtype, no mask at all or none with an entry set, a base on the
    meta device, and a path that cannot be written.
    """
    path = Path(path)
    keys = ordered(dict.fromkeys(masks))
    if not keys:
        raise MaskError("there is no mask to write")
    for key in keys:
        if key not in base_state:
            raise MaskError(f"the base has no weight {key!r} to mask", hint=nearest(key, base_state) or None)
    header = _header({key: base_state[key] for key in keys}, about)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(header)
            some = sum(_write_bits(file, key, masks[key], base_state[key].shape) for key in keys)
        if not some:
            raise MaskError("no entry of any mask is set", hint="a mask that changes nothing is a mistake")
        part.replace(path)
    except OSError as error:
        raise MaskError(f"cannot write {path}: {error}", hint="check the folder and its permissions") from error
    finally:
        part.unlink(missing_ok=True)


def _header(base: Mapping[str, torch.Tensor], about: Mapping[str, Any] | None) -> bytes:
    """Length and JSON of a safetensors header, padded so that the data starts at a multiple of 8."""
    hashes = {key: weight_hash(key, tensor) for key, tensor in base.items()}
    weights = {
        key: {"dtype": dtype_name(tensor.dtype), "shape": list(tensor.shape), "sha256": hashes[key]}
        for key, tensor in base.items()
    }
    texts = {
        "format": FORMAT,
        "version": VERSION,
        "base_sha256": base_hash(hashes),
        "weights": json.dumps(weights),
        **({} if about is None else {"about": _about(about)}),
    }
    entries: dict[str, object] = {"__metadata__": texts}
    at = 0
    for key, tensor in base.items():
        if key in entries:
            raise MaskError(f"no weight may be called {key!r} in a safetensors file")
        size = packed_bytes(tensor.shape)
        entries[key] = {"dtype": "U8", "shape": [size], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _about(about: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(about), allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise MaskError(f"what is said about the mask is no JSON: {error}") from error


def _write_bits(file: BinaryIO, key: str, mask: torch.Tensor, shape: torch.Size) -> bool:
    """Writes the mask of one weight; whether any entry of it is set."""
    if mask.dtype is not torch.bool:
        raise MaskError(f"the mask of {key} has dtype {dtype_name(mask.dtype)}, expected bool")
    if mask.shape != shape:
        raise MaskError(f"the mask of {key} has shape {tuple(mask.shape)}, the weight {tuple(shape)}")
    file.write(pack(mask).numpy().tobytes())
    return bool(mask.any())
