"""The structure of a written model: ONNX's checker, and shapes inferred afresh against those written in the file.

onnx's own full check keeps a recorded shape where it infers another, and knows no operator of com.microsoft. So the
recorded results of the standard's operators are taken out, those of other domains stay, and what inference then finds
is compared with what the file says. Runs in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

STANDARD = ("", "ai.onnx")
_LARGE = 1024
"""Bytes from which an initializer is no shape and no list of axes: inference needs its sizes alone."""


def check_structure(path: Path) -> dict[str, Any]:
    """{"inferred": values compared, "unknown": values of standard operators that inference finds no shape for,
    "foreign": nodes of other domains, whose recorded shapes are taken as they are, "wrong": what disagrees}.

    Raises what onnx's checker raises for a model that is none.
    """
    import onnx

    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path), load_external_data=False)
    _drop_large(model.graph)
    recorded = dict(_types(model.graph))
    standard = [name for node in model.graph.node if node.domain in STANDARD for name in node.output if name]
    foreign = sum(node.domain not in STANDARD for node in model.graph.node)
    _forget(model.graph, {*standard})
    inferred = dict(
        _types(onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph)
    )
    symbols = {dim for value in model.graph.input for dim in _dims(value.type) or () if isinstance(dim, str)}
    wrong, compared, unknown = [], 0, 0
    for name in standard:
        if name not in recorded:
            continue
        if inferred.get(name, (0, None))[1] is None:
            unknown += 1
            continue
        compared += 1
        why = _difference(recorded[name], inferred[name], symbols)
        if why:
            wrong.append(f"{name}: {why}")
    return {"inferred": compared, "unknown": unknown, "foreign": foreign, "wrong": wrong}


def _drop_large(graph: Any) -> None:
    for tensor in graph.initializer:
        if len(tensor.raw_data) >= _LARGE:
            tensor.ClearField("raw_data")


def _types(graph: Any) -> Iterator[tuple[str, tuple[int, tuple[int | str, ...] | None]]]:
    """(name, (number of the dtype, sizes or None)) of every value whose type `graph` records."""
    for value in (*graph.value_info, *graph.output):
        yield value.name, (value.type.tensor_type.elem_type, _dims(value.type))


def _dims(kind: Any) -> tuple[int | str, ...] | None:
    if not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in dims)


def _forget(graph: Any, names: set[str]) -> None:
    kept = [value for value in graph.value_info if value.name not in names]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    for value in graph.output:
        if value.name in names:
            value.type.tensor_type.ClearField("shape")


def _difference(
    recorded: tuple[int, tuple[int | str, ...] | None],
    inferred: tuple[int, tuple[int | str, ...] | None],
    symbols: set[str],
) -> str:
    """What is wrong with a recorded type; "" where both may be of one value. Only sizes inputs have are compared by
    name: others are expressions, which inference calls what it likes."""
    if recorded[0] != inferred[0]:
        return f"is of type {inferred[0]}, the model says {recorded[0]}"
    old, new = recorded[1], inferred[1]
    if old is None or new is None:
        return ""
    if len(old) != len(new) or any(_unlike(a, b, symbols) for a, b in zip(old, new, strict=True)):
        return f"has the sizes {list(new)}, the model says {list(old)}"
    return ""


def _unlike(a: int | str, b: int | str, symbols: set[str]) -> bool:
    if isinstance(a, int) and isinstance(b, int):
        return a != b
    return a in symbols and b in symbols and a != b
