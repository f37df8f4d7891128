"""`Side`: one of the two things compared, in one form for every kind of report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from graphlab.report.bench_data import Interval
from graphlab.report.data import NodeRow
from graphlab.report.diff_data import AttentionShape, Compared, Number, total


@dataclass(frozen=True, slots=True)
class Value:
    """A quantity of one side; a `number` of None is unknown. `uncounted` calls without a rule are not in it: where no
    call has one, `number` is None and they are all there is.

    `measured` numbers come with `samples`, one a round, the interval of their median, and `why` where there are none.
    """

    number: Number | None
    uncounted: int = 0
    measured: bool = False
    samples: tuple[float, ...] = ()
    level: Interval | None = None
    why: str = ""


UNKNOWN = Value(None)
NOTHING = Value(0)


def timed(seconds: Number | None, uncounted: int) -> Value:
    """Ideal or predicted `seconds`, in which `uncounted` calls are by their bytes alone; unknown without a device."""
    return Value(seconds, uncounted if seconds is not None else 0)


Values = Mapping[str, Value]
Groups = Mapping[str, Mapping[str, Values]]
"""{"category": {"linear": {"flops": Value}}}."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stage (a model, of a characterization). `weights` names the set of weights it holds.

    `settings` are what its numbers hold at, `inputs` the shapes of its inputs. `texts` are expressions over
    `symbols`. `attention` is None where the report does not list it, `nodes` where it does not hold calls one by one.
    """

    name: str
    values: Values
    groups: Groups = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    symbols: tuple[str, ...] = ()
    attention: tuple[AttentionShape, ...] | None = None
    nodes: tuple[NodeRow, ...] | None = None
    weights: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """One side. `bindings` and `settings` are what all its numbers hold at; `bare` is a program without a model's loop.

    `totals` are over all parts, empty where they have no sum. `texts` are verdicts in words,
    `notes` what else is to be known of it.
    """

    compared: Compared
    bindings: Mapping[str, str]
    settings: Mapping[str, str]
    parts: tuple[Part, ...]
    totals: Values
    bare: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def added(values: Iterable[Value]) -> Value:
    """The sum of `values`; unknown where one of them is, but for calls without a rule, which are left out and told."""
    items = list(values)
    why = next((item.why for item in items if item.why), "")
    measured = any(item.measured for item in items)
    number, uncounted = total([(item.number, item.uncounted) for item in items])
    return Value(number, uncounted, measured=measured, why=why)


def summed(parts: Sequence[Part]) -> Values:
    """{quantity: the sum over `parts`} of the quantities that the first of them has."""
    return {name: added(part.values[name] for part in parts) for name in (parts[0].values if parts else ())}
