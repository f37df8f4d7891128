"""What commands of `graphlab erase` have in common: options, their syntax, and opening the source."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from graphlab.erase.jobs.config import EraseConfig
    from graphlab.erase.sources.source import ErasureSource

ErasureSourceText = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A base: its file, or the name of one that comes with graphlab; or the folder of a diffusers pipeline.",
    ),
]
Concepts = Annotated[
    list[str] | None, typer.Option("--concept", metavar="NAME", help="What to erase, by its name; repeat.")
]
Prompts = Annotated[
    list[str] | None, typer.Option("--prompt", metavar="TEXT", help="A prompt of what to erase; repeat.")
]
PromptFile = Annotated[
    Path | None, typer.Option("--prompts", metavar="FILE", help="Prompts of what to erase, one a line.")
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE.toml", help="Values of this and more; options count above it.")
]
Shape = Annotated[
    str | None, typer.Option("--shape", metavar="CxHxW", help="Of the latents, where not the U-Net's own: 4x64x64.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
PathSteps = Annotated[
    int | None, typer.Option("--path-steps", metavar="N", help="Steps of the paths that points are taken from.")
]
Guidance = Annotated[float | None, typer.Option("--guidance", metavar="G", help="Guidance of these paths.")]
Batch = Annotated[int | None, typer.Option("--batch", metavar="N", help="Samples that are worked on together.")]
Parameters = Annotated[
    str | None,
    typer.Option("--parameters", metavar="WHICH", help="full, xattn, selfattn, noxattn, or regex:PATTERN of names."),
]
Preset = Annotated[
    str | None, typer.Option("--preset", metavar="P", help="Weights of the terms as published: paper-a or paper-b.")
]
Task = Annotated[
    str | None, typer.Option("--task", metavar="T", help="What the preset is for: nsfw, celebrity or art.")
]
Method = Annotated[
    str | None,
    typer.Option("--method", metavar="M", help="A method of the study in the place of a preset: ant, esd, salun, ..."),
]
Checkpointing = Annotated[
    bool | None,
    typer.Option("--gradient-checkpointing/--no-gradient-checkpointing", help="Less memory for more time."),
]
Json = Annotated[str | None, typer.Option("--json", metavar="PATH", help="Report as JSON; - is stdout.")]

_INTEGER = re.compile(r"[0-9]+")
_SPAN = re.compile(r"([0-9]+):([0-9]+)")
MOST_SEEDS = 100_000


def opened(source: str, shape: str | None) -> ErasureSource:
    """The source, with latents of `shape`, as the option has it."""
    wanted = parse_shape(shape)
    from graphlab.erase.sources.opening import open_source

    return open_source(source, wanted)


def configured(
    source: ErasureSource,
    file: Path | None,
    concepts: list[str] | None,
    prompts: list[str] | None,
    prompt_file: Path | None,
    values: Mapping[str, Any],
) -> EraseConfig:
    """The configuration of a command: `values` {"maps.fraction": 0.5}, None for not given, above those of `file`."""
    from graphlab.erase.fusion.statistics import captions
    from graphlab.erase.jobs.config import erase_config, nested, read_file

    asked = [*(prompts or ()), *(captions(prompt_file) if prompt_file is not None else ())]
    named = {"concepts": concepts or None, "prompts": asked or None}
    return erase_config(source, read_file(file), nested({**named, **values}))


def parse_shape(text: str | None) -> tuple[int, int, int] | None:
    """(4, 64, 64) of "4x64x64"; BadParameter for another syntax."""
    if text is None:
        return None
    sizes = text.split("x")
    if len(sizes) != 3 or not all(_INTEGER.fullmatch(size) and len(size) < 10 and int(size) for size in sizes):
        raise typer.BadParameter(f"{text!r} is not CxHxW, as in 4x64x64", param_hint="'--shape'")
    channels, height, width = map(int, sizes)
    return channels, height, width


def parse_seeds(text: str | None) -> list[int] | None:
    """[0, 1, 7] of "0,1,7" and [0, 1, 2] of "0:3"; BadParameter for another syntax."""
    if text is None:
        return None
    found: list[int] = []
    for part in text.split(","):
        span = _SPAN.fullmatch(part.strip())
        if span and 0 < int(span[2]) - int(span[1]) <= MOST_SEEDS:
            found += range(int(span[1]), int(span[2]))
        elif _INTEGER.fullmatch(part.strip()):
            found.append(int(part))
        else:
            raise typer.BadParameter(f"{text!r} is not seeds, as in 0,1,7 or 0:8", param_hint="'--seeds'")
    return found


def parse_range(text: str | None) -> tuple[float, float] | None:
    """(-3.8, inf) of "-3.8:inf"; BadParameter for another syntax and a range that is empty."""
    if text is None:
        return None
    low, colon, high = text.partition(":")
    try:
        found = float(low), float(high)
    except ValueError:
        found = (math.nan, math.nan)
    if not colon or not found[0] < found[1]:
        raise typer.BadParameter(f"{text!r} is not LOW:HIGH in log SNR, as in -3.8:inf", param_hint="'--range'")
    return found
