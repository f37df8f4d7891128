"""The graph of a `.pt2` as JSON: whatever in it would make torch run, import or open something is refused."""

from __future__ import annotations

import contextlib
import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab.errors import UnsafeSourceError
from graphlab.sources.archive import load_exported_program
from graphlab.sources.program_json import check_expression

from . import payloads

_EXPRESSIONS = [
    "__import__('pathlib').Path('{trap}').touch()",
    "Symbol('s0').func.__class__.__base__.__subclasses__()",
    'exec(\'open("{trap}", "w")\')',
    "Max(2, eval('1'))",
    "Symbol(\"__import__('os')\", positive=True)",
    "[s77 for s77 in ().__class__.__bases__]",
    "Integer('1+exec(1)')",
    "(lambda: 1)()",
    "Pow(Integer(10), Integer(10000000000))",
    "9**9**9**9",
    "f'{{1}}'",
    "Symbol(*['s'])",
    "s77 := 3",
    "x" * 30_000,
    "Max(1, # 2\n 3)",
    "s77 +\n 1",
]


@pytest.mark.parametrize("expression", _EXPRESSIONS)
def test_code_in_a_size_expression(program: Path, tmp_path: Path, expression: str) -> None:
    trap = tmp_path / "trap"
    text = expression.replace("{trap}", str(trap))

    def change(member: str, data: bytes) -> bytes:
        if "models/" not in member:
            return data
        return re.sub(
            rb'"expr_str": "[^"]*"', b'"expr_str": ' + json.dumps(text).encode().replace(b"\\", b"\\\\"), data
        )

    payloads.refused(payloads.rewrite(program, tmp_path / "b.pt2", change), trap, "not arithmetic")


def test_code_in_a_size_expression_would_run(program: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    text = json.dumps(f"__import__('pathlib').Path('{trap}').touch() or Symbol('s77', positive=True, integer=True)")
    bad = payloads.rewrite(
        program,
        tmp_path / "b.pt2",
        lambda n, d: re.sub(rb'"expr_str": "[^"]*"', b'"expr_str": ' + text.encode(), d) if "models/" in n else d,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(Exception):
            torch.export.load(bad)
    assert trap.exists(), "torch no longer evaluates size expressions; the check may be simplified"
    trap.unlink()
    payloads.refused(bad, trap, "not arithmetic")


@pytest.mark.parametrize("expression", [*_EXPRESSIONS, "a b", "s77; import os", "s77 = 1", "__import__"])
def test_code_in_a_key_of_the_ranges(program: Path, tmp_path: Path, expression: str) -> None:
    trap = tmp_path / "trap"
    text = expression.replace("{trap}", str(trap))

    def change(document: Any) -> None:
        document["range_constraints"][text] = {"min_val": 2, "max_val": None}

    bad = payloads.rewrite(program, tmp_path / "b.pt2", payloads.edit("models/model.json", change))
    payloads.refused(bad, trap, "not arithmetic")


@pytest.mark.parametrize("name", ["u99999999999", "zuf1000001", "u9_9999999999", "u+99999999999"])
def test_so_many_unbacked_symbols_that_counting_them_takes_forever(program: Path, tmp_path: Path, name: str) -> None:
    def change(document: Any) -> None:
        document["range_constraints"][name] = {"min_val": 2, "max_val": None}

    bad = payloads.rewrite(program, tmp_path / "b.pt2", payloads.edit("models/model.json", change))
    payloads.refused(bad, tmp_path / "trap", "unbacked")


@pytest.mark.parametrize("text", ["333 - s39", "s77", "2*s0 - 1", "(s0//2)", "Max(1, s0)", "Mod(s0, 2)"])
def test_ranges_of_expressions(program: Path, tmp_path: Path, text: str) -> None:
    """torch writes the bounds of sizes that are no plain symbol under the expression itself."""

    def change(document: Any) -> None:
        document["range_constraints"][text] = {"min_val": 2, "max_val": 300}

    good = payloads.rewrite(program, tmp_path / "g.pt2", payloads.edit("models/model.json", change))
    assert load_exported_program(good).graph.nodes


@pytest.mark.parametrize(
    "text",
    ["FloatPow(ToFloat(Symbol('s77')), Float('0.5', precision=53))", "Pow(Symbol('s0'), Rational(1, 2))",
     "FloatPow(FloatTrueDiv(Float('1.0', precision=53), Float('2.5e-1', precision=53)), Float('-1.5', precision=53))"],
)  # fmt: skip
def test_roots_of_symbols(text: str) -> None:
    check_expression(text, "the file")


@pytest.mark.parametrize(
    "text",
    ["Pow(Integer(10), Float('1e300', precision=53))", "Float('0.5', precision=9999999999)", "Pow(10, exp(64))",
     "Pow(Integer(10), Integer('9999999999'))", "Pow(10, Rational(9999999999, 1))", "Pow(10, Float('1.0', eval('1')))"],
)  # fmt: skip
def test_numbers_too_large_to_compute(text: str) -> None:
    with pytest.raises(UnsafeSourceError, match="not arithmetic"):
        check_expression(text, "the file")


@pytest.mark.parametrize(
    "target",
    ["torch.os.system", "torch.ops.load_library", "torch.ops.load_library.x", "_operator.attrgetter", "math.factorial",
     "torch.ops.aten.from_file.default", "torch.hub.load", "#ext:op", "torch.ops.aten.__class__.x.y", "os.system", ""],
)  # fmt: skip
def test_calls_that_are_no_operators(program: Path, tmp_path: Path, target: str) -> None:
    def change(document: Any) -> None:
        document["graph_module"]["graph"]["nodes"][0]["target"] = target

    bad = payloads.rewrite(program, tmp_path / "b.pt2", payloads.edit("models/model.json", change))
    payloads.refused(bad, tmp_path / "trap", "operator")


def test_code_in_a_name(program: Path, tmp_path: Path) -> None:
    """Names end up in source code that fx executes: a default value runs when the function is defined."""
    trap = tmp_path / "trap"
    name = f"x=__import__('pathlib').Path('{trap}').touch()"

    def change(member: str, data: bytes) -> bytes:
        return data.replace(b'"name": "x"', b'"name": ' + json.dumps(name).encode()) if "models/" in member else data

    payloads.refused(payloads.rewrite(program, tmp_path / "b.pt2", change), trap, "not an identifier")


@pytest.mark.parametrize(
    "context",
    ['{"__enum__": true, "fqn": "antigravity:X", "name": "Y"}',
     {"default_factory_module": "antigravity", "default_factory_name": "x", "dict_context": []}],
)  # fmt: skip
def test_imports_in_a_tree_spec(program: Path, tmp_path: Path, context: Any) -> None:
    spec = json.dumps([1, {"type": "collections.defaultdict", "context": context, "children_spec": []}])

    def change(document: Any) -> None:
        entry = next(e for e in document["graph_module"]["module_call_graph"] if e["signature"])
        entry["signature"]["out_spec"] = spec

    bad = payloads.rewrite(program, tmp_path / "b.pt2", payloads.edit("models/model.json", change))
    payloads.refused(bad, tmp_path / "trap", "imports")


def test_code_in_an_expression_of_a_value_called_metadata(program: Path, tmp_path: Path) -> None:
    """Names of values are keys of the JSON, so no key may stop the search."""
    trap = tmp_path / "trap"

    def change(document: Any) -> None:
        values = document["graph_module"]["graph"]["tensor_values"]
        evil = {"as_expr": {"expr_str": f"open({str(trap)!r}, 'w')", "hint": None}}
        values["metadata"] = {**values["x"], "sizes": [evil]}

    payloads.refused(
        payloads.rewrite(program, tmp_path / "b.pt2", payloads.edit("models/model.json", change)),
        trap,
        "not arithmetic",
    )


def test_values_called_like_keys_of_the_json(tmp_path: Path) -> None:
    class Named(torch.nn.Module):
        def forward(self, target: torch.Tensor, name: torch.Tensor, metadata: torch.Tensor) -> torch.Tensor:
            return target + name * metadata

    path = tmp_path / "named.pt2"
    torch.export.save(torch.export.export(Named(), (torch.ones(2), torch.ones(2), torch.ones(2))), path)
    assert len(load_exported_program(path).graph.nodes) == 6
