"""channels-last: two-dimensional convolutions with the channels next to each other in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from graphlab.errors import GraphlabError
from graphlab.rewriting.arguments import arguments
from graphlab.rewriting.draft import Draft, described
from graphlab.rewriting.memory import Known, is_contiguous, lies_same, order_of, relaid, same_strides
from graphlab.rewriting.rewrite import Rewrite

Node = torch.fx.Node
aten = torch.ops.aten

_CONVOLUTIONS = (aten.conv2d.default, aten.conv2d.padding, aten.conv_transpose2d.input)
_ORDER = (0, 2, 3, 1)


@dataclass(frozen=True)
class ChannelsLast(Rewrite):
    """Gives two-dimensional convolutions inputs and weights in channels-last memory format; values stay equal.

    Before: `y = conv2d(x, w, b)`. After: `a = clone(x, memory_format=channels_last); y = conv2d(a, w', b);
    z = clone(y, memory_format=contiguous_format)`, the last for a result of the program, whose strides stay.

    An input that lies so already is not copied: through norms and activations the order carries over from one
    convolution to the next. New weights are copies of the old ones in another order. A `view` that no longer finds
    its memory in one piece becomes a `reshape`. For devices whose convolutions are made for that order (tensor cores,
    recent CPUs in bfloat16); on others it costs the copies, so no level includes it.
    """

    name: ClassVar[str] = "channels-last"

    def apply(self, draft: Draft) -> None:
        """One walk in execution order: convolutions are changed, what follows from them is worked out again."""
        walk = _Walk(draft)
        for node in draft.calls():
            if node.target in _CONVOLUTIONS and node.meta["val"].dim() == 4:
                walk.convolution(node)
            elif any(source in walk.moved for source in node.all_input_nodes):
                walk.follow(node)
        walk.restore_results()


@dataclass
class _Walk:
    """`moved`: {value: how it lay before} of the values whose strides changed."""

    draft: Draft
    moved: dict[Node, Any] = field(default_factory=dict)
    copies: dict[tuple[Node, Any], Node] = field(default_factory=dict)
    weights: dict[Node, Node] = field(default_factory=dict)
    known: Known = field(default_factory=dict)

    def convolution(self, node: Node) -> None:
        given = arguments(node)
        key = next(iter(given))  # `input`, whatever the schema calls it
        weight = self._weight(node, given["weight"])
        if weight is None:
            if given[key] in self.moved:
                self.follow(node)
            return
        changed = {key: self._input(node, given[key]), "weight": weight}
        if all(given[name] is new for name, new in changed.items()):
            if given[key] in self.moved:
                self.follow(node)
            return
        new = self.draft.call(node.target, *{**given, **changed}.values(), at=node)
        if not same_strides(node.meta["val"], new.meta["val"]):
            self.moved[new] = node.meta["val"]
        self.draft.replace(node, new, "a convolution with its channels last")

    def _input(self, node: Node, source: Node) -> Node:
        return source if _channels_last(source.meta["val"]) else self._copy(source, torch.channels_last, node)

    def _copy(self, source: Node, order: torch.memory_format, at: Node) -> Node:
        known = self.copies.get((source, order))
        if known is None:
            known = self.draft.call(aten.clone.default, source, at=at, memory_format=order)
            self.copies[source, order] = known
        return known

    def _weight(self, node: Node, weight: Node) -> Node | None:
        """`weight` with its channels last; None, with a reason, for one that is computed."""
        if _channels_last(weight.meta["val"]):
            return weight
        key = self.draft.fixed_key(weight)
        if key is None:
            self.draft.skip(node, "its weight is computed or written, not only stored")
            return None
        if weight not in self.weights:

            def make(tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
                return tensors[key].contiguous(memory_format=torch.channels_last)

            self.weights[weight] = self.draft.add_weight(self.draft.free_key(f"{key}_channels_last"), [key], make)
        return self.weights[weight]

    def follow(self, node: Node) -> None:
        """Works out `node` again, over values that lie another way; gives it a copy in the old order where it must."""
        value = relaid(self.draft.mode, node, self.known)
        if isinstance(value, str):
            for source in [s for s in node.all_input_nodes if s in self.moved]:
                node.replace_input_with(source, self._restored(source, node))
            return
        before = node.meta.get("val")
        node.meta["val"] = value
        if not lies_same(before, value):
            self.moved[node] = before

    def _restored(self, source: Node, at: Node) -> Node:
        """A copy of `source` that lies as it did before."""
        before = self.moved[source]
        if is_contiguous(before):
            return self._copy(source, torch.contiguous_format, at)
        order = order_of(before)
        if order is None:
            raise GraphlabError(f"{source.name}, {described(before)}, cannot be laid out as it was")
        turned = self.draft.call(aten.permute.default, source, order, at=at)
        copy = self.draft.call(aten.clone.default, turned, at=at, memory_format=torch.contiguous_format)
        back = [order.index(axis) for axis in range(len(order))]
        return self.draft.call(aten.permute.default, copy, back, at=at)

    def restore_results(self) -> None:
        output = self.draft.graph.output_node()
        for source in [s for s in output.all_input_nodes if s in self.moved]:
            output.replace_input_with(source, self._restored(source, output))


def _channels_last(value: torch.Tensor) -> bool:
    """Whether a fake tensor of 4 axes lies with its second axis innermost, at every binding."""
    return is_contiguous(value.permute(_ORDER))
