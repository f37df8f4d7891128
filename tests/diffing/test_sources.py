"""Real captures: programs alone, models, reports of them, at each other's settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import graphlab
from graphlab import GraphlabError, Program, Stage, TensorInput, Variable, Workload, diff
from graphlab.diffing.errors import DiffError
from graphlab.diffing.opening import SourceOptions
from graphlab.report.json_writer import to_json


class Block(nn.Module):
    """Convolutions with activations in between; `twice` applies the first activation once more."""

    def __init__(self, *, width: int = 8, twice: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, width, 3, padding=1)
        self.last = nn.Conv2d(width, 4, 1)
        self.twice = twice

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        hidden = nn.functional.silu(self.first(sample))
        hidden = nn.functional.silu(hidden) if self.twice else hidden
        return self.last(hidden)


def block(*, width: int = 8, twice: bool = False) -> nn.Module:
    with torch.device("meta"):
        return Block(width=width, twice=twice).eval()


def program(*, size: int = 16, width: int = 8, twice: bool = False) -> Program:
    return graphlab.capture(block(width=width, twice=twice), (torch.empty(2, 4, size, size, device="meta"),))


def model(width: int = 8, names: tuple[str, ...] = ("denoiser", "decoder")) -> Workload:
    """Stages over pixels: the first runs in ten steps, and takes `sample`; the others take `latent`."""
    shape = ("batch", 4, "height // 8", "width // 8")
    variables = (
        Variable("batch", 1, "images"),
        Variable("height", 256, "pixels", multiple_of=8),
        Variable("width", 256, "pixels", multiple_of=8),
    )

    def build(width: int) -> Callable[[], nn.Module]:
        return lambda: block(width=width)

    stages = [Stage(names[0], "float32", {"sample": TensorInput(shape, "float32")}, build=build(width), steps=10)]
    stages += [Stage(name, "float32", {"sample": TensorInput(shape, "float32")}, build=build(2)) for name in names[1:]]
    return Workload("toy", "toy", tuple(stages), variables)


def test_a_program_and_one_with_one_call_more() -> None:
    found = diff(program(), program(twice=True), fail_if=("pointwise > +0%", "flops > +0%"))
    (part,) = found.parts
    assert not found.settings
    assert [item.outcome for item in found.rules] == ["violated", "held"]
    assert part.nodes is not None
    assert [(row.status, row.b.op if row.b else "") for row in part.nodes.rows] == [("added", "aten.silu.default")]
    nodes = part.change("nodes")
    assert nodes is not None
    assert (nodes.absolute, part.by("module")[0].status) == (1, "same")
    assert {group.name for group in part.by("category") if group.status == "changed"} == {"activation"}


def test_programs_alone_take_the_sizes_of_the_others_inputs() -> None:
    small, large = program(size=16), program(size=24)
    assert diff(small, large).same
    asked = diff(small, large, only_b={"sample.h": 48})
    assert [(item.name, item.a, item.b) for item in asked.settings] == [
        (f"{small.name}: input sample", "2 x 4 x 16 x 16", "2 x 4 x 48 x 16")
    ]


def test_a_program_alone_beside_a_model_is_its_stage_of_that_name_or_those_inputs() -> None:
    one = model(names=("denoiser",))
    found = diff(one, program(width=8))
    assert found.per == "call"
    assert not found.settings  # the program, captured at 2 x 4 x 16 x 16, was evaluated at 1 x 4 x 32 x 32
    flops = found.total("flops")
    assert flops is not None
    assert (flops.a, flops.b) == (2 * 32 * 32 * (4 * 8 * 9 + 8 * 4),) * 2
    with pytest.raises(DiffError, match=r"none of the stages of toy is told to be its .*--stage: denoiser, decoder"):
        diff(model(), program())
    assert diff(model(), program(), stage="denoiser").total("flops") == flops


def test_a_model_beside_its_report_is_worked_out_at_the_reports_settings(tmp_path: Path) -> None:
    report = graphlab.analyze(model(), "h100-sxm", dynamic=False, height=512, batch=3)
    path = tmp_path / "baseline.json"
    path.write_text(to_json(report))
    assert diff(path, model()).same
    wider = diff(path, model(width=16), fail_if=("denoiser.flops > +1%", "decoder.flops > +0%", "seconds > 0%"))
    assert not wider.settings
    assert [item.outcome for item in wider.rules] == ["violated", "held", "violated"]
    assert [(part.name, part.status) for part in wider.parts] == [("denoiser", "changed"), ("decoder", "same")]
    asked = diff(path, model(), height=256)
    assert {(s.name, s.a, s.b) for s in asked.settings} >= {("height", "512", "256")}


def test_a_report_of_one_stage_is_beside_that_stage(tmp_path: Path) -> None:
    path = tmp_path / "decoder.json"
    path.write_text(to_json(graphlab.analyze(model(), stage="decoder")))
    found = diff(path, model())
    assert found.same
    assert found.notes == (f"only the stage decoder is compared: {path} has no other",)


def test_a_report_at_sizes_the_source_cannot_take(tmp_path: Path) -> None:
    data = json.loads(to_json(graphlab.analyze(model())))
    data["bindings"]["height"] = 250
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(data))
    with pytest.raises(DiffError, match=r"toy cannot be worked out at the sizes of .*odd\.json: height=250"):
        diff(path, model())
    data["bindings"]["height"], data["device"] = 256, "my-gpu"
    path.write_text(json.dumps(data))
    with pytest.raises(DiffError, match=r"of the device 'my-gpu', which is not at hand: .*name its file with --device"):
        diff(path, model())


def test_two_resolutions_are_two_settings_and_one_structure() -> None:
    found = diff(model(), model(), only_b={"height": 512, "width": 512})
    assert [item.name for item in found.settings] == [
        "height", "width", "denoiser: input sample", "decoder: input sample",
    ]  # fmt: skip
    flops, params = found.total("flops"), found.total("params")
    assert flops is not None
    assert params is not None
    assert (flops.relative, params.relative) == (3.0, 0.0)
    nodes = found.part("denoiser").nodes
    assert nodes is not None
    assert (nodes.by_module, nodes.only_a, nodes.only_b) == (len(nodes.rows), 0, 0)
    assert not found.part("denoiser").texts  # the same expressions in height and width


def test_expressions_that_differ_are_said() -> None:
    (text, *_) = diff(model(), model(width=16)).part("denoiser").texts
    assert (text.name, text.a, text.b) == ("flops", "10*batch*height*width", "20*batch*height*width")


def test_per_call_leaves_steps_out() -> None:
    whole, call = (diff(model(), model(width=16), per=per).total("flops") for per in ("generation", "call"))
    assert whole is not None
    assert call is not None
    assert (call.b, call.a) != (whole.b, whole.a)
    assert call.absolute is not None
    assert whole.absolute == 10 * call.absolute


def test_stages_of_two_names_are_compared_where_asked() -> None:
    found = diff(model(), model(names=("transformer", "decoder")), stage_a="denoiser", stage_b="transformer")
    assert [(part.a, part.b, part.status) for part in found.parts] == [("denoiser", "transformer", "same")]
    with pytest.raises(DiffError, match=r"toy has no stage 'denoiser' .*--stage-a and --stage-b pick one of each"):
        diff(model(), model(names=("transformer", "decoder")), stage="denoiser")


def test_a_program_of_fixed_sizes_is_worked_out_first() -> None:
    free = program(size=16)
    fixed = graphlab.capture(block(), (torch.empty(2, 4, 24, 24, device="meta"),), dynamic=False)
    for found in (diff(free, fixed), diff(fixed, free)):
        assert not found.settings
        assert found.total("flops") is not None
        assert found.part(free.name).status == "same"


def test_options_of_one_source_do_not_reach_the_other(tmp_path: Path) -> None:
    with pytest.raises(GraphlabError, match="stable-diffusion-v1-5-tiny is not a state dict"):
        diff("stable-diffusion-v1-5-tiny", model(), config=tmp_path)
    with pytest.raises(GraphlabError, match="stable-diffusion-v1-5-tiny is not a state dict"):
        diff("stable-diffusion-v1-5-tiny", model(), options_a=SourceOptions(config=tmp_path))
    with pytest.raises(DiffError, match="is a report, and configurations and inputs are for sources"):
        diff(graphlab.analyze(model()), model(), options_a=SourceOptions(config=tmp_path))


def test_a_variable_that_is_called_like_an_option() -> None:
    """`depth` is a variable here, `stage` another: the command line sets them with --set, Python with `both`."""
    sizes = TensorInput(("batch", 4, "stage", "strict"), "float32")
    stages = (Stage("net", "float32", {"sample": sizes}, build=block),)
    variables = (Variable("batch", 1, "images"), Variable("stage", 8, "rows"), Variable("strict", 8, "columns"))
    workload = Workload("odd", "odd", stages, variables)
    report = diff(workload, workload, both={"stage": 16}, only_b={"strict": 16}, dynamic=False, batch=2)
    differing = {row.name: (row.a, row.b) for row in report.settings}
    assert differing["strict"] == ("8", "16")
    assert not {"stage", "batch"} & differing.keys()  # both have them
    convolutions = 2 * (8 * 4 * 9 + 4 * 8)
    assert report.totals[0].a == convolutions * 2 * 16 * 8
    with pytest.raises(GraphlabError, match="neither side has a variable 'depth' to set"):
        diff(workload, workload, both={"depth": 3}, dynamic=False)
