"""`overflows`: values of a program that half precision does not hold.

ONNX Runtime's CPU provider runs half precision in float32 between casts and leaves out casts that follow each other:
there a model agrees that another provider turns into infinities. So ranges are looked at in PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from graphlab.exporting.checking.cases import RUNS, chosen_cases
from graphlab.exporting.checking.check import working_folder
from graphlab.exporting.checking.process import ChildDied, Jobs
from graphlab.exporting.checking.reference import laid_down, reference_of
from graphlab.exporting.translate import Lowered
from graphlab.program import Program
from graphlab.rewriting.new_tensor import NewTensor
from graphlab.weights.casting import MASKED
from graphlab.weights.source import WeightSource


def overflows(
    lowered: Lowered,
    source: WeightSource,
    dtype: str,
    beside: Path,
    *,
    new_tensors: Sequence[NewTensor] = (),
    base: Program | None = None,
) -> Mapping[str, float]:
    """{node of `lowered.program`: its largest magnitude} of values that are infinite in `dtype` and not in float32.

    Two sets of sizes are run, as in `check_model`, by a process of its own; its files lie beside the path `beside` for
    that time. ChildDied when memory is too small; ChildError when the program does not run.
    """
    made = reference_of(lowered.program)
    chosen = chosen_cases(made.tape, made.weight_bytes)
    if not chosen.cases:
        raise ChildDied(chosen.refused[0])
    with working_folder(beside) as folder:
        made.lay_down(folder, source, new_tensors, base)
        found = Jobs(folder).run(
            "ranges",
            **laid_down(folder),
            cases=[case.to_dict() for case in chosen.cases],
            count=RUNS,
            above=torch.finfo(getattr(torch, dtype)).max,
            below=MASKED,
        )
    largest: Mapping[str, float] = found["largest"]
    return largest
