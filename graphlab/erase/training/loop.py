"""Trains a student to forget: interruptible, resumable to the last bit, with masked-out weights left as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from graphlab.erase.errors import EraseError
from graphlab.erase.training.checkpoint import load_checkpoint, save_checkpoint
from graphlab.erase.training.config import TrainingConfig, config_mapping
from graphlab.erase.training.lora import merge_lora, remove_lora
from graphlab.erase.training.manifest import Manifest, changed, installed_versions, threads
from graphlab.erase.training.masking import Masks, masks_hash, masks_of
from graphlab.erase.training.model import Model, module_hash
from graphlab.erase.training.progress import OnProgress, Pace
from graphlab.erase.training.prompts import Prompts
from graphlab.erase.training.run import NotFiniteError, Run, prepared
from graphlab.masks import WeightMask

MANIFEST, CHECKPOINT = "manifest.json", "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run did: `history` {term: loss without its weight} by iteration, names of the `trained` parameters,
    samples evaluated with gradient (`evaluations`) and without (`other_evaluations`), `seconds` since it went on last.

    `lora` are the factors {layer.lora_A.weight, layer.lora_B.weight} of a low-rank run without a mask: those of one
    with a mask would change what the mask holds.
    """

    history: tuple[Mapping[str, float], ...]
    trained: tuple[str, ...]
    evaluations: int
    other_evaluations: int
    seconds: float
    lora: Mapping[str, torch.Tensor] | None = None


def train(
    student: Model,
    teacher: Model,
    prompts: Prompts,
    config: TrainingConfig,
    *,
    mask: WeightMask | Masks | None = None,
    folder: Path | None = None,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> Trained:
    """Changes the weights of `student`, given as the base, so that it forgets; `teacher` keeps its own.

    Each iteration draws one of the prompts, and points, from a generator of `config.seed`. With `mask`, entries that
    are not set, and weights it does not name, keep their bits; a low-rank change is masked when it is merged, at the
    end, so what is merged is part of what was trained. In `folder` lie a manifest and a checkpoint; with `resume` the
    run there goes on, `student` being the base again, and ends with the very weights of a run that was not interrupted
    (for the same threads and versions). EraseError for what does not fit, for a folder with a run that is not to be
    resumed, for a resumed run of another configuration, base, mask or prompts, and for a loss, gradient or weight that
    is not finite: the last checkpoint stays. `on_progress` is called after each iteration and may use the student.
    """
    masks = None if mask is None else masks_of(mask, student.module)
    _check_apart(student.module, teacher.module)
    manifest = _manifest(student, teacher, prompts, config, masks)
    if folder is None and resume:
        raise EraseError("there is no folder to resume from")
    with prepared(student.module, teacher.module, config.gradient_checkpointing), torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        try:
            run = Run(student, teacher, prompts, config, masks)
            if folder is not None:
                _open(folder, manifest, resume)
            return _finished(run, student, masks, manifest, folder, on_progress)
        finally:
            remove_lora(student.module)


def _finished(
    run: Run, student: Model, masks: Masks | None, manifest: Manifest, folder: Path | None, report: OnProgress | None
) -> Trained:
    path = None if folder is None else folder / CHECKPOINT
    if path is not None and path.exists():
        kept = load_checkpoint(path)
        if kept.fingerprint != manifest.fingerprint:
            raise EraseError(f"{path} is of another run than the manifest beside it")
        run.load(kept)
    total, first = run.config.iterations, len(run.history)
    pace = Pace(total, first)
    for iteration in range(first + 1, total + 1):
        try:
            run.iterate()
            if iteration % run.config.save_every == 0 or iteration == total:
                kept = run.checkpoint(manifest.fingerprint)
                if path is not None:
                    save_checkpoint(path, kept)
        except NotFiniteError as error:
            raise EraseError(error.message, hint=_last_good(path)) from error
        if report is not None:
            report(pace.after(iteration, run.history[-1]))
    seconds = pace.after(total).seconds
    lora = merge_lora(student.module, masks) if run.config.lora is not None else None
    trained, other = run.evaluations
    return Trained(tuple(run.history), tuple(run.parameters), trained, other, seconds, lora if masks is None else None)


def _last_good(path: Path | None) -> str:
    lower = "a lower rate may help"
    return f"the last good checkpoint is {path}; {lower}" if path is not None and path.exists() else lower


def _check_apart(student: nn.Module, teacher: nn.Module) -> None:
    """EraseError where a weight of the student is one of the teacher's: training would move its own target."""
    held = {value.untyped_storage().data_ptr() for value in teacher.state_dict().values() if value.numel()}
    for name, value in student.state_dict().items():
        if value.numel() and value.untyped_storage().data_ptr() in held:
            raise EraseError(f"student and teacher share {name}", hint="give the teacher a copy: Model.copied()")


def _manifest(
    student: Model, teacher: Model, prompts: Prompts, config: TrainingConfig, masks: Masks | None
) -> Manifest:
    return Manifest(
        config=config_mapping(config),
        base=module_hash(student.module),
        teacher=module_hash(teacher.module),
        mask=None if masks is None else masks_hash(masks),
        prompts=prompts.hashes(),
        seeds={"points": config.seed, "torch": config.seed},
        versions=installed_versions(),
        threads=threads(),
    )


def _open(folder: Path, manifest: Manifest, resume: bool) -> None:
    """Makes `folder` the place of a new run, or of this one that goes on."""
    path = folder / MANIFEST
    if not resume:
        if path.exists() or (folder / CHECKPOINT).exists():
            raise EraseError(f"{folder} holds a run", hint="resume it, or give another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EraseError(f"cannot make {folder}: {error}") from error
        manifest.write(path)
        return
    if not path.exists():
        raise EraseError(f"{folder} holds no run to resume")
    if differs := changed(path, manifest):
        raise EraseError(f"the run in {folder} cannot go on: changed since is {differs}", hint="start a new run")
