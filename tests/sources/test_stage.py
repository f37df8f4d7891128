"""A stage is never analysed under sizes its capture does not hold for; the cache gives back what was put in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from graphlab.errors import BindingError, CaptureError
from graphlab.graph import Graph
from graphlab.program import Program
from graphlab.sources import cache
from graphlab.sources.module import capture
from graphlab.sources.stage import mismatch, program_for
from graphlab.workload import Stage, TensorInput, Variable, Workload


class Upsampled(nn.Module):
    """Takes another way when the side is odd, as U-Nets do off their grid."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return nn.functional.interpolate(y, size=x.shape[-2:]) if x.shape[2] % 2 else y


def stage(**changes: object) -> Stage:
    settings = {
        "name": "net",
        "dtype": "float32",
        "inputs": {"x": TensorInput(("batch", 3, "height", "width"), "float32")},
        "build": Upsampled,
        "identity": "upsampled",
    }
    return Stage(**{**settings, **changes})  # type: ignore[arg-type] # a test's shorthand


VALUES = {"batch": 1, "height": 16, "width": 16}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHLAB_CACHE", str(tmp_path / "cache"))


def test_one_capture_serves_every_size_its_guards_allow() -> None:
    program = program_for(stage(), VALUES)
    again = program_for(stage(), {"batch": 3, "height": 32, "width": 20}, candidates=(program,))
    assert again is program
    assert set(program.graph.symbols) == {"x.d0", "x.d2", "x.d3"}


class Halved(nn.Module):
    """Three halvings, and another way where a side does not take them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.avg_pool2d(x, 8) if x.shape[2] % 8 == 0 and x.shape[3] % 8 == 0 else x.relu()


@pytest.mark.parametrize("side", [16, 24, 64, 72])
def test_a_square_is_captured_once_on_its_own_grid(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def counted(*args: Any, **kwargs: Any) -> Program:
        seen.append(args)
        return capture(*args, **kwargs)

    monkeypatch.setattr("graphlab.sources.stage.capture", counted)
    program = program_for(stage(build=Halved, identity="halved"), {"batch": 1, "height": side, "width": side})
    assert set(program.graph.symbols) == {"x.d0", "x.d2", "x.d3"}
    assert len(seen) == (1 if side % 16 == 0 else 2)


class Growing(nn.Module):
    """One more row than it was given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((x, x[:, :1]), dim=1) @ x.transpose(1, 2)


def test_a_length_that_grows_from_1_is_one_capture() -> None:
    grown = stage(
        inputs={"x": TensorInput(("batch", "length", 3), "float32")},
        build=Growing,
        identity="growing",
        step_bindings={"length": "step + 1"},
    )
    program = program_for(grown, {"batch": 1, "length": 1})
    assert program_for(grown, {"batch": 1, "length": 9}, candidates=(program,)) is program
    for length in (1, 2, 9):
        sizes = {"x.d0": 1, "x.d1": length, "x.d2": 3}
        assert mismatch(program.graph, sizes) is None
        product = program.graph.at({name: sizes[name] for name in program.graph.symbols}).calls[-1]
        assert product.out.shape == (1, length + 1, length)


def test_a_length_of_1_that_does_not_grow_keeps_its_own_capture() -> None:
    fixed = stage(inputs={"x": TensorInput(("batch", "length", 3), "float32")}, build=Growing, identity="fixed")
    program = program_for(fixed, {"batch": 1, "length": 1})
    assert mismatch(program.graph, {"x.d0": 1, "x.d1": 9, "x.d2": 3}) is not None


def test_a_size_past_a_guard_is_captured_again() -> None:
    program = program_for(stage(), VALUES)
    other = program_for(stage(), {**VALUES, "height": 15}, candidates=(program,))
    assert other is not program
    assert any("interpolate" in n.target or "upsample" in n.target for n in other.graph.calls)
    assert not any("upsample" in n.target for n in program.graph.calls)
    assert mismatch(program.graph, {"x.d0": 1, "x.d1": 3, "x.d2": 15, "x.d3": 16}) is not None


def test_a_fixed_program_past_a_guard_is_refused_with_the_guard() -> None:
    program = program_for(stage(), VALUES)
    fixed = stage(build=None, program=program)
    with pytest.raises(BindingError, match=r"\(height\) % 2"):
        program_for(fixed, {**VALUES, "height": 15})


def test_the_cache_gives_back_the_same_graph() -> None:
    first = program_for(stage(), VALUES)
    second = program_for(stage(), VALUES)
    assert first.exported is not None
    assert second.exported is None
    assert second.graph == first.graph


def test_what_shapes_no_input_is_no_other_entry(tmp_path: Path) -> None:
    first = program_for(stage(), {**VALUES, "steps": 50, "guidance": 7.5})
    again = program_for(stage(), {**VALUES, "steps": 20, "guidance": 1.0})
    assert again.exported is None
    assert again.graph == first.graph
    assert program_for(stage(), {**VALUES, "width": 32}).exported is not None
    assert len(list((tmp_path / "cache").glob("*.json.gz"))) == 2


def test_another_identity_is_another_entry(tmp_path: Path) -> None:
    program_for(stage(), VALUES)
    program_for(stage(identity="other"), VALUES)
    assert len(list((tmp_path / "cache").glob("*.json.gz"))) == 2


@pytest.mark.parametrize("damage", [b"", b"not gzip", b"\x1f\x8b\x08\x00garbage"])
def test_a_damaged_entry_is_captured_anew(tmp_path: Path, damage: bytes) -> None:
    first = program_for(stage(), VALUES)
    (entry,) = (tmp_path / "cache").glob("*.json.gz")
    entry.write_bytes(damage)
    assert program_for(stage(), VALUES).graph == first.graph
    assert cache.load(entry) is not None


def test_no_cache_when_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHLAB_CACHE", "off")
    assert program_for(stage(), VALUES).exported is not None
    assert program_for(stage(), VALUES).exported is not None
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHLAB_CACHE", "/proc/graphlab-cannot-write-here")
    assert program_for(stage(), VALUES).graph.calls


def test_a_model_that_stays_static_says_why() -> None:
    class Fixed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.reshape(-1, 3, 256) if x.shape[2] == 16 else x[x > 0]

    program = program_for(stage(build=Fixed, identity=""), VALUES)
    assert "x.d2" not in program.graph.symbols
    with pytest.raises(CaptureError, match="depends on the data"):
        program_for(stage(build=Fixed, identity=""), {**VALUES, "height": 8})


def test_unknown_names_and_impossible_values_are_refused() -> None:
    workload = Workload("w", "w", (stage(),), (Variable("height", 16, "", minimum=8, multiple_of=8),))
    with pytest.raises(BindingError, match="did you mean 'height'"):
        workload.bind({"heigth": 16})
    for bad in (0, 12, -8, 1.5, True):
        with pytest.raises(BindingError):
            workload.bind({"height": bad})
    assert Graph((), ()).calls == ()
