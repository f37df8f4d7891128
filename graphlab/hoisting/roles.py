"""Which inputs of a stage stay, follow the schedule, or step; and which of its sizes change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphlab.errors import UnknownNameError
from graphlab.graph import Graph
from graphlab.hoisting.levels import Level
from graphlab.names import nearest
from graphlab.sources.stage import axis_texts, tensor_inputs
from graphlab.symbolic import names_in
from graphlab.workload import Stage

BY_ROLE: Mapping[str, Level] = {
    "text": Level.INVARIANT,
    "condition": Level.INVARIANT,
    "mask": Level.INVARIANT,
    "timestep": Level.SCHEDULE,
    "latent": Level.STEP,
    "tokens": Level.STEP,
    "cache": Level.STEP,
}
"""What a role says about an input; an input without a role steps."""


@dataclass(frozen=True, slots=True)
class Roles:
    """`levels` of inputs by name, and the input axes ("cache_0.d2") whose size changes from step to step."""

    levels: Mapping[str, Level]
    changing: frozenset[str] = frozenset()


def stage_roles(stage: Stage, extra: Roles | None = None) -> Roles:
    """The roles of the inputs of `stage`; `extra` overrides them by name.

    An input whose size the steps change is no invariant, whatever its role.
    """
    texts = axis_texts(stage)
    moving = frozenset(axis for axis, text in texts.items() if set(names_in(text)) & set(stage.step_bindings))
    found = {name: BY_ROLE.get(spec.role, Level.STEP) for name, spec in tensor_inputs(stage).items()}
    found.update(extra.levels if extra is not None else {})
    found.update({axis.rpartition(".")[0]: Level.STEP for axis in moving})
    return Roles(found, moving)


def named_roles(graph: Graph, invariant: Sequence[str], schedule: Sequence[str]) -> Roles:
    """Roles by the names of inputs of `graph`; UnknownNameError for a name it has not, or one given twice."""
    names = [node.name for node in graph.inputs]
    for name in (*invariant, *schedule):
        if name not in names:
            raise UnknownNameError(
                f"the program has no input {name!r}", hint=f"{nearest(name, names)}inputs: {', '.join(names)}"
            )
    both = sorted(set(invariant) & set(schedule))
    if both:
        raise UnknownNameError(f"{both[0]} cannot both be invariant and follow the schedule")
    return Roles({**dict.fromkeys(invariant, Level.INVARIANT), **dict.fromkeys(schedule, Level.SCHEDULE)})
