"""A stage split over its loop, every part compiled: the loop gives what the whole stage gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from graphlab.hoisting.hoist import hoist
from graphlab.hoisting.runner import eager_call
from graphlab.lowering.errors import BackendError
from graphlab.lowering.registry import backend_from
from tests.hoisting.models import WIDTH, denoise, embedded, program

TIMES = torch.tensor([9.0, 5.0, 1.0])


def in_one_head(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """Time embedding, cross-attention with an axis of heads: (batch, frames, width)."""
    query = self.query(sample + embedded(self, sample, timestep)[:, None])
    heads = (query[:, None], self.key(text)[:, None], self.value(text)[:, None])
    return torch.nn.functional.scaled_dot_product_attention(*heads)[:, 0]


@pytest.mark.parametrize("spec", ["eager", "onnxruntime"])
def test_a_loop_of_compiled_parts(spec: str) -> None:
    item = program(in_one_head, dynamic=False)
    assert item.exported is not None
    values = {**item.exported.state_dict, **item.exported.constants}
    result = hoist(item, invariant=("text",), schedule=("timestep",))
    assert [part for part, _ in result.programs] == ["prologue", "table", "step"]
    stage = backend_from(spec).compile_hoisted(result, values)
    text, whole = torch.randn(2, 5, WIDTH), eager_call(item)
    state = stage.prepare({"text": text}, TIMES, shapes={"sample": (2, 3, WIDTH)})
    for index, time in enumerate(TIMES):
        sample = torch.randn(2, 3, WIDTH)
        (found,) = stage.step(index, {"sample": sample}, state)
        (expected,) = whole({"sample": sample, "timestep": time, "text": text})
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_part_that_cannot_be_compiled_is_named() -> None:
    result = hoist(program(denoise), invariant=("text",), schedule=("timestep",))
    with pytest.raises(BackendError, match=r"denoiser.* has symbolic sizes, inductor-aot compiles fixed ones"):
        backend_from("inductor-aot").compile_hoisted(result, {})
