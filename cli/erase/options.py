"""What commands of `graphlab erase` have in common: options, their syntax, and opening the source."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
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
Shape = Annotated[
    str | None, typer.Option("--shape", metavar="CxHxW", help="Of the latents, where not the U-Net's own: 4x64x64.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
Json = Annotated[str | None, typer.Option("--json", metavar="PATH", help="Report as JSON; - is stdout.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """What `saliency` and `train` are told alike."""

    concept: Annotated[
        list[str] | None, typer.Option("--concept", metavar="NAME", help="What to erase, by its name; repeat.")
    ] = None
    prompt: Annotated[
        list[str] | None, typer.Option("--prompt", metavar="TEXT", help="A prompt of what to erase; repeat.")
    ] = None
    prompts: Annotated[
        Path | None, typer.Option("--prompts", metavar="FILE", help="Prompts of what to erase, one a line.")
    ] = None
    method: Annotated[
        str | None,
        typer.Option(
            "--method", metavar="M", help="A method of the study in the place of a preset: ant, esd, salun, ..."
        ),
    ] = None
    path_steps: Annotated[
        int | None, typer.Option("--path-steps", metavar="N", help="Steps of the paths that points are taken from.")
    ] = None
    guidance: Annotated[float | None, typer.Option("--guidance", metavar="G", help="Guidance of these paths.")] = None
    batch: Annotated[int | None, typer.Option("--batch", metavar="N", help="Samples that are worked on together.")] = (
        None
    )
    parameters: Annotated[
        str | None,
        typer.Option(
            "--parameters", metavar="WHICH", help="full, xattn, selfattn, noxattn, or regex:PATTERN of names."
        ),
    ] = None
    checkpointing: Annotated[
        bool | None,
        typer.Option("--gradient-checkpointing/--no-gradient-checkpointing", help="Less memory for more time."),
    ] = None
    shape: Shape = None
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE.toml", help="Values of this and more; options count above it."),
    ] = None


_INTEGER = re.compile(r"[0-9]+")
_SPAN = re.compile(r"([0-9]+):([0-9]+)")
MOST_SEEDS = 100_000


def opened(source: str, shape: str | None) -> ErasureSource:
    """The source, with latents of `shape`, as the option has it."""
    wanted = parse_shape(shape)
    from graphlab.erase.sources.opening import open_source

    return open_source(source, wanted)


def configured(source: ErasureSource, given: Asked, keys: Mapping[str, str], **values: Any) -> EraseConfig:
    """The configuration of a command: options above the file, each under the key that `keys` {"rate": "training.rate"}
    has for it, and further `values` under keys with "__" for a dot; None means not given."""
    from graphlab.erase.fusion.statistics import captions
    from graphlab.erase.jobs.config import erase_config, nested, read_file

    asked = [*(given.prompt or ()), *(captions(given.prompts) if given.prompts is not None else ())]
    named = {"concepts": given.concept or None, "prompts": asked or None}
    told = {key: getattr(given, option) for option, key in keys.items()}
    more = {name.replace("__", "."): value for name, value in values.items()}
    return erase_config(source, read_file(given.config), nested({**named, **told, **more}))


def keys_of(part: str, path: str) -> dict[str, str]:
    """Keys of what commands are told alike, `part` and `path` being the tables of the command."""
    return {
        "method": "method",
        "path_steps": f"{path}.steps",
        "guidance": f"{path}.guidance",
        "batch": f"{path}.batch",
        "parameters": f"{part}.parameters",
        "checkpointing": f"{part}.gradient_checkpointing",
    }


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
