"""Files of rewritten programs: whole or not at all, readable by torch alone, the same when they come back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import graphlab
from graphlab.program import Program
from graphlab.rewriter import chosen_passes, rewrite_program
from graphlab.rewriting.pipeline import rewrite_from
from graphlab.rewriting.record import saved_history
from graphlab.rewriting.saving import SavingError, holds_weights, program_writer, save_all
from tests.rewriting.toys import X, program, values


class Gated(nn.Module):
    """A GEGLU, which fuse-geglu makes one operator of graphlab's."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(8, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden, gate = self.up(x).chunk(2, -1)
        return hidden * nn.functional.gelu(gate)


def reloaded(path: Path) -> Program:
    (stage,) = graphlab.load(path).stages
    assert stage.program is not None
    return stage.program


def test_a_program_comes_back_the_same_with_its_history(tmp_path: Path) -> None:
    result = rewrite_program(program(Gated()), chosen_passes(2), last=[rewrite_from("decompose-fused")])
    save_all({tmp_path / "a.pt2": program_writer(result.program)})
    found = reloaded(tmp_path / "a.pt2")
    assert found.exported is not None
    assert saved_history(found.exported) == result.program.history == ("fuse-geglu", "decompose-fused")
    assert found.history == result.program.history
    assert graphlab.analyze(tmp_path / "a.pt2").stages[0].notes == (
        "rewritten before it was saved: fuse-geglu, decompose-fused",
    )
    assert torch.equal(values(found), values(result.program))
    before, after = (graphlab.analyze(item).stages[0] for item in (result.program, found))
    assert (before.flops_per_step, before.bytes_per_step, len(before.nodes)) == (
        after.flops_per_step, after.bytes_per_step, len(after.nodes),
    )  # fmt: skip
    again = graphlab.rewrite(found, level=1)
    assert not again.modified
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt2"]


def test_the_same_program_is_the_same_file(tmp_path: Path) -> None:
    result = graphlab.rewrite(program(Gated()), level=1)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        save_all({tmp_path / folder / "x.pt2": program_writer(result.program)})
    assert (tmp_path / "a" / "x.pt2").read_bytes() == (tmp_path / "b" / "x.pt2").read_bytes()


def test_torch_alone_loads_what_has_no_fused_operators(tmp_path: Path) -> None:
    fused = graphlab.run_pass("fuse-geglu", program(Gated()))
    plain = graphlab.run_pass("decompose-fused", fused.program)
    paths = {tmp_path / "fused.pt2": fused.program, tmp_path / "plain.pt2": plain.program}
    save_all({path: program_writer(item) for path, item in paths.items()})
    code = (
        "import sys, torch\n"
        "torch.export.load('plain.pt2')\n"
        "assert 'graphlab' not in sys.modules\n"
        "print('loaded')\n"
        "torch.export.load('fused.pt2')\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert said.stdout == "loaded\n", said.stderr
    assert said.returncode == 1
    assert "graphlab" in said.stderr


def test_weights_without_values_are_saved_as_such(tmp_path: Path) -> None:
    with torch.device("meta"):
        module = Gated().eval()
    bare = graphlab.capture(module, (torch.empty(3, 8, device="meta"),), dynamic=False)
    assert not holds_weights(bare)
    assert holds_weights(program(Gated()))
    save_all({tmp_path / "m.pt2": program_writer(graphlab.rewrite(bare, level=1).program)})
    found = reloaded(tmp_path / "m.pt2")
    assert not holds_weights(found)
    assert [node.out.nbytes for node in found.graph.weights] == [node.out.nbytes for node in bare.graph.weights]


def _fails(path: Path) -> None:
    path.write_bytes(b"half of")
    raise OSError(28, "No space left on device")


def test_a_failure_leaves_everything_as_it_was(tmp_path: Path) -> None:
    old = tmp_path / "a.pt2"
    old.write_bytes(b"what was there")
    with pytest.raises(SavingError, match=r"cannot write .*b\.pt2: No space left on device"):
        save_all({old: program_writer(program()), tmp_path / "b.pt2": _fails})
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt2"]
    assert old.read_bytes() == b"what was there"


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupted(path: Path) -> None:
        path.write_bytes(b"half of")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_all({tmp_path / "b.pt2": interrupted})
    assert list(tmp_path.iterdir()) == []


def test_what_torch_cannot_serialise_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise RuntimeError("a reason\nover two lines")

    monkeypatch.setattr(torch.export, "save", refuse)
    with pytest.raises(SavingError, match="cannot be saved: RuntimeError: a reason over two lines"):
        save_all({tmp_path / "b.pt2": program_writer(program())})
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_and_one_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(SavingError, match=r"cannot write .*x\.pt2: No such file or directory"):
        save_all({tmp_path / "lost" / "x.pt2": program_writer(program())})
    (tmp_path / "y.pt2").mkdir()
    with pytest.raises(SavingError, match="cannot write"):
        save_all({tmp_path / "y.pt2": program_writer(program())})
    assert [path.name for path in tmp_path.iterdir()] == ["y.pt2"]


def test_permissions_of_a_file_that_is_replaced_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.pt2"
    path.write_bytes(b"")
    path.chmod(0o600)
    save_all({path: program_writer(program())})
    assert path.stat().st_mode & 0o777 == 0o600
    assert torch.equal(values(reloaded(path), X), values(program(), X))
