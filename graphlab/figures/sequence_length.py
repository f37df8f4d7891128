"""Sequence length over one generation: what every attention attends over, call by call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from graphlab.characterization.data import Characterization, ModelRun, StageSeries
from graphlab.figures.charts import FADED, colour, facets, picks, quantity, tooltip
from graphlab.figures.notes import distinct, why_empty
from graphlab.kernels.data import Attention
from graphlab.report.figure import Column, Figure, Value

COLUMNS = (
    Column("model", "model"),
    Column("stage", "stage"),
    Column("family", "family"),
    Column("step", "step", help="counted from 0; the first and the last of a stage whose sizes change"),
    Column("call", "attention call", help="in execution order within the step, from 0"),
    Column("series", "attention", help="kind (self, cross, joint) and axis"),
    Column("q", "query tokens"),
    Column("kv", "key tokens"),
    Column("length", "sequence length", help="keys of self and joint attention, queries of cross attention"),
    Column("heads", "heads"),
    Column("batch", "batch", help="of the attention: frames or positions among it where they are"),
)


def length_of(attention: Attention) -> int:
    """The positions an attention layer sees: its keys, or where they come from elsewhere its queries."""
    return attention.q if attention.kind == "cross" else attention.kv


def series_of(attention: Attention) -> str:
    """ "self, spatial": kind and axis, as far as they are known."""
    return ", ".join(part for part in (attention.kind, attention.axis) if part) or "unknown"


def sequence_length(suite: Characterization) -> Figure:
    """Every attention of one step in call order, of the first step and, where sizes change, of the last."""
    rows = tuple(row for run in suite.models for stage in run.stages for row in _rows(run, stage))
    return Figure(
        name="sequence-length",
        title="Sequence length over the attention calls of a step",
        caption=(
            "Sequence length, the positions an attention layer sees, in call order. A U-Net goes down and up again, a "
            "transformer stays, a decoder grows by a token a step (from the first to the last step)."
        ),
        columns=COLUMNS,
        rows=rows,
        chart=_CHART,
        notes=distinct(why_empty(rows, "no model of the suite has an attention"), _ranges(suite)),
    )


def _rows(run: ModelRun, stage: StageSeries) -> Iterator[Mapping[str, Value]]:
    known = list(zip(stage.run.at, stage.run.calls, strict=True))
    for step, call in [known[0], *(known[-1:] if len(known) > 1 else [])]:
        for place, attention in enumerate(call.attention_calls):
            yield {
                "model": run.name,
                "stage": stage.name,
                "family": stage.family,
                "step": step.index,
                "call": place,
                "series": series_of(attention),
                "q": attention.q,
                "kv": attention.kv,
                "length": length_of(attention),
                "heads": attention.heads,
                "batch": attention.batch,
            }


def _ranges(suite: Characterization) -> Iterator[str]:
    """How much lengths vary in the self attentions of every stepping stage: end to end, and between neighbours."""
    for run in suite.models:
        for stage in run.stages:
            calls = [a for a in stage.run.first.attention_calls if a.kind != "cross" and a.axis != "temporal"]
            lengths = [length_of(attention) for attention in calls]
            if len(stage.run.steps) == 1 or len(set(lengths)) < 2:
                continue
            pairs = pairwise(lengths)
            most = max(max(a, b) / min(a, b) for a, b in pairs)
            yield (
                f"{run.name} {stage.name}: lengths vary {max(lengths) / min(lengths):.3g}x within a step, at most "
                f"{most:.3g}x from one self attention to the next"
            )


_CHART = {
    "description": "Points, one panel a model: sequence length on a log axis over attention calls in order.",
    "transform": [
        {"filter": "datum.family !== 'one pass'"},
        {"calculate": "datum.stage + ', step ' + (datum.step + 1)", "as": "when"},
    ],
    **facets(
        "model",
        3,
        {
            "params": picks("series"),
            "mark": {"type": "line", "point": {"size": 14}, "interpolate": "step-after"},
            "encoding": {
                "x": quantity("call", "attention call in its step", format="d"),
                "y": quantity("length", "sequence length (tokens)", log=True),
                "color": colour("series", "attention"),
                "strokeDash": {"field": "when", "type": "nominal", "legend": None},
                "opacity": FADED,
                "tooltip": [
                    *tooltip(COLUMNS, "model", "series", "q", "kv", "heads", "batch", "call"),
                    {"field": "when", "title": "stage and step"},
                ],
            },
        },
        free=("x", "y"),
    ),
}
