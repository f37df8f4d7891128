"""Builds a saliency mask: a map for every prompt and seed, thresholded and combined as they come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from graphlab.erase.errors import EraseError
from graphlab.erase.saliency.config import SaliencyConfig
from graphlab.erase.saliency.controls import RandomMasks
from graphlab.erase.saliency.density import DensityRow, densities
from graphlab.erase.saliency.gradients import Scores, scores_of, stepping_scores
from graphlab.erase.saliency.packed import PackedMasks, Votes
from graphlab.erase.saliency.partial import Partial
from graphlab.erase.saliency.ranking import kept
from graphlab.erase.training.backend import device_of
from graphlab.erase.training.config import text_hash
from graphlab.erase.training.model import Model, module_hash
from graphlab.erase.training.parameters import select
from graphlab.erase.training.progress import OnProgress, Pace
from graphlab.erase.training.prompts import Prompts
from graphlab.erase.training.run import prepared
from graphlab.erase.training.strict import plain
from graphlab.masks import write_mask


@dataclass(frozen=True)
class Saliency:
    """A mask {key: boolean tensor} for the model whose weights hash to `base`, and what is said `about` it.

    `curve` counts the entries kept of the first map, the first two combined, and so on.
    """

    masks: PackedMasks
    base: str
    about: Mapping[str, Any]
    curve: tuple[int, ...]

    @property
    def rows(self) -> tuple[DensityRow, ...]:
        """Set entries by weight."""
        return densities(self.masks)

    def write(self, path: Path, module: nn.Module) -> None:
        """Writes the mask file for `module`, the model it was made for; EraseError for another."""
        self._write(path, module, self.masks, self.about)

    def write_random(self, path: Path, module: nn.Module, seed: int) -> None:
        """Writes a random mask of equal density in every weight, which says so."""
        about = {"method": "random", "seed": seed, "as_dense_as": dict(self.about)}
        self._write(path, module, RandomMasks(self.masks, seed), about)

    def _write(
        self, path: Path, module: nn.Module, masks: Mapping[str, torch.Tensor], about: Mapping[str, Any]
    ) -> None:
        if module_hash(module) != self.base:
            raise EraseError("the mask was made for other weights than the model has", hint="write it before training")
        write_mask(path, masks, module.state_dict(), about)


def saliency(
    model: Model,
    prompts: Prompts,
    config: SaliencyConfig,
    *,
    partial: Path | None = None,
    on_progress: OnProgress | None = None,
) -> Saliency:
    """The mask of `prompts` x `config.seeds` at the weights of `model`, which are the same afterwards, to the bit.

    In memory are one map, the gradient of a sample, and one bit an entry of what is combined (for votes, the bits of a
    count). With the file `partial`, every finished map is kept there, and a run that finds it goes on from it with
    identical results. EraseError for a mask without an entry, more votes than maps, a gradient that is not finite, a
    kept run of another configuration, and a network that changes its own weights.
    """
    votes = Votes(config.combine, config.votes)
    maps = [(name, seed) for name in prompts.concept for seed in config.seeds]
    if config.votes is not None and config.votes > len(maps):
        raise EraseError(f"{config.votes} votes of {len(maps)} maps")
    base = module_hash(model.module)
    kept_at = None if partial is None else Partial(partial, _fingerprint(config, base, prompts))
    curve, sums = ([], {}) if kept_at is None else kept_at.load(votes)
    pace = Pace(len(maps), len(curve))
    for masks, means in _maps(model, prompts, maps[len(curve) :], config):
        votes.add(masks)
        sums = {key: sums.get(key, 0.0) + mean for key, mean in means.items()}
        del masks  # or it would lie beside the next map
        curve.append(sum(row.kept for row in densities(votes.result())))
        if kept_at is not None:
            kept_at.save(votes, curve, sums)
        if on_progress is not None:
            on_progress(pace.after(len(curve)))
        if config.combine == "intersection" and not curve[-1]:
            break
    if module_hash(model.module) != base:
        raise EraseError("weights of the model changed while its gradients were taken: the network writes into them")
    _check_some(curve, config)
    return Saliency(votes.result(), base, _about(config, prompts, curve, sums), tuple(curve))


def _check_some(curve: list[int], config: SaliencyConfig) -> None:
    """EraseError for a mask without an entry."""
    if not curve[-1]:
        raise EraseError(
            f"no entry is in the {config.combine} of {len(curve)} maps, each of which keeps {config.fraction:g}",
            hint="keep a larger fraction, take fewer maps, or count votes",
        )


def _maps(
    model: Model, prompts: Prompts, maps: list[tuple[str, int]], config: SaliencyConfig
) -> Iterator[tuple[dict[str, torch.Tensor], dict[str, float]]]:
    """(mask, {key: mean score}) of one map after the other, whose scores are gone when it comes; flags of the model are
    as before when they are done, or given up."""
    prompts = prompts.to(device_of(model.module))
    with prepared(model.module, model.module, config.gradient_checkpointing):
        model.module.requires_grad_(False)
        for parameter in select(model.module, config.parameters).values():
            parameter.requires_grad_(True)
        for name, seed in maps:
            yield _map(_scores(model, prompts.concept[name], prompts.empty, seed, config), config)


def _map(scores: Scores, config: SaliencyConfig) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """(mask, {key: mean over the entries}) of the scores of one map."""
    means = {key: float(values.mean(dtype=torch.float64)) for key, values in scores.items()}
    return kept(scores, config.fraction, config.ranking, config.keep), means


def _scores(model: Model, text: torch.Tensor, empty: torch.Tensor, seed: int, config: SaliencyConfig) -> Scores:
    if config.stepping is not None:
        return stepping_scores(model, text, empty, seed, config, config.stepping)
    return scores_of(model, text, empty, seed, config)


def _fingerprint(config: SaliencyConfig, base: str, prompts: Prompts) -> str:
    return text_hash([plain(config), base, prompts.hashes(), list(prompts.concept)])


def _about(config: SaliencyConfig, prompts: Prompts, curve: list[int], sums: Mapping[str, float]) -> dict[str, Any]:
    """What the file says of its making. `mean_scores` {key: score} are means over a weight's entries and the maps."""
    settings = plain(config)
    return {
        "method": "saliency",
        "prompts": list(prompts.concept),
        "seeds": list(config.seeds),
        "log_snr": [settings["boundary"], settings["until"]],
        "fraction": config.fraction,
        "score": config.score,
        "ranking": config.ranking,
        "keep": config.keep,
        "combination": config.combine if config.votes is None else f"vote of {config.votes}",
        "maps": len(curve),
        "kept_after": curve,
        "mean_scores": {key: total / len(curve) for key, total in sums.items()},
        "config": settings,
    }
