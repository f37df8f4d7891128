"""Closed forms of attention against what captures show: similarity matrices and FLOPs over frames."""

from __future__ import annotations

import pytest

from graphlab.characterization.data import Characterization
from graphlab.characterization.sweeps import FACTORS, frame_sweep, image_sweep, sides, sweep_images, swept_stage
from graphlab.figures.attention_frames import BEYOND, attention_frames, frame_law
from graphlab.figures.score_law import score_law
from graphlab.figures.score_memory import score_memory
from graphlab.figures.scores import Level, ScoreMemory, levels, score_memory_of
from graphlab.figures.sequence_length import sequence_length
from graphlab.kernels.data import Attention
from tests.figures.conftest import suite_of

# Stable Diffusion 1's U-Net: attention blocks a level, positions at 512 pixels; 77 text tokens, float16.
BLOCKS = {4096: 5, 1024: 5, 256: 5, 64: 1}


def attention(kind: str, q: int, kv: int, axis: str = "spatial", batch: int = 2, width: int = 40) -> Attention:
    return Attention(batch, 8, q, kv, width, False, False, kind, axis)


@pytest.mark.parametrize(("side", "megabytes"), [(256, 12.2), (512, 183.07), (768, 915.1), (1024, 2879.3)])
def test_published_topology_by_hand(side: int, megabytes: float) -> None:
    calls = []
    for positions, blocks in BLOCKS.items():
        n = positions * side**2 // 512**2
        calls += [attention("self", n, n), attention("cross", n, 77)] * blocks
    memory = ScoreMemory(levels(calls), 2, 0)
    assert memory.per_head / 1e6 == pytest.approx(megabytes, abs=0.05)
    assert memory.closed == memory.per_head * 2 * 8
    assert {level.text for level in memory.levels} == {77}


def test_levels_that_are_not_pairs() -> None:
    (joint,) = levels([attention("joint", 96, 96)])
    assert (joint.selfs, joint.crosses, joint.text, joint.scores) == (0, ((96, 1),), None, 96 * 96)
    (uneven,) = levels([attention("self", 10, 10), attention("self", 10, 10), attention("cross", 10, 3)])
    assert (uneven.text, uneven.scores) == (None, 2 * 100 + 30)
    assert Level(2, 8, 10, 1, ((3, 1),)).scores == 10 * (10 + 3)


def test_closed_form_equals_the_capture(suite: Characterization) -> None:
    rows = {row["model"]: row for row in score_memory(suite).rows if row["part"] == "all"}
    assert set(rows) == {run.name for run in suite.models}
    for run in suite.models:
        call = swept_stage(run).run.first
        assert rows[run.name]["traced_bytes"] == call.score_bytes > 0
        assert rows[run.name]["closed_bytes"] == call.score_bytes


def test_fourth_power(swept: Characterization) -> None:
    rows = score_law(swept).rows
    unet = [row for row in rows if row["model"] == "stable-diffusion-xl-tiny"]
    assert [row["side"] for row in unet] == [64, 96, 128, 192, 256]
    assert all(row["closed_bytes"] == row["traced_bytes"] for row in rows)
    clean = [row for row in unet if row["side"] == 256]
    before = next(row for row in unet if row["side"] == 128)
    assert int(clean[0]["self_bytes"] or 0) == 16 * int(before["self_bytes"] or 0)
    assert int(clean[0]["other_bytes"] or 0) == 4 * int(before["other_bytes"] or 0)


def test_image_sweep_is_the_model_at_other_sizes(swept: Characterization) -> None:
    unet = next(run for run in swept.models if run.name == "stable-diffusion-xl-tiny")
    assert [side for side, _ in image_sweep(unet)] == sides(unet, FACTORS) == [64, 96, 128, 192, 256]
    by_side = {point.side: point for point in sweep_images(unet).points}
    assert by_side[128].call.flops == swept_stage(unet).run.first.flops
    assert by_side[256].call.values["batch"] == 2
    assert all(point.frames is None for point in by_side.values())


def test_sequence_length_goes_down_and_up(suite: Characterization) -> None:
    made = sequence_length(suite)
    own = [row for row in made.rows if (row["model"], row["stage"]) == ("stable-diffusion-v1-5-tiny", "unet")]
    lengths = [row["length"] for row in own if row["series"] == "self, spatial"]
    assert lengths == sorted(lengths[:4], reverse=True) + sorted(lengths[4:])
    assert min(int(length or 0) for length in lengths) * 64 == max(int(length or 0) for length in lengths) == 256
    decode = [row for row in made.rows if row["stage"] == "decode"]
    assert {(row["step"], row["length"]) for row in decode} == {(0, 257), (255, 512)}


def test_frame_law_by_hand() -> None:
    frames, positions, channels = 16, 1024, 8 * 40
    calls = [
        attention("self", positions, positions, batch=2 * frames),
        attention("self", frames, frames, "temporal", batch=2 * positions),
        attention("cross", positions, 77, batch=2 * frames),
    ]
    law = frame_law(calls, frames)
    assert law.at("spatial", frames) == 2 * 4 * frames * positions**2 * channels
    assert law.at("temporal", frames) == 2 * 4 * positions * frames**2 * channels
    assert law.crossover == positions
    assert law.at("spatial", positions) == law.at("temporal", positions)
    assert frame_law(calls[:1], frames).crossover is None
    with pytest.raises(ValueError, match="not 8 frames"):
        frame_law(calls, 8)


def test_frame_law_is_what_the_capture_counts(suite: Characterization) -> None:
    run = next(run for run in suite.models if run.name == "modelscope-t2v-tiny")
    call = swept_stage(run).run.first
    law = frame_law(call.attention_calls, 4)
    for axis in ("spatial", "temporal"):
        kernels = [k for k in call.run("fused") if k.attention is not None and k.axis == axis]
        assert law.at(axis, 4) == sum(k.flops for k in kernels if k.attention and k.attention.kind == "self")


@pytest.mark.slow
def test_attention_over_frames() -> None:
    swept = suite_of("modelscope-t2v-tiny", sweeps=True)
    made = attention_frames(swept)
    counted = [row for row in made.rows if row["flops"] is not None]
    assert all(row["flops"] == row["closed_flops"] for row in counted)
    assert {row["frames"] for row in counted} == {2, 3, 4, 6, 8}
    assert max(int(row["frames"] or 0) for row in made.rows) == 8 * BEYOND[-1]
    crossed = {row["side"]: row["closed_crossover_frames"] for row in made.rows}
    assert crossed[64] < crossed[128] < crossed[256]  # type: ignore[operator]  # numbers all
    assert [frames for frames, _ in frame_sweep(swept.models[0])] == [2, 3, 4, 6, 8]
    assert made.to_svg()


@pytest.mark.slow
def test_stable_diffusion_is_the_published_sum() -> None:
    suite = suite_of("stable-diffusion-v1-5", sweeps=True)
    found = {side: score_memory_of(call) for side, call in image_sweep(suite.models[0])}
    assert all(memory.closed == memory.traced for memory in found.values())
    published = {256: 12.2, 512: 183.07, 768: 915.1, 1024: 2879.3}
    assert {side: found[side].per_head / 1e6 for side in published} == pytest.approx(published, abs=0.05)
