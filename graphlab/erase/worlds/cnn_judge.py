"""A small CNN judge: a head for each attribute, with a class more for what is none of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from graphlab.erase.errors import EraseError
from graphlab.erase.metrics.accuracy import ABSTAINED
from graphlab.erase.worlds.base_file import load_state, read_tensors, write_tensors
from graphlab.erase.worlds.corruption import corrupted
from graphlab.erase.worlds.digits import jittered
from graphlab.erase.worlds.judges import REAL_NOISE, Threshold, check_images, evidence, threshold
from graphlab.erase.worlds.known import world_of
from graphlab.erase.worlds.world import Labelled, Part, World

FORMAT, VERSION = "graphlab.erase-judge", "1"
FEATURES = 64
STEPS = {"digits": 800, "layout": 1000}
DROPOUT = {"digits": 0.3, "layout": 0.0}
"""Against learning by heart, which the endless images of the layout world do not need."""
BATCH = 100
_TAUGHT: Mapping[str, Part] = {"digits": "train", "layout": "calibration"}
"""What a judge learns from. In the layout world combinations are held out of the bases, not of their judges."""
TOGETHER = 256


class JudgeNet(nn.Module):
    """Convolutions, FEATURES numbers, and logits (images, classes + 1) of each attribute, the last for none."""

    def __init__(self, world: World) -> None:
        super().__init__()
        channels, size, _ = world.shape
        self.body = nn.Sequential(
            nn.Conv2d(channels, 24, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(24, 48, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(48, 48, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(48 * (size // 2) ** 2, FEATURES),
            nn.ReLU(),
            nn.Dropout(DROPOUT[world.name]),
        )
        self.heads = nn.ModuleList(nn.Linear(FEATURES, len(part.classes) + 1) for part in world.attributes)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Logits of every attribute."""
        found = self.body(images)
        return [head(found) for head in self.heads]


@dataclass(frozen=True)
class CnnJudge:
    """`net` with a threshold an attribute on the doubt, 1 - the probability of the class chosen."""

    world: World
    net: JudgeNet
    doubts: tuple[Threshold, ...]

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return "cnn"

    @torch.no_grad()
    def labels(self, images: torch.Tensor) -> torch.Tensor:
        """Labels (images, attributes); ABSTAINED where the class for none wins or the doubt is too large."""
        check_images(images, self.world)
        found, doubts = _chosen(self.net, images)
        limits = torch.tensor([part.value for part in self.doubts], dtype=doubts.dtype)
        found[doubts > limits] = ABSTAINED
        return found

    @torch.no_grad()
    def features(self, images: torch.Tensor) -> torch.Tensor:
        """What the net knows before its heads (images, FEATURES): for kernel distances between sets of images."""
        check_images(images, self.world)
        return torch.cat([self.net.body(part) for part in torch.split(images, TOGETHER)])


def train_judge(world: World, *, seed: int = 0, steps: int | None = None) -> CnnJudge:
    """A judge trained on the training part, real and corrupted, its thresholds set on the calibration part.

    torch's own random state stays as it was. EraseError where the thresholds would tell nothing.
    """
    total = STEPS[world.name] if steps is None else steps
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = JudgeNet(world)
        _teach(net, world, total, torch.Generator().manual_seed(seed))
    net.eval()
    return CnnJudge(world, net, _thresholds(world, net))


def save_judge(judge: CnnJudge, path: Path) -> None:
    """Write a judge as one safetensors file; the same judge gives the same bytes."""
    tensors = {name: value.detach().contiguous() for name, value in judge.net.state_dict().items()}
    doubts = [dataclasses.asdict(part) for part in judge.doubts]
    write_tensors(path, tensors, {"format": FORMAT, "version": VERSION, "world": judge.world.name, "doubts": doubts})


def load_judge(path: Path) -> CnnJudge:
    """The judge in a file; EraseError for a file that is none or is damaged."""
    tensors, about = read_tensors(path, FORMAT, VERSION)
    world = world_of(about.get("world", ""))
    try:
        doubts = tuple(Threshold(**part) for part in about["doubts"])
    except (KeyError, TypeError) as error:
        raise EraseError(f"{path.name}: its thresholds cannot be read") from error
    if len(doubts) != len(world.attributes):
        raise EraseError(f"{path.name}: {len(doubts)} thresholds for {len(world.attributes)} attributes")
    net = JudgeNet(world)
    load_state(net, tensors, "", path)
    return CnnJudge(world, net.eval(), doubts)


def _teach(net: JudgeNet, world: World, total: int, generator: torch.Generator) -> None:
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for step in range(total):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / total)
        shown = _batch(world, generator)
        wanted = [_target(shown.labels[:, index], head) for index, head in enumerate(net.heads)]
        losses = [nn.functional.cross_entropy(*pair) for pair in zip(net(shown.images), wanted, strict=True)]
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(losses).sum())
        optimizer.step()


def _batch(world: World, generator: torch.Generator) -> Labelled:
    """Real images with little noise or none, and a tenth as many of each corruption."""
    real = world.sample(BATCH, generator, _TAUGHT[world.name])
    spread = 2 * REAL_NOISE * torch.rand(BATCH, 1, 1, 1, generator=generator)
    noisy = real.images + spread * torch.randn(real.images.shape, generator=generator)
    spoilt = corrupted(world, BATCH // 10, generator, _TAUGHT[world.name])
    images = torch.cat([noisy, *(part.images for part in spoilt)])
    if world.name == "digits":
        moved = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
        images = torch.where(moved, jittered(images, generator), images)
    return Labelled(images, torch.cat([real.labels, *(part.labels for part in spoilt)]))


def _target(labels: torch.Tensor, head: nn.Module) -> torch.Tensor:
    """Labels with ABSTAINED as the head's last class."""
    assert isinstance(head, nn.Linear)
    return torch.where(labels == ABSTAINED, head.out_features - 1, labels)


def _chosen(net: JudgeNet, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(classes, doubts), each (images, attributes); the class for none is never chosen but has a share in the doubt."""
    parts = [[logits.softmax(1)[:, :-1].max(1) for logits in net(part)] for part in torch.split(images, TOGETHER)]
    labels = torch.cat([torch.stack([found.indices for found in part], 1) for part in parts])
    return labels, 1 - torch.cat([torch.stack([found.values for found in part], 1) for part in parts])


@torch.no_grad()
def _thresholds(world: World, net: JudgeNet) -> tuple[Threshold, ...]:
    shown = evidence(world)
    _, real = _chosen(net, shown.real.images)
    return tuple(
        threshold(real[:, index], _chosen(net, shown.spoilt_in(index))[1][:, index])
        for index in range(len(world.attributes))
    )
