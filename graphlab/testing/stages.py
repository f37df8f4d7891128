"""`check_stage_rewrite`: the four tests of a rewrite that makes several programs of the stage of a loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils import _pytree

from graphlab.errors import GraphlabError
from graphlab.hoisting import runner as hoisted
from graphlab.hoisting.result import HoistResult
from graphlab.hoisting.roles import BY_ROLE
from graphlab.hoisting.stage_rewrite import StageResult, StageRewrite
from graphlab.hoisting.stages import workload_with as with_parts
from graphlab.hoisting.verify import verify_split
from graphlab.program import Program
from graphlab.reuse import runner as reused
from graphlab.reuse.loop import relative
from graphlab.reuse.result import ReuseResult
from graphlab.reuse.stages import workload_with as with_reuse
from graphlab.reuse.verify import measure
from graphlab.rewriter import parts_of
from graphlab.testing.failure import CheckFailed, running
from graphlab.testing.numbers import compare
from graphlab.testing.programs import captured, check_text, check_weights, run_program, saved_and_loaded, weights_of
from graphlab.testing.text import program_text
from graphlab.verification.result import VerifyOptions
from graphlab.workload import Stage, TensorInput, Variable, Workload

Tensors = Mapping[str, torch.Tensor]
Steps = Sequence[Tensors]
NAME = "stage"


@dataclass(frozen=True, slots=True)
class StageNearMiss:
    """The stage of a loop that looks like a case for the rewrite and is none; `why` is part of what it says of it."""

    name: str
    module: torch.nn.Module
    steps: Steps
    roles: Mapping[str, str]
    why: str


def check_stage_rewrite(
    rewrite: StageRewrite,
    module: torch.nn.Module,
    steps: Steps,
    roles: Mapping[str, str],
    *,
    before: str,
    after: Mapping[str, str],
    near_misses: Sequence[StageNearMiss],
    tolerance: float = 0.0,
    drift: float | None = None,
) -> StageResult:
    """What `rewrite` makes of a stage that calls `module` in every step of a loop, which passes the four tests.

    `steps` are the inputs of the steps, {parameter of forward: tensor} each, and `roles` say what they are: "text",
    "condition" and "mask" stay, "timestep" is known beforehand, all others step ("latent", "tokens", "cache", none).

    1. It fires: the program is `before` (`program_text`), and its parts are `after`, {part: text}; the program given
       is unchanged, and so are its weights.
    2. It does not fire on any of `near_misses`, of which there is at least one, and says why.
    3. Same numbers: the loop over the parts gives in every step what the module gives, within `tolerance` (relative
       and absolute), also with parts from `.pt2` files; and so it does with drawn weights in float64 and in the
       model's dtype. Of a rewrite that approximates (`exact` is False) that is asked where no feature is old; over the
       loop its results may differ by `drift`, root mean square of the difference over that of the results.
    4. A second run changes nothing: it leaves what it made of the steps as it is.

    CheckFailed, an AssertionError, says which test failed, what was expected and what was found.
    """
    _check_question(rewrite, steps, roles, near_misses, drift)
    workload, program = _captured(module, steps, roles)
    result = _fires(rewrite, workload, program, before, after)
    for case in near_misses:
        _stays(rewrite, case)
    _same_numbers(program, result, steps, roles, tolerance)
    if isinstance(result, ReuseResult):
        _stays_near(program, result, steps, drift)
    _second_run(rewrite, workload, result)
    return result


def _check_question(
    rewrite: object, steps: Steps, roles: Mapping[str, str], near_misses: Sequence[StageNearMiss], drift: float | None
) -> None:
    if not isinstance(rewrite, StageRewrite):
        what = "no instance of graphlab.hoisting.stage_rewrite.StageRewrite"
        raise CheckFailed("the call", f"a {type(rewrite).__name__} is {what}", hint="check_rewrite checks a Rewrite")
    if not near_misses:
        raise CheckFailed(
            "near-misses", "there is none", hint="give a stage that looks like a case and is none, and why it stays"
        )
    empty = next((case.name for case in near_misses if not case.why.strip()), None)
    if empty is not None:
        raise CheckFailed(f"near-miss {empty}", "its reason is empty", hint="every text holds an empty one")
    if not rewrite.exact and drift is None:
        raise CheckFailed("same numbers", "the rewrite approximates", hint="say with drift= how far off it may be")
    if rewrite.exact and drift is not None:
        raise CheckFailed("same numbers", "the rewrite is exact: its results do not drift", hint="leave drift out")
    _check_steps(steps, roles)


def _check_steps(steps: Steps, roles: Mapping[str, str], test: str = "the call") -> None:
    if len(steps) < 2 or any(set(step) != set(steps[0]) for step in steps):
        raise CheckFailed(test, "a loop has two steps or more, of the same inputs")
    for name, role in roles.items():
        if name not in steps[0]:
            raise CheckFailed(test, f"there is no input {name!r}", hint=f"inputs: {', '.join(steps[0])}")
        if role not in BY_ROLE:
            raise CheckFailed(test, f"{role!r} is no role of an input", hint=f"roles: {', '.join(BY_ROLE)}")
    for name in _staying(roles):
        if not all(torch.equal(step[name], steps[0][name]) for step in steps):
            raise CheckFailed(test, f"the role of {name} says that it stays, and it does not")


def _staying(roles: Mapping[str, str]) -> list[str]:
    return [name for name, role in roles.items() if role in ("text", "condition", "mask")]


def _captured(module: torch.nn.Module, steps: Steps, roles: Mapping[str, str]) -> tuple[Workload, Program]:
    """A workload of one stage that runs the steps, and the program of the stage."""
    program = captured(module, (), steps[0], symbolic=False)
    inputs = {
        name: TensorInput(tuple(value.shape), str(value.dtype).removeprefix("torch."), roles.get(name, ""))
        for name, value in steps[0].items()
    }
    dtype = next((spec.dtype for spec in inputs.values() if "float" in spec.dtype), "float32")
    stage = Stage(NAME, dtype, inputs, build=lambda: module, steps="steps", batch=1)
    return Workload("test", "test", (stage,), (Variable("steps", len(steps), "steps of the loop"),)), program


def _ran(rewrite: StageRewrite, workload: Workload, name: str, program: Program | None, test: str) -> StageResult:
    with running(test, "the rewrite failed"):
        return parts_of(rewrite, lambda: rewrite.run_stage(workload, name, program, dynamic=False))


def _fires(
    rewrite: StageRewrite, workload: Workload, program: Program, before: str, after: Mapping[str, str]
) -> StageResult:
    text, weights = program_text(program), weights_of(program)
    check_text("the program before", before, text)
    result = _ran(rewrite, workload, NAME, program, "fires")
    if not result.modified:
        raise CheckFailed("fires", "nothing changed", hint="; ".join(_said(result)) or "and no candidate was seen")
    if program_text(program) != text:
        raise CheckFailed("fires", "the program that was given has changed", hint="edit a draft, not the program")
    check_weights(weights)
    made = dict(result.programs)
    if list(made) != list(after):
        raise CheckFailed("fires", f"the parts are {', '.join(made)}, expected {', '.join(after)}")
    for part, expected in after.items():
        check_text(f"the {part}", expected, program_text(made[part]))
    again = dict(_ran(rewrite, workload, NAME, program, "fires").programs)
    if {part: program_text(item) for part, item in again.items()} != {p: program_text(i) for p, i in made.items()}:
        raise CheckFailed("fires", "the same stage is rewritten in two ways", hint="leave chance and state out")
    with running("fires", "the rewrite fails on the program alone"):
        parts_of(rewrite, lambda: rewrite.run(program))
    return result


def _said(result: StageResult) -> list[str]:
    """What the rewrite says of what it left."""
    return [*([result.reason] if result.reason else []), *(skip.why for skip in result.skips)]


def _stays(rewrite: StageRewrite, case: StageNearMiss) -> None:
    test = f"near-miss {case.name}"
    _check_steps(case.steps, case.roles, test)
    workload, program = _captured(case.module, case.steps, case.roles)
    result = _ran(rewrite, workload, NAME, program, test)
    if result.modified:
        made = ", ".join(part for part, _ in result.programs)
        raise CheckFailed(test, f"it was split into {made}", hint=f"expected that it stays: {case.why}")
    if not any(case.why in reason for reason in _said(result)):
        said = "; ".join(_said(result)) or "nothing"
        raise CheckFailed(test, f"it stays, but not for the reason: expected {case.why!r}, the rewrite says: {said}")


def _same_numbers(
    program: Program, result: StageResult, steps: Steps, roles: Mapping[str, str], tolerance: float
) -> None:
    for where, item in (("", result), (", saved and loaded", _reloaded(result))):
        with running("same numbers", f"the parts{where} cannot be run"), torch.no_grad():
            loops = _fresh(item, steps) if isinstance(item, ReuseResult) else {"": _split(item, steps, roles)}
        for part, found in loops.items():
            for index, step in enumerate(steps):
                problem = compare(_results(program, step), found[index], tolerance)
                if problem is not None:
                    raise CheckFailed("same numbers", f"step {index}{part}{where}: {problem}")
    with running("same numbers", "with drawn weights"):
        if isinstance(result, HoistResult):
            verify_split(program, result, VerifyOptions()).raise_for_error()
        else:
            verified = measure(result, VerifyOptions()).verification
            assert verified is not None
            verified.raise_for_error()


def _results(program: Program, step: Tensors) -> Any:
    with running("same numbers", "the program before cannot be run"), torch.no_grad():
        return run_program(program, (), step)


def _split(result: HoistResult, steps: Steps, roles: Mapping[str, str]) -> list[Any]:
    """The results of every step of the loop over prologue, table and step."""
    stage, staying = hoisted.eager(result), _staying(roles)
    scheduled = [{name: step[name] for name in result.schedule} for step in steps]
    shapes = {name: tuple(value.shape) for name, value in steps[0].items()}
    state = stage.prepare({name: steps[0][name] for name in staying}, scheduled, shapes)
    return [stage.step(index, step, state) for index, step in enumerate(steps)]


def _fresh(result: ReuseResult, steps: Steps) -> dict[str, list[Any]]:
    """{what: the results of every step} with features of that very step."""
    stage = reused.eager(result)
    every: dict[str, list[Any]] = {" of the refresh": [], " of the reuse": []}
    for step in steps:
        whole, features = stage.step(0, step)
        every[" of the refresh"].append(whole)
        every[" of the reuse"].append(stage.calls["reuse"](_read(result, {**step, **features})))
    return every


def _read(result: ReuseResult, given: Tensors) -> Tensors:
    assert result.reuse is not None
    return {node.name: given[node.name] for node in result.reuse.graph.inputs}


def _stays_near(program: Program, result: ReuseResult, steps: Steps, drift: float | None) -> None:
    assert drift is not None
    stage = reused.eager(result)
    features: Tensors | None = None
    for index, step in enumerate(steps):
        with torch.no_grad():
            found, features = stage.step(index, step, features)
        off = relative(found, tuple(_pytree.tree_leaves(_results(program, step))))
        if not off <= drift:
            raise CheckFailed("same numbers", f"step {index} of the loop is off by {off:.3g}, allowed {drift:g}")


def _reloaded(result: StageResult) -> StageResult:
    loaded = {part: saved_and_loaded(item) for part, item in result.programs}
    if isinstance(result, ReuseResult):
        return replace(result, refresh=loaded["refresh"], reuse=loaded["reuse"])
    return replace(result, step=loaded["step"], prologue=loaded.get("prologue"), table=loaded.get("table"))


def _second_run(rewrite: StageRewrite, workload: Workload, result: StageResult) -> None:
    """What is left of a step has nothing to hoist, and what reuses features computes none of them."""
    if isinstance(result, HoistResult):
        after, name = with_parts(workload, NAME, result), NAME
    else:
        after, name = with_reuse(workload, NAME, result), f"{NAME} reuse"
    try:
        again = _ran(rewrite, after, name, after.stage(name).program, "second run")
    except CheckFailed as error:
        refused = error.__cause__ is not None and isinstance(error.__cause__.__cause__, GraphlabError)
        if refused:  # it says what it misses: its options are of what is no longer there
            return
        raise
    if again.modified:
        parts = ", ".join(part for part, _ in again.programs)
        why = "; ".join(dict.fromkeys(change.why for change in again.changes)) or "nothing it tells of"
        raise CheckFailed("second run", f"it splits its own result into {parts}: {why}")
