"""A base as one safetensors file: weights, and everything else as JSON in its metadata. Nothing is unpickled.

Tensors are named `unet.*` and `encoder.*`. The metadata has one entry, `graphlab`: a JSON object with `format`,
`version`, `config`, `language`, `schedule` and `log`. Language and schedule follow from the configuration; they are
kept so that the file says them by itself, and a file that says something else than this version works with is refused.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from graphlab.erase.errors import EraseError
from graphlab.erase.noise import FlowSchedule
from graphlab.erase.worlds.base import Base, BaseConfig, new_base
from graphlab.erase.worlds.prompts import Language
from graphlab.erase.worlds.schedules import HIGH, LOW, TIMES
from graphlab.sources.erase_base import FORMAT, VERSION

LIMIT_BYTES = 4_000_000
"""Bases are part of the repository, so they stay below this."""


def save_base(base: Base, path: Path) -> None:
    """Write a base; the same base gives the same bytes. EraseError from LIMIT_BYTES on."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in _state(base).items()}
    size = sum(value.numel() * value.element_size() for value in tensors.values())
    if size >= LIMIT_BYTES:
        raise EraseError(f"a base of {size:,} bytes", hint=f"the limit is {LIMIT_BYTES:,}: take fewer channels")
    write_tensors(path, tensors, {"format": FORMAT, "version": VERSION, **_described(base)})


def load_base(path: Path) -> Base:
    """The base in a file, in evaluation mode; its encoder's weights take no gradient any more.

    EraseError for a file that is none, is damaged, or whose language or schedule is not the one of this version.
    """
    tensors, about = read_tensors(path, FORMAT, VERSION)
    try:
        config = BaseConfig(**{**about["config"], "channels": tuple(about["config"]["channels"])})
        log = {str(name): str(value) for name, value in about["log"].items()}
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise EraseError(f"{path.name}: its config or log is none of a base") from error
    base = new_base(config, 0)
    described = _described(base)
    for key in ("language", "schedule"):
        if described[key] != about.get(key):
            raise EraseError(f"{path.name}: its {key} is not the one of this version", hint="train the base again")
    load_state(base.unet, tensors, "unet.", path)
    load_state(base.encoder, tensors, "encoder.", path)
    extra = sorted(name for name in tensors if not name.startswith(("unet.", "encoder.")))
    if extra:
        raise EraseError(f"{path.name}: {extra[0]} is no weight of a base")
    return Base(config, base.unet.eval(), base.encoder.eval().requires_grad_(False), log)


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
    """Write a safetensors file beside its destination and move it there when it is whole.

    `about` is what JSON can hold. It is one entry of the metadata, because safetensors shuffles several. EraseError for
    a path that cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(dict(sorted(tensors.items())), beside, metadata={"graphlab": json.dumps(about, sort_keys=True)})
        beside.replace(path)
    except (OSError, SafetensorError) as error:
        raise EraseError(f"cannot write {path}: {error}", hint="check the folder and its permissions") from error
    finally:
        beside.unlink(missing_ok=True)


def read_tensors(path: Path, form: str, version: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """(tensors by name, about) of a safetensors file of that format and version; EraseError for another."""
    try:
        with safe_open(path, framework="pt") as opened:
            text = (opened.metadata() or {}).get("graphlab", "{}")
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a mapping)
        about = json.loads(text)
    except (OSError, SafetensorError, ValueError) as error:
        raise EraseError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(about, dict) or (about.get("format"), about.get("version")) != (form, version):
        raise EraseError(f"{path.name} is no {form} of version {version}")
    return tensors, about


def load_state(module: nn.Module, tensors: Mapping[str, torch.Tensor], prefix: str, path: Path) -> None:
    """Put the tensors with `prefix` into `module`; EraseError for a key, shape or dtype that differs."""
    wanted = module.state_dict()
    given = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    if sorted(wanted) != sorted(given):
        raise EraseError(f"{path.name}: weights differ in {sorted(set(wanted) ^ set(given))[0]}")
    for name, value in given.items():
        if value.shape != wanted[name].shape or value.dtype != wanted[name].dtype:
            expected = f"{tuple(wanted[name].shape)} {wanted[name].dtype}"
            raise EraseError(f"{path.name}: {name} is {tuple(value.shape)} {value.dtype}", hint=f"expected {expected}")
    module.load_state_dict(given)


def _state(base: Base) -> dict[str, torch.Tensor]:
    named = {"unet": base.unet, "encoder": base.encoder}
    return {f"{part}.{name}": value for part, module in named.items() for name, value in module.state_dict().items()}


def _described(base: Base) -> dict[str, Any]:
    """What JSON gives back of a base's description: lists, no tuples."""
    return {
        "config": {**dataclasses.asdict(base.config), "channels": list(base.config.channels)},
        "language": _language(base.language),
        "schedule": _schedule(base),
        "log": base.log,
    }


def _language(language: Language) -> dict[str, Any]:
    return {
        "vocabulary": list(language.vocabulary),
        "pieces": {word: list(parts) for word, parts in language.pieces.items()},
        "phrases": {name: [list(forms) for forms in by_label] for name, by_label in language.phrases.items()},
        "tokens": language.tokens,
    }


def _schedule(base: Base) -> dict[str, Any]:
    schedule = base.schedule
    if isinstance(schedule, FlowSchedule):
        return {"kind": "flow", "shift": schedule.shift, "scale": schedule.scale}
    return {"kind": "even_log_snr", "low": LOW, "high": HIGH, "times": TIMES}
