"""Names of a model's inputs and results, and what they are."""

from __future__ import annotations

from typing import Any

from graphlab.exporting.errors import ExportError
from graphlab.exporting.options import Naming
from graphlab.report.export_data import Port


def rename_ports(model: Any, naming: Naming) -> None:
    """Gives inputs and results of the onnx_ir model the names of `naming`; ExportError for two of one name."""
    for value in model.graph.inputs:
        value.name = naming.inputs.get(value.name, value.name)
    if naming.outputs:
        if len(naming.outputs) != len(model.graph.outputs):
            raise ExportError(
                f"{len(naming.outputs)} names for the {len(model.graph.outputs)} results of {model.graph.name}"
            )
        taken = {value.name for value in model.graph.inputs}
        _free(model, {*naming.outputs} - taken)
        for value, name in zip(model.graph.outputs, naming.outputs, strict=True):
            value.name = name
    names = [value.name for value in (*model.graph.inputs, *model.graph.outputs)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ExportError(f"two inputs or results of {model.graph.name} would be called {twice}")


def _free(model: Any, names: set[str]) -> None:
    """Values inside the model that are called like a result to be get another name."""
    outputs = {id(value) for value in model.graph.outputs}
    for node in model.graph:
        for value in node.outputs:
            if value.name in names and id(value) not in outputs:
                value.name = f"{value.name}_inner"


def ports(values: Any) -> tuple[Port, ...]:
    """The inputs or results `values` of a model."""
    return tuple(Port(value.name, value.dtype.name.lower(), _shape(value)) for value in values)


def _shape(value: Any) -> tuple[int | str, ...]:
    return tuple(size if isinstance(size, int) else str(size.value) for size in (value.shape or ()))
