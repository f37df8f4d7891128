"""The trained bases of graphlab.erase that come with graphlab, by the names `graphlab erase` knows.

Unlike the other built-in models they are no shapes alone: their modules hold the values of a file in `FILES`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from graphlab.models.registry import Model
from graphlab.workload import Workload

FILES = Path(__file__).parents[1] / "erase" / "worlds" / "files"
"""The folder of the bases and of their judges, as safetensors."""
BASES = (*(f"digits-epsilon-{seed}" for seed in range(5)), "digits-v", "digits-flow", "layout-0", "layout-1")
"""Names of the bases; the number is the seed of their training."""
FIRST = {"digits": "digits-epsilon-0", "layout": "layout-0"}
"""{short name of a world's base: the one it means}."""

_PREDICTS = {"v": "predicts v", "flow": "flow matching"}
_DRAWS = {"digits": "digits, 8 x 8, one channel", "layout": "layout, palette and glyph, 16 x 16, RGB"}


def base_workload(name: str) -> Workload:
    """`text_encoder` once a prompt and `unet` in 25 steps, with the values of the file.

    SourceError for a file that is missing or damaged.
    """
    from graphlab.sources.checkpoint import read_state_dict
    from graphlab.sources.erase_base import erase_base_workload

    path = FILES / f"{name}.safetensors"
    return erase_base_workload(path, name, read_state_dict(path))


def _help(name: str) -> str:
    world, _, rest = name.partition("-")
    return f"small trained model (docs/worlds.md): {_DRAWS[world]}; {_PREDICTS.get(rest, 'predicts noise')}"


def _model(name: str) -> Model:
    aliases = tuple(short for short, full in FIRST.items() if full == name)
    return Model(name, _help(name), partial(base_workload, name), aliases, "trained text-to-image")


MODELS = tuple(map(_model, BASES))
