"""TorchScript: a traced U-Net exports through the plain wrapper with the same numbers and FLOPs; code is checked."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from graphlab.errors import SourceError, UnsafeSourceError
from graphlab.sources.torchscript import hide_scripted, load_torchscript, script_inputs

from . import payloads

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning", "ignore::UserWarning"
)


class Denoiser(torch.nn.Module):
    """A tiny UNet2DConditionModel that returns its tensor."""

    def __init__(self) -> None:
        super().__init__()
        from diffusers import UNet2DConditionModel

        self.unet = UNet2DConditionModel(
            block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8, cross_attention_dim=16,
            attention_head_dim=4, sample_size=8, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        )  # fmt: skip

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return self.unet(sample, timestep, text, return_dict=False)[0]  # type: ignore[no-any-return]  # untyped library


class Linear(torch.nn.Module):
    """y = scale * W x, with a buffer and a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 3)
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) * self.scale + torch.ones(3)


def _saved(module: torch.nn.Module, arguments: tuple[torch.Tensor, ...], path: Path) -> Path:
    torch.jit.save(torch.jit.trace(module.eval(), arguments, check_trace=False), path)
    return path


def _flops(module: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> int:
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        module(*arguments)
    return int(counter.get_total_flops())


def test_traced_unet(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, arguments = Denoiser().eval(), (torch.randn(2, 4, 8, 8), torch.tensor(3), torch.randn(2, 5, 16))
    scripted = load_torchscript(_saved(model, arguments, tmp_path / "unet.pt"))
    assert script_inputs(scripted) == ("sample", "timestep", "text")
    plain = hide_scripted(scripted)
    assert not any(isinstance(part, torch.jit.ScriptModule) for part in plain.modules())
    exported = torch.export.export(plain, arguments, strict=False)
    with torch.no_grad():
        torch.testing.assert_close(exported.module()(*arguments), model(*arguments))
    assert _flops(exported.module(), arguments) == _flops(model, arguments) > 0
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in model.parameters())
    assert {name.removeprefix("scripted.") for name in exported.state_dict} == set(model.state_dict())


def test_weights_are_shared_and_named(tmp_path: Path) -> None:
    scripted = load_torchscript(_saved(Linear(), (torch.randn(2, 3),), tmp_path / "l.pt"))
    plain = hide_scripted(scripted)
    assert {n for n, _ in plain.named_parameters()} == {"scripted.linear.weight", "scripted.linear.bias"}
    assert {n for n, _ in plain.named_buffers()} == {"scripted.scale"}
    ours, theirs = dict(plain.named_parameters()), dict(scripted.named_parameters())
    assert ours["scripted.linear.weight"].data_ptr() == theirs["linear.weight"].data_ptr()


def test_scripted_control_flow(tmp_path: Path) -> None:
    class Loop(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(3, 3)

        def forward(self, x: torch.Tensor, n: int) -> torch.Tensor:
            for _ in range(n):
                x = self.linear(x)
            return x

    torch.jit.save(torch.jit.script(Loop()), tmp_path / "loop.pt")
    scripted = load_torchscript(tmp_path / "loop.pt")
    x = torch.randn(2, 3)
    exported = torch.export.export(hide_scripted(scripted), (x, 3), strict=False)
    torch.testing.assert_close(exported.module()(x, 3), scripted(x, 3))


def _edited(path: Path, target: Path, old: bytes, new: bytes) -> Path:
    return payloads.rewrite(path, target, lambda n, d: d.replace(old, new) if n.endswith(".py") else d)


@pytest.mark.parametrize(
    "code",
    [
        b'    torch.save(x, "trap")\n    return',
        b'    y = torch.from_file("trap", True, 4)\n    return',
        b'    y = ops.aten.from_file("trap", True, 4)\n    return',
        b'    ops.aten.save(x, "trap")\n    return',
        b"    c = __torch__.torch.classes.x.Y()\n    return",
        b"    return x\n  def __setstate__(self, s: int) -> NoneType:\n    return",
    ],
)
def test_code_that_touches_files(tmp_path: Path, code: bytes) -> None:
    good = _saved(Linear(), (torch.randn(2, 3),), tmp_path / "l.pt")
    with pytest.raises(UnsafeSourceError, match="could touch files"):
        load_torchscript(_edited(good, tmp_path / "bad.pt", b"    return", code))
    assert not Path("trap").exists()


@pytest.mark.parametrize("member", ["data.pkl", "constants.pkl"])
def test_payload_in_its_pickles(tmp_path: Path, member: str) -> None:
    good, trap = _saved(Linear(), (torch.randn(2, 3),), tmp_path / "l.pt"), tmp_path / "trap"
    for protocol in (0, 2, 4):
        data = payloads.pickled(trap, protocol)
        bad = payloads.rewrite(good, tmp_path / "b.pt", lambda n, d, data=data: data if n.endswith(member) else d)  # type: ignore[misc]
        with pytest.raises(UnsafeSourceError, match="eval"):
            load_torchscript(bad)
        assert not trap.exists()


def test_damaged_and_other_files(tmp_path: Path) -> None:
    good = _saved(Linear(), (torch.randn(2, 3),), tmp_path / "l.pt")
    with pytest.raises(SourceError, match="torch cannot read"):
        load_torchscript(_edited(good, tmp_path / "bad.pt", b"forward", b"for ward"))
    torch.save({"a": torch.ones(1)}, tmp_path / "s.pt")
    with pytest.raises(SourceError, match="not TorchScript"):
        load_torchscript(tmp_path / "s.pt")
    (tmp_path / "t.pt").write_bytes(good.read_bytes()[:-40])
    with pytest.raises(SourceError, match="zip archive"):
        load_torchscript(tmp_path / "t.pt")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a/constants.pkl", b"")
        file.writestr("a/code/x.py", b"")
    (tmp_path / "e.pt").write_bytes(buffer.getvalue())
    with pytest.raises(SourceError):
        load_torchscript(tmp_path / "e.pt")
