"""A `Drawing` in DOT, for Graphviz: a cluster a module, the critical path in red, fill by category.

Every id and value is a quoted string, in which only a quote and, for labels, a backslash mean anything
(graphviz.org/doc/info/lang.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphlab.report.wording import MATERIALIZED_BYTES, count_text, time_text
from graphlab.units import format_bytes
from graphlab.viewers.as_graphml import stage_ids
from graphlab.viewers.colours import colour_of, text_on
from graphlab.viewers.data import Drawing, DrawnNode, DrawnStage
from graphlab.viewers.facts import Plain, facts, label
from graphlab.viewers.names import namespace, shown

_NAMES = {"shape": "tensor_shape"}
"""Facts whose names mean something else in DOT."""

_SHAPES = {"call": "box", "module": "box3d", "input": "ellipse", "output": "ellipse"}


def to_dot(drawing: Drawing) -> str:
    """One digraph with a cluster a stage where there are several; nodes carry the facts of `graphlab.viewers.facts`."""
    lines = [f"digraph {quoted(drawing.workload)} {{"]
    lines.append("  node [style=filled, fontname=Helvetica, fontsize=10];")
    lines.append(f"  label={quoted(_legend(drawing))};")
    several = len(drawing.stages) > 1
    for number, (stage, ids) in enumerate(zip(drawing.stages, stage_ids(drawing), strict=True)):
        body = list(_stage(stage, ids, number))
        lines += list(_cluster(f"cluster_{number}", stage.name, body)) if several else [f"  {line}" for line in body]
    return "\n".join([*lines, "}"]) + "\n"


def _legend(drawing: Drawing) -> str:
    """What the numbers on the nodes are."""
    time = f"; ideal time on {drawing.device}, an estimate, attention fused" if drawing.device is not None else ""
    return f"of one call: FLOP of contractions; {MATERIALIZED_BYTES}: attention scores in memory{time}"


def quoted(text: str) -> str:
    """`text` as a string of DOT that stands for itself, wherever it stands."""
    return '"' + shown(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _cluster(name: str, title: str, body: Sequence[str]) -> Iterator[str]:
    yield f"  subgraph {quoted(name)} {{"
    yield f"    label={quoted(title)};"
    yield from (f"    {line}" for line in body)
    yield "  }"


def _stage(stage: DrawnStage, ids: Sequence[str], number: int) -> Iterator[str]:
    yield from _level(stage, ids, range(len(stage.nodes)), 0, f"cluster_{number}")
    for edge in stage.edges:
        style = ["color=red", "penwidth=2"] if edge.on_critical_path else []
        style += [f"values={edge.values}"] if edge.values > 1 else []
        yield f"{quoted(ids[edge.producer])} -> {quoted(ids[edge.consumer])}{_list(style)};"


def _level(stage: DrawnStage, ids: Sequence[str], places: Sequence[int], depth: int, name: str) -> Iterator[str]:
    """The nodes at `places`, whose module stacks agree up to `depth`, a cluster a module below."""
    inside: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for place in places:
        node = stage.nodes[place]
        if len(_stack(node)) > depth:
            inside.setdefault(_stack(node)[: depth + 1], []).append(place)
        else:
            yield _node(stage, place, ids)
    for number, (stack, members) in enumerate(inside.items()):
        below = f"{name}_{number}"
        body = list(_level(stage, ids, members, depth + 1, below))
        yield from (line[2:] for line in _cluster(below, namespace(stack)[-1], body))


def _stack(node: DrawnNode) -> tuple[tuple[str, str], ...]:
    """The modules around a node; a node that is a module does not stand within itself."""
    return node.modules[:-1] if node.kind == "module" else node.modules


def _node(stage: DrawnStage, place: int, ids: Sequence[str]) -> str:
    node = stage.nodes[place]
    fill = colour_of(node.category)
    style = [
        f"label={_label(node)}",
        f"shape={_SHAPES[node.kind]}",
        f"fillcolor={quoted(fill)}",
        f"fontcolor={quoted(text_on(fill))}",
        *(["color=red", "penwidth=2"] if node.on_critical_path else []),
    ]
    own = (f"{quoted(_NAMES.get(key, key))}={_value(value)}" for key, value in facts(stage, node, ids).items())
    return f"{quoted(ids[place])}{_list([*style, *own])};"


def _label(node: DrawnNode) -> str:
    """The label, its lines parted by the escape that DOT has for that."""
    lines = [label(node)]
    if node.kind in ("input", "output", "call") and node.outputs:
        lines.append(node.outputs[0].text)
    if node.cost.flops or node.cost.unknown:
        known = node.cost.flops is not None
        lines.append(count_text(node.cost.flops, node.cost.unknown, "FLOP") if known else "FLOP unknown")
    if node.cost.nodes:
        lines.append(format_bytes(node.cost.bytes))
    if node.cost.seconds is not None:
        lines.append(time_text(node.cost))
    return '"' + "\\n".join(quoted(line)[1:-1] for line in lines) + '"'


def _value(value: Plain) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return quoted(value if isinstance(value, str) else repr(value))


def _list(items: Sequence[str]) -> str:
    return f" [{', '.join(items)}]" if items else ""
