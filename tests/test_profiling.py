"""`graphlab.profile` on real models: every node has a time, sums hold, and wrong input is one clear error."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import graphlab
from graphlab.errors import BindingError, GraphlabError, UnknownNameError, UnsafeSourceError
from graphlab.measuring import memory
from graphlab.report.profile_data import OUTSIDE_ATTENTION, ProfileReport
from graphlab.sources.stage import program_for
from graphlab.workload import Stage, TensorInput, Workload

UNET = ("stable-diffusion-v1-5-tiny", "unet", {})
STAGES = [
    UNET,
    ("llama-2-7b-tiny", "prefill", {}),
    ("cogvideox-2b-tiny", "text_encoder", {}),
    ("cogvideox-2b-tiny", "transformer", {}),
]


@pytest.mark.parametrize(("source", "stage", "bindings"), STAGES, ids=[f"{s}-{n}" for s, n, _ in STAGES])
def test_every_call_of_the_graph_has_a_time(source: str, stage: str, bindings: dict[str, int]) -> None:
    report = graphlab.profile(source, stage=stage, rounds=2, threads=1, **bindings)
    workload = graphlab.load(source, **bindings)
    item = workload.stage(stage)
    program = program_for(item, workload.step_values(item, 0), dynamic=False)
    (call,) = report.stage(stage).calls
    assert [node.name for node in call.nodes] == [node.name for node in program.graph.calls]
    assert [node.op for node in call.nodes] == [node.target for node in program.graph.calls]
    assert all(0 < node.low <= node.seconds <= node.high for node in call.nodes)
    assert (call.rounds, report.threads, report.device_type) == (2, 1, "cpu")
    assert 0 < call.coverage <= 1
    check_sums(report)


def test_nodes_carry_the_facts_of_the_analysis() -> None:
    source, stage, bindings = UNET
    analysis = graphlab.analyze(source, stage=stage, dynamic=False, **bindings).stages[0]
    (call,) = graphlab.profile(source, stage=stage, rounds=1, threads=1, **bindings).stages[0].calls
    known = {row.name: (row.op, row.category, row.role, row.module, row.attention) for row in analysis.nodes}
    assert {n.name: (n.op, n.category, n.role, n.module, n.attention) for n in call.nodes} == known
    sites = [(row.node, row.kind, row.axis, row.fused, row.q_tokens, row.kv_tokens) for row in analysis.attention]
    assert [(a.node, a.kind, a.axis, a.fused, a.q_tokens, a.kv_tokens) for a in call.attention] == sites
    groups = call.by("attention")
    assert {a.node: a.seconds for a in call.attention} == pytest.approx(
        {name: group.seconds for name, group in groups.items() if name != OUTSIDE_ATTENTION}
    )


def check_sums(report: ProfileReport) -> None:
    for stage in report.stages:
        for call in stage.calls:
            for key in ("category", "role", "op", "module", "attention"):
                groups = call.by(key).values()
                assert sum(group.seconds for group in groups) == pytest.approx(call.seconds_attributed)
                assert sum(group.nodes for group in groups) == len(call.nodes)
        total = sum(call.seconds_attributed * call.times for call in stage.calls)
        assert sum(group.seconds for group in stage.by("category").values()) == pytest.approx(total)
    assert report.seconds_total == pytest.approx(sum(stage.seconds_total for stage in report.stages))


class Wide(nn.Module):
    """Sixteen matrix products of some milliseconds each."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(1024, 1024, bias=False) for _ in range(16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def test_coverage_is_at_least_95_percent_where_operators_take_their_time() -> None:
    program = graphlab.capture(Wide().eval(), (torch.ones(64, 1024),), dynamic=False)
    report = graphlab.profile(program, rounds=3, threads=1)
    (call,) = report.stages[0].calls
    assert min(node.seconds for node in call.nodes) > 50e-6
    assert report.coverage >= 0.95
    assert list(call.by("category")) == ["linear"]
    assert not [note for note in report.stages[0].notes if "falls on nodes" in note or "random" in note]


def test_a_growing_cache_is_run_first_middle_and_last() -> None:
    report = graphlab.profile("llama-2-7b-tiny", stage="decode", tokens=24, new_tokens=9, rounds=1, threads=1)
    (stage,) = report.stages
    assert [(call.step, call.bindings) for call in stage.calls] == [
        (0, {"cache": 24}), (4, {"cache": 28}), (8, {"cache": 32}),
    ]  # fmt: skip
    assert sum(call.times for call in stage.calls) == stage.calls_total == stage.steps == 9
    assert stage.interpolated
    assert any("steps 0, 4, 8 were measured" in note for note in stage.notes)
    expected = sum(call.seconds * times for call, times in zip(stage.calls, (2.5, 4.0, 2.5), strict=True))
    assert stage.seconds_total == pytest.approx(expected)


def test_the_report_is_json_and_says_values_are_random() -> None:
    report = graphlab.profile("llama-2-7b-tiny", rounds=1, threads=1, tokens=8, new_tokens=1)
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["schema"] == "graphlab.profile/1"
    assert [stage["name"] for stage in data["stages"]] == ["prefill", "decode"]
    assert data["torch_version"] == torch.__version__
    assert any("random" in note for note in data["notes"])
    assert any("had no values and were drawn at random" in note for note in data["stages"][0]["notes"])


def test_a_stage_is_cast_where_asked() -> None:
    report = graphlab.profile("llama-2-7b-tiny", stage="prefill", dtype="bfloat16", rounds=1, threads=1, tokens=8)
    assert report.stages[0].dtype == "bfloat16"


@pytest.mark.parametrize("symbolic", [True, False], ids=["symbolic", "static"])
def test_a_saved_program_runs_on_its_own_weights_at_the_asked_size(tmp_path: Path, symbolic: bool) -> None:
    program = graphlab.capture(Wide().eval(), (torch.ones(2, 1024),), dynamic="auto" if symbolic else False)
    path = tmp_path / "wide.pt2"
    torch.export.save(program.exported, path)
    bindings = {"x.d0": 6} if symbolic else {}
    names = list(graphlab.load(path).values())
    report = graphlab.profile(path, rounds=1, threads=1, **dict(zip(names, bindings.values(), strict=True)))
    (stage,) = report.stages
    assert len(stage.calls[0].nodes) == 16
    assert list(report.bindings.values()) == list(bindings.values())
    assert not [note for note in stage.notes if "random" in note]
    with pytest.raises(GraphlabError, match="captured program in float32, it cannot be run in bfloat16"):
        graphlab.profile(path, dtype="bfloat16")


def test_a_program_saved_without_values_runs_on_random_ones_and_says_so(tmp_path: Path) -> None:
    with torch.device("meta"):
        program = graphlab.capture(Wide().eval(), (torch.empty(2, 1024),), dynamic=False)
    path = tmp_path / "meta.pt2"
    torch.export.save(program.exported, path)
    (stage,) = graphlab.profile(path, rounds=1, threads=1).stages
    assert len(stage.calls[0].nodes) == 16
    assert stage.notes == ("16 of 16 weight tensors had no values and were drawn at random",)


class Distances(nn.Module):
    """An operator that the CPU has no half-precision kernel for."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(4, 4, device="meta", dtype=torch.float16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cdist(x * self.scale, x)


def test_a_dtype_the_cpu_cannot_run_is_an_error_that_says_what_to_pass() -> None:
    inputs = {"x": TensorInput((4, 4), "float16")}
    own = Workload("own", "own.py", (Stage("s", "float16", inputs, build=lambda: Distances().eval(), batch=1),))
    with pytest.raises(
        GraphlabError, match=r"aten\.cdist\.default at node cdist cannot be run: .*pass --dtype float32"
    ):
        graphlab.profile(own, rounds=1)
    (call,) = graphlab.profile(own, rounds=1, dtype="float32").stages[0].calls
    assert [node.op for node in call.nodes] == ["aten.mul.Tensor", "aten.cdist.default"]


def test_a_budget_ends_the_rounds_of_every_call_early() -> None:
    report = graphlab.profile("llama-2-7b-tiny", tokens=8, new_tokens=3, rounds=50, budget=1e-6, threads=1)
    assert [call.rounds for stage in report.stages for call in stage.calls] == [1, 1, 1, 1]
    assert report.rounds == 50


def test_guided_calls_count_one_by_one_and_the_notes_say_so() -> None:
    bindings = {"steps": 3, "rounds": 1, "threads": 1}
    guided = graphlab.profile("stable-diffusion-v1-5-tiny", stage="unet", **bindings).stages[0]
    alone = graphlab.profile("stable-diffusion-v1-5-tiny", stage="unet", guidance=1, **bindings).stages[0]
    assert (guided.calls_total, alone.calls_total) == (6, 3)
    assert guided.seconds_total == guided.calls[0].seconds * 6
    assert [bool([n for n in stage.notes if "one by one" in n]) for stage in (guided, alone)] == [True, False]


def test_threads_are_set_back() -> None:
    before = torch.get_num_threads()
    graphlab.profile("llama-2-7b-tiny", stage="prefill", tokens=8, rounds=1, threads=before + 1)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": 0}, "cannot measure 0 rounds"),
        ({"rounds": True}, "cannot measure True rounds"),
        ({"budget": 0.0}, r"cannot measure for 0\.0 seconds"),
        ({"budget": float("nan")}, "cannot measure for nan seconds"),
        ({"threads": 0}, "cannot run on 0 threads"),
        ({"threads": 100_000}, "cannot run on 100000 threads .this machine has"),
        ({"dtype": "float31"}, "'float31' is no dtype to profile in .did you mean 'float32'"),
        ({"device": "tpu"}, "cannot profile on 'tpu'"),
    ],
)
def test_wrong_options_are_refused_before_the_work(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, object], message: str
) -> None:
    monkeypatch.setattr("graphlab.profiling.workload_of", lambda *args, **kwargs: pytest.fail("loaded"))
    with pytest.raises(GraphlabError, match=message):
        graphlab.profile("llama-2-7b-tiny", **options)  # type: ignore[arg-type]  # wrong on purpose


def test_a_missing_gpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(GraphlabError, match="no CUDA device that torch can use"):
        graphlab.profile("llama-2-7b-tiny", device="cuda")


def test_unknown_names_and_impossible_values_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="nope"):
        graphlab.profile("nope")
    with pytest.raises(UnknownNameError, match="did you mean 'decode'"):
        graphlab.profile("llama-2-7b-tiny", stage="decod")
    with pytest.raises(BindingError, match="valid names"):
        graphlab.profile("llama-2-7b-tiny", token=8)
    with pytest.raises(BindingError, match="steps=0 is impossible"):
        graphlab.profile("stable-diffusion-v1-5-tiny", steps=0)


def test_a_model_that_does_not_fit_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "meminfo").write_text("MemAvailable: 64 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr("graphlab.profiling.profile_stage", lambda *args: pytest.fail("ran"))
    with pytest.raises(GraphlabError, match=r"^prefill needs .* for weights and activations; 64 KiB are available"):
        graphlab.profile("llama-2-7b-tiny")


def test_a_graph_without_a_program_is_refused() -> None:
    program = graphlab.capture(Wide().eval(), (torch.ones(2, 1024),), dynamic=False)
    with pytest.raises(GraphlabError, match="only known by its graph"):
        graphlab.profile(replace(program, exported=None))


def test_operators_of_other_libraries_run_for_their_user_only(tmp_path: Path) -> None:
    library = torch.library.Library("graphlab_test_profiling", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: x * 2, "CompositeExplicitAutograd")
    library.impl("twice", lambda x: torch.empty_like(x), "Meta")

    class Twice(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            twice: torch.Tensor = torch.ops.graphlab_test_profiling.twice(x)
            return twice + 1

    program = graphlab.capture(Twice(), (torch.ones(2, 3),), dynamic=False)
    assert len(graphlab.profile(program, rounds=1).stages[0].calls[0].nodes) == 2
    path = tmp_path / "twice.pt2"
    torch.export.save(program.exported, path)
    with pytest.raises(UnsafeSourceError, match="operator of the library 'graphlab_test_profiling'; nothing was run"):
        graphlab.profile(path, rounds=1)
    library._destroy()  # type: ignore[no-untyped-call]  # torch's own
