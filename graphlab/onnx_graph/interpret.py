"""The nodes of a model, one after the other, through their translations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import onnx_ir as ir

from graphlab.errors import BindingError, GraphlabError, SourceError
from graphlab.graph import Graph
from graphlab.onnx_graph import translations
from graphlab.onnx_graph.call import TRANSLATIONS, OnnxCall
from graphlab.onnx_graph.dtypes import PACKED, torch_dtype
from graphlab.onnx_graph.folding import fold, known_of, shape_of
from graphlab.onnx_graph.places import Places
from graphlab.onnx_graph.sizes import MAX_SIZE, Sizes
from graphlab.onnx_graph.tracer import Tracer
from graphlab.onnx_graph.value import Value
from graphlab.symbolic import evaluate_any

__all__ = ["Interpreter", "UnreadableError", "translations"]


class UnreadableError(SourceError):
    """What no other sizes would make readable."""


class Interpreter:
    """One reading of a model under `values` ({free name: int, or torch.SymInt})."""

    def __init__(self, model: ir.Model, sizes: Sizes, tracer: Tracer, values: Mapping[str, Any], what: str) -> None:
        self.model, self.tracer, self.values, self.what = model, tracer, values, what
        self.places = Places()
        self.known: dict[ir.Value, Value] = {}
        self.external: dict[tuple[Any, ...], str] = {}
        self.weights: dict[ir.Value, ir.TensorProtocol] = {}
        by_name = {value.name: value for value in model.graph.inputs}
        for item in sizes.inputs:
            made = tracer.leaf("input", item.name, item.name, sizes.shape(item, values), item.dtype)
            self.known[by_name[item.original]] = made

    def graph(self) -> Graph:
        """The graph of the model's outputs."""
        self._weights(self.model.graph)
        for node in self.model.graph:
            self._node(node)
        return self.tracer.graph([self._value(value) for value in self.model.graph.outputs])

    def _weights(self, graph: ir.Graph) -> None:
        for value in graph.initializers.values():
            if value.const_value is not None:
                self.weights[value] = value.const_value

    def _value(self, value: ir.Value) -> Value:
        if value not in self.known:
            if value not in self.weights:
                raise UnreadableError(
                    f"{self.what}: nothing makes the value {value.name!r}", hint="fetch or export the file again"
                )
            self.known[value] = self._weight(value, self.weights[value])
        return self.known[value]

    def _weight(self, value: ir.Value, tensor: ir.TensorProtocol) -> Value:
        shape = shape_of(tensor)
        if any(not 0 <= size <= MAX_SIZE for size in shape):
            raise SourceError(f"{self.what}: weight {value.name!r} has the shape {shape}", hint="the file is damaged")
        dtype = torch_dtype(tensor.dtype, f"{self.what}: {value.name!r}")
        known = known_of(tensor)
        name = value.name or "weight"
        if known is not None:
            learned = bool(shape) and dtype.is_floating_point
            make = partial(self._leaf, name=name, tensor=tensor)
            return Value(dtype, shape, known=known, weight=learned, make=make)
        made = Value(dtype, shape)
        self._leaf(made, name, tensor)
        return made

    def _leaf(self, value: Value, name: str, tensor: ir.TensorProtocol) -> None:
        shape = value.shape
        if tensor.dtype in PACKED and shape:
            shape = (*shape[:-1], -(-shape[-1] // PACKED[tensor.dtype]))
        kind = "parameter" if value.dtype.is_floating_point else "buffer"
        if isinstance(tensor, ir.ExternalTensor):
            place = (str(tensor.location), tensor.offset, tuple(value.shape))
            kind = "tied" if place in self.external else kind
            self.external.setdefault(place, name)
        made = self.tracer.leaf(kind, name, name, shape, value.dtype)
        value.fake, value.ref = made.fake, made.ref

    def _node(self, node: ir.Node) -> None:
        version = node.version or self.model.graph.opset_imports.get(node.domain, 0) or 0
        inputs = tuple(None if value is None else self._value(value) for value in node.inputs)
        call = OnnxCall(node, inputs, version, self.tracer)
        self.tracer.place = self.places.of(node)
        try:
            results = self._results(call, node.domain)
        except GraphlabError:
            raise
        except Exception as error:  # torch and NumPy raise many kinds for inputs that do not fit an operator
            line = " ".join(str(error).split())[:200] or type(error).__name__
            raise SourceError(f"{self.what}: {call.what} does not take its inputs: {line}") from error
        for value, result in zip(node.outputs, results, strict=False):
            if result is not None:
                self.known[value] = result

    def _results(self, call: OnnxCall, domain: str) -> Sequence[Value | None]:
        folded = fold(call)
        if folded is not None:
            return folded if isinstance(folded, list) else [folded]
        if call.node.op_type == "If" and domain == "":
            chosen = self._branch(call)
            if chosen is not None:
                return chosen
        translation = TRANSLATIONS.get((domain, call.node.op_type))
        if translation is None:
            return self._unknown(call, domain)
        made = translation(call)
        return [made] if isinstance(made, Value) else made

    def _branch(self, call: OnnxCall) -> Sequence[Value] | None:
        condition = call.input(0).scalar()
        if condition is None:
            return None
        branch = call.attr("then_branch" if condition else "else_branch")
        self._weights(branch)
        for node in branch:
            self._node(node)
        return [self._value(value) for value in branch.outputs]

    def _unknown(self, call: OnnxCall, domain: str) -> Sequence[Value | None]:
        """An operator without a translation, with the shapes the file states for what it makes."""
        named = [value for value in call.node.outputs if value.name]
        outs = []
        for value in named:
            if value.shape is None or value.dtype is None:
                raise UnreadableError(
                    f"{self.what}: graphlab does not know {domain or 'onnx'}.{call.what}, and the file does not say "
                    "the shape of what it makes",
                    hint="run shape inference on the file (onnxruntime.tools.symbolic_shape_infer)",
                )
            outs.append((tuple(self._stated(size, value) for size in value.shape), torch_dtype(value.dtype, call.what)))
        made = self.tracer.write(f"{domain or 'onnx'}.{call.node.op_type}", call.inputs, outs)
        found = dict(zip(named, [made] if isinstance(made, Value) else made, strict=True))
        return [found.get(value) for value in call.node.outputs]

    def _stated(self, size: Any, value: ir.Value) -> Any:
        if isinstance(size, int):
            return size
        text = getattr(size, "value", None)
        try:
            return evaluate_any(str(text), self.values)
        except BindingError as error:
            raise UnreadableError(
                f"{self.what}: the size {text} of {value.name!r} does not follow from the inputs'",
                hint="run shape inference on the file (onnxruntime.tools.symbolic_shape_infer)",
            ) from error
