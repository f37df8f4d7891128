"""Values of a graph that can be known while rewriting: numbers, and tensors made of nothing but constants."""

from __future__ import annotations

import math
from typing import Any

import torch

from graphlab.measuring.materialize import has_values
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.purity import impurity

MOST_ELEMENTS = 1 << 24
"""Larger tensors are not evaluated."""


class Known:
    """Evaluates nodes that depend on no input, no trained weight and no buffer the program writes, each once."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self._written = written_buffers(draft)
        self._values: dict[torch.fx.Node, Any] = {}

    def tensor(self, node: Any) -> torch.Tensor | None:
        """The value of `node`, on the CPU; None when it depends on an input, a trained weight or a moving size."""
        value = self._value(node) if isinstance(node, torch.fx.Node) else None
        return value if isinstance(value, torch.Tensor) else None

    def number(self, value: Any) -> float | None:
        """`value` (a number or a node that holds one element) as a float; None when it is not known."""
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        found = self.tensor(value)
        if found is None or found.numel() != 1 or found.is_complex():
            return None
        return float(found.item())

    def _value(self, node: torch.fx.Node) -> Any:
        """The value of `node` or None; an explicit stack, since masks are built by long chains."""
        pending = [node]
        while pending:
            item = pending[-1]
            if item in self._values:
                pending.pop()
                continue
            waiting = [i for i in item.all_input_nodes if i not in self._values] if item.op == "call_function" else []
            if waiting and not any(self._values.get(i, 0) is None for i in item.all_input_nodes):
                pending.extend(waiting)
                continue
            self._values[item] = self._evaluate(item)
            pending.pop()
        return self._values[node]

    def _evaluate(self, node: torch.fx.Node) -> Any:
        if node.op == "placeholder":
            return self._placeholder(node)
        if node.op != "call_function" or not self._small(node.meta.get("val")):
            return None
        if any(self._values.get(item) is None for item in node.all_input_nodes):
            return None
        if impurity(node):
            return None
        args, kwargs = torch.fx.map_arg((node.args, dict(node.kwargs)), lambda n: self._values[n])
        kwargs = {key: "cpu" if key == "device" and value is not None else value for key, value in kwargs.items()}
        args = tuple(torch.device("cpu") if isinstance(arg, torch.device) else arg for arg in args)
        assert callable(node.target)
        try:
            with torch.no_grad():
                return node.target(*args, **kwargs)
        except (RuntimeError, TypeError, ValueError, NotImplementedError):  # a kernel the CPU lacks: not known
            return None

    def _placeholder(self, node: torch.fx.Node) -> torch.Tensor | None:
        tensor = self.draft.weight(node)
        if self.draft.weight_key(node) in self._written:
            return None
        if tensor is None or isinstance(tensor, torch.nn.Parameter) or not has_values(tensor):
            return None
        return tensor.detach().cpu() if tensor.numel() <= MOST_ELEMENTS else None

    @staticmethod
    def _small(value: Any) -> bool:
        if isinstance(value, torch.Tensor):
            return all(isinstance(size, int) for size in value.shape) and math.prod(value.shape) <= MOST_ELEMENTS
        if isinstance(value, (tuple, list)):
            return all(Known._small(item) for item in value)
        return isinstance(value, (int, float, bool))


def written_buffers(draft: Draft) -> frozenset[str]:
    """The keys of buffers that hold another value in the next call."""
    return frozenset(draft.origin.graph_signature.buffers_to_mutate.values())


def weight_only(draft: Draft) -> frozenset[torch.fx.Node]:
    """The nodes that depend on weights and constants alone; a buffer the program writes is neither."""
    found: set[torch.fx.Node] = set()
    written = written_buffers(draft)
    for node in draft.graph.nodes:
        if node.op in ("placeholder", "get_attr"):
            key = draft.weight_key(node)
            if node.op == "get_attr" or (key is not None and key not in written):
                found.add(node)
        elif node.op == "call_function" and all(item in found for item in node.all_input_nodes):
            found.add(node)
    return frozenset(found)
