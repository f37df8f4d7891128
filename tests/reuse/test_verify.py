"""Right where nothing is old, measured where something is: and a pass that lies about being exact."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch

import graphlab
from graphlab.errors import GraphlabError
from graphlab.exporter import export
from graphlab.hoisting.hoist import hoist
from graphlab.hoisting.result import HoistResult
from graphlab.program import Program
from graphlab.reuse import eager
from graphlab.reuse.loop import relative
from graphlab.reuse.saving import save
from graphlab.reuse.verify import measure
from graphlab.rewriter import chosen_passes
from graphlab.sources.archive import load_exported_program
from graphlab.verification.result import VerificationError, VerifyOptions
from tests.reuse.models import ReuseModule, UNet, made, program, workload


def test_features_of_the_same_step_are_equal_and_the_drift_is_measured() -> None:
    found = measure(made(every=3))
    assert found.verification is not None
    assert found.verification.ok
    assert len(found.verification.bindings) == 2
    assert found.verification.worst_float64 == 0
    drift = found.drift
    assert drift is not None
    assert (drift.age, drift.steps, drift.places, drift.weights) == (2, 10, (2, 4, 7), "the program's own")
    assert all(0 < value < 1 for value in drift.differences)
    assert measure(made(every=3)).drift == drift


def test_older_features_are_further_off_and_fresh_ones_have_no_drift() -> None:
    near, far = (measure(made(every=every)).drift for every in (2, 6))
    assert near is not None
    assert far is not None
    assert sum(near.differences) / 3 < sum(far.differences) / 3
    assert measure(made(every=1)).drift is None


class Twice(UNet):
    """Another function of the same weights."""

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(sample, timestep, text)


def test_programs_that_are_not_the_whole_are_an_error() -> None:
    example = (torch.randn(2, 2, 8, 12), torch.tensor(3), torch.randn(2, 3, 4))
    found = measure(replace(made(), program=graphlab.capture(Twice().eval(), example))).verification
    assert found is not None
    with pytest.raises(VerificationError, match="pass reuse-module broke result 0 of the refresh step"):
        found.raise_for_error()


def test_what_is_too_large_is_said_and_not_run() -> None:
    found = measure(made(), VerifyOptions(limit_bytes=1))
    assert found.verification is not None
    assert found.verification.unchecked[0].startswith("too large to run")
    assert found.drift is None


def test_relative_is_root_mean_square_over_root_mean_square() -> None:
    assert relative((torch.tensor([3.0, 0.0]),), (torch.tensor([0.0, 4.0]),)) == 5 / 4
    assert relative((torch.zeros(2),), (torch.zeros(2),)) == 0
    assert relative((torch.ones(2),), (torch.zeros(2),)) == float("inf")


def test_a_rewrite_says_it_and_no_level_has_it() -> None:
    result = graphlab.run_pass(ReuseModule(2), program(), verify=True)
    assert result.reused is not None
    assert result.reused.drift is not None
    assert result.hoisted is None
    assert result.parts is result.reused
    assert result.modified
    assert chosen_passes(2, [ReuseModule(4)]).approximate == ("reuse-module,every=4",)
    for level in (1, 2, 3):
        assert chosen_passes(level).approximate == ()
        assert all(item.exact for item in chosen_passes(level).rewrites)


def test_exact_rewrites_come_first_and_are_held_to_their_numbers() -> None:
    result = graphlab.rewrite(workload(), 2, [ReuseModule(2)], verify=True)
    assert result.verification is not None
    assert result.verification.ok
    assert result.reused is not None
    assert result.reused.report is not None
    assert result.reused.report.refreshes == 5


@dataclass(frozen=True)
class Liar(ReuseModule):
    """Approximates and does not say so."""

    name: ClassVar[str] = "liar"
    exact: ClassVar[bool] = True


@dataclass(frozen=True)
class Hoister(ReuseModule):
    """Says that it approximates and hoists."""

    name: ClassVar[str] = "hoister"

    def run(self, program: Program) -> HoistResult:  # type: ignore[override]  # what the test is about
        return hoist(program, ["text"], ["timestep"])


def test_a_pass_is_held_to_its_word() -> None:
    with pytest.raises(GraphlabError, match="pass liar reuses features and does not say so"):
        graphlab.run_pass(Liar(), program())
    with pytest.raises(GraphlabError, match="returned a HoistResult, expected a ReuseResult"):
        graphlab.run_pass(Hoister(), program())


def test_export_refuses_what_is_approximate(tmp_path: Path) -> None:
    with pytest.raises(GraphlabError, match="reuse-module is approximate"):
        export(workload(), tmp_path / "out.onnx", passes=[ReuseModule()])  # type: ignore[list-item]  # a stage rewrite
    assert not list(tmp_path.iterdir())


def test_saved_programs_run_and_say_what_they_are(tmp_path: Path) -> None:
    result = made(every=3)
    save(result, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "reused.json").read_text())
    assert manifest["approximate"] is True
    assert [part["part"] for part in manifest["parts"]] == ["refresh", "reuse"]
    assert manifest["parts"][0]["features"] == [result.kept[0].name]
    assert {"name": result.kept[0].name, "from": "refresh"} in manifest["parts"][1]["inputs"]
    given = {"sample": torch.randn(2, 2, 8, 16), "timestep": torch.tensor(5), "text": torch.randn(2, 3, 4)}
    expected, features = eager(result).step(0, given)
    whole = load_exported_program(tmp_path / "out" / "refresh.pt2").module()(**given)
    assert torch.allclose(whole[0], expected[0], atol=1e-6)
    reading = {name: given[name] for name in ("sample", "timestep")} | dict(features)
    again = load_exported_program(tmp_path / "out" / "reuse.pt2").module()(**reading)
    assert torch.allclose(again[0], expected[0], atol=1e-6)
    with pytest.raises(GraphlabError, match="is there already"):
        save(result, tmp_path / "out")
    with pytest.raises(GraphlabError, match="nothing of unet is reused"):
        save(made(module="last"), tmp_path / "other")
