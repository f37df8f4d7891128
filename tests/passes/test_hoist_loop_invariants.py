"""hoist-loop-invariants as a pass: found by name, options as text or tuples, roles and their overrides."""

from __future__ import annotations

import pytest

from graphlab.errors import UnknownNameError
from graphlab.hoisting.stage_rewrite import StageRewrite
from graphlab.models import find_model
from graphlab.plugins import find_pass
from graphlab.rewriting.options import build, pass_from, spelled
from tests.hoisting.models import denoise, program


def test_it_is_found_by_name_and_spelled_again() -> None:
    item = pass_from("hoist-loop-invariants,invariant=text+mask,schedule=timestep")
    assert isinstance(item, StageRewrite)
    assert (item.invariant, item.schedule) == (("text", "mask"), ("timestep",))
    assert spelled(item) == "hoist-loop-invariants,invariant=text+mask,schedule=timestep"
    assert build(find_pass(item.name), {"invariant": ("text", "mask"), "schedule": ("timestep",)}) == item


def test_a_bare_program_is_split_by_the_options() -> None:
    item = pass_from("hoist-loop-invariants,invariant=text,schedule=timestep")
    assert isinstance(item, StageRewrite)
    result = item.run(program(denoise, dynamic=False))
    assert [part for part, _ in result.programs] == ["prologue", "table", "step"]


def test_without_options_a_bare_program_has_no_invariants() -> None:
    item = pass_from("hoist-loop-invariants")
    assert isinstance(item, StageRewrite)
    assert item.run(program(denoise, dynamic=False)).reason == "no input is named as invariant or as the schedule"


def test_options_override_the_roles_of_a_stage() -> None:
    workload = find_model("muse-256-tiny").workload()
    item = pass_from("hoist-loop-invariants,schedule=text")
    assert isinstance(item, StageRewrite)
    result = item.run_stage(workload, "transformer", dynamic=False)
    assert (result.prologue, result.schedule) == (None, ("text",))
    assert result.table is not None
    with pytest.raises(UnknownNameError, match="no input 'tokns'"):
        pass_from("hoist-loop-invariants,invariant=tokns").run_stage(workload, "transformer", dynamic=False)
