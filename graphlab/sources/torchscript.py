"""TorchScript archives to plain modules that `torch.export` can trace.

torch's own converter fails on a traced U-Net, and export refuses a ScriptModule, so its graph is run as a
function of its inputs and its weights, inside a plain module that owns those weights. Nothing of Python is
imported by `torch.jit.load`, but TorchScript itself can write files, while loading too (`__setstate__`):
code that does is refused.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from graphlab.errors import SourceError, UnsafeSourceError
from graphlab.sources.opcodes import GlobalName, NotAPickleError, scan_one
from graphlab.sources.pickles import ALLOWED
from graphlab.sources.sniff import SourceKind, sniff_zip
from graphlab.sources.zips import Archive, mapped, open_zip

_FORBIDDEN = re.compile(
    r"\b(__setstate__|__torch__\.torch\.classes|from_file|(?:torch|ops\.\w+)\.(?:save|load|rpc_\w+))\b"
)
_MAX_CODE_BYTES = 64 << 20


def load_torchscript(path: Path) -> torch.nn.Module:
    """The ScriptModule in `path`, on the CPU and in eval mode, its weights in memory.

    SourceError when the file is damaged or no TorchScript; UnsafeSourceError when its code touches files or
    its pickles hold anything but tensors, containers and the archive's own classes.
    """
    with mapped(path) as view:
        if bytes(view[:4]) != b"PK\x03\x04":
            raise SourceError(f"{path} is no TorchScript archive: it does not start like a zip archive")
        archive = open_zip(view, str(path))
        kind = sniff_zip(archive)
        if kind is not SourceKind.TORCHSCRIPT:
            raise SourceError(f"{path} is a {kind.value}, not TorchScript")
        check_torchscript(archive)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch 2.13 calls torch.jit deprecated; these files exist all the same
            load: Any = torch.jit.load
            module: torch.nn.Module = load(str(path), map_location="cpu")
    except Exception as error:  # C++ exceptions arrive as RuntimeError and others
        detail = " ".join(str(error).split())[:200]
        raise SourceError(f"torch cannot read {path}: {detail}", hint="was it saved by a newer torch?") from error
    return module.eval()


def check_torchscript(archive: Archive) -> None:
    """UnsafeSourceError when code or pickles of a TorchScript archive do more than compute."""
    for name in archive.members:
        inner = name.partition("/")[2].casefold()  # torch's reader finds members without regard to case
        if inner.startswith("code/") and inner.endswith(".py"):
            if archive.members[name].nbytes > _MAX_CODE_BYTES:
                raise SourceError(f"{archive.what}: {name} has {archive.members[name].nbytes} bytes of code")
            found = _FORBIDDEN.search(archive.read(name).decode("utf-8", "replace"))
            if found:
                raise UnsafeSourceError(
                    f"{archive.what}: its code uses {found[1]} ({name}), which could touch files; nothing was loaded",
                    hint="trace or script the model again without it",
                )
        elif inner.endswith(".pkl"):
            _check_pickle(archive, name)


def _check_pickle(archive: Archive, name: str) -> None:
    what = f"{archive.what}: {name}"
    try:
        names = scan_one(archive.stored(name), what).globals
    except NotAPickleError as error:
        raise UnsafeSourceError(f"{error.message}; nothing was loaded") from error
    for entry in names:
        if not _is_plain(entry):
            raise UnsafeSourceError(
                f"{what} imports {'.'.join(entry)}, which is no class of the archive; nothing was loaded"
            )


def _is_plain(name: GlobalName) -> bool:
    module, attribute = name
    if module == "torch.jit._pickle":
        return attribute in (
            "build_intlist",
            "build_tensorlist",
            "build_doublelist",
            "build_boollist",
            "restore_type_tag",
        )
    own = module == "__torch__" or module.startswith("__torch__.")
    return (own and not module.startswith("__torch__.torch.classes")) or name in ALLOWED


def script_inputs(module: torch.nn.Module) -> tuple[str, ...]:
    """Names of the inputs of a ScriptModule's forward, in order, as its author called them."""
    names = [value.debugName() for value in module.graph.inputs()]  # type: ignore[union-attr,operator]  # a graph
    return tuple(name.rpartition(".")[0] if re.fullmatch(r".*\.\d+", name) else name for name in names[1:])


class Weights(torch.nn.Module):
    """A tree of parameters and buffers under their dotted names, without a forward."""

    def put(self, name: str, tensor: torch.Tensor, *, parameter: bool) -> None:
        """Register `tensor` under `name`, making the modules on the way."""
        *path, last = name.split(".")
        place: torch.nn.Module = self
        for part in path:
            if not isinstance(getattr(place, part, None), Weights):
                place.add_module(part, Weights())
            place = getattr(place, part)
        if parameter:
            place.register_parameter(last, torch.nn.Parameter(tensor.detach(), requires_grad=False))
        else:
            place.register_buffer(last, tensor.detach())


class ScriptedFunction(torch.nn.Module):
    """A plain module whose forward runs TorchScript on its own weights; positional tensors in, as the script."""

    def __init__(self, function: Callable[..., Any], weights: Weights, order: tuple[tuple[str, str], ...]) -> None:
        super().__init__()
        self.scripted = weights
        # Held in a tuple: nn.Module would register, and export find, a ScriptModule among the attributes.
        self._held = (function, order)

    def forward(self, *arguments: Any) -> Any:
        function, order = self._held
        tensors = [getattr(self.scripted.get_submodule(path), last) for path, last in order]
        with _inlined():
            return function(*arguments, *tensors)


@contextmanager
def _inlined() -> Iterator[None]:
    """Let a TorchScript function run under export: torch would look for the Python it was made of, which is gone."""
    exporting = torch.compiler._is_exporting_flag
    torch.compiler._is_exporting_flag = False
    try:
        yield
    finally:
        torch.compiler._is_exporting_flag = exporting


def hide_scripted(module: torch.nn.Module) -> torch.nn.Module:
    """A plain module that computes what the ScriptModule `module` does, for non-strict `torch.export.export`.

    Its parameters and buffers are the script's, sharing memory, under `scripted.<name>`. Where the script
    cannot be written as a function of its weights (it changes its own attributes), the weights stay inside
    and export counts them as constants.
    """
    scripted: Any = module
    lower: Any = torch._C._jit_pass_lower_graph
    try:
        graph, tensors = lower(scripted.inlined_graph, scripted._c)
        function = torch._C._create_function_from_graph("forward", graph)
    except RuntimeError:
        return ScriptedFunction(module, Weights(), ())
    parameters = {_place(tensor): name for name, tensor in module.named_parameters()}
    buffers = {_place(tensor): name for name, tensor in module.named_buffers()}
    weights, order = Weights(), []
    for index, tensor in enumerate(tensors):
        place = _place(tensor)
        name = parameters.get(place) or buffers.get(place) or f"constant_{index}"
        if (path := name.rpartition("."))[::2] not in order:
            weights.put(name, tensor, parameter=place in parameters)
        order.append((path[0], path[2]))
    return ScriptedFunction(function, weights, tuple(order)).eval()


def _place(tensor: torch.Tensor) -> tuple[Any, ...]:
    """What tells two tensors of one archive apart; views of one storage differ in offset, shape or stride."""
    return (tensor.data_ptr(), tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride()), tensor.dtype)
