"""What every rewrite is checked for: graphs as text, same numbers, weights shared, saved and loaded, second run."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from graphlab.program import Program
from graphlab.rewriting.result import RewriteResult
from graphlab.rewriting.rewrite import Rewrite
from graphlab.sources.module import capture

Args = tuple[torch.Tensor, ...]


class Call(nn.Module):
    """A module of a function, which gets the module first; parameters and statistics are drawn away from 0 and 1."""

    def __init__(self, function: Callable[..., Any], **layers: nn.Module | torch.Tensor) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            if isinstance(layer, torch.Tensor) and not isinstance(layer, nn.Parameter):
                self.register_buffer(name, layer)
            else:
                setattr(self, name, layer)
        redraw(self)

    def forward(self, *args: torch.Tensor) -> Any:
        return self.function(self, *args)


def redraw(module: nn.Module) -> None:
    """Parameters and running statistics of `module` with magnitudes between 0.3 and 1.7."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in module.parameters():
            signs = torch.where(torch.rand(parameter.shape, generator=generator) < 0.5, -1.0, 1.0)
            parameter.copy_(signs * (0.3 + 1.4 * torch.rand(parameter.shape, generator=generator)))
        for name, buffer in module.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.copy_(0.3 + 1.4 * torch.rand(buffer.shape, generator=generator))


def captured(module: nn.Module, *args: torch.Tensor, dynamic: bool = True) -> Program:
    """`module` in eval called with `args`, every axis symbolic where it can be."""
    program = capture(module.eval().requires_grad_(False), args, dynamic="auto" if dynamic else False, name="test")
    assert bool(program.graph.symbols) == dynamic, program.notes
    return program


def text(program: Program) -> list[str]:
    """The calls of `program`, a line each, without `aten` and without reads of sizes."""
    assert program.exported is not None
    return [_line(node) for node in program.exported.graph.nodes if _is_tensor_call(node)]


def _is_tensor_call(node: torch.fx.Node) -> bool:
    return node.op == "call_function" and not isinstance(node.meta.get("val"), (int, torch.SymInt))


def _line(node: torch.fx.Node) -> str:
    target = str(getattr(node.target, "__name__", node.target)).removesuffix(".default")
    named = [f"{key}={value}" for key, value in node.kwargs.items()]
    return f"{node.name} = {target}({', '.join([*map(str, node.args), *named])})"


def reasons(result: RewriteResult) -> list[str]:
    """Why candidates stayed."""
    return [skip.why for skip in result.skips]


def run(program: Program, args: Args) -> Any:
    """What `program` computes of `args`."""
    assert program.exported is not None
    with torch.no_grad():
        return program.exported.module(check_guards=False)(*args)


def saved_and_loaded(program: Program) -> Program:
    """`program` through a `.pt2`."""
    assert program.exported is not None
    buffer = io.BytesIO()
    torch.export.save(program.exported, buffer)
    buffer.seek(0)
    return Program(program.name, program.graph, torch.export.load(buffer))


def fires(
    rewrite: Rewrite, module: nn.Module, bindings: Sequence[Args], *, tolerance: float = 0.0, static: bool = True
) -> RewriteResult:
    """The result of `rewrite` on `module` captured at the first of `bindings`, symbolic when there are several.

    It must change the program and leave the one given alone, compute what `module` does within `tolerance` (relative
    and absolute) at every binding, in a `.pt2` too, share the weights it does not make, drop those it does not read,
    and find nothing the second time. With `static` a static capture must give the same numbers.
    """
    program = captured(module, *bindings[0], dynamic=len(bindings) > 1)
    result = checked(rewrite, program)
    for args in bindings:
        same(run(result.program, args), module(*args), tolerance)
    same(run(saved_and_loaded(result.program), bindings[0]), module(*bindings[0]), tolerance)
    if static and len(bindings) > 1:
        fixed = checked(rewrite, captured(module, *bindings[1], dynamic=False))
        same(run(fixed.program, bindings[1]), module(*bindings[1]), tolerance)
    return result


def checked(rewrite: Rewrite, program: Program) -> RewriteResult:
    """The result of `rewrite` on `program`, which must change it and keep the contract on weights and second runs."""
    assert program.exported is not None
    before, state = text(program), dict(program.exported.state_dict)
    places = {key: _place(tensor) for key, tensor in state.items()}
    result = rewrite.run(program)
    exported = result.program.exported
    assert exported is not None
    assert result.modified
    assert text(program) == before
    assert {key: _place(tensor) for key, tensor in program.exported.state_dict.items()} == places
    made = {tensor.key for tensor in result.new_tensors}
    assert all(_place(tensor) == places[key] for key, tensor in exported.state_dict.items() if key not in made)
    assert set(exported.state_dict) - made == set(state) - set(result.dropped)
    read = {spec.target for spec in exported.graph_signature.input_specs}
    assert set(exported.state_dict) <= read | _never_read(program)
    again = rewrite.run(result.program)
    assert not again.modified, [change.why for change in again.changes]
    assert text(again.program) == text(result.program)
    return result


def _place(tensor: torch.Tensor) -> tuple[int, torch.Size, torch.dtype]:
    return tensor.data_ptr(), tensor.shape, tensor.dtype


def _never_read(program: Program) -> set[str | None]:
    """Weights the program had and did not read."""
    assert program.exported is not None
    specs = {spec.arg.name: spec.target for spec in program.exported.graph_signature.input_specs}
    return {specs[n.name] for n in program.exported.graph.find_nodes(op="placeholder") if not n.users}


def same(a: Any, b: Any, tolerance: float = 0.0) -> None:
    """Fails where two results differ in numbers, dtype, shape or, in a tensor of several axes, strides."""
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
        return
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        same(x, y, tolerance)


def stays(rewrite: Rewrite, module: nn.Module, *args: torch.Tensor, dynamic: bool = True) -> list[str]:
    """Why `rewrite` leaves `module` as it is, which it must."""
    program = captured(module, *args, dynamic=dynamic)
    result = rewrite.run(program)
    assert not result.modified, [change.why for change in result.changes]
    assert text(result.program) == text(program)
    return reasons(result)
