"""What tests of the op table compare with: torch's own counter, on the meta device, under SDPBackend.MATH."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import FlopCounterMode

from graphlab.graph import TensorSpec
from graphlab.ops import TABLE, OpRule, Work


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A contiguous tensor of `shape` without memory."""
    return torch.empty(shape, dtype=dtype, device="meta")


def spec(*shape: int, dtype: str = "float32") -> TensorSpec:
    """The TensorSpec of a contiguous tensor of `shape`."""
    return spec_of(meta(*shape, dtype=getattr(torch, dtype)))


def spec_of(value: Any) -> Any:
    """`value` as rules see it: tensors as TensorSpecs, lists as tuples."""
    if isinstance(value, torch.Tensor):
        return TensorSpec(tuple(value.shape), tuple(value.stride()), str(value.dtype).removeprefix("torch."))
    if isinstance(value, (list, tuple)):
        return tuple(spec_of(item) for item in value)
    return str(value) if isinstance(value, torch.dtype) else value


def overload(target: str) -> Any:
    """The torch operator called `target` ("aten.linear.default")."""
    namespace, name, kind = target.split(".")
    return getattr(getattr(getattr(torch.ops, namespace), name), kind)


def call(target: str, *args: Any, **kwargs: Any) -> Any:
    """The output specs of `target` on meta tensors."""
    with torch.no_grad():
        return spec_of(overload(target)(*args, **kwargs))


def work(target: str, *args: Any, **kwargs: Any) -> Work:
    """What the rule of `target` says about a call on meta tensors."""
    out = call(target, *args, **kwargs)
    given = {key: spec_of(value) for key, value in kwargs.items()}
    return TABLE[target].body(*spec_of(args), out=out, **given)


def bound(target: str, *args: Any, **kwargs: Any) -> tuple[OpRule, tuple[Any, ...], dict[str, Any], Any]:
    """(rule, args, kwargs, out): what `traffic` and `aliases` take."""
    out = call(target, *args, **kwargs)
    return TABLE[target], spec_of(args), {key: spec_of(value) for key, value in kwargs.items()}, out


def counted(run: Callable[[], Any]) -> int:
    """FLOPs that torch's counter sees while `run()` runs."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        run()
    return int(counter.get_total_flops())


def counted_op(target: str, *args: Any, **kwargs: Any) -> int:
    """FLOPs that torch's counter sees in one call of `target`."""
    return counted(lambda: overload(target)(*args, **kwargs))


def on_meta(value: Any) -> Any:
    """`value` with every tensor on meta, strides kept."""
    return tree_map(lambda t: t.to("meta") if isinstance(t, torch.Tensor) else t, value)
