"""Integer size expressions as text: parsed with a whitelist, evaluated to integers, or read as sympy.

Guards and shapes come out of `torch.export` (and out of `.pt2` files of strangers) as Python text such as
`(1 + (-1 + s30) // 2) % 4 == 0`. Nothing here calls `eval` on text that was not first reduced to the
arithmetic below.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING, Any

from graphlab.errors import BindingError

if TYPE_CHECKING:
    pass

_ALLOWED = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.IfExp, ast.Call, ast.Name,
    ast.Constant, ast.Load, ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Div, ast.Mod, ast.Pow, ast.USub,
    ast.UAdd, ast.Not, ast.And, ast.Or, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
)  # fmt: skip


def _ceil(value: float) -> int:
    return int(-(-value // 1))


def _int(value: float) -> int:
    return int(value)


# Spellings of torch.utils._sympy.functions as they print, and Python's own.
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "FloorDiv": lambda a, b: a // b,
    "CleanDiv": lambda a, b: a // b,
    "Mod": lambda a, b: a % b,
    "PythonMod": lambda a, b: a % b,
    "ModularIndexing": lambda a, b, c: (a // b) % c,
    "Max": max,
    "Min": min,
    "max": max,
    "min": min,
    "abs": abs,
    "Abs": abs,
    "ceiling": _ceil,
    "ceil": _ceil,
    "CeilToInt": _ceil,
    "floor": lambda x: int(x // 1),
    "FloorToInt": lambda x: int(x // 1),
    "TruncToInt": _int,
    "RoundToInt": round,
    "ToFloat": float,
    "IntTrueDiv": lambda a, b: a / b,
    "FloatTrueDiv": lambda a, b: a / b,
    "PowByNatural": lambda a, b: a**b,
    "Eq": lambda a, b: a == b,
    "Ne": lambda a, b: a != b,
    "Identity": lambda x: x,
    "float": float,
    "int": _int,
    "math.ceil": _ceil,
    "math.floor": lambda x: int(x // 1),
    "math.trunc": _int,
    "math.sqrt": lambda x: x**0.5,
    "math.cos": math.cos,
    "torch.sym_float": float,
    "torch.sym_int": _int,
    "torch.sym_max": max,
    "torch.sym_min": min,
    "torch.sym_not": lambda x: not x,
    "torch.sym_ite": lambda condition, a, b: a if condition else b,
    "torch._sym_sqrt": lambda x: x**0.5,
}


class _DottedNames(ast.NodeTransformer):
    """`sample.h` read as one name: axes of inputs are spelled with a dot."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        inner = self.visit(node.value)
        if not isinstance(inner, ast.Name):
            return node
        return ast.copy_location(ast.Name(id=f"{inner.id}.{node.attr}", ctx=ast.Load()), node)


@lru_cache(maxsize=65536)
def parse_text(text: str) -> ast.Expression:
    """The syntax tree of `text`, checked against the whitelist; BindingError when it is more than arithmetic."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise BindingError(f"not an arithmetic expression: {text[:80]!r}") from error
    _DottedNames().visit(tree)
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED):
            raise BindingError(f"{type(node).__name__} is not allowed in the size expression {text[:80]!r}")
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS):
            raise BindingError(f"unknown function in the size expression {text[:80]!r}")
        if isinstance(node, ast.Constant) and not isinstance(node.value, (int, float)):
            raise BindingError(f"{node.value!r} is not a number in the size expression {text[:80]!r}")
    return tree


@lru_cache(maxsize=65536)
def compile_text(text: str) -> tuple[CodeType, tuple[str, ...]]:
    """(code, names it reads) for `text`; BindingError when it is more than integer arithmetic."""
    tree = parse_text(text)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id not in _FUNCTIONS]
    names.sort(key=lambda node: node.col_offset)
    return compile(tree, "<size>", "eval"), tuple(dict.fromkeys(node.id for node in names))


def evaluate_text(text: int | str, values: Mapping[str, int | float]) -> int:
    """The integer `text` stands for under `values`; BindingError for an unknown name or a fraction."""
    if isinstance(text, int):
        return text
    result = evaluate_any(text, values)
    if isinstance(result, float):
        if result != int(result):
            raise BindingError(f"{text} = {result} is not a whole number under {dict(values)}")
        return int(result)
    return int(result)


def evaluate_any(text: str, values: Mapping[str, int | float]) -> int | float | bool:
    """Whatever number or truth value `text` stands for under `values`."""
    code, names = compile_text(text)
    missing = [name for name in names if name not in values]
    if missing:
        raise BindingError(f"{text!r} needs {', '.join(missing)}", hint=f"known: {', '.join(values)}")
    try:
        result: int | float | bool = eval(code, {"__builtins__": {}, **_FUNCTIONS}, dict(values))
    except (ZeroDivisionError, OverflowError) as error:
        raise BindingError(f"{text!r} cannot be evaluated under {dict(values)}: {error}") from error
    return result


def names_in(text: int | str) -> tuple[str, ...]:
    """The variables `text` reads, in order of appearance."""
    return () if isinstance(text, int) else compile_text(text)[1]
