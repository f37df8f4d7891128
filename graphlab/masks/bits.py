"""Boolean tensors to packed bits and back, and the bits of any tensor as integers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy
import torch
from torch._subclasses.fake_tensor import FakeTensor

from graphlab.masks.errors import MaskError

_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def packed_bytes(shape: Sequence[int]) -> int:
    """Bytes that the mask of a weight of `shape` takes: one bit an element, the last byte padded."""
    return -(-math.prod(shape) // 8)


def pack(mask: torch.Tensor) -> torch.Tensor:
    """A boolean tensor of any shape as uint8 (ceil(numel / 8),).

    Bit i (of value 2**i) of byte j is element 8 * j + i in row-major order; the padding of the last byte is zero.
    """
    if mask.dtype is not torch.bool:
        raise MaskError(f"a mask of dtype {mask.dtype} cannot be packed", hint="pass torch.bool")
    flat = mask.detach().cpu().contiguous().reshape(-1)
    return torch.from_numpy(numpy.packbits(flat.numpy(), bitorder="little"))


def unpack(packed: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """The boolean tensor of `shape` that `pack` made `packed` (uint8) of.

    MaskError for another dtype, another number of bytes, or padding that is not zero.
    """
    if packed.dtype is not torch.uint8 or packed.dim() != 1 or packed.numel() != packed_bytes(shape):
        raise MaskError(
            f"{packed.dtype} {tuple(packed.shape)} is no mask of shape {tuple(shape)}: "
            f"expected uint8 ({packed_bytes(shape)},), one bit an element"
        )
    bits = numpy.unpackbits(packed.numpy(), bitorder="little")
    count = math.prod(shape)
    if bits[count:].any():
        raise MaskError("the padding bits of its last byte are not zero")
    return torch.from_numpy(bits[:count]).view(torch.bool).reshape(tuple(shape))


def check_plain(key: str, tensor: torch.Tensor) -> None:
    """MaskError unless `tensor` has bits to read: a plain tensor, strided, not quantised, not on the meta device."""
    if tensor.is_meta or isinstance(tensor, FakeTensor):
        raise MaskError(f"{key} is on the meta device: it has a shape but no values")
    kind = str(tensor.layout).removeprefix("torch.") if tensor.layout is not torch.strided else ""
    kind = kind or ("quantised" if tensor.is_quantized else "")
    if kind or type(tensor) not in (torch.Tensor, torch.nn.Parameter):
        raise MaskError(f"{key} is a {kind or type(tensor).__name__} tensor, whose entries cannot be masked")


def raw(tensor: torch.Tensor) -> torch.Tensor:
    """The bits of `tensor` in row-major order on the CPU: integers (numel * words,).

    An element is one word of its own size up to 8 bytes, and `words` of 8 bytes past that.
    """
    flat = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    size = flat.element_size()
    if size in _INTEGERS:
        return flat.view(_INTEGERS[size])
    return flat.view(torch.int64)


def words(dtype: torch.dtype) -> int:
    """How many integers `raw` makes of one element: 1, 2 for complex128."""
    return max(1, dtype.itemsize // 8)


def selected(tensor: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The bits, as `raw` gives them, of the elements of `tensor` where `mask` (boolean, of its shape) is set."""
    found = raw(tensor).numpy()[spread(mask, tensor.dtype).numpy()]  # numpy's indexing takes half of torch's time
    return torch.from_numpy(found)


def spread(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """`mask` in row-major order on the CPU, once for every word of an element of `dtype`."""
    flat = mask.detach().cpu().contiguous().reshape(-1)
    return flat if words(dtype) == 1 else flat.repeat_interleave(words(dtype))
