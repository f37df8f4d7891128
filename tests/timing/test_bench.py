"""`bench` from end to end, with real processes: what agrees is timed, what does not is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from graphlab.benching import bench
from graphlab.errors import GraphlabError, UnsafeSourceError
from tests.timing.modules import tiny_program


@pytest.mark.usefixtures("broken")
def test_a_wrong_backend_is_refused_and_the_others_are_timed() -> None:
    said: list[str] = []
    report = bench(tiny_program(), ["eager,threads=1", "broken"], rounds=6, progress=said.append)
    (stage,) = report.stages
    eager, broken = stage.candidates
    assert (eager.status, broken.status, report.failed) == ("timed", "wrong", True)
    assert eager.check is not None
    assert eager.check.worst_error == 0.0
    assert broken.check is not None
    assert broken.check.worst_error is not None
    assert broken.check.worst_error > broken.check.tolerance
    assert (broken.times, broken.ratio) == (None, None)
    assert eager.times is not None
    assert len(eager.times.samples) == 6
    assert eager.times.low <= eager.times.seconds <= eager.times.high
    assert (stage.base, stage.unit, stage.calls, stage.weights) == ("eager,threads=1", "call", 1, "source")
    assert "tiny: reference" in said
    assert json.loads(json.dumps(report.to_dict()))["schema"] == "graphlab.bench/1"


def test_a_generation_with_guidance_is_really_run() -> None:
    """DiT, narrow: 2 steps with guidance are 2 calls of twice the batch, and the decoder is one."""
    report = bench("dit-xl-2-256-tiny", ["eager,threads=1"], rounds=2, whole=True, stage="transformer", steps=2)
    (stage,) = report.stages
    (eager,) = stage.candidates
    assert eager.times is not None
    assert (stage.unit, stage.steps, eager.times.estimate, eager.times.calls_per_sample) == ("generation", 2, False, 1)
    assert stage.weights == "random:0"
    (total,) = report.totals
    assert (total.seconds, total.interval, total.ratio) == (eager.times.seconds, None, None)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"backends": []}, "no candidate"),
        ({"backends": ["eager"], "rewrite": 3}, "no level"),
        ({"backends": ["eager"], "rounds": 0}, "0 rounds"),
        ({"backends": ["eager"], "budget": -1.0}, "-1.0 seconds"),
        ({"backends": ["eager"], "threads": 0}, "0 threads"),
        ({"backends": ["eager"], "dtype": "int4"}, "int4"),
        ({"backends": ["eager"], "dtype": "float16"}, "captured program in float32"),
        ({"backends": ["eager"], "stage": "unet"}, "no stage 'unet'"),
    ],
    ids=["none", "level", "rounds", "budget", "threads", "dtype", "captured", "stage"],
)
def test_what_cannot_be_asked_for(options: dict[str, object], match: str) -> None:
    program = tiny_program()
    with pytest.raises(GraphlabError, match=match):
        bench(program, **options)  # type: ignore[arg-type]  # one of the rows above


def test_weights_that_cannot_be_had() -> None:
    for spec, match in (("random:x", "names no seed"), ("nowhere.safetensors", "nowhere.safetensors")):
        with pytest.raises(GraphlabError, match=match):
            bench("dit-xl-2-256-tiny", ["eager"], stage="transformer", weights=spec)


def test_a_file_may_only_run_operators_that_compute(tmp_path: Path) -> None:
    torch.library.custom_op("strange::op", lambda x: x.clone(), mutates_args=(), schema="(Tensor x) -> Tensor")

    class Strange(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.strange.op(x)  # type: ignore[no-any-return]  # ours

    torch.library.register_fake("strange::op", lambda x: torch.empty_like(x))
    exported = torch.export.export(Strange(), (torch.ones(2),))
    torch.export.save(exported, tmp_path / "strange.pt2")
    with pytest.raises(UnsafeSourceError, match=r"calls strange.op.default.*nothing was run"):
        bench(tmp_path / "strange.pt2", ["eager"])
