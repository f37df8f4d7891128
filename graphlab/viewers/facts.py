"""What is said of a node in words and numbers, the same in every format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from graphlab.facts import PlacedWeight
from graphlab.report.wording import MATERIALIZED_BYTES, count_text, marked
from graphlab.units import format_bytes, format_seconds
from graphlab.viewers.data import DrawnNode, DrawnStage
from graphlab.viewers.names import namespace, short_op, shown

Plain: TypeAlias = str | int | float | bool
"""What GraphML and DOT can hold."""


def label(node: DrawnNode) -> str:
    """What stands on the node: the operator, the module with its class, or the name of an input or output."""
    if node.kind == "call":
        return shown(short_op(node.op))
    if node.kind == "module" and node.modules and node.name in node.modules[-1]:
        return namespace(node.modules)[-1]
    return shown(node.name)


def density(keys: Sequence[str], mask: Mapping[str, PlacedWeight]) -> float | None:
    """The share, 0 to 1, of the entries of the weights `keys` that `mask` sets; None where it names none of them.

    Weights the mask does not name have no say: it leaves them as they are, which is told by None, not by 0.
    """
    named = [mask[key] for key in keys if key in mask]
    entries = sum(row.entries for row in named)
    return sum(row.set_entries for row in named) / entries if entries else None


def facts(stage: DrawnStage, node: DrawnNode, ids: Sequence[str]) -> dict[str, Plain]:
    """{name: value} of `node` in base units; what is unknown or does not apply is left out.

    `ids` are those of the stage's nodes. `flops` and `seconds` are missing where no call of the node has them known;
    `bytes` are those with attention scores in memory.
    """
    cost = node.cost
    found: dict[str, Plain] = {"stage": shown(stage.name), "name": shown(node.name), "kind": node.kind}
    for name in ("op", "category", "role", "module", "module_class", "source"):
        if getattr(node, name):
            found[name] = shown(getattr(node, name))
    if node.outputs:
        found["shape"] = ", ".join(tensor.text for tensor in node.outputs)
        found["dtype"] = ", ".join(dict.fromkeys(tensor.dtype for tensor in node.outputs))
    if cost.nodes:
        found |= {"calls": cost.nodes, "bytes": cost.bytes}
        if cost.flops is not None and cost.pointwise_flops is not None:
            found |= {"flops": cost.flops, "pointwise_flops": cost.pointwise_flops}
        if cost.unknown:
            found["calls_without_rule"] = cost.unknown
        if cost.seconds is not None:
            found["seconds"] = cost.seconds
    if node.attention is not None:
        found["attention"] = shown(node.attention)
    for name, mask in stage.masks.items():
        share = density(node.weights, mask)
        if share is not None:
            found[f"mask_density: {shown(name)}" if len(stage.masks) > 1 else "mask_density"] = share
    found["on_critical_path"] = node.on_critical_path
    if node.dominator is not None:
        found["dominator"] = ids[node.dominator]
    return found


def quantities(stage: DrawnStage) -> dict[str, str]:
    """{"FLOP": "803.3 GFLOP", "materialized bytes": ..., ...} of a generation; no time without a device."""
    found = {
        "FLOP": count_text(stage.flops_total, stage.unknown, "FLOP"),
        MATERIALIZED_BYTES: format_bytes(stage.bytes_total),
    }
    if stage.unknown:
        found["FLOP not counted"] = f"unknown: {stage.unknown} of {stage.calls} calls of its graph without a rule"
    if stage.seconds_total is None:
        return found
    time = marked(format_seconds(stage.seconds_total), stage.unknown)
    return {**found, "ideal time": f"{time} (an estimate, attention fused)"}
