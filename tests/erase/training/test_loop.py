"""Training: it erases, over the chosen weights alone, and the teacher stays."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from graphlab.erase.errors import EraseError
from graphlab.erase.objective import Ablation, Objective, TermWeights, Texts
from graphlab.erase.training.loop import MANIFEST, train
from graphlab.erase.training.model import Model, module_hash
from graphlab.erase.training.progress import Pace, Progress
from graphlab.erase.training.prompts import Prompts
from tests.erase.mixtures import EMPTY, GIVEN, cosine
from tests.erase.training.small import ALL, PROMPTS, Student, config, equal, model, state


def test_the_concept_is_unlearnt_and_the_rest_stays_close() -> None:
    student = model()
    teacher = student.copied()
    before = losses(student, teacher)
    train(student, teacher, PROMPTS, config(iterations=100, path={"steps": 10, "batch": 8, "pool": 2}))
    after = losses(student, teacher)
    assert after["erase"] < 0.7 * before["erase"]
    assert before["preserve"] == before["uncond_early"] == 0
    assert after["preserve"] + after["uncond_early"] < 0.15 * before["erase"]


def losses(student: Model, teacher: Model) -> dict[str, float]:
    """The mean of every term over points of their own."""
    settings = config(path={"steps": 10, "batch": 64})
    sampler = settings.path.points(teacher.schedule)
    generator = torch.Generator().manual_seed(99)
    found: dict[str, float] = {}
    with torch.no_grad():
        for _ in range(10):
            drawn = sampler.points(sampler.draw(generator), teacher.denoiser, GIVEN, EMPTY)
            texts = Texts(GIVEN, EMPTY)
            for term in settings.objective.terms(student.denoiser, teacher.denoiser, drawn.early, drawn.late, texts):
                found[term.name] = found.get(term.name, 0.0) + term.loss.item() / 10
    return found


@pytest.mark.parametrize("backend", ["plain", "accelerate"])
@pytest.mark.parametrize("sampler", ["teacher", "student"])
def test_the_teacher_keeps_its_bits_and_both_their_flags(sampler: str, backend: str) -> None:
    student = model()
    student.module.inside.weight.requires_grad_(False)
    student.module.train()
    teacher = student.copied()
    before = module_hash(teacher.module)
    flags = [parameter.requires_grad for parameter in teacher.module.parameters()]
    train(student, teacher, PROMPTS, config(path={"sampler": sampler}, backend=backend))
    assert module_hash(teacher.module) == before
    assert module_hash(student.module) != before
    assert [parameter.requires_grad for parameter in teacher.module.parameters()] == flags
    assert not student.module.inside.weight.requires_grad
    assert student.module.last.weight.requires_grad
    assert student.module.training
    assert teacher.module.training
    assert all(parameter.grad is None for parameter in [*student.module.parameters(), *teacher.module.parameters()])


def test_the_chosen_parameters_alone_change() -> None:
    student = model()
    before = state(student.module)
    done = train(student, student.copied(), PROMPTS, config(parameters="regex:^last"))
    after = state(student.module)
    assert done.trained == ("last.weight", "last.bias")
    assert {name for name in after if not torch.equal(after[name], before[name])} == set(done.trained)
    with pytest.raises(EraseError, match="names no parameter of Student"):
        train(student, student.copied(), PROMPTS, config(parameters="xattn"))


def test_no_iteration_changes_nothing() -> None:
    student = model()
    before = state(student.module)
    done = train(student, student.copied(), PROMPTS, config(iterations=0))
    assert equal(state(student.module), before)
    assert done.history == ()
    assert done.evaluations == 0


def test_a_step_follows_the_gradient_of_the_whole_loss() -> None:
    """One step of plain SGD, told from the objective's own sum over the same draw."""
    settings = config(iterations=1, optimizer="sgd", momentum=0.0, rate=0.5)
    student = model()
    teacher = student.copied()
    expected = student.copied()
    generator = torch.Generator().manual_seed(settings.seed)
    text = list(PROMPTS.concept.values())[int(torch.randint(2, (), generator=generator))]
    sampler = settings.path.points(teacher.schedule)
    drawn = sampler.points(sampler.draw(generator), teacher.denoiser, text, EMPTY)
    loss = settings.objective.loss(
        expected.denoiser, teacher.denoiser, drawn.early, drawn.late, Texts(text, PROMPTS.empty)
    )
    gradients = torch.autograd.grad(loss, list(expected.module.parameters()))
    train(student, teacher, PROMPTS, settings)
    for made, was, gradient in zip(student.module.parameters(), expected.module.parameters(), gradients, strict=True):
        assert torch.allclose(made, was - 0.5 * gradient, rtol=1e-9, atol=1e-12)


def test_terms_go_backward_one_after_the_other() -> None:
    events = []

    class Watched(Student):
        def forward(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            made = super().forward(x, time, text)
            if torch.is_grad_enabled():
                events.append("forward")
                made.register_hook(lambda gradient: events.append("backward"))
            return made

    student = Model(Watched(), cosine(), network_of=lambda module: module)
    done = train(student, model(), PROMPTS, config(iterations=2))
    assert events == ["forward", "backward"] * 8
    assert done.evaluations == 8 * 4


def test_evaluations_are_counted() -> None:
    objective = Objective(TermWeights(1.0, 0.0, 0.0, 0.0), form="guided")
    settings = config(iterations=3, objective=objective, path={"boundary": float("-inf"), "steps": 1, "guidance": 1.0})
    done = train(model(), model(), PROMPTS, settings)
    # Guided: two evaluations a sample. The teacher is asked twice a point; the path stops at its first level.
    assert done.evaluations == 3 * 2 * 4
    assert done.other_evaluations >= 3 * 2 * 4


def test_clipping_bounds_the_step() -> None:
    found = []
    for clip in (None, 1e-4):
        student = model()
        before = state(student.module)
        train(student, model(), PROMPTS, config(iterations=1, optimizer="sgd", momentum=0.0, rate=1.0, clip=clip))
        moved = [(student.module.state_dict()[name] - before[name]).flatten() for name in before]
        found.append(torch.cat(moved).norm().item())
    assert found[0] > 1e-3
    assert found[1] == pytest.approx(1e-4, rel=1e-3)


def test_dead_unconditional_terms_count_and_teach_nothing() -> None:
    made = []
    for weights, ablation in (
        (ALL, Ablation(dead_unconditional=True)),
        (TermWeights(ALL.erase, ALL.preserve, 0.0, 0.0), Ablation()),
    ):
        student = model()
        done = train(student, model(), PROMPTS, config(objective=Objective(weights, ablation=ablation)))
        made.append((state(student.module), done))
    assert equal(made[0][0], made[1][0])
    assert "uncond_late" in made[0][1].history[0]
    with pytest.raises(EraseError, match="no term"):
        train(model(), model(), PROMPTS, config(objective=Objective(TermWeights(0.0, 0.0, 0.0, 0.0))))


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before() -> None:
    found = []
    for seed, outside in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(outside)
        student = model()
        train(student, model(), PROMPTS, config(seed=seed))
        assert torch.initial_seed() == outside
        found.append(state(student.module))
    assert equal(found[0], found[1])
    assert not equal(found[0], found[2])


def test_dropout_does_not_tell_student_and_teacher_apart() -> None:
    class Dropping(Student):
        def forward(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            return nn.functional.dropout(super().forward(x, time, text), 0.5, self.training)

    student = Model(Dropping(), cosine(), network_of=lambda module: module)
    teacher = student.copied()
    assert student.module.training
    assert teacher.module.training
    done = train(student, teacher, PROMPTS, config(iterations=1))
    assert done.history[0]["preserve"] == done.history[0]["uncond_late"] == 0


def test_a_network_that_is_not_the_module_given_is_found_out(tmp_path: Path) -> None:
    other = model()
    student = dataclasses.replace(model(), network_of=lambda module: other.module.requires_grad_(False))
    with pytest.raises(EraseError, match=r"no gradient reaches the parameters 'full'.*network_of"):
        train(student, model(), PROMPTS, config())
    with pytest.raises(EraseError, match="no parameters are called"):
        train(model(), model(), PROMPTS, config(parameters="none"), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_gradients_that_were_there_do_not_count_and_come_back() -> None:
    found = []
    for before in (None, 3.0):
        student = model()
        bias = student.module.last.bias
        bias.grad = None if before is None else torch.full_like(bias, before)
        train(student, model(), PROMPTS, config(optimizer="sgd"))
        assert bias.grad is None if before is None else bool((bias.grad == before).all())
        found.append(state(student.module))
    assert equal(*found)


def test_kept_paths_change_no_weight() -> None:
    found = []
    for size in (0, 2**20):
        student = model()
        done = train(student, model(), PROMPTS, config(path={"pool": 2, "cache_bytes": size}))
        found.append((state(student.module), done.other_evaluations))
    assert equal(found[0][0], found[1][0])
    assert found[1][1] < found[0][1]


def test_student_and_teacher_may_not_share_weights() -> None:
    student = model()
    with pytest.raises(EraseError, match=r"share inside\.weight"):
        train(student, student, PROMPTS, config())


def test_the_manifest_says_what_the_run_was_made_of(tmp_path: Path) -> None:
    student, settings = model(), config(seed=3)
    base = module_hash(student.module)
    train(student, model(), PROMPTS, settings, folder=tmp_path / "new" / "run")
    found = json.loads((tmp_path / "new" / "run" / MANIFEST).read_text())
    assert found["base_sha256"] == found["teacher_sha256"] == base
    assert found["mask_sha256"] is None
    assert found["seeds"] == {"points": 3, "torch": 3}
    assert found["config"]["path"]["steps"] == 20
    assert found["versions"]["torch"] == torch.__version__
    assert sorted(found["prompts_sha256"]) == ["", "given", "other"]
    assert not [path for path in (tmp_path / "new" / "run").iterdir() if path.name.endswith(".part")]


def test_progress_says_how_long_the_rest_takes() -> None:
    seen: list[Progress] = []
    train(model(), model(), PROMPTS, config(), on_progress=seen.append)
    assert [item.done for item in seen] == list(range(1, 9))
    assert seen[-1].seconds_left == 0
    assert all(item.seconds_left > 0 and item.total == 8 and "erase" in item.losses for item in seen[:-1])
    ticks = iter([0.0, 6.0])
    assert Pace(10, already=4, clock=lambda: next(ticks)).after(6) == Progress(6, 10, 6.0, 12.0)


def test_prompts_have_one_shape() -> None:
    with pytest.raises(EraseError, match="no prompt"):
        Prompts({}, EMPTY)
    with pytest.raises(EraseError, match="the empty prompt is no name"):
        Prompts({"": EMPTY}, EMPTY)
    with pytest.raises(EraseError, match="'wide' has shape"):
        Prompts({"wide": torch.zeros(1, 1, 5)}, EMPTY)
    with pytest.raises(EraseError, match="'two' has shape"):
        Prompts({"two": GIVEN.expand(2, 1, 4)}, EMPTY)


def test_what_cannot_be_checkpointed_says_so() -> None:
    with pytest.raises(EraseError, match="Student has no gradient checkpointing"):
        train(model(), model(), PROMPTS, config(gradient_checkpointing=True))
    with pytest.raises(EraseError, match="has no weights"):
        module_hash(nn.Identity())
