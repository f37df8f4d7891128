"""Figures of time add up to the suite's own totals."""

from __future__ import annotations

from itertools import pairwise

import pytest

import graphlab
from graphlab.characterization.build import BuildOptions, model_run
from graphlab.characterization.data import BASELINE, FUSED, Characterization
from graphlab.figures.breakdown import breakdown
from graphlab.figures.fused_speedup import fused_speedup
from graphlab.figures.pareto import dominated, pareto
from graphlab.figures.roofline import roofline
from graphlab.figures.steps import steps
from graphlab.figures.temporal_spatial import temporal_spatial
from graphlab.figures.timeline import MOST, timeline
from graphlab.hardware import load_device
from graphlab.kernels.data import Kernel
from graphlab.prediction.data import KernelTime, category
from graphlab.prediction.ideal import IdealModel

LABELS = [("baseline", BASELINE), ("fused", FUSED)]


@pytest.mark.parametrize(("label", "runtime"), LABELS)
def test_breakdown_shares_sum_to_one(suite: Characterization, label: str, runtime: str) -> None:
    rows = [row for row in breakdown(suite).rows if row["attention"] == label]
    for run in suite.models:
        own = [row for row in rows if row["model"] == run.name]
        assert sum(float(row["share"] or 0) for row in own) == pytest.approx(1)
        assert sum(float(row["seconds"] or 0) for row in own) == pytest.approx(suite.seconds(run, runtime))
        ratio = suite.seconds(run, runtime) / suite.seconds(run, BASELINE)
        assert sum(float(row["share_of_baseline"] or 0) for row in own) == pytest.approx(ratio)


def test_speedup_is_the_ratio_of_sums(suite: Characterization) -> None:
    rows = fused_speedup(suite).rows
    for run in suite.models:
        found = {row["scope"]: row for row in rows if row["model"] == run.name and row["stage"] == "generation"}
        whole = [suite.seconds(run, runtime) for _, runtime in LABELS]
        alone = [suite.by(run, runtime, category)["attention"] for _, runtime in LABELS]
        assert found["end to end"]["speedup"] == pytest.approx(whole[0] / whole[1])
        assert found["attention"]["speedup"] == pytest.approx(alone[0] / alone[1])
        module = float(found["attention module"]["seconds_baseline"] or 0)
        assert alone[0] < module < whole[0]
        own = [row for row in rows if row["model"] == run.name and row["scope"] == "attention"]
        stages = [row for row in own if row["stage"] != "generation"]
        assert sum(float(row["seconds_fused"] or 0) for row in stages) == pytest.approx(alone[1])


def test_roofline_stays_under_its_roofs(suite: Characterization) -> None:
    rows = roofline(suite).rows
    peak = max(suite.hardware.peak_flops["float32"], suite.hardware.peak_flops["tf32"])
    points = [row for row in rows if row["kind"] == "stage"]
    stages = {(run.name, stage.name) for run in suite.models for stage in run.stages}
    assert {(row["model"], row["stage"]) for row in points} == stages
    for row in points:
        assert float(row["flop_per_s"] or 0) < peak
        assert row["intensity"] == float(row["flops"] or 0) / float(row["bytes"] or 0)
        assert float(row["busy_seconds"] or 0) <= float(row["seconds"] or 0)
    roofs = [row for row in rows if row["kind"] == "roof"]
    assert [row["dtype"] for row in roofs] == ["float32"] * 3 + ["tf32"] * 3
    assert max(float(row["flop_per_s"] or 0) for row in roofs) == peak
    ridge = roofs[1]
    assert ridge["intensity"] == suite.hardware.peak_flops["float32"] / suite.hardware.bandwidth


def test_temporal_and_spatial_make_all_attention(suite: Characterization) -> None:
    rows = [row for row in temporal_spatial(suite).rows if row["attention"] == "fused"]
    assert {row["axis"] for row in rows} == {"spatial", "temporal"}
    assert {row["model"] for row in rows} == {"modelscope-t2v-tiny"}
    for key in ("share_seconds", "share_with_layout", "share_flops"):
        assert sum(float(row[key] or 0) for row in rows) == pytest.approx(1)
    run = next(run for run in suite.models if run.name == "modelscope-t2v-tiny")
    unet = next(stage for stage in run.stages if stage.name == "unet")
    attention = suite.time(run, unet, FUSED).by(category)["attention"]
    assert sum(float(row["seconds"] or 0) for row in rows) == pytest.approx(attention)
    calls = {row["axis"]: row["calls"] for row in rows}
    assert sum(int(calls[axis] or 0) for axis in calls) == len(unet.run.first.attention_calls)


def test_steps_add_up(suite: Characterization) -> None:
    rows = steps(suite).rows
    for run in suite.models:
        for stage in (stage for stage in run.stages if len(stage.run.steps) > 1):
            own = [row for row in rows if (row["model"], row["stage"]) == (run.name, stage.name)]
            assert len(own) == len(stage.run.steps)
            assert sum(int(row["flops"] or 0) for row in own) == stage.run.total(lambda call: call.flops)
            seconds = suite.time(run, stage, FUSED).seconds
            assert sum(float(row["seconds_fused"] or 0) for row in own) == pytest.approx(seconds)
    decode = [row for row in rows if row["stage"] == "decode"]
    assert [row["length"] for row in decode] == list(range(257, 513))
    masked = [row["masked"] for row in rows if row["model"] == "amused-256-tiny"]
    assert masked == sorted(masked, reverse=True)
    assert masked[-1] == 0


@pytest.mark.parametrize(("label", "runtime"), LABELS)
def test_timeline_has_no_gaps(suite: Characterization, label: str, runtime: str) -> None:
    rows = timeline(suite).rows
    for run in suite.models:
        own = [row for row in rows if row["model"] == run.name and row["attention"] == label]
        assert len(own) <= MOST
        assert own[0]["start"] == 0
        for before, after in pairwise(own):
            assert after["start"] == pytest.approx(before["end"])
        assert own[-1]["end"] == pytest.approx(suite.seconds(run, runtime))
        for stage in run.stages:
            spans = [(row["first_step"], row["last_step"]) for row in own if row["stage"] == stage.name]
            covered = [step for first, last in spans for step in range(int(first or 0), int(last or 0) + 1)]
            assert covered == list(range(len(stage.run.steps)))


def test_pareto_compares_within_a_kind(suite: Characterization) -> None:
    rows = {row["model"]: row for row in pareto(suite).rows if row["attention"] == "fused"}
    diffusion, masked = rows["stable-diffusion-v1-5-tiny"], rows["amused-256-tiny"]
    assert (diffusion["dominated_parameters"], masked["dominated_parameters"]) == (True, False)
    assert rows["modelscope-t2v-tiny"]["dominated_memory"] is False
    for run in suite.models:
        assert rows[run.name]["seconds"] == pytest.approx(suite.seconds(run, FUSED))
    assert "one language model: nothing can dominate it" in pareto(suite).notes


@pytest.mark.parametrize(
    ("point", "others", "expected"),
    [
        ((1, 1), [(1, 1)], False),
        ((1, 1), [(1, 0.5)], True),
        ((1, 1), [(0.5, 2), (2, 0.5)], False),
        ((2, 2), [(1, 1)], True),
        ((1, 1), [], False),
    ],
    ids=["itself", "faster", "trade-off", "both", "alone"],
)
def test_dominated(point: tuple[float, float], others: list[tuple[float, float]], expected: bool) -> None:
    assert dominated(point, others) is expected


def test_the_families_compared_are_those_that_make_images(suite: Characterization) -> None:
    figure = fused_speedup(suite)
    (note,) = [note for note in figure.notes if "geometric mean" in note]
    found = {
        row["model"]: float(row["speedup"] or 0)
        for row in figure.rows
        if (row["stage"], row["scope"]) == ("generation", "attention module")
    }
    unet, amused = found["stable-diffusion-v1-5-tiny"], found["amused-256-tiny"]
    assert f"diffusion {unet:.2f}x, transformers {amused:.2f}x" in note  # the video model is not among them


def test_bounds_are_those_of_the_step_or_one_like_it() -> None:
    workload = graphlab.load("stable-diffusion-v1-5-tiny", steps=12, guidance_stop=0.25)
    run = model_run(workload, BuildOptions())
    hardware = load_device("epyc-9654")
    (unet,) = [stage for stage in run.stages if stage.name == "unet"]
    assert [step.index for step in unet.run.at] == [0, 3]

    class Model(IdealModel):
        """Guided calls, twice as large, are bound by arithmetic; the others by memory."""

        def time(self, kernel: Kernel, runtime: str) -> KernelTime:
            guided = kernel in unet.run.calls[0].kernels and kernel not in unet.run.calls[1].kernels
            return KernelTime(1.0, "compute" if guided else "memory")

    suite = Characterization(hardware, Model(hardware), (run,), sweeps=False)
    rows = [row for row in timeline(suite).rows if (row["stage"], row["attention"]) == ("unet", "fused")]
    assert [row["bound"] for row in rows] == ["compute"] * 3 + ["memory"] * 9
