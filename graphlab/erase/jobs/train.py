"""Erases a concept and writes what is left: `graphlab erase train`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path

from graphlab.erase.errors import EraseError
from graphlab.erase.jobs.comparison import Changed, changed_roles, changed_weights, outside
from graphlab.erase.jobs.config import EraseConfig
from graphlab.erase.jobs.devices import placed
from graphlab.erase.jobs.lora_file import FILE as LORA
from graphlab.erase.jobs.lora_file import LoraFile
from graphlab.erase.jobs.memory import memory_told
from graphlab.erase.jobs.output import MANIFEST, STATE, claim_folder
from graphlab.erase.jobs.record import Record, file_hash, hashes_of
from graphlab.erase.sources.source import ErasureSource, named_prompts, prompts_of
from graphlab.erase.training.config import TrainingConfig
from graphlab.erase.training.loop import Trained, train
from graphlab.erase.training.masking import masks_of
from graphlab.erase.training.model import module_hash
from graphlab.erase.training.progress import OnProgress
from graphlab.masks import WeightMask, read_mask


@dataclass(frozen=True)
class Erased:
    """What training left: the `source` erased, of `prompts`; `files` written and the `manifest` among them; `trained`
    says how it went and `changes` which entries have other bits."""

    source: ErasureSource
    prompts: tuple[str, ...]
    trained: Trained
    changes: tuple[Changed, ...]
    files: tuple[Path, ...]
    manifest: Path


@memory_told()
def train_erased(
    source: ErasureSource,
    config: EraseConfig,
    folder: Path,
    *,
    mask: Path | None = None,
    resume: bool = False,
    force: bool = False,
    device: str | None = None,
    on_progress: OnProgress | None = None,
) -> Erased:
    """Erases the concepts and prompts of `config` from a copy of `source`, and writes it into `folder`.

    The weights are written in the layout of the source, with a manifest of everything that decided them, and the
    low-rank factors of a run without a mask. `folder`/state keeps the run while it lasts: with `resume` one that was
    interrupted goes on and ends with the very bits of one that was not. GraphlabError, before any work, for a folder
    that cannot be written or holds something, a mask that is damaged, empty or of another base, a boundary beyond all
    levels, and a run that was of another configuration; later for a loss, gradient or weight that is not finite: the
    last checkpoint stays.
    """
    prompts = prompts_of(source, config.concepts, config.prompts)
    named = named_prompts(source, prompts)
    held = None if mask is None else mask_for(source, mask)
    training = _placed(source, config.training, device)
    claim_folder(folder, source, force=force, resume=resume)
    student, base = source.copied(), module_hash(source.model.module)
    done = train(
        student.model,
        source.model,
        named,
        training,
        mask=held,
        folder=folder / STATE,
        resume=resume,
        on_progress=on_progress,
    )
    changes = _changes(source, student, held)
    files = _written(student, done, folder, prompts, base)
    _record(source, replace(config, training=training), named.hashes(), mask, base, done, changes, files, folder)
    return Erased(student, prompts, done, changes, (*files, folder / MANIFEST), folder / MANIFEST)


def mask_for(source: ErasureSource, path: Path) -> WeightMask:
    """The mask in a file, made for the weights of `source`; GraphlabError for another, an empty or a damaged one."""
    found = read_mask(path)
    masks_of(found, source.model.module)
    return found


def _placed(source: ErasureSource, config: TrainingConfig, device: str | None) -> TrainingConfig:
    """`source` on its device, and the configuration for that.

    EraseError for latents that it does not denoise, and where nothing would be reversed; an infinite boundary leaves
    one side empty on purpose.
    """
    training = placed(source, config, device)
    source.check_shape(training.path.shape)
    boundary, sampler = training.path.boundary, training.path.points(source.model.schedule)
    early, late = sampler.sides
    reversed_at = early if training.objective.ablation.inverted_axis else late
    if training.objective.weights.erase and not reversed_at and isfinite(boundary):
        low, high = (sampler.levels[at].log_snr for at in (0, -1))
        raise EraseError(
            f"no level is reversed with the boundary {boundary:g} and until {training.path.until:g}: nothing is erased",
            hint=f"levels lie between log SNR {low:.2f} and {high:.2f}",
        )
    return training


def _changes(source: ErasureSource, student: ErasureSource, held: WeightMask | None) -> tuple[Changed, ...]:
    masks = None if held is None else masks_of(held, source.model.module)
    found = changed_weights(source.model.module.state_dict(), student.model.module.state_dict(), masks)
    if outside(found):
        raise EraseError(f"{outside(found)} entries changed outside the mask: this is a fault of graphlab's")
    return found


def _written(
    student: ErasureSource, done: Trained, folder: Path, prompts: tuple[str, ...], base: str
) -> tuple[Path, ...]:
    files = student.save(folder, {"erased": ", ".join(prompts)})
    if done.lora is None:
        return files
    LoraFile(done.lora, prompts, base, LORA).save(folder / LORA)
    return (*files, folder / LORA)


def _record(
    source: ErasureSource,
    config: EraseConfig,
    prompts: dict[str, str],
    mask: Path | None,
    base: str,
    done: Trained,
    changes: tuple[Changed, ...],
    files: tuple[Path, ...],
    folder: Path,
) -> None:
    Record(
        command="train",
        source=source.name,
        base=base,
        config=config.mapping(),
        seeds={"points": config.training.seed, "torch": config.training.seed},
        inputs={**prompts, **({} if mask is None else {"mask": file_hash(mask)})},
        outputs=hashes_of(files, folder),
        results={
            "iterations": len(done.history),
            "evaluations": done.evaluations,
            "other_evaluations": done.other_evaluations,
            "changed_entries": sum(row.changed for row in changes),
            "changed_outside_mask": None if mask is None else outside(changes),
            "last_losses": dict(done.history[-1]) if done.history else {},
            "losses": [dict(row) for row in done.history],
            "roles": [asdict(row) for row in changed_roles(changes)],
        },
    ).write(folder / MANIFEST)
