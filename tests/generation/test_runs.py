"""A stage over a generation against `analyze`, which adds every step up; and the calls kept on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

import graphlab
from graphlab.errors import BindingError
from graphlab.generation import store
from graphlab.generation.recast import recast
from graphlab.generation.runs import StageRun, StageSource, stage_run
from graphlab.generation.times import stage_time
from graphlab.hardware import load_device
from graphlab.kernels.data import StageCall
from graphlab.prediction.data import category
from graphlab.prediction.model import model_for

CASES = [
    ("llama-2-7b-tiny", "decode", {"tokens": 7, "new_tokens": 40}),
    ("llama-2-7b-tiny", "prefill", {"tokens": 7, "new_tokens": 40}),
    ("parti-20b-tiny", "decode", {}),
    ("parti-20b-tiny", "decode_without_cache", {"kv_cache": 0}),
    ("stable-diffusion-v1-5-tiny", "unet", {"steps": 10, "guidance_stop": 0.35}),
    ("stable-diffusion-v1-5-tiny", "text_encoder", {}),
]


def run_of(model: str, stage: str, bindings: dict[str, int | float]) -> StageRun:
    workload = graphlab.load(model, **bindings)
    return stage_run(workload, StageSource(workload.stage(stage)))


@pytest.mark.parametrize(("model", "stage", "bindings"), CASES, ids=[f"{m}-{s}" for m, s, _ in CASES])
def test_totals_are_those_of_analyze(model: str, stage: str, bindings: dict[str, int | float]) -> None:
    run = run_of(model, stage, bindings)
    report = graphlab.analyze(graphlab.load(model, **bindings), stage=stage).stage(stage)
    assert run.total(lambda call: call.flops) == report.flops_total
    pointwise, fused = run.total(lambda call: call.pointwise_flops), run.total(lambda call: call.bytes["fused"])
    if any(step.values["batch"] != 1 for step in run.steps):
        # One call at twice the batch does once what no sample changes, and reads the weights once.
        assert 0.99 * report.pointwise_flops_total < pointwise <= report.pointwise_flops_total
        assert report.bytes_total.fused / 2 < fused < report.bytes_total.fused
    else:
        assert (pointwise, fused) == (report.pointwise_flops_total, report.bytes_total.fused)


WINDOWED = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 32, "intermediate_size": 64,
    "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64,
    "max_position_embeddings": 512, "torch_dtype": "float16", "use_sliding_window": True, "sliding_window": 20,
    "max_window_layers": 1,
}  # fmt: skip
"""One layer attends over everything, two over a window that fills up in the middle of the generation."""

COUNTS: list[Callable[[StageCall], int]] = [
    lambda call: call.flops,
    lambda call: call.pointwise_flops,
    lambda call: call.bytes["materialized"],
    lambda call: call.bytes["fused"],
    lambda call: call.peak_bytes["materialized"],
    lambda call: call.peak_bytes["fused"],
    lambda call: call.cache_bytes,
    lambda call: call.score_bytes,
]


@pytest.mark.parametrize(
    ("source", "stage", "bindings"),
    [
        ("windowed", "decode", {"tokens": 5, "new_tokens": 40}),
        ("llama-2-7b-tiny", "decode", {"tokens": 7, "new_tokens": 40}),
        ("parti-20b-tiny", "decode_without_cache", {"kv_cache": 0}),
    ],
    ids=["windowed", "llama", "parti-without-cache"],
)
def test_every_step_is_as_if_worked_out(
    source: str, stage: str, bindings: dict[str, int | float], tmp_path: Path
) -> None:
    if source == "windowed":
        (tmp_path / "config.json").write_text(json.dumps(WINDOWED))
        source = str(tmp_path)
    workload = graphlab.load(source, **bindings)
    found = StageSource(workload.stage(stage))
    run = stage_run(workload, found)
    assert len(run.at) < len(run.steps)
    calls = [found.at(step.values) for step in run.steps]
    for place, count in enumerate(COUNTS):
        assert run.level(count) == [count(call) for call in calls], place


def test_a_series_has_a_value_a_step_and_grows_with_the_cache() -> None:
    run = run_of("llama-2-7b-tiny", "decode", {"tokens": 7, "new_tokens": 40})
    flops = run.series(lambda call: call.flops)
    cache = run.level(lambda call: call.cache_bytes)
    assert len(flops) == len(cache) == 40
    assert len({b - a for a, b in pairwise(flops)}) == 1
    assert cache[0] == 2 * 2 * 4 * 7 * 8 * 4  # layers x (key, value) x heads x tokens x width x float32
    assert cache[-1] == cache[0] // 7 * (7 + 39)


def test_seconds_of_steps_and_groups_add_up() -> None:
    run = run_of("llama-2-7b-tiny", "decode", {"tokens": 7, "new_tokens": 40})
    time = stage_time(run, model_for(load_device("a100-80gb")), "eager")
    assert sum(time.per_step()) == pytest.approx(time.seconds)
    assert sum(time.by(category).values()) == pytest.approx(time.seconds)
    assert sum(time.bounds().values()) == pytest.approx(time.seconds)
    assert time.between == 0  # no scheduler between two tokens


def test_a_scheduler_works_between_the_calls_of_a_denoiser() -> None:
    run = run_of("stable-diffusion-v1-5-tiny", "unet", {"steps": 10, "guidance_stop": 0.35})
    time = stage_time(run, model_for(load_device("a100-80gb")), "compiled")
    assert time.between > 0
    assert time.seconds == pytest.approx(sum(time.per_step()))
    assert sum(time.by(category).values()) == pytest.approx(time.seconds)


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("GRAPHLAB_CACHE", str(tmp_path))
    return tmp_path


def test_calls_are_read_back_and_damaged_ones_made_anew(own_cache: Path) -> None:
    workload = graphlab.load("llama-2-7b-tiny")
    stage = workload.stage("prefill")
    made = StageSource(stage, dynamic=False).at(workload.values())
    (kept,) = own_cache.glob("call-*.json.gz")
    for path in own_cache.glob("*.json.gz"):
        if path != kept:
            path.unlink()
    assert StageSource(stage, dynamic=False).at(workload.values()) == made
    assert [path.name for path in own_cache.iterdir()] == [kept.name]  # nothing was captured for it
    whole = kept.read_bytes()
    flipped = whole[:60] + bytes(byte ^ 255 for byte in whole[60:90]) + whole[90:]
    for damage in (b"", b"not gzip", whole[:40], flipped, store_bytes({"stage": 1})):
        kept.write_bytes(damage)
        assert store.load_call(kept) is None
        assert StageSource(stage, dynamic=False).at(workload.values()) == made
    assert store.load_call(kept) == made


def store_bytes(record: object) -> bytes:
    import gzip
    import json

    return gzip.compress(json.dumps(record).encode())


def test_no_cache_writes_nothing(own_cache: Path) -> None:
    workload = graphlab.load("llama-2-7b-tiny")
    StageSource(workload.stage("prefill"), dynamic=False, disk=False).at(workload.values())
    assert not list(own_cache.iterdir())


def test_recasting_halves_what_is_in_the_models_own_dtype() -> None:
    call = run_of("stable-diffusion-v1-5-tiny", "text_encoder", {}).first
    half = recast(call, "float16")
    assert half.weight_bytes == call.weight_bytes // 2
    assert half.flops == call.flops
    assert sum(kernel.bytes for kernel in half.run("fused")) == half.bytes["fused"] < call.bytes["fused"]
    strided = [kernel.strided for kernel in call.kernels if kernel.strided is not None and kernel.dtype == "float32"]
    narrow = [kernel.strided for kernel in half.kernels if kernel.strided is not None and kernel.dtype == "float16"]
    assert strided
    assert narrow == [s._replace(nbytes=s.nbytes // 2, run=s.run // 2, step=s.step // 2) for s in strided]
    assert recast(call, "float32") is call
    assert "float16" in half.notes[-1]
    with pytest.raises(BindingError, match="float16"):
        recast(call, "int8")
