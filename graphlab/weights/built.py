"""What the constructor of a stage's module computes: tables, positions, masks that no checkpoint holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.overrides import TorchFunctionMode

from graphlab.sources.build import module_of
from graphlab.verification.draws import has_values
from graphlab.workload import Stage

_META = torch.device("meta")
_UNFILLED = (torch.empty, torch.empty_strided, torch.empty_like)


@dataclass(frozen=True, slots=True)
class Built:
    """The keys of a stage, by the names the program has for them.

    `parameters` and `buffers` are in the module's order. `unsaved` are buffers that a state dict leaves out (position
    ids, frequencies, tables): no file has them. `computed` are the values the constructor gives buffers, in the dtype
    the stage has them in; a buffer that it leaves without any is missing there.
    """

    parameters: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ()
    unsaved: frozenset[str] = frozenset()
    computed: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @property
    def saved(self) -> tuple[str, ...]:
        """Keys that a state dict of the module holds."""
        return (*self.parameters, *(key for key in self.buffers if key not in self.unsaved))


def built(stage: Stage) -> Built:
    """`Built` of `stage`: of its module, made here and let go, or of the program it comes with.

    Parameters get no memory; buffers do. A program says what its buffers are called, not how they are computed.
    """
    if stage.program is not None:
        exported = stage.program.exported
        return Built() if exported is None else _of_program(exported)
    with torch.no_grad(), _RealBuffers():
        module = module_of(stage)
    return _of_module(module)


def _of_module(module: torch.nn.Module) -> Built:
    buffers = dict(module.named_buffers(remove_duplicate=False))
    return Built(
        tuple(name for name, _ in module.named_parameters(remove_duplicate=False)),
        tuple(buffers),
        frozenset(_unsaved(module)),
        {name: buffer.detach() for name, buffer in buffers.items() if has_values(buffer)},
    )


def _unsaved(module: torch.nn.Module) -> Iterator[str]:
    for path, child in module.named_modules(remove_duplicate=False):
        for name in child._non_persistent_buffers_set:
            yield f"{path}.{name}" if path else name


def _of_program(exported: ExportedProgram) -> Built:
    specs = [spec for spec in exported.graph_signature.input_specs if spec.target is not None]
    parameters = [spec.target for spec in specs if spec.kind is InputKind.PARAMETER]
    buffers = [spec for spec in specs if spec.kind in (InputKind.BUFFER, InputKind.CONSTANT_TENSOR)]
    unsaved = {spec.target for spec in buffers if not spec.persistent or spec.target not in exported.state_dict}
    return Built(
        tuple(target for target in parameters if target is not None),
        tuple(spec.target for spec in buffers if spec.target is not None),
        frozenset(target for target in unsaved if target is not None),
    )


class _RealBuffers(TorchFunctionMode):
    """Computes on the CPU what a constructor computes on the meta device, except memory that is not filled at once.

    Layers allocate their parameters unfilled, so these stay on the meta device, whose initialisation costs nothing;
    what is made of ranges, constants and arrays gets its values.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func is torch.Tensor.to:
            args, given = _staying(args), _without_meta(given)
        elif func not in _UNFILLED and _is_meta(given.get("device")):
            given["device"] = torch.device("cpu")
        return func(*args, **given)


def _staying(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments of `Tensor.to` that leave the tensor on its device where they would take it to meta."""
    if len(args) < 2 or not _is_meta(args[1]):
        return args
    tensor, _, *rest = args
    return (tensor, tensor.device, *rest)


def _without_meta(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "device" or not _is_meta(value)}


def _is_meta(device: Any) -> bool:
    return device is not None and not isinstance(device, (torch.Tensor, torch.dtype)) and torch.device(device) == _META
