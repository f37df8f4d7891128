"""fuse-groupnorm-silu: what fires in which spelling, what does not and why, same numbers, second run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graphlab.passes.rewrite.fuse_groupnorm_silu import FuseGroupnormSilu
from graphlab.plugins import find_pass
from graphlab.program import Program
from graphlab.sources.extract import extract
from tests.fused.cases import DTYPES, Function, captured, check, ops, reasons, run, stays

Block = Callable[[nn.Module, torch.Tensor], torch.Tensor]
FUSED = "graphlab.group_norm_silu.default"


def built(call: Block) -> Function:
    return Function(call, norm=nn.GroupNorm(4, 8, eps=1e-3), plain=nn.GroupNorm(2, 8, affine=False))


def image(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(2, 8, 4, 6, dtype=dtype)


FIRES: dict[str, Block] = {
    "silu": lambda m, x: F.silu(m.norm(x)),
    "module": lambda m, x: nn.SiLU()(m.norm(x)),
    "in_place": lambda m, x: F.silu(m.norm(x), inplace=True),
    "no_weights": lambda m, x: F.silu(m.plain(x)),
    "functional": lambda m, x: F.silu(F.group_norm(x, 8, m.norm.weight)),
    "video": lambda m, x: F.silu(m.norm(x.unsqueeze(2))),
    "silu_read_twice": lambda m, x: (lambda y: y + y.mean())(F.silu(m.norm(x))),
}


@pytest.mark.parametrize("name", sorted(FIRES))
def test_fires(name: str) -> None:
    others = (torch.randn(3, 8, 5, 7),)
    program = check(FuseGroupnormSilu(), built(FIRES[name]), image(), others=others)
    assert ops(program).count(FUSED) == 1
    assert not {"aten.silu.default", "aten.group_norm.default"} & set(ops(program))


def test_arguments_are_kept() -> None:
    program = check(FuseGroupnormSilu(), built(FIRES["silu"]), image())
    (call,) = program.graph.calls
    assert call.args[1] == 4
    assert [program.graph.by_name[ref].target for ref in call.refs[1:]] == ["norm.weight", "norm.bias"]
    assert call.args[4] == 1e-3


@pytest.mark.parametrize("swapped", [False, True])
def test_silu_spelled_out(swapped: bool) -> None:
    def compvis(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        y = m.norm(x)
        return torch.sigmoid(y) * y if swapped else y * torch.sigmoid(y)

    module = built(compvis).double()
    program = captured(module, image(torch.float64))
    result = FuseGroupnormSilu().run(program)
    x = torch.randn(3, 8, 5, 7, dtype=torch.float64)
    assert ops(result.program) == [FUSED]
    assert reasons(result) == []
    torch.testing.assert_close(run(result.program, x), module(x), rtol=1e-14, atol=1e-14)  # rounds once less


def test_account() -> None:
    result = FuseGroupnormSilu().run(captured(built(FIRES["silu"]), image()))
    (change,) = result.changes
    assert [old for old, _ in change.values] == ["silu"]
    assert change.why == "silu of a group norm that nothing else reads"
    assert result.skips == ()
    assert find_pass("fuse-groupnorm-silu") is FuseGroupnormSilu


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_numbers_in_every_dtype(dtype: torch.dtype) -> None:
    check(FuseGroupnormSilu(), built(FIRES["silu"]).to(dtype), image(dtype))


def core(module: nn.Module, *args: torch.Tensor) -> Program:
    """`module` in core ATen, where group_norm is native_group_norm."""
    exported = torch.export.export(module.eval(), args).run_decompositions()
    return Program("core", extract(exported), exported)


def test_decomposed_programs() -> None:
    module, x = Function(lambda m, x: F.silu(m.norm(x)), norm=nn.GroupNorm(4, 8)), image()
    program = core(module, x)
    if "aten.silu.default" not in ops(program):  # core ATen has no silu: x * sigmoid(x)
        assert "aten.sigmoid.default" in ops(program)
    result = FuseGroupnormSilu().run(program)
    assert ops(result.program) == [FUSED]
    torch.testing.assert_close(run(result.program, x), module(x))


def test_diffusers_block() -> None:
    from diffusers.models.resnet import ResnetBlock2D

    block = ResnetBlock2D(in_channels=8, temb_channels=16, groups=4)
    program = check(FuseGroupnormSilu(), block, image(), torch.randn(2, 16))
    assert ops(program).count(FUSED) == 2


def norm_read_elsewhere(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    y = m.norm(x)
    return F.silu(y) + y


def sigmoid_read_elsewhere(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    y = m.norm(x)
    gate = torch.sigmoid(y)
    return y * gate + gate


STAYS: dict[str, tuple[Block, str]] = {
    "norm_read_elsewhere": (norm_read_elsewhere, "group_norm is read elsewhere"),
    "norm_is_a_result": (
        lambda m, x: (lambda y: (F.silu(y), y))(m.norm(x)),
        "group_norm is read elsewhere",
    ),
    "two_silus": (lambda m, x: (lambda y: F.silu(y) - F.silu(y))(m.norm(x)), "group_norm is read elsewhere"),
    "sigmoid_read_elsewhere": (sigmoid_read_elsewhere, "the sigmoid of the spelled-out silu is read elsewhere"),
    "relu": (lambda m, x: F.relu(m.norm(x)), "its activation is aten.relu.default, not silu"),
    "gelu": (lambda m, x: F.gelu(m.norm(x)), "its activation is aten.gelu.default, not silu"),
    "sigmoid": (lambda m, x: torch.sigmoid(m.norm(x)), "its activation is aten.sigmoid.default, not silu"),
    "cast_between": (lambda m, x: F.silu(m.norm(x).double()), "a cast stands between the group norm and the silu"),
}


def native(m: nn.Module, x: torch.Tensor, *sizes: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.ops.aten.native_group_norm.default(x, m.norm.weight, m.norm.bias, *sizes, 4, 1e-5)


def test_native_norm_of_other_channels_stays() -> None:
    module = Function(
        lambda _, x: F.silu(torch.ops.aten.native_group_norm.default(x, None, None, 1, 16, 24, 4, 1e-5)[0])
    )
    (reason,) = stays_static(module)
    assert reason == "the group norm sees 1 x 16 channels in a tensor (2, 8, 4, 6)"


def test_native_norm_whose_mean_is_read_stays() -> None:
    (reason,) = stays_static(built(lambda m, x: (lambda y: F.silu(y[0]) + y[1].mean())(native(m, x, 2, 8, 24))))
    assert reason == "the mean or the deviation of the group norm is read"


def stays_static(module: nn.Module) -> list[str]:
    exported = torch.export.export(module.eval(), (image(),))
    result = FuseGroupnormSilu().run(Program("native", extract(exported), exported))
    assert not result.modified
    return reasons(result)


@pytest.mark.parametrize("name", sorted(STAYS))
def test_stays(name: str) -> None:
    call, reason = STAYS[name]
    assert set(stays(FuseGroupnormSilu(), built(call), image())) == {reason}


def test_others_are_no_candidates() -> None:
    for call in (
        lambda m, x: m.norm(x) + 1,
        lambda m, x: F.silu(x) * x,
        lambda m, x: F.silu(F.layer_norm(x, [6])),
        lambda m, x: F.silu(m.norm(x).transpose(1, 2)),
        lambda m, x: x * torch.sigmoid(m.norm(x).mean()) * 2,
    ):
        assert stays(FuseGroupnormSilu(), built(call), image()) == []
