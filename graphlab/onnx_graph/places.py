"""Where a node comes from: module stack and source line in the exporter's metadata, or in the node's name."""

from __future__ import annotations

import ast
import re

import onnx_ir as ir

from graphlab.onnx_graph.tracer import Place

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


class Places:
    """`Place`s of nodes; each distinct text of metadata is read once."""

    def __init__(self) -> None:
        self._stacks: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
        self._lines: dict[str, str] = {}

    def of(self, node: ir.Node) -> Place:
        """The place of `node`, called after its first output."""
        name = next((out.name for out in node.outputs if out.name), None) or node.name or node.op_type
        return Place(
            name, self._modules(node), self._source(str(node.metadata_props.get("pkg.torch.onnx.stack_trace", "")))
        )

    def _modules(self, node: ir.Node) -> tuple[tuple[str, str], ...]:
        scopes = str(node.metadata_props.get("pkg.torch.onnx.name_scopes", ""))
        classes = str(node.metadata_props.get("pkg.torch.onnx.class_hierarchy", ""))
        key = (scopes, classes) if scopes else (node.name or "", "")
        if key not in self._stacks:
            self._stacks[key] = _from_metadata(scopes, classes) if scopes else _from_name(node.name or "")
        return self._stacks[key]

    def _source(self, trace: str) -> str:
        if trace not in self._lines:
            self._lines[trace] = _source_line(trace)
        return self._lines[trace]


def _from_metadata(scopes: str, classes: str) -> tuple[tuple[str, str], ...]:
    """`['', 'conv_in', 'conv2d']` beside `['pkg.Model', 'torch.nn.modules.conv.Conv2d', 'aten.conv2d.default']`."""
    paths, kinds = _strings(scopes), _strings(classes)
    pairs = list(zip(paths, kinds + [""] * (len(paths) - len(kinds)), strict=False))
    return tuple(pairs[:-1]) if pairs else ()


def _strings(text: str) -> list[str]:
    try:
        found = ast.literal_eval(text) if len(text) < 1 << 16 else []
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return [str(item) for item in found] if isinstance(found, (list, tuple)) else []


def _from_name(name: str) -> tuple[tuple[str, str], ...]:
    """`/down_blocks.0/attentions.0/Conv` of the older exporter: every part but the last is a module."""
    if not name.startswith("/"):
        return ()
    parts = name.strip("/").split("/")[:-1]
    paths = [".".join(parts[: index + 1]) for index in range(len(parts))]
    return (("", ""), *((path, "") for path in paths)) if paths else ()


def _source_line(trace: str) -> str:
    """ "package/file.py:line" of the deepest frame outside torch; "" where there is none."""
    for path, line in reversed(_FRAME.findall(trace)):
        short = re.split(r"(?:site|dist)-packages[\\/]", path)[-1].replace("\\", "/")
        if not short.startswith("torch/"):
            return f"{short if short != path else short.rsplit('/', 1)[-1]}:{line}"
    return ""
