"""A user's own Python file as a module, and the way back from a class to its file."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from contextlib import redirect_stdout
from itertools import count
from pathlib import Path
from types import ModuleType

from graphlab.discovery.blame import contained
from graphlab.discovery.owner import PluginError, reason_of
from graphlab.names import nearest

_DIGEST = "__graphlab_digest__"


def file_module(path: Path) -> ModuleType:
    """The module of the Python file at `path`, which runs when it is first read and again after it was edited.

    The module is in `sys.modules` before it runs, under a name of its own: two files of one name are two modules.
    It is the package of its folder, so `from .other import f` finds other.py beside it, and no other file's.
    PluginError when there is no such file, or it cannot be imported.
    """
    if not path.is_file():
        raise PluginError(f"no such file: {path}")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise PluginError(f"cannot read {path}: {error.strerror or error}") from error
    place, digest = str(path.resolve()), hashlib.sha256(source).hexdigest()
    name, known = _free_name(path, place, digest)
    return known if known is not None else _executed(path, place, name, digest)


def _free_name(path: Path, place: str, digest: str) -> tuple[str, ModuleType | None]:
    """(a name that no module has, None), or the name and module of the same file with the same text."""
    base = "graphlab_user_" + re.sub(r"\W", "_", path.stem)
    for number in count(1):
        name = base if number == 1 else f"{base}_{number}"
        known = sys.modules.get(name)
        if known is None:
            return name, None
        if getattr(known, "__file__", None) == place and getattr(known, _DIGEST, None) == digest:
            return name, known
    raise AssertionError("there are more names than modules")


def _executed(path: Path, place: str, name: str, digest: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, place, submodule_search_locations=[str(Path(place).parent)])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    setattr(module, _DIGEST, digest)
    sys.modules[name] = module  # dataclasses with string annotations look their module up
    try:
        with redirect_stdout(sys.stderr), contained():  # standard output is the report's
            spec.loader.exec_module(module)
    except BaseException as error:  # half a module is left nowhere, not by an interrupt either
        sys.modules.pop(name, None)
        if not isinstance(error, Exception):
            raise
        raise PluginError(f"{path} cannot be imported: {reason_of(error)}", hint=_hint(error, path)) from error
    return module


def _hint(error: BaseException, path: Path) -> str | None:
    """What to write for a helper that lies beside the file and was imported as if it were installed."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    top = error.name.partition(".")[0]
    beside = path.resolve().parent
    if (beside / f"{top}.py").is_file() or (beside / top / "__init__.py").is_file():
        return f"{top} lies beside it: write `from . import {top}` or `from .{error.name} import ...`"
    return None


def file_attribute(path: Path, name: str, what: str) -> object:
    """The object `name` of the file at `path`; PluginError, naming the nearest, where it has none. `what` is a noun."""
    module = file_module(path)
    if name in vars(module):
        return vars(module)[name]
    known = own_callables(module)
    raise PluginError(
        f"{path} has no {what} {name!r}", hint=f"{nearest(name, known)}it has: {', '.join(known) or 'none'}"
    )


def own_callables(module: ModuleType) -> list[str]:
    """Names of the functions and classes that `module` defines, in order."""
    return [n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module.__name__]


def is_file_module(module: ModuleType) -> bool:
    """Whether `module` is a user's file."""
    return hasattr(module, _DIGEST)


def file_address(kind: type) -> str | None:
    """ "path/file.py:Class" of a class that came from a user's file, with the whole path; None for any other."""
    module = sys.modules.get(kind.__module__)
    if module is None or not is_file_module(module):
        return None
    return f"{module.__file__}:{kind.__name__}"
