"""The four terms: targets, gradients, presets, and the mistakes that were published."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from graphlab.erase.denoiser import Denoiser
from graphlab.erase.errors import EraseError
from graphlab.erase.noise import Level, Parametrisation
from graphlab.erase.objective import PRESETS, Ablation, Objective, TermWeights, Texts
from graphlab.erase.trajectory import Boundary, Point, Trajectory
from tests.erase.mixtures import CONCEPT, EMPTY, GIVEN, SPREAD, STRUCTURE, exact, noise

ALL = TermWeights(1.0, 1.0, 1.0, 1.0)
TEXTS = Texts(GIVEN, EMPTY)
NAMES = {"erase", "preserve", "uncond_early", "uncond_late"}


class Student(nn.Module):
    """The exact network and a small part that learns; its last layer starts at 0, or is disturbed."""

    def __init__(self, teacher: Any, disturbed: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.teacher = teacher
        self.inside = nn.Linear(2 + 1 + 4, 16, dtype=torch.float64)
        self.last = nn.Linear(16, 2, dtype=torch.float64)
        nn.init.normal_(self.last.weight, std=disturbed)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        given = torch.cat([x.flatten(1), time[:, None].double() / 1000, text[:, 0]], dim=1)
        return self.teacher(x, time, text) + self.last(torch.tanh(self.inside(given))).view(x.shape)


def pair(disturbed: float = 0.0, kind: Parametrisation = "epsilon") -> tuple[Denoiser, Denoiser]:
    teacher = exact(kind)
    return dataclasses.replace(teacher, network=Student(teacher.network, disturbed)), teacher


def points(teacher: Denoiser, count: int = 16) -> tuple[Point, Point]:
    """An early and a late one of one path."""
    path = Trajectory(teacher, teacher.schedule.levels(25))
    found = path.at((6, 17), noise(count), GIVEN, EMPTY)
    return found[6], found[17]


def gradients(objective: Objective, disturbed: float = 0.1) -> torch.Tensor:
    student, teacher = pair(disturbed)
    early, late = points(teacher)
    loss = objective.loss(student, teacher, early, late, TEXTS)
    if not loss.requires_grad:
        return torch.zeros(1)
    made = torch.autograd.grad(loss, list(student.network.parameters()))
    return torch.cat([part.flatten() for part in made])


def test_points_are_told_the_noise_they_have() -> None:
    _, teacher = pair()
    path = Trajectory(teacher, teacher.schedule.levels(100))
    found = path.at((20, 50, 80), noise(4000), EMPTY, EMPTY)
    assert [found[index].level.log_snr for index in found] == sorted(point.level.log_snr for point in found.values())
    for point in found.values():
        assert teacher.schedule.told(point.level.time) == point.level
        # x = alpha x0 + sigma eps has this variance at the level it is told, and another at any other.
        alpha, sigma = point.level.alpha, point.level.sigma
        for axis, half in enumerate((STRUCTURE, CONCEPT)):
            wanted = alpha**2 * (half**2 + SPREAD**2) + sigma**2
            assert point.x[..., axis].var().item() == pytest.approx(wanted, rel=0.1)


def test_at_the_base_only_the_concept_is_reversed() -> None:
    student, teacher = pair()
    early, late = points(teacher)
    objective = Objective(ALL, eta=0.7)
    delta = teacher.noise(late.x, late.level, GIVEN) - teacher.noise(late.x, late.level, EMPTY)
    for term in objective.terms(student, teacher, early, late, TEXTS):
        made = torch.autograd.grad(term.loss, list(student.network.parameters()))
        if term.name == "erase":
            assert term.loss.item() == pytest.approx((1.7**2 * delta.square().mean()).item(), rel=1e-9)
            assert any(part.abs().max() > 0 for part in made)
        else:
            assert term.loss.item() == 0
            assert all(not part.any() for part in made)


def test_the_scaled_preserve_target_is_the_concept_for_eta_one_alone() -> None:
    student, teacher = pair()
    early, late = points(teacher)

    def preserve(eta: float) -> float:
        objective = Objective(ALL, eta=eta, scaled_preserve=True)
        found = {term.name: term.loss for term in objective.terms(student, teacher, early, late, TEXTS)}
        return found["preserve"].item()

    assert preserve(1.0) == pytest.approx(0, abs=1e-20)
    assert preserve(2.0) > 1e-6


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_term_of_a_disturbed_student_teaches(name: str) -> None:
    without = dataclasses.replace(ALL, **{name: 0.0})
    assert not torch.allclose(gradients(Objective(ALL)), gradients(Objective(without)))
    student, teacher = pair(0.1)
    early, late = points(teacher)
    assert {term.name for term in Objective(without).terms(student, teacher, early, late, TEXTS)} == NAMES - {name}


def test_dead_unconditional_terms_count_and_teach_nothing() -> None:
    dead = Objective(ALL, ablation=Ablation(dead_unconditional=True))
    alone = Objective(TermWeights(1.0, 1.0, 0.0, 0.0))
    assert torch.allclose(gradients(dead), gradients(alone))
    student, teacher = pair(0.1)
    early, late = points(teacher)
    assert dead.loss(student, teacher, early, late, TEXTS) > alone.loss(student, teacher, early, late, TEXTS)


def test_the_inverted_axis_reverses_early() -> None:
    student, teacher = pair()
    early, late = points(teacher)
    objective = Objective(TermWeights(1.0, 0.0, 0.0, 0.0), ablation=Ablation(inverted_axis=True))
    delta = teacher.noise(early.x, early.level, GIVEN) - teacher.noise(early.x, early.level, EMPTY)
    assert objective.loss(student, teacher, early, late, TEXTS).item() == pytest.approx(
        (4 * delta.square().mean()).item()
    )


def test_without_early_points_and_unconditional_terms_it_is_esd() -> None:
    student, teacher = pair(0.1)
    _, late = points(teacher)
    made = Objective(TermWeights(1.0, 1.0, 0.0, 0.0)).loss(student, teacher, None, late, TEXTS)
    given, empty = (teacher.noise(late.x, late.level, text) for text in (GIVEN, EMPTY))
    esd = (student.noise(late.x, late.level, GIVEN) - (empty - (given - empty))).square().mean()
    assert made.item() == pytest.approx(esd.item(), rel=1e-12)
    with pytest.raises(EraseError, match="no term"):
        Objective(TermWeights(1.0, 0.0, 0.0, 0.0)).loss(student, teacher, points(teacher)[0], None, TEXTS)


def test_the_guided_form_is_the_plain_loss_times_the_square_at_the_base_but_not_its_gradient() -> None:
    concept = TermWeights(1.0, 0.0, 0.0, 0.0)
    student, teacher = pair()
    early, late = points(teacher)
    losses = [
        Objective(concept, form=form).loss(student, teacher, early, late, TEXTS).item() for form in ("plain", "guided")
    ]
    assert losses[1] / losses[0] == pytest.approx(7.5**2, rel=1e-9)
    plain, guided = (gradients(Objective(concept, form=form), 0.0) for form in ("plain", "guided"))
    cosine = torch.dot(plain, guided) / (plain.norm() * guided.norm())
    assert cosine < 0.999


@pytest.mark.parametrize("kind", ["v_prediction", "flow"])
def test_losses_do_not_depend_on_what_is_predicted(kind: Parametrisation) -> None:
    eps_teacher = exact("epsilon")
    level = Level(0.0, 0.6, 0.8)
    if kind == "flow":
        level = Level(400.0, 0.6, 0.4)
    mixture = eps_teacher.network.mixture  # type: ignore[attr-defined]  # the exact one

    class Fixed:
        def __init__(self, kind: Parametrisation, off: float) -> None:
            self.kind, self.off = kind, off

        def __call__(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            from graphlab.erase.prediction import output_of

            return output_of(mixture.noise(x, level, text[:, 0]) + self.off, x, level, self.kind)

    x = noise(8)
    found = []
    for each in ("epsilon", kind):
        student, teacher = (Denoiser(Fixed(each, off), eps_teacher.schedule, each) for off in (0.3, 0.0))
        found.append(Objective(ALL).loss(student, teacher, Point(x, level), Point(x, level), TEXTS).item())
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_presets_are_the_two_readings_of_the_table() -> None:
    table = {"nsfw": (1.0, 0.5, 0.5), "celebrity": (0.4, 0.5, 0.2), "art": (0.4, 0.5, 0.2)}
    for task, (first, second, third) in table.items():
        assert PRESETS["paper-a"][task] == TermWeights(first, third, second, 1.0)
        assert PRESETS["paper-b"][task] == TermWeights(1.0, first, third, second)
    with pytest.raises(EraseError, match="0 or more"):
        TermWeights(-1.0, 0.0, 0.0, 0.0)


def reversed_images(boundary: Boundary) -> tuple[torch.Tensor, torch.Tensor]:
    """(images of the prompt, images with the concept reversed late of `boundary`), from the same noise."""
    teacher = exact()
    levels = teacher.schedule.levels(50)
    start = noise(400)
    kept = Trajectory(teacher, levels).image(start, GIVEN, EMPTY)
    x = start
    for level, following in zip(levels, [*levels[1:], Level(0.0, 1.0, 0.0)], strict=True):
        guidance = 1.0 if boundary.is_early(level) else -1.0
        x = teacher.step(teacher.guided(x, level, GIVEN, EMPTY, guidance), x, level, following)
    return kept, x


def test_reversing_late_keeps_structure_and_reversing_throughout_does_not() -> None:
    kept, late = reversed_images(Boundary(0.0))
    _, throughout = reversed_images(Boundary(float("-inf")))
    _, too_late = reversed_images(Boundary(6.0))
    assert share(kept[..., 1] > 0) > 0.9
    assert share(late[..., 1] > 0) < 0.5
    assert share(throughout[..., 1] > 0) < 0.3
    assert share(too_late[..., 1] > 0) > 0.9
    assert same_structure(kept, late) > 0.99
    assert same_structure(kept, throughout) < 0.6


def share(found: torch.Tensor) -> float:
    return found.double().mean().item()


def same_structure(first: torch.Tensor, second: torch.Tensor) -> float:
    return share((first[..., 0] > 0) == (second[..., 0] > 0))
