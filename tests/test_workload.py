"""Calls and steps of a workload: guidance that ends, stages that do not run."""

from __future__ import annotations

import pytest

import graphlab
from graphlab.errors import BindingError
from graphlab.workload import Stage, Variable, Workload


def workload(**bindings: int | float) -> Workload:
    stages = (
        Stage("encoder", "float32", {}, steps="1 if encode else 0"),
        Stage("denoiser", "float32", {}, steps="steps", calls_per_step="2 if step < stop * steps else 1"),
    )
    variables = (
        Variable("steps", 10, "steps"),
        Variable("stop", 1.0, "share guided", minimum=0),
        Variable("encode", 1, "whether", minimum=0),
    )
    return Workload("made", "made", stages, variables).bind(bindings)


@pytest.mark.parametrize(("stop", "calls"), [(0, 10), (0.5, 15), (0.55, 16), (1.0, 20)])
def test_calls_add_up_over_the_steps(stop: float, calls: int) -> None:
    made = workload(stop=stop)
    assert made.calls(made.stage("denoiser")) == calls
    assert made.calls(made.stage("encoder")) == 1


def test_a_size_that_would_overflow_is_refused() -> None:
    with pytest.raises(BindingError, match="impossible"):
        workload(steps=10**16)


def test_a_stage_of_no_steps_is_not_active() -> None:
    assert [stage.name for stage in workload(encode=0).active] == ["denoiser"]
    assert [stage.name for stage in workload().active] == ["encoder", "denoiser"]


def test_a_workload_that_runs_nothing_is_an_error() -> None:
    with pytest.raises(BindingError, match="no stage of made runs"):
        _ = Workload(
            "made", "made", (Stage("a", "float32", {}, steps="n"),), (Variable("n", 0, "n", minimum=0),)
        ).active


def test_guidance_that_stops_halves_the_rest_of_the_steps() -> None:
    whole = graphlab.load("stable-diffusion-v1-5-tiny", steps=10)
    half = whole.bind({"guidance_stop": 0.5})
    assert whole.calls(whole.stage("unet")) == 20
    assert half.calls(half.stage("unet")) == 15
    report = graphlab.analyze(half, stage="unet", dynamic=False).stage("unet")
    assert report.flops_total == 15 * report.flops_per_step
