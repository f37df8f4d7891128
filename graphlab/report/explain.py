"""What is known about one call of a stage: what `graphlab explain` prints, and its `--json` holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from graphlab.errors import UnknownNameError
from graphlab.names import nearest
from graphlab.report.data import AnalysisReport, AttentionRow, InputRow, NodeRow, StageReport
from graphlab.report.decoding import SHARE, SIGNED

SCHEMA = "graphlab.explanation/1"
"""Version of the JSON layout; the number grows when a key changes meaning or disappears."""

REWRITES = "none have run: explain reads the model as it was captured"


@dataclass(frozen=True, slots=True)
class Operand:
    """One input of a call: a call, an input of the stage or a weight. Shape and dtype are None where unknown."""

    name: str
    kind: str
    shape: tuple[int, ...] | None
    dtype: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One call: its row, what it reads and who reads it, its shares of one call of its stage, and its roofline.

    `flops_share`, `bytes_share` and `seconds_share` are from 0 to 1, None where unknown: that of FLOP where a call of
    the stage has no rule. `bytes_share` is of the bytes that calls move as they are spelled. `intensity` is FLOP per
    byte, `bound` which side of the call's roofline is longer, at the peak it runs at, and `ridge` where the device
    turns at the peak of the stage's dtype; None without a device, and the ridge where the call does not turn there, as
    what runs at another peak (pointwise work of a float16 stage, TF32).
    """

    stage: str
    row: NodeRow
    operands: tuple[Operand, ...]
    consumers: tuple[str, ...]
    flops_share: Annotated[float | None, SHARE]
    bytes_share: Annotated[float | None, SHARE]
    seconds_share: Annotated[float | None, SHARE]
    intensity: float | None
    ridge: float | None
    bound: str | None
    attention: AttentionRow | None
    rewrites: str = REWRITES


@dataclass(frozen=True, slots=True)
class ExplanationReport:
    """One call with where it was looked up: the source as it was named, its workload, the device and the bindings."""

    source: str
    workload: str
    device: str | None
    bindings: Annotated[Mapping[str, int | float], SIGNED]
    explanation: Explanation

    def to_dict(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return {"schema": SCHEMA, **asdict(self), "bindings": dict(self.bindings)}


def explain(report: AnalysisReport, node: str) -> ExplanationReport:
    """What `report`, of one stage, knows about the call `node`; UnknownNameError names the nearest call."""
    (stage,) = report.stages
    found = explain_node(stage, node)
    return ExplanationReport(report.source, report.workload, report.device, report.bindings, found)


def explain_node(report: StageReport, node: str) -> Explanation:
    """What `report` knows about the call `node`; UnknownNameError names the nearest call."""
    row = next((item for item in report.nodes if item.name == node), None)
    if row is None:
        raise UnknownNameError(_missing(report, node), hint=_hint([report], node))
    moved = row.bytes_read + row.bytes_written
    whole = sum(item.bytes_read + item.bytes_written for item in report.nodes)
    seconds = sum(item.seconds or 0.0 for item in report.nodes)
    intensity = row.flops / moved if row.flops is not None and moved else None
    site = next((item for item in report.attention if item.node == row.attention), None)
    bound = _bound(report, row, site, intensity)
    return Explanation(
        stage=report.name,
        row=row,
        operands=tuple(_operands(report, node)),
        consumers=tuple(consumer for producer, consumer in report.edges if producer == node),
        flops_share=_share(row.flops, report.flops_per_step) if not report.unknown else None,
        bytes_share=_share(moved, whole),
        seconds_share=_share(row.seconds, seconds),
        intensity=intensity,
        ridge=_ridge(report, intensity, bound),
        bound=bound,
        attention=site,
    )


def _ridge(report: StageReport, intensity: float | None, bound: str | None) -> float | None:
    """The ridge of the stage's dtype; None where it tells another bound than the call has."""
    ridge = report.estimate.ridge if report.estimate is not None else None
    if ridge is None or intensity is None:
        return ridge
    return ridge if bound == ("compute" if intensity > ridge else "memory") else None


def _bound(report: StageReport, row: NodeRow, site: AttentionRow | None, intensity: float | None) -> str | None:
    """Which side of its roofline is longer; None without a device. Part of an attention has no ideal time of its own:
    its intensity is compared with the ridge of the stage's dtype."""
    estimate = report.estimate
    if estimate is None or intensity is None:
        return None
    if row.seconds is None or (site is not None and not site.fused):
        return "compute" if intensity > estimate.ridge else "memory"
    return estimate.bound_of(row.seconds, row.bytes_read + row.bytes_written)


def _missing(report: StageReport, node: str) -> str:
    if any(item.name == node for item in report.inputs):
        return f"{node!r} is an input of stage {report.name}, not a call"
    if any(producer == node for producer, _ in report.edges):
        return f"{node!r} is a weight of stage {report.name}, not a call"
    return f"stage {report.name} has no node {node!r}"


def _hint(stages: tuple[StageReport, ...] | list[StageReport], node: str) -> str:
    names = [row.name for stage in stages for row in stage.nodes]
    return f"{nearest(node, names)}`--csv -` of `graphlab analyze` lists them"


def _operands(report: StageReport, node: str) -> Iterator[Operand]:
    calls: dict[str, NodeRow] = {row.name: row for row in report.nodes}
    inputs: dict[str, InputRow] = {item.name: item for item in report.inputs}
    for producer, consumer in report.edges:
        if consumer != node:
            continue
        known = calls.get(producer) or inputs.get(producer)
        kind = "call" if producer in calls else "input" if producer in inputs else "weight"
        yield Operand(producer, kind, known.shape if known else None, known.dtype if known else None)


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole
