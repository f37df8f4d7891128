"""`hoist` and `hoist_stage`: a program, or a stage of a workload, to a HoistResult."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from graphlab.hoisting.commute import commute
from graphlab.hoisting.lenders import free_of_data
from graphlab.hoisting.levels import Level, computes, is_random
from graphlab.hoisting.part import Part
from graphlab.hoisting.report import with_report
from graphlab.hoisting.result import BoundaryValue, HoistResult
from graphlab.hoisting.roles import Roles, named_roles, stage_roles
from graphlab.hoisting.split import Plan, build, draft_levels, plan, refusal
from graphlab.hoisting.symbols import Symbols
from graphlab.program import Program
from graphlab.rewriting.change import Change
from graphlab.rewriting.draft import Draft, where
from graphlab.sources.stage import axis_sizes, program_for
from graphlab.workload import Stage, Workload

NAME = "hoist-loop-invariants"


def hoist(program: Program, invariant: Sequence[str] = (), schedule: Sequence[str] = ()) -> HoistResult:
    """`program` split over a loop in which the inputs `invariant` stay and `schedule` are known beforehand.

    All other inputs step. UnknownNameError for an input the program has not.
    """
    roles = named_roles(program.graph, invariant, schedule)
    if not roles.levels:
        return HoistResult(program.name, program, reason="no input is named as invariant or as the schedule")
    return split(program, roles)


def hoist_stage(
    workload: Workload,
    name: str,
    program: Program | None = None,
    *,
    dynamic: bool = True,
    invariant: Sequence[str] = (),
    schedule: Sequence[str] = (),
) -> HoistResult:
    """The stage `name` of `workload` split over its steps, with a report at the bindings in force.

    `program` is a capture of the stage that is there already. Roles of the inputs are the stage's; `invariant` and
    `schedule` override them by name. BindingError when the stage does not run.
    """
    stage = workload.running(name)
    values = workload.step_values(stage, 0)
    reason = loop_refusal(workload, stage)
    if program is None:
        program = program_for(stage, values, dynamic=dynamic, disk=False)
    if reason:
        return HoistResult(stage.name, program, reason=reason)
    roles = stage_roles(stage, named_roles(program.graph, invariant, schedule))
    sizes = axis_sizes(stage, values)
    result = split(program, roles, {symbol: sizes[symbol] for symbol in program.graph.symbols})
    return replace(result, name=stage.name)


def no_loop(workload: Workload, stage: Stage) -> str:
    """Why `stage` is no loop under the bindings in force; "" when it is one."""
    if workload.steps(stage) == 1:
        return "it runs once in a generation: there is no loop"
    if Level.STEP not in stage_roles(stage).levels.values():
        return "no input of it steps: its calls are not the steps of one loop"
    return ""


def loop_refusal(workload: Workload, stage: Stage) -> str:
    """Why `stage` is no loop that anything could be hoisted out of; "" when it is one."""
    reason = no_loop(workload, stage)
    if reason:
        return reason
    levels = stage_roles(stage).levels.values()
    if not {Level.INVARIANT, Level.SCHEDULE} & set(levels):
        return "every input of it steps: there is neither a schedule nor anything that stays"
    return ""


def split(program: Program, roles: Roles, sizes: Mapping[str, int] | None = None) -> HoistResult:
    """`program` split by `roles`, with a report at `sizes` ({symbol: size}; the example's without)."""
    draft = Draft(program)
    draft.pass_name = NAME
    reason = refusal(draft)
    if not reason:
        free_of_data(draft, draft_levels(draft, roles))
        commute(draft, draft_levels(draft, roles))
    found = None if reason else plan(draft, draft_levels(draft, roles))
    if found is None:
        return HoistResult(program.name, program, reason=reason or _nothing(roles))
    parts = build(draft, found, NAME)
    _skips(draft, found)
    names = {level: tuple(n for n, x in roles.levels.items() if x is level) for level in Level}
    result = HoistResult(
        name=program.name,
        step=parts["step"].program,
        prologue=parts["prologue"].program if "prologue" in parts else None,
        table=parts["table"].program if "table" in parts else None,
        prologue_outputs=tuple(node.name for node in found.prologue_results),
        table_outputs=tuple(node.name for node in found.table_results),
        shape_only=tuple((part, name) for part, item in parts.items() for name in item.shape_only),
        invariant=names[Level.INVARIANT],
        schedule=names[Level.SCHEDULE],
        boundary=tuple(_boundary(draft, found, parts)),
        changes=(*draft.changes, *_changes(found)),
        skips=tuple(draft.skips),
    )
    return with_report(result, program, sizes)


def _nothing(roles: Roles) -> str:
    known = [name for name, level in roles.levels.items() if level in (Level.INVARIANT, Level.SCHEDULE)]
    return f"nothing is computed from {', '.join(known) or 'invariant inputs'} alone"


def _boundary(draft: Draft, found: Plan, parts: Mapping[str, Part]) -> list[BoundaryValue]:
    values: list[BoundaryValue] = []
    for producer, nodes in (("prologue", found.prologue_results), ("table", found.table_results)):
        for node in nodes:
            takers = [part for part in ("table", "step") if part in parts and node.name in parts[part].inputs]
            values.append(boundary_value(draft, node, producer, takers))
    return values


def boundary_value(draft: Draft, node: torch.fx.Node, producer: str, consumers: Sequence[str]) -> BoundaryValue:
    """`node` of the whole as a value that crosses from `producer` to `consumers`; its bytes are not counted yet."""
    symbols, value = Symbols(draft.graph), node.meta["val"]
    return BoundaryValue(
        name=node.name,
        producer=producer,
        consumers=tuple(consumers),
        shape=tuple(symbols.text(size) for size in value.shape),
        dtype=str(value.dtype).removeprefix("torch."),
        nbytes=0,
        module=where(node)[0],
        op=str(node.target),
    )


def _skips(draft: Draft, found: Plan) -> None:
    """Notes what a step computes although no stepping input is behind it."""
    for node in draft.calls():
        if node not in found.step:
            continue
        if found.level[node] is Level.CONSTANT and computes(node):
            draft.skip(node, "depends on weights alone: constant folding does it without a prologue")
        elif is_random(node) and all(found.level[arg] < Level.STEP for arg in node.all_input_nodes):
            draft.skip(node, "draws random numbers, which are others in every step")


def _changes(found: Plan) -> list[Change]:
    once = "depends on invariant inputs alone: computed once, in the prologue"
    row = "depends on the timestep and on what stays: a row of the table"
    pairs = [(node, once) for node in found.prologue_results] + [(node, row) for node in found.table_results]
    return [Change(NAME, ((node.name, node.name),), why, *where(node)) for node, why in pairs]
