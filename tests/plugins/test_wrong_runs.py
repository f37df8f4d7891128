"""Passes that break the contract when they run: one line that names the pass and where it comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import graphlab
from graphlab.errors import GraphlabError
from graphlab.program import Program
from graphlab.verification.result import VerificationError

HEAD = """
from typing import ClassVar
import torch
from graphlab.hoisting.result import HoistResult
from graphlab.hoisting.stage_rewrite import StageRewrite
from graphlab.passes_base import Analysis
from graphlab.rewriting.rewrite import Peephole, Rewrite
aten = torch.ops.aten
"""


@pytest.fixture(scope="module")
def program() -> Program:
    """relu(linear(x)) of x (2, 4)."""
    return graphlab.capture(nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval(), (torch.randn(2, 4),), dynamic=False)


REWRITES = {
    "returns": ("    return draft.program", "returned a Program, expected nothing .*`apply` edits the draft"),
    "raises": ("    raise KeyError('lost')", "failed: KeyError: 'lost' .the program is unchanged"),
    "exits": ("    raise SystemExit(3)", r"failed: it called sys.exit\(3\)"),
    "interrupts": ("    raise KeyboardInterrupt", r"failed: it raised KeyboardInterrupt"),
    "changes an argument and does not say so": (
        "    node = next(draft.calls(aten.linear.default)); node.args = (node.args[0], node.args[1])",
        "changed the graph and did not say so .`draft.replace`, ",
    ),
    "changes a reader and does not say so": (
        "    node = next(draft.calls(aten.relu.default))\n"
        "        node.replace_all_uses_with(draft.call(aten.abs.default, node.args[0], at=node))",
        "changed the graph and did not say so",
    ),
    "calls a method": (
        "    node = next(draft.calls(aten.relu.default))\n"
        "        with draft.graph.inserting_before(node): made = draft.graph.call_method('abs', (node.args[0],))\n"
        "        made.meta.update(node.meta); draft.replace(node, made, 'why not')",
        "made abs_1, a call of a method .a program calls operators alone",
    ),
    "calls a function of Python": (
        "    import operator; node = next(draft.calls(aten.relu.default))\n"
        "        draft.replace(node, draft.call(operator.neg, node.args[0], at=node), 'why not')",
        "made neg, a call of neg .a program calls operators",
    ),
    "does not say what a node makes": (
        "    node = next(draft.calls(aten.relu.default))\n"
        "        with draft.graph.inserting_before(node):\n"
        "            made = draft.graph.call_function(aten.abs.default, (node.args[0],))\n"
        "        draft.replace(node, draft.call(aten.relu.default, made, at=node, value=node.meta['val']), 'why not')",
        "made abs_default without saying what it makes .`draft.call` works it out",
    ),
    "makes a weight of nothing": (
        "    draft.add_weight('mine', ['0.weight'], lambda given: None)",
        "makes a NoneType of the weight mine, expected a tensor",
    ),
    "breaks the order": (
        "    node = next(draft.calls(aten.relu.default))\n"
        "        draft.graph.erase_node(draft.call(aten.relu.default, node, at=node.next))\n"
        "        late = draft.call(aten.relu.default, node.args[0], at=node.next)\n"
        "        node.args = (late,)",
        r"left a broken graph: Argument 'relu_default_1' of Node 'relu' was used before it has been defined.*ordered$",
    ),
    "own error": (
        "    from graphlab.errors import GraphlabError\n        raise GraphlabError('no head', hint='add one')",
        r": no head \(add one\)",
    ),
    "drops an input": (
        "    for n in draft.calls(): n.args = ()\n"
        "        draft.graph.erase_node(next(n for n in draft.graph.nodes if n.name == 'input'))",
        "changed the inputs: input",
    ),
    "drops the result": ("    draft.graph.output_node().args = ((),)", "changed the number of results"),
    "another dtype": (
        "    node = next(draft.calls(aten.relu.default))\n"
        "        draft.graph.output_node().args = ((draft.call(aten.to.dtype, node, torch.float64, at=node.next),),)",
        "replaces relu, float32 .*, by .*float64",
    ),
}


@pytest.mark.parametrize("case", REWRITES)
def test_a_rewrite(case: str, program: Program, tmp_path: Path) -> None:
    body, message = REWRITES[case]
    path = tmp_path / "mine.py"
    path.write_text(f"{HEAD}\nclass Mine(Rewrite):\n    name = 'mine'\n    def apply(self, draft):\n    {body}\n")
    before = str(program.exported and program.exported.graph)
    with pytest.raises(GraphlabError, match=rf"pass mine of mine\.py.*{message}") as failed:
        graphlab.run_pass(f"{path}:Mine", program)
    assert "\n" not in str(failed.value)
    assert str(program.exported and program.exported.graph) == before


WRONG = """
class Mine(Rewrite):
    name = "mine"
    def apply(self, draft):
        for node in draft.calls(aten.relu.default):
            draft.replace(node, draft.call(aten.{op}.default, node.args[0], at=node), "why not")
"""


def test_a_rewrite_that_changes_values_is_found_and_named(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(HEAD + WRONG.format(op="abs"))
    assert graphlab.run_pass(f"{path}:Mine", program).modified  # nobody asked
    with pytest.raises(VerificationError, match=r"pass mine of mine\.py broke relu, now abs_default: relative error"):
        graphlab.run_pass(f"{path}:Mine", program, verify=True)


RECIPE = """
def recipe(given):
    value = given["0.weight"]
    {body}

class Mine(Rewrite):
    name = "mine"
    def apply(self, draft):
        for node in draft.calls(aten.linear.default) if "mine" not in draft.state else ():
            weight = draft.add_weight("mine", ["0.weight"], recipe)
            draft.replace(node, draft.call(aten.linear.default, node.args[0], weight, node.args[2], at=node), "again")
"""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return value if value.dtype == torch.float32 else 1 / 0", "cannot make the weight mine: ZeroDivisionError"),
        (
            "return value if value.dtype == torch.float32 else value[:1]",
            r"makes the weight mine \(1, 4\), at first \(4, 4\)",
        ),
    ],
    ids=["raises", "another shape"],
)
def test_a_recipe_that_fails_later_is_named(body: str, message: str, program: Program, tmp_path: Path) -> None:
    """It is run again on other weights: verification draws them in float64."""
    path = tmp_path / "mine.py"
    path.write_text(HEAD + RECIPE.format(body=body))
    assert graphlab.run_pass(f"{path}:Mine", program).modified
    with pytest.raises(GraphlabError, match=rf"pass mine of mine\.py {message}"):
        graphlab.run_pass(f"{path}:Mine", program, verify=True)


def test_a_rewrite_that_never_ends_is_named(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(HEAD + WRONG.format(op="relu"))
    with pytest.raises(GraphlabError, match=r"pass mine of mine\.py changes its own result back to what it was"):
        graphlab.rewrite(program, level=0, passes=[f"{path}:Mine"])


def test_unread_nodes_that_a_pass_leaves_are_taken_out(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    left = "draft.call(aten.sin.default, node.args[0], at=node)"
    path.write_text(
        f"{HEAD}\nclass Mine(Rewrite):\n    name = 'mine'\n    def apply(self, draft):\n"
        f"        node = next(draft.calls(aten.relu.default)); {left}\n"
    )
    assert not graphlab.run_pass(f"{path}:Mine", program).modified
    path.write_text(HEAD + WRONG.format(op="relu").replace("draft.replace", f"{left}; draft.replace"))
    result = graphlab.run_pass(f"{path}:Mine", program)
    assert result.program.exported is not None
    calls = [node.name for node in result.program.exported.graph.nodes if node.op == "call_function"]
    assert calls == ["linear", "relu_default"]


def test_a_peephole_that_returns_no_node(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        f"{HEAD}\nclass Mine(Peephole):\n    name, why, targets = 'mine', '', (aten.relu.default,)\n"
        "    def replace(self, node, draft): return 3\n"
    )
    with pytest.raises(GraphlabError, match=r"pass mine of mine.py: `replace` returned a int for relu .a node, a text"):
        graphlab.run_pass(f"{path}:Mine", program)


def test_a_rewrite_whose_run_returns_something_else(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        f"{HEAD}\nclass Mine(Rewrite):\n    name = 'mine'\n    def apply(self, draft): ...\n"
        "    def run(self, program): return program\n"
    )
    with pytest.raises(GraphlabError, match=r"pass mine of mine.py returned a Program, expected a RewriteResult"):
        graphlab.run_pass(f"{path}:Mine", program)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return program", "returned a Program, expected a HoistResult"),
        ("1 / 0", "ZeroDivision"),
        ("raise KeyboardInterrupt", "failed: it raised KeyboardInterrupt"),
        ("return HoistResult('mine', None)", "returned a NoneType for the step, expected a Program"),
        ("return HoistResult('mine', program, table=3)", "returned a int for the table, expected a Program"),
    ],
)
def test_a_stage_rewrite(body: str, message: str, program: Program, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        f"{HEAD}\nclass Mine(StageRewrite):\n    name = 'mine'\n    def run(self, program): {body}\n"
        "    def run_stage(self, workload, stage, program=None, *, dynamic=True): ...\n"
    )
    with pytest.raises(GraphlabError, match=rf"pass mine of mine\.py.*{message}"):
        graphlab.run_pass(f"{path}:Mine", program)


ANALYSES = {
    "raises": ("1 / 0", "failed: ZeroDivisionError"),
    "interrupts": ("raise KeyboardInterrupt", "failed: it raised KeyboardInterrupt"),
    "returns nothing": ("pass", "returned None, which is no fact"),
    "returns an object": ("return {'relu': {'a': [object()]}}", r"what no report can hold: relu\.a\[0\] is a object"),
    "keys that are no text": ("return {('a', 1): 2}", "a key of it is a tuple"),
    "keys that are written alike": ("return {1: 2, '1': 3}", "two keys of it are written '1'"),
    "takes a node away": ("given.graph.by_name.pop('relu'); return 1", "changed the graph it was given"),
    "renames a node": ("object.__setattr__(given.graph.nodes[-1], 'name', 'x'); return 1", "changed the graph"),
    "binds a symbol": ("given.symbolic.symbols['x'] = 3; return 1", "changed the graph"),
    "spoils another's facts": ("given.result('cost').clear(); return 1", "changed the facts of cost"),
    "packs an axis": ("given.packed['x'] = ('height',); return 1", "changed the packed axes"),
    "asks for what is not there": ("return given.result('cots')", "no pass is called 'cots' .did you mean 'cost'"),
    "asks for a rewrite": ("return given.result('fuse-gelu')", "pass 'fuse-gelu' is not an analysis"),
    "asks without options": ("return given.result('mask-placement')", "has options that must be given"),
}


@pytest.mark.parametrize("case", ANALYSES)
def test_an_analysis(case: str, tmp_path: Path) -> None:
    body, message = ANALYSES[case]
    path = tmp_path / "mine.py"
    path.write_text(f"{HEAD}\nclass Mine(Analysis):\n    name = 'mine'\n    def run(self, given):\n        {body}\n")
    program = graphlab.capture(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), (torch.randn(2, 4),), dynamic=False)
    with pytest.raises(GraphlabError, match=rf"pass mine of mine\.py.*{message}") as failed:
        graphlab.analyze(program, passes=[f"{path}:Mine"])
    assert "\n" not in str(failed.value)


def test_facts_of_every_shape_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from graphlab.cli.main import main

    path = tmp_path / "mine.py"
    path.write_text(
        f"{HEAD}\nfrom dataclasses import dataclass\nfrom enum import Enum\nfrom pathlib import Path\n"
        "class E(Enum):\n    A = 'a'\n"
        "@dataclass\nclass Row:\n    n: int\n    x: float\n"
        "def module():\n    return torch.nn.Linear(4, 4), (torch.ones(2, 4),)\n"
        "def made(name, value):\n"
        "    return type(name, (Analysis,), {'name': name.lower(), 'run': lambda self, given: value, "
        "'__module__': __name__})\n"
        "Rows = made('Rows', {'linear': Row(1, float('inf')), 'b': Row(2, 0.5)})\n"
        "Single = made('Single', 3)\nListed = made('Listed', [E.A, Path('p'), {2, 1}, None, True])\n"
        "Many = made('Many', {f'n{i}': i for i in range(30)})\nEmpty = made('Empty', {})\n"
    )
    asked = [arg for name in ("Rows", "Single", "Listed", "Many", "Empty") for arg in ("--pass", f"{path}:{name}")]
    assert main(["analyze", f"{path}:module", "--static", *asked, "--json", "-"]) == 0
    printed = capsys.readouterr()
    import json

    found = {item["name"]: item["facts"] for item in json.loads(printed.out)["stages"][0]["analyses"]}
    assert found["rows"] == {"linear": {"n": 1, "x": "inf"}, "b": {"n": 2, "x": 0.5}}
    assert (found["single"], found["listed"], found["empty"]) == (3, ["a", "p", [1, 2], None, True], {})
    for part in ("20 of 30 rows, --json has all", "it found nothing", ": rows", "of mine.py"):
        assert part in " ".join(printed.err.split())
