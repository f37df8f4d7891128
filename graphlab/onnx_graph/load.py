"""Bytes of an ONNX file to an onnx_ir model whose functions are inlined; nothing beside the file is opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import onnx
import onnx.inliner
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from graphlab.errors import SourceError
from graphlab.onnx_graph.call import TRANSLATIONS
from graphlab.onnx_graph.wire import without_weights

_DAMAGED = "fetch or export the file again"
_STANDARD = "ai.onnx"


def load_model(view: memoryview, what: str) -> ir.Model:
    """The model in `view`, its nodes sorted, its functions inlined; SourceError in one line otherwise.

    Weights are left out. Operators of the standard set that graphlab does not know and that are functions by their
    schema are inlined too.
    """
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(without_weights(view, what))
    except Exception as error:  # protobuf's DecodeError, whose package has no types
        raise SourceError(f"{what} is no sound ONNX model: {error}", hint=_DAMAGED) from error
    if not proto.HasField("graph") or not (proto.graph.node or proto.graph.output):
        raise SourceError(f"{what} is an ONNX file without a graph", hint=_DAMAGED)
    _check_names(proto.graph, what)
    _name_standard(proto)
    try:
        proto = _inline_schemas(proto)
        model: ir.Model = ir.serde.deserialize_model(proto)
        if model.functions:
            InlinePass()(model)
        model.graph.sort()
    except Exception as error:  # onnx_ir and the inliner raise ValueError, TypeError, RuntimeError and their own
        raise SourceError(f"{what} is no sound ONNX model: {_line(error)}", hint=_DAMAGED) from error
    return model


def _name_standard(proto: onnx.ModelProto) -> None:
    """Calls the standard's domain "" throughout: some exporters write its other name where versions are stated."""
    for holder in (proto, *proto.functions):
        nodes = _nodes(proto.graph.node if holder is proto else holder.node)
        for item in (*holder.opset_import, *nodes):
            if item.domain == _STANDARD:
                item.domain = ""


def _texts(graph: onnx.GraphProto) -> Iterator[str]:
    """Every name the graph is read by; protobuf gives bytes where one is no sound text."""
    yield graph.name
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.name
        yield from (size.dim_param for size in value.type.tensor_type.shape.dim)
    for weight in graph.initializer:
        yield weight.name
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)


def _check_names(graph: onnx.GraphProto, what: str) -> None:
    if not all(isinstance(text, str) for text in _texts(graph)):
        raise SourceError(f"{what} holds a name that is no text", hint=_DAMAGED)
    taken = {value.name for value in graph.input}
    if len(taken) != len(graph.input):
        raise SourceError(f"{what} names an input twice", hint=_DAMAGED)
    for node in graph.node:
        for name in node.output:
            if name and name in taken:
                raise SourceError(f"{what} makes the value {name!r} twice", hint=_DAMAGED)
            taken.add(name)


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """`nodes` and those of the graphs within them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _nodes(graph.node)


def _inline_schemas(proto: onnx.ModelProto) -> onnx.ModelProto:
    """`proto` with operators graphlab has no translation for, and whose schema is a function, written out."""
    versions = {entry.domain: entry.version for entry in proto.opset_import}
    bodies = [node for function in proto.functions for node in _nodes(function.node)]
    inside = _functions(bodies, versions)
    wanted = _functions(_nodes(proto.graph.node), versions) | inside
    if inside:
        proto = onnx.inliner.inline_local_functions(proto)
    if not wanted:
        return proto
    return onnx.inliner.inline_selected_functions(proto, sorted(wanted), inline_schema_functions=True)


def _functions(nodes: Iterable[onnx.NodeProto], versions: Mapping[str, int]) -> set[tuple[str, str]]:
    """(domain, name) of the operators among `nodes` that are to be written out."""
    found = set()
    for node in nodes:
        name = (node.domain, node.op_type)
        if name not in TRANSLATIONS and _is_function(node.op_type, node.domain, versions.get(node.domain)):
            found.add(name)
    return found


def _is_function(name: str, domain: str, version: int | None) -> bool:
    if version is None or not onnx.defs.has(name, domain):
        return False
    try:
        schema = onnx.defs.get_schema(name, version, domain)
    except onnx.defs.SchemaError:
        return False  # an operator of a later set than the file names
    return bool(schema.has_function or schema.has_context_dependent_function)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
