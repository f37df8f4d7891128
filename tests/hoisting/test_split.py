"""What moves where, what stays, and why."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from graphlab.errors import UnknownNameError
from graphlab.hoisting.hoist import hoist
from graphlab.hoisting.result import HoistResult
from graphlab.ops.rule import TABLE
from graphlab.program import Program
from tests.hoisting.loops import Loop
from tests.hoisting.models import attend, denoise, embedded, program


def split(item: Program) -> HoistResult:
    return hoist(item, invariant=("text",), schedule=("timestep",))


def ops(item: Program | None) -> list[str]:
    assert item is not None
    return [node.target.split(".")[1] for node in item.graph.calls]


def boundary(result: HoistResult) -> dict[str, tuple[str, str]]:
    """{value: (producer, operator)}"""
    return {item.name: (item.producer, item.op.split(".")[1]) for item in result.boundary}


def exact(item: Program, result: HoistResult, sizes: dict[str, int] | None = None) -> None:
    assert max(Loop(item, result, sizes).errors()) < 1e-10


@pytest.mark.parametrize("dynamic", [True, False], ids=["symbolic", "static"])
def test_text_goes_to_the_prologue_and_time_to_the_table(dynamic: bool) -> None:
    item = program(denoise, dynamic=dynamic)
    result = split(item)
    assert ops(result.prologue) == ["linear", "linear"]
    assert "sin" in ops(result.table)
    assert ops(result.step).count("linear") == 1
    assert [b.producer for b in result.boundary] == ["prologue", "prologue", "table"]
    exact(item, result)
    if dynamic:
        exact(item, result, dict(zip(item.graph.symbols, (3, 4, 7), strict=True)))


def test_a_size_of_the_sample_is_no_dependence() -> None:
    result = split(program(denoise))
    assert result.shape_only == (("table", "sample"),)
    assert split(program(denoise, dynamic=False)).shape_only == ()


def test_a_timestep_that_is_an_index() -> None:
    """`table[timestep]` reads a number from the timestep, which is no size: the step takes the timestep for it."""

    def indexed(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        row: torch.Tensor = self.modulation.weight[(timestep / 100).long()]
        return attend(self, sample + row, text)

    item = program(indexed)
    result = split(item)
    assert ops(result.prologue) == ["linear", "linear"]
    assert [node.name for node in result.step.graph.inputs][:2] == ["sample", "timestep"]
    exact(item, result)


def test_weights_are_shared_and_only_those_a_part_reads() -> None:
    item = program(denoise)
    before = [str(node) for node in item.exported.graph.nodes]
    result = split(item)
    assert [str(node) for node in item.exported.graph.nodes] == before
    keys = {part: set(p.exported.state_dict) for part, p in result.programs}
    assert keys["prologue"] == {"key.weight", "key.bias", "value.weight", "value.bias"}
    assert keys["table"] == {"time.weight", "time.bias", "frequencies"}
    assert keys["step"] == {"query.weight", "query.bias"}
    for _, part in result.programs:
        for key, tensor in part.exported.state_dict.items():
            assert tensor is item.exported.state_dict[key]


def test_the_report_adds_up() -> None:
    report = split(program(denoise)).report
    assert report.before.flops == report.prologue.flops + report.table.flops + report.step.flops
    assert report.parameters_left == 3 * (8 * 8 + 8)
    assert report.resident_after_bytes == (8 * 8 + 8) * 4
    assert sum(module.parameters for module in report.modules) == report.parameters_left
    assert report.boundary_bytes == 2 * 2 * 5 * 8 * 4
    assert report.row_bytes == 2 * 8 * 4


def test_calls_without_a_rule_are_told_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, "aten.linear.default", None)  # in its place: deleting would move it to the end
    report = split(program(denoise)).report
    assert report is not None
    assert report.prologue is not None
    assert report.table is not None
    assert (report.prologue.flops, report.prologue.unknown, report.prologue.nodes) == (None, 2, 2)
    assert (report.table.flops, report.table.unknown) == (0, 1)
    assert report.before.unknown == 2 + 1 + report.step.unknown
    assert [(m.flops, m.unknown) for m in report.modules if m.part == "prologue"] == [(None, 1), (None, 1)]


def test_the_same_program_gives_the_same_parts() -> None:
    item = program(denoise)
    first, second = split(item), split(item)
    assert [p.graph for _, p in first.programs] == [p.graph for _, p in second.programs]


def test_hoisting_the_step_again_changes_nothing() -> None:
    result = split(program(denoise))
    names = [b.name for b in result.boundary]
    again = hoist(result.step, invariant=names[:2], schedule=names[2:])
    assert not again.modified
    assert again.step is result.step
    assert again.reason.startswith("nothing is computed from")


def test_enlarging_movement_stays_in_the_step() -> None:
    def enlarge(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        wide = self.key(text[:, 0])[:, None].expand(-1, sample.shape[1], -1)
        return sample * wide.repeat(1, 1, 2)[..., :8] + embedded(self, sample, timestep)[:, None]

    item = program(enlarge)
    result = split(item)
    assert [op for _, op in boundary(result).values()] == ["linear", "linear"]
    assert {"expand", "repeat"} <= set(ops(result.step))
    exact(item, result)


def test_pieces_of_one_projection_cross_as_one() -> None:
    def modulated(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        shift, scale, gate = self.modulation(embedded(self, sample, timestep))[:, None].chunk(3, dim=-1)
        return sample + gate * (self.norm(sample) * scale + shift)

    item = program(modulated)
    result = split(item)
    assert [op for _, op in boundary(result).values()] == ["linear"]
    assert result.prologue is None
    exact(item, result)


def test_a_small_piece_crosses_alone() -> None:
    def piece(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return sample + self.key(text)[:, :1]

    item = program(piece)
    result = split(item)
    assert [op for _, op in boundary(result).values()] == ["slice"]
    exact(item, result)


def test_a_narrowing_cast_crosses_after_the_cast_a_widening_one_before() -> None:
    def cast(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        narrow, wide = self.key(text).half(), self.value(text).double()
        return sample + narrow.sum(1, keepdim=True) * sample.half() + (wide[:, :1] * sample.double()).float()

    def crossing(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return sample @ self.key(text).half().float().mT @ self.value(text).double().float()

    assert {op for _, op in boundary(split(program(cast))).values()} == {"sum", "slice"}
    item = program(crossing)
    assert [b.dtype for b in split(item).boundary] == ["float16", "float32"]


def test_arithmetic_on_sizes_and_buffers_goes_and_on_parameters_stays() -> None:
    def positions(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        angles = torch.arange(sample.shape[1])[:, None] * self.frequencies
        return sample * torch.cos(angles) + torch.tanh(self.table) + self.key(text).mean(1, keepdim=True)

    item = program(positions)
    result = split(item)
    assert "cos" in ops(result.prologue)
    assert "arange" not in ops(result.step)
    assert "tanh" in ops(result.step)
    assert [skip.why for skip in result.skips] == [
        "depends on weights alone: constant folding does it without a prologue"
    ]
    exact(item, result)


def test_a_tensor_like_the_sample_reads_its_shape_alone() -> None:
    def masked(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        ones = torch.ones_like(sample[..., 0]) * timestep
        return sample * self.time(ones[..., None] * self.frequencies)

    item = program(masked)
    result = split(item)
    assert "linear" in ops(result.table)
    assert ops(result.step)[-1] == "mul"
    exact(item, result)


def test_a_result_that_stays_is_passed_on() -> None:
    def both(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> Any:
        return sample + embedded(self, sample, timestep)[:, None], self.key(text)

    item = program(both)
    exact(item, split(item))


def test_a_timestep_the_step_reads_itself() -> None:
    def scaled(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return sample * timestep + self.key(text).mean(1, keepdim=True)

    item = program(scaled)
    result = split(item)
    assert result.table is None
    assert [node.name for node in result.step.graph.inputs][:2] == ["sample", "timestep"]
    exact(item, result)


def test_random_numbers_are_new_in_every_step() -> None:
    def noisy(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return sample + torch.dropout(self.key(text), 0.5, True).mean(1, keepdim=True)

    result = split(program(noisy))
    assert "dropout" in ops(result.step)
    assert ops(result.prologue) == ["linear"]
    assert [skip.why for skip in result.skips] == ["draws random numbers, which are others in every step"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"invariant": ("txt",)}, "no input 'txt' (did you mean text?"),
        ({"schedule": ("when",)}, "no input 'when'"),
        ({"invariant": ("text",), "schedule": ("text",)}, "text cannot both be invariant and follow the schedule"),
    ],
    ids=["misspelt", "unknown", "both"],
)
def test_names_that_do_not_fit(names: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(UnknownNameError) as error:
        hoist(program(denoise, dynamic=False), **names)
    assert message.split(" (")[0] in str(error.value)


def test_reasons_for_doing_nothing() -> None:
    def alone(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return self.query(sample + timestep) + text.mean() * 0 + self.key(sample)

    def moved(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return self.query(sample + timestep) @ text[:, :1].mT

    item = program(moved)
    assert hoist(item).reason == "no input is named as invariant or as the schedule"
    result = split(item)
    assert result.step is item
    assert result.reason == "nothing is computed from text, timestep alone"
    assert split(program(alone)).modified


def test_a_program_that_writes_into_a_buffer_is_left_alone() -> None:
    class Counting(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(()))
            self.key = torch.nn.Linear(8, 8)

        def forward(self, sample: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            self.count.add_(1)
            return sample + self.key(text) * self.count

    from graphlab.sources.module import capture

    item = capture(Counting(), (torch.randn(2, 8), torch.randn(2, 8)), dynamic=False)
    assert "writes into count" in hoist(item, invariant=("text",)).reason


def test_a_size_of_what_stays_needs_no_shape() -> None:
    def forward(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        ramp = torch.sin(timestep.expand(text.shape[1]))
        return sample + ramp.mean() * self.key(text).mean(1, keepdim=True)

    item = program(forward)
    result = split(item)
    assert result.shape_only == (("table", "text"),)
    exact(item, result)


def test_the_shape_only_input_of_a_size_that_is_worked_out() -> None:
    def forward(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        doubled = torch.cat([sample, sample], 1)
        spread = timestep.expand(doubled.shape[1] // 2 * sample.shape[0] + 1)
        return sample * self.time(spread[:, None] * self.frequencies).sum()

    item = program(forward)
    result = split(item)
    assert "linear" in ops(result.table)
    assert result.shape_only == (("table", "sample"),)
    exact(item, result)
    exact(item, result, {symbol: size + 2 for symbol, size in item.graph.symbols.items()})
