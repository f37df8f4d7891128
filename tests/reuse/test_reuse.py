"""Where the graph is cut, what both programs compute, and what a generation costs then."""

from __future__ import annotations

import pytest
import torch

import graphlab
from graphlab.errors import GraphlabError, UnknownNameError
from graphlab.reuse import eager, reuse_features, workload_with
from tests.reuse.models import ReuseModule, build, inside, made, program, workload


def inputs(step: int) -> dict[str, torch.Tensor]:
    source = torch.Generator().manual_seed(step)
    fixed = torch.Generator().manual_seed(99)
    return {
        "sample": torch.randn(2, 2, 8, 16, generator=source),
        "timestep": torch.tensor(900 - 10 * step),
        "text": torch.randn(2, 3, 4, generator=fixed),
    }


def test_what_depends_on_the_step_through_the_features_alone_is_kept_with_them() -> None:
    (kept,) = made().kept
    assert kept.module == "up"  # relu and upsampling follow the middle and read nothing else
    assert kept.shape[:2] == ("sample.d0", 4)
    assert kept.nbytes == 1 * 4 * 8 * 16 * 4
    assert {node.target for node in made().programs[1][1].graph.weights} == {
        f"{name}.{part}" for name in ("first", "time", "last") for part in ("weight", "bias")
    }


def test_features_of_the_same_step_change_no_bit_and_older_ones_do() -> None:
    stage, module = eager(made(every=3)), build()
    features = None
    with torch.no_grad():
        for step in range(7):
            given = inputs(step)
            exact = module(*given.values())
            (found,), features = stage.step(step, given, features)
            assert torch.equal(found, exact) == (step % 3 == 0)


def test_a_reusing_step_is_the_module_with_the_old_low_resolution() -> None:
    """The middle's output of step 0 put into step 1 by a hook gives what the reuse program gives."""
    stage, module = eager(made(every=2)), build()
    old: list[torch.Tensor] = []
    with torch.no_grad():
        handle = module.middle.register_forward_hook(lambda _m, _i, output: old.append(output) if not old else old[0])
        module(*inputs(0).values())
        expected = module(*inputs(1).values())
        handle.remove()
        _, features = stage.step(0, inputs(0))
        (found,), _ = stage.step(1, inputs(1), features)
    assert torch.equal(found, expected)


def test_every_step_computed_is_exact() -> None:
    stage, module = eager(made(every=1)), build()
    with torch.no_grad():
        for step in range(3):
            (found,), _ = stage.step(step, inputs(step))
            assert torch.equal(found, module(*inputs(step).values()))


def test_flops_of_a_generation_are_those_of_the_analysis() -> None:
    result = made(every=4)
    report = graphlab.analyze(workload_with(workload(), "unet", result), dynamic=False)
    refresh, reuse = report.stages
    assert (refresh.name, refresh.steps) == ("unet refresh", 3)  # steps 0, 4, 8 of 10
    assert (reuse.name, reuse.steps) == ("unet reuse", 7)
    whole = graphlab.analyze(workload(), dynamic=False).stages[0]
    positions, low = 8 * 16, 4 * 8
    shallow = (
        2 * 9 * 2 * 4 * positions + 2 * 4 + 2 * 9 * 8 * 2 * positions
    )  # first and last convolution, the time's linear
    saved = 2 * 9 * 4 * 4 * low * 2 + 2 * 3 * 4 * 4  # two convolutions at the low resolution, the text's linear
    assert whole.flops_per_step == refresh.flops_per_step
    assert reuse.flops_per_step == shallow
    assert refresh.flops_per_step == shallow + saved
    assert result.report is not None
    assert report.totals["flops"] == result.report.flops_after
    assert result.report.flops_before == whole.flops_total
    assert report.totals["parameters"] == graphlab.analyze(workload(), dynamic=False).totals["parameters"]
    assert all(
        "approximate: features of unet" in stage.assumptions[-1]
        for stage in workload_with(workload(), "unet", result).stages
    )


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("last", "it would stay what it was"),
        ("time", "none of its values that step"),
        ("text", "none of its values that step"),
    ],
)
def test_what_cannot_be_reused_says_why(module: str, reason: str) -> None:
    result = made(module=module)
    assert not result.modified
    assert reason in result.reason
    assert workload_with(workload(), "unet", result) == workload()
    with pytest.raises(GraphlabError, match="nothing of unet is reused"):
        eager(result)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"steps": 1}, "there is no loop"),
        ({"calls_per_step": "2 if step < 3 else 1"}, "different numbers of calls"),
        ({"step_bindings": {"side": "8 + 2 * step"}}, "its steps differ in the size of sample.d2, sample.d3"),
    ],
    ids=["once", "guidance that ends", "growing"],
)
def test_loops_whose_steps_are_not_alike_stay(changed: dict[str, object], reason: str) -> None:
    result = ReuseModule().run_stage(workload(**changed), "unet", program())
    assert reason in result.reason
    assert not result.modified


def test_guidance_that_could_end_and_does_not_is_a_loop_of_like_steps() -> None:
    result = ReuseModule(5).run_stage(workload(calls_per_step="2 if step < steps else 1"), "unet", program())
    assert result.report is not None
    assert (result.report.calls, result.report.refreshes) == (2, 2)


def test_a_bare_program_steps_in_every_input() -> None:
    result = reuse_features(program(), inside(program(), "middle"), 2, "mine,every=2")
    assert result.stepping == ("sample", "timestep", "text")
    assert result.report is not None
    assert result.report.steps is result.report.flops_after is None
    assert result.programs[0][1].history[-1] == "mine,every=2; approximate"


def test_what_is_asked_wrong_is_said() -> None:
    with pytest.raises(GraphlabError, match="every 0 steps"):
        reuse_features(program(), {"conv2d"}, 0, "mine")
    with pytest.raises(UnknownNameError, match="no value 'conv3d'"):
        reuse_features(program(), {"conv3d"}, 2, "mine")
    stage = eager(made())
    with pytest.raises(GraphlabError, match="step 1 of unet takes the features of the step before it"):
        stage.step(1, inputs(1))
    with pytest.raises(GraphlabError, match="refresh step of unet needs timestep"):
        stage.step(0, {name: value for name, value in inputs(0).items() if name != "timestep"})


def test_programs_share_the_weights_and_leave_the_given_one_alone() -> None:
    before = program().graph
    result = made()
    assert program().graph == before
    held = program().exported
    assert held is not None
    for _, part in result.programs:
        assert part.exported is not None
        for key, value in part.exported.state_dict.items():
            assert value.data_ptr() == held.state_dict[key].data_ptr()
