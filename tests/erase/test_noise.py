"""Levels, parametrisations and paths against closed forms."""

from __future__ import annotations

import math

import diffusers
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphlab.erase.errors import EraseError
from graphlab.erase.noise import CLEAN, DiscreteSchedule, FlowSchedule, Level, Parametrisation, schedule_of
from graphlab.erase.prediction import clean_of, noise_of, output_of
from graphlab.erase.trajectory import Boundary, Trajectory, boundary_of_step
from tests.erase.mixtures import EMPTY, GIVEN, cosine, exact, noise

SD = diffusers.DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "flow"])
@given(sigma=st.floats(0.01, 0.99), seed=st.integers(0, 99))
def test_noise_and_image_give_back_the_latent(kind: Parametrisation, sigma: float, seed: int) -> None:
    level = Level(0.0, 1 - sigma if kind == "flow" else math.sqrt(1 - sigma**2), sigma)
    generator = torch.Generator().manual_seed(seed)
    clean, eps = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    x = level.alpha * clean + level.sigma * eps
    output = output_of(eps, x, level, kind)
    assert torch.allclose(noise_of(output, x, level, kind), eps, atol=1e-9)
    assert torch.allclose(clean_of(output, x, level, kind), clean, atol=1e-9)


def test_outputs_are_what_their_names_say() -> None:
    level = Level(0.0, 0.6, 0.8)
    clean, eps = torch.tensor([1.0]), torch.tensor([-2.0])
    x = level.alpha * clean + level.sigma * eps
    assert output_of(eps, x, level, "v_prediction").item() == pytest.approx(0.6 * -2 - 0.8 * 1)
    flow = Level(800.0, 0.2, 0.8)
    assert output_of(eps, 0.2 * clean + 0.8 * eps, flow, "flow").item() == pytest.approx(-2 - 1)


def test_the_schedule_of_stable_diffusion() -> None:
    schedule, kind = schedule_of(SD)
    assert kind == "epsilon"
    assert isinstance(schedule, DiscreteSchedule)
    # Published landmarks of the boundary: time and log SNR.
    for time, log_snr in {499: -0.96, 699: -2.40, 799: -3.25, 859: -3.82, 899: -4.23, 939: -4.67, 139: 1.68}.items():
        assert schedule.level(time).log_snr == pytest.approx(log_snr, abs=0.006)
        assert schedule.at(log_snr).time == pytest.approx(time, abs=2)
    assert [level.time for level in schedule.levels(4)] == [999, 749, 499, 249]


def test_what_has_no_levels_is_refused() -> None:
    with pytest.raises(EraseError, match="no noise levels"):
        schedule_of(diffusers.DDIMScheduler.__new__(type("Odd", (), {"config": {}})))
    with pytest.raises(EraseError, match="predicts 'sample'"):
        schedule_of(diffusers.DDPMScheduler(prediction_type="sample"))
    with pytest.raises(EraseError, match="shifts by the image's size"):
        schedule_of(diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True))
    with pytest.raises(EraseError, match="fall with time"):
        DiscreteSchedule((0.5, 0.6))


@pytest.mark.parametrize("schedule", [cosine(), FlowSchedule(), FlowSchedule(shift=3.0)], ids=["cosine", "flow", "sd3"])
@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_levels_go_from_noise_to_image(schedule: DiscreteSchedule | FlowSchedule, steps: int) -> None:
    levels = schedule.levels(steps)
    found = [level.log_snr for level in (*levels, CLEAN)]
    assert len(levels) == steps
    assert found == sorted(found)
    assert all(schedule.told(level.time).sigma == pytest.approx(level.sigma, abs=1e-12) for level in levels)
    assert all(schedule.at(level.log_snr).time == pytest.approx(level.time, abs=1e-6) for level in levels)


def test_a_flow_is_spaced_as_diffusers_spaces_it() -> None:
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    schedule, _ = schedule_of(scheduler)
    assert schedule == FlowSchedule(3.0, 1000.0)
    sigmas = [level.sigma for level in schedule.levels(5)]
    scheduler.set_timesteps(sigmas=[1 - index / 5 for index in range(5)])
    assert sigmas == pytest.approx(scheduler.sigmas[:-1].tolist(), abs=1e-6)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "flow"])
def test_paths_end_at_components(kind: Parametrisation) -> None:
    denoiser = exact(kind)
    levels = denoiser.schedule.levels(60)[1:] if kind == "flow" else denoiser.schedule.levels(60)
    images = Trajectory(denoiser, levels).image(noise(64), EMPTY, EMPTY)
    assert (images[..., 0].abs() - 4.0).abs().max() < 0.4
    assert (images[..., 1].abs() - 0.35).abs().max() < 0.3


def test_the_ddim_path_is_that_of_diffusers() -> None:
    scheduler = diffusers.DDIMScheduler(timestep_spacing="trailing", clip_sample=False, set_alpha_to_one=True)
    schedule, _ = schedule_of(scheduler)
    denoiser = exact("epsilon", schedule)
    scheduler.set_timesteps(20)
    levels = schedule.levels(20)
    assert [int(level.time) for level in levels] == scheduler.timesteps.tolist()
    x = start = noise(8)
    for level, time in zip(levels, scheduler.timesteps, strict=True):
        x = scheduler.step(denoiser.output(x, level, GIVEN), int(time), x).prev_sample
    ours = Trajectory(denoiser, levels).image(start, GIVEN, EMPTY)
    assert torch.allclose(ours, x, atol=1e-5)


def test_one_path_gives_all_points() -> None:
    denoiser = exact()
    path = Trajectory(denoiser, denoiser.schedule.levels(10), guidance=2.0)
    found = path.at((2, 7), noise(3), GIVEN, EMPTY)
    every = list(path.points(noise(3), GIVEN, EMPTY))
    assert len(every) == 11
    assert every[-1].level == CLEAN
    for index, point in found.items():
        assert point.level == path.levels[index]
        assert torch.equal(point.x, every[index].x)


def test_early_is_noisy() -> None:
    schedule, _ = schedule_of(SD)
    levels = schedule.levels(50)
    for step in (25, 40, 43, 47):
        boundary = boundary_of_step(step, schedule)
        early, late = boundary.split(levels)
        assert (len(early), len(late)) == (50 - step, step)
        assert max(levels[index].log_snr for index in early) < min(levels[index].log_snr for index in late)
    assert boundary_of_step(40, schedule).log_snr == pytest.approx(-3.25, abs=0.1)
    assert boundary_of_step(50, schedule).split(levels)[0] == ()
    assert boundary_of_step(0, schedule).split(levels)[1] == ()
    with pytest.raises(EraseError, match="step 51 of 50"):
        boundary_of_step(51, schedule)


def test_a_boundary_holds_for_every_number_of_steps_and_schedule() -> None:
    boundary = Boundary(-3.25)
    for schedule in (cosine(), schedule_of(SD)[0], FlowSchedule()):
        for steps in (10, 25, 200):
            levels = schedule.levels(steps)
            early, late = boundary.split(levels)
            assert [*early, *late] == list(range(steps))
            assert all(levels[index].log_snr < -3.25 for index in early)
            assert all(levels[index].log_snr >= -3.25 for index in late)
