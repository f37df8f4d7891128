"""Copies of exported programs: nodes, names, metadata, weights and calling convention stay; what is used of torch."""

from __future__ import annotations

import inspect
import io

import pytest
import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from graphlab.rewriting.clone import assemble, graph_copy
from graphlab.sources.extract import extract
from graphlab.sources.module import capture
from tests.rewriting.toys import X


class Nested(nn.Module):
    """Results in a dictionary, an input called like something of Python's, a constant and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)

    def forward(self, input: torch.Tensor, *, pair: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        first, second = pair
        return {"sum": self.norm(input) + first, "difference": second - torch.tensor([1.0] * 8)}


def exported(dynamic: bool = True) -> ExportedProgram:
    sizes = {"input": {0: Dim.AUTO}, "pair": ({0: Dim.AUTO}, {0: Dim.AUTO})} if dynamic else None
    return torch.export.export(Nested().eval(), (X,), {"pair": (X, X + 1)}, dynamic_shapes=sizes)


def copied(program: ExportedProgram) -> ExportedProgram:
    signature = program.graph_signature
    return assemble(program, graph_copy(program), signature.input_specs, program.state_dict, program.constants)


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "symbolic"])
def test_a_copy_is_equal_and_its_own(dynamic: bool) -> None:
    program = exported(dynamic)
    found = copied(program)
    assert [(n.name, n.op, str(n.args)) for n in found.graph.nodes] == [
        (n.name, n.op, str(n.args)) for n in program.graph.nodes
    ]
    assert extract(found) == extract(program)
    assert all(found.state_dict[key] is value for key, value in program.state_dict.items())
    assert found.graph_signature.input_specs == program.graph_signature.input_specs
    assert found.range_constraints == program.range_constraints
    first = next(node for node in found.graph.nodes if node.op == "call_function")
    found.graph.erase_node(list(found.graph.nodes)[-1])
    first.meta["custom"] = {"mine": 1}
    assert "mine" not in str([node.meta.get("custom") for node in program.graph.nodes])
    assert len(list(found.graph.nodes)) == len(list(program.graph.nodes)) - 1


@pytest.mark.parametrize("saved", [False, True], ids=["live", "saved"])
def test_a_copy_runs_and_nests_as_before(saved: bool) -> None:
    program = exported()
    found = copied(program)
    if saved:
        buffer = io.BytesIO()
        torch.export.save(found, buffer)
        buffer.seek(0)
        found = torch.export.load(buffer)
    for size in (3, 5):
        args, kwargs = (torch.randn(size, 8),), {"pair": (torch.randn(size, 8), torch.randn(size, 8))}
        before, after = program.module()(*args, **kwargs), found.module()(*args, **kwargs)
        assert list(before) == list(after) == ["sum", "difference"]
        assert all(torch.equal(before[key], after[key]) for key in before)


def test_guards_are_kept() -> None:
    program = exported()
    assert getattr(copied(program), "_guards_code", None) == list(program._guards_code)


def test_submodules_of_regions_are_shared() -> None:
    class Region(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return x @ x.mT

    found = capture(Region(), (X,), dynamic=False).exported
    assert found is not None
    copy = copied(found)
    assert copy.graph.find_nodes(op="get_attr") != []
    assert torch.equal(copy.module(check_guards=False)(X), found.module(check_guards=False)(X))


def test_what_is_used_of_torch_is_there() -> None:
    """`ExportedProgram` calls its constructor private; these are the parameters `assemble` passes."""
    known = inspect.signature(ExportedProgram.__init__).parameters
    used = {
        "root", "graph", "graph_signature", "state_dict", "range_constraints", "module_call_graph", "example_inputs",
        "constants", "verifiers",
    }  # fmt: skip
    assert used <= set(known)
