"""Programs as files: the graph comes back, the weights stay behind, the original stays as it is."""

from __future__ import annotations

from pathlib import Path

import torch

from graphlab.lowering.flat import flat_module
from graphlab.program import Program
from graphlab.rewriting.bare import held_tensors, save_bare
from graphlab.sources.archive import load_exported_program
from graphlab.sources.extract import extract
from graphlab.sources.module import capture
from tests.timing.modules import tiny_program


def reloaded(program: Program, path: Path) -> Program:
    save_bare(program, path)
    exported = load_exported_program(path)
    return Program(program.name, extract(exported), exported)


def test_the_graph_comes_back_on_the_meta_device(tmp_path: Path) -> None:
    program = tiny_program()
    before = str(program.exported)
    found = reloaded(program, tmp_path / "p.pt2")
    assert [(n.name, n.target) for n in found.graph.calls] == [(n.name, n.target) for n in program.graph.calls]
    assert [n.name for n in found.graph.inputs] == [n.name for n in program.graph.inputs]
    assert all(value.is_meta for value in held_tensors(found).values())
    assert list(held_tensors(found)) == list(held_tensors(program))
    assert str(program.exported) == before
    assert not any(value.is_meta for value in held_tensors(program).values())


def test_weights_stay_behind(tmp_path: Path) -> None:
    program = capture(torch.nn.Linear(1000, 1000).eval(), (torch.randn(1, 1000),), dynamic=False)
    save_bare(program, tmp_path / "p.pt2")
    assert (tmp_path / "p.pt2").stat().st_size < 200_000


def test_values_given_to_a_reloaded_graph_run_as_the_original(tmp_path: Path) -> None:
    program = tiny_program()
    values = held_tensors(program)
    found = reloaded(program, tmp_path / "p.pt2")
    given = (torch.randn(2, 4, 6, 8), torch.randn(2))
    device = torch.device("cpu")
    for ours, theirs in zip(
        flat_module(found, values, device)(*given), flat_module(program, values, device)(*given), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_symbolic_sizes_survive(tmp_path: Path) -> None:
    program = tiny_program(dynamic=True)
    assert program.graph.symbols
    assert reloaded(program, tmp_path / "p.pt2").graph.symbols == program.graph.symbols
