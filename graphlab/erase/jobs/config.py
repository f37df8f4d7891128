"""One file for all commands: what is erased, how it is searched for and how it is trained away.

Values come from four places, each above the one before it: the source (shape, steps, guidance), the preset or the named
method, the file, and what is given on the command line or as an argument.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from graphlab.erase.errors import EraseError
from graphlab.erase.jobs.method_values import from_method
from graphlab.erase.objective import PRESETS
from graphlab.erase.saliency.config import SaliencyConfig
from graphlab.erase.sources.source import ErasureSource
from graphlab.erase.training.config import TrainingConfig
from graphlab.erase.training.strict import plain, read
from graphlab.names import nearest

Preset = Literal["paper-a", "paper-b"]
Task = Literal["nsfw", "celebrity", "art"]
BOUNDARIES: Mapping[Task, float] = {"nsfw": -3.82, "celebrity": -3.25, "art": -4.67}
"""{task: t' as a log SNR}: the published steps 43, 40 and 47 of 50, on the schedule they were published for."""
ITERATIONS: Mapping[Task, int] = {"nsfw": 250, "celebrity": 400, "art": 400}
SEEDS = (0, 1, 2, 3)


@dataclass(frozen=True, slots=True)
class EraseConfig:
    """`concepts` and further `prompts` of them; `maps` make the mask, `training` erases.

    `preset` and `task` are where term weights, t' and iterations come from that are not given themselves; a `method` of
    graphlab.erase.methods is there for the preset, and also says how its mask is made. Of each concept the first
    `forms` phrases make the mask, None for all. With a seed `random` the mask is one of equal density instead, drawn
    without looking.
    """

    maps: SaliencyConfig
    training: TrainingConfig
    concepts: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    preset: Preset = "paper-a"
    task: Task = "nsfw"
    method: str | None = None
    forms: int | None = None
    random: int | None = None

    def __post_init__(self) -> None:
        if self.forms is not None and self.forms < 1:
            raise EraseError(f"forms is {self.forms}, expected 1 or more")
        if self.random is not None and self.random < 0:
            raise EraseError(f"random is {self.random}, expected 0 or more")

    def mapping(self) -> dict[str, Any]:
        """What `erase_config` reads back to the same, in values that JSON can write."""
        made: dict[str, Any] = plain(self)
        return made


def erase_config(source: ErasureSource, *given: Mapping[str, Any]) -> EraseConfig:
    """The configuration for `source` of mappings, later ones above earlier ones.

    EraseError, which names the key and the nearest known one, for an unknown key or a value of no use.
    """
    asked = merged(*given)
    named = _from_preset(asked)
    if asked.get("method") is not None:
        if "preset" in asked:
            raise EraseError("a method has weights of its own", hint="give a preset or a method")
        named = merged(named, from_method(str(asked["method"])))
    return read(EraseConfig, merged(_from_source(source), named, asked))


def read_file(path: Path | None) -> dict[str, Any]:
    """The values of a TOML file; none of no file. EraseError for one that cannot be read."""
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise EraseError(f"{path} cannot be read as a configuration: {error}") from error


def merged(*given: Mapping[str, Any]) -> dict[str, Any]:
    """One mapping of several, tables within them too; of two values the later one counts."""
    found: dict[str, Any] = {}
    for values in given:
        for key, value in values.items():
            before = found.get(key)
            if isinstance(before, Mapping) and isinstance(value, Mapping):
                value = merged(before, value)
            found[key] = value
    return found


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """{"training": {"rate": 1}} of {"training.rate": 1}; None means not given and is left out."""
    found: dict[str, Any] = {}
    for path, value in values.items():
        if value is None:
            continue
        for key in reversed(path.split(".")):
            value = {key: value}
        found = merged(found, value)
    return found


def _from_source(source: ErasureSource) -> dict[str, Any]:
    path = {"shape": list(source.shape), "steps": source.steps, "guidance": source.guidance}
    return {"maps": {**path, "seeds": list(SEEDS)}, "training": {"path": {**path, "batch": source.batch}}}


def _from_preset(asked: Mapping[str, Any]) -> dict[str, Any]:
    preset, task = asked.get("preset", "paper-a"), asked.get("task", "nsfw")
    for name, value, known in (("preset", preset, tuple(PRESETS)), ("task", task, tuple(BOUNDARIES))):
        if value not in known:
            raise EraseError(f"{name} is {value!r}", hint=f"{nearest(str(value), known)}known: {', '.join(known)}")
    weights = plain(PRESETS[preset][task])
    common = {"objective": {"weights": weights}}
    return {
        "maps": {**common, "boundary": BOUNDARIES[task]},
        "training": {**common, "path": {"boundary": BOUNDARIES[task]}, "iterations": ITERATIONS[task]},
    }
