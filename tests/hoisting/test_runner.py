"""The runner says what it lacks, the saved folder holds what the runner needs, the workload's sums are right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from graphlab.api import analyze
from graphlab.errors import BindingError, GraphlabError, SourceError
from graphlab.hoisting.hoist import hoist, hoist_stage
from graphlab.hoisting.result import HoistResult
from graphlab.hoisting.runner import HoistedState, eager, eager_call
from graphlab.hoisting.saving import load, load_rows, save
from graphlab.hoisting.stages import workload_with
from graphlab.models import find_model
from graphlab.program import Program
from graphlab.workload import Stage, TensorInput, Variable, Workload
from tests.hoisting.models import WIDTH, denoise, program

TIMES = torch.tensor([9.0, 5.0, 1.0])


@pytest.fixture(scope="module")
def item() -> Program:
    return program(denoise)


@pytest.fixture(scope="module")
def result(item: Program) -> HoistResult:
    return hoist(item, invariant=("text",), schedule=("timestep",))


def prepared(result: HoistResult) -> tuple[torch.Tensor, HoistedState]:
    text = torch.randn(2, 5, WIDTH)
    return text, eager(result).prepare({"text": text}, TIMES, shapes={"sample": (2, 3, WIDTH)})


def test_a_loop_on_the_programs_own_weights(item: Program, result: HoistResult) -> None:
    text, state = prepared(result)
    whole, stage = eager_call(item), eager(result)
    assert [tuple(rows.shape) for rows in state.rows.values()] == [(3, 2, WIDTH)]
    for index, time in enumerate(TIMES):
        sample = torch.randn(2, 3, WIDTH)
        expected = whole({"sample": sample, "timestep": time, "text": text})
        torch.testing.assert_close(stage.step(index, {"sample": sample}, state), expected, rtol=1e-6, atol=1e-6)


def test_what_is_missing_is_named(result: HoistResult) -> None:
    stage = eager(result)
    with pytest.raises(GraphlabError, match="the table needs the shape of sample"):
        stage.prepare({"text": torch.randn(2, 5, WIDTH)}, TIMES)
    with pytest.raises(GraphlabError, match="the prologue of denoiser needs text"):
        stage.prepare({}, TIMES, shapes={"sample": (2, 3, WIDTH)})
    _, state = prepared(result)
    with pytest.raises(GraphlabError, match="the step of denoiser needs sample"):
        stage.step(0, {}, state)
    with pytest.raises(GraphlabError, match="there is no timestep 3: 3 were prepared"):
        stage.step(3, {"sample": torch.randn(2, 3, WIDTH)}, state)


def test_weights_without_values_are_refused() -> None:
    workload = find_model("muse-256-tiny").workload()
    made = hoist_stage(workload, "transformer", dynamic=False)
    with pytest.raises(GraphlabError, match="has no values"):
        eager(made)


def test_a_folder_gives_back_the_programs_and_the_rows(result: HoistResult, tmp_path: Path) -> None:
    text, state = prepared(result)
    save(result, tmp_path / "out", state)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "prologue.pt2", "table.pt2", "step.pt2", "hoisted.json", "table.safetensors",
    }  # fmt: skip
    again = load(tmp_path / "out")
    for (part, saved), (same, loaded) in zip(result.programs, again.programs, strict=True):
        assert part == same
        assert loaded.graph == saved.graph
        assert loaded.history == ("hoist-loop-invariants",)
    assert again.boundary == result.boundary
    assert again.shape_only == result.shape_only
    rows, schedule = load_rows(tmp_path / "out")
    held = HoistedState({"text": text, **state.values}, rows, schedule)
    sample = torch.randn(2, 3, WIDTH)
    for index in range(3):
        expected = eager(result).step(index, {"sample": sample}, state)
        assert torch.equal(eager(again).step(index, {"sample": sample}, held)[0], expected[0])


def test_each_saved_program_is_a_source(result: HoistResult, tmp_path: Path) -> None:
    save(result, tmp_path / "out")
    costs = {"prologue": result.report.prologue, "table": result.report.table, "step": result.report.step}
    for part, cost in costs.items():
        (stage,) = analyze(str(tmp_path / "out" / f"{part}.pt2")).stages
        assert (stage.flops_per_step, stage.parameters) == (cost.flops, cost.parameters)
        assert torch.export.load(tmp_path / "out" / f"{part}.pt2") is not None


def test_the_manifest_says_what_feeds_what(result: HoistResult, tmp_path: Path) -> None:
    save(result, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "hoisted.json").read_text())
    assert [part["part"] for part in document["parts"]] == ["prologue", "table", "step"]
    feeds = {item["name"]: item["from"] for item in document["parts"][2]["inputs"]}
    assert feeds == {"sample": "caller", **{value.name: value.producer for value in result.boundary}}
    assert document["parts"][1]["inputs"][0] == {"name": "sample", "from": "caller", "shape_only": True}


def test_a_folder_is_written_whole_or_not_at_all(result: HoistResult, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="cannot be written"):
        save(result, tmp_path / "file" / "out")
    (tmp_path / "there").mkdir()
    with pytest.raises(SourceError, match="is there already"):
        save(result, tmp_path / "there")
    bad = HoistedState({}, {"row": torch.zeros(1)}, ({"timestep": "no tensor"},))  # type: ignore[dict-item]  # on purpose
    with pytest.raises(AttributeError):
        save(result, tmp_path / "broken", bad)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "there"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("{}", "is no manifest"),
        ('{"schema": "graphlab.hoisted/1"}', "is damaged"),
    ],
    ids=["no_json", "another", "empty"],
)
def test_a_damaged_manifest(result: HoistResult, tmp_path: Path, text: str, message: str) -> None:
    save(result, tmp_path / "out")
    (tmp_path / "out" / "hoisted.json").write_text(text)
    with pytest.raises(SourceError, match=message):
        load(tmp_path / "out")


def test_parts_that_were_exchanged_are_noticed(result: HoistResult, tmp_path: Path) -> None:
    save(result, tmp_path / "out")
    (tmp_path / "out" / "step.pt2").rename(tmp_path / "out" / "table.pt2")
    (tmp_path / "out" / "prologue.pt2").rename(tmp_path / "out" / "step.pt2")
    with pytest.raises(SourceError):
        load(tmp_path / "out")


def test_nothing_hoisted_is_nothing_to_save(item: Program, tmp_path: Path) -> None:
    with pytest.raises(GraphlabError, match="nothing of denoiser was hoisted"):
        save(hoist(item), tmp_path / "out")


def looped(item: Program) -> Workload:
    """A workload of one stage that runs `item` in `steps` steps, twice each while the guidance lasts."""
    batch, frames, tokens = (Variable(n, d, n) for n, d in (("batch", 1), ("frames", 4), ("tokens", 6)))
    inputs = {
        "sample": TensorInput(("batch", "frames // 2", WIDTH), "float32", "latent"),
        "timestep": TensorInput((), "float32", "timestep"),
        "text": TensorInput(("batch", "tokens", WIDTH), "float32", "text"),
    }
    stage = Stage("loop", "float32", inputs, program=item, steps="steps", calls_per_step="2 if step < 3 else 1")
    after = Stage("after", "float32", inputs, program=item)
    return Workload("w", "w", (stage, after), (batch, frames, tokens, Variable("steps", 10, "steps")))


@pytest.mark.parametrize("bound", [{}, {"batch": 3, "frames": 12, "tokens": 9, "steps": 4}], ids=["default", "bound"])
def test_the_hoisted_workload_adds_up(item: Program, bound: dict[str, int]) -> None:
    workload = looped(item).bind(bound)
    made = hoist_stage(workload, "loop", item)
    assert made.report.sizes == tuple(
        zip(("sample.d0", "sample.d1", "text.d1"), (bound.get("batch", 1), bound.get("frames", 4) // 2,
        bound.get("tokens", 6)), strict=True)
    )  # fmt: skip
    parts = {stage.name: stage for stage in analyze(workload_with(looped(item), "loop", made), **bound).stages}
    assert list(parts) == ["loop prologue", "loop table", "loop", "after"]
    report, steps, calls = made.report, workload.steps(workload.stages[0]), workload.calls(workload.stages[0])
    assert [stage.steps for stage in parts.values()] == [1, steps, steps, 1]
    total = sum(stage.flops_total for stage in parts.values() if stage.name != "after")
    assert total == report.before.flops * calls - report.prologue.flops * (calls - 2)
    assert parts["loop"].flops_per_step == report.step.flops
    assert report.before.flops == parts["after"].flops_per_step


def test_nothing_hoisted_leaves_the_workload(item: Program) -> None:
    workload = looped(item)
    assert workload_with(workload, "loop", hoist(item)) is workload
    assert hoist_stage(workload, "after", item).reason == "it runs once in a generation: there is no loop"


def test_a_static_split_holds_at_its_sizes_alone() -> None:
    static = program(denoise, dynamic=False)
    workload = looped(static).bind({"batch": 2, "frames": 6, "tokens": 5})
    hoisted = workload_with(workload, "loop", hoist_stage(workload, "loop", static))
    assert analyze(hoisted, stage="loop").stages[0].steps == 10
    with pytest.raises(BindingError):
        analyze(hoisted, stage="loop prologue", tokens=6)
