"""The points of an iteration: one start noise, one deterministic path, an early and a late point on it."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import torch

from graphlab.erase.denoiser import Denoiser
from graphlab.erase.errors import EraseError
from graphlab.erase.images import seeded_noise
from graphlab.erase.noise import Level
from graphlab.erase.trajectory import Boundary, Point, Trajectory


@dataclass(frozen=True, slots=True)
class Draw:
    """What chance decides of an iteration: the `seed` of its noise and the indices of its levels, None for no level."""

    seed: int
    early: int | None
    late: int | None

    @property
    def indices(self) -> tuple[int, ...]:
        """The indices there are."""
        return tuple(index for index in (self.early, self.late) if index is not None)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The points of an iteration, on one path: `early` and `late`, None where that side has no level."""

    early: Point | None
    late: Point | None


@dataclass(frozen=True)
class PointSampler:
    """Draws points on paths over `levels`, guided by `guidance`; `shape` is (batch, channels, height, width).

    Early levels are the noisy side of `boundary`, late ones the other side up to the log SNR `until`. A seed makes the
    noise of a whole batch. With a `pool`, seeds are drawn from it, so that a teacher's paths are worth keeping.
    """

    levels: tuple[Level, ...]
    boundary: Boundary
    shape: tuple[int, int, int, int]
    guidance: float = 3.0
    until: float = inf
    pool: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not any(self.sides):
            raise EraseError(f"none of {len(self.levels)} levels lies on a side of log SNR {self.boundary.log_snr}")
        if min(self.shape) < 1:
            raise EraseError(f"latents of shape {self.shape}")

    @property
    def sides(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Indices of (early, late) levels."""
        early, late = self.boundary.split(self.levels)
        return early, tuple(index for index in late if self.levels[index].log_snr < self.until)

    def draw(self, generator: torch.Generator) -> Draw:
        """A seed, and an index of each side that has one, all uniform and from `generator`, a CPU one, alone."""
        seed = self.pool[_below(len(self.pool), generator)] if self.pool else _below(2**63 - 1, generator)
        early, late = (side[_below(len(side), generator)] if side else None for side in self.sides)
        return Draw(seed, early, late)

    def points(self, draw: Draw, denoiser: Denoiser, text: torch.Tensor, empty: torch.Tensor) -> Drawn:
        """The points of `draw` on the path of `denoiser` under `text` (1, tokens, width), guided away from `empty`."""
        path = Trajectory(denoiser, self.levels, self.guidance)
        return _drawn(draw, path.at(draw.indices, self.noise(draw.seed, text), text, empty))

    def noise(self, seed: int, like: torch.Tensor) -> torch.Tensor:
        """The start noise (batch, channels, height, width) of `seed`, with dtype and device of `like`."""
        return seeded_noise([seed], self.shape)[0].to(like)

    def late_points(
        self, draws: Sequence[Draw], denoiser: Denoiser, text: torch.Tensor, empty: torch.Tensor
    ) -> tuple[Point, ...]:
        """The late point of every draw, their paths followed as one batch. EraseError where no level is late."""
        indices = [draw.late for draw in draws if draw.late is not None]
        if len(indices) < len(draws):
            raise EraseError(f"no level lies between log SNR {self.boundary.log_snr} and {self.until}")
        noise = torch.cat([self.noise(draw.seed, text) for draw in draws])
        found = Trajectory(denoiser, self.levels, self.guidance).at(indices, noise, text, empty)
        rows = (found[index].x[at * self.shape[0] : (at + 1) * self.shape[0]] for at, index in enumerate(indices))
        return tuple(Point(x, self.levels[index]) for x, index in zip(rows, indices, strict=True))


class TeacherPaths:
    """Paths of one frozen `teacher`, kept up to `limit` bytes; the one unused for longest goes first.

    A path is kept as far as it was followed, and followed on from there when a later level is asked for. The same seed,
    prompts, guidance and levels give the same points to the last bit, kept or not.
    """

    def __init__(self, teacher: Denoiser, limit: int) -> None:
        if limit < 0:
            raise EraseError(f"{limit} bytes for paths")
        self.teacher = teacher
        self.limit = limit
        self.held = 0
        self.evaluated = 0
        """Levels followed so far, that is, evaluations of the teacher of one batch (or two, guided)."""
        self._paths: OrderedDict[bytes, list[torch.Tensor]] = OrderedDict()

    def points(self, sampler: PointSampler, draw: Draw, text: torch.Tensor, empty: torch.Tensor) -> Drawn:
        """The points of `draw`, as `sampler.points` gives them."""
        key = _key(sampler, draw.seed, text, empty)
        path = self._paths.pop(key, [])
        self.held -= _bytes(path)
        if not path:
            path = [sampler.noise(draw.seed, text)]
        last = max(draw.indices)
        if len(path) <= last:
            path = [*path, *self._further(sampler, path, last, text, empty)]
        self._keep(key, path)
        return _drawn(draw, {index: Point(path[index], sampler.levels[index]) for index in draw.indices})

    def _further(
        self, sampler: PointSampler, path: list[torch.Tensor], last: int, text: torch.Tensor, empty: torch.Tensor
    ) -> list[torch.Tensor]:
        start = len(path) - 1
        rest = Trajectory(self.teacher, sampler.levels[start:], sampler.guidance)
        self.evaluated += last - start
        found = rest.at(range(last - start + 1), path[-1], text, empty)
        return [found[index].x for index in range(1, last - start + 1)]

    def _keep(self, key: bytes, path: list[torch.Tensor]) -> None:
        if _bytes(path) > self.limit:
            return
        self._paths[key] = path
        self.held += _bytes(path)
        while self.held > self.limit:
            _, dropped = self._paths.popitem(last=False)
            self.held -= _bytes(dropped)


def _below(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))


def _drawn(draw: Draw, found: dict[int, Point]) -> Drawn:
    early, late = (None if index is None else found[index] for index in (draw.early, draw.late))
    return Drawn(early, late)


def _bytes(path: list[torch.Tensor]) -> int:
    return sum(x.numel() * x.element_size() for x in path)


def _key(sampler: PointSampler, seed: int, text: torch.Tensor, empty: torch.Tensor) -> bytes:
    digest = hashlib.sha256(repr((seed, sampler.shape, sampler.guidance, sampler.levels)).encode())
    for prompt in (text, empty):
        digest.update(repr((prompt.dtype, tuple(prompt.shape))).encode())
        digest.update(prompt.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.digest()
