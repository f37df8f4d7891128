"""Interrupted runs end with the weights of those that were not, and bad ones leave their last good checkpoint."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.objective import Objective, TermWeights
from graphlab.erase.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from graphlab.erase.training.loop import CHECKPOINT, MANIFEST, Trained, train
from graphlab.erase.training.model import Model
from graphlab.erase.training.progress import Progress
from graphlab.erase.training.prompts import Prompts
from tests.erase.mixtures import EMPTY, GIVEN, cosine
from tests.erase.training.small import PROMPTS, Student, config, equal, half, model, state


class Interrupted(Exception):
    pass


def interrupt(after: int) -> Any:
    def report(progress: Progress) -> None:
        if progress.done == after:
            raise Interrupted

    return report


SETTINGS = [
    {"optimizer": "adam"},
    {"optimizer": "adamw", "path": {"pool": 3}},
    {"optimizer": "sgd", "path": {"sampler": "student"}, "clip": 0.5},
    {"optimizer": "adam", "backend": "accelerate"},
]


@pytest.mark.parametrize("masked", [False, True], ids=["free", "masked"])
@pytest.mark.parametrize("changes", SETTINGS, ids=["adam", "adamw-pool", "sgd-student", "accelerate"])
def test_a_resumed_run_ends_with_the_same_bits(changes: dict[str, Any], masked: bool, tmp_path: Path) -> None:
    whole = model()
    mask = half(whole.module) if masked else None
    straight = train(whole, whole.copied(), PROMPTS, config(**changes), mask=mask, folder=tmp_path / "whole")
    for after in (1, 3, 6):
        folder = tmp_path / str(after)
        first = model()
        with pytest.raises(Interrupted):
            train(first, model(), PROMPTS, config(**changes), mask=mask, folder=folder, on_progress=interrupt(after))
        torch.manual_seed(after)
        again = model()
        seen: list[int] = []
        resumed = train(
            again,
            model(),
            PROMPTS,
            config(**changes),
            mask=mask,
            folder=folder,
            resume=True,
            on_progress=lambda progress, seen=seen: seen.append(progress.done),
        )
        assert seen == list(range(after // 2 * 2 + 1, 9))
        assert equal(state(again.module), state(whole.module))
        assert resumed.history == straight.history
        assert resumed.evaluations == straight.evaluations
        saved, other = (load_checkpoint(place / CHECKPOINT) for place in (folder, tmp_path / "whole"))
        assert same(vars(saved), vars(other), counts=changes.get("path", {}).get("pool") is None)


def same(one: Any, other: Any, counts: bool) -> bool:
    """Whether two checkpoints hold the same, to the bit; what the teacher was asked is more where paths were kept."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        kept = [key for key in one if key != "evaluations" or counts]
        return set(one) == set(other) and all(same(one[key], other[key], counts) for key in kept)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(*pair, counts) for pair in zip(one, other, strict=True))
    return bool(one == other)


def test_a_network_that_draws_for_itself_resumes_to_the_same_bits(tmp_path: Path) -> None:
    class Noisy(Student):
        def forward(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            return super().forward(x, time, text) + 0.01 * torch.randn(x.shape, dtype=x.dtype)

    whole, first, again = (Model(Noisy(), cosine(), network_of=lambda module: module) for _ in range(3))
    train(whole, model(), PROMPTS, config(), folder=tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(first, model(), PROMPTS, config(), folder=tmp_path / "cut", on_progress=interrupt(5))
    train(again, model(), PROMPTS, config(), folder=tmp_path / "cut", resume=True)
    assert equal(state(again.module), state(whole.module))


def test_a_finished_run_resumes_to_its_result(tmp_path: Path) -> None:
    first, again = model(), model()
    train(first, model(), PROMPTS, config(), folder=tmp_path)
    done = train(again, model(), PROMPTS, config(), folder=tmp_path, resume=True)
    assert equal(state(again.module), state(first.module))
    assert len(done.history) == 8


def run(folder: Path, **changes: Any) -> Trained:
    """A run of the plain settings, with what is named otherwise."""
    made = {"student": model(), "teacher": model(), "prompts": PROMPTS, "config": config(), "mask": None, **changes}
    return train(
        made["student"],
        made["teacher"],
        made["prompts"],
        made["config"],
        mask=made["mask"],
        folder=folder,
        resume=made.get("resume", True),
    )


def other_weights() -> Model:
    made = model()
    with torch.no_grad():
        made.module.last.bias[0] += 1e-9
    return made


CHANGED: dict[str, tuple[dict[str, Any], str]] = {
    "rate": ({"config": config(rate=2e-2)}, "config.rate"),
    "iterations": ({"config": config(iterations=9)}, "config.iterations"),
    "boundary": ({"config": config(path={"boundary": 0.1})}, "config.path.boundary"),
    "base": ({"student": other_weights()}, "base_sha256"),
    "teacher": ({"teacher": other_weights()}, "teacher_sha256"),
    "mask": ({"mask": half(Student())}, "mask_sha256"),
    "prompts": ({"prompts": Prompts({"given": GIVEN, "other": EMPTY}, EMPTY)}, "prompts_sha256"),
    "two": ({"config": config(rate=2e-2, seed=1)}, "config.rate, config.seed"),
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_changed_run_does_not_go_on(what: str, tmp_path: Path) -> None:
    run(tmp_path, resume=False)
    changes, named = CHANGED[what]
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(EraseError, match=f"changed since is {named}"):
        run(tmp_path, **changes)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_a_run_is_not_written_over_and_none_is_resumed_from_nowhere(tmp_path: Path) -> None:
    run(tmp_path / "a", resume=False)
    with pytest.raises(EraseError, match="holds a run"):
        run(tmp_path / "a", resume=False)
    with pytest.raises(EraseError, match="holds no run to resume"):
        run(tmp_path / "b")
    with pytest.raises(EraseError, match="no folder to resume from"):
        train(model(), model(), PROMPTS, config(), resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(EraseError, match="cannot make"):
        run(tmp_path / "file", resume=False)


def flipped(path: Path) -> bytes:
    """The checkpoint with one bit of a weight flipped, which torch would read without a word."""
    content = bytearray(path.read_bytes())
    weight = next(iter(load_checkpoint(path).weights.values())).contiguous().numpy().tobytes()
    at = content.find(weight)
    assert at > 0
    content[at] ^= 1
    return bytes(content)


def test_whatever_bytes_a_checkpoint_has_it_is_read_whole_or_refused(tmp_path: Path) -> None:
    run(tmp_path, resume=False)
    path, chance = tmp_path / CHECKPOINT, random.Random(0)
    good, content = load_checkpoint(path), path.read_bytes()
    refused = 0
    for _ in range(200):
        spoilt = bytearray(content)
        for _ in range(chance.choice((1, 3, 20))):
            spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
        path.write_bytes(spoilt)
        try:
            found = load_checkpoint(path)
        except EraseError:
            refused += 1
            continue
        assert all(torch.equal(found.weights[name], value) for name, value in good.weights.items())
        assert found.history == good.history
    assert refused > 100


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path) -> None:
    run(tmp_path, resume=False)
    path = tmp_path / CHECKPOINT
    good = load_checkpoint(path)
    for content, match in (
        (path.read_bytes()[:200], "cannot read"),
        (b"", "cannot read"),
        (flipped(path), "is damaged: .* has other bytes"),
    ):
        path.write_bytes(content)
        with pytest.raises(EraseError, match=match):
            run(tmp_path)
    for values, match in (
        ({"a": 1}, "is no checkpoint of a training run"),
        ({"format": "graphlab.erase.checkpoint", "version": 7}, "of version 7, expected 1"),
        ({"format": "graphlab.erase.checkpoint", "version": 1}, "other entries"),
    ):
        torch.save(values, path)
        with pytest.raises(EraseError, match=match):
            run(tmp_path)
    for changes, match in (({"fingerprint": "0"}, "of another run"), ({"weights": {}}, "holds other weights")):
        save_checkpoint(path, dataclasses.replace(good, **changes))
        with pytest.raises(EraseError, match=match):
            run(tmp_path)
    (tmp_path / MANIFEST).write_text(json.dumps({"config": {}}))
    with pytest.raises(EraseError, match="cannot read the manifest"):
        run(tmp_path)


def test_a_checkpoint_that_cannot_be_written_leaves_the_last(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    made = Checkpoint("a", 1, {}, {}, torch.zeros(1), torch.zeros(1), {}, [], (0, 0))
    save_checkpoint(path, made)
    before = path.stat().st_ino
    save_checkpoint(path, made)
    assert path.stat().st_ino != before  # replaced as a whole, never written into

    class Unwritable:
        def __reduce__(self) -> Iterator[Any]:
            raise OSError("disk full")

    with pytest.raises(EraseError, match=r"cannot write .*disk full"):
        save_checkpoint(path, dataclasses.replace(made, backend={"a": Unwritable()}))
    assert load_checkpoint(path).fingerprint == "a"
    assert [item.name for item in tmp_path.iterdir()] == ["checkpoint.pt"]


class Failing(Student):
    """A student whose result, or gradient, is not finite from an evaluation with gradient on."""

    def __init__(self, at: int, what: str) -> None:
        super().__init__()
        self.at, self.what, self.count = at, what, 0

    def forward(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        made = super().forward(x, time, text)
        self.count += torch.is_grad_enabled()
        if self.count < self.at or not torch.is_grad_enabled():
            return made
        if self.what == "gradient":
            # 0 * inf: the derivative of a square root at 0 that counts nothing.
            return made + 0 * (made - made.detach()).abs().sqrt()
        return made * float(self.what)


@pytest.mark.parametrize("what", ["nan", "inf", "gradient"])
def test_what_is_not_finite_stops_and_keeps_the_last_good_checkpoint(what: str, tmp_path: Path) -> None:
    whole, failing = model(), Model(Failing(4 * 5 + 1, what), cosine(), network_of=lambda module: module)
    train(whole, model(), PROMPTS, config(iterations=8), folder=tmp_path / "whole")
    named = {"nan": "loss erase is nan", "inf": "loss erase is inf", "gradient": "gradient's norm is nan"}[what]
    with pytest.raises(EraseError, match=f"{named} in iteration 6.*last good checkpoint is"):
        train(failing, model(), PROMPTS, config(), folder=tmp_path / "bad")
    kept = load_checkpoint(tmp_path / "bad" / CHECKPOINT)
    assert kept.iteration == 4
    assert all(bool(torch.isfinite(value).all()) for value in kept.weights.values())
    assert all(bool(torch.isfinite(value).all()) for value in failing.module.state_dict().values())
    again = model()
    train(again, model(), PROMPTS, config(), folder=tmp_path / "bad", resume=True)
    assert equal(state(again.module), state(whole.module))


@pytest.mark.parametrize("kept", [True, False], ids=["folder", "none"])
def test_weights_that_are_not_finite_are_no_result(kept: bool, tmp_path: Path) -> None:
    """A rate so high that a step overflows, with losses and gradients that were finite before it."""
    objective = Objective(TermWeights(1e4, 0.0, 0.0, 0.0))
    wild = config(rate=1e308, optimizer="sgd", momentum=0.0, iterations=1, objective=objective)
    with pytest.raises(EraseError, match=r"is not finite after iteration 1 .*lower rate"):
        train(model(), model(), PROMPTS, wild, folder=tmp_path if kept else None)
    assert not (tmp_path / CHECKPOINT).exists()
