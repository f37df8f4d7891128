"""`verify`: whether two programs of one signature compute the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from graphlab.program import Program
from graphlab.rewriting.functional import functional
from graphlab.sources.extract import extract
from graphlab.verification.bindings import bytes_to_run, ordered_candidates
from graphlab.verification.pairs import claimed
from graphlab.verification.regions import Regions
from graphlab.verification.result import Broken, Verification, VerificationError, VerifyOptions
from graphlab.verification.tape import Tape, tape
from graphlab.verification.weights import check_weights
from graphlab.verification.whole import Whole

if TYPE_CHECKING:
    from graphlab.rewriting.change import Change
    from graphlab.rewriting.new_tensor import NewTensor

_DEFAULT = VerifyOptions()


def verify(
    before: Program,
    after: Program,
    changes: Sequence[Change] = (),
    *,
    new_tensors: Sequence[NewTensor] = (),
    options: VerifyOptions = _DEFAULT,
) -> Verification:
    """Whether `after` computes what `before` does, and if not which pass and node it was.

    Neither program's weights are used as they are: parameters are drawn away from 0 and 1, the same for the same key,
    so that a bias that happens to be 0 hides nothing; `new_tensors` says what weights only `after` has are made of.
    Both programs run on the same inputs at `options.bindings` sizes of every symbol,

    - in float64, every floating dtype in the programs read as float64: errors of at most `options.tolerance`;
    - in the model's dtype: with x, y the values before and after and r the float64 value before,
      |y - x| <= factor |x - r| + floor_eps eps, in the largest error and in the root mean square, over all runs
      together. Errors are relative per element (see `graphlab.verification.compare`).

    Compared are the results, what is written into buffers and inputs, and every pair of values that a change names;
    the first pair in graph order that differs is the broken one. Programs that do not fit `options.limit_bytes` are
    compared in regions (`graphlab.verification.regions`): what differs between the graphs is cut out and compared on
    random values. VerificationError when the signatures differ or a program cannot be run at all.
    """
    old, new = tape(before), tape(_named_alike(before, after))
    _check_signatures(old, new)
    if old.writes and not new.writes:
        return _functional_first(before, after, changes, new_tensors, options)
    problem = check_weights(old, new, new_tensors)
    device = torch.device(options.device)
    sizes = ordered_candidates((old, new), options)
    mode = options.mode if options.mode != "auto" else _mode(old, new, sizes, options)
    if problem is not None:
        return Verification(False, mode, broken=_of_pass(problem, changes))
    pairs = claimed(old, new, changes)
    if mode == "whole":
        return Whole(old, new, pairs, new_tensors, options, device).run(iter(sizes))
    _refuse_writes(new)
    return Regions(old, new, pairs, new_tensors, sizes, options, device).run()


def _refuse_writes(new: Tape) -> None:
    if new.writes:
        raise VerificationError(
            f"{new.program.name} writes in place, so no region can be cut out of it",
            hint="compare functional programs, or raise limit_bytes",
        )


def _named_alike(before: Program, after: Program) -> Program:
    """`after` with the input names of `before`: a loader may have renamed those, and copies of graphs do."""
    pairs = zip(before.graph.inputs, after.graph.inputs, strict=False)
    names = {new.name: old.name for old, new in pairs if old.name != new.name}
    return replace(after, graph=after.graph.with_inputs_named(names))


def _functional_first(
    before: Program, after: Program, changes: Sequence[Change], made: Sequence[NewTensor], options: VerifyOptions
) -> Verification:
    """A program that writes in place is made functional before it is rewritten: both steps are verified."""
    assert before.exported is not None
    exported = functional(before.exported)
    between = replace(before, exported=exported, graph=extract(exported))
    second = verify(between, after, changes, new_tensors=made, options=options)
    if not second.ok:
        return second
    old, new = tape(before), tape(_named_alike(before, between))
    sizes = ordered_candidates((old, new), options)
    if options.mode == "regions" or _mode(old, new, sizes, options) == "regions":
        note = "that the program without writes in place, which was rewritten, equals the one given"
        return replace(second, unchecked=(*second.unchecked, f"not compared, too large to run: {note}"))
    first = Whole(old, new, (), (), options, torch.device(options.device)).run(iter(sizes))
    if first.broken is not None:
        return replace(first, broken=replace(first.broken, why="making writes in place functional changed it"))
    return replace(second, ok=first.ok, unchecked=tuple(dict.fromkeys((*second.unchecked, *first.unchecked))))


def _of_pass(problem: Broken, changes: Sequence[Change]) -> Broken:
    names = {change.pass_name for change in changes}
    return replace(problem, pass_name=names.pop()) if len(names) == 1 else problem


def _check_signatures(old: Tape, new: Tape) -> None:
    before, after = old.program.graph, new.program.graph
    left = [(node.out.dtype, node.out.shape) for node in before.inputs]
    right = [(node.out.dtype, node.out.shape) for node in after.inputs]
    if [kind for kind, _ in left] != [kind for kind, _ in right] or _ranks(left) != _ranks(right):
        raise VerificationError(f"the programs take other inputs: {left} and {right}")
    if len(old.results) != len(new.results):
        raise VerificationError(f"the programs return {len(old.results)} and {len(new.results)} values")
    if set(before.symbols) != set(after.symbols):
        raise VerificationError(f"the programs have other symbolic sizes: {set(before.symbols) ^ set(after.symbols)}")
    trees = [program.exported.call_spec.out_spec for program in (old, new)]
    if trees[0] != trees[1]:
        raise VerificationError(f"the programs nest their results differently: {trees[0]} and {trees[1]}")


def _ranks(inputs: list[tuple[str, tuple[object, ...]]]) -> list[int]:
    return [len(shape) for _, shape in inputs]


def _mode(old: Tape, new: Tape, sizes: Sequence[dict[str, int]], options: VerifyOptions) -> str:
    """ "whole" when weights, in float64 and as they are, and activations of both fit the limit at the first sizes."""
    return "whole" if bytes_to_run((old, new), sizes[0]) <= options.limit_bytes else "regions"
