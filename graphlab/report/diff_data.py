"""`DiffReport`: what differs between two sources or reports, as values; `to_dict` is what `--json` prints.

The two sides are called a and b, as on the command line; every change is b's value against a's.
docs/json_schema.md documents every key.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, TypeAlias

from graphlab.report.bench_data import Interval, Verdict
from graphlab.report.decoding import SIGNED

SCHEMA = "graphlab.diff/1"
"""Version of the JSON layout; the number grows when a key changes meaning or disappears."""

Number: TypeAlias = int | float
Status: TypeAlias = Literal["added", "removed", "changed", "same"]
GivenAs: TypeAlias = Literal["source", "report"]
Outcome: TypeAlias = Literal["held", "violated", "unknown", "undecided"]


@dataclass(frozen=True, slots=True)
class Timing:
    """What two samples of seconds that were not taken in turn say; intervals are of 95 %.

    `ratio` is how many times as fast b is: median seconds of a over those of b. `ratio_interval` is its interval,
    `difference_interval` that of b's median less a's, `level_interval` that of b's median. None, and the verdict
    "unknown", where `why` says what is missing. "tie": the interval of the ratio contains 1.
    """

    ratio: float | None
    ratio_interval: Interval | None
    difference_interval: Annotated[Interval | None, SIGNED]
    level_interval: Interval | None
    verdict: Verdict
    rounds_a: int
    rounds_b: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One quantity on both sides, in base units ("FLOP", "B", "s", "" for counts); None is unknown.

    `uncounted_a` and `uncounted_b` are calls without a rule that are in neither number: where there are any, the
    number is a lower bound, or None where no call has a rule. `timing` is there for what was measured.
    """

    quantity: str
    unit: str
    a: Number | None
    b: Number | None
    uncounted_a: int = 0
    uncounted_b: int = 0
    timing: Timing | None = None

    @property
    def known(self) -> bool:
        """Whether both sides are whole numbers of everything: nothing unknown, nothing uncounted."""
        return self.a is not None and self.b is not None and not self.uncounted_a and not self.uncounted_b

    @property
    def changed(self) -> bool:
        """Whether the two sides say different things."""
        return (self.a, self.uncounted_a) != (self.b, self.uncounted_b)

    @property
    def absolute(self) -> Number | None:
        """b less a, of what is counted; None where either is unknown."""
        return None if self.a is None or self.b is None else self.b - self.a

    @property
    def relative(self) -> float | None:
        """(b - a) / a: 0 for 0 to 0, infinite for 0 to anything else; None where either is unknown."""
        return relative(self.a, self.b)

    @property
    def share(self) -> float | None:
        """`relative` where it is finite; None elsewhere."""
        found = self.relative
        return found if found is not None and math.isfinite(found) else None


_BYTES = {"analyze": "bytes_fused", "characterize": "bytes_fused", "rewrite": "bytes_spelled"}


def quantity_name(kind: str, quantity: str) -> str:
    """What readers are shown for `quantity` of reports of the command `kind`: it says which bytes "bytes" are there."""
    return _BYTES.get(kind, quantity) if quantity == "bytes" else quantity


def total(numbers: Sequence[tuple[Number | None, int]]) -> tuple[Number | None, int]:
    """(the sum of the numbers, calls without a rule that are not in it) of `numbers`, each with its own such calls.

    It is None, unknown, where all are None, or where one is whose calls without a rule are not the reason.
    """
    known = [number for number, _ in numbers if number is not None]
    uncounted = sum(calls for _, calls in numbers)
    told = all(number is not None or calls for number, calls in numbers)
    return (sum(known) if told and (known or not numbers) else None), uncounted


def relative(a: Number | None, b: Number | None) -> float | None:
    """(b - a) / |a|: 0 for equal ones, infinite where a is 0 and b is not; None where either is unknown."""
    if a is None or b is None:
        return None
    if a == b:
        return 0.0
    if a == 0:
        return math.inf if b > 0 else -math.inf
    try:
        return (b - a) / abs(a)
    except OverflowError:  # integers of a size no float has
        return math.inf if b > a else -math.inf


@dataclass(frozen=True, slots=True)
class GroupDiff:
    """Costs of one category, role, op, module, stage or candidate on both sides; `by` says which of these."""

    by: str
    name: str
    status: Status
    changes: tuple[Change, ...]

    def change(self, quantity: str) -> Change | None:
        """The change of `quantity`; None where groups of this kind have none."""
        return next((item for item in self.changes if item.quantity == quantity), None)


@dataclass(frozen=True, slots=True)
class AttentionShape:
    """What an attention is, its place aside; None is unknown."""

    kind: str | None
    axis: str | None
    causal: bool | None
    fused: bool
    batch: int
    heads: int | None
    q_tokens: int
    kv_tokens: int
    head_dim: int


@dataclass(frozen=True, slots=True)
class AttentionDiff:
    """`count` attentions that are on one side alone, or have another shape on the other."""

    status: Status
    count: int
    a: AttentionShape | None
    b: AttentionShape | None


@dataclass(frozen=True, slots=True)
class TextDiff:
    """An expression, or a verdict in words, that differs."""

    name: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One call: what the two sides' calls are matched and compared by."""

    name: str
    op: str
    module: str
    shape: tuple[int, ...]
    dtype: str
    flops: int | None
    pointwise_flops: int | None
    bytes: int


@dataclass(frozen=True, slots=True)
class NodeDiff:
    """One call that is on one side alone, or differs in `what` from the one it was matched with."""

    status: Status
    what: tuple[str, ...]
    a: NodeFacts | None
    b: NodeFacts | None


@dataclass(frozen=True, slots=True)
class NodesDiff:
    """Calls of two programs, matched. `by_shape` of them by module, operator and shape, in order; of the rest
    `by_module` by module and operator, then `by_operator` by operator and shape; `same` are equal in everything.

    `rows` holds every other call: changed in a's order, then removed, then added.
    """

    by_shape: int
    by_module: int
    by_operator: int
    same: int
    only_a: int
    only_b: int
    rows: tuple[NodeDiff, ...]


@dataclass(frozen=True, slots=True)
class PartDiff:
    """One stage on both sides (a model, of a characterization); `a` and `b` are its names, None where it is missing."""

    name: str
    a: str | None
    b: str | None
    changes: tuple[Change, ...]
    groups: tuple[GroupDiff, ...] = ()
    attention: tuple[AttentionDiff, ...] = ()
    texts: tuple[TextDiff, ...] = ()
    nodes: NodesDiff | None = None
    notes: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """Whether it is on both sides, and the same."""
        if self.a is None or self.b is None:
            return "added" if self.a is None else "removed"
        differs = any(item.changed for item in self.changes) or any(item.status != "same" for item in self.groups)
        differs = differs or bool(self.attention or self.texts or (self.nodes is not None and self.nodes.rows))
        return "changed" if differs else "same"

    def change(self, quantity: str) -> Change | None:
        """The change of `quantity`; None where a part has none."""
        return next((item for item in self.changes if item.quantity == quantity), None)

    def by(self, kind: str) -> tuple[GroupDiff, ...]:
        """Groups by "category", "role", "op", "module", "stage" or "candidate"."""
        return tuple(item for item in self.groups if item.by == kind)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting that differs: it changes numbers without the model being another."""

    name: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One side: how it was named, whether it was worked out now ("source") or read ("report"), and of what workload."""

    label: str
    given_as: GivenAs
    workload: str


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What became of one rule at one place ("unet.flops"); `why` says it in words."""

    rule: str
    where: str
    outcome: Outcome
    why: str


@dataclass(frozen=True, slots=True)
class DiffReport:
    """Everything that differs between a and b.

    `kind` is the command whose numbers are compared: "analyze", "rewrite", "profile", "characterize" or "bench".
    `texts` are verdicts in words that differ.
    `per` says whether numbers of a part are of one "call" or of a whole "generation".
    """

    kind: str
    per: str
    a: Compared
    b: Compared
    settings: tuple[Setting, ...]
    totals: tuple[Change, ...]
    parts: tuple[PartDiff, ...]
    texts: tuple[TextDiff, ...] = ()
    rules: tuple[RuleResult, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs: no setting, no number, no structure."""
        parts = all(part.status == "same" for part in self.parts)
        return parts and not self.settings and not self.texts and not any(item.changed for item in self.totals)

    def outcome(self) -> Outcome:
        """The worst outcome of the rules: "violated", then "unknown", then "undecided"; "held" where all hold."""
        found = {item.outcome for item in self.rules}
        worst: tuple[Outcome, ...] = ("violated", "unknown", "undecided")
        return next((item for item in worst if item in found), "held")

    def total(self, quantity: str) -> Change | None:
        """The change of `quantity` over all parts; None where there is no such sum."""
        return next((item for item in self.totals if item.quantity == quantity), None)

    def part(self, name: str) -> PartDiff:
        """The part called `name` on either side; KeyError otherwise."""
        for part in self.parts:
            if name in (part.name, part.a, part.b):
                return part
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """The report as `--json` prints it: every field, with the change of every quantity worked out."""
        return {"schema": SCHEMA, "same": self.same, "outcome": self.outcome(), **dict(_items(self))}


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(value):
        yield field.name, _plain(getattr(value, field.name))
        if isinstance(value, Change) and field.name == "b":
            yield "absolute", value.absolute
            yield "relative", value.share
            yield "from_zero", value.a == 0 and value.b not in (0, None)
    if isinstance(value, PartDiff):
        yield "status", value.status


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return dict(_items(value))
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
