"""The account of a split: FLOP, weights and boundary before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphlab.facts import known_sum
from graphlab.graph import Graph
from graphlab.hoisting.result import BoundaryValue, HoistedModule, HoistReport, HoistResult, PartCost
from graphlab.hoisting.symbols import Symbols
from graphlab.pipeline import Facts
from graphlab.program import Program
from graphlab.symbolic import evaluate_text


def with_report(result: HoistResult, before: Program, sizes: Mapping[str, int] | None = None) -> HoistResult:
    """`result`, a split of `before`, with its report at `sizes` ({symbol of the original graph: size})."""
    assert before.exported is not None
    values = dict(sizes if sizes is not None else before.graph.symbols)
    symbols = Symbols(before.exported.graph)
    facts = {part: part_facts(program, symbols, values) for part, program in result.programs}
    costs = {part: part_cost(item) for part, item in facts.items()}
    whole = part_cost(Facts(before.graph, values))
    boundary = tuple(replace(item, nbytes=boundary_bytes(item, values)) for item in result.boundary)
    step, modules = costs["step"], _modules(facts)
    report = HoistReport(
        sizes=tuple(sorted(values.items())),
        before=whole,
        prologue=costs.get("prologue"),
        table=costs.get("table"),
        step=step,
        modules=modules,
        parameters_left=sum(module.parameters for module in modules),
        shared_weight_bytes=_shared(result),
        boundary_bytes=sum(i.nbytes for i in boundary if i.producer == "prologue" and "step" in i.consumers),
        row_bytes=sum(i.nbytes for i in boundary if i.producer == "table"),
    )
    return replace(result, report=report, boundary=boundary)


def part_facts(program: Program, symbols: Symbols, values: Mapping[str, int]) -> Facts:
    """Facts about a part at `values` of the symbols of the whole program, which `symbols` are."""
    assert program.exported is not None
    return Facts(program.graph, symbols.values_for(program.graph, program.exported.graph, values))


def part_cost(facts: Facts) -> PartCost:
    """What one call costs at the sizes of `facts`."""
    costs, graph = facts.result("cost"), facts.graph
    return PartCost(
        flops=known_sum(cost.flops for cost in costs.values()),
        pointwise_flops=known_sum(cost.pointwise_flops for cost in costs.values()),
        weight_bytes=sum(node.out.nbytes for node in graph.weights),
        parameters=sum(node.out.numel for node in graph.weights if node.kind == "parameter"),
        nodes=len(graph.calls),
        unknown=sum(cost.flops is None for cost in costs.values()),
    )


def boundary_bytes(item: BoundaryValue, values: Mapping[str, int]) -> int:
    """Bytes of a value that crosses, at `values` of the symbols of the whole program."""
    from graphlab.graph import DTYPE_BYTES

    total = DTYPE_BYTES[item.dtype]
    for size in item.shape:
        total *= size if isinstance(size, int) else evaluate_text(size, values)
    return total


def _shared(result: HoistResult) -> int:
    """Bytes of weights that the step and another part read."""
    others = {node.target for part, program in result.programs if part != "step" for node in program.graph.weights}
    return sum(int(node.out.nbytes) for node in result.step.graph.weights if node.target in others)


def _modules(facts: Mapping[str, Facts]) -> tuple[HoistedModule, ...]:
    """What left the step, by module, in the order of the prologue and then of the table."""
    stays = {node.target for node in facts["step"].graph.weights}
    found: dict[tuple[str, str], HoistedModule] = {}
    counted: set[str] = set()
    for part in ("prologue", "table"):
        if part not in facts:
            continue
        costs, graph = facts[part].result("cost"), facts[part].graph
        owners = _owners(graph)
        sizes = {node.target: int(node.out.numel) for node in graph.weights}
        for node in graph.calls:
            key = (node.modules[-1][0] if node.modules else "", part)
            known = found.get(key, HoistedModule(key[0], part, 0, 0, 0))
            flops = costs[node.name].flops
            gone = [w for w in owners.get(node.name, ()) if w not in stays and w not in counted]
            counted.update(gone)
            numel = sum(sizes[weight] for weight in gone)
            found[key] = replace(
                known,
                nodes=known.nodes + 1,
                flops=known_sum([known.flops, flops] if known.nodes else [flops]),
                parameters=known.parameters + numel,
                unknown=known.unknown + (flops is None),
            )
    return tuple(found.values())


def _owners(graph: Graph) -> dict[str, Sequence[str]]:
    """{call: keys of the parameters it reads}."""
    keys = {node.name: node.target for node in graph.weights if node.kind == "parameter"}
    return {node.name: [keys[ref] for ref in node.refs if ref in keys] for node in graph.calls}
