"""Capture of modules: symbols, guards, inlined wrappers, static fallback, failures that name the place."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._dynamo import config as dynamo_config

import graphlab
from graphlab.errors import BindingError, CaptureError
from graphlab.sources.extract import extract


class Inner(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return x
        return x[: int(x.max())]


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


class Wrapped(nn.Module):
    """no_grad and autocast inside forward become higher-order operators; nested keyword arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.proj = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor, y: torch.Tensor, *, extra: dict[str, torch.Tensor]) -> torch.Tensor:
        with torch.no_grad():
            a = self.conv(x).mean((2, 3))
        with torch.autocast("cpu", enabled=False):
            b = self.proj(a) + y
        return b * extra["scale"]


class Halves(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[2] % 4 == 0:
            return nn.functional.avg_pool2d(x, 4)
        return x + 1


def wrapped() -> graphlab.Program:
    return graphlab.capture(
        Wrapped(), (torch.randn(2, 3, 8, 9), torch.randn(2, 4)), {"extra": {"scale": torch.randn(4)}}
    )


def test_wrappers_are_inlined_and_symbols_named_after_input_axes() -> None:
    program = wrapped()
    assert [node.target for node in program.graph.calls] == [
        "aten.conv2d.default", "aten.mean.dim", "aten.linear.default", "aten.add.Tensor", "aten.mul.Tensor",
    ]  # fmt: skip
    assert program.graph.symbols == {"x.d0": 2, "x.d2": 8, "x.d3": 9}
    assert program.graph.by_name["conv2d"].out.shape == ("x.d0", 8, "x.d2 - 2", "x.d3 - 2")
    assert [node.name for node in program.graph.inputs] == ["x", "y", "extra_scale"]
    assert {node.target for node in program.graph.weights} == {"conv.weight", "conv.bias", "proj.weight", "proj.bias"}
    assert program.graph.by_name["linear"].source.startswith("test_module.py:")
    assert program.graph.by_name["linear"].modules[-1] == ("proj", "torch.nn.modules.linear.Linear")


def test_results_at_symbolic_sizes_are_not_cached_and_at_numbers_they_are() -> None:
    cached: list[bool] = []

    class Recorded(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            cached.append(dynamo_config.fake_tensor_cache_enabled)
            return x + 1

    module = Recorded()
    for dynamic in ("auto", False):
        graphlab.capture(module, (torch.ones(2, 3),), dynamic=dynamic)
    module(torch.ones(2, 3))
    assert cached == [False, True, True]


def test_a_branch_on_a_size_is_a_guard_and_a_binding_past_it_is_refused() -> None:
    program = graphlab.capture(Halves(), (torch.randn(2, 3, 8, 12),))
    report = graphlab.analyze(program, **{"x.h": 16})
    assert report.stages[0].symbols["x.h"] == 16
    with pytest.raises(BindingError, match=r"% 4"):
        graphlab.analyze(program, **{"x.h": 18})


def test_the_batch_may_be_one_although_torch_specialises_it() -> None:
    program = wrapped()
    assert (
        graphlab.analyze(program, **{"x.b": 1}).stages[0].flops_per_step * 2
        == graphlab.analyze(program).stages[0].flops_per_step
    )


def test_a_symbolic_failure_falls_back_to_static_with_the_reason() -> None:
    class Fixed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.view(2, -1) if torch._dynamo.is_compiling() is None else x + torch.ones(int(x.shape[0]))

    program = graphlab.capture(Fixed(), (torch.randn(3),), dynamic={"x": {0: torch.export.Dim("n", min=5, max=9)}})
    assert program.graph.symbols == {}
    assert "captured statically" in program.notes[0]


def test_a_failure_names_the_module_the_line_and_what_to_try(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CaptureError) as caught:
        graphlab.capture(Branches(), (torch.randn(3),))
    message = str(caught.value)
    assert "in inner (Inner), test_module.py:" in message
    assert "branch" in message
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


def test_a_missing_argument_is_said() -> None:
    with pytest.raises(CaptureError, match="missing a required argument: 'y'"):
        graphlab.capture(Wrapped(), (torch.randn(2, 3, 8, 9),))


def test_what_is_not_a_module_is_refused() -> None:
    with pytest.raises(CaptureError, match=r"torch\.nn\.Module"):
        graphlab.capture(lambda x: x, (torch.randn(3),))  # type: ignore[arg-type] # that it is wrong is the test


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.embed(ids))


def test_tied_weights_are_counted_once_live_and_reloaded() -> None:
    ids = torch.zeros(2, 3, dtype=torch.int64)
    with torch.device("meta"):
        on_meta = Tied()
    for module in (Tied(), on_meta):
        exported = torch.export.export(module, (ids.to(module.embed.weight.device),))
        buffer = io.BytesIO()
        torch.export.save(exported, buffer)
        buffer.seek(0)
        for program in (exported, torch.export.load(buffer)):
            assert sum(node.out.numel for node in extract(program).weights) == 88


def test_live_saved_and_reloaded_are_one_graph(tmp_path: Path) -> None:
    program = wrapped()
    buffer = io.BytesIO()
    assert program.exported is not None
    torch.export.save(program.exported, buffer)
    buffer.seek(0)
    assert extract(torch.export.load(buffer)) == program.graph
