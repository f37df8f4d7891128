"""What tests of the op table compare with: torch's own counter, on the meta device, under SDPBackend.MATH."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
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
    if namespace == "transformers":
        importlib.import_module("transformers.integrations.moe")
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


class _Spelled(TorchDispatchMode):
    """Adds up what the table says about every op that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.flops, self.pointwise = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {key: spec_of(value) for key, value in (kwargs or {}).items()}
        found = TABLE[str(func)].body(*spec_of(args), out=spec_of(out), **given)
        self.flops += found.flops
        self.pointwise += found.pointwise
        return out


def spelled(run: Callable[[], Any]) -> Work:
    """What the table says about the ops that `run()` is made of."""
    with torch.no_grad(), _Spelled() as mode:
        run()
    return Work(mode.flops, mode.pointwise)
