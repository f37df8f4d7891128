"""`RewriteReport`: what `graphlab rewrite` did, as values; `to_dict` is what `--json` prints.

docs/json_schema.md documents every key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any

from graphlab.report.decoding import SHARE, SIGNED

SCHEMA = "graphlab.rewrite/1"
"""Version of the JSON layout; the number grows when a key changes meaning or disappears."""


@dataclass(frozen=True, slots=True)
class ProgramFigures:
    """One call of a program as it is spelled: calls, FLOP, bytes its calls read and write, its attentions, weights.

    `flops` are of contractions, `pointwise_flops` of the rest; `unknown` counts the calls without a rule, whose FLOP
    are in no sum: both are None where no call has one. A spelled-out attention writes its scores to memory, a fused one
    does not. `peak_bytes` are the most bytes of activations alive at once, `operators` {op: calls}, the most frequent
    first.
    """

    nodes: int
    flops: int | None
    pointwise_flops: int | None
    bytes: int
    attention_fused: int
    attention_spelled: int
    weight_bytes: int
    unknown: int
    peak_bytes: int
    operators: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PassRow:
    """What one pass did over all rounds: changes, candidates it left in its last round, seconds.

    `exact`: results keep their values; a pass that means to change them is not.
    """

    name: str
    changes: int
    skips: int
    seconds: float
    exact: bool


@dataclass(frozen=True, slots=True)
class ChangedValue:
    """The name of a value before and after; "" after for one that was taken out."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One change: by which pass, why, and the values it replaced, in the module `module` at `source`."""

    pass_name: str
    why: str
    module: str
    source: str
    values: tuple[ChangedValue, ...]


@dataclass(frozen=True, slots=True)
class SkipGroup:
    """Candidates that stayed for one reason in modules of one pattern ("blocks.*.attn"); `source` is the first's."""

    pass_name: str
    why: str
    module: str
    source: str
    nodes: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.nodes)


@dataclass(frozen=True, slots=True)
class TensorRow:
    """A weight the rewrite made, and of what."""

    key: str
    nbytes: int
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """Which pass changed a region, and why."""

    pass_name: str
    why: str


@dataclass(frozen=True, slots=True)
class RegionGroup:
    """Regions of the graph that changed in the same way: their modules' pattern, and lines of the first of them.

    `before` are its calls that are gone, `after` those that are new, one line each; `count` regions are alike.
    """

    module: str
    sources: tuple[str, ...]
    reasons: tuple[Reason, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class VerificationRow:
    """The outcome of a verification that found no difference; fields as in graphlab.verification.result.

    `base` says in words what was compared with.
    """

    mode: str
    base: str
    bindings: tuple[Mapping[str, int], ...]
    worst_float64: float | None
    worst_model: float | None
    own_error: float | None
    compared: int
    distinct: int
    complete: bool
    unchecked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MaskedWeight:
    """What a weight mask did to one weight: entries that are set and that changed, `density` from 0 to 1.

    `max_abs_change` is None where a NaN is involved; `ignored_entries`, edited but not set, where none is set.
    """

    key: str
    shape: tuple[int, ...]
    entries: int
    set_entries: int
    density: Annotated[float, SHARE]
    changed_entries: int
    max_abs_change: float | None
    ignored_entries: int | None


@dataclass(frozen=True, slots=True)
class PartRow:
    """One call of a part of a stage: "before" (the stage whole), "prologue", "table", "step", "refresh" or "reuse".

    FLOP are without those of the `unknown` calls, which have no rule; None where no call has one.
    """

    part: str
    nodes: int
    flops: int | None
    pointwise_flops: int | None
    weight_bytes: int
    parameters: int
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class SplitRow:
    """A stage split over its loop. `reason` says why nothing was split, "" where something was.

    `parameters_share`, from 0 to 1, of the parameters left the step. `boundary_bytes` are what the step takes from
    the prologue, `row_bytes` those of one row of the table; `shared_weight_bytes` are read by the step and by another
    part. `verification` compares the parts together with the program that was split.
    """

    reason: str
    invariant: tuple[str, ...] = ()
    schedule: tuple[str, ...] = ()
    parts: tuple[PartRow, ...] = ()
    parameters_left: int = 0
    parameters_share: Annotated[float, SHARE] = 0.0
    shared_weight_bytes: int = 0
    boundary_bytes: int = 0
    row_bytes: int = 0
    verification: VerificationRow | None = None


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A value that is kept between steps: its node, its module, its bytes."""

    name: str
    module: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class DriftRow:
    """The measured distance of results on features `age` steps old; fields as in graphlab.reuse.result.Drift."""

    age: int
    steps: int
    places: tuple[int, ...]
    differences: tuple[float | None, ...]
    weights: str


@dataclass(frozen=True, slots=True)
class ReuseRow:
    """A stage whose features are computed in every `every`-th step: approximate. `reason` says why it stayed, or "".

    `refreshes` of `steps` steps compute everything; both, and the FLOP of a generation, are None for a program without
    a loop around it; so are the FLOP where nothing is known of those of a part. `verification` compares the programs
    where no feature is old, `drift` measures where some are.
    """

    reason: str
    every: int
    parts: tuple[PartRow, ...] = ()
    kept: tuple[KeptRow, ...] = ()
    steps: int | None = None
    refreshes: int | None = None
    flops_before: int | None = None
    flops_after: int | None = None
    verification: VerificationRow | None = None
    drift: DriftRow | None = None


@dataclass(frozen=True, slots=True)
class StageRewrite:
    """A stage before and after, with the account of it. `symbols` are the sizes the figures hold at.

    `holds_weights`: whether its weights have values. `diff` is None where it was not asked for. `split` is what a
    stage rewrite made of it, `reuse` what one made of it that approximates. `output` is what was written, None without.
    """

    name: str
    symbols: Mapping[str, int]
    before: ProgramFigures
    after: ProgramFigures
    passes: tuple[PassRow, ...]
    changes: tuple[ChangeRow, ...]
    skips: tuple[SkipGroup, ...]
    new_tensors: tuple[TensorRow, ...]
    dropped: tuple[TensorRow, ...]
    history: tuple[str, ...]
    holds_weights: bool
    masks: tuple[MaskedWeight, ...] = ()
    verification: VerificationRow | None = None
    diff: tuple[RegionGroup, ...] | None = None
    split: SplitRow | None = None
    output: str | None = None
    notes: tuple[str, ...] = ()
    reuse: ReuseRow | None = None


@dataclass(frozen=True, slots=True)
class RewriteReport:
    """Every stage that was rewritten, by `passes` as one would write them; `level` is None without one.

    `approximate` are those of the passes whose results are not the model's.
    """

    source: str
    workload: str
    bindings: Annotated[Mapping[str, int | float], SIGNED]
    level: int | None
    passes: tuple[str, ...]
    stages: tuple[StageRewrite, ...]
    assumptions: tuple[str, ...] = ()
    approximate: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The report as plain dictionaries and lists, in the order of docs/json_schema.md."""
        found: dict[str, Any] = {"schema": SCHEMA, **as_json(self)}
        return found


def pattern(module: str) -> str:
    """ "blocks.*.attn" of "blocks.3.attn": the numbers of a module's path left open."""
    return re.sub(r"(?<![^.])\d+(?![^.])", "*", module)


def as_json(value: Any) -> Any:
    """`value` of dataclasses, mappings and tuples as JSON types; a field `pass_name` becomes "pass"."""
    if is_dataclass(value):
        named = {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
        return {"pass" if name == "pass_name" else name: item for name, item in named.items()}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, tuple) else value
