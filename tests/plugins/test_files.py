"""Plug-ins in a user's own file: how it is named, found, imported, and what is said when it is wrong."""

from __future__ import annotations

import sys
from dataclasses import is_dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

import graphlab
from graphlab.cli.main import main
from graphlab.discovery.files import file_address, file_module
from graphlab.discovery.owner import PluginError
from graphlab.discovery.spec import Spec, parse_spec
from graphlab.errors import GraphlabError
from graphlab.lowering.registry import backend_from, own_backend_from
from graphlab.rewriting.options import addressed, pass_from, spelled
from graphlab.timing.candidates import candidates

PASS = """
from __future__ import annotations
from dataclasses import dataclass
from typing import ClassVar
from graphlab.passes_base import Analysis
from graphlab.rewriting.options import option

@dataclass(frozen=True)
class Count(Analysis[int]):
    '''Counts calls.'''
    name: ClassVar[str] = "count"
    least: int = option(0, "calls", minimum=0)
    def run(self, given):
        return len(given.graph.calls) + VALUE
VALUE = 0
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fuse-gelu", Spec("fuse-gelu")),
        (" fuse-gelu ,a=1", Spec("fuse-gelu", ("a=1",))),
        ("p.py:C", Spec("p.py:C", (), Path("p.py"), "C")),
        ("a/b, c.py:C,x=1,y=2", Spec("a/b, c.py:C", ("x=1", "y=2"), Path("a/b, c.py"), "C")),
        ("C:\\a\\p.py:C", Spec("C:\\a\\p.py:C", (), Path("C:\\a\\p.py"), "C")),
        ("my.v2.py:C", Spec("my.v2.py:C", (), Path("my.v2.py"), "C")),
        ("p.py", Spec("p.py:", (), Path("p.py"), "")),
        ("p.py,x=1", Spec("p.py:", ("x=1",), Path("p.py"), "")),
        ("apply-mask,mask=m.py:C", Spec("apply-mask", ("mask=m.py:C",))),
        ("p.py:C,mask=m.py:C", Spec("p.py:C", ("mask=m.py:C",), Path("p.py"), "C")),
        ("happy", Spec("happy")),
    ],
)
def test_specs(text: str, expected: Spec) -> None:
    assert parse_spec(text) == expected


def test_a_pass_with_options_and_string_annotations(tmp_path: Path) -> None:
    path = tmp_path / "my, pass.py"
    path.write_text(PASS)
    found = pass_from(f"{path}:Count,least=3")
    assert is_dataclass(found)
    assert spelled(found) == "count,least=3"
    assert addressed(found) == f"{path}:Count,least=3"
    assert file_address(type(found)) == f"{path}:Count"


def test_two_files_of_one_name_do_not_collide(tmp_path: Path) -> None:
    found = []
    for number, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.py").write_text(PASS.replace("VALUE = 0", f"VALUE = {number}"))
        found.append(file_module(tmp_path / folder / "same.py"))
    assert [module.VALUE for module in found] == [0, 1]
    assert found[0].__name__ != found[1].__name__
    assert all(sys.modules[module.__name__] is module for module in found)


def test_the_same_file_is_read_once_and_again_after_an_edit(tmp_path: Path) -> None:
    path = tmp_path / "once.py"
    path.write_text(PASS)
    first = file_module(path)
    assert file_module(tmp_path / "." / "once.py") is first
    path.write_text(PASS.replace("VALUE = 0", "VALUE = 7"))
    assert (file_module(path).VALUE, first.VALUE) == (7, 0)


def test_helpers_beside_the_file_are_its_own(tmp_path: Path) -> None:
    for number, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "helper.py").write_text(f"VALUE = {number}\n")
        (tmp_path / folder / "mine.py").write_text("from .helper import VALUE\nfrom . import helper\n")
    assert [file_module(tmp_path / folder / "mine.py").VALUE for folder in ("a", "b")] == [0, 1]


def test_a_helper_imported_as_if_installed_is_told_how_to_be(tmp_path: Path) -> None:
    (tmp_path / "helper_of_mine.py").write_text("VALUE = 1\n")
    (tmp_path / "mine.py").write_text("from helper_of_mine import VALUE\n")
    with pytest.raises(
        PluginError, match=r"cannot be imported: ModuleNotFoundError.*write `from \. import helper_of_mine`"
    ):
        file_module(tmp_path / "mine.py")


@pytest.mark.parametrize(
    ("text", "member", "message"),
    [
        (PASS, "Cuont", "has no class 'Cuont' .did you mean 'Count'"),
        (PASS, "VALUE", "is no pass .a pass is a class that derives from graphlab.passes_base.Pass"),
        (PASS, "dataclass", "is no pass"),
        (PASS.replace('"count"', '"cost"'), "Count", "is called 'cost', the name of graphlab's own pass"),
        (PASS.replace("def run", "def ran"), "Count", "does not work: it does not define run"),
        ("raise SystemExit(2)", "Count", r"cannot be imported: it called sys.exit\(2\)"),
        ("def f(:", "Count", "cannot be imported: SyntaxError"),
    ],
    ids=["near", "number", "function", "cost", "abstract", "exit", "syntax"],
)  # fmt: skip
def test_a_file_that_holds_no_such_pass(text: str, member: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(PluginError, match=message) as failed:
        pass_from(f"{path}:{member}")
    assert "\n" not in str(failed.value)
    if "cannot be imported" in message:  # half a module is left nowhere
        assert not any(getattr(module, "__file__", None) == str(path) for module in sys.modules.values())


def test_the_only_class_of_a_file_need_not_be_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(PASS)
    assert spelled(pass_from(f"{path},least=3")) == "count,least=3"
    assert addressed(pass_from(f"{path}")) == f"{path}:Count"


WHAT = (
    r"a pass is a class that derives from graphlab\.passes_base\.Pass, through graphlab\.passes_base\.Analysis, "
    r"graphlab\.rewriting\.rewrite\.Rewrite or graphlab\.hoisting\.stage_rewrite\.StageRewrite"
)


@pytest.mark.parametrize("spec", ["mine.py", "mine.py:", "mine.py,least=3"])
def test_a_file_with_several_or_none(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    other = PASS.replace("class Count", "class Other").replace('"count"', '"other"').partition("@dataclass")
    Path("mine.py").write_text(PASS + other[1] + other[2])
    with pytest.raises(PluginError, match=r"^mine\.py holds 2 passes: Count, Other \(write mine\.py:Count\)$"):
        pass_from(spec)
    Path("mine.py").write_text("def f(): ...\nclass Pass: ...\n")
    with pytest.raises(PluginError, match=rf"^mine\.py holds no pass \({WHAT}\)$"):
        pass_from(spec)
    Path("mine.py").write_text(PASS + "class Helper: ...\n")
    with pytest.raises(PluginError, match=rf"^mine\.py:Helper is no pass \({WHAT}; it has: Count\)$"):
        pass_from("mine.py:Helper")


def test_a_backend_file_says_what_a_backend_is(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PASS)
    with pytest.raises(
        PluginError, match=r"mine\.py holds no backend .*derives from graphlab\.lowering\.base\.Backend\)"
    ):
        backend_from(f"{tmp_path}/mine.py")


def test_no_file(tmp_path: Path) -> None:
    for spec in ("lost.py:Count", "lost.py"):
        with pytest.raises(PluginError, match="no such file"):
            pass_from(f"{tmp_path}/{spec}")


def test_facts_of_a_file_from_python(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(PASS)
    program = graphlab.capture(nn.Linear(4, 8), (torch.ones(2, 4),))
    (found,) = graphlab.analyze(program, passes=[f"{path}:Count"]).stages[0].analyses
    assert (found.name, found.owner, found.facts) == ("count", "mine.py", 1)
    with pytest.raises(GraphlabError, match=r"pass 'fuse-gelu' is no analysis .rewrites run under"):
        graphlab.analyze(program, passes=["fuse-gelu"])


BACKEND = """
from dataclasses import dataclass
from typing import ClassVar
from graphlab.lowering.eager import Eager

@dataclass(frozen=True)
class Mine(Eager):
    '''Eager, mine.'''
    name: ClassVar[str] = "mine"
"""


def test_a_backend_of_a_file_is_found_in_another_process_by_that_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(BACKEND)
    (found,) = candidates([f"{path}:Mine,rewrite=-O1,threads=2"])
    assert (found.label, found.rewrite, found.backend.threads) == ("mine,threads=2 -O1", 1, 2)
    assert addressed(found.backend) == f"{path}:Mine,threads=2"
    assert own_backend_from(addressed(found.backend)) == found.backend
    with pytest.raises(PluginError, match="is no backend"):
        backend_from(f"{path}:dataclass")


@pytest.mark.parametrize("spec", ["mine.py:C,x", "mine.py,x", "", ",x=1"])
@pytest.mark.parametrize("command", ["analyze", "rewrite"])
def test_wrong_syntax_is_2(command: str, spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "llama-2-7b-tiny", "--pass", spec]) == 2
    assert "NAME|FILE.py[:CLASS]" in "".join(capsys.readouterr().err.split())
