"""An ONNX file as a one-stage Workload whose variables are the file's free sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from graphlab.graph import Graph
from graphlab.sources.bare import program_workload
from graphlab.sources.zips import mapped
from graphlab.workload import Argument, Size, TensorInput, Workload


def onnx_workload(path: Path, source: str, inputs: Mapping[str, str], *, dynamic: bool = True) -> Workload:
    """The Workload of the ONNX model at `path`; `inputs` are shapes of inputs, as in "1x4x64x64:float16".

    A free size is a variable under the name it has in the file where a person chose it ("height"), under its axis's
    name ("sample.h") otherwise. SourceError where the file is damaged or its shapes depend on data.
    """
    from graphlab.onnx_graph import read_onnx
    from graphlab.onnx_graph.sizes import is_made_up

    with mapped(path) as view:
        read = read_onnx(view, str(path), inputs, dynamic=dynamic)
    named = replace(read.program, name=_class(read.program.graph) or read.program.name or path.stem)
    workload = program_workload(named, source, read.assumptions)
    shown = dict(zip(read.program.graph.symbols, workload.variables, strict=True))
    taken = {variable.name for variable in workload.variables}
    names = {
        shown[symbol].name: name for symbol, name in read.names.items() if not is_made_up(name) and name not in taken
    }
    variables = tuple(
        replace(
            variable,
            name=names.get(variable.name, variable.name),
            default=read.defaults[symbol],
            help=f"size of axis {variable.name}, {read.names[symbol]!r} in the file",
        )
        for symbol, variable in shown.items()
    )
    stage = workload.stages[0]
    renamed = {key: _renamed(argument, names) for key, argument in stage.inputs.items()}
    stage = replace(stage, inputs=renamed, batch=_text(stage.batch, names))
    return replace(workload, stages=(stage,), variables=variables)


def _class(graph: Graph) -> str:
    """Class name of the module the file was exported from, where its exporter kept it."""
    return next((node.modules[0][1].rsplit(".", 1)[-1] for node in graph.nodes if node.modules), "")


def _renamed(argument: Argument, names: Mapping[str, str]) -> Argument:
    assert isinstance(argument, TensorInput)
    return replace(argument, shape=tuple(_text(size, names) for size in argument.shape))


def _text(size: Size, names: Mapping[str, str]) -> Size:
    """`size` with the names of variables replaced."""
    if isinstance(size, int):
        return size
    return re.sub(r"[A-Za-z_][\w.]*", lambda match: names.get(match.group(0), match.group(0)), size)
