"""Predicted timelines against the estimates they are made of."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest

import graphlab
from graphlab.characterizing import characterize
from graphlab.errors import GraphlabError, UnknownNameError
from graphlab.hardware import load_device
from graphlab.report.data import AnalysisReport
from graphlab.tracing import TRACED, predicted_picture, predicted_timeline
from graphlab.viewers.predicted import ACTIVATIONS, WEIGHTS
from graphlab.viewers.trace import STAGES
from tests.viewers.trace_format import counter, read, spans, tracks

LLAMA, SIZES = "llama-2-7b-tiny", {"tokens": 16, "new_tokens": 40}
DIFFUSION = "stable-diffusion-v1-5-tiny"


@lru_cache(maxsize=16)
def trace(model: str, device: str = "h100-sxm", runtime: str = "eager", expand: int = 1) -> Any:
    sizes = SIZES if model == LLAMA else {"steps": 6}
    workload = graphlab.load(model, **sizes)
    return read(predicted_picture(workload, load_device(device), runtime=runtime, expand=expand).text)


@lru_cache(maxsize=2)
def analysis(stage: str) -> AnalysisReport:
    return graphlab.analyze(DIFFUSION, "a100-80gb", stage=stage, dynamic=False)


def on_stages(found: Any) -> list[Any]:
    return [event for event in spans(found) if event["cat"] == STAGES]


def test_stages_take_the_time_that_characterize_estimates() -> None:
    suite = characterize([DIFFUSION], "a100-80gb", figure_names=["timeline"], sweeps=False, steps=6)
    whole = max(event["ts"] + event["dur"] for event in spans(trace(DIFFUSION, "a100-80gb")))
    assert whole == pytest.approx(suite.models[0].seconds_fused * 1e6, rel=1e-6)


@pytest.mark.parametrize("runtime", ["eager", "eager-materialized", "compiled"])
def test_a_growing_stage_takes_the_time_that_characterize_estimates(runtime: str) -> None:
    workload = graphlab.load(LLAMA, **SIZES)
    timeline, rows, _ = predicted_timeline(workload, load_device("h100-sxm"), runtime=runtime, expand=0)
    assert [row.steps for row in rows] == [1, 40]
    assert rows[1].interpolated > 0
    assert sum(row.seconds for row in rows) == pytest.approx(timeline.seconds)
    if runtime == "eager":
        suite = characterize([LLAMA], "h100-sxm", figure_names=["timeline"], sweeps=False, **SIZES)
        assert timeline.seconds == pytest.approx(suite.models[0].seconds_fused)


def test_steps_beyond_the_first_call_are_one_span_each() -> None:
    found = trace(DIFFUSION, "a100-80gb")
    names = [event["name"] for event in on_stages(found)]
    assert [name for name in names if not name.startswith(("step", "call"))] == ["text_encoder", "unet", "vae_decoder"]
    assert sum(name.startswith("step") for name in names) == 1 + 6 + 1
    assert sum(name.startswith("call") for name in names) == 3
    assert any("5 of 6 calls of unet" in note for note in found["otherData"]["notes"])


def test_expanding_draws_every_kernel_of_every_call() -> None:
    few, all_of_them = trace(DIFFUSION, "a100-80gb"), trace(DIFFUSION, "a100-80gb", expand=10**6)
    assert sum(event["name"].startswith("call") for event in on_stages(all_of_them)) == 2 + 6 + 1
    assert not any("not node by node" in note for note in all_of_them["otherData"]["notes"])
    kernels = [len([e for e in spans(found) if e["cat"] != STAGES]) for found in (few, all_of_them)]
    assert kernels[1] > 4 * kernels[0]


def test_ideal_times_are_those_of_analyze() -> None:
    found = trace(DIFFUSION, "a100-80gb", "ideal")
    stage = analysis("vae_decoder").stage("vae_decoder")
    rows = {row.name: row for row in stage.nodes}
    drawn = [e for e in spans(found) if e["args"].get("node") in rows and e["cat"] in ("linear", "normalization")]
    begin = next(e["ts"] for e in on_stages(found) if e["name"] == "vae_decoder")
    inside = [event for event in drawn if event["ts"] >= begin]
    assert len(inside) > 10
    for event in inside:
        row = rows[event["args"]["node"]]
        assert event["dur"] == pytest.approx((row.seconds or 0) * 1e6, rel=1e-3, abs=0.0011)
        assert event["args"]["flops"] == row.flops
        assert event["args"]["bytes_read"] == row.bytes_read


@pytest.mark.parametrize("runtime", TRACED)
def test_kernels_lie_inside_their_call_and_carry_the_node_they_come_from(runtime: str) -> None:
    found = trace(LLAMA, "h100-sxm", runtime)
    calls = [event for event in on_stages(found) if event["name"].startswith("call")]
    kernels = [event for event in spans(found) if event["cat"] != STAGES]
    # A stage whose sizes change is captured with symbols, any other at its sizes; nodes may be called differently.
    reports = [graphlab.analyze(LLAMA, stage=name, dynamic=name == "decode", **SIZES) for name in ("prefill", "decode")]
    nodes = {row.name for report in reports for row in report.stages[0].nodes}
    assert kernels
    for event in kernels:
        assert event["args"]["node"] in nodes
        end = event["ts"] + event["dur"]
        assert any(call["ts"] - 1e-3 <= event["ts"] and end <= call["ts"] + call["dur"] + 2e-3 for call in calls)
    busy = sum(event["dur"] for event in kernels)
    assert busy == pytest.approx(sum(call["args"]["busy"] for call in calls) * 1e6, rel=1e-2)
    assert tracks(found)[0] == STAGES
    assert set(tracks(found)[1:]) == {event["cat"] for event in kernels}


def test_memory_is_alive_between_nothing_and_the_peak() -> None:
    found = trace(DIFFUSION, "a100-80gb")
    alive = counter(found, ACTIVATIONS)
    report = graphlab.analyze(DIFFUSION, dynamic=False, steps=6)
    guided = max(stage.peak_activation_bytes.fused for stage in report.stages)
    assert max(value for _, value in alive) >= guided
    assert alive[-1][1] == 0
    (before, after) = {value for _, value in counter(found, WEIGHTS)}, report.totals["weight_bytes"]
    assert before == {after}


def test_counts_of_steps_add_up_to_the_report() -> None:
    steps = [e["args"] for e in on_stages(trace(LLAMA)) if e["name"].startswith("step")]
    report = graphlab.analyze(LLAMA, **SIZES)
    assert sum(step["flops"] for step in steps) == report.totals["flops"]
    assert sum(step["bytes"] for step in steps) == report.totals["bytes"]["fused"]


def test_a_generation_of_fifty_steps_stays_small() -> None:
    workload = graphlab.load(DIFFUSION)
    text = predicted_picture(workload, load_device("a100-80gb")).text
    assert len(text) < 2_000_000


def test_the_same_twice() -> None:
    workload = graphlab.load(LLAMA, **SIZES)
    first, second = (predicted_picture(workload, load_device("l4")).text for _ in range(2))
    assert first == second


@pytest.mark.parametrize("expand", [-1, True, 1.5])
def test_an_impossible_count_is_an_error(expand: Any) -> None:
    with pytest.raises(GraphlabError, match="cannot draw"):
        predicted_timeline(graphlab.load(LLAMA), load_device("l4"), expand=expand)


def test_an_unknown_runtime_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'compiled'"):
        predicted_timeline(graphlab.load(LLAMA), load_device("l4"), runtime="compile")
