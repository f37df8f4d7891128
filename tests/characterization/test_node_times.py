"""What a time model says of each node adds up to what it says of the call."""

from __future__ import annotations

import pytest
import torch

import graphlab
from graphlab.characterization.measured import as_captured
from graphlab.characterization.node_times import predicted_nodes
from graphlab.hardware import load_device
from graphlab.kernels.extract import stage_call
from graphlab.pipeline import Facts
from graphlab.prediction.model import model_for
from graphlab.prediction.predict import predict


class Small(torch.nn.Module):
    """A product, a view, and attention spelled out."""

    def __init__(self) -> None:
        super().__init__()
        self.project = torch.nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q = self.project(x)
        scores = torch.softmax(q @ x.transpose(1, 2) * 0.25, -1)
        return scores @ x


@pytest.mark.parametrize("device", ["l4", "a100-80gb"])
def test_nodes_add_up_to_the_call(device: str) -> None:
    with torch.device("meta"):
        program = graphlab.capture(Small().eval(), (torch.empty(2, 32, 16),), dynamic=False)
    facts, model = Facts(program.graph, {}), model_for(load_device(device))
    found = predicted_nodes(facts, "small", "float32", model)
    call = stage_call(facts, name="small", dtype="float32", values={}, cache_bytes=0, notes=())
    time = predict(call, model, as_captured(call))
    assert as_captured(call) == "eager-materialized"
    assert sum(found.values()) == pytest.approx(time.busy)
    assert found.keys() <= {node.name for node in program.graph.calls}
    assert found["linear"] > 0
    assert found.get("transpose", 0.0) == 0.0
