"""channels-last: what lies another way afterwards and what does not, same numbers and strides, second run."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graphlab.passes.rewrite.channels_last import ChannelsLast
from graphlab.passes.rewrite.drop_noops import DropNoops
from graphlab.plugins import find_pass
from graphlab.rewriting.pipeline import LEVELS
from graphlab.rewriting.result import RewriteResult
from tests.passes.rewrites import Args, Call, captured, fires, run, stays, text

DOUBLE = torch.float64
BINDINGS: list[Args] = [
    (torch.randn(2, 4, 8, 6, dtype=DOUBLE),),
    (torch.randn(3, 4, 9, 7, dtype=DOUBLE),),
]
ORDER = "memory_format=torch.channels_last"


def relaid(module: nn.Module, *, static: bool = True) -> RewriteResult:
    """The result on `module`, results as before in numbers and strides."""
    with warnings.catch_warnings():
        # torch wonders at weights that are not row-major when it saves them; it saves and loads them as they are
        warnings.filterwarnings("ignore", "No complete tensor found")
        result = fires(ChannelsLast(), module, BINDINGS, tolerance=1e-12, static=static)
    for args in BINDINGS:
        after, before = (x if isinstance(x, tuple) else (x,) for x in (run(result.program, args), module(*args)))
        assert [x.stride() for x in after] == [x.stride() for x in before]
    return result


def built(call: Callable[..., object], **layers: nn.Module) -> nn.Module:
    return Call(call, **layers).double()


def test_is_found_by_name_and_in_no_level() -> None:
    assert find_pass("channels-last") is ChannelsLast
    assert all("channels-last" not in names for names in LEVELS.values())


def test_before_and_after() -> None:
    module = built(lambda m, x: m.conv(x), conv=nn.Conv2d(4, 8, 3))
    assert text(captured(module, *BINDINGS[0])) == ["conv2d = conv2d(args_0, p_conv_weight, p_conv_bias)"]
    result = relaid(module)
    assert text(result.program) == [
        f"clone_default = clone(args_0, {ORDER})",
        "conv2d_default = conv2d(clone_default, p_conv_weight_channels_last, p_conv_bias, [1, 1], [0, 0], [1, 1], 1)",
        "clone_default_1 = clone(conv2d_default, memory_format=torch.contiguous_format)",
    ]
    assert [(made.key, made.nbytes, made.origins) for made in result.new_tensors] == [
        ("conv.weight_channels_last", 8 * 4 * 9 * 8, ("conv.weight",))
    ]
    assert result.dropped == ("conv.weight",)
    exported = result.program.exported
    assert exported is not None
    weight = exported.state_dict["conv.weight_channels_last"]
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(weight, module.state_dict()["conv.weight"])


def test_the_order_carries_over() -> None:
    def call(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return m.second(F.silu(m.norm(m.first(x)))) + x

    layers = {
        "first": nn.Conv2d(4, 8, 3, padding=1),
        "norm": nn.GroupNorm(2, 8),
        "second": nn.Conv2d(8, 4, 3, padding=1),
    }
    lines = text(relaid(built(call, **layers)).program)
    assert len([line for line in lines if ORDER in line]) == 1
    assert len([line for line in lines if "contiguous_format" in line]) == 1


def test_views_become_reshapes_and_results_lie_as_before() -> None:
    def call(m: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = m.conv(x)
        tokens = y.view(y.shape[0], 8, -1).transpose(1, 2)
        return m.out(tokens), y.permute(0, 2, 3, 1)

    lines = text(relaid(built(call, conv=nn.Conv2d(4, 8, 3), out=nn.Linear(8, 5))).program)
    assert any(line.startswith("view = reshape(conv2d_default") for line in lines)


def test_transposed_and_resampled() -> None:
    def call(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return m.down(F.interpolate(m.up(x), scale_factor=2.0, mode="nearest"))

    module = built(call, up=nn.ConvTranspose2d(4, 8, 3, padding=1), down=nn.Conv2d(8, 4, 3, stride=2))
    lines = text(relaid(module).program)
    assert len([line for line in lines if ORDER in line]) == 1


def test_what_reads_memory_as_it_lies_gets_it_as_it_lay() -> None:
    def call(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return m.conv(x).as_strided((2, 3), (1, 1)).sum()

    lines = text(relaid(built(call, conv=nn.Conv2d(4, 8, 3)), static=False).program)
    assert "as_strided = as_strided(clone_default_1, [2, 3], [1, 1])" in lines


def test_pixels_shuffled_lie_as_the_device_likes() -> None:
    """The fake result lies row-major, on the CPU it keeps the order of the input: a `view` of it would fail."""

    def call(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        y = F.pixel_shuffle(m.conv(x), 2)
        return y.view(y.shape[0], -1)

    relaid(built(call, conv=nn.Conv2d(4, 8, 3)))


def test_drop_noops_keeps_it() -> None:
    result = relaid(built(lambda m, x: m.conv(x), conv=nn.Conv2d(4, 8, 3)), static=False)
    after = DropNoops().run(result.program)
    assert not after.modified
    assert [skip.why for skip in after.skips] == ["a memory format asked for by name", "a result lies in this copy"]


STAYS: dict[str, tuple[Callable[..., object], list[str]]] = {
    "one-dimensional": (lambda m, x: m.flat(x[:, :, 0]), []),
    "three-dimensional": (lambda m, x: m.deep(x.unsqueeze(2)), []),
    "a computed weight": (
        lambda m, x: F.conv2d(x, m.conv.weight * 2),
        ["its weight is computed or written, not only stored"],
    ),
}


@pytest.mark.parametrize("name", sorted(STAYS))
def test_stays(name: str) -> None:
    call, expected = STAYS[name]
    module = built(call, conv=nn.Conv2d(4, 8, 3), flat=nn.Conv1d(4, 8, 3), deep=nn.Conv3d(4, 8, (1, 3, 3)))
    assert stays(ChannelsLast(), module, BINDINGS[0][0], dynamic=False) == expected
