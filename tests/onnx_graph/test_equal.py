"""An export of a model has the FLOPs of the model: torch's exporter at two operator sets, and graphlab's own.

The exporters share equal subexpressions, which a DiT has (it embeds its time step twice): where they did, what is
missing are contractions the program holds twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import onnx_ir as ir
import pytest
import torch

from graphlab.costing import node_costs
from graphlab.exporting.targets import target_named
from graphlab.exporting.translate import to_onnx
from graphlab.graph import Graph
from graphlab.loading import load
from graphlab.onnx_graph import OnnxRead, read_onnx
from graphlab.program import Program
from graphlab.sources.stage import axis_sizes, program_for
from graphlab.workload import Stage, Workload

MODELS = [
    ("stable-diffusion-v1-5-tiny", "text_encoder"),
    ("dit-xl-2-256-tiny", "transformer"),
    ("llama-2-7b-tiny", "prefill"),
    ("stable-diffusion-v1-5-tiny", "unet"),
    ("stable-diffusion-v1-5-tiny", "vae_decoder"),
    ("flux-1-dev-tiny", "transformer"),
]
KINDS = ("plain-20", "plain-23", "standard", "ort-cpu")
FAST = [(0, "plain-23"), (0, "ort-cpu"), (1, "ort-cpu"), (2, "ort-cpu"), (2, "standard")]
"""(model, export) of a run without `-m slow`: torch's exporter takes ten seconds a model, a U-Net's capture too."""
CASES = [
    pytest.param(*m, kind, id=f"{m[0]}-{m[1]}-{kind}", marks=() if (index, kind) in FAST else pytest.mark.slow)
    for index, m in enumerate(MODELS)
    for kind in KINDS
]
OTHER: dict[str, dict[str, int]] = {
    "text_encoder": {"batch": 3}, "unet": {"batch": 3, "height": 512, "width": 768}, "prefill": {"tokens": 33},
    "vae_decoder": {"height": 512, "width": 256}, "transformer": {"batch": 3},
}  # fmt: skip


@cache
def captured(model: str, name: str) -> tuple[Workload, Stage, Program]:
    """The stage with random weights on the CPU, which torch's exporter asks for, and its program."""
    workload = load(model)
    stage = workload.stage(name)

    def build() -> torch.nn.Module:
        assert stage.build is not None
        module = stage.build().to_empty(device="cpu")
        for tensor in (*module.parameters(), *module.buffers()):
            with torch.no_grad():
                _ = tensor.normal_() if tensor.is_floating_point() else tensor.zero_()
        return module

    real = replace(stage, build=build, identity="")
    return workload, real, program_for(real, workload.values(), disk=False)


def serialised(model: Any) -> bytes:
    """The bytes of an onnx_ir model."""
    return bytes(ir.serde.serialize_model(model).SerializeToString())


@cache
def exported(model: str, name: str, kind: str) -> OnnxRead:
    """What is read of the stage's export."""
    _, _, program = captured(model, name)
    assert program.exported is not None
    if kind.startswith("plain"):
        made = torch.onnx.export(program.exported, (), dynamo=True, opset_version=int(kind[6:]), verbose=False)
        assert made is not None
        data = serialised(made.model)
    else:
        lowered = to_onnx(program, target_named(kind))
        data = b"".join(_with_shapes(lowered.model))
    return read_onnx(memoryview(data), "m.onnx", {})


def _with_shapes(model: Any) -> Iterator[bytes]:
    """The model, weights it has no values of as shapes alone."""
    held = {key: value.const_value for key, value in model.graph.initializers.items()}
    for key, value in model.graph.initializers.items():
        raw = getattr(held[key], "raw", None)
        if isinstance(raw, torch.Tensor):
            value.const_value = ir.ExternalTensor("w", 0, 0, held[key].dtype, shape=held[key].shape, name=key)
    yield serialised(model)


def contractions(graph: Graph, sizes: dict[str, int]) -> tuple[int, Counter[int]]:
    """(FLOPs, {FLOPs of a product with a weight: how many calls have them}); every operator has a rule."""
    found = node_costs(graph.at({symbol: sizes[symbol] for symbol in graph.symbols})).values()
    assert all(cost.flops is not None for cost in found)
    products = Counter(cost.flops for cost in found if cost.flops and cost.category == "linear")
    return sum(cost.flops or 0 for cost in found), products


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("model", "name", "kind"), CASES)
def test_the_export_has_the_flops_of_the_model(model: str, name: str, kind: str) -> None:
    workload, stage, program = captured(model, name)
    read = exported(model, name, kind)
    assert read.program.notes == ()
    for values in ({}, {key: v for key, v in OTHER[name].items() if key in workload.values()}):
        sizes = axis_sizes(stage, {**workload.values(), **values})
        (ours, made), (theirs, known) = (contractions(graph, sizes) for graph in (read.program.graph, program.graph))
        repeated = known - made if model.startswith("dit") else Counter[int]()
        assert ours + sum(flops * count for flops, count in repeated.items()) == theirs
        assert all(known[flops] > count for flops, count in repeated.items())
