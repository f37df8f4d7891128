"""Models of one com.microsoft operator each, run in turn: `python -m graphlab.exporting.probing PROVIDER SKIP`.

Every trial is announced before it is made, so that whoever reads the output knows what ended the process. Sizes are
some that every kernel there is takes: BiasSplitGelu has three widths, BiasAdd three (onnxruntime
contrib_ops/cuda/diffusion/bias_split_gelu.cc, bias_add.cc).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CONTRIB = "com.microsoft"
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """Inputs by shape (None for one left out), attributes, how many results. `wide` inputs are float32 in any case,
    `integers` int64."""

    inputs: tuple[Shape | None, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    outputs: int = 1
    wide: tuple[int, ...] = ()
    integers: tuple[int, ...] = ()


_TOKENS = (1, 4, 64)
_IMAGE = (1, 4, 4, 320)
_GROUPS = {"groups": 32, "activation": 1, "channels_last": 1, "epsilon": 1e-5}

TRIALS: Mapping[str, Trial] = {
    "BiasAdd": Trial(((1, 4, 320), (320,), (1, 4, 320))),
    "BiasGelu": Trial((_TOKENS, (64,))),
    "BiasSplitGelu": Trial(((1, 4, 2560), (2560,))),
    "FastGelu": Trial((_TOKENS,)),
    "Gelu": Trial((_TOKENS,)),
    "GroupNorm": Trial((_IMAGE, (320,), (320,)), _GROUPS, wide=(1, 2)),
    "MultiHeadAttention": Trial((_TOKENS, _TOKENS, _TOKENS), {"num_heads": 2}),
    "QuickGelu": Trial((_TOKENS,), {"alpha": 1.0}),
    "RotaryEmbedding": Trial((_TOKENS, (1, 4), (4, 16), (4, 16)), {"num_heads": 2}, integers=(1,)),
    "SkipGroupNorm": Trial((_IMAGE, (320,), (320,), _IMAGE), _GROUPS, outputs=2, wide=(1, 2)),
    "SkipLayerNormalization": Trial((_TOKENS, _TOKENS, (64,), (64,)), {"epsilon": 1e-5}, outputs=4),
    "SkipSimplifiedLayerNormalization": Trial((_TOKENS, _TOKENS, (64,)), {"epsilon": 1e-5}, outputs=4),
}
"""{operator: how to try it}: all that a target may write."""


def model_of(name: str, dtype: str) -> Any:
    """The ModelProto of one node `name` on inputs of `dtype` ("float32" or "float16"); they are constants inside."""
    import numpy as np
    from onnx import helper, numpy_helper

    trial = TRIALS[name]
    held, inputs = [], []
    for index, shape in enumerate(trial.inputs):
        inputs.append("" if shape is None else f"x{index}")
        if shape is None:
            continue
        kind = "int64" if index in trial.integers else "float32" if index in trial.wide else dtype
        values = np.zeros(shape, kind) if index in trial.integers else np.linspace(-1, 1, num=_count(shape))
        held.append(numpy_helper.from_array(values.reshape(shape).astype(kind), f"x{index}"))
    used = {1: ["y"], 2: ["y", "sum"], 4: ["y", "", "", "sum"]}[trial.outputs]
    node = helper.make_node(name, inputs, used, domain=CONTRIB, **trial.attributes)
    number = {"float32": 1, "float16": 10}[dtype]
    first, *rest = held
    given = helper.make_tensor_value_info("x0", number, first.dims)
    results = [helper.make_tensor_value_info(item, number, None) for item in used if item]
    graph = helper.make_graph([node], "probe", [given], results, initializer=rest)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(CONTRIB, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def _count(shape: Shape) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def attempt(name: str, dtype: str, provider: str) -> str:
    """ "" when ONNX Runtime runs `name` on `provider`, else why not. A node that another provider runs is none."""
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    if provider != "CPUExecutionProvider":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = ort.InferenceSession(model_of(name, dtype).SerializeToString(), options, providers=[provider])
        shape = TRIALS[name].inputs[0]
        assert shape is not None
        session.run(None, {"x0": np.linspace(-1, 1, num=_count(shape)).reshape(shape).astype(dtype)})
    except Exception as error:  # whatever the library raises: it is the answer
        return " ".join(str(error).split())[:200] or type(error).__name__
    return ""


def main(provider: str, skip: list[str]) -> None:
    """Tries what is not in `skip` ("Gelu float16"); a line of JSON before and after each."""
    import onnxruntime as ort

    if provider not in ort.get_available_providers():
        _say(missing=f"this onnxruntime has no {provider}")
        return
    if not _loads(provider):
        _say(missing=f"onnxruntime cannot load {provider} here")
        return
    for name in TRIALS:
        for dtype in ("float32", "float16"):
            if f"{name} {dtype}" not in skip:
                _say(begun=f"{name} {dtype}")
                _say(done=f"{name} {dtype}", why=attempt(name, dtype, provider))


def _loads(provider: str) -> bool:
    """Whether sessions get `provider` at all: without its libraries they are made without it."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model_of("Gelu", "float32").SerializeToString(), options, providers=[provider])
    return bool(session.get_providers()[0] == provider)


def _say(**line: str) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
