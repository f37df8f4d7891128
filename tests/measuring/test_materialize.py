"""Random values are finite, the same every time, and leave alone what has values of its own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from graphlab.graph import Graph, Node, TensorSpec
from graphlab.measuring.materialize import has_values, inputs, on_device, weights
from tests.measuring.modules import CPU, captured


def filled(value: torch.Tensor, name: str = "weight", *, parameter: bool = True) -> torch.Tensor:
    return on_device(value, name, CPU, torch.Generator().manual_seed(0), parameter=parameter)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_matrices_keep_the_scale_of_what_goes_through(dtype: torch.dtype) -> None:
    weight = filled(torch.empty(256, 64, device="meta", dtype=dtype))
    assert (weight.dtype, weight.device.type) == (dtype, "cpu")
    assert weight.float().std().item() == pytest.approx(64**-0.5, rel=0.05)
    conv = filled(torch.empty(64, 16, 3, 3, device="meta"))
    assert conv.std().item() == pytest.approx((16 * 9) ** -0.5, rel=0.05)


def test_the_rest_is_harmless() -> None:
    meta = torch.empty(6, device="meta")
    assert filled(meta, "norm.weight").tolist() == [1.0] * 6
    assert 0 < filled(meta, "norm.bias").abs().max() < 0.2
    assert filled(meta, "running_var", parameter=False).tolist() == [1.0] * 6
    whole = torch.empty(2, 4, device="meta", dtype=torch.int64)
    assert filled(whole, "index", parameter=False).tolist() == [[0] * 4] * 2
    assert filled(whole, "embeddings.position_ids", parameter=False).tolist() == [[0, 1, 2, 3]] * 2
    assert filled(torch.empty(3, device="meta", dtype=torch.bool), "mask", parameter=False).tolist() == [False] * 3


def test_layout_is_kept() -> None:
    weight = torch.empty(4, 3, 2, 2, device="meta").to(memory_format=torch.channels_last)
    assert filled(weight).stride() == weight.stride()


def test_values_are_kept_where_there_are_any() -> None:
    value = torch.tensor([3.0, 4.0])
    assert filled(value, "norm.weight").tolist() == [3.0, 4.0]
    assert has_values(value)
    assert not has_values(value.to("meta"))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.second = nn.Linear(8, 8, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("table", torch.ones(8), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x)) * self.table


def test_tied_weights_stay_one_and_a_seed_gives_the_same_values() -> None:
    with torch.device("meta"):
        program = captured(Tied(), torch.empty(2, 8))
    assert program.exported is not None
    found, again = (weights(program.exported, CPU) for _ in range(2))
    assert found["first.weight"] is found["second.weight"]
    assert set(found) == {"first.weight", "first.bias", "second.weight", "table"}
    assert all(torch.equal(found[key], again[key]) for key in found)
    assert not torch.equal(found["first.weight"], weights(program.exported, CPU, seed=1)["first.weight"])


def test_inputs_have_their_shape_and_masks_keep_everything() -> None:
    specs = {
        "sample": TensorSpec((2, 3), (3, 1), "float16"),
        "tokens": TensorSpec((4,), (1,), "int64"),
        "seen": TensorSpec((4,), (1,), "bool"),
        "weighted": TensorSpec((4,), (1,), "float32"),
    }
    graph = Graph(tuple(Node(name, "input", name, outputs=(spec,)) for name, spec in specs.items()), ())
    made = inputs(graph, {"seen": "mask", "weighted": "mask"}, CPU)
    assert {name: (tuple(t.shape), str(t.dtype)) for name, t in made.items()} == {
        name: (spec.shape, f"torch.{spec.dtype}") for name, spec in specs.items()
    }
    assert made["sample"].isfinite().all()
    assert made["sample"].abs().max() > 0
    assert made["tokens"].tolist() == [0] * 4
    assert made["seen"].all()
    assert made["weighted"].tolist() == [1.0] * 4
