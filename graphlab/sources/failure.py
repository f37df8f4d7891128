"""Why an export failed: the module, the line of the model's source, and what to try."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

_HERE = str(Path(__file__).parent)

_HINTS = (
    ("data-dependent", "a value of a tensor decides a branch or a size; make it a Python argument or a static axis"),
    ("Could not guard", "a value of a tensor decides a branch or a size; make it a Python argument or a static axis"),
    (".item()", "a tensor is read back to Python; keep it a tensor or pass it as a constant"),
    ("missing", "an argument of forward has no value; pass it with --input or in kwargs"),
    ("unexpected keyword", "forward does not take this argument"),
    ("shape", "the argument shapes do not fit the model; check --input and --set"),
    ("size", "the argument shapes do not fit the model; check --input and --set"),
)


def describe_failure(module: torch.nn.Module, error: BaseException) -> tuple[str, str]:
    """(what failed and where, what to try) for an exception out of `torch.export.export(module, ...)`."""
    reason = first_line(error)
    place = _place(module, error)
    hint = next((text for mark, text in _HINTS if mark in reason), "try a static capture, or wrap the module")
    return f"{type(module).__name__} cannot be exported{place}: {reason}", hint


def first_line(error: BaseException) -> str:
    """The first line of an exception that says something, without torch's advice, at most 200 characters."""
    lines = str(error).splitlines()
    if lines and "TorchScript interpreter" in lines[0]:
        lines = [line for line in lines if "Error:" in line][-1:] or lines
    for line in lines:
        text = re.sub(r"\s+", " ", line).strip()
        if text:
            return text[:200]
    return type(error).__name__


def _place(module: torch.nn.Module, error: BaseException) -> str:
    """ " in down_blocks.0 (ResnetBlock2D), resnet.py:326" from the deepest frame of the model's own code."""
    frame_info = _deepest_model_frame(error)
    if frame_info is None:
        return ""
    owner, filename, line = frame_info
    path = next((name for name, child in module.named_modules() if child is owner), "")
    where = f" in {path or 'the top module'}"
    if owner is not None:
        where += f" ({type(owner).__name__})"
    short = re.split(r"(?:site|dist)-packages/", filename)[-1]
    return f"{where}, {short if short != filename else filename.rsplit('/', 1)[-1]}:{line}"


def _deepest_model_frame(error: BaseException) -> tuple[Any, str, int] | None:
    found: tuple[Any, str, int] | None = None
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        found = _scan(current.__traceback__) or found
        current = current.__cause__ or current.__context__
    return found


def _scan(trace: TracebackType | None) -> tuple[Any, str, int] | None:
    found = None
    for frame, line in traceback.walk_tb(trace):
        owner = frame.f_locals.get(frame.f_code.co_varnames[0]) if frame.f_code.co_argcount else None
        filename = frame.f_code.co_filename
        if isinstance(owner, torch.nn.Module) and "/torch/" not in filename and not filename.startswith(_HERE):
            found = (owner, filename, line)
    return found
