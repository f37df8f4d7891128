"""Why what others hand over as a Workload is none: a distribution's model, what a user's function returns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from graphlab.discovery.blame import contained
from graphlab.discovery.owner import reason_of
from graphlab.errors import BindingError
from graphlab.graph import DTYPE_BYTES
from graphlab.symbolic import evaluate_text
from graphlab.workload import Stage, TensorInput, Variable, Workload, check_range


def workload_fault(made: object) -> str | None:
    """Why `made` is no Workload that could be captured and counted at its own sizes; None where it is one.

    Nothing is built: whether a stage's module can be is told when it is.
    """
    if not isinstance(made, Workload):
        return f"it is a {type(made).__name__} where a graphlab.Workload belongs"
    try:
        with contained():
            return next(_faults(made), None)
    except Exception as error:  # whatever lies where a tuple, a text or a number belongs
        return f"it is no Workload that can be read: {reason_of(error)}"


def _faults(made: Workload) -> Iterator[str]:
    if not (isinstance(made.name, str) and isinstance(made.source, str)):
        yield "its name and its source are no texts"
    yield from _all_are("stages", made.stages, Stage)
    yield from _all_are("variables", made.variables, Variable)
    if not made.stages:
        yield "it has no stage"
    for variable in made.variables:
        yield from (f"its variable {variable.name}: {fault}" for fault in _variable_faults(variable))
    yield from _twice("variables", (variable.name for variable in made.variables))
    yield from _twice("stages", (stage.name for stage in made.stages))
    for stage in made.stages:
        yield from (f"its stage {stage.name}: {fault}" for fault in _stage_faults(made, stage))


def _all_are(what: str, items: object, kind: type) -> Iterator[str]:
    if not isinstance(items, (tuple, list)):
        yield f"its {what} are a {type(items).__name__}, not a tuple"
        return
    wrong = next((item for item in items if not isinstance(item, kind)), None)
    if wrong is not None:
        yield f"a {type(wrong).__name__} is among its {what}, where a graphlab.{kind.__name__} belongs"


def _twice(what: str, names: Iterable[str]) -> Iterator[str]:
    name, count = next(iter(Counter(names).most_common(1)), ("", 0))
    if count > 1:
        yield f"{count} of its {what} are called {name!r}"


def _variable_faults(item: Variable) -> Iterator[str]:
    if not isinstance(item.name, str) or not item.name:
        yield "its name is no text"
    value, high = item.default, item.maximum
    numbers = {"default": value, "minimum": item.minimum, **({} if high is None else {"maximum": high})}
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
            yield f"its {name} is {number!r}, not a number"
    try:
        check_range(item, value)
    except BindingError as error:
        yield f"its default: {error}"


def _stage_faults(made: Workload, stage: Stage) -> Iterator[str]:
    if stage.build is None and stage.program is None:
        yield "it has neither a function `build` nor a program"
    if stage.build is not None and not callable(stage.build):
        yield f"its build is a {type(stage.build).__name__}, not a function that returns a module"
    if stage.dtype not in DTYPE_BYTES:
        yield f"its dtype {stage.dtype!r} is none of torch's"
    if not isinstance(stage.inputs, Mapping):
        yield f"its inputs are a {type(stage.inputs).__name__}, not a mapping"
    values: dict[str, int | float] = {}
    reads: dict[str, Callable[[], object]] = {
        "steps": lambda: made.steps(stage),
        "calls_per_step": lambda: made.calls(stage),
        "step_bindings": lambda: values.update(made.step_values(stage, 0)),
        "batch": lambda: evaluate_text(stage.batch, values),
    }
    for name, read in reads.items():
        try:
            read()
        except Exception as error:  # a text that says nothing, and what else a number of the wrong kind raises
            yield f"its {name}: {reason_of(error)}"
            return
    for name, argument in stage.inputs.items():
        yield from (f"input {name}: {fault}" for fault in _argument_faults(argument, values))


def _argument_faults(argument: object, values: Mapping[str, int | float]) -> Iterator[str]:
    if isinstance(argument, (Mapping, tuple)):
        for item in argument.values() if isinstance(argument, Mapping) else argument:
            yield from _argument_faults(item, values)
        return
    if not isinstance(argument, TensorInput):
        if not (argument is None or isinstance(argument, (int, float, bool, str))):
            yield f"it is a {type(argument).__name__}, neither a TensorInput nor a constant"
        return
    if argument.dtype not in DTYPE_BYTES:
        yield f"its dtype {argument.dtype!r} is none of torch's"
    for size in argument.shape:
        try:
            if evaluate_text(size, values) < 0:
                yield f"its size {size} is negative"
        except Exception as error:  # as above
            yield reason_of(error)
