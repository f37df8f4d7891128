"""Passes that do one thing well, or one thing wrong, and small programs for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from graphlab.program import Program
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.rewrite import Peephole, Rewrite
from graphlab.sources.module import capture

aten = torch.ops.aten
X = torch.linspace(-2, 2, 24).reshape(3, 8)


class Small(nn.Module):
    """x (batch, 8) to relu of a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).relu()


def program(module: nn.Module | None = None, *args: torch.Tensor) -> Program:
    torch.manual_seed(0)
    module = (module or Small()).eval().requires_grad_(False)
    return capture(module, args or (X,), dynamic=False)


def values(found: Program, *args: torch.Tensor) -> torch.Tensor:
    assert found.exported is not None
    with torch.no_grad():
        result: torch.Tensor = found.exported.module(check_guards=False)(*(args or (X,)))
    return result


def calls(found: Program) -> list[str]:
    assert found.exported is not None
    nodes = found.exported.graph.find_nodes
    assert nodes is not None
    return [node.target.__name__ for node in found.exported.graph.nodes if node.op == "call_function"]


@dataclass(frozen=True)
class Spelled(Peephole):
    """relu(x) to clamp_min(x, 0)."""

    name: ClassVar[str] = "spell-relu"
    targets: ClassVar[tuple[Any, ...]] = (aten.relu.default,)
    why: ClassVar[str] = "relu written out"

    def replace(self, node: torch.fx.Node, draft: Draft) -> torch.fx.Node:
        return draft.call(aten.clamp_min.default, node.args[0], 0, at=node)


@dataclass(frozen=True)
class Named(Peephole):
    """clamp_min(x, 0) to relu(x): what undoes `Spelled`."""

    name: ClassVar[str] = "name-relu"
    targets: ClassVar[tuple[Any, ...]] = (aten.clamp_min.default,)
    why: ClassVar[str] = "relu recognised"

    def replace(self, node: torch.fx.Node, draft: Draft) -> torch.fx.Node:
        return draft.call(aten.relu.default, node.args[0], at=node)


@dataclass(frozen=True)
class Doubled(Rewrite):
    """Weights times two, each time it runs: it means to change values."""

    name: ClassVar[str] = "double-weights"
    exact: ClassVar[bool] = False

    def apply(self, draft: Draft) -> None:
        draft.set_weights(["linear.weight"], lambda t: t["linear.weight"] * 2, "twice as much")


@dataclass(frozen=True)
class Swollen(Rewrite):
    """The weight of every linear layer as a new weight that is half of it plus half of it, once a name."""

    name: ClassVar[str] = "swell"
    suffix: str = "_a"

    def apply(self, draft: Draft) -> None:
        for node in draft.calls(aten.linear.default):
            weight = node.args[1]
            assert isinstance(weight, torch.fx.Node)
            key = draft.weight_key(weight)
            assert key is not None
            if self.suffix in key:
                continue
            new = draft.add_weight(f"{key}{self.suffix}", [key], lambda t, key=key: t[key] / 2 + t[key] / 2)
            draft.rewire(node, (node.args[0], new, *node.args[2:]), "another weight")


@dataclass(frozen=True)
class Broken(Rewrite):
    """Does `harm` to the draft."""

    harm: Callable[[Draft], None]
    name: ClassVar[str] = "broken"

    def apply(self, draft: Draft) -> None:
        self.harm(draft)
