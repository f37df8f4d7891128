"""The graph of an exported program, as JSON, checked before torch turns it into Python.

torch trusts this JSON: it evaluates size expressions as Python (sympy.sympify), imports modules named in
tree specs, looks operators up anywhere under `torch`, and writes names into source code that it executes.
A name, operator or expression that torch itself would not have written is refused here.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from graphlab.errors import SourceError, UnsafeSourceError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SYMBOL = re.compile(r"(?!.*__)[A-Za-z_][A-Za-z0-9_]{0,63}")
# sympify drops newlines before it parses, so a text that is not one plain line would not be what was checked.
_ONE_LINE = re.compile(r"[ !\"$-~]*")
_OPERATOR = re.compile(r"torch\.ops(\.[A-Za-z_][A-Za-z0-9_]*){2,3}")
_PYTHON_NAMES = (
    "_operator.add _operator.sub _operator.mul _operator.truediv _operator.floordiv _operator.mod _operator.pow "
    "_operator.neg _operator.pos _operator.abs _operator.eq _operator.ne _operator.lt _operator.le _operator.gt "
    "_operator.ge _operator.and_ _operator.or_ _operator.xor _operator.not_ _operator.invert _operator.lshift "
    "_operator.rshift _operator.getitem _operator.index math.trunc math.ceil math.floor math.sqrt math.pow math.log2 "
    "torch.sym_int torch.sym_float torch.sym_max torch.sym_min torch.sym_not torch.sym_ite torch.sym_sum "
    "torch._sym_sqrt"
)
_PYTHON_OPERATORS = frozenset(_PYTHON_NAMES.split())
_NOT_NAMESPACES = frozenset({"load_library", "import_module", "loaded_libraries", "classes"})
_FUNCTION_NAMES = (
    "Symbol Integer Float Rational Add Mul Pow Max Min Mod Abs FloorDiv CeilDiv CleanDiv ModularIndexing PythonMod "
    "Where CeilToInt FloorToInt TruncToInt RoundToInt TruncToFloat RoundDecimal ToFloat Identity IntTrueDiv "
    "FloatTrueDiv FloatPow PowByNatural LShift RShift IsNonOverlappingAndDenseIndicator Eq Ne Lt Le Gt Ge Equality "
    "Unequality StrictLessThan LessThan StrictGreaterThan GreaterThan And Or Not Xor Piecewise ITE ExprCondPair "
    "floor ceiling sqrt log exp OpaqueUnaryFn_sqrt OpaqueUnaryFn_log2 BitwiseFn_bitwise_and BitwiseFn_bitwise_or "
    "Tuple true false"
)
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Call, ast.Name, ast.Constant, ast.Load,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.USub, ast.UAdd, ast.Not, ast.And,
    ast.Or, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.BitAnd, ast.BitOr, ast.Invert, ast.keyword,
    ast.Tuple,
)  # fmt: skip
_FLOAT = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]{1,3})?")
_TEXT_ARGUMENTS = {
    "Symbol": _SYMBOL,
    "Float": _FLOAT,
    "Integer": re.compile("[0-9]+"),
}
_POWERS = frozenset({"Pow", "PowByNatural", "FloatPow", "LShift"})
_NUMBERS = frozenset({"Integer", "Float", "Rational"})
_MAX_EXPRESSION = 20_000
_MAX_EXPONENT = 64
_MAX_FLAG = 4096
"""Largest value of a keyword: the precision of a Float in bits is the only number torch writes there."""
_MAX_UNBACKED = 1_000_000
_NAME_KEYS = frozenset({"as_name", "as_names", "forward_arg_names"})


def check_program(document: Any, what: str) -> None:
    """UnsafeSourceError when the exported program `document` would make torch run or import anything else."""
    if not isinstance(document, dict) or not isinstance(document.get("graph_module"), dict):
        raise SourceError(f"{what} is not an exported program: no graph_module in its JSON")
    check_symbols(document, what)
    for key, value in _entries(document):
        if key in ("target", "as_operator") and not isinstance(value, dict):  # a dict: a value called "target"
            _check_target(value, what)
        elif key in ("in_spec", "out_spec"):
            _check_tree(value, what)
        elif key == "name" or key in _NAME_KEYS:
            _check_names(value, what)
        elif key in ("tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values"):
            for name in value if isinstance(value, dict) else ():
                _check_names(name, what)
        elif key == "range_constraints":
            for text in value if isinstance(value, dict) else ():
                _check_range(text, what)


def check_symbols(document: Any, what: str) -> None:
    """UnsafeSourceError when an `expr_str` anywhere in `document` is more than arithmetic on symbols."""
    seen: set[str] = set()
    for key, value in _entries(document):
        if key == "expr_str" and not (isinstance(value, str) and value in seen):
            check_expression(value, what)
            seen.add(value)


def _entries(document: Any) -> Iterator[tuple[str, Any]]:
    """Every (key, value) of every object in `document`; names of a graph's values are keys too, whatever they say."""
    todo = [document]
    while todo:
        item = todo.pop()
        if isinstance(item, list):
            todo.extend(item)
        elif isinstance(item, dict):
            for key, value in item.items():
                yield str(key), value
                todo.append(value)


def check_expression(text: Any, what: str) -> None:
    """UnsafeSourceError unless `text` is arithmetic, known functions and symbols, of sane size."""
    try:
        if not isinstance(text, str) or len(text) > _MAX_EXPRESSION or not _ONE_LINE.fullmatch(text):
            raise ValueError("too long, or not one line of plain text")
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _refused(text, what) from error
    known = _vouched_for(tree)
    for node in ast.walk(tree):
        if not isinstance(node, _NODES) or (isinstance(node, ast.Call) and not _is_known_call(node)):
            raise _refused(text, what)
        if isinstance(node, ast.Name) and id(node) not in known and not _SYMBOL.fullmatch(node.id):
            raise _refused(text, what)
        if isinstance(node, ast.Constant) and id(node) not in known and not _plain_number(node.value):
            raise _refused(text, what)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and not _small(node.right):
            raise _refused(text, what)


def _vouched_for(tree: ast.Expression) -> set[int]:
    """ids of the function names that are known, and of the texts that name a symbol or spell a number."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
            found.add(id(node.func))
            spelling = _TEXT_ARGUMENTS.get(node.func.id)
            for item in node.args if spelling is not None else ():
                if spelling and isinstance(item, ast.Constant) and isinstance(item.value, str):
                    found |= {id(item)} if spelling.fullmatch(item.value) else set()
    return found


def _is_known_call(node: ast.Call) -> bool:
    if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS:
        return False
    if node.func.id == "Symbol" and len(node.args) != 1:
        return False
    if node.func.id in _POWERS and not (len(node.args) == 2 and _small(node.args[1])):
        return False
    flags = (keyword.value for keyword in node.keywords)
    return all(k.arg for k in node.keywords) and all(
        isinstance(flag, ast.Constant) and isinstance(flag.value, int) and abs(flag.value) <= _MAX_FLAG
        for flag in flags
    )


def _plain_number(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) < 1 << 70
    return isinstance(value, float)


def _small(node: ast.expr) -> bool:
    """Whether an exponent is a small number: sympy computes powers of numbers at once, whatever their size."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _NUMBERS:
        return bool(node.args) and all(_small(item) or _small_text(item) for item in node.args)
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and abs(node.value) <= _MAX_EXPONENT


def _small_text(node: ast.expr) -> bool:
    """As `_small`, of the text in `Float('0.5', precision=53)`, which is how torch writes one."""
    text = node.value if isinstance(node, ast.Constant) else None
    return isinstance(text, str) and bool(_FLOAT.fullmatch(text)) and abs(float(text)) <= _MAX_EXPONENT


def _check_target(value: Any, what: str) -> None:
    """Operators of torch's dispatcher and plain arithmetic; torch looks anything else up under `torch` and calls it."""
    if isinstance(value, str) and value in _PYTHON_OPERATORS:
        return
    if not isinstance(value, str) or not _OPERATOR.fullmatch(value):
        raise UnsafeSourceError(f"{what} calls {str(value)[:80]!r}, which is no operator; nothing was loaded")
    namespace, name = value.split(".")[2:4]
    if namespace.startswith("_") or namespace in _NOT_NAMESPACES or "from_file" in name:
        raise UnsafeSourceError(f"{what} calls {value!r}, which is no pure operator; nothing was loaded")
    if namespace == "graphlab" and not _is_fused(value.removeprefix("torch.ops.")):
        raise UnsafeSourceError(f"{what} calls {value!r}, which is no operator of graphlab's; nothing was loaded")


def _is_fused(target: str) -> bool:
    """Whether `target` is one of graphlab's own operators. Asking registers them, so that torch can load the file."""
    from graphlab.fused import is_registered  # needs torch, which checking other files does not

    return is_registered(target)


def _check_names(value: Any, what: str) -> None:
    for name in value if isinstance(value, list) else [value]:
        if name is None or name == "" or not isinstance(name, str):
            continue
        if not _NAME.fullmatch(name):
            raise UnsafeSourceError(
                f"{what} names a value {name[:60]!r}, which is not an identifier; nothing was loaded"
            )


def _check_range(text: str, what: str) -> None:
    """A symbol or an expression of symbols; of unbacked symbols torch makes as many as the highest number says."""
    number = text.removeprefix("zuf") if text.startswith("zuf") else text.removeprefix("u")
    if number != text and _as_torch_counts(number) > _MAX_UNBACKED:
        raise UnsafeSourceError(f"{what} counts its unbacked symbols up to {text[:40]!r}; nothing was loaded")
    check_expression(text, what)


def _as_torch_counts(number: str) -> int:
    try:
        return int(number)  # takes a sign and underscores too, as torch's call of it does
    except ValueError:
        return 0  # torch stops there


def _check_tree(value: Any, what: str) -> None:
    """Tree specs may import the class of an enum or the factory of a defaultdict by name: neither is let through."""
    try:
        document = json.loads(value) if isinstance(value, str) and value else []
    except (ValueError, RecursionError) as error:
        raise UnsafeSourceError(f"{what} holds a tree spec that is no JSON; nothing was loaded") from error
    inner = [_loads(text) for key, text in _entries(document) if key == "context" and isinstance(text, str)]
    for key, item in _entries([document, inner]):
        factory = key == "default_factory_module" and item not in ("builtins", "collections", None)
        if key == "__enum__" or key == "fqn" or factory:
            raise UnsafeSourceError(f"{what} holds a tree spec that imports {item!r}; nothing was loaded")


def _loads(text: str) -> Any:
    """The JSON in `text`, or None: a class name stands there as bare text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _refused(text: Any, what: str) -> UnsafeSourceError:
    return UnsafeSourceError(
        f"{what} holds a size expression that is not arithmetic: {str(text)[:80]!r}; nothing was loaded"
    )
