"""The only place that touches torch's ONNX exporter: its table of translations, and its walk over a graph.

`torch.onnx.export` itself would trace the program again to decompose it, at twenty times the cost of translating it,
and would need the weights' values. What is called here is not public; tests/exporting/test_torchlib.py pins it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch.export import ExportedProgram

from graphlab.exporting.errors import ExportError

Translations = Mapping[Callable[..., Any], Callable[..., Any]]
"""{operator: function of ONNX values and constants that writes its ONNX operators and returns the results}"""


@contextmanager
def _quietly() -> Iterator[None]:
    """torch's exporter logs that torchvision is missing and warns of its own deprecations."""
    logger = logging.getLogger("torch.onnx._internal.exporter")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@cache
def _functions(opset: int) -> dict[Any, Any]:
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    with _quietly():
        return dict(ONNXRegistry.from_torchlib(opset_version=opset).functions)


def registry(opset: int, translations: Translations) -> Any:
    """torch's table of translations at `opset`, those of `translations` before its own."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    made = ONNXRegistry()
    made._opset_version = opset
    made.functions = {target: list(known) for target, known in _functions(opset).items()}
    with _quietly():
        for target, function in translations.items():
            made.register_op(target, function, is_complex=False)
    return made


def translates(table: Any, target: Any) -> bool:
    """Whether `table` knows how to write the operator `target`."""
    return bool(table.is_registered(target))


def first_opset(target: Any, above: int) -> int | None:
    """The first opset after `above` at which torch's table knows `target`; None for none."""
    from graphlab.exporting.targets import HIGHEST_OPSET

    name: Any = target
    if isinstance(target, torch._ops.OpOverload):
        name = target.name()  # type: ignore[no-untyped-call]  # torch gives it no types
    return next((opset for opset in range(above + 1, HIGHEST_OPSET + 1) if name in _functions(opset)), None)


def model_of(exported: ExportedProgram, table: Any) -> Any:
    """`exported`, whose operators `table` all knows, as an onnx_ir.Model; initializers are named by key.

    Their tensors may be without values. ExportError names the node that a translation does not take.
    """
    from torch.onnx._internal.exporter import _core

    try:
        with _quietly():
            return _core._exported_program_to_onnx_program(exported, registry=table).model
    except Exception as error:  # a translation may raise anything
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        where = str(error).split(". See the stack")[0].removeprefix("Error when translating node ")
        reason = " ".join(str(cause).split())[:200]
        raise ExportError(f"cannot be written as ONNX: {where[:200]}: {reason}") from error


def recorder() -> Any:
    """What collects the nodes of the translation that is running: `nodes` is its list."""
    from onnxscript import evaluator

    return evaluator.default()


def decompositions() -> Mapping[Any, Callable[..., Any]]:
    """{operator: its decomposition into others}: torch's."""
    return {**torch._decomp.decomposition_table, **torch.export.default_decompositions()}
