"""Programs of many kinds: half precision, float32 islands, NaN, integers, nested results, masks, writes in place."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from graphlab.rewriting.change import Change
from graphlab.rewriting.draft import Draft
from graphlab.verification.result import VerificationError, VerifyOptions
from graphlab.verification.verify import verify
from tests.verification.modules import Attention, call, captured, edited, find

ATEN = torch.ops.aten
MODES = ("whole", "regions")


def replaced(program: Any, old_name: str, target: Any, *args: Any, name: str = "new", **kwargs: Any) -> Any:
    """`program` with one node replaced; names among `args` are nodes, `meta` stays that of the old node."""

    def edit(graph: torch.fx.Graph) -> None:
        old = find(graph, old_name)
        given = [find(graph, arg) if isinstance(arg, str) else arg for arg in args]
        old.replace_all_uses_with(call(graph, old, target, *given, name=name, **kwargs))

    return edited(program, edit), [Change("edit", ((old_name, name),), "")]


BF16 = torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)


@pytest.mark.parametrize("mode", MODES)
def test_a_right_rewrite_of_half_precision_passes(mode: str) -> None:
    program = captured(Attention(32, dtype=torch.bfloat16), BF16)
    scale = (32 // 2) ** -0.5
    after, changes = replaced(
        program,
        "matmul_1",
        ATEN.scaled_dot_product_attention.default,
        "transpose",
        "transpose_1",
        "transpose_2",
        scale=scale,
    )
    found = verify(program, after, changes, options=VerifyOptions(mode=mode))
    assert found.complete, found
    assert found.own_error is not None
    assert found.own_error > 1e-3
    assert found.worst_float64 is not None
    assert found.worst_float64 < 1e-12


@pytest.mark.parametrize("mode", MODES)
def test_a_lost_float32_island_is_only_seen_in_the_models_dtype(mode: str) -> None:
    class Near(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return ((x.float() + 300) - 300).to(torch.bfloat16).cos()

    program = captured(Near(), torch.randn(2, 3, 16).to(torch.bfloat16))

    def edit(graph: torch.fx.Graph) -> None:
        old = find(graph, "to_1")
        far = call(graph, old, ATEN.add.Tensor, find(graph, "x"), 300, name="far")
        old.replace_all_uses_with(call(graph, old, ATEN.sub.Tensor, far, 300, name="low"))

    change = Change("lower", (("to_1", "low"),), "")
    found = verify(program, edited(program, edit), [change], options=VerifyOptions(mode=mode))
    assert found.broken is not None
    assert (found.broken.precision, found.broken.pass_name) == ("model", "lower")
    assert found.worst_float64 == 0.0


def test_nan_equals_nan_and_nothing_else() -> None:
    class Log(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.log(x) * 2

    program = captured(Log(), torch.randn(4, 6))
    after, changes = replaced(program, "mul", ATEN.add.Tensor, "log", "log")
    assert verify(program, after, changes).complete

    def quiet(graph: torch.fx.Graph) -> None:
        old = find(graph, "mul")
        clean = call(graph, old, ATEN.nan_to_num.default, old.args[0], name="clean")
        old.replace_all_uses_with(call(graph, old, ATEN.mul.Tensor, clean, 2, name="new"))

    found = verify(program, edited(program, quiet), changes)
    assert found.broken is not None
    assert found.broken.error == float("inf")


def test_nothing_but_nan_is_not_called_equal() -> None:
    class Nothing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.log(-(x * x) - 1)

    program = captured(Nothing(), torch.randn(4, 6))
    found = verify(program, program)
    assert not found.ok
    with pytest.raises(VerificationError, match="nothing could be compared"):
        found.raise_for_error()


@pytest.mark.parametrize("mode", MODES)
def test_integer_results_are_compared_exactly(mode: str) -> None:
    class Pick(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x.argmax(-1), (x > 0).sum(-1)

    program = captured(Pick(), torch.randn(4, 9))
    after, changes = replaced(program, "gt", ATEN.ge.Scalar, "x", 0)
    assert verify(program, after, changes, options=VerifyOptions(mode=mode)).complete
    after, changes = replaced(program, "argmax", ATEN.argmin.default, "x", -1)
    found = verify(program, after, changes, options=VerifyOptions(mode=mode))
    assert found.broken is not None
    assert found.broken.before == "argmax"


@pytest.mark.parametrize("mode", MODES)
def test_nested_results_with_constants(mode: str) -> None:
    class Nested(nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, Any]:
            return {"a": (x.sin(), [x.cos(), 3]), "b": None, "size": x.shape[0]}

    program = captured(Nested(), torch.randn(4, 9))
    assert verify(program, program, options=VerifyOptions(mode=mode)).complete
    after, changes = replaced(program, "cos", ATEN.sin.default, "x")
    found = verify(program, after, (), options=VerifyOptions(mode=mode))
    assert found.broken is not None
    assert found.broken.before == "result 1"
    assert verify(program, after, changes, options=VerifyOptions(mode=mode)).broken is not None


class Masked(nn.Module):
    """Tokens, a padding mask and a timestep, as text models and denoisers take them."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Embedding(7, 8), nn.Linear(8, 8)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        h = self.table(tokens) * timestep.log()[:, None, None]
        scores = h @ h.transpose(-1, -2)
        scores = scores.masked_fill(mask[:, None, :] == 0, float("-inf"))
        return self.out(scores.softmax(-1) @ h)


def masked() -> Any:
    return captured(
        Masked(), torch.zeros(2, 5, dtype=torch.int64), torch.ones(2, 5, dtype=torch.int64), torch.full((2,), 3.0)
    )


@pytest.mark.parametrize("mode", MODES)
def test_masks_are_mixed_and_tokens_lie_in_the_table(mode: str) -> None:
    program = masked()
    after, changes = replaced(program, "masked_fill", ATEN.add.Scalar, "matmul", 0)  # a mask that is forgotten
    found = verify(program, after, changes, options=VerifyOptions(mode=mode))
    assert found.broken is not None
    assert found.broken.before == "masked_fill"
    assert verify(program, program, options=VerifyOptions(mode=mode)).complete


def test_rows_that_are_masked_as_a_whole_are_tried_on_request() -> None:
    program = masked()
    finite, changes = replaced(program, "masked_fill", ATEN.masked_fill.Scalar, "matmul", "eq", -1e30)
    assert verify(program, finite).ok  # no row is masked as a whole, and 0 is what both give elsewhere
    found = verify(program, finite, options=VerifyOptions(masked_rows=True))
    assert found.broken is not None
    assert found.broken.error == float("inf")
    assert not verify(program, finite, changes).ok  # -inf and -1e30 are not the same value


class Counting(nn.Module):
    """Writes a buffer, and into a copy of its input in place."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.add_(x.sum(0))  # type: ignore[operator]  # checked by running it
        y = x * 2
        y[:, 0].add_(1)
        return y + self.seen


def test_what_is_written_into_buffers_is_compared() -> None:
    program = captured(Counting(), torch.randn(3, 4))
    functional = Draft(program).finish().program
    assert verify(program, functional).complete
    sums = [node.name for node in functional.graph.calls if node.target.startswith("aten.sum")]

    def edit(graph: torch.fx.Graph) -> None:
        old = find(graph, sums[0])
        old.replace_all_uses_with(call(graph, old, ATEN.amax.default, *old.args, name="most"))

    found = verify(program, edited(functional, edit), [Change("edit", ((sums[0], "most"),), "")])
    assert found.broken is not None
    assert (found.broken.pass_name, found.broken.after) == ("edit", "most")


def test_programs_that_write_in_place_run_as_they_are() -> None:
    program = captured(Counting(), torch.randn(3, 4))
    found = verify(program, program)
    assert found.complete
    assert found.compared >= 2
    with pytest.raises(VerificationError, match="writes in place"):
        verify(program, program, options=VerifyOptions(mode="regions"))


@pytest.mark.parametrize("mode", MODES)
def test_regions_of_autocast_and_without_gradients(mode: str) -> None:
    class Regions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                y = x.sin()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return self.linear(y).float() + x

    program = captured(Regions(), torch.randn(4, 6))
    found = verify(program, program, options=VerifyOptions(mode=mode))
    assert found.ok
    after, changes = replaced(program, "add", ATEN.sub.Tensor, "x", "x")
    assert not verify(program, after, changes, options=VerifyOptions(mode=mode)).ok


def test_the_sizes_of_a_static_program_are_the_only_ones() -> None:
    program = captured(Attention(), torch.randn(2, 5, 8), dynamic=False)
    found = verify(program, program)
    assert found.complete
    assert found.bindings == ({},)
