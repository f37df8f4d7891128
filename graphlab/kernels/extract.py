"""A stage's facts at integer sizes to a `StageCall`: every call a kernel, in three ways of running them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graphlab.costing import arguments
from graphlab.facts import AttentionSite, AttentionTraffic, NodeCost
from graphlab.graph import Graph, Node
from graphlab.kernels.attentions import attention_of, fused_kernel, materialized_kernels
from graphlab.kernels.data import Attention, Kernel, StageCall
from graphlab.kernels.merging import merged_kernels
from graphlab.kernels.shapes import plain_kernel
from graphlab.ops.rule import tensors
from graphlab.pipeline import Facts


def stage_call(
    facts: Facts, *, name: str, dtype: str, values: Mapping[str, int | float], cache_bytes: int, notes: tuple[str, ...]
) -> StageCall:
    """One forward call of the stage whose graph `facts` are about, sizes being integers."""
    graph = facts.graph
    costs: Mapping[str, NodeCost] = facts.result("cost")
    traffic: Mapping[str, AttentionTraffic] = facts.result("fused-bytes")
    sites: tuple[AttentionSite, ...] = facts.result("attention")
    memory = facts.result("memory")
    sizes = {site.node: attention_of(graph, site, costs) for site in sites}
    kernels = _kernels(facts, sizes, dtype)
    table = _Table()
    return StageCall(
        stage=name,
        values=dict(values),
        dtype=dtype,
        parameters=sum(node.out.numel for node in graph.weights if node.kind == "parameter"),
        weight_bytes=sum(node.out.nbytes for node in graph.weights),
        cache_bytes=cache_bytes,
        flops=sum(cost.flops or 0 for cost in costs.values()),
        pointwise_flops=sum(cost.pointwise_flops or 0 for cost in costs.values()),
        bytes={
            way: sum(kernel.bytes for group in kernels[way].values() for kernel in group)
            for way in ("materialized", "fused")
        },
        peak_bytes={way: memory[way].peak_bytes for way in ("materialized", "fused")},
        order={
            way: tuple(table.index(k) for n in graph.calls for k in own.get(n.name, ())) for way, own in kernels.items()
        },
        kernels=tuple(table.kernels),
        attentions=tuple(dict.fromkeys(sizes.values())),
        attention_order=tuple(list(dict.fromkeys(sizes.values())).index(sizes[site.node]) for site in sites),
        score_bytes=sum(traffic[site.node].score_bytes for site in sites),
        notes=notes,
    )


def call_names(facts: Facts, *, dtype: str) -> dict[str, tuple[str, ...]]:
    """{variant: the call behind every kernel of `StageCall.order`} of the call that `stage_call` makes of `facts`."""
    graph, costs = facts.graph, facts.result("cost")
    sizes = {site.node: attention_of(graph, site, costs) for site in facts.result("attention")}
    return {
        way: tuple(node.name for node in graph.calls for _ in own.get(node.name, ()))
        for way, own in _kernels(facts, sizes, dtype).items()
    }


def _kernels(facts: Facts, sizes: Mapping[str, Attention], dtype: str) -> dict[str, dict[str, list[Kernel]]]:
    """{variant: {call: its kernels}}, the variants in their order; calls that run nothing of their own are missing."""
    graph, sites = facts.graph, facts.result("attention")
    plain = _plain(graph, facts.result("cost"), facts.result("roles"), dtype)
    plain = _with_axes(graph, plain, sites, sizes)
    fused, materialized = _variants(graph, plain, sites, sizes, facts.result("fused-bytes"))
    compiled = merged_kernels(graph, fused)
    return {
        "materialized": materialized,
        "fused": {name: [kernel] for name, kernel in fused.items()},
        "compiled": {name: [kernel] for name, kernel in compiled.items()},
    }


class _Table:
    """Distinct kernels in the order they were first asked for."""

    def __init__(self) -> None:
        self.kernels: list[Kernel] = []
        self._places: dict[Kernel, int] = {}

    def index(self, kernel: Kernel) -> int:
        """Where `kernel` is kept."""
        if kernel not in self._places:
            self._places[kernel] = len(self.kernels)
            self.kernels.append(kernel)
        return self._places[kernel]


def _plain(graph: Graph, costs: Mapping[str, NodeCost], roles: Mapping[str, str], dtype: str) -> dict[str, Kernel]:
    outputs = {node.name: node.outputs for node in graph.nodes}
    found = {}
    for node in graph.calls:
        args, kwargs = arguments(node, outputs)
        given = tensors([*args, *(value for _, value in kwargs)])
        found[node.name] = plain_kernel(node, costs[node.name], given, roles[node.name], dtype)
    return found


def _variants(
    graph: Graph,
    plain: Mapping[str, Kernel],
    sites: tuple[AttentionSite, ...],
    sizes: Mapping[str, Attention],
    traffic: Mapping[str, AttentionTraffic],
) -> tuple[dict[str, Kernel], dict[str, list[Kernel]]]:
    """({call: kernel} with fused attention, {call: kernels} with its scores in memory)."""
    fused = dict(plain)
    materialized = {name: [kernel] for name, kernel in plain.items()}
    for site in sites:
        moved, members = traffic[site.node], [plain[name] for name in site.members]
        written = graph.by_name[site.node if site.fused else site.contractions[-1]].out.nbytes
        whole = fused_kernel(site, sizes[site.node], moved, members, written)
        for name in site.members:
            fused.pop(name)
            materialized[name] = [_core(plain[name], sizes[site.node])]
        fused[site.node] = whole
        if site.fused:
            materialized[site.node] = materialized_kernels(whole, moved.score_bytes, *_value_and_mask(graph, site))
    return fused, materialized


def _value_and_mask(graph: Graph, site: AttentionSite) -> tuple[int, int]:
    """Bytes of the values, where they are not the keys or queries again, and of the mask of a fused attention."""
    again = site.value in (site.query, site.key)
    value = 0 if again else graph.by_name[site.value].out.distinct_bytes
    return value, graph.by_name[site.mask].out.distinct_bytes if site.mask is not None else 0


def _core(kernel: Kernel, sizes: Attention) -> Kernel:
    return replace(kernel, category="attention", role="attention_core", axis=sizes.axis)


def _with_axes(
    graph: Graph, plain: dict[str, Kernel], sites: tuple[AttentionSite, ...], sizes: Mapping[str, Attention]
) -> dict[str, Kernel]:
    """`plain`, every layout change marked with the axis of the attentions of the innermost module that holds any.

    A module that convolves over a window too, and whose attentions are in modules of their own, is a block or a whole
    model: what it moves (skip connections, paddings) belongs to no attention.
    """
    axes: dict[str, set[str]] = {}
    for site in sites:
        for path, _ in graph.by_name[site.node].modules:
            axes.setdefault(path, set()).add(sizes[site.node].axis)
    own = {path for site in sites for path, _ in graph.by_name[site.node].modules[-1:]}
    for path in _convolving(graph, plain) - own:
        axes[path] = set()
    found = dict(plain)
    for node in graph.calls:
        kernel = plain[node.name]
        if kernel.category == "movement" and kernel.bytes:
            found[node.name] = replace(kernel, axis=_axis(node, axes))
    return found


def _convolving(graph: Graph, plain: Mapping[str, Kernel]) -> set[str]:
    """Modules with a convolution over more than one position somewhere in them."""
    found: set[str] = set()
    for node in graph.calls:
        shape = plain[node.name].contraction
        if shape is not None and shape.window > 1:
            found.update(path for path, _ in node.modules)
    return found


def _axis(node: Node, axes: Mapping[str, set[str]]) -> str:
    """The axis that all attentions of the innermost module around `node` share, "" where they differ or are none."""
    for path, _ in reversed(node.modules):
        if path and path in axes:
            found = axes[path]
            return next(iter(found)) if len(found) == 1 else ""
    return ""
