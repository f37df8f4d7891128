"""How a stage's FLOPs and bytes grow: polynomials in the workload's variables, read off the captured sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphlab.costing import node_costs, total_bytes
from graphlab.facts import AttentionSite, NodeCost, known_sum
from graphlab.graph import Dim, Graph
from graphlab.polynomial import Exact, Polynomials


@dataclass(frozen=True)
class StagePolynomials:
    """Exact polynomials of one call of a stage, on the residue class of its bindings.

    `sizes` turns size text into polynomials; `graph` is the stage's graph with such sizes. FLOP are without those of
    calls without a rule, and None where no call has one.
    """

    sizes: Polynomials
    graph: Graph
    flops: Exact | None
    pointwise_flops: Exact | None
    bytes_materialized: Exact
    bytes_fused: Exact

    def text(self, dim: Dim) -> str:
        """`dim` (an int, or sympy over unit symbols) as text over the variables."""
        return str(self.sizes.restore(dim))


def stage_polynomials(
    graph: Graph,
    integer: Mapping[str, NodeCost],
    sites: tuple[AttentionSite, ...],
    axes: Mapping[str, str | int],
    values: Mapping[str, int | float],
) -> StagePolynomials:
    """The polynomials of `graph` (sizes as text over `axes`' keys) whose costs at `values` are `integer`."""
    sizes = Polynomials(axes, values, frozenset(_texts(graph)))
    symbolic = graph.map_sizes(sizes.size)
    costs = node_costs(symbolic, integer) if graph.symbols else dict(integer)
    materialized, fused = total_bytes(symbolic, sites, costs)

    def exact(total: Any) -> Exact:
        return Exact(sizes.restore(total))

    def known(amounts: Iterable[Dim | None]) -> Exact | None:
        total = known_sum(amounts)
        return None if total is None else exact(total)

    return StagePolynomials(
        sizes=sizes,
        graph=symbolic,
        flops=known(cost.flops for cost in costs.values()),
        pointwise_flops=known(cost.pointwise_flops for cost in costs.values()),
        bytes_materialized=exact(materialized),
        bytes_fused=exact(fused),
    )


def _texts(graph: Graph) -> set[str]:
    found: set[str] = set()
    for node in graph.nodes:
        for spec in node.outputs:
            if spec is not None:
                found.update(size for size in spec.shape if isinstance(size, str))
    return found
