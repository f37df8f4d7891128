"""walker: a backend that runs a program with torch.fx's interpreter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from graphlab.lowering.base import Backend, Lowered, Tensors, ordered_inputs
from graphlab.program import Program
from graphlab.rewriting.options import option


@dataclass(frozen=True)
class Walker(Backend):
    """torch.fx's interpreter, node by node: slow, and a check of the others."""

    name: ClassVar[str] = "walker"

    checked: bool = option(False, "look for NaN in every result")

    def unavailable(self) -> str | None:
        """It runs wherever torch does."""
        return None

    def lower(self, program: Program, values: Tensors) -> Lowered:
        """An interpreter over the program's own graph, its weights read once."""
        exported = program.exported
        assert exported is not None
        names = {spec.arg.name: spec.target for spec in exported.graph_signature.input_specs}
        placeholders = exported.graph.find_nodes(op="placeholder")
        inputs = [node.name for node in program.graph.inputs]
        given = iter(inputs)
        plan = [
            (names[node.name], None) if names[node.name] in values else (None, next(given)) for node in placeholders
        ]
        held = {key: values[key] for key, _ in plan if key is not None}
        interpreter = torch.fx.Interpreter(exported.graph_module)

        def call(tensors: Tensors) -> tuple[torch.Tensor, ...]:
            by_name = dict(zip(inputs, ordered_inputs(program, tensors), strict=True))
            arguments = [by_name[str(name)] if key is None else held[key] for key, name in plan]
            with torch.no_grad():
                results = tuple(interpreter.run(*arguments))
            if self.checked and any(bool(value.isnan().any()) for value in results):
                raise FloatingPointError("a result is not a number")
            return results

        return Lowered(call)
