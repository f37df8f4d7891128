"""Does a run: the method, then an evaluation of every checkpoint."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import torch

from benchmarks.erasure.study.checkpoints import Checkpoints
from benchmarks.erasure.study.endpoint import AT
from benchmarks.erasure.study.rows import Row
from benchmarks.erasure.study.runs import EFFORT, EVALUATION, Run
from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.attacks import AttackConfig, attack
from graphlab.erase.evaluation.config import EvaluationConfig
from graphlab.erase.evaluation.evaluating import before_images
from graphlab.erase.evaluation.plan import Group, plan
from graphlab.erase.evaluation.subject import BaseSubject
from graphlab.erase.methods.effort import Effort
from graphlab.erase.methods.known import method
from graphlab.erase.methods.running import Erased, run_method
from graphlab.erase.training.model import module_hash
from graphlab.erase.training.strict import plain
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.base_file import load_base, read_tensors, write_tensors
from graphlab.erase.worlds.shipped import FILES, judges_of, shipped

RETRAINED = Path(__file__).parent.parent / "retrained"


ATTACKS = AttackConfig(steps=EVALUATION.steps)


@dataclass(frozen=True, slots=True)
class Setting:
    """Where things are, and how much is done: `files` of the shipped models, `retrained` ones, `effort` by world."""

    files: Path = FILES
    retrained: Path = RETRAINED
    effort: Mapping[str, Effort] | None = None
    evaluation: EvaluationConfig = EVALUATION
    attacks: AttackConfig = ATTACKS

    def of(self, base: Base) -> Effort:
        """The effort of a base's world."""
        known = EFFORT if self.effort is None else self.effort
        return known["digits" if base.world.name == "digits" else "world"]


def do(run: Run, rate: float | None, folder: Path, setting: Setting) -> list[Row]:
    """The rows of a run with a learning `rate`. What it leaves in `folder` lets it go on when it is cut off."""
    began = time.monotonic()
    base = shipped(run.base, setting.files)
    work = folder / "work" / run.key
    if run.stage == "attack":
        rows: list[Row] = [_attacked(run, rate, base, work, setting)]
    else:
        erased = _erased(run, rate, base, work, setting)
        rows = _evaluated(run, base, erased, folder, setting)
    shutil.rmtree(work, ignore_errors=True)
    head: Row = {
        "part": run.part,
        "stage": run.stage,
        "base": run.base,
        "base_sha256": module_hash(base.unet)[:16],
        "concepts": "+".join(run.concepts),
        "method": run.method,
        "seed": run.seed,
        "rate": "" if rate is None else f"{rate:g}",
    }
    tail: Row = {"seconds": f"{time.monotonic() - began:.1f}", "torch": str(torch.__version__)}
    return [{**head, **row, **tail} for row in rows]


def _erased(run: Run, rate: float | None, base: Base, work: Path, setting: Setting) -> Erased:
    other = None
    if run.method == "retrained":
        world, seed = base.world.name, run.base.rsplit("-", 1)[1]
        other = load_base(setting.retrained / f"{world}-without-{'-'.join(run.concepts)}-{seed}.safetensors")
    effort = setting.of(base)
    return run_method(base, run.concepts, method(run.method), effort, work, rate=rate, seed=run.seed, retrained=other)


def _evaluated(run: Run, base: Base, erased: Erased, folder: Path, setting: Setting) -> list[Row]:
    rows = []
    for concept in run.concepts:
        judges = judges_of(base.world.name, setting.files)
        checkpoints = Checkpoints.of(run, base, erased, concept, judges, setting.evaluation)
        rows += checkpoints.rows(_before(base, concept, checkpoints.also, folder, setting))
    return rows


def _before(base: Base, concept: str, also: Sequence[str], folder: Path, setting: Setting) -> dict[Group, torch.Tensor]:
    """The base's images, drawn once for all runs that compare with them."""
    config = setting.evaluation
    about = {"base": module_hash(base.unet), "concept": concept, "also": list(also), "config": plain(config)}
    name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / "before" / f"{name}.safetensors"
    if not path.exists():
        made = before_images(base, concept, config, also)
        write_tensors(path, {str(group): images for group, images in made.items()}, {**FORMAT, **about})
    tensors, _ = read_tensors(path, FORMAT["format"], FORMAT["version"])
    return {cast("Group", group): images for group, images in tensors.items()}


FORMAT = {"format": "graphlab.erasure-study-images", "version": "1"}


def _attacked(run: Run, rate: float | None, base: Base, work: Path, setting: Setting) -> Row:
    (concept,) = run.concepts
    judge = judges_of(base.world.name, setting.files)[1]
    if run.method == "base":
        subject, index = base, 0
    else:
        subject, index = _first_erased(base, _erased(run, rate, base, work, setting), concept, setting)
    found = attack(subject, concept, judge, setting.attacks)
    after: int | Literal[""] = "" if found.relearnt_after is None else found.relearnt_after
    return {
        "checkpoint": index,
        "concept": concept,
        "relearnt_after": after,
        "relearning": " ".join(f"{step}:{value:.4f}" for step, value in found.curve),
        "relearning_images": found.measured,
        "inverted": f"{found.inverted.value:.6f}",
        "inverted_images": found.inverted.count,
        "inversion_losses": " ".join(f"{loss:.5f}" for loss in found.losses),
    }


def _first_erased(base: Base, erased: Erased, concept: str, setting: Setting) -> tuple[Base, int]:
    """The first checkpoint at which Acc_e is AT or below, by the judge that reports, or else the last."""
    judge = judges_of(base.world.name, setting.files)[1]
    few = replace(setting.evaluation, unseen_images=0, kept_images=1)
    asked = plan(base, concept, few)["trained"]
    for index, point in enumerate(erased.points):
        subject = point.subject
        if not isinstance(subject, BaseSubject) or subject.avoided:
            raise EraseError(f"{erased.method.name} has no weights of its own to attack")
        images = subject.draw(asked.prompts, asked.seeds, few.sampling(base.world.shape))
        share = float((judge.labels(images)[:, -1] == asked.labels[:, -1]).double().mean())
        if share <= AT or index == len(erased.points) - 1:
            return subject.base, index
    raise EraseError(f"{erased.method.name} made no model")
