"""One run: models in place, what is trained, and an iteration of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from graphlab.erase.errors import EraseError
from graphlab.erase.objective import Term, Texts
from graphlab.erase.sampling import Draw, Drawn, TeacherPaths
from graphlab.erase.training.backend import backend_of
from graphlab.erase.training.checkpoint import Checkpoint, History
from graphlab.erase.training.config import TrainingConfig
from graphlab.erase.training.counting import counted
from graphlab.erase.training.lora import add_lora
from graphlab.erase.training.masking import MaskGuard, Masks
from graphlab.erase.training.model import Model
from graphlab.erase.training.optimizers import optimizer_of
from graphlab.erase.training.parameters import select
from graphlab.erase.training.prompts import Prompts


class NotFiniteError(EraseError):
    """A loss, a gradient or a weight is infinite or no number: what is in memory is of no use any more."""


class Run:
    """A run over `student`, whose module changes, and `teacher`, whose does not."""

    def __init__(
        self, student: Model, teacher: Model, prompts: Prompts, config: TrainingConfig, masks: Masks | None
    ) -> None:
        self.config = config
        self.backend = backend_of(config)
        self.parameters = _trained(student.module, config, masks)
        self.device = self.backend.place(student.module)
        self.backend.place(teacher.module)
        self.optimizer = optimizer_of(config, self.parameters.values())
        self.backend.use(self.optimizer)
        self.guard = MaskGuard(self.parameters, {} if masks is None else masks)
        self.prompts = prompts.to(self.device)
        self.student, self._student_count = counted(student.denoiser)
        self.teacher, self._teacher_count = counted(teacher.denoiser)
        self.sampler = config.path.points(teacher.schedule)
        self.paths = TeacherPaths(self.teacher, config.path.cache_bytes if config.path.pool else 0)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.history: History = []
        self._before = (0, 0)

    @property
    def evaluations(self) -> tuple[int, int]:
        """Samples that networks were asked for, (with gradient, without), those before a checkpoint included."""
        trained = self._before[0] + self._student_count.trained
        return trained, self._before[1] + self._student_count.other + self._teacher_count.other

    def iterate(self) -> None:
        """One iteration: draws points, goes backward through one term after the other, and steps.

        NotFiniteError, before anything changes, for a loss or a gradient that is not finite.
        """
        losses: dict[str, float] = {}
        taught = False
        for term in self._terms():
            losses[term.name] = float(term.loss.detach())
            if not math.isfinite(losses[term.name]):
                raise NotFiniteError(f"the loss {term.name} is {losses[term.name]} in iteration {self._now}")
            if term.loss.requires_grad:
                self.backend.backward(term.weight * term.loss)
                taught = True
        if not losses:
            raise EraseError("no term has a weight and a point to be worked out at")
        if not taught:
            raise EraseError(
                f"no gradient reaches the parameters {self.config.parameters!r}",
                hint="network_of has to call the module that it is given",
            )
        self.guard.cut_gradients()
        norm = self.backend.norm(self.parameters.values(), self.config.clip)
        if norm is not None and not math.isfinite(norm):
            raise NotFiniteError(f"the gradient's norm is {norm} in iteration {self._now}")
        self.backend.step()
        self.guard.restore(self.optimizer)
        self.history.append(losses)

    def checkpoint(self, fingerprint: str) -> Checkpoint:
        """All that a run like this one needs to go on. NotFiniteError where a weight is not finite."""
        weights = {name: parameter.detach() for name, parameter in self.parameters.items()}
        for name, weight in weights.items():
            if not bool(torch.isfinite(weight).all()):
                raise NotFiniteError(f"{name} is not finite after iteration {len(self.history)}")
        return Checkpoint(
            fingerprint=fingerprint,
            iteration=len(self.history),
            weights=weights,
            optimizer=self.optimizer.state_dict(),
            generator=self.generator.get_state(),
            torch_generator=torch.get_rng_state(),
            backend=self.backend.state(),
            history=self.history,
            evaluations=self.evaluations,
        )

    @torch.no_grad()
    def load(self, checkpoint: Checkpoint) -> None:
        """Goes on from `checkpoint`, which is one of a run like this one. EraseError for other weights."""
        if set(checkpoint.weights) != set(self.parameters):
            raise EraseError("the checkpoint holds other weights than are trained")
        for name, parameter in self.parameters.items():
            parameter.copy_(checkpoint.weights[name])
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.generator.set_state(checkpoint.generator)
        torch.set_rng_state(checkpoint.torch_generator)
        self.backend.load(checkpoint.backend)
        self.history = list(checkpoint.history)
        self._before = checkpoint.evaluations

    @property
    def _now(self) -> int:
        return len(self.history) + 1

    def _terms(self) -> Iterator[Term]:
        """The terms of new points; networks are called in the backend's precision, and what is done with a term is
        not."""
        names = list(self.prompts.concept)
        text = self.prompts.concept[names[int(torch.randint(len(names), (), generator=self.generator))]]
        texts = Texts(text, self.prompts.empty)
        draw = self.sampler.draw(self.generator)
        with self.backend.computing():
            drawn = self._points(draw, texts)
        terms = iter(self.config.objective.terms(self.student, self.teacher, drawn.early, drawn.late, texts))
        while True:
            with self.backend.computing():
                term = next(terms, None)
            if term is None:
                return
            yield term

    def _points(self, draw: Draw, texts: Texts) -> Drawn:
        if self.config.path.sampler == "student":
            return self.sampler.points(draw, self.student, texts.concept, texts.empty)
        return self.paths.points(self.sampler, draw, texts.concept, texts.empty)


def _trained(module: nn.Module, config: TrainingConfig, masks: Masks | None) -> dict[str, nn.Parameter]:
    """{name: parameter} that learns, with masks those with an entry set; nothing else of the module has gradients."""
    module.requires_grad_(False)
    if config.lora is not None:
        found = add_lora(module, config.parameters, config.lora, masks)
    else:
        found = select(module, config.parameters)
        if masks is not None:
            found = {name: parameter for name, parameter in found.items() if name in masks and bool(masks[name].any())}
    if not found:
        raise EraseError(f"the mask lets none of the parameters {config.parameters!r} change")
    for parameter in found.values():
        parameter.requires_grad_(True)
    if config.precision != "no" and any(parameter.dtype != torch.float32 for parameter in found.values()):
        raise EraseError(f"precision {config.precision} needs weights in float32", hint="load the model in float32")
    return found


@contextmanager
def prepared(student: nn.Module, teacher: nn.Module, checkpointing: bool) -> Iterator[None]:
    """Both modules in evaluation mode, so that dropout does not tell them apart, the student without gradients.

    Modes, flags and gradients that were there come back at the end. EraseError for gradient checkpointing of a module
    that cannot.
    """
    modes = [(part, part.training) for module in (student, teacher) for part in module.modules()]
    gradients = [(parameter, parameter.requires_grad, parameter.grad) for parameter in student.parameters()]
    switched = checkpointing and not getattr(student, "is_gradient_checkpointing", False)
    if switched and not hasattr(student, "enable_gradient_checkpointing"):
        raise EraseError(f"{type(student).__name__} has no gradient checkpointing to switch on")
    try:
        student.eval()
        teacher.eval()
        for parameter, _, _ in gradients:
            parameter.grad = None
        if switched:
            student.enable_gradient_checkpointing()  # type: ignore[operator]  # diffusers' models have it
        yield
    finally:
        if switched:
            student.disable_gradient_checkpointing()  # type: ignore[operator]  # as above
        for part, mode in modes:
            part.training = mode
        for parameter, flag, gradient in gradients:
            parameter.requires_grad_(flag)
            parameter.grad = gradient
