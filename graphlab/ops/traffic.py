"""Bytes a call reads and writes, and whether its result is a view: `traffic`, `copies`, `aliases`, `is_viewable`.

Convention: an op reads every tensor it is given and writes every tensor it makes, once. An expanded axis is
read once, a lookup reads the elements it takes, a view moves nothing. Nothing stays in a cache from one call
to the next. Whether a reshape-like op copies is told from integer strides; sizes may otherwise be expressions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from graphlab.graph import Dim, TensorSpec
from graphlab.ops.rule import OpRule, tensors


def traffic(
    rule: OpRule, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any, refs: Sequence[str] | None = None
) -> tuple[Dim, Dim]:
    """(bytes read, bytes written) of one call of `rule`.

    `args`, `kwargs` and `out` are what the rule's body takes. `refs`, when given, names the tensors behind the
    arguments in order, so that x * x reads x once; without it every argument is another tensor.
    """
    if not _moves_bytes(rule, args, kwargs, out):
        return 0, 0
    given = tensors([*args, *kwargs.values()])
    if rule.bytes_read is not None:
        read = rule.bytes_read(*args, out=out, **kwargs)
    elif rule.moves != "compute":
        read = given[0].distinct_bytes
    else:
        read = _distinct(given, refs)
    if rule.bytes_written is not None:
        return read, rule.bytes_written(*args, out=out, **kwargs)
    written: Dim = 0
    for spec in tensors([out]):
        written = written + spec.nbytes
    return read, written


def _distinct(given: Sequence[TensorSpec], refs: Sequence[str] | None) -> Dim:
    names: Sequence[Any] = refs if refs is not None and len(refs) == len(given) else range(len(given))
    total: Dim = 0
    for spec in dict(zip(names, given, strict=True)).values():
        total = total + spec.distinct_bytes
    return total


def aliases(rule: OpRule, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> bool:
    """Whether the result is the memory of the first tensor argument: a view of it, or it written in place."""
    if not tensors([*args, *kwargs.values()]):
        return False
    return rule.in_place or not _moves_bytes(rule, args, kwargs, out)


def _moves_bytes(rule: OpRule, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> bool:
    if rule.moves in ("compute", "view"):
        return rule.moves == "compute"
    if rule.moves == "identity":
        return bool(_argument(rule, args, kwargs, "train"))
    if rule.moves == "cast" and _argument(rule, args, kwargs, "copy") is True:
        return True
    return copies(rule, tensors([*args, *kwargs.values()])[0], tensors([out])[0])


def _argument(rule: OpRule, args: Sequence[Any], kwargs: Mapping[str, Any], name: str) -> Any:
    names = _positional(rule.body)
    if name in names and names.index(name) < len(args):
        return args[names.index(name)]
    return kwargs.get(name)


@lru_cache(maxsize=4096)
def _positional(body: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(
        name
        for name, parameter in inspect.signature(body).parameters.items()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    )


def copies(rule: OpRule, given: TensorSpec, out: TensorSpec) -> bool:
    """Whether a call of `rule` that turns `given` into `out` moves bytes; sizes are integers."""
    if rule.moves == "reshape":
        return not is_viewable(given.shape, given.stride, out.shape)
    if rule.moves == "cast":
        return given.dtype != out.dtype or not same_layout(given, out)
    if rule.moves == "contiguous":
        return not same_layout(given, out)
    return rule.moves == "compute"


def same_layout(given: TensorSpec, out: TensorSpec) -> bool:
    """Whether two tensors of one shape place their elements alike; the stride of an axis of size 1 says nothing."""
    if 0 in given.shape:
        return True
    return all(size == 1 or a == b for size, a, b in zip(given.shape, given.stride, out.stride, strict=True))


def is_viewable(shape: Sequence[int], stride: Sequence[int], new_shape: Sequence[int]) -> bool:
    """Whether a tensor of `shape` and `stride` can be seen as `new_shape` without moving an element.

    Axes that follow each other in memory (stride = size * stride of the next) form blocks; each block must be
    a product of consecutive new axes. The rule of `Tensor.view` (ATen/TensorUtils.cpp, computeStride).
    """
    if 0 in shape:
        return True
    wanted = [size for size in reversed(new_shape) if size != 1]
    position = 0
    for block in _blocks(shape, stride):
        filled = 1
        while filled < block and position < len(wanted):
            filled *= wanted[position]
            position += 1
        if filled != block:
            return False
    return position == len(wanted)


def _blocks(shape: Sequence[int], stride: Sequence[int]) -> list[int]:
    """Sizes of the runs of axes that are contiguous with each other, innermost first."""
    blocks: list[int] = []
    expected: int | None = None
    for size, step in zip(reversed(shape), reversed(stride), strict=True):
        if size == 1:
            continue
        if step == expected:
            blocks[-1] *= size
        else:
            blocks.append(size)
        expected = step * size
    return blocks
