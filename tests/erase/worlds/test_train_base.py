"""Training a base: it goes on where it stopped, to the bit, and learns what it is meant to."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path

import pytest
import torch

from benchmarks.erasure import train_base
from benchmarks.erasure.train_base import main, train
from benchmarks.erasure.training_batch import batch_of, prompts_of
from benchmarks.erasure.training_state import Training, fresh, load_state_file, parameters_of, save_state
from benchmarks.erasure.training_step import inputs_of, loss_of
from graphlab.erase.errors import EraseError
from graphlab.erase.noise import Level, Parametrisation
from graphlab.erase.prediction import noise_of
from graphlab.erase.worlds.base import KINDS, BaseConfig, new_base
from graphlab.erase.worlds.base_file import load_base
from graphlab.erase.worlds.digits import digits
from graphlab.erase.worlds.schedules import HIGH, LOW, schedule_for, training_levels

HOW = Training("digits", "epsilon", seed=5, steps=6, batch=2)


def rows(folder: Path) -> list[list[str]]:
    with (folder / "log.csv").open(newline="") as file:
        return [row[:3] for row in csv.reader(file)]


def test_a_resumed_training_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_base, "EVERY_STEPS", 2)
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    assert train(HOW, whole) is not None
    assert train(HOW, pieces, stop_after=3) is None
    assert not (pieces / "base.safetensors").exists()
    with (pieces / "log.csv").open("a") as file:
        file.write("5,0.1,0.1,1.0\n")  # logged, then cut off before the state was written
    assert train(HOW, pieces, stop_after=1) is None
    assert train(HOW, pieces, every_seconds=0.0) is not None
    for name in ("base.safetensors", "training.safetensors"):
        assert (whole / name).read_bytes() == (pieces / name).read_bytes()
    assert rows(whole) == rows(pieces)
    assert [row[0] for row in rows(whole)] == ["step", "2", "4", "6"]


def test_a_finished_training_is_not_done_again_and_its_log_is_in_the_base(tmp_path: Path) -> None:
    first = train(dataclasses.replace(HOW, steps=2), tmp_path)
    second = train(dataclasses.replace(HOW, steps=2), tmp_path)
    assert first is not None
    assert second is not None
    assert first.log == second.log == load_base(tmp_path / "base.safetensors").log
    assert first.log["steps"] == "2"
    assert first.log["final_loss"] == rows(tmp_path)[-1][1]


@pytest.mark.parametrize("change", [{"seed": 6}, {"kind": "flow"}, {"steps": 9}], ids=["seed", "kind", "steps"])
def test_a_folder_of_another_training_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    train(HOW, tmp_path, stop_after=1)
    before = (tmp_path / "training.safetensors").read_bytes()
    with pytest.raises(EraseError, match="is of the training"):
        train(dataclasses.replace(HOW, **change), tmp_path)  # type: ignore[arg-type]  # one field each
    assert (tmp_path / "training.safetensors").read_bytes() == before


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_base, "EVERY_STEPS", 4)
    how = dataclasses.replace(HOW, rate=1e30, warm_up=0, steps=20)
    train(how, tmp_path, stop_after=1)
    before = (tmp_path / "training.safetensors").read_bytes()
    for stop_after in (None, 2):  # at the next line of the log, and before it
        with pytest.raises(EraseError, match=r"the loss before step [34] is "):
            train(how, tmp_path, stop_after=stop_after)
        assert (tmp_path / "training.safetensors").read_bytes() == before


def test_a_state_comes_back_with_its_optimiser(tmp_path: Path) -> None:
    state = fresh(HOW)
    batch = batch_of(state.base, HOW, 0)
    text = state.base.encoder(batch.ids)
    torch.autograd.backward(state.base.denoiser().network(batch.noise, batch.levels.time, text).mean())
    state.optimizer.step()
    state.step = 1
    state.loss.fill_(1 / 3)
    save_state(state, tmp_path / "state.safetensors")
    found = load_state_file(tmp_path / "state.safetensors", HOW)
    assert found.step == 1
    assert torch.equal(found.loss, state.loss)
    for mine, other in zip(parameters_of(state.base), parameters_of(found.base), strict=True):
        assert torch.equal(mine, other)
        for name, value in state.optimizer.state[mine].items():
            assert torch.equal(value, found.optimizer.state[other][name])
    assert not torch.equal(parameters_of(found.base)[0], parameters_of(found.average)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_training_lowers_the_loss(kind: Parametrisation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_base, "EVERY_STEPS", 5)
    how = Training("digits", kind, seed=0, steps=15, batch=8, warm_up=5, telling=0)
    base = train(how, tmp_path)
    losses = [float(row[1]) for row in rows(tmp_path)[1:]]
    assert base is not None
    assert base.config.kind == kind
    assert losses[-1] < 0.8 * losses[0]


def test_the_encoder_alone_learns_to_tell_what_is_named() -> None:
    states = [fresh(dataclasses.replace(HOW, telling=weight)) for weight in (0.0, 0.5, 1.0)]
    losses, gradients = [], []
    for state in states:
        loss = loss_of(state, inputs_of(state, batch_of(state.base, state.how, 0)))
        torch.autograd.backward(loss)
        losses.append(float(loss.detach()))
        gradients.append([part.grad for part in state.base.unet.parameters()])
    plain, half, whole = losses
    assert whole - plain == pytest.approx(2 * (half - plain), rel=1e-4)
    assert whole - plain == pytest.approx(math.log(11), rel=0.3)  # untaught: about one of 10 digits or none
    for first, last in zip(gradients[0], gradients[-1], strict=True):
        assert first is not None
        assert last is not None
        assert torch.allclose(first, last)
    assert all(part.grad is None for part in states[0].tellers.parameters())
    assert all(part.grad is not None and part.grad.any() for part in states[-1].tellers.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_targets_stand_for_the_noise(kind: Parametrisation) -> None:
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 6, 1, 4, 4, generator=generator).unbind(0)
    levels = training_levels(kind, 6, generator)
    x, target = levels.noisy(clean, noise), levels.target(clean, noise, kind)
    for row in range(6):
        level = Level(*(float(part[row]) for part in (levels.time, levels.alpha, levels.sigma)))
        found = noise_of(target[row], x[row], level, kind)
        assert torch.allclose(found, noise[row], atol=1e-5)
        told = schedule_for(kind).told(level.time)
        assert (told.alpha, told.sigma) == pytest.approx((level.alpha, level.sigma), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_levels_lie_evenly_over_log_snr(kind: Parametrisation) -> None:
    levels = training_levels(kind, 20_000, torch.Generator().manual_seed(0))
    log_snr = 2 * (levels.alpha / levels.sigma).double().log()
    outside = (log_snr < LOW - 1e-6) | (log_snr > HIGH + 1e-4)
    assert float(outside.double().mean()) == pytest.approx(0.045 if kind == "flow" else 0, abs=0.01)
    inside = log_snr[~outside]
    counts = torch.histc(inside, 7, LOW, HIGH)
    if kind != "flow":
        assert counts.min() > 0.93 * counts.max()
    assert counts.min() > 0.7 * counts.max()


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    base = new_base(BaseConfig("layout", "epsilon", (8, 16), heads=2), 0)
    how = Training("layout", "epsilon", seed=1, steps=5, batch=4)
    first, again, later = batch_of(base, how, 2), batch_of(base, how, 2), batch_of(base, how, 3)
    other = batch_of(base, dataclasses.replace(how, seed=2), 2)
    assert torch.equal(first.noise, again.noise)
    assert torch.equal(first.ids, again.ids)
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.noise, later.noise)
    assert not torch.equal(first.noise, other.noise)


def test_a_concept_left_out_is_neither_shown_nor_named() -> None:
    base = new_base(BaseConfig("digits", "epsilon", (8, 16), heads=2), 0)
    how = dataclasses.replace(HOW, batch=200, without=3)
    batch = batch_of(base, how, 0)
    whole = batch_of(base, dataclasses.replace(how, without=None), 0)
    forms = base.language.encode([base.language.phrase("digit", 3, form) for form in range(6)])
    for part, found in ((batch, False), (whole, True)):
        assert (part.ids[:, None] == forms).all(-1).any().item() is found
        threes = digits("train").images[digits("train").labels[:, 0] == 3]
        assert (torch.cdist(part.images.flatten(1), threes.flatten(1)) < 1e-6).any().item() is found
    with pytest.raises(EraseError, match="no digit 10 to leave out"):
        dataclasses.replace(HOW, without=10)


def test_prompts_say_what_is_shown_in_all_forms_and_a_tenth_says_nothing() -> None:
    base = new_base(BaseConfig("layout", "epsilon", (8, 16), heads=2), 0)
    labels = torch.tensor([[1, 2, 3]]).expand(4000, 3)
    said, named = prompts_of(base, labels, torch.Generator().manual_seed(0), 0.1)
    glyphs = [base.language.phrase("glyph", 3, form) for form in range(6)]
    both = ("lit from right", "in blue tones")
    for form in glyphs:
        assert sum(text == " ".join((*both, form)) for text in said) / 4000 == pytest.approx(0.9 * 0.65 / 6, abs=0.02)
        assert any(text == form for text in said)
    assert sum(text == "" for text in said) / 4000 == pytest.approx(0.1 + 0.9 * 0.4 / 8, abs=0.02)
    for text, labels_named in zip(said, named.tolist(), strict=True):
        assert labels_named[0] == (1 if both[0] in text else 4)
        assert labels_named[1] == (2 if both[1] in text else 6)
        assert labels_named[2] == (3 if any(form in text for form in glyphs) else 10)
        rest = text.replace(both[0], "").replace(both[1], "").strip()
        assert rest in ("", *glyphs)


def test_the_command_trains_and_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--world", "digits", "--steps", "1", "--folder", str(tmp_path)]
    assert main(asked) == 0
    assert "step 1/1  loss" in capsys.readouterr().out
    assert main([*asked, "--seed", "3"]) == 1
    assert capsys.readouterr().err.startswith("error: training.safetensors is of the training")
    assert main([*asked, "--without", "ten"]) == 1
    assert "there is no digit 'ten'" in capsys.readouterr().err
    with pytest.raises(EraseError, match="a training takes a step"):
        dataclasses.replace(HOW, steps=0)
