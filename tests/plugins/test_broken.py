"""Plug-ins that do not work: each is listed with its distribution and the reason, and everything else keeps working."""

from __future__ import annotations

from typing import Any

import pytest

import graphlab
from graphlab.catalogue import backends, devices, models, passes
from graphlab.cli.main import main
from graphlab.discovery.owner import PluginError
from graphlab.errors import UnknownNameError
from graphlab.hardware import load_device
from graphlab.models import find_model
from graphlab.plugins import find_pass, own_pass
from tests.plugins.conftest import Add

HEAD = """
from dataclasses import dataclass, field
from typing import ClassVar
import torch
from graphlab.passes_base import Analysis
from graphlab.rewriting.options import option
from graphlab.rewriting.rewrite import Rewrite, Peephole
"""
POINT = "[graphlab.passes]\nthing = bad_module\n"


def reasons(listing: Any) -> dict[str, str]:
    """{name: "owner: reason"} of what does not work."""
    return {item.name: f"{item.owner}: {item.reason}" for item in listing.broken}


PASSES = {
    "raises at import": ("raise RuntimeError('no driver')", "thing", "cannot be imported: RuntimeError: no driver"),
    "exits at import": ("import sys; sys.exit(3)", "thing", r"cannot be imported: it called sys.exit\(3\)"),
    "interrupts at import": ("raise KeyboardInterrupt", "thing", "cannot be imported: it raised KeyboardInterrupt"),
    "does not parse": ("def f(:", "thing", "cannot be imported: SyntaxError"),
    "needs what is not there": ("import nothing_of_that_name", "thing", "ModuleNotFoundError"),
    "holds nothing": ("x = 3", "thing", "it holds no pass: no class derives from graphlab.passes_base.Pass"),
    "no name": ("class P(Rewrite):\n  def apply(self, draft): ...", "P", "it has no name"),
    "a number for a name": (
        "class P(Rewrite):\n  name = 3\n  def apply(self, draft): ...",
        "P",
        "its name is 3, not a text",
    ),
    "a name nobody could write": (
        "class P(Rewrite):\n  name = 'a,b'\n  def apply(self, draft): ...",
        "a,b",
        "its name is 'a,b', which nobody could write",
    ),
    "a name that is an option": (
        "@dataclass(frozen=True)\nclass P(Rewrite):\n  name: str = 'p'\n  def apply(self, draft): ...",
        "p",
        "its name is an option: annotate it as ClassVar",
    ),
    "abstract": ("class P(Rewrite):\n  name = 'p'", "p", "it does not define apply"),
    "abstract in part": ("class P(Peephole):\n  name = 'p'", "p", "it does not define replace"),
    "an option outside a dataclass": (
        "class P(Rewrite):\n  name = 'p'\n  limit = option(3, 'what for')\n  def apply(self, draft): ...",
        "p",
        "its option limit is no field of a dataclass",
    ),
    "an annotation outside a dataclass": (
        "class P(Rewrite):\n  name = 'p'\n  limit: int = 3\n  def apply(self, draft): ...",
        "p",
        "its option limit is no field of a dataclass",
    ),
    "a constructor of its own": (
        "class P(Rewrite):\n  name = 'p'\n  def __init__(self, limit): ...\n  def apply(self, draft): ...",
        "p",
        "its constructor takes limit, which is no field",
    ),
    "an option of a type nobody could write": (
        "@dataclass(frozen=True)\nclass P(Rewrite):\n  name: ClassVar[str] = 'p'\n"
        "  limits: list[int] = field(default_factory=list)\n  def apply(self, draft): ...",
        "p",
        "its option limits is of a type that cannot be written as text",
    ),
    "an enum of numbers for an option": (
        "import enum\nclass E(enum.Enum):\n  A = 1\n@dataclass(frozen=True)\nclass P(Rewrite):\n"
        "  name: ClassVar[str] = 'p'\n  mode: E = E.A\n  def apply(self, draft): ...",
        "p",
        "its option mode is of a type that cannot be written as text",
    ),
    "options that can change": (
        "@dataclass\nclass P(Rewrite):\n  name: ClassVar[str] = 'p'\n  limit: int = 3\n  def apply(self, draft): ...",
        "p",
        r"its options can change while it runs: decorate the class with @dataclass\(frozen=True\)",
    ),
    **{
        f"an option with {what}": (
            "@dataclass(frozen=True)\nclass P(Rewrite):\n  name: ClassVar[str] = 'p'\n"
            f"  limit: int = {default}\n  def apply(self, draft): ...",
            "p",
            message,
        )
        for what, default, message in (
            (
                "a default of another type",
                "option('three', 'x')",
                "the default of its option limit is a str, which its",
            ),
            ("None for a default", "None", "the default of its option limit is a NoneType, which its type"),
            ("true for a default", "True", "the default of its option limit is a bool, which its type"),
            (
                "a default that raises",
                "field(default_factory=lambda: 1 / 0)",
                "the default of its option limit cannot be made: ZeroDivisionError",
            ),
            (
                "a text for a minimum",
                "option(3, 'x', minimum='0')",
                "the minimum of its option limit is '0', not a num",
            ),
            ("numbers for choices", "option(1, 'x', choices=(1, 2))", "the choices of its option limit are no texts"),
            ("a number for its help", "option(1, 7)", "the help of its option limit is a int, not a text"),
        )
    },
    "exact that is a text": (
        "class P(Rewrite):\n  name = 'p'\n  exact = 'no'\n  def apply(self, draft): ...",
        "p",
        "its exact is 'no', not a bool",
    ),
    "annotations that cannot be read": (
        "@dataclass(frozen=True)\nclass P(Rewrite):\n  name: ClassVar[str] = 'p'\n  limit: 'Nowhere' = 3\n"
        "  def apply(self, draft): ...",
        "p",
        "its annotations cannot be read: NameError",
    ),
    "two of one name": (
        "class P(Rewrite):\n  name = 'p'\n  def apply(self, draft): ...\nclass Q(P):\n  name = 'p'",
        "p",
        r"the name is also that of a pass of bad 1.0 \(bad_module.[PQ]\)",
    ),
    "graphlab's own name": (
        "class P(Rewrite):\n  name = 'fuse-gelu'\n  def apply(self, draft): ...",
        "fuse-gelu",
        "the name is that of a pass of graphlab, which keeps it",
    ),
}


@pytest.mark.parametrize("case", PASSES)
def test_a_pass_that_does_not_work(case: str, add: Add) -> None:
    code, name, message = PASSES[case]
    add("bad", {"bad_module.py": HEAD + code + "\n"}, POINT)
    add(
        "good",
        {"good_module.py": HEAD + "class G(Rewrite):\n  name = 'g'\n  def apply(self, draft): ..."},
        "[graphlab.passes]\ng = good_module\n",
    )
    listed = passes.listing()
    assert set(reasons(listed)) == {name}
    with pytest.raises(PluginError, match=rf"pass '{name}' of bad 1.0 \(.*\) does not work: .*{message}"):
        find_pass(name)
    assert find_pass("g").__module__ == "good_module"
    assert {item.name for item in listed.plugins} >= {"cost", "fuse-gelu", "g"}
    assert own_pass("fuse-gelu").__module__.startswith("graphlab.")


def test_two_distributions_that_claim_one_name(add: Add) -> None:
    code = HEAD + "class P(Rewrite):\n  name = 'p'\n  def apply(self, draft): ..."
    add("one", {"one_module.py": code}, "[graphlab.passes]\np = one_module\n", "1.5")
    add("two", {"two_module.py": code}, "[graphlab.passes]\np = two_module\n", "2.5")
    with pytest.raises(PluginError, match=r"pass 'p' of one 1\.5 .*also that of a pass of two 2\.5"):
        find_pass("p")
    assert [str(item.owner) for item in passes.listing().broken] == ["one 1.5", "two 2.5"]
    with pytest.raises(UnknownNameError, match=r"no pass is called 'q' .*2 do not work, `graphlab passes` says why"):
        find_pass("q")


def test_one_class_that_two_entry_points_name_is_one(add: Add) -> None:
    code = HEAD + "class P(Rewrite):\n  name = 'p'\n  def apply(self, draft): ..."
    add("one", {"one_module.py": code}, "[graphlab.passes]\np = one_module\nagain = one_module:P\n")
    assert passes.listing().broken == ()
    assert find_pass("p").__name__ == "P"


def test_a_package_with_one_bad_module_keeps_the_others(add: Add) -> None:
    files = {
        "pack_of/__init__.py": "",
        "pack_of/__main__.py": "raise RuntimeError('never imported')",
        "pack_of/bad.py": "raise ValueError('half')",
        "pack_of/good.py": HEAD + "class P(Rewrite):\n  name = 'p'\n  def apply(self, draft): ...",
    }
    add("pack", files, "[graphlab.passes]\nall = pack_of\n")
    assert find_pass("p").__module__ == "pack_of.good"
    assert reasons(passes.listing()) == {"all": "pack 1.0: pack_of.bad: it cannot be imported: ValueError: half"}


def test_a_list_of_entry_points_that_cannot_be_read(add: Add) -> None:
    add("torn", {}, "[graphlab.passes]\nno equals sign\n")
    (reason,) = reasons(passes.listing()).values()
    assert reason.startswith("torn 1.0: its entry points cannot be read")
    assert find_pass("cost")


KINDS = {"passes": passes, "models": models, "devices": devices, "backends": backends}


@pytest.mark.parametrize("kind", KINDS)
def test_a_module_that_raises_for_every_name(kind: str, add: Add) -> None:
    """As one does that imports what it needs when it is asked for, and finds it missing."""
    code = "def __getattr__(name): raise ImportError(f'no module for {name}')"
    add("lazy", {"bad_module.py": code}, f"[graphlab.{kind}]\nthing = bad_module\n")
    (reason,) = reasons(KINDS[kind].listing()).values()
    assert reason.startswith("lazy 1.0: it cannot be read: ImportError: no module for __path__")


@pytest.mark.parametrize(("written", "kind"), [("pass", "passes"), ("model", "models"), ("backend", "backends")])
def test_a_misspelled_group_is_told(written: str, kind: str, add: Add) -> None:
    add("mine", {"bad_module.py": HEAD}, f"[graphlab.{written}]\nthing = bad_module\n")
    said = f"mine 1.0: there is no group 'graphlab.{written}' (did you mean 'graphlab.{kind}'?)"
    assert {name: reasons(listed.listing()) for name, listed in KINDS.items()} == {
        name: {"thing": said} if name == kind else {} for name in KINDS
    }


def test_a_distribution_that_takes_graphlabs_name_takes_nothing_else(add: Add) -> None:
    """It lies first on the path, where an installer would look."""
    text = HEAD + "class P(Rewrite):\n  name = 'fuse-gelu'\n  def apply(self, draft): ..."
    add("Graphlab", {"bad_module.py": text}, POINT, "9.9")
    listed = passes.listing()
    reason = "another graphlab 9.9: the name is that of a pass of graphlab, which keeps it"
    assert reasons(listed) == {"fuse-gelu": reason}
    assert {str(item.owner) for item in listed.plugins} == {f"graphlab {graphlab.__version__}"}
    assert own_pass("fuse-gelu").__module__ == "graphlab.passes.rewrite.fuse_gelu"


def test_what_is_printed_at_import_is_not_in_the_list(add: Add, capsys: pytest.CaptureFixture[str]) -> None:
    add(
        "loud",
        {"bad_module.py": "print('hello')\n" + HEAD + "class P(Rewrite):\n  name = 'p'\n  def apply(self, draft): ..."},
        POINT,
    )
    assert main(["passes", "--json", "-"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("{")
    assert "hello" not in out


MODEL = "from graphlab.models import Model\nfrom graphlab import Stage, TensorInput, Variable, Workload\n"
MODELS = {
    "no models": ("x = 3", "thing", "it holds no model: no module has a MODELS tuple"),
    "no tuple": ("MODELS = 3", "thing", "its MODELS is a int, not a tuple"),
    "no model": ("MODELS = (3,)", "thing", "it is a int, not a graphlab.models.Model"),
    "no function": ("MODELS = (Model('m', 'help', 3),)", "m", "its workload is a int, not a function"),
    "upper case": ("MODELS = (Model('M', 'help', lambda: None),)", "M", "models are called in lower case"),
    "aliases in a list": ("MODELS = (Model('m', 'help', lambda: None, ['n']),)", "m", "its aliases are a list"),
    "no workload": ("MODELS = (Model('m', 'help', lambda: 3),)", "m", "is a int where a graphlab.Workload belongs"),
    "raises": ("MODELS = (Model('m', 'help', lambda: 1 / 0),)", "m", "cannot be made: ZeroDivisionError"),
    "interrupts": (
        "def w(): raise KeyboardInterrupt\nMODELS = (Model('m', 'help', w),)", "m", "made: it raised KeyboardInterrupt"
    ),
    "stages that are none": ("MODELS = (Model('m', 'help', lambda: Workload('m', 'm', (3,))),)", "m", "a int is among"),
    "steps of what is not there": (
        "s = Stage('s', 'float32', {}, build=list, steps='n')\nMODELS = (Model('m', 'help', lambda: "
        "Workload('m', 'm', (s,), (Variable('batch', 1, 'rows'),))),)", "m", "its stage s: its steps: 'n' needs n"
    ),
    "graphlab's own name": (
        "MODELS = (Model('flux', 'help', lambda: Workload('m', 'm', ())),)", "flux",
        "the name is that of a model of graphlab, which keeps it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_does_not_work(case: str, add: Add) -> None:
    code, name, message = MODELS[case]
    add("bad", {"bad_module.py": MODEL + code + "\n"}, "[graphlab.models]\nthing = bad_module\n")
    assert set(reasons(models.listing())) == {name}
    with pytest.raises(PluginError, match=rf"(?s)bad 1\.0.*{message}"):
        graphlab.load(name)
    assert find_model("llama-2-7b").workload().name


def test_another_name_that_is_taken_costs_only_that_name(add: Add) -> None:
    stage = "Stage('s', 'float32', {}, build=list)"
    made = f"Workload('m', 'm', ({stage},), (Variable('batch', 1, 'rows'),))"
    code = f"MODELS = (Model('m', 'help', lambda: {made}, ('sd15', 'mm')),)"
    alias = next(a for item in models.listing().plugins for a in item.aliases)
    add("half", {"bad_module.py": MODEL + code.replace("sd15", alias)}, "[graphlab.models]\nthing = bad_module\n")
    assert graphlab.load("MM").name == "m"
    assert reasons(models.listing()) == {alias: "half 1.0: the name is that of a model of graphlab, which keeps it"}


TOML = 'title = "T"\nkind = "gpu"\nmemory_bytes = 8e9\nmemory_bandwidth = 8e9\n[peak_flops]\nfloat32 = 8e9\n'
DEVICES = {
    "a number is missing": (
        {"d.toml": TOML.replace("memory_bytes = 8e9\n", "")},
        "d",
        "d.toml: memory_bytes is missing",
    ),
    "no peak": ({"d.toml": TOML.replace("float32", "float16")}, "d", "peak_flops.float32 is missing"),
    "no TOML": ({"d.toml": "= ="}, "d", "is not a TOML file"),
    "a number below 0": (
        {"d.toml": TOML.replace("bytes = 8e9", "bytes = -8")},
        "d",
        "expected a finite number above 0",
    ),
    "nan": ({"d.toml": TOML.replace("width = 8e9", "width = nan")}, "d", "memory_bandwidth is nan, expected a finite"),
    "another unit": ({"d.toml": TOML.replace("width = 8e9", "width = 8")}, "d", "is 8 bytes per second, less than any"),
    "no import": ({"__init__.py": "raise SystemExit(3)"}, "thing", "cannot be imported: it called sys.exit"),
    "a name nobody could write": ({"a b.toml": TOML}, "a b", "which nobody could write"),
    "no file": ({}, "thing", "it holds no device"),
    "graphlab's own name": ({"H100-SXM.toml": TOML}, "h100-sxm", "the name is that of a device of graphlab"),
}


@pytest.mark.parametrize("case", DEVICES)
def test_a_device_that_does_not_work(case: str, add: Add) -> None:
    texts, name, message = DEVICES[case]
    files = {"bad_devices/__init__.py": "", **{f"bad_devices/{file}": text for file, text in texts.items()}}
    files["bad_devices/good-one.toml"] = TOML
    if case == "no file":
        del files["bad_devices/good-one.toml"]
    add("bad", files, "[graphlab.devices]\nthing = bad_devices\n")
    assert set(reasons(devices.listing())) == {name}
    with pytest.raises(PluginError, match=rf"device '{name}' of bad 1\.0 \(.*\) does not work: .*{message}"):
        load_device(name)
    assert load_device("a100-80gb").memory_bytes == 80 * 2**30
    if case not in ("no file", "no import"):
        assert load_device("Good-One").name == "good-one"


def test_devices_in_a_module_are_none(add: Add) -> None:
    add("bad", {"bad_module.py": ""}, "[graphlab.devices]\nthing = bad_module\n")
    assert reasons(devices.listing()) == {"thing": "bad 1.0: it is no package with .toml files in it"}


BACKEND = """
from dataclasses import dataclass
from typing import ClassVar
from graphlab.lowering.base import Backend
from graphlab.rewriting.options import required

@dataclass(frozen=True)
class B(Backend):
    '''Runs nothing.'''
    name: ClassVar[str] = "b"
    def unavailable(self): return None
    def lower(self, program, values): return 3
"""
BACKENDS = {
    "says a number": (BACKEND.replace("return None", "return 3"), "says a int of why it cannot run here"),
    "cannot say": (
        BACKEND.replace("return None", "return 1 / 0"),
        "cannot say whether it can run here: ZeroDivisionError",
    ),
    "cannot be made": (
        BACKEND.replace("    def unav", "    def __post_init__(self): raise SystemExit(3)\n    def unav"),
        r"cannot be made: it called sys.exit(3)",
    ),
    "abstract": (BACKEND.replace("    def lower(self, program, values): return 3\n", ""), "it does not define lower"),
}


@pytest.mark.parametrize("case", BACKENDS)
def test_a_backend_that_does_not_work(case: str, add: Add) -> None:
    code, message = BACKENDS[case]
    add("bad", {"bad_module.py": code}, "[graphlab.backends]\nthing = bad_module\n")
    listed = backends.listing()
    assert set(reasons(listed)) == {"b"}
    assert message in reasons(listed)["b"]
    assert {item.name for item in listed.plugins} >= {"eager", "inductor"}


def test_a_backend_that_cannot_run_here_says_why(add: Add) -> None:
    add(
        "far",
        {"bad_module.py": BACKEND.replace("return None", "return 'no such chip'")},
        "[graphlab.backends]\nb = bad_module\n",
    )
    (found,) = (item for item in backends.listing().plugins if item.name == "b")
    assert (found.runs, found.why_not) == (False, "no such chip")


def test_a_backend_whose_options_must_be_given_is_not_asked(add: Add) -> None:
    code = BACKEND.replace('"b"\n', '"b"\n    chip: str = required("which")\n')
    code = code.replace("@dataclass(frozen=True)", "@dataclass(frozen=True, kw_only=True)")
    add("far", {"bad_module.py": code}, "[graphlab.backends]\nb = bad_module\n")
    (found,) = (item for item in backends.listing().plugins if item.name == "b")
    assert (found.runs, found.why_not) == (None, "it depends on chip, which must be given")


def test_the_command_lists_what_does_not_work(add: Add, capsys: pytest.CaptureFixture[str]) -> None:
    add("bad", {"bad_module.py": "raise RuntimeError('[bold]no driver')"}, POINT)
    assert main(["passes"]) == 0
    lines = capsys.readouterr().out
    assert "Do not work" in lines
    assert "[bold]no driver" in " ".join(lines.split())
    assert main(["rewrite", "llama-2-7b-tiny", "--pass", "thing"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: pass 'thing' of bad 1.0 (thing = bad_module) does not work: it cannot be imported")
    assert error.count("\n") == 1
