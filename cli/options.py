"""The options that every command with a source takes, and the parsers of their values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A built-in model, a .pt2/.pt/.safetensors file, a diffusers or transformers folder, or file.py:function.",
    ),
]
Stage = Annotated[str | None, typer.Option("--stage", metavar="NAME", help="Only this stage.")]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="D", help="Adds ideal times and whether it fits; a name or a .toml file."),
]
Bindings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="height, width, frames, batch, steps, ... or an axis; repeat."),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="NAME=SHAPE:DTYPE", help="Shape of an input: sample=2x4x64x64:float16; repeat."),
]
Strict = Annotated[bool, typer.Option("--strict", help="An op without a rule is an error.")]
Static = Annotated[bool, typer.Option("--static", help="Capture at these sizes only: faster, no scaling.")]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Configuration for a file that holds only weights.")
]
TrustPickle = Annotated[bool, typer.Option("--trust-pickle", help="Run the code in a pickled module. Dangerous.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Capture again, neither reading nor writing the cache.")]
PASS_SPEC = "NAME|FILE.py[:CLASS][,KEY=VALUE]..."
Passes = Annotated[
    list[str] | None,
    typer.Option("--pass", metavar=PASS_SPEC, help="A pass, after those of the level; repeat."),
]
RewriteLevel = Annotated[
    str, typer.Option("--rewrite", metavar="-O0|-O1|-O2", help="Passes to run first: none, clean-up, all exact ones.")
]
Weights = Annotated[
    str | None,
    typer.Option("--weights", metavar="PATH|random:SEED", help="Values of the weights; the source's own without."),
]

Html = Annotated[str | None, typer.Option("--html", metavar="PATH", help="One self-contained page; - is stdout.")]

_LEVEL = re.compile(r"(?:-?O)?([0-9])")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SHAPE = re.compile(r"[0-9]+(x[0-9]+)*")


def parse_bindings(texts: Sequence[str] | None) -> dict[str, int | float]:
    """{"height": 768} of ["height=768"]; the last of equal names counts. BadParameter for another syntax."""
    return dict(_binding(text) for text in texts or ())


def _binding(text: str) -> tuple[str, int | float]:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not name or not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE, as in height=768", param_hint="'--set'")
    if _INTEGER.fullmatch(value) and len(value) < 20:
        return name, int(value)
    if _NUMBER.fullmatch(value) and math.isfinite(float(value)):
        return name, float(value)
    raise typer.BadParameter(f"{value!r} in {text!r} is not a number", param_hint="'--set'")


def parse_inputs(texts: Sequence[str] | None) -> dict[str, str]:
    """{"sample": "2x4x64x64:float16"} of ["sample=2x4x64x64:float16"]; BadParameter for another syntax."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, shape, dtype = parse_input(text)
        if name in found:
            raise typer.BadParameter(f"{name!r} is given twice", param_hint="'--input'")
        found[name] = "x".join(map(str, shape)) + f":{dtype}"
    return found


def parse_input(text: str) -> tuple[str, tuple[int, ...], str]:
    """(name, shape, dtype) of "sample=2x4x64x64:float16"; a scalar has an empty shape: "t=:int64"."""
    name, equals, rest = text.partition("=")
    shape, colon, dtype = rest.partition(":")
    name, shape, dtype = name.strip(), shape.strip(), dtype.strip()
    if not (name and equals and colon and dtype.isidentifier() and (not shape or _SHAPE.fullmatch(shape))):
        raise typer.BadParameter(
            f"{text!r} is not NAME=SHAPE:DTYPE, as in sample=2x4x64x64:float16", param_hint="'--input'"
        )
    return name, tuple(int(size) for size in shape.split("x") if size), dtype


def load_workload(
    source: str,
    bindings: Sequence[str] | None,
    inputs: Sequence[str] | None,
    config: Path | None,
    *,
    trust_pickle: bool,
    static: bool,
) -> Any:
    """The Workload of `source` with `--set` in force.

    Bindings do not go through keyword arguments, where one called `config` would be taken for the option.
    """
    values, shapes = parse_bindings(bindings), parse_inputs(inputs)
    from graphlab.loading import load

    workload = load(source, config=config, trust_pickle=trust_pickle, inputs=shapes, dynamic=not static)
    return workload.bind(values) if values else workload


def check_passes(specs: Sequence[str]) -> None:
    """BadParameter for a text that spells no pass; whether there is such a pass is told later."""
    from graphlab.discovery.spec import parse_spec

    for spec in specs:
        parsed = parse_spec(spec)
        named = parsed.path is not None or bool(parsed.name.strip())
        if not named or not all("=" in setting for setting in parsed.settings):
            raise typer.BadParameter(f"{spec!r} is not {PASS_SPEC}", param_hint="'--pass'")


TOP: Mapping[str, int] = {"module": 20, "op": 20}
"""Rows of a table of costs or times by what there are many of; --top says another number."""
DEPTH = 2
"""Names of a module path that such a table has where --depth does not say."""


def check_depth(depth: int | None, by: str | None) -> None:
    """BadParameter for a depth of anything but modules."""
    if depth is not None and by != "module":
        raise typer.BadParameter("only --by module has a depth", param_hint="'--depth'")


def parse_level(text: str, most: int = 2) -> int:
    """2 of "-O2", "O2" or "2"; BadParameter for another spelling, and for a level over `most`: -O3 splits a stage."""
    found = _LEVEL.fullmatch(text.strip())
    if found is None or int(found.group(1)) > most:
        levels = ", ".join(f"-O{level}" for level in range(most))
        raise typer.BadParameter(f"{text!r} is no level: {levels} or -O{most}", param_hint="'--rewrite'")
    return int(found.group(1))
