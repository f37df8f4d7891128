"""JSON that older versions wrote under the schemas that are read: FLOP of which nothing is known stood there as 0."""

from __future__ import annotations

from typing import Any

_STAGE = ("flops_per_step", "pointwise_flops_per_step", "flops_total", "pointwise_flops_total", "flops_expression")
_SUMS = ("flops", "pointwise_flops")


def analysis_of(data: dict[str, Any]) -> dict[str, Any]:
    """The JSON of an analysis with null for what no call of a stage has a rule for; what is broken stays as it is."""
    return _with_stages(data, _stage)


def rewrite_of(data: dict[str, Any]) -> dict[str, Any]:
    """The JSON of a rewrite with null for the FLOP of a program of which no call has a rule, likewise."""
    return _with_stages(data, _programs)


def _with_stages(data: dict[str, Any], mended: Any) -> dict[str, Any]:
    stages = data.get("stages")
    if not isinstance(stages, list):
        return data
    return {**data, "stages": [mended(stage) if isinstance(stage, dict) else stage for stage in stages]}


def _stage(stage: dict[str, Any]) -> dict[str, Any]:
    groups, ops = stage.get("categories"), stage.get("unknown")
    if "unknown_nodes" in stage or not isinstance(groups, dict) or not isinstance(ops, list):
        return stage
    unknown = sum(_count(op) for op in ops)
    if unknown and unknown == sum(_count(group) for group in groups.values()):
        stage = {**stage, **{key: None for key in _STAGE if key in stage}}
    other = groups.get("other")
    if not isinstance(other, dict):
        return stage
    return {**stage, "categories": {**groups, "other": _sums({**other, "unknown_nodes": unknown}, unknown)}}


def _programs(stage: dict[str, Any]) -> dict[str, Any]:
    programs = {key: stage[key] for key in ("before", "after") if isinstance(stage.get(key), dict)}
    return {**stage, **{key: _sums(program, program.get("unknown")) for key, program in programs.items()}}


def _sums(found: dict[str, Any], unknown: Any) -> dict[str, Any]:
    """`found` with null for its FLOP where all of its calls are `unknown`."""
    return {**found, **dict.fromkeys(_SUMS)} if unknown and unknown == found.get("nodes") else found


def _count(item: Any) -> int:
    found = item.get("nodes") if isinstance(item, dict) else None
    return found if isinstance(found, int) else 0
