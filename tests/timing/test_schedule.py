"""Which calls are timed: one, every call of a generation in order, or those between which the others lie."""

from __future__ import annotations

import pytest
import torch

from graphlab.graph import Graph, Node, TensorSpec
from graphlab.timing.job import Sampling
from graphlab.timing.sampling import Sampler, suits
from graphlab.timing.schedule import generation, one_call, sampling
from graphlab.workload import Stage, TensorInput, Variable, Workload

VARIABLES = (
    Variable("batch", 2, "images"),
    Variable("steps", 4, "steps"),
    Variable("guidance", 7.5, "scale"),
    Variable("tokens", 3, "new tokens"),
)
LATENT = {"sample": TensorInput(("batch", 4, 8, 8), "float32", role="latent")}
DENOISER = Stage("unet", "float32", LATENT, steps="steps", calls_per_step="2 if guidance > 1 else 1")
DECODER = Stage("vae", "float32", LATENT)
GROWING = Stage(
    "decode",
    "float32",
    {"cache": TensorInput((1, "length", 8), "float32", role="cache")},
    steps="tokens",
    step_bindings={"length": "5 + step"},
)


def workload(stage: Stage, **bindings: float) -> Workload:
    return Workload("toy", "toy", (stage,), VARIABLES).bind(bindings)


def test_one_call_is_the_first_at_the_batch_of_the_user() -> None:
    found = one_call(workload(DENOISER), DENOISER)
    assert (found.weights, found.sequence) == ((1.0,), ())
    assert found.values[0]["batch"] == 2


def test_guidance_is_a_call_of_twice_the_batch() -> None:
    found = generation(workload(DENOISER), DENOISER)
    assert (found.weights, found.sequence, found.guided) == ((4.0,), (0, 0, 0, 0), True)
    assert found.values[0]["batch"] == 4
    plain = generation(workload(DENOISER, guidance=1.0), DENOISER)
    assert (plain.weights, plain.guided, plain.values[0]["batch"]) == ((4.0,), False, 2)


def test_calls_of_a_stage_without_steps_are_made_one_by_one() -> None:
    found = generation(workload(DECODER), DECODER)
    assert (found.weights, found.sequence, found.note) == ((1.0,), (0,), "")


def test_three_sizes_are_all_compiled_and_run_in_order() -> None:
    found = generation(workload(GROWING), GROWING)
    assert (found.weights, found.sequence) == ((1.0, 1.0, 1.0), (0, 1, 2))
    assert [values["length"] for values in found.values] == [5, 6, 7]


def test_of_more_sizes_three_stand_for_all() -> None:
    found = generation(workload(GROWING, tokens=9), GROWING)
    assert [values["length"] for values in found.values] == [5, 9, 13]
    assert found.sequence == ()
    assert sum(found.weights) == pytest.approx(9)
    assert found.weights == pytest.approx((2.5, 4.0, 2.5))
    assert "steps 0, 4, 8 of 9 were measured" in found.note


def graph(*result: int) -> Graph:
    shapes = {"sample": (4, 4, 8, 8), "out": result}
    strides = {name: tuple(1 for _ in shape) for name, shape in shapes.items()}
    nodes = tuple(
        Node(name, "input" if name == "sample" else "call", "", outputs=(TensorSpec(shape, strides[name], "float32"),))
        for name, shape in shapes.items()
    )
    return Graph(nodes, ("out",))


def test_a_sampler_fits_where_the_result_is_like_the_latent() -> None:
    schedule = generation(workload(DENOISER), DENOISER)
    assert sampling(workload(DENOISER), DENOISER, schedule, graph(4, 4, 8, 8)) == Sampling("sample", 4, True)
    assert sampling(workload(DENOISER), DENOISER, schedule, graph(4, 8, 8, 8)) is None
    assert sampling(workload(DECODER), DECODER, generation(workload(DECODER), DECODER), graph(4, 4, 8, 8)) is None
    assert suits([2, 4], [2, 4], guided=True)
    assert not suits([3, 4], [3, 4], guided=True)


@pytest.mark.parametrize("guided", [False, True])
def test_a_sampler_calls_every_step_and_feeds_its_result_back(guided: bool) -> None:
    given = {"sample": torch.randn(4, 4, 8, 8), "text": torch.ones(1)}
    seen: list[torch.Tensor] = []

    def call(inputs: object) -> tuple[torch.Tensor]:
        assert isinstance(inputs, dict)
        seen.append(inputs["sample"])
        return (0.1 * inputs["sample"],)

    latent = Sampler(Sampling("sample", 5, guided), given).run(call)
    assert len(seen) == 5
    assert all(item.shape == (4, 4, 8, 8) for item in seen)
    assert latent.shape == ((2, 4, 8, 8) if guided else (4, 4, 8, 8))
    assert not torch.equal(seen[0][:2], seen[1][:2])
    assert guided == torch.equal(seen[1][:2], seen[1][2:])
