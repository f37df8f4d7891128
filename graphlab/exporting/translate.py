"""`to_onnx`: a program as an onnx_ir model without the values of its weights."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from graphlab.errors import GraphlabError
from graphlab.exporting.cleanup import clean
from graphlab.exporting.places import say_places
from graphlab.exporting.prepare import PrepareForOnnx
from graphlab.exporting.targets import Target
from graphlab.exporting.torchlib import model_of, registry
from graphlab.exporting.translations import translations
from graphlab.program import Program
from graphlab.rewriting.change import Skip
from graphlab.rewriting.functional import functional
from graphlab.rewriting.new_tensor import NewTensor
from graphlab.rewriting.pipeline import rewrite_from, run_passes
from graphlab.sources.extract import extract

KEY = "graphlab.key"
"""Under which the tensor of an initializer has its key in the program."""


@dataclass(frozen=True, slots=True)
class Lowered:
    """A model and where the values of its initializers come from.

    `model` is an onnx_ir.Model whose initializers are named by key of `program`, which is the program as it was
    translated; its weights that were made of others are in `new_tensors`. `skips` say which attention was not packed.
    """

    model: Any
    program: Program
    new_tensors: tuple[NewTensor, ...]
    target: Target
    skips: tuple[Skip, ...] = ()

    @property
    def operators(self) -> Mapping[str, int]:
        """{"domain::op", or "op" of the standard: how often} of the main graph, most frequent first."""
        names = (f"{node.domain}::{node.op_type}" if node.domain else node.op_type for node in self.model.graph)
        return dict(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])))


def to_onnx(program: Program, target: Target, names: Mapping[str, str] | None = None) -> Lowered:
    """`program` in the operators `target` has, without weights.

    `names` are {symbol of the program ("sample.d2"): what the model calls it}; without, symbols keep their names.
    ExportError names the operator that has no translation; GraphlabError for a program without torch's behind it.
    """
    if program.exported is None:
        raise GraphlabError(f"{program.name} has no exported program to translate", hint="capture it without the cache")
    packed = [rewrite_from(name) for name in target.passes]
    # A pass that changes nothing gives back what it was given, and ONNX has no writes in place.
    made = run_passes(_functional(program), [*packed, PrepareForOnnx(target)], to_fixed_point=False)
    ready = made.program
    assert ready.exported is not None
    model = model_of(ready.exported, registry(target.opset, translations(target)))
    _mark_keys(model)
    model.graph.name = re.sub(r"\W", "_", program.name) or "graph"
    _name_symbols(model, ready, names or {})
    clean(model, target)
    say_places(model, ready.graph)
    return Lowered(model, ready, made.new_tensors, target, tuple(s for s in made.skips if s.pass_name in target.passes))


def _mark_keys(model: Any) -> None:
    """Weights keep their keys where one is called like an input or another value, and gets another name for it."""
    for key, value in model.graph.initializers.items():
        value.const_value.meta[KEY] = key


def _functional(program: Program) -> Program:
    """`program` without writes in place; itself where there are none."""
    assert program.exported is not None
    exported = functional(program.exported)
    return program if exported is program.exported else replace(program, graph=extract(exported), exported=exported)


def _name_symbols(model: Any, program: Program, names: Mapping[str, str]) -> None:
    """torch's s53 becomes the program's sample.d2, or what `names` says for it, wherever a size is written."""
    import onnx_ir as ir

    known: dict[str, str] = {}
    for value, node in zip(model.graph.inputs, program.graph.inputs, strict=True):
        for dim, size in zip(value.shape or (), node.out.shape, strict=True):
            if isinstance(dim, ir.SymbolicDim) and isinstance(size, str) and size in program.graph.symbols:
                known[str(dim.value)] = names.get(size, size)
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, known)) + r")\b") if known else None
    done: dict[str, str] = {}

    def renamed(dim: Any) -> Any:
        if not isinstance(dim, ir.SymbolicDim) or dim.value is None:
            return dim
        text = str(dim.value)
        if text not in done:
            done[text] = pattern.sub(lambda match: known[match.group(1)], text) if pattern is not None else text
        return int(text) if text.isdigit() else ir.SymbolicDim(done[text])  # a size a guard made a number

    values = [*model.graph.inputs, *(value for node in model.graph for value in node.outputs)]
    for value in values:
        if value.shape is not None:
            value.shape = ir.Shape([renamed(dim) for dim in value.shape])
