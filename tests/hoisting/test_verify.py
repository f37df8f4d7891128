"""A split is compared with the program it came from: right ones pass, and a broken one is named by its part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import graphlab
from graphlab.cli.main import main
from graphlab.errors import GraphlabError
from graphlab.hoisting.hoist import hoist
from graphlab.hoisting.loop import Loop
from graphlab.hoisting.result import HoistResult
from graphlab.hoisting.runner import HoistedStage
from graphlab.hoisting.verify import verify_split
from graphlab.program import Program
from graphlab.rewriting.draft import Draft
from graphlab.verification.result import VerificationError, VerifyOptions
from tests.hoisting.models import WIDTH, Denoiser, denoise, embedded, program

aten = torch.ops.aten


def modulated(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """Everything a split has, and a constant a step."""
    return denoise(self, sample * 0.125, timestep, text)


def split(item: Program) -> HoistResult:
    return hoist(item, invariant=("text",), schedule=("timestep",))


@pytest.fixture(scope="module")
def item() -> Program:
    return program(modulated)


def edited(part: Program, target: Any, place: int, value: Any) -> Program:
    """`part` with the argument `place` of its first call of `target` exchanged."""
    draft = Draft(part)
    draft.pass_name = "by-hand"
    node = next(iter(draft.calls(target)))
    args = [*node.args]
    args[place] = value
    draft.replace(node, draft.call(target, *args, at=node, **node.kwargs), "on purpose")
    return draft.finish().program


def later(part: Program) -> Program:
    """`part` at another timestep."""
    draft = Draft(part)
    draft.pass_name = "by-hand"
    node = next(node for node in draft.graph.nodes if node.name == "timestep")
    (user,) = node.users
    other = draft.call(aten.add.Tensor, node, 300, at=user)
    args = [other if arg is node else arg for arg in user.args]
    draft.replace(user, draft.call(user.target, *args, at=user, **user.kwargs), "on purpose")
    return draft.finish().program


def broken(item: Program, result: HoistResult) -> str:
    with pytest.raises(VerificationError) as error:
        verify_split(item, result).raise_for_error()
    return str(error.value)


@pytest.mark.parametrize("dynamic", [True, False], ids=["symbolic", "static"])
def test_a_right_split(dynamic: bool) -> None:
    before = program(modulated, dynamic=dynamic)
    found = verify_split(before, split(before))
    assert found.complete
    assert found.compared == 1
    assert len(found.bindings) == (2 if dynamic else 1)
    assert found.bindings[0] == dict(before.graph.symbols)
    assert found.worst_float64 is not None
    assert found.worst_float64 < 1e-10
    assert found.worst_model is not None


def test_a_constant_of_the_step(item: Program) -> None:
    result = split(item)
    wrong = replace(result, step=edited(result.step, aten.mul.Tensor, 1, 0.25))
    assert "pass hoist-loop-invariants broke result 0, now result 0 of the step" in broken(item, wrong)
    assert verify_split(item, replace(result, step=edited(result.step, aten.mul.Tensor, 1, 0.125))).complete


def test_a_row_of_another_timestep(item: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    result = split(item)
    assert result.table is not None
    wrong = broken(item, replace(result, table=later(result.table)))
    assert f"{result.table_outputs[0]} of the table: relative error" in wrong
    step = HoistedStage.step

    def shifted(self: HoistedStage, index: int, stepping: Any, state: Any) -> Any:
        rows = {name: value.roll(1, 0) for name, value in state.rows.items()}
        return step(self, index, stepping, replace(state, rows=rows))

    monkeypatch.setattr(HoistedStage, "step", shifted)
    assert "result 0 of the step" in broken(item, result)


def test_a_prologue_that_exchanges_keys_and_values(item: Program) -> None:
    result = split(item)
    wrong = replace(result, prologue_outputs=result.prologue_outputs[::-1])
    assert f"{result.prologue_outputs[1]} of the prologue: relative error" in broken(item, wrong)


def test_a_part_that_fails(item: Program) -> None:
    result = split(item)
    assert result.prologue is not None
    text = torch.randn(2, 5, WIDTH)
    other = graphlab.capture(torch.nn.Linear(WIDTH, WIDTH), (text,), dynamic=False)
    assert "broke the prologue" in broken(item, replace(result, prologue=other))
    assert "broke the prologue" in broken(item, replace(result, prologue_outputs=()))
    assert "broke the step" in broken(item, replace(result, prologue=None, prologue_outputs=()))


def test_the_model_dtype_is_held_to_its_own_rounding(item: Program) -> None:
    """A cast of the step through float16 is nothing in float64, where casts are retyped."""
    result = split(item)
    draft = Draft(result.step)
    draft.pass_name = "by-hand"
    node = next(iter(draft.calls(aten.mul.Tensor)))
    same = draft.call(aten.mul.Tensor, *node.args, at=node)
    narrow = draft.call(aten.to.dtype, same, torch.float16, at=node)
    draft.replace(node, draft.call(aten.to.dtype, narrow, torch.float32, at=node), "on purpose")
    assert "in the model's dtype" in broken(item, replace(result, step=draft.finish().program))


def test_too_large_is_said(item: Program) -> None:
    found = verify_split(item, split(item), VerifyOptions(limit_bytes=1000))
    assert found.ok
    assert not found.complete
    assert found.compared == 0
    assert "too large to run, it would take" in found.unchecked[0]
    assert verify_split(item, split(item), VerifyOptions(limit_bytes=1000, mode="whole")).complete


def test_random_numbers_and_masks() -> None:
    def noisy(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return sample + torch.dropout(self.key(text), 0.5, True).mean(1, keepdim=True) + embedded(
            self, sample, timestep
        )[:, None]  # fmt: skip

    before = program(noisy)
    assert verify_split(before, split(before), VerifyOptions(masked_rows=True)).complete


def test_timesteps_differ(item: Program) -> None:
    times = [float(row["timestep"]) for row in Loop(item, split(item)).schedule()]
    assert len(set(times)) == 3


def test_run_pass_verifies_and_raises(item: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = "hoist-loop-invariants,invariant=text,schedule=timestep"
    good = graphlab.run_pass(spec, item, verify=True)
    assert good.hoisted is not None
    assert good.hoisted.verification is not None
    assert good.hoisted.verification.complete
    monkeypatch.setattr(
        "graphlab.rewriter.verify_split",
        lambda whole, made, options: verify_split(
            whole, replace(made, step=edited(made.step, aten.mul.Tensor, 1, 0.25)), options
        ),
    )
    with pytest.raises(GraphlabError, match="result 0 of the step"):
        graphlab.run_pass(spec, item, verify=True)


def test_the_command_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ["dit-xl-2-256-tiny", "--stage", "transformer", "--static"]
    assert main(["rewrite", *source, "-O3", "--verify", "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out.split("transformer: verification over the loop")[1]
    assert "equal to the program that was split, compared whole" in said
    assert "not checked" not in said
    assert (tmp_path / "out" / "table.pt2").exists()


def test_values_the_program_before_has_not_are_suspects() -> None:
    """Text repeated for every frame is projected before it is repeated: nothing in the program before is that value."""

    def framed(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        rows = text.repeat_interleave(sample.shape[1], dim=0)
        return denoise(self, sample.reshape(-1, 1, WIDTH) * 0.125, timestep, rows)

    before = program(framed, dynamic=False)
    result = split(before)
    assert verify_split(before, result).complete
    said = broken(before, replace(result, prologue_outputs=result.prologue_outputs[::-1]))
    assert f"or in {result.prologue_outputs[1]}, {result.prologue_outputs[0]}, which the program before has not" in said


def test_a_half_precision_stage() -> None:
    torch.manual_seed(0)
    module = Denoiser(modulated).eval().to(torch.bfloat16)
    inputs = [torch.randn(2, 3, WIDTH), torch.tensor(7.0), torch.randn(2, 5, WIDTH)]
    before = graphlab.capture(module, tuple(item.to(torch.bfloat16) for item in inputs), dynamic=False)
    result = split(before)
    assert verify_split(before, result).complete
    assert "result 0 of the step" in broken(before, replace(result, step=edited(result.step, aten.mul.Tensor, 1, 0.25)))
