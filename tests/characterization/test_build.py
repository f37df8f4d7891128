"""What a model is told to be, what its sums are, and that its rows say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphlab
from graphlab.characterization.build import BuildOptions, model_run
from graphlab.characterization.data import BASELINE, FUSED, Characterization
from graphlab.characterization.prefetch import prefetch
from graphlab.characterization.rows import model_rows
from graphlab.characterization.suite import SUITE, TINY
from graphlab.generation.store import load_call
from graphlab.models import model_names
from graphlab.prediction.data import category


def test_every_model_of_the_suite_is_built_in_and_has_a_tiny_preset() -> None:
    assert set(SUITE) | set(TINY) <= set(model_names())


def test_families_are_told_from_how_stages_run(small: Characterization) -> None:
    found = {(run.name, stage.name): stage.family for run in small.models for stage in run.stages}
    assert found["stable-diffusion-v1-5-tiny", "unet"] == "diffusion"
    assert found["stable-diffusion-v1-5-tiny", "vae_decoder"] == "one pass"
    assert found["llama-2-7b-tiny", "prefill"] == "language prefill"
    assert found["llama-2-7b-tiny", "decode"] == "language decode"
    assert found["amused-256-tiny", "transformer"] == "masked transformer"
    assert found["parti-20b-tiny", "decode"] == "autoregressive transformer"
    assert [run.family for run in small.models] == [
        "diffusion", "language decode", "masked transformer", "autoregressive transformer"
    ]  # fmt: skip


def test_sums_are_those_of_analyze(small: Characterization) -> None:
    for run in small.models:
        report = graphlab.analyze(run.name, dynamic=False)
        assert run.parameters == report.totals["parameters"]
        assert run.weight_bytes == report.totals["weight_bytes"]
        assert run.total(lambda call: call.flops) == report.totals["flops"]


def test_rows_add_up(small: Characterization) -> None:
    for row, run in zip(model_rows(small), small.models, strict=True):
        assert row.flops == sum(stage.flops for stage in row.stages)
        assert row.seconds_fused == pytest.approx(small.seconds(run, FUSED))
        assert row.seconds_baseline == pytest.approx(small.seconds(run, BASELINE))
        assert sum(small.by(run, FUSED, category).values()) == pytest.approx(row.seconds_fused)
        assert 0 <= row.idle_fused < row.seconds_fused
        assert row.seconds_compiled is not None
        assert row.seconds_compiled < row.seconds_fused


def test_workers_fill_the_cache_that_the_caller_reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRAPHLAB_CACHE", str(tmp_path))
    workload = graphlab.load("llama-2-7b-tiny", tokens=6, new_tokens=5)
    seen: list[str] = []
    prefetch([workload], BuildOptions(), 2, seen.append, sweeps=False)
    assert seen == ["llama-2-7b-tiny"]
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("call-*.json.gz")}
    assert len(made) == 6  # the prompt, and five tokens of decoding
    assert all(load_call(path) is not None for path in made)
    model_run(workload, BuildOptions())
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("call-*.json.gz")} == made
    prefetch([workload], BuildOptions(), 2, seen.append, sweeps=False)
    assert seen == ["llama-2-7b-tiny"]  # not started again
