"""fold-conv-bn: which convolutions take a batch normalisation in, which do not and why, same numbers, second run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from graphlab.passes.rewrite.fold_conv_bn import FoldConvBn
from graphlab.plugins import find_pass
from graphlab.rewriting.functional import functional
from graphlab.rewriting.record import CHANGED_WEIGHTS
from tests.passes.rewrites import Call, captured, fires, run, same, saved_and_loaded, stays, text

DOUBLE = torch.float64


def normed(m: nn.Module, x: torch.Tensor) -> object:
    return m.bn(m.layer(x))


def built(layer: nn.Module, bn: nn.Module, call: Callable[..., object] = normed) -> nn.Module:
    return Call(call, layer=layer, bn=bn).double()


def test_is_found_by_name() -> None:
    assert find_pass("fold-conv-bn") is FoldConvBn


def test_before_and_after() -> None:
    module = built(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    x, other = torch.randn(2, 3, 8, 6, dtype=DOUBLE), torch.randn(3, 3, 9, 7, dtype=DOUBLE)
    assert text(captured(module, x)) == [
        "conv2d = conv2d(args_0, p_layer_weight, p_layer_bias)",
        "batch_norm = batch_norm(conv2d, p_bn_weight, p_bn_bias, b_bn_running_mean, b_bn_running_var, "
        "False, 0.1, 1e-05, False)",
    ]
    result = fires(FoldConvBn(), module, [(x,), (other,)], tolerance=1e-12)
    assert text(result.program) == [
        "conv2d_default = conv2d(args_0, p_layer_weight_folded, p_layer_bias_folded, [1, 1], [0, 0], [1, 1], 1)"
    ]
    origins = ("layer.weight", "layer.bias", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    assert [(made.key, made.nbytes, made.origins) for made in result.new_tensors] == [
        ("layer.weight_folded", 4 * 3 * 9 * 8, origins),
        ("layer.bias_folded", 4 * 8, origins),
    ]
    assert result.dropped == origins
    assert result.changes[0].why == "batch normalisation after conv2d"
    assert result.program.history == (f"fold-conv-bn; {CHANGED_WEIGHTS}",)


FOLDED: dict[str, tuple[nn.Module, nn.Module, tuple[int, ...], tuple[int, ...]]] = {
    "1d, no bias": (nn.Conv1d(4, 6, 3, bias=False), nn.BatchNorm1d(6), (2, 4, 9), (3, 4, 8)),
    "2d, groups, padded": (nn.Conv2d(4, 6, 3, groups=2, padding=1), nn.BatchNorm2d(6), (2, 4, 6, 8), (3, 4, 9, 7)),
    "2d, padded to the same size": (nn.Conv2d(4, 6, 3, padding="same"), nn.BatchNorm2d(6), (2, 4, 6, 8), (3, 4, 9, 7)),
    "3d": (nn.Conv3d(2, 3, 2, stride=2), nn.BatchNorm3d(3), (2, 2, 4, 6, 8), (3, 2, 6, 8, 4)),
    "no scale": (nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, affine=False), (2, 4, 6, 8), (3, 4, 9, 7)),
    "transposed 1d, groups": (nn.ConvTranspose1d(4, 6, 3, groups=2), nn.BatchNorm1d(6), (2, 4, 9), (3, 4, 8)),
    "transposed 2d": (nn.ConvTranspose2d(4, 6, 3, stride=2), nn.BatchNorm2d(6), (2, 4, 6, 8), (3, 4, 9, 7)),
    "transposed 3d": (nn.ConvTranspose3d(2, 4, 2, groups=2), nn.BatchNorm3d(4), (2, 2, 4, 6, 8), (3, 2, 6, 8, 4)),
    "linear": (nn.Linear(4, 6), nn.BatchNorm1d(6), (2, 4), (3, 4)),
}


@pytest.mark.parametrize("name", sorted(FOLDED))
def test_folded(name: str) -> None:
    layer, bn, *shapes = FOLDED[name]
    module = built(layer, bn)
    bindings = [(torch.randn(shape, dtype=DOUBLE),) for shape in shapes]
    result = fires(FoldConvBn(), module, bindings, tolerance=1e-12, static=name == "linear")
    assert len(text(result.program)) == 1
    assert len(result.new_tensors) == 2


def test_one_after_another() -> None:
    def call(m: nn.Module, x: torch.Tensor) -> object:
        return m.bn2(m.conv2(torch.relu(m.bn(m.layer(x)))))

    layers = {
        "layer": nn.Conv2d(3, 4, 3),
        "bn": nn.BatchNorm2d(4),
        "conv2": nn.Conv2d(4, 5, 3),
        "bn2": nn.BatchNorm2d(5),
    }
    module = Call(call, **layers).double()
    x, other = torch.randn(2, 3, 8, 9, dtype=DOUBLE), torch.randn(3, 3, 11, 7, dtype=DOUBLE)
    result = fires(FoldConvBn(), module, [(x,), (other,)], tolerance=1e-11)
    assert [line.split(" = ")[1].split("(")[0] for line in text(result.program)] == ["conv2d", "relu", "conv2d"]


def test_half_precision_is_rounded_once() -> None:
    module = Call(normed, layer=nn.Conv2d(3, 4, 3), bn=nn.BatchNorm2d(4)).bfloat16()
    result = FoldConvBn().run(captured(module, torch.randn(2, 3, 8, 6).bfloat16(), dynamic=False))
    weight, bias = result.new_tensors
    state = dict(module.state_dict())
    exact = {key: value.double() for key, value in state.items()}
    assert torch.equal(weight.make(state), weight.make(exact).bfloat16())
    assert torch.equal(bias.make(state), bias.make(exact).bfloat16())


def test_weights_on_the_meta_device_stay_there() -> None:
    module = built(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to("meta")
    result = FoldConvBn().run(captured(module, torch.randn(2, 3, 8, 6, dtype=DOUBLE, device="meta")))
    assert result.modified
    exported = result.program.exported
    assert exported is not None
    assert all(tensor.is_meta for tensor in exported.state_dict.values())


Pair = tuple[Callable[..., object], nn.Module, nn.Module, tuple[int, ...], list[str]]
STAYS: dict[str, Pair] = {
    "read twice": (
        lambda m, x: (lambda y: m.bn(y) + y)(m.layer(x)),
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), (2, 3, 8, 6), ["conv2d is read elsewhere"]),
    ),
    "used twice": (
        lambda m, x: m.bn(m.layer(x)) + m.layer(x * 2),
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), (2, 3, 8, 6), ["the weights of conv2d are used elsewhere"]),
    ),
    "no running statistics": (
        normed,
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), (2, 3, 8, 6)),
        ["it normalises by the statistics of the batch"],
    ),
    "another axis": (
        lambda m, x: m.bn(m.layer(x)),
        *(nn.Linear(4, 6), nn.BatchNorm1d(5), (2, 5, 4)),
        ["it normalises another axis than the one linear makes: there is none of the batch, or several"],
    ),
    "a computed weight": (
        lambda m, x: m.bn(nn.functional.conv2d(x, m.layer.weight * 2)),
        *(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            (2, 3, 8, 6),
            ["a weight or statistic is computed, or written in every call"],
        ),
    ),
    "no batch": (
        normed,
        *(nn.Conv2d(3, 6, 3), nn.BatchNorm1d(6), (3, 8, 8)),
        ["it normalises another axis than the one conv2d makes: there is none of the batch, or several"],
    ),
    "something between": (
        lambda m, x: m.bn(torch.relu(m.layer(x))),
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), (2, 3, 8, 6), []),
    ),
}


@pytest.mark.parametrize("name", sorted(STAYS))
def test_stays(name: str) -> None:
    call, layer, bn, shape, expected = STAYS[name]
    assert stays(FoldConvBn(), built(layer, bn, call), torch.randn(shape, dtype=DOUBLE), dynamic=False) == expected


def test_float32() -> None:
    module = Call(normed, layer=nn.Conv2d(3, 4, 3), bn=nn.BatchNorm2d(4))
    x = torch.randn(2, 3, 8, 6)
    result = FoldConvBn().run(captured(module, x))
    same(run(result.program, (x,)), module(x), 1e-5)


def test_statistics_that_the_program_writes_after_reading_them() -> None:
    def call(m: nn.Module, x: torch.Tensor) -> object:
        y = normed(m, x)
        m.bn.running_mean.copy_(x.mean((0, 2, 3)))
        return y

    program = captured(built(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), call), torch.randn(2, 3, 8, 6, dtype=DOUBLE))
    result = FoldConvBn().run(program)
    assert [skip.why for skip in result.skips] == ["a weight or statistic is computed, or written in every call"]
    assert not result.modified


def test_the_native_operator_of_a_program_made_functional_and_reloaded() -> None:
    """torch decomposes the norm when it makes the counter functional, and a file holds its unread statistics."""

    def call(m: nn.Module, x: torch.Tensor) -> object:
        m.count.add_(1)
        return normed(m, x)

    module = Call(call, layer=nn.Conv2d(3, 4, 3), bn=nn.BatchNorm2d(4), count=torch.zeros(())).double()
    x = torch.randn(2, 3, 8, 6, dtype=DOUBLE)
    program = captured(module, x)
    assert program.exported is not None
    program = saved_and_loaded(replace(program, exported=functional(program.exported)))
    assert len([line for line in text(program) if " = getitem(" in line]) == 3
    result = FoldConvBn().run(program)
    assert [change.why for change in result.changes] == ["batch normalisation after conv2d"]
    same(run(result.program, (x,)), normed(module, x), 1e-12)
