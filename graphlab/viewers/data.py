"""What is drawn: a stage as nodes with costs and edges between them, free of any viewer's format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphlab.facts import PlacedWeight
from graphlab.report.group import Group

KINDS = ("call", "module", "input", "output")
"""What a node stands for; a "module" is several calls drawn as one."""

SEVERAL = "several"
"""The category, role or op of a node whose calls differ in it."""


@dataclass(frozen=True, slots=True)
class DrawnTensor:
    """One output of a node: sizes under the bindings in force, and the same as text over symbols where it has any."""

    shape: tuple[int, ...]
    dtype: str
    symbolic: tuple[str, ...] | None = None

    @property
    def text(self) -> str:
        """ "2x4x64x64", or "scalar"."""
        return "x".join(map(str, self.shape)) or "scalar"


@dataclass(frozen=True, slots=True)
class DrawnNode:
    """One node of a picture.

    `modules` is its module stack, outermost first, as (path, class name). `cost` adds up its calls; inputs and outputs
    cost nothing. `weights` are the keys of the weights it reads, `members` the calls it stands for. `dominator` is
    where in the stage's nodes its immediate dominator stands: the last node that every path from the inputs to it
    passes; None where there is none.
    """

    name: str
    kind: str
    modules: tuple[tuple[str, str], ...] = ()
    cost: Group = field(default_factory=Group)
    category: str = ""
    role: str = ""
    op: str = ""
    source: str = ""
    attention: str | None = None
    outputs: tuple[DrawnTensor, ...] = ()
    weights: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    on_critical_path: bool = False
    dominator: int | None = None

    @property
    def module(self) -> str:
        """The path of its innermost module."""
        return self.modules[-1][0] if self.modules else ""

    @property
    def module_class(self) -> str:
        """The class of its innermost module."""
        return self.modules[-1][1] if self.modules else ""


@dataclass(frozen=True, slots=True)
class DrawnEdge:
    """Data that flows from one node to another: places of both in the stage's nodes, and how many values flow."""

    producer: int
    consumer: int
    values: int = 1
    on_critical_path: bool = False


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """The chain of calls that costs most: `length` of `total`, in "seconds" (ideal) or, without a device, "flops".

    Of FLOP, both are without those of calls that have no rule.
    """

    measure: str
    length: float
    total: float
    calls: int

    @property
    def parallelism(self) -> float | None:
        """How many times faster the calls could be at best, were all that do not wait for each other run at once."""
        return self.total / self.length if self.length else None


@dataclass(frozen=True, slots=True)
class DrawnStage:
    """A stage as a picture: `calls` of its graph in `nodes`, one call of `steps` x `calls_per_step`.

    Totals are of a generation: FLOP without those of the `unknown` calls of the graph, which have no rule, and None
    where no call has one, bytes with attention scores in memory, seconds with fused attention. `depth` is how many
    levels of modules are drawn, and `merged` whether the calls of a module were drawn as one as well; None and False
    where every call is a node of its own. `masks` are {name of a mask: {key: its weight}}.
    """

    name: str
    nodes: tuple[DrawnNode, ...]
    edges: tuple[DrawnEdge, ...]
    calls: int
    steps: int
    calls_per_step: int
    dtype: str
    path: CriticalPath
    flops_total: int | None = 0
    bytes_total: int = 0
    seconds_total: float | None = None
    unknown: int = 0
    depth: int | None = None
    merged: bool = False
    masks: Mapping[str, Mapping[str, PlacedWeight]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drawing:
    """The stages of a source, side by side. `device` names what seconds are ideal times of; None without one."""

    source: str
    workload: str
    device: str | None
    bindings: Mapping[str, int | float]
    stages: tuple[DrawnStage, ...]
    assumptions: tuple[str, ...] = ()
