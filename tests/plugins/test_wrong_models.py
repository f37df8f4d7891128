"""Models of distributions and of files that cannot be built or captured: errors name them, whatever was asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import graphlab
from graphlab.errors import GraphlabError
from tests.plugins.conftest import Add

POINT = "[graphlab.models]\nthing = odd_model\n"
CODE = """
from torch import nn
from graphlab import Stage, TensorInput, Variable, Workload
from graphlab.models import Model

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)
    def forward(self, x):
        return self.fc(x)

def build():
    {build}
    return Net().to("meta").eval()

def workload():
    stage = Stage("net", "float32", {{"x": TensorInput(("batch", 8), "float32")}}, build=build, identity="one net")
    return Workload("odd", "odd", (stage,), (Variable("batch", 2, "rows"),))

MODELS = (Model("odd", "odd", workload),)
"""
BUILDS = {
    "needs what is not there": ("import no_such_package", "stage net cannot be built: ModuleNotFoundError: No module"),
    "exits": ("raise SystemExit(3)", r"stage net cannot be built: it called sys.exit\(3\)"),
    "interrupts": ("raise KeyboardInterrupt", "stage net cannot be built: it raised KeyboardInterrupt"),
    "is no module": ("return 3", "stage net builds a int where a torch.nn.Module belongs"),
    "takes another input": (
        "return nn.Linear(8, 4).to('meta')",
        "Linear cannot be exported: missing a required argument",
    ),
    "asks for a value": (
        "class Asking(nn.Module):\n        def forward(self, x):\n            return x if x.sum() > 0 else -x\n"
        "    return Asking()",
        "Asking cannot be exported.*odd_model.py:16",
    ),
}
COMMANDS: dict[str, Callable[[str], object]] = {
    "analyze": lambda source: graphlab.analyze(source, dynamic=False),
    "profile": lambda source: graphlab.profile(source, rounds=1),
    "rewrite": lambda source: graphlab.rewrite(source, dynamic=False),
}


@pytest.fixture(autouse=True)
def _captured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHLAB_CACHE", "off")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("case", BUILDS)
def test_of_a_distribution(case: str, command: str, add: Add) -> None:
    build, message = BUILDS[case]
    add("strange", {"odd_model.py": CODE.format(build=build)}, POINT, "0.3")
    with pytest.raises(GraphlabError, match=rf"^model odd of strange 0\.3: {message}") as failed:
        COMMANDS[command]("odd")
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("case", BUILDS)
def test_of_a_file(case: str, tmp_path: Path) -> None:
    build, message = BUILDS[case]
    (tmp_path / "odd_model.py").write_text(CODE.format(build=build))
    source = f"{tmp_path}/odd_model.py:workload"
    with pytest.raises(GraphlabError, match=rf"odd_model\.py:workload: {message}"):
        graphlab.analyze(source, dynamic=False)


def test_a_file_whose_workload_is_none_says_where(tmp_path: Path) -> None:
    text = CODE.format(build="").replace('("batch", 8)', '("bach", 8)')
    (tmp_path / "odd_model.py").write_text(text)
    with pytest.raises(GraphlabError, match=r"odd_model\.py:workload: its stage net: input x: 'bach' needs bach"):
        graphlab.analyze(f"{tmp_path}/odd_model.py:workload")


def test_what_a_model_prints_is_no_output(add: Add, capsys: pytest.CaptureFixture[str]) -> None:
    text = CODE.format(build="print('building')").replace("def workload():", "def workload():\n    print('making')")
    add("loud", {"odd_model.py": text}, POINT)
    graphlab.analyze("odd", dynamic=False)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "making\nbuilding\n" in printed.err


def test_a_capture_is_kept_until_the_code_is_edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose stage has an identity, which its author forgets to change; so does one it imports."""
    monkeypatch.setenv("GRAPHLAB_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "mine.py"

    def flops(width: int, head: str) -> int | None:
        (tmp_path / "sizes.py").write_text(f"WIDTH = {width}\n")
        path.write_text(f"{head}\nfrom .sizes import WIDTH\n" + CODE.format(build="").replace("8, 4", "8, WIDTH"))
        return graphlab.analyze(f"{path}:workload", dynamic=False).stages[0].flops_per_step

    assert flops(4, "# first") == 2 * 2 * 8 * 4
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert flops(4, "# first") == 2 * 2 * 8 * 4
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert flops(6, "# second") == 2 * 2 * 8 * 6
