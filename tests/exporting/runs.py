"""Small modules to ONNX, into ONNX Runtime, and back to tensors."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from torch import nn
from torch.utils import _pytree

from graphlab.exporting.saving import save_model
from graphlab.exporting.targets import Target, target_named
from graphlab.exporting.translate import Lowered, to_onnx
from graphlab.program import Program
from graphlab.rewriter import chosen_passes, rewrite_program
from graphlab.rewriting.result import RewriteResult
from graphlab.sources.module import capture


class Own(Mapping[str, torch.Tensor]):
    """The values a lowered program holds: those of a live module, and what its rewrites made of them."""

    def __init__(self, lowered: Lowered) -> None:
        assert lowered.program.exported is not None
        self.held = {**lowered.program.exported.state_dict, **lowered.program.exported.constants}

    def __getitem__(self, key: str) -> torch.Tensor:
        return self.held[key]

    def __iter__(self) -> Any:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)


class Call(nn.Module):
    """A module of a function, which gets the module first."""

    def __init__(self, function: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, *args: torch.Tensor) -> Any:
        return self.function(self, *args)


def captured(module: nn.Module, *args: torch.Tensor, dynamic: bool = False) -> Program:
    return capture(module.eval().requires_grad_(False), args, dynamic="auto" if dynamic else False, name="test")


def lowered(program: Program, target: str | Target = "ort-cpu", level: int = 2) -> Lowered:
    made = target_named(target) if isinstance(target, str) else target
    result: RewriteResult = rewrite_program(program, chosen_passes(level))
    return to_onnx(result.program, made)


def run(found: Lowered, folder: Path, *args: torch.Tensor, optimised: bool = True) -> list[torch.Tensor]:
    """What ONNX Runtime returns for `args`, after onnx's checker has seen the file."""
    path = folder / "model.onnx"
    save_model(found, Own(found), path)
    onnx.checker.check_model(os.fspath(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    given = dict(zip([node.name for node in found.program.graph.inputs], args, strict=True))
    taken = {item.name: given[item.name].numpy() for item in session.get_inputs()}
    return [torch.from_numpy(value) for value in session.run(None, taken)]


def agree(module: nn.Module, found: Lowered, folder: Path, *args: torch.Tensor, within: float = 1e-5) -> None:
    """ONNX Runtime's results for `args` are the module's: within `within` of their root mean square."""
    with torch.no_grad():
        wanted = [value for value in _pytree.tree_leaves(module(*args)) if isinstance(value, torch.Tensor)]
    made = run(found, folder, *args)
    assert len(made) == len(wanted)
    for have, want in zip(made, wanted, strict=True):
        assert have.shape == want.shape
        assert have.dtype == want.dtype
        if not want.dtype.is_floating_point:
            assert torch.equal(have, want)
            continue
        assert torch.equal(have.isnan(), want.isnan())
        scale = want.double().nan_to_num(0).square().mean().sqrt().item() or 1.0
        error = (have.double() - want.double()).nan_to_num(0).abs().max().item()
        assert error <= within * scale, f"{error / scale:.1e} of {found.operators}"
