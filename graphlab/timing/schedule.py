"""Which calls of a stage are timed: one, or those a whole generation is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphlab.generation.steps import Step, distinct, is_sampled, runs_batched, steps_of, weights
from graphlab.graph import Graph
from graphlab.sources.stage import tensor_inputs
from graphlab.timing.job import Sampling
from graphlab.timing.sampling import suits
from graphlab.workload import Stage, Workload

MOST_KINDS = 3
"""Calls of other sizes that are captured and compiled; of more, the first, the middle and the last."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The calls of a stage: variables in force of each that is compiled, how many calls of a generation each stands
    for, and, where every call of a generation is among them, their order by index."""

    values: tuple[Mapping[str, int | float], ...]
    weights: tuple[float, ...] = (1.0,)
    sequence: tuple[int, ...] = ()
    guided: bool = False
    note: str = ""


def one_call(workload: Workload, stage: Stage) -> Schedule:
    """The first call of the stage, with the batch a user set: guidance is another call."""
    return Schedule((workload.step_values(stage, 0),))


def generation(workload: Workload, stage: Stage) -> Schedule:
    """Every call of the stage in one generation; calls that pipelines make as one of a larger batch are one."""
    steps = steps_of(workload, stage)
    kinds = distinct(steps)
    guided = runs_batched(stage) and workload.calls_per_step(stage) > 1 and "batch" in steps[0].values
    if len(kinds) <= MOST_KINDS:
        place = {kind.key: index for index, kind in enumerate(kinds)}
        sequence = [place[step.key] for step in steps for _ in range(step.repeats)]
        counts = tuple(float(sequence.count(index)) for index in range(len(kinds)))
        return Schedule(tuple(step.values for step in kinds), counts, tuple(sequence), guided)
    at = [kinds[0], kinds[(len(kinds) - 1) // 2], kinds[-1]]
    counts = tuple(share * step.repeats for share, step in zip(weights(steps, at), at, strict=True))
    return Schedule(tuple(step.values for step in at), counts, (), guided, _between(at, steps))


def _between(at: list[Step], steps: list[Step]) -> str:
    shown = ", ".join(str(step.index) for step in at)
    return (
        f"its calls change from step to step: steps {shown} of {len(steps)} were measured, "
        "seconds of the others lie on straight lines between them"
    )


def sampling(workload: Workload, stage: Stage, schedule: Schedule, graph: Graph) -> Sampling | None:
    """How a sampler's steps hang together; None where `stage` is none, or a DDIM step does not fit its results."""
    if len(schedule.values) != 1 or not schedule.sequence or not is_sampled(stage):
        return None
    latents = [name for name, spec in tensor_inputs(stage).items() if spec.role == "latent"]
    if len(latents) != 1 or not graph.results or latents[0] not in graph.by_name:
        return None
    if len(schedule.sequence) != workload.steps(stage):
        return None
    shape, result = graph.by_name[latents[0]].out.shape, graph.by_name[graph.results[0]].out.shape
    sizes = [size for size in shape if isinstance(size, int)]
    if len(sizes) != len(shape) or not suits(sizes, [s for s in result if isinstance(s, int)], guided=schedule.guided):
        return None
    return Sampling(latents[0], workload.steps(stage), schedule.guided)
