"""What erasing did to a pipeline: `graphlab erase evaluate` of a diffusers folder.

No judge comes with graphlab for what such a model draws. Without one there is drift, which needs none, and which
weights changed; a detector, a CLIP score or a FID can be plugged in as a PairJudge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.config import EDGES, check_images
from graphlab.erase.images import Sampling, draw
from graphlab.erase.jobs.comparison import Changed
from graphlab.erase.jobs.drawing import Drawn, drawing
from graphlab.erase.jobs.evaluate import changes_dict, changes_of
from graphlab.erase.jobs.memory import memory_told
from graphlab.erase.jobs.pictures import grid, smaller
from graphlab.erase.jobs.record import made_of
from graphlab.erase.metrics.drift import DriftBin, drift
from graphlab.erase.metrics.structure import structure_kept
from graphlab.erase.sources.decoding import Decode
from graphlab.erase.sources.source import ErasureSource, prompts_of
from graphlab.erase.training.progress import OnProgress
from graphlab.erase.training.strict import plain

MOST_SHOWN, MOST_PIXELS = 4, 128
"""Images a row of a picture, and pixels a side of one: enough to see by, and a tenth of a megabyte a picture."""

PairJudge = Callable[[torch.Tensor, torch.Tensor, Sequence[str]], Mapping[str, float]]
"""Pictures before and after (images, 3, height, width) in [-1, 1] and the prompts of each to figures by name."""


@dataclass(frozen=True, slots=True)
class PairConfig:
    """`images` of each prompt, drawn in `steps` with `guidance` from the seeds `seed` on, `together` at a time; drift
    is averaged between `edges` (log SNR), at `levels` a bin."""

    images: int = 4
    steps: int = 25
    guidance: float = 7.5
    seed: int = 0
    edges: tuple[float, ...] = EDGES
    levels: int = 4
    together: int = 1

    def __post_init__(self) -> None:
        for name in ("images", "steps", "levels", "together"):
            if getattr(self, name) < 1:
                raise EraseError(f"{name} is {getattr(self, name)}, expected 1 or more")
        check_images(self.seed, self.guidance)
        if len(self.edges) < 2 or any(later <= earlier for earlier, later in pairwise(self.edges)):
            raise EraseError("edges of bins rise, and there are two at least")


@dataclass(frozen=True)
class PairReport:
    """`drift` {"concept", "kept" or "empty": bins}; `structure` {"concept" or "kept": mean correlation of the low
    passes of a seed's two latents, None where all are flat}; `judged` {judge: {"concept" or "kept": its figures}};
    which weights changed, and how many entries `outside` of a mask, None without one. `made` says what it was made of
    and with. `pictures` {"concept" or "kept": pixels (height, width, 3) uint8} show some images before and, below them,
    after; there are none without a decoder."""

    drift: Mapping[str, tuple[DriftBin, ...]]
    structure: Mapping[str, float | None]
    judged: Mapping[str, Mapping[str, Mapping[str, float]]]
    changes: tuple[Changed, ...]
    outside: int | None
    prompts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    config: PairConfig = field(default_factory=PairConfig)
    made: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """All of it but the pictures, in values that JSON can write."""
        return {
            "made": dict(self.made),
            "config": plain(self.config),
            "prompts": {name: list(found) for name, found in self.prompts.items()},
            "drift": {name: [asdict(part) for part in bins] for name, bins in self.drift.items()},
            "structure": dict(self.structure),
            "judged": {name: {group: dict(found) for group, found in by.items()} for name, by in self.judged.items()},
            **changes_dict(self.changes, self.outside),
        }


@memory_told()
def evaluate_pipeline(
    base: ErasureSource,
    erased: ErasureSource,
    concepts: Sequence[str],
    kept: Sequence[str] = (),
    config: PairConfig | None = None,
    *,
    mask: Path | None = None,
    judges: Mapping[str, PairJudge] | None = None,
    decode: Decode | None = None,
    on_progress: OnProgress | None = None,
) -> PairReport:
    """What moved in `erased`, once `base`: predictions under prompts of `concepts`, under `kept` prompts and the empty
    one, images of both, and weights.

    Latents are those that `base` draws. `judges` are shown pictures that `decode` makes, and so is whoever reads the
    report. EraseError for no concept, judges without a decoder, and models of other weights.
    """
    how, found = config or PairConfig(), {"concept": prompts_of(base, concepts, ()), "kept": tuple(kept)}
    asked = {group: prompts for group, prompts in found.items() if prompts}
    if "concept" not in asked:
        raise EraseError("which concept was erased?", hint="name it")
    if judges and decode is None:
        raise EraseError("judges look at pictures, and there is no decoder to make them")
    changes, beyond = changes_of(base, erased, mask)
    tell = drawing(2 * how.images * sum(map(len, asked.values())), on_progress)
    before, after = (
        {group: _drawn(model, base, prompts, how, tell) for group, prompts in asked.items()} for model in (base, erased)
    )
    return PairReport(
        drift=_drifts(base, erased, asked, before, how),
        structure={group: _structure(before[group], after[group]) for group in asked},
        judged=_judged(judges or {}, decode, asked, before, after, how),
        changes=changes,
        outside=beyond,
        prompts=asked,
        config=how,
        made=made_of(base, erased, mask),
        pictures={} if decode is None else {group: _shown(decode, before[group], after[group], how) for group in asked},
    )


def _shown(decode: Decode, before: torch.Tensor, after: torch.Tensor, how: PairConfig) -> torch.Tensor:
    """The `grid` of MOST_SHOWN images before and after: the first of every prompt, then the second of each, ..."""
    turns = sorted(range(len(before)), key=lambda index: (index % how.images, index))[:MOST_SHOWN]
    return grid([smaller(decode(latents[turns]), MOST_PIXELS) for latents in (before, after)])


def _drawn(
    model: ErasureSource, base: ErasureSource, prompts: Sequence[str], how: PairConfig, tell: Drawn
) -> torch.Tensor:
    """Latents (prompts x images, channels, height, width), those of one prompt side by side."""
    rows, empty = base.encode(prompts).repeat_interleave(how.images, 0), base.encode([""])
    sampling = Sampling(base.shape, how.steps, how.guidance, how.together)
    made = []
    for start in range(0, len(rows), how.together):
        given = rows[start : start + how.together]
        seeds = range(how.seed + start, how.seed + start + len(given))
        made.append(draw(model.model.denoiser, given, empty, seeds, sampling))
        tell(len(given))
    return torch.cat(made)


def _drifts(
    base: ErasureSource,
    erased: ErasureSource,
    asked: Mapping[str, Sequence[str]],
    latents: Mapping[str, torch.Tensor],
    how: PairConfig,
) -> dict[str, tuple[DriftBin, ...]]:
    model, teacher = erased.model.denoiser, base.model.denoiser
    texts = {group: base.encode(prompts).repeat_interleave(how.images, 0) for group, prompts in asked.items()}
    found = {
        group: drift(model, teacher, latents[group], text, how.edges, levels=how.levels, seed=how.seed)
        for group, text in texts.items()
    }
    some = latents.get("kept", latents["concept"])
    found["empty"] = drift(model, teacher, some, base.encode([""]), how.edges, levels=how.levels, seed=how.seed)
    if not all(math.isfinite(part.drift) for bins in found.values() for part in bins):
        raise EraseError("predictions are not finite", hint="look at the weights of both models, and at the guidance")
    return found


def _structure(before: torch.Tensor, after: torch.Tensor) -> float | None:
    known = structure_kept(before, after)
    known = known[torch.isfinite(known)]
    return float(known.mean()) if len(known) else None


def _judged(
    judges: Mapping[str, PairJudge],
    decode: Decode | None,
    asked: Mapping[str, Sequence[str]],
    before: Mapping[str, torch.Tensor],
    after: Mapping[str, torch.Tensor],
    how: PairConfig,
) -> dict[str, dict[str, dict[str, float]]]:
    if decode is None or not judges:
        return {}
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in judges}
    for group, prompts in asked.items():
        old, new = (decode(latents[group]) for latents in (before, after))
        rows = [prompt for prompt in prompts for _ in range(how.images)]
        for name, judge in judges.items():
            found[name][group] = _figures(name, judge(old, new, rows))
    return found


def _figures(name: str, given: Any) -> dict[str, float]:
    """The figures of a judge, who may be anybody's; EraseError for what are none."""
    if not isinstance(given, Mapping):
        raise EraseError(f"the judge {name} gave {type(given).__name__}, expected figures by name")
    try:
        made = {str(key): float(value) for key, value in given.items()}
    except (TypeError, ValueError) as error:
        raise EraseError(f"the judge {name} gave what is no number: {error}") from error
    if not all(math.isfinite(value) for value in made.values()):
        raise EraseError(f"the judge {name} gave a number that is not finite")
    return made
