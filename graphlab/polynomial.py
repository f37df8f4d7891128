"""Size expressions as polynomials in what a user can set.

Strided convolutions write `1 + (-1 + h) // 2`. On one residue class of h that is a polynomial: with
h = g u + r, where g is the model's own granularity and r = h mod g at the bindings in force, every floor
division comes out even. `Polynomials` finds the smallest g per variable and substitutes back, so that
`flops_expression` is exact for every value that is congruent to the current one modulo g.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

import sympy

from graphlab.symbolic import evaluate_any, names_in, parse_text

_GRAINS = tuple(2**k for k in range(13))


class Polynomials:
    """Turns size text into sympy polynomials in `variables`, at the residue class of `values`.

    `axes` maps a graph symbol ("sample.d2") to its text over the variables ("height // 8"); a graph without
    a workload maps each symbol to itself. `granularity` ({variable: g}) is found from `texts`, all sizes that
    will be asked for.
    """

    def __init__(self, axes: Mapping[str, str | int], values: Mapping[str, int | float], texts: frozenset[str]) -> None:
        self.axes = {axis: _branch(text, values) for axis, text in axes.items()}
        self.values = values
        self.granularity: dict[str, int] = {}
        names = sorted(_variables(self.axes))
        self.units = {name: sympy.Symbol(f"{name}'", integer=True, positive=True) for name in names}
        self.symbols = {name: sympy.Symbol(name, integer=True, positive=True) for name in names}
        divisions = _divisions([*texts, *(text for text in self.axes.values() if isinstance(text, str))])
        for name in names:
            self.granularity[name] = self._grain(name, divisions)
        self._memo: dict[str, Any] = {}
        self._env = self._environment(self.granularity)

    def size(self, text: str) -> Any:
        """The sympy expression of `text` over the unit symbols; polynomial wherever some grain makes it one."""
        if text not in self._memo:
            self._memo[text] = convert(text, self._env)
        return self._memo[text]

    def restore(self, expression: Any) -> Any:
        """`expression` over unit symbols, rewritten over the variables and expanded."""
        back = {}
        for name, unit in self.units.items():
            grain = self.granularity[name]
            back[unit] = (self.symbols[name] - int(self.values[name]) % grain) / sympy.Integer(grain)
        return sympy.expand(sympy.sympify(expression).xreplace(back))

    def holds(self, values: Mapping[str, int | float]) -> bool:
        """Whether `values` are in the residue class these polynomials are exact on."""
        return all(int(values[n]) % g == int(self.values[n]) % g for n, g in self.granularity.items())

    def _environment(self, grains: Mapping[str, int]) -> dict[str, Any]:
        variables: dict[str, Any] = {}
        for name, unit in self.units.items():
            grain = grains.get(name, 1)
            variables[name] = grain * unit + int(self.values[name]) % grain
        return {symbol: convert(text, variables) for symbol, text in self.axes.items()} | variables

    def _grain(self, name: str, divisions: frozenset[str]) -> int:
        """The smallest grain of `name` that leaves fewest `divisions` uneven, the other variables at the largest."""
        rough = {other: _GRAINS[-1] for other in self.units if other != name}
        direct = {name, *(symbol for symbol, text in self.axes.items() if name in names_in(text))}
        concerned = [text for text in divisions if direct & set(names_in(text))]
        best, best_floors = 1, None
        for grain in _GRAINS:
            env = self._environment({**rough, name: grain})
            floors = sum(1 for text in concerned if _uneven(convert(text, env), self.units[name]))
            if best_floors is None or floors < best_floors:
                best, best_floors = grain, floors
            if floors == 0:
                break
        return best


def _uneven(expression: Any, unit: sympy.Symbol) -> bool:
    if isinstance(expression, int):
        return False
    return any(unit in part.free_symbols for part in expression.atoms(sympy.floor, sympy.Mod))


def _branch(text: str | int, values: Mapping[str, int | float]) -> str | int:
    """`text` with every conditional replaced by the branch that `values` take."""
    if isinstance(text, int) or " if " not in text:
        return text

    class Taken(ast.NodeTransformer):
        def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
            chosen = node.body if evaluate_any(ast.unparse(node.test), values) else node.orelse
            taken: ast.AST = self.visit(chosen)
            return ast.copy_location(taken, node)

    return ast.unparse(Taken().visit(ast.parse(text, mode="eval")))


def _divisions(texts: Iterable[str]) -> frozenset[str]:
    """Every floor division, remainder or function call inside `texts`: what a grain must make even."""
    found: set[str] = set()
    for text in texts:
        for node in ast.walk(parse_text(text)):
            uneven = isinstance(node, ast.BinOp) and isinstance(node.op, (ast.FloorDiv, ast.Mod))
            if uneven or isinstance(node, ast.Call):
                found.add(ast.unparse(node))
    return frozenset(found)


def _variables(axes: Mapping[str, str | int]) -> set[str]:
    return {name for text in axes.values() for name in names_in(text)}


def convert(text: str | int, env: Mapping[str, Any]) -> Any:
    """`text` as an expanded sympy expression, names looked up in `env`; even divisions are carried out."""
    if isinstance(text, int):
        return sympy.Integer(text)
    return _walk(parse_text(text).body, env)


def _walk(node: ast.expr, env: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return sympy.sympify(node.value)
    if isinstance(node, ast.Name):
        return env[node.id]
    if isinstance(node, ast.UnaryOp):
        inner = _walk(node.operand, env)
        return -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp):
        return _binary(node.op, _walk(node.left, env), _walk(node.right, env))
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        return _function(node.func.id, [_walk(arg, env) for arg in node.args])
    raise ValueError(f"{ast.unparse(node)} is not a size")


def _binary(operator: ast.operator, left: Any, right: Any) -> Any:
    if isinstance(operator, ast.Add):
        return left + right
    if isinstance(operator, ast.Sub):
        return left - right
    if isinstance(operator, ast.Mult):
        return sympy.expand(left * right)
    if isinstance(operator, ast.Pow):
        return sympy.expand(left**right)
    if isinstance(operator, ast.FloorDiv):
        return floor_divide(left, right)
    if isinstance(operator, ast.Mod):
        return sympy.expand(left - right * floor_divide(left, right))
    return sympy.expand(left / right)


def _function(name: str, args: list[Any]) -> Any:
    if name in ("FloorDiv", "CleanDiv"):
        return floor_divide(*args)
    if name in ("Mod", "PythonMod"):
        return sympy.expand(args[0] - args[1] * floor_divide(*args))
    if name == "ModularIndexing":
        inner = floor_divide(args[0], args[1])
        return sympy.expand(inner - args[2] * floor_divide(inner, args[2]))
    if name in ("Max", "max"):
        return sympy.Max(*args)
    if name in ("Min", "min"):
        return sympy.Min(*args)
    if name in ("IntTrueDiv", "FloatTrueDiv"):
        return sympy.expand(args[0] / args[1])
    if name in ("ceiling", "ceil", "CeilToInt", "math.ceil"):
        return -floor_divide(-args[0], sympy.Integer(1))
    if name in ("floor", "FloorToInt", "math.floor", "TruncToInt", "math.trunc", "int", "torch.sym_int"):
        return floor_divide(args[0], sympy.Integer(1))
    if name in ("ToFloat", "float", "torch.sym_float", "Identity"):
        return args[0]
    if name == "PowByNatural":
        return sympy.expand(args[0] ** args[1])
    raise ValueError(f"{name} is not a size function")


def floor_divide(left: Any, right: Any) -> Any:
    """floor(left / right), carried out where the quotient is a polynomial with integer coefficients but for
    its constant; sympy's floor of the quotient otherwise."""
    quotient = sympy.expand(left / right) if right.is_Integer else sympy.expand(sympy.cancel(left / right))
    whole, rest = sympy.Integer(0), sympy.Integer(0)
    for term in sympy.Add.make_args(quotient):
        coefficient, monomial = term.as_coeff_Mul()
        if coefficient.is_Integer and (monomial == 1 or monomial.is_polynomial(*monomial.free_symbols)):
            whole += term
        elif term.is_Rational:
            part = sympy.floor(term)
            whole += part
            rest += term - part
        else:
            rest += term
    return whole if rest.is_Rational and 0 <= rest < 1 else whole + sympy.floor(rest)


class Exact:
    """An expanded polynomial with rational coefficients, compiled to exact integer arithmetic."""

    def __init__(self, expression: Any) -> None:
        self.expression = sympy.sympify(expression)
        self.is_polynomial = not self.expression.has(sympy.floor, sympy.Mod, sympy.Max, sympy.Min)
        numerator, denominator = sympy.fraction(sympy.together(self.expression))
        self._names = sorted(symbol.name for symbol in self.expression.free_symbols)
        positional = {
            sympy.Symbol(n, integer=True, positive=True): sympy.Symbol(f"v{i}") for i, n in enumerate(self._names)
        }
        self._call = sympy.lambdify(
            list(positional.values()), sympy.expand(numerator).xreplace(positional), modules="math", cse=False
        )
        self._denominator = int(denominator)

    def __call__(self, values: Mapping[str, int | float]) -> int:
        """The value under `values`; ValueError where it is no whole number (another residue class)."""
        if not self.is_polynomial:
            at = {symbol: int(values[symbol.name]) for symbol in self.expression.free_symbols}
            return int(self.expression.xreplace(at))
        total = self._call(*(int(values[name]) for name in self._names))
        whole, rest = divmod(int(total), self._denominator)
        if rest:
            raise ValueError(f"{self.expression} is no whole number at {dict(values)}")
        return whole

    def degree(self, names: tuple[str, ...]) -> int:
        """Total degree when `names` grow together."""
        side = sympy.Symbol("L", positive=True)
        joined = self.expression.xreplace({sympy.Symbol(n, integer=True, positive=True): side for n in names})
        return int(sympy.degree(sympy.expand(joined), side)) if joined.has(side) else 0

    def exponent(self, names: tuple[str, ...], values: Mapping[str, int | float]) -> float:
        """d log(self) / d log(size) at `values`, the variables `names` growing in proportion."""
        total = 0.0
        at = {sympy.Symbol(n, integer=True, positive=True): int(values[n]) for n in self._names}
        whole = self.expression.xreplace(at)
        for name in names:
            symbol = sympy.Symbol(name, integer=True, positive=True)
            total += float(symbol.xreplace(at) * sympy.diff(self.expression, symbol).xreplace(at) / whole)
        return total
