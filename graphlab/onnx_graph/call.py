"""One ONNX node as translations see it, and the table of translations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import onnx_ir as ir

from graphlab.errors import SourceError
from graphlab.onnx_graph.tracer import Tracer
from graphlab.onnx_graph.value import Value


@dataclass(frozen=True, slots=True)
class OnnxCall:
    """A node, the values of its inputs (None: left out), and the version of its domain's operator set."""

    node: ir.Node
    inputs: tuple[Value | None, ...]
    opset: int
    tracer: Tracer

    @property
    def what(self) -> str:
        """How messages call the node: "Conv '/conv_in/Conv'"."""
        name = self.node.name or next((out.name for out in self.node.outputs if out.name), "")
        return f"{self.node.op_type} {name!r}"

    def input(self, index: int) -> Value:
        """Input `index`; SourceError where it is left out."""
        value = self.optional(index)
        if value is None:
            raise SourceError(f"{self.what} has no input {index}", hint="the file is damaged")
        return value

    def optional(self, index: int) -> Value | None:
        """Input `index`, or None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def given(self) -> list[Value]:
        """The inputs that are not left out."""
        return [value for value in self.inputs if value is not None]

    def attr(self, name: str, default: Any = None) -> Any:
        """Attribute `name` as a Python value, or `default`."""
        found = self.node.attributes.get(name)
        return found.value if found is not None and found.value is not None else default

    def wants(self, index: int) -> bool:
        """Whether anything reads output `index`."""
        outputs = self.node.outputs
        return index < len(outputs) and (bool(outputs[index].uses()) or outputs[index].is_graph_output())

    def integers(self, index: int, attribute: str = "") -> list[Any] | None:
        """The numbers of input `index`, or of the attribute older operator sets have; None where neither is given.

        SourceError where the input is not known when the model is read.
        """
        value = self.optional(index)
        if value is None:
            found = self.attr(attribute) if attribute else None
            return list(found) if found is not None else None
        if value.known is None:
            raise SourceError(
                f"input {index} of {self.what} is computed from data", hint="only sizes that are known can be analysed"
            )
        return list(value.known.reshape(-1))

    def run(self, target: str, *args: Any, **kwargs: Any) -> Any:
        """`Tracer.call`."""
        return self.tracer.call(target, *args, **kwargs)

    def same(self, target: str, like: Value, *args: Any) -> Value:
        """An operator that torch lacks whose one result has the shape and dtype of `like`."""
        made = self.tracer.write(target, args, [(like.shape, like.dtype)])
        assert isinstance(made, Value)
        return made


Results: TypeAlias = Value | Sequence[Value | None]
Translation: TypeAlias = Callable[[OnnxCall], Results]

TRANSLATIONS: dict[tuple[str, str], Translation] = {}
"""{(domain, operator): its translation}; the standard domain is ""."""


def onnx(*names: str, domain: str = "") -> Callable[[Translation], Translation]:
    """Register the decorated translation for the operators `names` of `domain`."""

    def register(body: Translation) -> Translation:
        for name in names:
            if (domain, name) in TRANSLATIONS:
                raise ValueError(f"ONNX operator {domain}.{name} has two translations")
            TRANSLATIONS[domain, name] = body
        return body

    return register


MICROSOFT = "com.microsoft"
