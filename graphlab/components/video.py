"""Sizes that video components share: pixels, frames, and the latent frames a causal autoencoder makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphlab.workload import Variable


def latent_frames(ratio: int) -> str:
    """Latent frames of a causal video autoencoder: the first frame is kept, then one for every `ratio` frames.

    Pipelines round frames down to ratio * k + 1, and so does this expression: 81, 82 and 84 frames under 4 are
    all 21 latent frames.
    """
    return f"(frames - 1) // {ratio} + 1"


def video_variables(
    height: int, width: int, frames: int, *, multiple_of: int, most_frames: int | None = None
) -> tuple[Variable, ...]:
    """Variables height, width (pixels), frames and batch with these defaults."""
    return (
        Variable("height", height, "video height in pixels", minimum=multiple_of, multiple_of=multiple_of),
        Variable("width", width, "video width in pixels", minimum=multiple_of, multiple_of=multiple_of),
        Variable("frames", frames, "video frames", maximum=most_frames),
        Variable("batch", 1, "videos per generation"),
    )


def pair(size: int | Sequence[int] | None, default: int) -> tuple[int, int]:
    """(height, width) of a `sample_size`, which configurations write as one number, two numbers or null."""
    if size is None:
        return default, default
    if isinstance(size, int):
        return size, size
    return int(size[0]), int(size[1])


def with_defaults(variables: Sequence[Variable], defaults: Mapping[str, int | float]) -> tuple[Variable, ...]:
    """`variables` with other default values; those not named in `defaults` stay."""
    return tuple(replace(v, default=defaults.get(v.name, v.default)) for v in variables)
