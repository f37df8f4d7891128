"""Ways people write attention, and ways they write what only looks like it: what fuse-attention is judged by.

One file a family. `corpus()` has them all, in order; `generate` makes more of them from seeds.
"""

from __future__ import annotations

from importlib import import_module

from tests.attention_corpus.spelling import TABLE, Spelling

FAMILIES = (
    "products", "layouts", "scales", "masks", "positions", "softmaxes", "grouped", "sliced", "videos",
    "rows", "codebases", "lucid", "libraries", "inductor", "near_products", "near_probabilities", "near_numbers",
)  # fmt: skip
"""The modules that hold the families, in the order of reports."""


def corpus() -> tuple[Spelling, ...]:
    """Every spelling of every family, families in the order of FAMILIES whichever was imported first."""
    for name in FAMILIES:
        import_module(f"{__name__}.{name}")
    return tuple(sorted(TABLE.values(), key=lambda entry: FAMILIES.index(entry.family.replace(" ", "_"))))


__all__ = ["FAMILIES", "Spelling", "corpus"]
