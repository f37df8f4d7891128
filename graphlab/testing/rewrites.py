"""`check_rewrite`: the four tests of a rewrite in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from graphlab.program import Program
from graphlab.rewriter import verified
from graphlab.rewriting.result import RewriteResult
from graphlab.rewriting.rewrite import Rewrite
from graphlab.testing.failure import CheckFailed, running
from graphlab.testing.numbers import compare, inputs_of
from graphlab.testing.programs import (
    Args,
    captured,
    check_text,
    check_weights,
    run_program,
    saved_and_loaded,
    weights_of,
)
from graphlab.testing.text import difference, normal, program_text


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A module, called with `args`, that looks like a case for the rewrite and is none.

    `name` is what failures call it. `why` has to be part of a reason the rewrite gives for what it left.
    """

    name: str
    module: torch.nn.Module
    args: Args
    why: str


def check_rewrite(
    rewrite: Rewrite,
    module: torch.nn.Module,
    args: Args,
    *,
    before: str,
    after: str,
    near_misses: Sequence[NearMiss],
    others: Sequence[Args] = (),
    tolerance: float = 0.0,
    expected: Callable[..., Any] | None = None,
) -> RewriteResult:
    """The result of `rewrite` on `module` called with `args`, which passes the four tests of a rewrite.

    1. It fires: the program is `before` (`program_text`), and afterwards `after`; the program given is unchanged, and
       so are its weights.
    2. It does not fire on any of `near_misses`, of which there is at least one, and says why.
    3. Same numbers: within `tolerance` (relative and absolute), at `args` and at `others`, also in a `.pt2`; and,
       for an exact rewrite, with drawn weights in float64 and in the model's dtype (`graphlab.verification`).
    4. A second run changes nothing.

    With `others`, arguments of other sizes, every size is captured as a symbol that can be one. `expected` computes
    what the new program has to, where that is not what `module` does: a rewrite that is not `exact` needs it.
    CheckFailed, an AssertionError, says which test failed, what was expected and what was found.
    """
    _check_question(rewrite, near_misses, expected)
    program = captured(module, args, symbolic=bool(others))
    result = _fires(rewrite, program, before, after)
    for case in near_misses:
        _stays(rewrite, case)
    _same_numbers(rewrite, program, result, [args, *others], tolerance, expected)
    if others:
        fixed = captured(module, others[0], symbolic=False)
        _same_numbers(rewrite, fixed, _ran(rewrite, fixed, "same numbers"), [others[0]], tolerance, expected)
    _second_run(rewrite, program, result)
    return result


def _check_question(rewrite: object, near_misses: Sequence[NearMiss], expected: Callable[..., Any] | None) -> None:
    if not isinstance(rewrite, Rewrite):
        raise CheckFailed(
            "the call", f"a {type(rewrite).__name__} is no instance of graphlab.rewriting.rewrite.Rewrite"
        )
    if not near_misses:
        raise CheckFailed(
            "near-misses", "there is none", hint="give a module that looks like a case and is none, and why it stays"
        )
    empty = next((case.name for case in near_misses if not case.why.strip()), None)
    if empty is not None:
        raise CheckFailed(f"near-miss {empty}", "its reason is empty", hint="every text holds an empty one")
    if not rewrite.exact and expected is None:
        raise CheckFailed("same numbers", "the rewrite means to change values", hint="say with expected= what to")


def _ran(rewrite: Rewrite, program: Program, test: str) -> RewriteResult:
    with running(test, "the rewrite failed"):
        result: object = rewrite.run(program)
    if not isinstance(result, RewriteResult):
        raise CheckFailed(test, f"the rewrite returned a {type(result).__name__}, expected a RewriteResult")
    return result


def _fires(rewrite: Rewrite, program: Program, before: str, after: str) -> RewriteResult:
    text, weights = program_text(program), weights_of(program)
    check_text("the program before", before, text)
    result = _ran(rewrite, program, "fires")
    if not result.modified:
        reasons = [f"{skip.node}: {skip.why}" for skip in result.skips]
        raise CheckFailed("fires", "nothing changed", hint="; ".join(reasons) or "and no candidate was seen")
    if program_text(program) != text:
        raise CheckFailed("fires", "the program that was given has changed", hint="edit the draft, not the program")
    check_weights(weights)
    check_text("the program after", after, program_text(result.program))
    again = program_text(_ran(rewrite, program, "fires").program)
    if again != program_text(result.program):
        raise CheckFailed("fires", "the same program is rewritten in two ways", hint="leave chance and state out")
    return result


def _stays(rewrite: Rewrite, case: NearMiss) -> None:
    test = f"near-miss {case.name}"
    program = captured(case.module, case.args, symbolic=False)
    result = _ran(rewrite, program, test)
    if result.modified:
        made = "; ".join(dict.fromkeys(change.why for change in result.changes))
        raise CheckFailed(test, f"it was rewritten: {made}", hint=f"expected that it stays: {case.why}")
    reasons = [skip.why for skip in result.skips]
    if not any(case.why in reason for reason in reasons):
        said = "; ".join(reasons) or "nothing"
        raise CheckFailed(test, f"it stays, but not for the reason: expected {case.why!r}, the rewrite says: {said}")


def _same_numbers(
    rewrite: Rewrite,
    before: Program,
    result: RewriteResult,
    runs: Sequence[Args],
    tolerance: float,
    expected: Callable[..., Any] | None,
) -> None:
    reloaded = saved_and_loaded(result.program)
    for args in runs:
        with running("same numbers", "the program before cannot be run"), torch.no_grad():
            wanted = expected(*args) if expected is not None else run_program(before, args)
        for program, where in ((result.program, ""), (reloaded, ", saved and loaded")):
            with running("same numbers", f"the program after{where} cannot be run"), torch.no_grad():
                found = run_program(program, args)
            problem = compare(wanted, found, tolerance)
            if problem is not None:
                raise CheckFailed("same numbers", f"at {inputs_of(args)}{where}: {problem}")
    if rewrite.exact and expected is None:
        with running("same numbers", "with drawn weights"):
            verified(before, result, [rewrite])


def _second_run(rewrite: Rewrite, before: Program, result: RewriteResult) -> None:
    again = _ran(rewrite, result.program, "second run")
    if not again.modified and program_text(again.program) == program_text(result.program):
        return
    made = "; ".join(dict.fromkeys(change.why for change in again.changes)) or "nothing it tells of"
    shown = difference(normal(program_text(result.program)), normal(program_text(again.program)))
    raise CheckFailed("second run", f"it changes its own result: {made} (- first, + second run):\n{shown}\n")
