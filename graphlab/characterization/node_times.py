"""What the time model of a device says of each node of a call, to stand beside what was measured."""

from __future__ import annotations

from graphlab.characterization.measured import as_captured
from graphlab.kernels.extract import call_names, stage_call
from graphlab.pipeline import Facts
from graphlab.prediction.data import VARIANT, KernelModel
from graphlab.prediction.predict import predict


def predicted_nodes(facts: Facts, name: str, dtype: str, model: KernelModel) -> dict[str, float]:
    """{node: estimated seconds} of one call of the stage `name` in `dtype`, run as it is spelled.

    A launch counts with its kernel where the device waits for each, as a processor does. Nodes that run nothing of
    their own (views) are missing.
    """
    call = stage_call(facts, name=name, dtype=dtype, values={}, cache_bytes=0, notes=())
    runtime = as_captured(call)
    time = predict(call, model, runtime)
    variant = VARIANT[runtime]
    found: dict[str, float] = {}
    for node, index in zip(call_names(facts, dtype=dtype)[variant], call.order[variant], strict=True):
        spent = time.times[index]
        found[node] = found.get(node, 0.0) + spent.seconds + (0.0 if model.asynchronous else spent.host)
    return found
