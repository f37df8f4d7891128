"""Every looping stage of every model: hoisted it computes what it did, at three timesteps, in float64 and float32."""

from __future__ import annotations

import pytest

from graphlab.hoisting.hoist import hoist_stage, loop_refusal, split
from graphlab.hoisting.levels import Level
from graphlab.hoisting.result import HoistResult
from graphlab.hoisting.roles import stage_roles
from graphlab.models import find_model, models
from graphlab.program import Program
from graphlab.sources.stage import axis_sizes, program_for
from tests.hoisting.loops import Loop

QUICK = [
    ("dit-xl-2-256-tiny", "transformer"),
    ("flux-1-schnell-tiny", "transformer"),
    ("wan-2-1-t2v-1.3b-tiny", "transformer"),
    ("phenaki-tiny", "transformer"),
]
SLOW = [  # each captures and runs a model of its own for several seconds
    ("stable-diffusion-v1-5-tiny", "unet"),
    ("stable-diffusion-2-1-tiny", "unet"),
    ("stable-diffusion-xl-tiny", "unet"),
    ("stable-diffusion-xl-refiner-tiny", "unet"),
    ("production-image-tiny", "unet"),
    ("stable-diffusion-3-medium-tiny", "transformer"),
    ("stable-diffusion-3-5-large-tiny", "transformer"),
    ("flux-1-dev-tiny", "transformer"),
    ("dit-xl-2-512-tiny", "transformer"),
    ("pixart-alpha-xl-2-512-tiny", "transformer"),
    ("pixart-alpha-xl-2-1024-tiny", "transformer"),
    ("amused-256-tiny", "transformer"),
    ("amused-512-tiny", "transformer"),
    ("muse-tiny", "transformer"),
    ("muse-256-tiny", "transformer"),
    ("muse-tiny", "super_resolution"),
    ("cogvideox-2b-tiny", "transformer"),
    ("cogvideox-5b-tiny", "transformer"),
    ("hunyuan-video-tiny", "transformer"),
    ("ltx-video-tiny", "transformer"),
    ("wan-2-1-t2v-14b-tiny", "transformer"),
    ("modelscope-t2v-tiny", "unet"),
    ("animatediff-tiny", "unet"),
    ("stable-video-diffusion-tiny", "unet"),
    ("stable-video-diffusion-xt-tiny", "unet"),
    ("deepfloyd-if-tiny", "unet_1"),
    ("deepfloyd-if-tiny", "unet_2"),
    ("imagen-tiny", "unet_1"),
    ("imagen-tiny", "unet_2"),
    ("imagen-tiny", "unet_3"),
    ("make-a-video-tiny", "prior"),
    ("make-a-video-tiny", "decoder"),
    ("make-a-video-tiny", "interpolation"),
    ("make-a-video-tiny", "spatiotemporal_super_resolution"),
    ("make-a-video-tiny", "spatial_super_resolution"),
]
CASES = [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)]


def hoisted(model: str, stage: str) -> tuple[Program, HoistResult, dict[str, int]]:
    """(the stage captured at its own sizes, its split, sizes)."""
    workload = find_model(model).workload()
    values = workload.step_values(workload.stage(stage), 0)
    program = program_for(workload.stage(stage), values, dynamic=False, disk=False)
    sizes = axis_sizes(workload.stage(stage), values)
    return program, hoist_stage(workload, stage, program), {s: sizes[s] for s in program.graph.symbols}


@pytest.mark.parametrize(("model", "stage"), CASES)
def test_hoisted_loop_is_exact(model: str, stage: str) -> None:
    program, result, sizes = hoisted(model, stage)
    assert result.modified, result.reason
    assert result.report is not None
    assert result.report.step.flops + result.report.step.pointwise_flops < (
        result.report.before.flops + result.report.before.pointwise_flops
    )
    assert result.report.parameters_left > 0
    assert max(Loop(program, result, sizes).errors()) < 1e-10
    assert max(Loop(program, result, sizes, double=False).errors()) < 1e-5


def test_every_loop_of_the_suite_is_tested() -> None:
    workloads = [model.workload() for name, model in models().items() if name.endswith("-tiny")]
    loops = {(w.name, stage.name) for w in workloads for stage in w.active if not loop_refusal(w, stage)}
    assert loops == set(QUICK + SLOW)


@pytest.mark.parametrize(
    ("model", "stage"),
    [("parti-350m-tiny", "decode"), pytest.param("llama-2-7b-tiny", "decode", marks=pytest.mark.slow)],
)
def test_a_decoder_with_a_cache_has_nothing_to_hoist(model: str, stage: str) -> None:
    program, result, _ = hoisted(model, stage)
    assert not result.modified
    assert result.step is program
    assert "every input of it steps" in result.reason


def test_text_of_a_decoder_without_a_cache_is_projected_once() -> None:
    workload = find_model("parti-350m-tiny").workload().bind({"kv_cache": 0})
    stage = workload.stage("decode_without_cache")
    program = program_for(stage, workload.step_values(stage, 3), dynamic=False, disk=False)
    roles = stage_roles(stage)
    assert roles.levels["input_ids"] is Level.STEP
    assert "input_ids.d1" in roles.changing
    result = split(program, roles)
    assert result.prologue is not None
    assert {node.name for node in result.prologue.graph.inputs} == {"encoder_hidden_states"}
    assert max(Loop(program, result).errors()) < 1e-10


def test_a_stage_that_runs_once_is_no_loop() -> None:
    _, result, _ = hoisted("stable-diffusion-v1-5-tiny", "text_encoder")
    assert result.reason == "it runs once in a generation: there is no loop"
