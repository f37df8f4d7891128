"""Programs without weights, or too large to run: what differs is cut out, equal regions are run once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from graphlab.program import Program
from graphlab.rewriting.change import Change
from graphlab.verification.result import VerifyOptions
from graphlab.verification.verify import verify
from tests.verification.modules import Attention, call, captured, edited, find

ATEN = torch.ops.aten
REGIONS = VerifyOptions(mode="regions")
SDPA = ATEN.scaled_dot_product_attention.default


def blocks(depth: int, dim: int = 8, device: str = "cpu") -> Program:
    module = nn.Sequential(*(Attention(dim) for _ in range(depth))).to(device)
    return captured(module, torch.randn(2, 5, dim, device=device))


def fused_everywhere(program: Program, wrong: int | None = None) -> tuple[Program, list[Change]]:
    assert program.exported is not None
    softmaxes = [node.name for node in program.exported.graph.nodes if "softmax" in str(node.target)]
    changes: list[Change] = []

    def edit(graph: torch.fx.Graph) -> None:
        for index, name in enumerate(softmaxes):
            weights = find(graph, name)
            (old,) = weights.users
            scores = weights.args[0].args[0]  # type: ignore[union-attr]  # checked by running it
            query, turned = scores.args  # type: ignore[union-attr]  # checked by running it
            key, value = turned.args[0], old.args[1]  # type: ignore[union-attr]  # checked by running it
            scale = weights.args[0].args[1]  # type: ignore[union-attr]  # checked by running it
            factor = 1.000001 if index == wrong else 1.0
            new = call(graph, old, SDPA, query, key, value, name=f"sdpa_{index}", scale=scale * factor)
            changes.append(Change("fuse-attention", ((old.name, new.name),), ""))
            old.replace_all_uses_with(new)

    return edited(program, edit), changes


def test_equal_regions_are_run_once() -> None:
    program = blocks(3)
    after, changes = fused_everywhere(program)
    found = verify(program, after, changes, options=REGIONS)
    assert found.complete
    assert (found.compared, found.distinct) == (3, 1)


def test_the_one_wrong_region_of_many_is_named() -> None:
    program = blocks(3)
    after, changes = fused_everywhere(program, wrong=2)
    found = verify(program, after, changes, options=REGIONS)
    assert found.broken is not None
    assert (found.broken.pass_name, found.broken.after) == ("fuse-attention", "sdpa_2")


def test_weights_on_the_meta_device_are_drawn() -> None:
    program = blocks(2, device="meta")
    after, changes = fused_everywhere(program)
    assert program.exported is not None
    assert all(value.is_meta for value in program.exported.state_dict.values())
    for mode in ("whole", "regions"):
        assert verify(program, after, changes, options=VerifyOptions(mode=mode)).complete
        wrong, _ = fused_everywhere(program, wrong=1)
        assert not verify(program, wrong, changes, options=VerifyOptions(mode=mode)).ok


def test_large_programs_are_compared_in_regions() -> None:
    program = blocks(1, dim=4096, device="meta")
    after, changes = fused_everywhere(program)
    found = verify(program, after, changes, options=VerifyOptions(limit_bytes=400 << 20))
    assert found.mode == "regions"
    assert found.complete


def test_a_region_larger_than_the_limit_is_reported_and_not_called_equal() -> None:
    program = blocks(1)
    after, changes = fused_everywhere(program)
    found = verify(program, after, changes, options=VerifyOptions(mode="regions", limit_bytes=1000))
    assert not found.ok
    assert "matmul_1, now sdpa_0: needs" in found.unchecked[0]


class Causal(nn.Module):
    """A mask made of sizes alone, which a rewrite turns into a flag."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = x.sin()
        tokens = x.shape[1]
        keep = torch.ones(tokens, tokens, dtype=torch.bool).tril()
        scores = (h @ h.transpose(-1, -2)).masked_fill(~keep, float("-inf"))
        return scores.softmax(-1) @ h


@pytest.mark.parametrize("causal", [True, False])
def test_what_depends_on_sizes_alone_is_computed(causal: bool) -> None:
    program = captured(Causal(), torch.randn(2, 5, 8))

    def edit(graph: torch.fx.Graph) -> None:
        old, h = find(graph, "matmul_1"), find(graph, "sin")
        new = call(graph, old, SDPA, h, h, h, None, 0.0, causal, name="sdpa", scale=1.0)
        old.replace_all_uses_with(new)

    change = Change("fuse-attention", (("matmul_1", "sdpa"),), "")
    found = verify(program, edited(program, edit), [change], options=REGIONS)
    assert found.ok is causal


class Related(nn.Module):
    """`y` is a function of `x` that a rewrite knows: on independent numbers the two sides differ."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = x.sin()
        y = x * 2
        return y.cos(), y - x


def test_values_that_depend_on_each_other_are_cut_larger() -> None:
    program = captured(Related(), torch.randn(2, 5))

    def edit(factor: float) -> Program:
        def change(graph: torch.fx.Graph) -> None:
            old = find(graph, "sub")
            old.replace_all_uses_with(call(graph, old, ATEN.mul.Tensor, find(graph, "sin"), factor, name="new"))

        return edited(program, change)

    change = Change("simplify", (("sub", "new"),), "")
    assert verify(program, edit(1.0), [change], options=REGIONS).complete
    found = verify(program, edit(1.1), [change], options=REGIONS)
    assert found.broken is not None
    assert found.broken.after == "new"


def test_a_kept_name_that_means_something_else_is_no_common_value() -> None:
    class Folded(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return ((x.sin() * 2) + 1).cos() * 3

    program = captured(Folded(), torch.randn(2, 5))

    def edit(graph: torch.fx.Graph) -> None:
        scaled, shifted = find(graph, "mul"), find(graph, "add")
        scaled.args = (scaled.args[0], 4)
        half = call(graph, shifted, ATEN.mul.Tensor, scaled, 0.5, name="half")
        shifted.args = (half, 1)

    found = verify(program, edited(program, edit), options=REGIONS)
    assert found.ok


def test_results_of_operators_with_several() -> None:
    class Split(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            a, b = x.sin().chunk(2, dim=-1)
            return a * b.sigmoid()

    program = captured(Split(), torch.randn(3, 8))

    def edit(order: str) -> Program:
        def change(graph: torch.fx.Graph) -> None:
            old = find(graph, "mul")
            operands = [find(graph, {"a": "getitem", "b": "getitem_1"}[letter]) for letter in order]
            gate = call(graph, old, ATEN.sigmoid.default, operands[1], name="gate")
            old.replace_all_uses_with(call(graph, old, ATEN.mul.Tensor, gate, operands[0], name="new"))

        return edited(program, change)

    change = Change("turn", (("mul", "new"),), "")
    assert verify(program, edit("ab"), [change], options=REGIONS).complete
    assert not verify(program, edit("ba"), [change], options=REGIONS).ok


def test_runs_that_need_no_region() -> None:
    program = blocks(1)
    found = verify(program, program, options=REGIONS)
    assert found.complete
    assert found.compared == 0
