"""All figures by name, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from graphlab.characterization.data import Characterization
from graphlab.errors import UnknownNameError
from graphlab.figures.attention_frames import attention_frames
from graphlab.figures.breakdown import breakdown
from graphlab.figures.cache_hits import cache_hits
from graphlab.figures.fused_speedup import fused_speedup
from graphlab.figures.image_size import image_size
from graphlab.figures.length_by_size import length_by_size
from graphlab.figures.measured import measured
from graphlab.figures.pareto import pareto
from graphlab.figures.roofline import roofline
from graphlab.figures.score_law import score_law
from graphlab.figures.score_memory import score_memory
from graphlab.figures.sequence_length import sequence_length
from graphlab.figures.steps import steps
from graphlab.figures.temporal_spatial import temporal_spatial
from graphlab.figures.timeline import timeline
from graphlab.names import nearest
from graphlab.report.figure import Figure

FIGURES: Mapping[str, Callable[[Characterization], Figure]] = MappingProxyType(
    {
        "breakdown": breakdown,
        "fused-speedup": fused_speedup,
        "roofline": roofline,
        "sequence-length": sequence_length,
        "length-by-size": length_by_size,
        "image-size": image_size,
        "temporal-spatial": temporal_spatial,
        "attention-frames": attention_frames,
        "cache-hits": cache_hits,
        "score-memory": score_memory,
        "score-law": score_law,
        "pareto": pareto,
        "steps": steps,
        "timeline": timeline,
        "measured": measured,
    }
)
"""{name: the function that makes the figure}; the name is that of the figure."""


def check_figures(names: Iterable[str] | None) -> None:
    """UnknownNameError for the first of `names` that is no figure's, with the nearest one; None is all of them."""
    for name in names or ():
        if name not in FIGURES:
            hint = f"{nearest(name, FIGURES)}known: {', '.join(FIGURES)}"
            raise UnknownNameError(f"no figure is called {name!r}", hint=hint)


def figure(name: str, suite: Characterization) -> Figure:
    """The figure `name` of `suite`; UnknownNameError with the nearest name otherwise."""
    check_figures([name])
    return _told(FIGURES[name](suite), suite)


def figures(suite: Characterization, names: Iterable[str] | None = None) -> tuple[Figure, ...]:
    """The figures `names` of `suite`, all of them in the order of the report by default, each once."""
    wanted = list(FIGURES) if names is None else list(dict.fromkeys(names))
    check_figures(wanted)
    return tuple(figure(name, suite) for name in wanted)


def _told(found: Figure, suite: Characterization) -> Figure:
    """`found` with a note on every stage whose FLOP are not all known, where it shows FLOP or what is made of them."""
    if not found.rows or not any(column.unit.startswith("FLOP") for column in found.columns):
        return found
    notes = (
        f"{run.name} {stage.name}: FLOPs are without those of {stage.run.unknown_nodes} calls that have no rule"
        for run in suite.models
        for stage in run.stages
        if stage.run.unknown_nodes
    )
    return replace(found, notes=(*found.notes, *notes))
