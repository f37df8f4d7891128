"""`reuse_features` and `reuse_features_of_stage`: a program that takes some of its values from an earlier step."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from graphlab.errors import GraphlabError
from graphlab.hoisting.hoist import boundary_value, no_loop
from graphlab.hoisting.levels import Level
from graphlab.hoisting.report import boundary_bytes, part_cost, part_facts
from graphlab.hoisting.roles import Roles, stage_roles
from graphlab.hoisting.split import draft_levels, make_part, refusal
from graphlab.hoisting.symbols import Symbols
from graphlab.pipeline import Facts
from graphlab.program import Program
from graphlab.reuse.cut import Uncut, find_cut
from graphlab.reuse.result import APPROXIMATE, ReuseReport, ReuseResult
from graphlab.rewriting.change import Change
from graphlab.rewriting.draft import Draft, where
from graphlab.sources.stage import axis_sizes
from graphlab.workload import Stage, Workload

_WHY = "of an earlier step in all but every {}. step: approximate"


def reuse_features(
    program: Program,
    features: Collection[str],
    every: int,
    by: str,
    *,
    roles: Roles | None = None,
    sizes: Mapping[str, int] | None = None,
) -> ReuseResult:
    """`program` as one that computes everything and one that takes the values `features` from an earlier step.

    What depends on a step through `features` (node names) alone is taken with them, so what crosses is what the rest
    reads. `by` is the pass as one would write it. `roles` of the inputs say what steps (everything without); costs are
    at `sizes` ({symbol: size}; the example's without). GraphlabError for `every` below 1.
    """
    if every < 1:
        raise GraphlabError(f"features cannot be computed every {every} steps", hint="expected 1 or more")
    draft = Draft(program)
    name = draft.pass_name = by.partition(",")[0]
    reason = refusal(draft)
    known = roles or Roles({})
    found = Uncut(reason) if reason else find_cut(draft, features, draft_levels(draft, known))
    if isinstance(found, Uncut):
        return ReuseResult(program.name, program, every, reason=found.reason)
    entry = f"{by}; {APPROXIMATE}"
    outputs = (*found.results, *found.kept)
    refresh = make_part(draft, "refresh", found.whole, (), outputs, entry).program
    rest = make_part(draft, "reuse", found.shallow, found.kept, tuple(found.results), entry).program
    kept = tuple(boundary_value(draft, node, "refresh", ("reuse",)) for node in found.kept)
    changes = tuple(Change(name, ((n.name, n.name),), _WHY.format(every), *where(n)) for n in found.kept)
    levels = {node.name: known.levels.get(node.name, Level.STEP) for node in program.graph.inputs}
    made = ReuseResult(
        program.name,
        program,
        every,
        refresh,
        rest,
        len(found.results),
        kept,
        stepping=tuple(input_name for input_name, level in levels.items() if level is Level.STEP),
        schedule=tuple(input_name for input_name, level in levels.items() if level is Level.SCHEDULE),
        changes=changes,
    )
    return _reported(made, dict(sizes if sizes is not None else program.graph.symbols))


def reuse_features_of_stage(
    workload: Workload, name: str, program: Program, features: Collection[str], every: int, by: str
) -> ReuseResult:
    """`reuse_features` of `program`, a capture of the stage `name` of `workload`, over the steps of a generation.

    What steps is told by the roles of the stage's inputs. A stage that is no loop, or whose steps differ in size or in
    the number of calls, comes back as it is, with the reason. BindingError when the stage does not run.
    """
    stage = workload.running(name)
    reason = no_loop(workload, stage) or _uneven(workload, stage)
    if reason:
        return ReuseResult(stage.name, program, every, reason=reason)
    sizes = axis_sizes(stage, workload.step_values(stage, 0))
    at = {symbol: sizes[symbol] for symbol in program.graph.symbols}
    made = reuse_features(program, features, every, by, roles=stage_roles(stage), sizes=at)
    if made.report is None:
        return replace(made, name=stage.name)
    steps = workload.steps(stage)
    report = replace(
        made.report, steps=steps, calls=workload.calls_per_step(stage), refreshes=len(range(0, steps, every))
    )
    return replace(made, name=stage.name, report=report)


def _uneven(workload: Workload, stage: Stage) -> str:
    """Why a value of one step does not fit the next under the bindings in force; "" when it does."""
    moving = sorted(stage_roles(stage).changing)
    if moving:
        return f"its steps differ in the size of {', '.join(moving)}: a value of one need not fit the next"
    if len({workload.calls_per_step(stage, step) for step in range(workload.steps(stage))}) > 1:
        return "its steps make different numbers of calls: a value of one need not fit the next"
    return ""


def _reported(made: ReuseResult, values: dict[str, int]) -> ReuseResult:
    """`made` with its costs at `values`, for no number of steps in particular."""
    assert made.program.exported is not None
    symbols = Symbols(made.program.exported.graph)
    costs = {part: part_cost(part_facts(program, symbols, values)) for part, program in made.programs}
    kept = tuple(replace(item, nbytes=boundary_bytes(item, values)) for item in made.kept)
    report = ReuseReport(
        sizes=tuple(sorted(values.items())),
        before=part_cost(Facts(made.program.graph, values)),
        refresh=costs["refresh"],
        reuse=costs["reuse"],
        kept_bytes=sum(item.nbytes for item in kept),
        steps=None,
        calls=1,
        refreshes=1,
    )
    return replace(made, kept=kept, report=report)
