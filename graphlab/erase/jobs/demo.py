"""A concept erased before one's eyes: `graphlab erase demo`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.config import EvaluationConfig
from graphlab.erase.evaluation.judging import judged
from graphlab.erase.evaluation.plan import draw_plan, plan
from graphlab.erase.evaluation.result import Judged
from graphlab.erase.evaluation.subject import BaseSubject
from graphlab.erase.jobs.config import erase_config
from graphlab.erase.jobs.output import claim_folder, drop
from graphlab.erase.jobs.pictures import COLUMNS, before_after, write_png
from graphlab.erase.jobs.record import Record, hashes_of
from graphlab.erase.jobs.saliency import MANIFEST, PARTIAL, Masked, make_mask
from graphlab.erase.jobs.train import Erased, train_erased
from graphlab.erase.sources.of_base import FILE as ERASED
from graphlab.erase.sources.of_base import BaseSource
from graphlab.erase.training.progress import OnProgress
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.base_file import load_base, save_base
from graphlab.erase.worlds.judges import Judge

BASE, MASK, PICTURE, RECORD = "base.safetensors", "mask.safetensors", "before_after.png", "demo.json"


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


DEMOS: Mapping[str, DemoConfig] = {
    "digits": DemoConfig(),
    "layout": DemoConfig(rate=1e-3, boundary=-1.0),
}
"""{world: what erases one of its classes within minutes}. A glyph of the layout world is decided late and in few
pixels: it takes a later boundary and a higher rate."""


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
    place: Path | None = None,
    force: bool = False,
    on_map: OnProgress | None = None,
    on_step: OnProgress | None = None,
) -> Demo:
    """Erases `concept` from `base` and writes BASE, the erased base, MASK and PICTURE into `folder`.

    Without `config` it is the one of the base's world in DEMOS. Weights outside the mask are compared to the bit;
    `config.steps` 0 leaves everything as it was. It takes minutes, and one that was interrupted begins anew. `place` is
    the file the base was read from, which is not written over. EraseError for an unknown concept, a judge of another
    world, and a folder that cannot be written, holds that file, or holds something.
    """
    how = config or DEMOS[base.config.world]
    source = BaseSource(base, base.config.world, place)
    settings = erase_config(source, values_of(how), {"concepts": [concept]})
    counts = EvaluationConfig(
        images=max(how.images, COLUMNS), unseen_images=0, kept_images=how.kept_images, seed=how.seed
    )
    source.phrases(concept)  # refuses an unknown concept, and names the nearest, before anything is written
    asked = plan(base, concept, counts)
    _claim(folder, source, force)
    mask = make_mask(source, settings, folder / MASK, on_progress=on_map)
    erased = train_erased(source, settings, folder, mask=mask.path, force=True, on_progress=on_step)
    after_base = load_base(folder / ERASED)  # what was written, not what is in memory
    images = [draw_plan(BaseSubject(model), asked, base, counts) for model in (base, after_base)]
    picture = before_after(asked, *images)
    write_png(folder / PICTURE, picture)
    before, after = (tuple(judged(judge, base.world, asked, drawn) for judge in judges) for drawn in images)
    files = (folder / BASE, mask.path, mask.manifest, *erased.files, folder / PICTURE)
    made = Demo(concept, before, after, mask, erased, picture, (*files, folder / RECORD))
    _record(made, how, source, hashes_of(files, folder)).write(folder / RECORD)
    return made


def _record(made: Demo, how: DemoConfig, source: BaseSource, outputs: Mapping[str, str]) -> Record:
    return Record(
        command="demo",
        source=source.name,
        base=made.mask.found.base,
        config={"concept": made.concept, **asdict(how)},
        seeds={"images": how.seed, "training": how.seed, "maps": list(range(how.seeds))},
        outputs=outputs,
        results={
            old.judge: {
                name: {"acc_e": part.erased["trained"].value, "acc_p": part.acc_p.value}
                for name, part in (("before", old), ("after", new))
            }
            for old, new in zip(made.before, made.after, strict=True)
        },
    )


def _claim(folder: Path, source: BaseSource, force: bool) -> None:
    """The folder with the base in it, and nothing of an earlier demonstration."""
    claim_folder(folder, source, force=force)
    if force:
        drop(*(folder / name for name in (BASE, MASK, MASK + PARTIAL, MASK + MANIFEST, PICTURE, RECORD)))
    save_base(source.base, folder / BASE)


def values_of(how: DemoConfig) -> dict[str, object]:
    """The demonstration as values of a configuration of all commands: reading B of the published weights."""
    path = {"boundary": how.boundary, "batch": how.batch, "pool": how.batch, "steps": 25}
    return {
        "preset": "paper-b",
        "maps": {"boundary": how.boundary, "seeds": list(range(how.seeds)), "batch": 10, "steps": 25},
        "training": {"iterations": how.steps, "rate": how.rate, "seed": how.seed, "path": path},
    }
