"""Another dtype reaches the weights and inputs of the stage's own dtype, and nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from graphlab.errors import GraphlabError
from graphlab.measuring.casting import in_dtype
from graphlab.workload import Stage, TensorInput


class Half(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4, dtype=torch.float16)
        self.norm = nn.LayerNorm(4, dtype=torch.float64)
        self.register_buffer("table", torch.ones(2, dtype=torch.float16))
        self.register_buffer("count", torch.ones(2, dtype=torch.int64))


def stage() -> Stage:
    half = TensorInput((2, 4), "float16")
    inputs = {"x": half, "many": (half, {"t": TensorInput((1,), "int64")}), "flag": True}
    return Stage("s", "float16", inputs, build=Half, identity="half")


def test_the_dtype_of_the_stage_is_replaced() -> None:
    cast = in_dtype(stage(), "float32")
    assert (cast.dtype, cast.identity) == ("float32", "")
    assert cast.build is not None
    module = cast.build()
    dtypes = {name: value.dtype for name, value in [*module.named_parameters(), *module.named_buffers()]}
    assert dtypes == {
        "linear.weight": torch.float32, "linear.bias": torch.float32, "norm.weight": torch.float64,
        "norm.bias": torch.float64, "table": torch.float32, "count": torch.int64,
    }  # fmt: skip
    whole = TensorInput((2, 4), "float32")
    assert cast.inputs == {"x": whole, "many": (whole, {"t": TensorInput((1,), "int64")}), "flag": True}


@pytest.mark.parametrize("dtype", [None, "float16"])
def test_no_other_dtype_changes_nothing(dtype: str | None) -> None:
    given = stage()
    assert in_dtype(given, dtype) is given


def test_a_captured_program_keeps_its_dtype() -> None:
    with pytest.raises(GraphlabError, match="captured program in float16, it cannot be run in float32"):
        in_dtype(Stage("s", "float16", {}), "float32")
