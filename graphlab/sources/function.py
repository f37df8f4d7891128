"""`path/file.py:function`: the user's own function makes the module, or the whole Workload."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from graphlab.discovery.blame import blamed
from graphlab.discovery.files import file_attribute, file_module, own_callables
from graphlab.discovery.owner import PluginError
from graphlab.errors import SourceError
from graphlab.sources.bare import program_workload
from graphlab.sources.owned import owned
from graphlab.workload import Workload
from graphlab.workload_fault import workload_fault


def function_workload(path: Path, name: str, source: str, *, dynamic: bool = True) -> Workload:
    """What `name` in `path` makes: a Workload, or (module, args, kwargs), which is captured.

    The file is the user's own and runs as Python. SourceError when it is missing, cannot be imported, has no
    such function, or the function returns something else.
    """
    import torch

    from graphlab.sources.module import capture

    function = user_function(path, name)
    made = _call(function, source)
    if isinstance(made, Workload):
        fault = workload_fault(made)
        if fault is not None:
            raise SourceError(f"{source}: {fault}")
        return owned(made, source, file_module(path).__name__)
    module, args, kwargs = _triple(made, source)
    if not isinstance(module, torch.nn.Module):
        raise SourceError(f"{source} returned a {type(module).__name__} where a torch.nn.Module belongs")
    program = capture(module.eval(), args, kwargs, "auto" if dynamic else False)
    return program_workload(program, source)


def no_function(path: Path, source: str) -> SourceError:
    """The error of a file that was given without a function: what it has, or why it cannot be read."""
    try:
        known = own_callables(file_module(path))
    except PluginError as error:
        return SourceError(error.message, hint=error.hint or f"write {source}:FUNCTION")
    has = ", ".join(known) or "none"
    return SourceError(f"{source} names no function", hint=f"write {source}:FUNCTION; it has: {has}")


def _triple(made: Any, source: str) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    if not isinstance(made, tuple) or not 2 <= len(made) <= 3:
        raise SourceError(
            f"{source} returned a {type(made).__name__}", hint="return (module, args, kwargs) or a graphlab Workload"
        )
    module, args, kwargs = made if len(made) == 3 else (*made, None)
    if not isinstance(args, (tuple, list)) or not isinstance(kwargs or {}, Mapping):
        raise SourceError(f"{source}: args must be a tuple and kwargs a mapping")
    return module, tuple(args), dict(kwargs or {})


def user_function(path: Path, name: str) -> Callable[..., Any]:
    """The function `name` of the Python file `path`, which is the user's own and runs when it is read.

    SourceError when the file is missing, cannot be imported, or has no such function.
    """
    try:
        function = file_attribute(path, name, "function")
    except PluginError as error:
        raise SourceError(error.message, hint=error.hint) from error
    if not callable(function):
        raise SourceError(f"{path}:{name} is a {type(function).__name__}, not a function")
    found: Callable[..., Any] = function
    return found


def _call(function: Callable[..., Any], source: str) -> Any:
    try:
        with redirect_stdout(sys.stderr), blamed(source):
            return function()
    except PluginError as error:
        raise SourceError(error.message, hint=error.hint) from error
