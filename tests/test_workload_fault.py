"""What is no Workload, in words; and that every built-in model is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from torch import nn

from graphlab import Stage, TensorInput, Variable, Workload
from graphlab.models.registry import models
from graphlab.workload_fault import workload_fault

STAGE = Stage("net", "float32", {"x": TensorInput(("batch", 8), "float32")}, build=nn.Identity, steps="steps")
BATCH, STEPS = Variable("batch", 2, "rows"), Variable("steps", 3, "steps", maximum=10)
GOOD = Workload("mine", "mine", (STAGE,), (BATCH, STEPS))


def staged(**changes: Any) -> Workload:
    return replace(GOOD, stages=(replace(STAGE, **changes),))


def sized(**changes: Any) -> Workload:
    return replace(GOOD, variables=(replace(BATCH, **changes), STEPS))


def given(*shape: Any, dtype: str = "float32") -> Workload:
    return staged(inputs={"x": ({"y": TensorInput(shape, dtype)}, 3, None)})


def endless(*_: object) -> Any:
    raise SystemExit(3)


class Sly(int):
    """A number that ends the process when it is compared."""

    __lt__ = __gt__ = __le__ = __ge__ = endless  # type: ignore[assignment]  # that is what is wrong with it


CASES: dict[str, tuple[object, str]] = {
    "another thing": (3, "it is a int where a graphlab.Workload belongs"),
    "a name that is a number": (replace(GOOD, name=3), "its name and its source are no texts"),  # type: ignore[arg-type]
    "stages in a set": (replace(GOOD, stages={STAGE.name}), "its stages are a set, not a tuple"),  # type: ignore[arg-type]
    "no stage among them": (replace(GOOD, stages=(3,)), "a int is among its stages, where a graphlab.Stage belongs"),  # type: ignore[arg-type]
    "none at all": (replace(GOOD, stages=()), "it has no stage"),
    "two of a name": (replace(GOOD, stages=(STAGE, STAGE)), "2 of its stages are called 'net'"),
    "two variables of a name": (
        replace(GOOD, variables=(BATCH, BATCH, STEPS)),
        "2 of its variables are called 'batch'",
    ),
    "a default that is text": (sized(default="two"), "its variable batch: its default is 'two', not a number"),
    "nan": (sized(default=float("nan")), "its variable batch: its default is nan, not a number"),
    "outside its range": (
        sized(minimum=4),
        "its variable batch: its default: batch=2 is impossible",
    ),
    "off its grid": (sized(multiple_of=8), "its variable batch: its default: batch=2 is impossible"),
    "ends the process": (sized(default=Sly(2)), "it is no Workload that can be read: it called sys.exit(3)"),
    "nothing to build": (staged(build=None), "its stage net: it has neither a function `build` nor a program"),
    "a module to build": (staged(build=3), "its stage net: its build is a int, not a function that returns a module"),
    "a dtype there is none of": (staged(dtype="float33"), "its stage net: its dtype 'float33' is none of torch's"),
    "inputs in a list": (staged(inputs=[3]), "its stage net: its inputs are a list, not a mapping"),
    "steps of what is not there": (staged(steps="2 * step_count"), "its stage net: its steps: '2 * step_count' needs"),
    "steps that run code": (staged(steps="__import__('os')"), "its stage net: its steps: unknown function"),
    "calls of what is not there": (
        staged(calls_per_step="guided"),
        "its stage net: its calls_per_step: 'guided' needs",
    ),
    "a batch of what is not there": (staged(batch="rows"), "its stage net: its batch: 'rows' needs rows"),
    "a size of what is not there": (given("bach", 8), "its stage net: input x: 'bach' needs bach"),
    "a negative size": (given("batch - 9", 8), "its stage net: input x: its size batch - 9 is negative"),
    "an input's dtype": (given(2, dtype="int23"), "its stage net: input x: its dtype 'int23' is none of torch's"),
    "an input that is a list": (staged(inputs={"x": [2, 8]}), "its stage net: input x: it is a list, neither"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_none(case: str) -> None:
    made, message = CASES[case]
    found = workload_fault(made)
    assert found is not None
    assert found.startswith(message)


def test_one_that_is_one() -> None:
    assert workload_fault(GOOD) is None
    assert workload_fault(given("batch", 8)) is None


def test_every_built_in_model_is_one() -> None:
    made: dict[str, Callable[[], Workload]] = {name: model.workload for name, model in models().items()}
    assert {name: workload_fault(make()) for name, make in made.items()} == dict.fromkeys(made)
