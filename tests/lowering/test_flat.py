"""Programs as fx modules over values."""

from __future__ import annotations

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from graphlab.lowering.flat import flat_module, plain
from graphlab.rewriter import run_pass
from graphlab.sources.module import capture
from tests.lowering.programs import CPU, gated, meta_tiny, tiny_inputs


def test_inputs_stay_and_weights_become_attributes() -> None:
    program, values = meta_tiny()
    module = flat_module(program, values, CPU)
    assert [node.name for node in module.graph.find_nodes(op="placeholder")] == ["sample", "time"]
    assert len(list(module.buffers())) == len(values)
    assert isinstance(module(*tiny_inputs().values()), tuple)


def test_no_device_of_the_capture_is_left() -> None:
    program, values = meta_tiny()
    assert "meta" in str(program.exported)
    module = flat_module(program, values, CPU)
    assert all("meta" not in str(node.kwargs) + str(node.args) for node in module.graph.nodes)
    assert "device(type='meta')" in str(program.exported)


def test_tied_weights_are_one_attribute() -> None:
    program, values = gated()
    module = flat_module(program, values, CPU)
    assert len(list(module.buffers())) == 5
    assert program.exported is not None
    assert len(program.exported.state_dict) == 6


def test_fused_operators_are_spelled_out_and_the_program_keeps_them() -> None:
    program, values = gated()
    fused = run_pass("fuse-geglu", program).program
    module = flat_module(fused, values, CPU)
    assert "graphlab" not in str(module.graph)
    assert "graphlab.geglu" in str(fused.exported)
    assert plain(program) is program


class Switching(torch.nn.Module):
    """Two regions, one within autocast."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (rows, 4) to (rows, 4)."""
        with torch.no_grad():
            y = x + torch.ones(4, device=x.device)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z = y @ torch.ones(4, 4, device=x.device)
        return z + y


def test_regions_are_moved_as_copies() -> None:
    program = capture(Switching().eval(), (torch.ones(2, 4, device="meta"),), dynamic=False)
    assert program.exported is not None
    before = program.exported.graph_module.print_readable(print_output=False)
    module = flat_module(program, {}, CPU)
    assert torch.equal(module(torch.ones(2, 4))[0], torch.full((2, 4), 10.0))
    assert program.exported.graph_module.print_readable(print_output=False) == before


class Casting(torch.nn.Module):
    """A cast, before which torch.export states the dtype and the device of what is cast."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (rows, 4) to (rows, 4) in float32."""
        return x.to(torch.float32) + 1


def test_what_a_capture_states_of_devices_holds_on_a_device_without_an_index() -> None:
    """Tensors on "cuda" are on cuda:0, and torch.compile evaluates the statement. On fakes, so without a GPU."""
    program = capture(Casting().eval(), (torch.ones(2, 4, dtype=torch.float16, device="meta"),), dynamic=False)
    assert "_assert_tensor_metadata" in str(program.exported)
    with FakeTensorMode():
        module = flat_module(program, {}, torch.device("cuda"))
        found = module(torch.ones(2, 4, dtype=torch.float16, device="cuda"))[0]
    assert found.device == torch.device("cuda", 0)
