"""A base in training: weights, their moving average and the optimiser, kept in one file without pickle."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from graphlab.erase.errors import EraseError
from graphlab.erase.noise import Parametrisation
from graphlab.erase.worlds.base import Base, config_of, new_base
from graphlab.erase.worlds.base_file import load_state, read_tensors, write_tensors
from graphlab.erase.worlds.known import world_of
from graphlab.erase.worlds.text_encoder import WIDTH

FORMAT, VERSION = "graphlab.erase-base-training", "2"


@dataclass(frozen=True, slots=True)
class Training:
    """How a base is trained; the same values give the same weights for a fixed number of threads.

    Adam at `rate` after `warm_up` steps, falling as a half cosine to a twentieth; batches of `batch`; `dropped` of the
    prompts are empty; the weights kept are a moving average with `decay`. `telling` weighs a second task of the encoder
    alone, to tell what a prompt names: CLIP's encoder has learnt what words mean before a U-Net reads it, and without
    such a task the U-Net does not learn to read the words within ten thousand steps. `without` is a concept, a label
    of the world's last attribute, that is never shown nor named: a model that never knew what others have erased.
    """

    world: str
    kind: Parametrisation
    seed: int
    steps: int
    batch: int
    rate: float = 1e-3
    warm_up: int = 100
    dropped: float = 0.1
    decay: float = 0.999
    telling: float = 0.3
    threads: int = 1
    device: str = "cpu"
    without: int | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.threads < 1 or not self.rate > 0:
            raise EraseError(f"a training takes a step, an image, a thread and a rate above 0: {self}")
        if not (0 <= self.dropped < 1 and 0 <= self.decay < 1 and self.telling >= 0):
            raise EraseError(f"shares lie between 0 and 1, a weight at 0 or above: {self}")
        concept = world_of(self.world).attributes[-1]
        if self.without is not None and not 0 <= self.without < len(concept.classes):
            raise EraseError(f"there is no {concept.name} {self.without} to leave out")

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        part = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.rate * (0.05 + 0.95 * (1 + math.cos(math.pi * part)) / 2)

    def decay_at(self, step: int) -> float:
        """The decay of the average after a step; it starts low, so that the first weights are soon forgotten."""
        return min(self.decay, (1 + step) / (10 + step))


@dataclass
class State:
    """`step` steps are done; `base` is being trained, `average` is what will be kept.

    `tellers` give logits of what each attribute is named as, from a token's encoding; they are dropped in the end.
    `loss` is the sum over the steps since the last that was logged: a resumed training logs the same means.
    """

    how: Training
    step: int
    base: Base
    average: Base
    tellers: nn.ModuleList
    optimizer: torch.optim.Adam
    loss: torch.Tensor

    def modules(self) -> dict[str, nn.Module]:
        """{prefix in the file: module}."""
        return {
            "unet.": self.base.unet,
            "encoder.": self.base.encoder,
            "tellers.": self.tellers,
            "average.unet.": self.average.unet,
            "average.encoder.": self.average.encoder,
        }


def parameters_of(base: Base) -> list[nn.Parameter]:
    """All weights of U-Net and encoder, in a fixed order."""
    return [*base.unet.parameters(), *base.encoder.parameters()]


def fresh(how: Training) -> State:
    """The state before the first step."""
    base = new_base(config_of(how.world, how.kind), how.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(how.seed)
        tellers = nn.ModuleList(nn.Linear(WIDTH, len(part.classes) + 1) for part in base.world.attributes)
    for module in (base.unet, base.encoder, tellers):
        module.to(how.device)
    learnt = [*parameters_of(base), *tellers.parameters()]
    rate = torch.tensor(how.rate, device=how.device)
    # A rate and counts of steps that are tensors can change under a recorded step.
    optimizer = torch.optim.Adam(learnt, lr=rate, capturable=rate.is_cuda, foreach=rate.is_cuda)
    return State(how, 0, base, base.copy(), tellers, optimizer, torch.zeros((), device=how.device))


def save_state(state: State, path: Path) -> None:
    """Write a state; the file is whole or is not there."""
    tensors = {
        f"{prefix}{name}": value.detach()
        for prefix, module in state.modules().items()
        for name, value in module.state_dict().items()
    }
    for index, values in state.optimizer.state_dict()["state"].items():
        tensors.update({f"adam.{index}.{name}": value for name, value in values.items()})
    tensors = {"loss": state.loss, **tensors}
    about = {"format": FORMAT, "version": VERSION, "step": state.step, "how": dataclasses.asdict(state.how)}
    write_tensors(path, {name: value.cpu().contiguous() for name, value in tensors.items()}, about)


def load_state_file(path: Path, how: Training) -> State:
    """The state in a file; EraseError for one of a training with other settings."""
    tensors, about = read_tensors(path, FORMAT, VERSION)
    if about.get("how") != dataclasses.asdict(how):
        asked = f"asked for {dataclasses.asdict(how)}; take another folder"
        raise EraseError(f"{path.name} is of the training {about.get('how')}", hint=asked)
    state = fresh(how)
    for prefix, module in state.modules().items():
        load_state(module, tensors, prefix, path)
    found: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("adam."):
            _, index, field = name.split(".")
            found.setdefault(int(index), {})[field] = value
    state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": found})
    state.step = about["step"]
    state.loss.copy_(tensors["loss"])
    return state
