"""A concept erased before one's eyes: `graphlab erase demo`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.config import EvaluationConfig
from graphlab.erase.evaluation.judging import judged
from graphlab.erase.evaluation.plan import Group, Plan, draw_plan, plan
from graphlab.erase.evaluation.result import Judged
from graphlab.erase.evaluation.subject import BaseSubject
from graphlab.erase.jobs.config import erase_config
from graphlab.erase.jobs.output import claim_folder, drop
from graphlab.erase.jobs.pictures import grid, write_png
from graphlab.erase.jobs.saliency import MANIFEST, PARTIAL, Masked, make_mask
from graphlab.erase.jobs.train import Erased, train_erased
from graphlab.erase.sources.of_base import BaseSource
from graphlab.erase.training.progress import OnProgress
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.base_file import load_base, save_base
from graphlab.erase.worlds.judges import Judge

BASE, MASK, PICTURE = "base.safetensors", "mask.safetensors", "before_after.png"
COLUMNS = 8
"""Images a row of the picture: of digits, what fits a terminal."""


@dataclass(frozen=True, slots=True)
class DemoConfig:
    """`steps` iterations at the learning `rate`, `batch` samples each, t' at the log SNR `boundary`; the mask is the
    intersection of a map for each phrase of the concept and of `seeds` seeds. `images` of the concept are judged, and
    `kept_images` of every other class."""

    steps: int = 100
    rate: float = 3e-4
    batch: int = 8
    boundary: float = -2.0
    seeds: int = 2
    images: int = 96
    kept_images: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise EraseError(f"steps are {self.steps}, expected 0 or more")
        if self.seeds < 1:
            raise EraseError(f"seeds are {self.seeds}, expected 1 or more")


@dataclass(frozen=True)
class Demo:
    """`before` and `after` as each judge sees them; the `mask`, what was `erased`, and the `picture` (height, width, 3)
    uint8: the concept before and after, then other classes before and after, column by column of the same seed."""

    concept: str
    before: tuple[Judged, ...]
    after: tuple[Judged, ...]
    mask: Masked
    erased: Erased
    picture: torch.Tensor
    files: tuple[Path, ...]


def demo(
    base: Base,
    concept: str,
    judges: Sequence[Judge],
    folder: Path,
    config: DemoConfig | None = None,
    *,
    force: bool = False,
    on_map: OnProgress | None = None,
    on_step: OnProgress | None = None,
) -> Demo:
    """Erases `concept` from `base` and writes BASE, the erased base, MASK and PICTURE into `folder`.

    Weights outside the mask are compared to the bit; `config.steps` 0 leaves everything as it was. EraseError for an
    unknown concept, a judge of another world, and a folder that cannot be written or holds something.
    """
    how = config or DemoConfig()
    source = BaseSource(base, base.config.world)
    settings = erase_config(source, values_of(how), {"concepts": [concept]})
    counts = EvaluationConfig(
        images=max(how.images, COLUMNS), unseen_images=0, kept_images=how.kept_images, seed=how.seed
    )
    source.phrases(concept)  # refuses an unknown concept, and names the nearest, before anything is written
    asked = plan(base, concept, counts)
    claim_folder(folder, source, force=force)
    if force:
        drop(*(folder / name for name in (MASK, MASK + PARTIAL, MASK + MANIFEST)))
    save_base(base, folder / BASE)
    mask = make_mask(source, settings, folder / MASK, on_progress=on_map)
    erased = train_erased(source, settings, folder, mask=mask.path, force=True, on_progress=on_step)
    after_base = load_base(folder / "erased.safetensors")  # what was written, not what is in memory
    before, after = (draw_plan(BaseSubject(model), asked, base, counts) for model in (base, after_base))
    picture = grid(_rows(asked, before, after))
    write_png(folder / PICTURE, picture)
    return Demo(
        concept,
        tuple(judged(judge, base.world, asked, before) for judge in judges),
        tuple(judged(judge, base.world, asked, after) for judge in judges),
        mask,
        erased,
        picture,
        (folder / BASE, mask.path, mask.manifest, *erased.files, folder / PICTURE),
    )


def values_of(how: DemoConfig) -> dict[str, object]:
    """The demonstration as values of a configuration of all commands: reading B of the published weights."""
    path = {"boundary": how.boundary, "batch": how.batch, "pool": how.batch, "steps": 25}
    return {
        "preset": "paper-b",
        "maps": {"boundary": how.boundary, "seeds": list(range(how.seeds)), "batch": 10, "steps": 25},
        "training": {"iterations": how.steps, "rate": how.rate, "seed": how.seed, "path": path},
    }


def _rows(asked: Plan, before: Mapping[Group, torch.Tensor], after: Mapping[Group, torch.Tensor]) -> list[torch.Tensor]:
    """Rows of COLUMNS images: the concept before and after, and as many others, classes in turn."""
    labels = asked["kept"].labels[:, -1].tolist()
    firsts = [labels.index(label) for label in dict.fromkeys(labels)]
    others = [*firsts, *(index for index in range(len(labels)) if index not in set(firsts))][:COLUMNS]
    rows = [before["trained"][:COLUMNS], after["trained"][:COLUMNS]]
    return rows if len(others) < COLUMNS else [*rows, before["kept"][others], after["kept"][others]]
