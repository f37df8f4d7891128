"""`BenchReport`: what `graphlab bench` measured, as values; `to_dict` is what `--json` prints.

docs/json_schema.md documents every key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from graphlab.report.decoding import SIGNED

SCHEMA = "graphlab.bench/1"
"""Version of the JSON layout; the number grows when a key changes meaning or disappears."""

Verdict: TypeAlias = Literal["faster", "slower", "tie", "unknown"]
Status: TypeAlias = Literal["timed", "wrong", "unavailable", "failed", "over budget"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A bootstrap confidence interval of 95 %."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast as the base candidate: the median over `rounds` of seconds of the base over its own.

    `interval` is None, and `verdict` "unknown", where there were too few rounds. "tie": the interval contains 1.
    """

    median: float
    interval: Interval | None
    verdict: Verdict
    rounds: int


@dataclass(frozen=True, slots=True)
class Check:
    """The outputs of a candidate beside those of the reference on the same inputs.

    `worst_error` is the largest difference in an output over the largest value of that output in the reference, of the
    worst output, `output` (0-based, tensors alone, over all programs of the stage); None where an output has another
    shape, or NaN in other places. `agrees` where it is at most `tolerance`.
    """

    worst_error: float | None
    tolerance: float
    output: int
    agrees: bool


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of one candidate's process; None where the system does not say.

    `before_bytes`: Python and the libraries, before anything is compiled. `compile_peak_bytes`: the most while
    compiling, an export to ONNX included. `run_peak_bytes`: the most while running. Weights mapped from a file count
    as soon as they are read. `device_bytes`: growth on the accelerator.
    """

    before_bytes: int | None = None
    compile_peak_bytes: int | None = None
    run_peak_bytes: int | None = None
    device_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of one call, or of the stage in a whole generation: median, 10th and 90th percentile over rounds.

    `samples` are the rounds in order; each is the mean of `calls_per_sample` calls in a row. `warmup_calls` came
    before, `stable` says whether they had settled. `estimate`: seconds of a stage were worked out from those of a call.
    """

    seconds: float
    low: float
    high: float
    samples: tuple[float, ...]
    calls_per_sample: int
    warmup_calls: int
    stable: bool
    interval: Interval | None = None
    estimate: bool = False


@dataclass(frozen=True, slots=True)
class CandidateBench:
    """One candidate on one stage.

    `label` is unique in the report; `backend` is spelled with its options, `rewrite` the level of -O (0: none).
    `dtype` is that of its program, `computes` what its products are computed in where that differs. `error` says why
    it was not timed.
    """

    label: str
    backend: str
    rewrite: int
    dtype: str
    computes: str | None
    status: Status
    error: str | None = None
    check: Check | None = None
    compile_seconds: float | None = None
    memory: Memory = field(default_factory=Memory)
    times: Times | None = None
    ratio: Ratio | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StageBench:
    """One stage: every candidate on the same inputs and weights.

    `unit` is what seconds are of: "call", or "generation" for all calls of the stage in one. `calls` is how many
    a generation makes, one by one, `steps` how many steps it has. `reference` says what outputs were compared with,
    `base` the candidate that ratios are to. `turns`: workers did not fit into memory together and took turns.
    """

    name: str
    unit: str
    steps: int
    calls: int
    weights: str
    reference: str
    base: str | None
    turns: bool
    rounds: int
    candidates: tuple[CandidateBench, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Total:
    """Seconds of a whole generation with one candidate: all stages added up, round by round.

    None where it was not timed on every stage. `estimate` where a stage's seconds are one.
    """

    label: str
    seconds: float | None
    interval: Interval | None
    ratio: Ratio | None
    estimate: bool


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine and the software; None for what the system does not tell. `load_average`: of a minute, before."""

    cpu: str
    cores: int
    threads: int
    memory_bytes: int | None
    governor: str | None
    load_average: float | None
    gpu: str | None
    system: str
    versions: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class BenchReport:
    """Everything one bench found."""

    source: str
    workload: str
    bindings: Annotated[Mapping[str, int | float], SIGNED]
    whole: bool
    rounds: int
    budget_seconds: float | None
    seed: int
    environment: Environment
    stages: tuple[StageBench, ...]
    totals: tuple[Total, ...] = ()
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether any candidate was not timed."""
        return any(item.status != "timed" for stage in self.stages for item in stage.candidates)

    def to_dict(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return {"schema": SCHEMA, **_plain(asdict(self))}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
