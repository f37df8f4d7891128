"""Where the values of a stage's weights come from: drawn from a seed, read from a file or folder, the source's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

import torch

from graphlab.weights.drawn import RandomWeights
from graphlab.weights.errors import WeightsError
from graphlab.weights.own import built_with_values, kept, own_weights
from graphlab.weights.stored import stored_weights
from graphlab.workload import Workload

_SEED = re.compile(r"random:(\d+)")


class WeightSource(Protocol):
    """Values of weights by the program's keys, read one at a time; nothing is kept.

    `spec` is what was asked for: "random:0", a path, or "source". `notes` say what was assumed or done to the values
    (a cast, a prefix, a choice between files) so far; reading can add to them.
    """

    @property
    def spec(self) -> str:
        """ "random:SEED", the path, or "source"."""
        ...

    @property
    def is_random(self) -> bool:
        """Whether the values are drawn."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed or done to the values read so far, one sentence each."""
        ...

    def read(self, key: str, like: torch.Tensor) -> torch.Tensor:
        """The weight `key` on the CPU, with the shape and dtype of `like`, which is never read.

        WeightsError, naming the key, when there is none, or it is of another shape or kind of number.
        """
        ...


def weight_source(
    workload: Workload, stage: str, spec: str | None = None, *, trust_pickle: bool = False
) -> WeightSource:
    """Where the weights of the stage `stage` of `workload` come from.

    `spec` is "random:SEED", a path (a .safetensors, the index of a sharded one, .pt .pth .bin .ckpt, a `.pt2`, a
    folder of a pipeline or of one model), or None for the source's own values. Nothing but headers is read here.
    WeightsError for another spelling, a source without weights, a file that holds none of the stage's, and a `spec`
    for a stage that is built with the values of a base file;
    UnknownNameError for a stage there is none of, SourceError and its kinds for files that are missing or damaged.
    """
    found = workload.stage(stage)
    if spec is None:
        return own_weights(workload, found, trust_pickle=trust_pickle)
    if built_with_values(found):
        raise WeightsError(
            f"{workload.source or workload.name} has the values of all weights of {stage}, which would be kept",
            hint="change them with --pass apply-weight-mask, or give the file of the changed model as source",
        )
    if spec == "random" or spec.startswith("random:"):
        match = _SEED.fullmatch(spec)
        if match is None:
            raise WeightsError(f"{spec!r} names no seed", hint="write random:0, or another whole number from 0 on")
        return RandomWeights(found, int(match[1]), kept(found))
    if not spec.strip():
        raise WeightsError("the weights are named by nothing", hint="give a path, or random:0")
    return stored_weights(Path(spec).expanduser(), spec, found, trust_pickle=trust_pickle, notes=kept(found))
