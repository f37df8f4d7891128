"""check_stage_rewrite: right passes pass, exact and approximate; each of the four tests fails for one that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

from graphlab.errors import UnknownNameError
from graphlab.hoisting.hoist import hoist, hoist_stage
from graphlab.hoisting.result import HoistResult
from graphlab.hoisting.stage_rewrite import StageRewrite
from graphlab.program import Program
from graphlab.reuse import ReuseResult
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.options import pass_from
from graphlab.rewriting.rewrite import Rewrite
from graphlab.testing import CheckFailed, StageNearMiss, check_stage_rewrite
from graphlab.workload import Workload
from tests.hoisting.models import Denoiser, attend, denoise
from tests.reuse.models import ReuseModule, UNet

aten = torch.ops.aten
TEXT = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
STEPS = [{"sample": torch.randn(2, 3, 8), "timestep": torch.tensor(float(t)), "text": TEXT} for t in (9, 5, 1)]
ROLES = {"sample": "latent", "timestep": "timestep", "text": "text"}

TABLE = """
    expand = aten.expand(timestep, [2])
    unsqueeze = aten.unsqueeze(expand, 1)
    mul = aten.mul(unsqueeze, b_frequencies)
    sin = aten.sin(mul)
    linear = aten.linear(sin, p_time_weight, p_time_bias)
"""
LAST = """
    unsqueeze_1 = aten.unsqueeze(linear, 1)
    add = aten.add(sample, unsqueeze_1)
    linear_1 = aten.linear(add, p_query_weight, p_query_bias)
"""
KEYS = """
    linear_2 = aten.linear(text, p_key_weight, p_key_bias)
    linear_3 = aten.linear(text, p_value_weight, p_value_bias)
"""
ATTENTION = """
    scaled_dot_product_attention = aten.scaled_dot_product_attention(linear_1, linear_2, linear_3)
    return scaled_dot_product_attention
"""
BEFORE = TABLE + LAST + KEYS + ATTENTION
AFTER = {
    "prologue": KEYS + "return linear_2, linear_3",
    "table": TABLE + "return linear",
    "step": LAST + ATTENTION,
}


def alone(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """Everything depends on the sample."""
    made: torch.Tensor = self.query(sample + text.mean(1, keepdim=True) * timestep)
    return made


def near(why: str = "nothing is computed from", steps: Any = None, **roles: str) -> StageNearMiss:
    """A stage whose inputs all step."""
    return StageNearMiss("every input steps", Denoiser(denoise), steps or STEPS, roles, why)


STAYS = "every input of it steps"


def check(rewrite: Any, **changed: Any) -> Any:
    torch.manual_seed(0)
    question = {"before": BEFORE, "after": AFTER, "near_misses": [near(STAYS, sample="latent")], **changed}
    steps, roles = question.pop("steps", STEPS), question.pop("roles", ROLES)
    return check_stage_rewrite(rewrite, question.pop("module", Denoiser(denoise)), steps, roles, **question)


def test_hoisting_passes() -> None:
    result = check(pass_from("hoist-loop-invariants"))
    assert isinstance(result, HoistResult)
    assert [part for part, _ in result.programs] == ["prologue", "table", "step"]


class Hoisting(StageRewrite):
    """Hoists by roles, and does what `then` does to the result."""

    name: ClassVar[str] = "hoisting"

    def __init__(self, then: Callable[[HoistResult, Program], HoistResult]) -> None:
        self.then = then

    def run(self, program: Program) -> HoistResult:
        return self.then(hoist(program, (), ()), program)

    def run_stage(
        self, workload: Workload, stage: str, program: Program | None = None, *, dynamic: bool = True
    ) -> HoistResult:
        assert program is not None
        return self.then(hoist_stage(workload, stage, program, dynamic=dynamic), program)


class Doubled(Rewrite):
    """Another number, and no word of it but its own."""

    name: ClassVar[str] = "doubled"

    def apply(self, draft: Draft) -> None:
        for node in list(draft.calls(aten.add.Tensor)):
            other = draft.call(aten.add.Tensor, *node.args, alpha=2, at=node)
            draft.replace(node, other, "twice the time")


def nothing(result: HoistResult, program: Program) -> HoistResult:
    return HoistResult(program.name, program, reason="not today")


def doubled(result: HoistResult, program: Program) -> HoistResult:
    return replace(result, step=Doubled().run(result.step).program) if result.modified else result


def failing(result: HoistResult, program: Program) -> HoistResult:
    raise KeyError("lost")


def another_thing(result: HoistResult, program: Program) -> Any:
    return program


def writing(result: HoistResult, program: Program) -> HoistResult:
    assert program.exported is not None
    program.exported.state_dict["time.bias"].data.add_(1)
    return result


def renaming(result: HoistResult, program: Program) -> HoistResult:
    assert program.exported is not None
    next(node for node in program.exported.graph.nodes if node.op == "call_function").name = "renamed"
    return result


FIRES = {
    "nothing": (nothing, "nothing changed .not today"),
    "raises": (failing, "the rewrite failed: pass hoisting failed: KeyError: 'lost'"),
    "no result": (another_thing, "the rewrite failed: pass hoisting returned a Program, expected a HoistResult"),
    "weights": (writing, "the weight time.bias was written into"),
    "the program": (renaming, "the program that was given has changed"),
    "numbers": (doubled, r"the step is another one .*\n.*"),
}


@pytest.mark.parametrize("case", FIRES)
def test_what_does_not_fire_as_said(case: str) -> None:
    then, message = FIRES[case]
    with pytest.raises(CheckFailed, match=message) as failed:
        check(Hoisting(then))
    assert failed.value.test == "fires"


def test_other_programs_than_expected() -> None:
    item = pass_from("hoist-loop-invariants")
    with pytest.raises(CheckFailed, match=r"fires: the program before is another one(?s:.*)- sine"):
        check(item, before=BEFORE.replace("sin ", "sine "))
    with pytest.raises(CheckFailed, match=r"fires: the parts are prologue, table, step, expected prologue, step"):
        check(item, after={part: text for part, text in AFTER.items() if part != "table"})
    with pytest.raises(CheckFailed, match=r"fires: the table is another one(?s:.*)- cos(?s:.*)\+ sin"):
        check(item, after={**AFTER, "table": AFTER["table"].replace("sin = aten.sin", "cos = aten.cos")})


def test_near_misses() -> None:
    item = pass_from("hoist-loop-invariants")
    with pytest.raises(CheckFailed, match=r"near-miss every input steps: it was split into prologue, table, step .exp"):
        check(item, near_misses=[near(**ROLES)])
    with pytest.raises(CheckFailed, match=r"expected 'no loop', the rewrite says: every input of it steps"):
        check(item, near_misses=[near("no loop", sample="latent")])
    with pytest.raises(CheckFailed, match=r"near-miss every input steps: a loop has two steps"):
        check(item, near_misses=[near(steps=STEPS[:1])])


def test_other_numbers() -> None:
    item, text = Hoisting(doubled), AFTER["step"].replace("unsqueeze_1)", "unsqueeze_1, alpha=2)")
    after = {**AFTER, "step": text.replace("add = aten", "add_tensor = aten").replace("(add,", "(add_tensor,")}
    with pytest.raises(CheckFailed, match=r"same numbers: step 0: result 0 differs by up to .*, allowed 0$"):
        check(item, after=after)
    with pytest.raises(CheckFailed, match=r"same numbers: with drawn weights: pass .* broke result 0"):
        check(item, after=after, tolerance=100.0)  # drawn weights are compared all the same


class Bit(StageRewrite):
    """Hoists what stays first, and what follows the schedule when it is run again."""

    name: ClassVar[str] = "bit"

    def run(self, program: Program) -> HoistResult:
        names = [node.name for node in program.graph.inputs]
        return hoist(program, ["text"] if "text" in names else [], [] if "text" in names else ["timestep"])

    def run_stage(
        self, workload: Workload, stage: str, program: Program | None = None, *, dynamic: bool = True
    ) -> HoistResult:
        assert program is not None
        if workload.steps(workload.stage(stage)) == 2:
            return HoistResult(program.name, program, reason="two steps are none")
        return self.run(program)


def test_a_second_run_that_goes_on() -> None:
    after = {"prologue": AFTER["prologue"], "step": TABLE + LAST + ATTENTION}
    miss = near("two steps", steps=STEPS[:2])
    with pytest.raises(CheckFailed, match=r"second run: it splits its own result into table, step: depends on the t"):
        check(Bit(), after=after, near_misses=[miss])


def unet_steps() -> tuple[list[dict[str, torch.Tensor]], dict[str, str]]:
    """A sample that moves slowly."""
    generator = torch.Generator().manual_seed(1)
    sample, text = torch.randn(1, 2, 8, 8, generator=generator), torch.randn(1, 3, 4, generator=generator)
    steps = [{"sample": sample + 0.1 * t, "timestep": torch.tensor(100 * t), "text": text} for t in (4, 3, 2, 1)]
    return steps, {"sample": "latent", "timestep": "timestep", "text": "text"}


def texts(rewrite: StageRewrite) -> dict[str, Any]:
    """Before and after as the pass makes them: what is approximate is what is checked here."""
    from graphlab.testing import program_text
    from graphlab.testing.stages import _captured

    torch.manual_seed(0)
    module, (steps, roles) = UNet().eval(), unet_steps()
    workload, program = _captured(module, steps, roles)
    made = dict(rewrite.run_stage(workload, "stage", program, dynamic=False).programs)
    return {
        "module": module,
        "steps": steps,
        "roles": roles,
        "before": program_text(program),
        "after": {part: program_text(item) for part, item in made.items()},
    }


def attend_only(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    return attend(self, sample, text)


NO_MODULE = StageNearMiss("no such module", Denoiser(attend_only), STEPS, ROLES, "none of its values that step")


def test_reuse_passes_as_long_as_it_is_near() -> None:
    item = ReuseModule(every=2)
    question = {**texts(item), "near_misses": [NO_MODULE]}
    assert isinstance(check(item, **question, drift=0.2), ReuseResult)
    with pytest.raises(CheckFailed, match=r"same numbers: step 1 of the loop is off by .*, allowed 0\.0001"):
        check(item, **question, drift=1e-4)
    with pytest.raises(CheckFailed, match=r"same numbers: the rewrite approximates .say with drift="):
        check(item, **question)


class Negated(Rewrite):
    """Another number."""

    name: ClassVar[str] = "negated"

    def apply(self, draft: Draft) -> None:
        node = list(draft.calls(aten.conv2d.default))[-1]
        same = draft.call(node.target, *node.args, at=node)
        draft.replace(node, draft.call(aten.neg.default, same, at=node), "no")


class Wrong(ReuseModule):
    """Takes features for something else."""

    name: ClassVar[str] = "wrong"

    def run_stage(self, *args: Any, **options: Any) -> ReuseResult:
        result = super().run_stage(*args, **options)
        return result if result.reuse is None else replace(result, reuse=Negated().run(result.reuse).program)


def test_reuse_that_is_wrong_where_nothing_is_old() -> None:
    with pytest.raises(CheckFailed, match=r"same numbers: step 0 of the reuse: result 0 differs by up to"):
        check(Wrong(2), **texts(Wrong(2)), near_misses=[NO_MODULE], drift=1.0)


class Refusing(ReuseModule):
    """Its second run raises."""

    name: ClassVar[str] = "refusing"
    error: ClassVar[Exception] = UnknownNameError("there is no module 'middle'")

    def run_stage(self, workload: Workload, stage: str, *args: Any, **options: Any) -> ReuseResult:
        if stage.endswith("reuse"):
            raise self.error
        return super().run_stage(workload, stage, *args, **options)


class Failing(Refusing):
    error: ClassVar[Exception] = KeyError("middle")


def test_a_second_run_may_refuse_and_not_fail() -> None:
    question = {**texts(Refusing(2)), "near_misses": [NO_MODULE], "drift": 0.2}
    assert check(Refusing(2), **question).modified
    with pytest.raises(CheckFailed, match=r"second run: the rewrite failed: pass refusing failed: KeyError: 'middle'"):
        check(Failing(2), **{**question, **texts(Failing(2))})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"near_misses": []}, "near-misses: there is none"),
        ({"near_misses": [near("")]}, "near-miss every input steps: its reason is empty"),
        ({"drift": 0.1}, "the rewrite is exact: its results do not drift"),
        ({"steps": STEPS[:1]}, "a loop has two steps or more"),
        ({"roles": {"texts": "text"}}, "there is no input 'texts' .inputs: sample, timestep, text"),
        ({"roles": {"text": "texts"}}, "'texts' is no role of an input .roles: text, condition"),
        ({"roles": {"sample": "text"}}, "the role of sample says that it stays, and it does not"),
    ],
    ids=["none", "empty", "drift", "one step", "no input", "no role", "moving"],
)
def test_a_question_that_asks_nothing(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckFailed, match=message):
        check(pass_from("hoist-loop-invariants"), **changed)


def test_what_is_no_stage_rewrite() -> None:
    with pytest.raises(CheckFailed, match=r"a FuseGelu is no instance of .*StageRewrite .check_rewrite checks a Rewr"):
        check(pass_from("fuse-gelu"))
