"""Capture of one module: symbolic where `torch.export` allows it, static with the reason where it does not."""

from __future__ import annotations

import functools
import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import torch
from torch.export import Dim, ExportedProgram
from torch.utils import _pytree

from graphlab.errors import CaptureError
from graphlab.program import Program
from graphlab.sources.extract import extract
from graphlab.sources.failure import describe_failure


def capture(
    module: torch.nn.Module,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    dynamic: str | bool | Any = "auto",
    *,
    name: str | None = None,
    strict: bool = False,
) -> Program:
    """The Program of `module` called with `args` and `kwargs` (tensors on any device, weights untouched).

    `dynamic="auto"` makes every axis of every tensor argument symbolic that the model allows (an example
    size of 1 is specialised by torch and stays 1) and falls back to a static capture with the reason in
    `Program.notes`; `False` captures statically; a torch `dynamic_shapes` structure is passed through.
    Raises CaptureError naming the module and source line when the model cannot be exported at all.
    """
    if not isinstance(module, torch.nn.Module):
        raise CaptureError(f"cannot capture a {type(module).__name__}", hint="pass a torch.nn.Module")
    inputs = tuple(args), dict(kwargs or {})
    notes: list[str] = []
    if dynamic not in (False, "off", None):
        shapes = _auto_shapes(module, inputs) if dynamic in ("auto", True) else dynamic
        try:
            program = _program(export(module, inputs, shapes, strict=strict), name)
            if program.graph.symbols or not any(node.out.shape for node in program.graph.inputs):
                return program
            assert program.exported is not None
            return _program(
                program.exported, name, ("captured statically: the model's code fixes every size to the example's",)
            )
        except CaptureError as error:
            notes.append(f"captured statically: symbolic capture failed with {error.message}")
    return _program(export(module, inputs, None, strict=strict), name, tuple(notes))


def export(
    module: torch.nn.Module, inputs: tuple[tuple[Any, ...], dict[str, Any]], shapes: Any, *, strict: bool = False
) -> ExportedProgram:
    """torch.export of `module`, non-strict first and strict where that fails; CaptureError when neither works."""
    failures: list[Exception] = []
    for mode in (True,) if strict else (False, True):
        with _quiet(), _dispatching(shapes), _constants_bound(module, inputs[1]) as kwargs:
            try:
                return torch.export.export(module, inputs[0], kwargs, dynamic_shapes=shapes, strict=mode)
            except Exception as error:  # torch.export raises anything a forward raises, and its own kinds
                failures.append(error)
                if isinstance(error, TypeError):
                    break  # wrong arguments: tracing another way would say the same
    message, hint = describe_failure(module, failures[0])
    raise CaptureError(message, hint=hint) from failures[0]


def _program(exported: ExportedProgram, name: str | None, notes: tuple[str, ...] = ()) -> Program:
    graph = extract(exported)
    call = next((node for node in exported.graph.nodes if node.op == "call_function"), None)
    if notes and call is not None:
        # Node metadata under "custom" is saved with the program: a `.pt2` then reports what its capture did.
        call.meta["custom"] = {**(call.meta.get("custom") or {}), _NOTES: list(notes)}
    return Program(name or root_class(graph.nodes) or "program", graph, exported, notes)


_NOTES = "graphlab_notes"
HISTORY = "graphlab_history"
"""The key, among a node's custom metadata, of what was done to the program since its capture."""


def saved_notes(exported: ExportedProgram) -> tuple[str, ...]:
    """The notes of the capture that made `exported`; () for a program graphlab did not capture."""
    return _saved(exported, _NOTES)


def saved_history(exported: ExportedProgram) -> tuple[str, ...]:
    """What was done to `exported` since its capture, oldest first; () for a program that was not rewritten."""
    return _saved(exported, HISTORY)


def _saved(exported: ExportedProgram, key: str) -> tuple[str, ...]:
    for node in exported.graph.nodes:
        custom = node.meta.get("custom")
        entries = custom.get(key) if isinstance(custom, dict) else None
        if isinstance(entries, list):
            return tuple(str(entry) for entry in entries)
    return ()


def root_class(nodes: Any) -> str:
    """Class name of the captured module, from the outermost module of any node; "" when names are lost."""
    for node in nodes:
        if node.modules:
            return str(node.modules[0][1]).rsplit(".", 1)[-1]
    return ""


def _auto_shapes(module: torch.nn.Module, inputs: tuple[tuple[Any, ...], dict[str, Any]]) -> Any:
    """Dim.AUTO for every axis of every tensor, by parameter name; None when the call does not fit forward."""
    args, kwargs = inputs
    try:
        bound = inspect.signature(module.forward).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return None

    def auto(value: Any) -> Any:
        return dict.fromkeys(range(value.dim()), Dim.AUTO) if isinstance(value, torch.Tensor) else None

    shapes = {name: _pytree.tree_map(auto, value) for name, value in bound.arguments.items()}
    rest = _rest_name(module)
    if rest in shapes and not _has_tensor(bound.arguments[rest]):
        del shapes[rest]
    return shapes


def _rest_name(module: torch.nn.Module) -> str | None:
    """The name of forward's `**kwargs` parameter."""
    parameters = inspect.signature(module.forward).parameters
    return next((name for name, p in parameters.items() if p.kind is inspect.Parameter.VAR_KEYWORD), None)


def by_parameter(module: torch.nn.Module, shapes: Mapping[str, Any]) -> dict[str, Any]:
    """`shapes` of keyword arguments, those that forward takes through `**kwargs` nested under that name."""
    parameters = inspect.signature(module.forward).parameters
    rest = _rest_name(module)
    nested = {name: value for name, value in shapes.items() if name not in parameters and value is not None}
    plain = {name: value for name, value in shapes.items() if name in parameters}
    return {**plain, rest: nested} if rest is not None and nested else plain | nested


def _dispatching(shapes: Any) -> AbstractContextManager[Any]:
    """torch without its cache of fake results where sizes are symbols.

    Looking a result up there hashes and rebuilds every size, which takes longer than working the result out anew: a
    third of a symbolic capture. Of whole numbers it is cheap and is kept.
    """
    if shapes is None:
        return nullcontext()
    from torch._dynamo import config  # a second of import, which torch.export spends at its first call anyway

    patched: AbstractContextManager[Any] = config.patch(fake_tensor_cache_enabled=False)
    return patched


@contextmanager
def _constants_bound(module: torch.nn.Module, kwargs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """`kwargs` without the constants that forward takes through `**kwargs`, which are bound to it meanwhile.

    torch 2.13 wants dynamic shapes of such arguments nested in one place and flat in another, so a program
    with any of them cannot be symbolic.
    """
    parameters = inspect.signature(module.forward).parameters
    taken = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    bound = {k: v for k, v in kwargs.items() if taken and k not in parameters and not _has_tensor(v)}
    if not bound:
        yield kwargs
        return
    original = module.__dict__.get("forward")
    module.forward = functools.partial(module.forward, **bound)
    try:
        yield {name: value for name, value in kwargs.items() if name not in bound}
    finally:
        if original is None:
            del module.forward
        else:
            module.forward = original


def _has_tensor(value: Any) -> bool:
    return any(isinstance(leaf, torch.Tensor) for leaf in _pytree.tree_leaves(value))


@contextmanager
def _quiet() -> Iterator[None]:
    """torch.export logs and warns about things the report says better; silenced, and gradients are off."""
    loggers = [logging.getLogger(name) for name in ("torch", "torch.export", "torch.fx", "torch._dynamo")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        # torch prints the partial graph of a failed export to both streams.
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()), warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
